"""LAF under the watch: attempts at several strengths, each with a recovery where it cost too much; the best point of all."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

import torch

from ..adaptation import Adaptation
from ..laf import LAF, Represented, Sets
from ..methods.laf import LAFSettings
from ..models import Network
from ..representations import FrozenRepresentations
from ..training import TrainingDiverged
from .checkpoint import Carried, Checkpoint, fitted, restored
from .choice import strengthened
from .keeping import Keeper
from .reference import Reference
from .sources import OwnImages
from .watch import GAIN, Watch
from .workers import shared

WEAKER, STRONGER = 1 / 3, 5.0  # of a further attempt, see choice.strengthened
ATTEMPTS = 3  # and one strong one where those lead nowhere
FLAT = 0.05  # of the mean spread of a representation's dimensions: unlike the paper's, these may end in a ReLU, with silent units


@dataclass(frozen=True)
class Work:
    """What a run works with."""

    network: Network  # the original, split
    forget: OwnImages  # D_f
    retain: OwnImages | None  # used images of D_r (none that the watch looks at), or ``None``
    labels: torch.Tensor | None  # int64, of ``retain``, or ``None``
    settings: Any  # of the method; ``None``: derived from the data
    seed: int  # draws everything random
    aim: float = 0.0  # utility below which a point that has forgotten is followed by a recovery
    # a class that LAF does not remove within the floor may be removed in closed form, and single images that it does not remove
    # may be left to ``relearn``
    otherwise: bool = False
    everything: OwnImages | None = None  # all of D_r, or ``None``: what ``relearn`` learns anew
    series: bool = False  # whether requests follow each other: then ``everything`` is not all
    by_heart: bool = False  # whether the original has its images by heart (``anew.by_heart``)
    reference: Callable[[], Reference] = field(default=lambda: Reference((), 0))  # gives the audit's models that never saw D_f
    checkpoint: Checkpoint = field(default_factory=Checkpoint)  # where the work's state is kept


@dataclass
class Outcome:
    """What came of it: the unlearned network (``None`` where nothing could be kept), its look, and the story.

    ``closed_form``: the answer alone was removed, and the layers below the head are the original's. ``method``: where it is
    another one than was chosen at first. ``anew``: it started fresh and has never seen D_f (``anew``).
    ``certified``: what is, of the head, and by how much.
    """

    network: Network | None
    look: dict[str, float] | None
    settings: Any = None
    attempts: list[dict[str, object]] = field(default_factory=list)
    closed_form: bool = False
    method: str | None = None
    certified: dict[str, Any] | None = None
    anew: bool = False

    def tell(
        self, ended: str, kept: dict[str, float] | None = None, seen: list[dict[str, float]] | None = None, strength: float = 0.0
    ) -> None:
        """Add an attempt to the story."""
        self.attempts.append({"strength": strength, "ended": ended, "kept": kept, "looks": seen or []})


def looks(watch: Watch) -> list[dict[str, float]]:
    """All looks of a watch, rounded for the report."""
    return [{key: round(value, 4) for key, value in look.items()} for look in watch.seen]


def _procedure(work: Work, settings: LAFSettings, keeper: Keeper) -> LAF:
    """LAF of the work, whose VAEs are fitted once for all attempts; h never sees D_f."""
    vae, sets = replace(settings.vae, fit_h_on="retain"), Sets(work.forget, cast(OwnImages, work.retain))
    laf = LAF(work.network, sets, vae, seed=work.seed, place=keeper.place, flat=FLAT)
    extractor = shared(work.network.extractor)
    forget, retain = (
        FrozenRepresentations(extractor, images, place=keeper.place).prepare() for images in (sets.forget, sets.retain)
    )
    laf.represented = Represented(forget, retain, retain)
    fitted(work.checkpoint, laf, vae, work.forget.device)
    return laf


def _attempt(
    laf: LAF, settings: LAFSettings, watch: Watch, checkpoint: Checkpoint, start: Network | None = None
) -> Network | None:
    """The network at the best look, ``None`` where no look was good enough; ``start`` in place of the original."""
    stage = checkpoint.next_attempt()
    if not restored(checkpoint, stage, watch):
        try:
            kind = cast(type[Adaptation], partial(Carried, checkpoint, stage))
            laf.unlearn(settings.unlearning, start=start, rule=watch, kind=kind)
        except TrainingDiverged:
            watch.ended = "not finite"
        checkpoint.keep(stage, *watch.state())
    if watch.best is None:
        return None
    student = copy.deepcopy(laf.original).requires_grad_(True)
    watch.restore_best(student)
    return student


def _recovery(
    laf: LAF, settings: LAFSettings, state: dict[str, torch.Tensor], watch: Watch, checkpoint: Checkpoint
) -> Network | None:
    """From a point that has forgotten: the retained half of L_RA alone wins utility back, without labels."""
    start = copy.deepcopy(laf.original)
    start.load_state_dict(state)
    own = replace(settings.unlearning, use_ue=False, use_ra="retain", schedule="two_stage", batchnorm="original")
    return _attempt(laf, replace(settings, unlearning=own), watch, checkpoint, start)


def _recovered(
    laf: LAF, work: Work, settings: LAFSettings, watch: Watch, make_watch: Callable[..., Watch], outcome: Outcome
) -> tuple[Network | None, Watch]:
    """A recovery from the best point of an attempt that has forgotten, where it cost more than ``Work.aim`` allows."""
    point = watch.cheapest
    if point is None or point[0] >= work.aim:
        return None, watch
    again = make_watch(1 - GAIN)
    model = _recovery(laf, settings, point[1], again, work.checkpoint)
    kept = again.best[1] if again.best else None
    outcome.tell(f"recovery: {again.ended}", kept, looks(again))
    better = model is not None and again.best is not None and (watch.best is None or again.best[0] < watch.best[0])
    return (model, again) if better else (None, watch)


def run_laf(work: Work, settings: LAFSettings, make_watch: Callable[..., Watch], keeper: Keeper) -> Outcome:
    """LAF at the derived strength, and weaker or stronger where the watch says so; the best point of all attempts.

    ``_next_strength`` says which attempt follows; before it, a recovery where one has forgotten at too high a cost.
    """
    best: tuple[float, ...] | None
    outcome, best, tried = Outcome(None, None, settings), None, [1.0]
    try:
        laf = _procedure(work, settings, keeper)
    except TrainingDiverged as error:
        outcome.tell(str(error))
        return outcome
    for strength in tried:
        watch, own = make_watch(), strengthened(settings, strength)
        model = _attempt(laf, own, watch, work.checkpoint)
        kept = watch.best[1] if watch.best else None
        outcome.tell(watch.ended, kept, looks(watch), strength)
        recovered, watch = _recovered(laf, work, own, watch, make_watch, outcome)
        model, kept = recovered or model, watch.best[1] if watch.best else None
        if model is not None and watch.best is not None and (best is None or watch.best[0] < best):
            best = watch.best[0]
            outcome = replace(outcome, network=model, look=kept, settings=own)
        tried += _next_strength(tried, watch, None if model is None else kept)
    return outcome


def _next_strength(tried: list[float], watch: Watch, kept: dict[str, float] | None) -> list[float]:
    """The strength of the attempt that follows the last of ``tried``, none where it will do.

    Weaker after an attempt that broke the model or left no point above the floor, stronger after one that did not forget. Where
    weaker ones stay above the floor and forget nothing, one strong attempt at last: it may forget below the floor, and its
    recovery win utility back.
    """
    if kept is not None and not (watch.forgotten(kept) > 0 and watch.has_goal):
        return []
    weaker = kept is None or watch.trouble(watch.seen[-1])  # a dip that was won back is no reason for less
    following = tried[-1] * (WEAKER if weaker else STRONGER)
    if following not in tried and len(tried) < ATTEMPTS:
        return [following]
    hopeless = kept is None or watch.ended == "not finite" or STRONGER in tried
    return [] if hopeless else [STRONGER]
