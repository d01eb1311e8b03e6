"""``relearn`` on a request of one's own: from nearer and farther starts, until the watch cannot tell D_f from what it should be.

LAF moves what a network says of D_f, and in a network that has its images by heart every such move is seen: it leaves all of D_f
known, or drives it out. A student that learns D_r anew never sees D_f. How far from the original it must start depends on how
much the original remembers, which no setting knows: so the watch decides, by the audit's own rule where there are unseen images.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import torch
from torch import nn

from ..methods.parts import Spent
from ..methods.passes import FROZEN_PASS
from ..methods.relearn import RelearnSettings, Tools, relearned
from ..models import Network
from ..representations import apply_frozen
from ..support.seeds import stream
from ..training import TrainingDiverged
from .evidence import CRITICAL, LEAST_COMPARED, Evidence, weigh
from .reference import fresh, taught
from .sources import OwnImages
from .watch import Watch

RELEARN, FORGOTTEN = "relearn", "forgotten"
STARTS = ((0.2, 0.2), (0.7, 1.0), (1.0, 1.0))  # shares of a fresh network below and in the linear layers at the end
LEAST_STEPS = 800  # of a student: a tenth of retraining's passes over a few hundred images would teach nothing


def settings_for(forget: int, retain: int) -> RelearnSettings:
    """The published share of retraining's passes, and what ``LEAST_STEPS`` take at least.

    Args:
        forget, retain: images of D_f and of D_r.
    """
    own = RelearnSettings()
    least = LEAST_STEPS * own.batch_size + FROZEN_PASS * (forget + retain)
    return replace(own, share=max(own.share, least / (own.training.epochs * retain)))


def _tools(original: nn.Module, seed: int, number: int) -> Tools:
    draws = stream(seed, "own", f"relearn {number}")
    return Tools(
        lambda: fresh(original, draws), lambda name: stream(seed, "own", f"relearn {name}"), Spent(), lambda name, value: None
    )


def _evidence(original: Network, retain: OwnImages, watch: Watch, seed: int) -> Callable[[nn.Module], Evidence | None]:
    """What the audit says of a student on the watched images; of too few unseen ones, nothing.

    Shares of kept answers mislead here: of images that it has by heart the original is right, of unseen ones it is as often
    wrong as any, so that a retrained model keeps fewer of the first. The audit's reference knows what may be expected.
    """
    forget, unseen = watch.sets["forget"], watch.sets.get("unseen")
    if unseen is None or len(unseen) < LEAST_COMPARED:
        return lambda student: None
    reference = taught(original, retain, seed=seed)
    said = reference.logits(forget), reference.logits(unseen)

    def answers(model: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
        return apply_frozen(model, forget, "audit").cpu(), apply_frozen(model, unseen, "audit").cpu()

    before = answers(original)
    return lambda student: weigh(before, answers(student), said)


def _missing(watch: Watch, look: dict[str, float], found: Evidence | None) -> float:
    """How far a student is from having forgotten, 0 where it has."""
    if found is None:
        return watch.forgotten(look)
    if found.finding in ("none", "unclear"):
        return 0.0
    agreement, expected, error = (cast(float, value) for value in (found.agreement, found.expected, found.error))
    return max(abs(agreement - expected) / max(error, 1e-6), abs(found.sureness), CRITICAL)


def students(
    original: Network, forget: OwnImages, retain: OwnImages, settings: RelearnSettings | None, seed: int, watch: Watch
) -> tuple[Network | None, dict[str, float] | None, RelearnSettings, list[dict[str, object]]]:
    """The student nearest to having forgotten (or ``None``), its look, its settings, and the attempts.

    Args:
        original: frozen, in evaluation mode; it is left as it is.
        retain: all of D_r, as a retrained model would learn it.
        settings: one start; ``None``: ``STARTS``, the nearest first, to the first that has forgotten.
    """
    own = settings or settings_for(len(forget), len(retain))
    ways = [own] if settings else [replace(own, start=start, tail=tail) for start, tail in STARTS]
    audited = _evidence(original, retain, watch, seed)
    network: Network | None = None
    kept: dict[str, float] | None = None
    attempts: list[dict[str, object]] = []
    best = math.inf
    for number, way in enumerate(ways):
        try:
            student = cast(Network, relearned(original, forget, retain, way, _tools(original, seed, number)))
        except TrainingDiverged as error:
            attempts.append({"strength": way.start, "ended": str(error), "kept": None, "looks": []})
            continue
        look = {"share": way.start, **watch.measure(student)}
        watch.seen.append(look)
        trouble, missing = watch.trouble(look), math.inf
        if trouble is None:
            missing = _missing(watch, look, audited(student))
        if missing < best:
            network, kept, own, best = student, look, way, missing
        ended = trouble or (FORGOTTEN if missing == 0 else "not forgotten")
        shown = {name: round(value, 4) for name, value in look.items()}
        attempts.append({"strength": way.start, "ended": f"relearn: {ended}", "kept": kept, "looks": [shown]})
        if missing == 0:
            break
    return network, kept, own, attempts
