"""From what a user hands in to what can be worked with, or a refusal with its reason. Nothing is trained here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from ..models import Network
from ..settings.config import UnlearningConfig
from ..support.progress import track
from ..support.reading import MOST_SEED
from ..support.seeds import stream
from . import copies as near_copies
from .adapting import adapted
from .certified import LARGEST, frozen
from .choice import CERTIFIED, CLOSED_FORM, SCOPES, Choice, Scope, choose, head_alone_or, retained_used, scope_of
from .copies import Copies
from .copying import working_copy
from .evidence import LEAST_COMPARED
from .first_model import FirstModel
from .head import check_below, check_stable, device_of, dtype_of, find_head, has_batch_statistics, split
from .keeping import Keeper
from .ledger import Ledger
from .opening import store_of
from .options import Options
from .refusal import RISKS, Refused
from .sources import OwnImages
from .watch import SAMPLE, SAMPLE_GOAL, Sets
from .workers import frozen_pass

EXAMPLE = 4  # images on which the model is tried first
LOOKED = 1_000  # retained and unseen images whose class under the original is asked for
LEAST_RETAINED = 64  # images of D_r: as many for the watch as for training, and a batch at least


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
    """A request that can be carried out.

    Args:
        network: a working copy of the model, split.
        head: the name of its head.
        forget: D_f.
        retain: all of D_r that is left after checks; ``used`` and ``watched`` are disjoint parts of it.
        unseen: images that nothing was trained on; ``alike`` are the rows of those that are like D_f. Single images: the watch
            looks at ``shown`` alone, and the verdict's audit at ``audited``, which no look has seen. Classes: both see ``alike``.
        labels: int64, of ``used``.
        before: the original's answers.
        digests: of the images of D_f.
        dropped: retained images left out because they are in D_f too.
        copies: near-copies of D_f among the retained images, and what was done with them.
        known: with a ledger, the digests of the watched and of the unseen images.
    """

    network: Network
    head: str
    forget: OwnImages
    retain: OwnImages | None
    used: OwnImages | None
    watched: OwnImages | None
    unseen: OwnImages | None
    alike: torch.Tensor | None
    labels: torch.Tensor | None
    unseen_labels: torch.Tensor | None
    scope: Scope
    choice: Choice
    dropped: int
    digests: list[bytes]
    before: Answers
    shown: torch.Tensor | None = None
    audited: torch.Tensor | None = None
    copies: Copies = Copies()
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
        raise Refused("bad_images", f"{len(labels)} {name} labels for {0 if images is None else len(images)} images")
    return labels


def check_options(options: Options) -> None:
    """Refuse values that cannot be meant.

    Raises:
        ValueError: naming the option.
    """
    if not 0 <= options.floor <= 1:
        raise ValueError(f"floor must be between 0 and 1, got {options.floor!r}")
    if type(options.seed) is not int or not 0 <= options.seed <= MOST_SEED:
        raise ValueError(f"seed must be a whole number from 0 to {MOST_SEED}, got {ascii(options.seed)[:40]}")
    if options.overlap not in ("refuse", "drop"):
        raise ValueError(f"overlap must be refuse or drop, got {options.overlap!r}")
    if options.copies not in near_copies.WAYS:
        raise ValueError(f"copies must be one of {', '.join(near_copies.WAYS)}, got {options.copies!r}")
    if options.scope not in SCOPES:
        raise ValueError(f"scope must be one of {', '.join(SCOPES)}, got {options.scope!r}")
    unknown = set(options.accept) - set(RISKS)
    if unknown:
        raise ValueError(f"accept knows {', '.join(RISKS)}, got {', '.join(sorted(unknown))}")
    if not options.checkpoint_minutes >= 0:
        raise ValueError(f"checkpoint_minutes must be at least 0, got {options.checkpoint_minutes!r}")
    if options.memory < 1 << 20:
        raise ValueError(f"memory must be at least {1 << 20} bytes, got {options.memory!r}")


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


def hashed(images: OwnImages, label: str) -> list[bytes]:
    """The digest of every image, one at a time."""
    found = []
    with track(len(images), label, unit="image") as bar:
        for rows in torch.arange(len(images)).split(256):
            found += images.digests(rows)
            bar.update(len(rows))
    return found


def without_overlap(
    digests: list[bytes], retain: OwnImages, overlap: str, ledger: Ledger | None
) -> tuple[torch.Tensor, list[bytes]]:
    """int64, the rows of D_r that are kept, and the digests of all rows.

    Raises:
        Refused: ``overlap``: images of D_f are in D_r, and would be learned again; ``forgotten_before``: those of an earlier
        request.
    """
    own, marks = set(digests), hashed(retain, "comparing the sets")
    back = ledger.forgotten_before(marks) if ledger else []
    if back:
        raise Refused(
            "forgotten_before", f"{len(back)} retained images were forgotten by an earlier request of this ledger (rows "
            f"{', '.join(map(str, back[:5]))}): take them out of the retained images",
        )
    twice = torch.tensor([mark in own for mark in marks])
    if twice.any() and overlap == "refuse":
        rows = ", ".join(map(str, twice.nonzero().flatten()[:5].tolist()))
        raise Refused(
            "overlap", f"{int(twice.sum())} images are in both sets, the first at rows {rows} of the retained ones: take them "
            "out, or say overlap='drop'",
        )
    return (~twice).nonzero().flatten(), marks


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


@dataclass(frozen=True)
class _Retained:
    """D_r after the checks, and its two disjoint parts."""

    images: OwnImages | None = None
    used: OwnImages | None = None
    watched: OwnImages | None = None
    labels: torch.Tensor | None = None
    dropped: int = 0
    copies: Copies = Copies()
    also: OwnImages | None = None  # near-copies that are to be forgotten, too
    known: tuple[bytes, ...] = ()  # digests of ``watched``


def _retained(
    given: OwnImages | None, labels: torch.Tensor | None, digests: list[bytes], options: Options, ledger: Ledger | None,
    most: int, network: Network, forget: OwnImages,
) -> _Retained:
    if given is None:
        return _Retained()
    kept, marks = without_overlap(digests, given, options.overlap, ledger)
    found = near_copies.search(network, forget, given.subset(kept), options.seed, options.copies)
    also = given.subset(kept[found.rows]) if options.copies == "forget" and len(found.rows) else None
    if options.copies in ("drop", "forget"):
        kept = kept[~torch.isin(torch.arange(len(kept)), found.rows)]
    if len(kept) < LEAST_RETAINED:
        raise Refused(
            "too_few_images", f"{len(kept)} retained images are at hand, {LEAST_RETAINED} at least are needed; leave retain out "
            "to go on without any",
        )
    images, labels = given.subset(kept), None if labels is None else labels[kept]
    order = torch.randperm(len(images), generator=stream(options.seed, "own", "retain"))
    looked, marks = min(LOOKED, len(images) // 2), [marks[row] for row in kept.tolist()]
    if ledger is not None:  # in a row of requests the same images are watched, and none of them is ever trained on
        before = FirstModel(ledger).places(marks)
        order = torch.cat([before[:looked], order[~torch.isin(order, before)]])
    wanted = LARGEST if options.method == CERTIFIED or frozen(network) else retained_used(len(digests), len(images) - looked)
    rows = order[looked : looked + wanted].sort().values
    return _Retained(
        images, images.subset(rows).held(most), images.subset(order[:looked]).held(most), None if labels is None else
        labels[rows], len(given) - len(kept), found, also, tuple(marks[row] for row in order[:looked].tolist()),
    )


def prepare(model: nn.Module, given: Given, options: Options, keeper: Keeper, ledger: Ledger | None) -> Prepared:
    """Everything that is known before anything is trained.

    Raises:
        Refused: with its reason.
        ValueError: an option that cannot be meant.
    """
    check_options(options)
    copied = working_copy(model)
    copied = copied if options.device is None else copied.to(options.device)
    forget, retain, unseen = (
        open_images(getattr(given, name), options, keeper, copied, name) for name in ("forget", "retain", "unseen")
    )
    if forget is None:
        raise Refused("nothing_to_forget", "forget: no images were given")
    example = forget.batch(torch.arange(min(EXAMPLE, len(forget))))
    if any(images is not None and images.packing != forget.packing for images in (retain, unseen)):
        raise Refused("bad_images", "the sets hold inputs of different names, shapes or number formats")
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
    rest = _retained(retain, labels, digests, options, ledger, keeper.left // 4, network, forget)
    if rest.also is not None:
        forget, digests = forget.joined(rest.also), digests + hashed(rest.also, "reading")
    forget = forget.held(keeper.left // 4)
    before = answers(network, forget, rest.watched, unseen)
    said, said_r = before.forget.argmax(1), None if before.retain is None else before.retain.argmax(1)
    like = None if before.unseen is None else alike(said, before.unseen.argmax(1))
    scope = scope_of(said, said_r, 0 if rest.images is None else len(rest.images), options.scope)
    choice = head_alone_or(choice, options.method, scope, forget.packing, frozen(network))
    if choice.method not in (CLOSED_FORM, CERTIFIED):
        check_below(network)
    known: dict[str, Sequence[bytes]] = {} if ledger is None else {
        name: marks for name, marks in (("retain", rest.known), ("unseen", () if unseen is None else hashed(unseen, "reading")))
        if marks
    }
    shown, audited = divided(like, 0 if unseen is None else len(unseen), scope.name, options.seed)
    return Prepared(
        network, head, forget, rest.images, rest.used, rest.watched, unseen, like, rest.labels, unseen_labels, scope, choice,
        rest.dropped, digests, before, shown, audited, rest.copies, known,
    )
