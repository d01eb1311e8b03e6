"""What is derived from the data: the kind of request, the method, and the settings. Every choice comes with its reason."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from ..methods import METHODS, DataAccess, LabelAccess, available
from ..methods.laf import LAFRSettings, LAFSettings
from ..methods.mixing import FeatureTap
from ..methods.synthetic import embeddings
from ..methods.view import last_linear
from ..settings.config import RepairConfig, UnlearningConfig, VAEConfig
from ..support.reading import counted
from .packing import Packing
from .refusal import Refused

# A request removes a class where D_f holds this share of the images that the original answers with it. Whole classes go where
# such answers are this share of D_f's. Both by the original's own, imperfect answers: a weak model puts many images of a class
# elsewhere, with the class as its second answer. Where more than half of D_f is answered with it, those count, too.
WHOLE = 0.7
SECOND_FROM = 10  # classes from which a second answer says something
SCOPES = ("auto", "class", "instances")
LEAST_RETAINED = 1_000  # images of D_r that unlearning uses at least, where there are as many: the side to be kept
LEAST_STEPS = 400  # that unlearning may take at most before the watch ends it, however few images are to be forgotten
LEAST_FOR_STATISTICS = 500  # retained images from which BatchNorm statistics are estimated anew
VAE_STEPS = 300  # of each VAE at least
MOST_VAE_EPOCHS = 200
CLOSED_FORM = "closed_form"  # of classes: ``laf_utils.forgetting.closed_form``
CERTIFIED = "certified_head"  # of a network that is frozen below its head: ``laf_utils.forgetting.certified``
NEEDS_MORE = DataAccess.STATE | DataAccess.HELD_OUT
OF_PIXELS = ("boundary_expand", "boundary_shrink_pseudo")  # they move pixels, and cannot see through a transform of one's own


@dataclass(frozen=True)
class Scope:
    """What kind of request it is, from the original's predictions alone."""

    name: str  # ``class`` where D_f is nearly all that the original assigns to some classes, else ``instances``
    classes: tuple[int, ...]  # those classes
    reason: str  # with the shares it rests on
    weak: bool = False  # it takes the original's second answers to see the classes


def scope_of(forget: torch.Tensor, retain: torch.Tensor | None, retain_total: int, asked: str = "auto") -> Scope:
    """The scope of a request.

    Args:
        forget: int64 [n] or [n, k], the original's predictions on D_f, or its first k answers (see ``ranked``).
        retain: int64 [m], its predictions on a random part of D_r (``None``: no D_r).
        retain_total: images of D_r, of which ``retain`` is a part.
        asked: ``class`` or ``instances`` where the user knows; the classes removed are then the commonest answers on D_f.
    """
    if asked == "instances":
        return Scope("instances", (), "asked for")
    ranked = forget.reshape(len(forget), -1)
    forget = ranked[:, 0]
    if asked == "class":
        counts = forget.bincount()
        return Scope("class", tuple((counts >= 0.5 * counts.max()).nonzero().flatten().tolist()), "asked for")
    main = [c for c, count in enumerate(forget.bincount().tolist()) if count >= 0.05 * len(forget) and count]
    if retain is None:
        few = len(main) <= 2
        names = ", ".join(map(str, main))
        reason = f"no retained images; the original puts D_f into {counted(len(main), 'class', 'classes')} ({names})"
        return Scope("class" if few else "instances", tuple(main) if few else (), reason)
    factor = retain_total / max(1, len(retain))
    shares = {c: (n := (forget == c).sum().item()) / (n + factor * (retain == c).sum().item()) for c in main}
    whole = tuple(c for c in main if shares[c] >= WHOLE)
    first, both = (torch.isin(found, torch.tensor(whole)).any(1).float().mean().item() for found in (ranked[:, :1], ranked))
    covered = both if first > 0.5 else first
    told = ", ".join(f"{100 * share:.0f} % of class {c}" for c, share in list(shares.items())[:10])
    if covered >= WHOLE:
        return Scope("class", whole, f"D_f holds {told}, as the original assigns them", first < WHOLE)
    return Scope("instances", (), f"D_f holds {told}, as the original assigns them: its classes stay")


def ranked(logits: torch.Tensor) -> torch.Tensor:
    """int64 [n, 2], the first and the second answer; [n, 1] of a model of few classes, where the second is no evidence."""
    return logits.topk(2 if logits.shape[1] >= SECOND_FROM else 1, 1).indices


@dataclass(frozen=True)
class Choice:
    """The method and why it was taken."""

    method: str
    reason: str


