"""From what a user hands in to what can be worked with, or a refusal with its reason. Nothing is trained here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from ..models import Network
from ..settings.config import UnlearningConfig
from ..support.reading import counted
from ..support.seeds import stream
from . import certified, closed_form
from .adapting import adapted
from .choice import CERTIFIED, CLOSED_FORM, Choice, Scope, check_network, choose, head_alone_or, ranked, scope_of
from .copies import Copies
from .copying import working_copy
from .evidence import LEAST_COMPARED
from .head import check_below, check_stable, device_of, dtype_of, find_head, has_batch_statistics, split
from .keeping import Keeper
from .ledger import Ledger
from .opening import store_of
from .options import Options, check_options
from .refusal import Refused
from .retained import hashed, retained_parts
from .sources import OwnImages
from .watch import SAMPLE, SAMPLE_GOAL, Sets
from .workers import frozen_pass

EXAMPLE = 4  # images on which the model is tried first


@dataclass(frozen=True)
class Given:
    """The user's images and labels as they came."""

    forget: Any
    retain: Any = None
    unseen: Any = None
    retain_labels: Any = None
    unseen_labels: Any = None


@dataclass(frozen=True)
class Answers:
    """Logits [n, classes] of one model on the CPU: over D_f, over the watched part of D_r, over the unseen images."""

    forget: torch.Tensor
    retain: torch.Tensor | None
    unseen: torch.Tensor | None


def answers(network: nn.Module, forget: OwnImages, retain: OwnImages | None, unseen: OwnImages | None) -> Answers:
    """One pass of a model over everything that is reported on."""
    def of(images: OwnImages) -> torch.Tensor:
        return frozen_pass(network, images, "answers").cpu()

    return Answers(of(forget), None if retain is None else of(retain), None if unseen is None else of(unseen))