def choose(asked: str, *, retain: bool, labels: bool) -> Choice:
    """The method for what is at hand, along the ladder of label access.

    Args:
        asked: ``auto`` or a name of ``laf_utils.methods.METHODS``.

    Raises:
        Refused: ``method``: unknown, or it needs what is not there.
    """
    if asked == "auto":
        if not retain:
            return Choice("jit", "only the forget images are at hand: JiT is the method of the ladder that needs nothing else")
        if labels:
            return Choice("laf_r", "images of both sets and labels of retained ones: LAF, then its supervised repair of the head")
        return Choice("laf", "images of both sets and no label: LAF")
    if asked == CERTIFIED and not retain:
        raise Refused("method", f"{asked} needs images of D_r: give retain=...")
    if asked in (CLOSED_FORM, CERTIFIED):
        return Choice(asked, "asked for")
    found = available()
    if asked not in found:
        names = ("auto", CLOSED_FORM, CERTIFIED, *filter(usable, METHODS))
        raise Refused("method", f"unknown method {asked!r}: {', '.join(names)}")
    method = found[asked]
    if not usable(asked):
        raise Refused("method", f"{asked} needs more than network inputs and labels of D_r; use the methods of laf_utils.methods")
    if DataAccess.RETAIN in method.data_access and not retain:
        raise Refused("method", f"{asked} needs images of D_r: give retain=...")
    if method.label_access == LabelAccess.FEW and not labels:
        raise Refused("method", f"{asked} needs labels of D_r: give retain_labels=...")
    return Choice(asked, "asked for")


def check_network(method: str, network: nn.Module, inputs: torch.Tensor, classes: Sequence[int]) -> None:
    """What a method asks of a network beside images and labels, before anything is trained.

    Args:
        inputs: a few network inputs [B, ...].
        classes: those that the original answers the forget images with.

    Raises:
        Refused: ``method``: a network without what the method works on.
    """
    try:
        if method == "mixunlearn":
            with torch.no_grad(), FeatureTap(network) as tap:
                network(inputs)
                _ = tap.features
        if method == "synthetic":
            embeddings(last_linear(network)[1], torch.tensor(classes), 1, torch.Generator().manual_seed(0))
    except ValueError as error:
        raise Refused("method", f"{method}: {error}") from error


def head_alone_or(choice: Choice, asked: str, scope: Scope, packing: Packing | None, fixed: bool = False) -> Choice:
    """The choice, or what changes the head alone: the closed form where only the images of a whole class are at hand, the
    certified step for single images of a network that is ``fixed`` below its head.

    Raises:
        Refused: ``method``: the closed form for single images, or noise on inputs that are no quantities.
    """
    if choice.method == CLOSED_FORM and scope.name != "class":
        raise Refused("method", "the closed form removes classes, and these images are single ones: give retained images for LAF")
    if asked == "auto" and choice.method == "jit" and scope.name == "class":
        return Choice(
            CLOSED_FORM, "only the images of a whole class are at hand: its answer is removed in closed form; the layers below "
            "still represent it, which retained images would change",
        )
    if asked == "auto" and fixed and scope.name == "instances" and choice.method != "jit":
        return Choice(CERTIFIED, "nothing below the head is to be trained: one certified step of the head away from these images")
    if choice.method == "jit" and packing is not None and packing.whole_numbers:
        raise Refused("method", "JiT adds noise to inputs, and token numbers are no quantities: give retained inputs for LAF")
    return choice


def usable(name: str) -> bool:
    """Whether a method needs no more than network inputs and a few labels."""
    method = available()[name]
    return not (NEEDS_MORE & method.data_access) and method.label_access < LabelAccess.ALL and name not in OF_PIXELS


def retained_used(forget: int, retain: int) -> int:
    """Images of D_r that unlearning uses: as many as are forgotten, and a thousand at least."""
    return min(retain, max(forget, LEAST_RETAINED))


def derived_settings(forget: int, used: int, *, labels: bool = False, batch_statistics: bool = False) -> LAFSettings:
    """LAF's settings for a request of this size: mode ``fixed`` of this project, with lengths that follow the sets.

    Args:
        labels: with the repair of LAF+R.
        batch_statistics: the model has some; they are estimated anew where there are retained images enough.
    """
    batch = UnlearningConfig.batch_size

    def vae_epochs(count: int) -> int:
        return min(MOST_VAE_EPOCHS, max(10, math.ceil(VAE_STEPS * batch / count)))

    steps = max(1, min(forget, used) // batch)
    unlearning = UnlearningConfig(
        epochs=max(1, math.ceil(LEAST_STEPS / steps)), schedule="joint", lr_ra=2e-4, ra_weight=5.0, reduction="mean",
        drop_ragged=True, batchnorm="retain" if batch_statistics and used >= LEAST_FOR_STATISTICS else "original",
    )
    vae = VAEConfig(
        latent_dims=16, epochs=vae_epochs(min(forget, used)), decoder="linear", standardise=True, error="mean",
        fit_h_on="retain",
    )
    return LAFRSettings(vae, unlearning, RepairConfig()) if labels else LAFSettings(vae, unlearning)


def strengthened(settings: LAFSettings, factor: float) -> LAFSettings:
    """The same with both learning rates times ``factor``; beyond 1 the forget images are also repelled that much more.

    L_RA's repelling half weighs 1 / temperature of its attracting one. Larger steps alone leave that balance as it is: in small
    networks the forget images then only move into directions that the head does not read.
    """
    config = settings.unlearning
    return replace(settings, unlearning=replace(
        config, lr_ue=config.lr_ue * factor, lr_ra=config.lr_ra * factor, temperature=config.temperature / max(1.0, factor)
    ))