@dataclass(frozen=True)
class Prepared:
    """A request that can be carried out."""

    network: Network  # a working copy of the model, split
    head: str  # the name of its head
    forget: OwnImages  # D_f
    retain: OwnImages | None  # all of D_r that is left after checks; ``used`` and ``watched`` are disjoint parts of it
    used: OwnImages | None
    watched: OwnImages | None
    # images that nothing was trained on; ``alike`` are the rows of those that are like D_f. Single images: the watch looks at
    # ``shown`` alone, and the verdict's audit at ``audited``, which no look has seen. Classes: both see ``alike``.
    unseen: OwnImages | None
    alike: torch.Tensor | None
    labels: torch.Tensor | None  # int64, of ``used``
    unseen_labels: torch.Tensor | None
    scope: Scope
    choice: Choice
    dropped: int  # retained images left out because they are in D_f too
    digests: list[bytes]  # one for each image of D_f
    before: Answers  # the original's answers
    shown: torch.Tensor | None = None
    audited: torch.Tensor | None = None
    copies: Copies = Copies()  # near-copies of D_f among the retained images, and what was done with them
    # with a ledger, the digests of the watched and of the unseen images
    known: dict[str, Sequence[bytes]] = field(default_factory=dict)

    def sets(self, seed: int) -> Sets:
        """What a watch looks at: random samples."""
        alike = None if self.shown is None or self.unseen is None or not len(self.shown) else self.unseen.subset(self.shown)
        named = {"forget": self.forget, "retain": self.watched, "unseen": alike}
        most = {"forget": SAMPLE_GOAL, "retain": SAMPLE, "unseen": SAMPLE_GOAL}
        once = -(-len(self.forget) // UnlearningConfig.batch_size)
        found = {name: _sample(images, most[name], seed, name) for name, images in named.items()}
        return Sets(cast(OwnImages, found["forget"]), found["retain"], found["unseen"], once)

    def answers(self, network: nn.Module) -> Answers:
        """Another model's answers on the same images."""
        return answers(network, self.forget, self.watched, self.unseen)


def divided(alike: torch.Tensor | None, unseen: int, scope: str, seed: int) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Rows of the unseen images that the watch is shown, and rows that are kept for the verdict: halves of single images.

    The watch stops at the first look that seems good; an audit on the same images would believe it. Where there are few, the
    audit has what it needs before the watch has any.

    Args:
        alike: rows like D_f; ``None``: there are none.
        unseen: number of all.
        scope: ``class`` or ``instances``.
    """
    if scope == "class" or not unseen:
        return alike, alike
    order = torch.randperm(unseen, generator=stream(seed, "own", "audited"))
    count = max(unseen // 2, min(unseen, LEAST_COMPARED))
    kept = order[:count].sort().values
    return None if alike is None else alike[~torch.isin(alike, kept)], kept


def _sample(images: OwnImages | None, most: int, seed: int, name: str) -> OwnImages | None:
    if images is None:
        return None
    return images.subset(torch.randperm(len(images), generator=stream(seed, "own", name))[:most])


def _labels(given: Any, images: OwnImages | None, name: str) -> torch.Tensor | None:
    if given is None:
        return None
    labels = torch.as_tensor(np.asarray(given) if not isinstance(given, torch.Tensor) else given).long().cpu()
    if images is None or len(labels) != len(images):
        there = counted(0 if images is None else len(images), "image")
        raise Refused("bad_images", f"{counted(len(labels), f'{name} label')} for {there}")
    return labels


def open_images(given: Any, options: Options, keeper: Keeper, like: nn.Module, name: str) -> OwnImages | None:
    """A set on the model's device in its number format.

    Raises:
        Refused: ``bad_images``, ``unstable_images``: the same image came out differently twice (random transforms).
    """
    if given is None:
        return None
    store = store_of(given, options.transform, keeper.spool)
    if not len(store):
        raise Refused("nothing_to_forget" if name == "forget" else "bad_images", f"{name}: there is no image")
    images = OwnImages(store, device_of(like), dtype_of(like), torch.arange(len(store)), name=name)
    few = torch.arange(min(EXAMPLE, len(images)))
    if not torch.equal(images.batch(few), images.batch(few)):
        raise Refused(
            "unstable_images", f"{name}: the same image comes out differently each time: give the evaluation transform, without "
            "random crops or flips",
        )
    return images


def alike(forget: torch.Tensor, unseen: torch.Tensor) -> torch.Tensor | None:
    """Rows of the unseen images that are like D_f: assigned to its classes, in its proportions, as far as there are enough.

    Args:
        forget, unseen: int64, the original's predictions.
    """
    classes = int(max(forget.max(), unseen.max())) + 1
    wanted, there = forget.bincount(minlength=classes).double(), unseen.bincount(minlength=classes)
    main = (wanted >= 0.02 * len(forget)).nonzero().flatten().tolist()
    factor = min(float(there[c] / wanted[c]) for c in main)
    rows = torch.cat([(unseen == c).nonzero().flatten()[: int(factor * wanted[c])] for c in main])
    return rows.sort().values if len(rows) else None


def _opened(
    given: Given, options: Options, keeper: Keeper, model: nn.Module
) -> tuple[OwnImages, OwnImages | None, OwnImages | None]:
    """D_f, D_r and the unseen images, all of one kind."""
    forget, retain, unseen = (
        open_images(getattr(given, name), options, keeper, model, name) for name in ("forget", "retain", "unseen")
    )
    if forget is None:
        raise Refused("nothing_to_forget", "forget: no images were given")
    if any(images is not None and images.packing != forget.packing for images in (retain, unseen)):
        raise Refused("bad_images", "the sets hold inputs of different names, shapes or number formats")
    return forget, retain, unseen


def prepare(model: nn.Module, given: Given, options: Options, keeper: Keeper, ledger: Ledger | None) -> Prepared:
    """Everything that is known before anything is trained.

    Raises:
        Refused: with its reason.
        ValueError: an option that cannot be meant.
    """
    check_options(options)
    copied = working_copy(model)
    copied = copied if options.device is None else copied.to(options.device)
    forget, retain, unseen = _opened(given, options, keeper, copied)
    example = forget.batch(torch.arange(min(EXAMPLE, len(forget))))
    copied = adapted(copied, example, forget.packing)
    head = find_head(copied, example, options.head)
    check_stable(copied, example)
    network = split(copied, head, example)
    labels = _labels(given.retain_labels, retain, "retain")
    unseen_labels = _labels(given.unseen_labels, unseen, "unseen")
    choice = choose(options.method, retain=retain is not None, labels=labels is not None)
    if retain is None and has_batch_statistics(copied) and "batch_statistics" not in options.accept:
        raise Refused(
            "batch_statistics", "the model's BatchNorm statistics were computed with the forget images and stay so without "
            "retained images: give retain=..., or say accept=('batch_statistics',)",
        )
    digests = hashed(forget, "reading")
    rest = retained_parts(retain, labels, digests, options, ledger, keeper.left // 4, network, forget)
    if rest.also is not None:
        forget, digests = forget.joined(rest.also), digests + hashed(rest.also, "reading")
    forget = forget.held(keeper.left // 4)
    before = answers(network, forget, rest.watched, unseen)
    said, said_r = before.forget.argmax(1), None if before.retain is None else before.retain.argmax(1)
    like = None if before.unseen is None else alike(said, before.unseen.argmax(1))
    scope = scope_of(ranked(before.forget), said_r, 0 if rest.images is None else len(rest.images), options.scope)
    choice = head_alone_or(choice, options.method, scope, forget.packing, certified.frozen(network))
    if choice.method == CLOSED_FORM:
        closed_form.check(network, head, scope.classes)
    elif choice.method == CERTIFIED:
        certified.check(network)
    else:
        check_below(network)
        check_network(choice.method, network, example, said.unique().tolist())
    known: dict[str, Sequence[bytes]] = {} if ledger is None else {
        name: marks for name, marks in (("retain", rest.known), ("unseen", () if unseen is None else hashed(unseen, "reading")))
        if marks
    }
    shown, audited = divided(like, 0 if unseen is None else len(unseen), scope.name, options.seed)
    return Prepared(
        network, head, forget, rest.images, rest.used, rest.watched, unseen, like, rest.labels, unseen_labels, scope, choice,
        rest.dropped, digests, before, shown, audited, rest.copies, known,
    )
