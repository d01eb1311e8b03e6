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
from ..methods.relearn import SEEN, RelearnSettings, Tools, relearned
from ..models import Network
from ..representations import apply_frozen
from ..support.seeds import stream
from ..training import TrainingDiverged
from .evidence import CRITICAL, LEAST_COMPARED, Evidence, weigh
from .reference import Reference, fresh
from .sources import OwnImages
from .watch import Watch

RELEARN = "relearn"
STARTS = ((0.2, 0.2), (0.7, 1.0), (1.0, 1.0))  # shares of a fresh network below and in the linear layers at the end
LEAST_STEPS = 800  # of a student: a tenth of retraining's passes over a few hundred images would teach nothing


def settings_for(forget: int, retain: int) -> RelearnSettings:
    """The published share of retraining's passes, and what ``LEAST_STEPS`` take at least.

    The student ends as sure of D_r as the original was: whoever reads its probabilities finds them as they were used to.
    """
    own = RelearnSettings(as_sure=True)
    least = LEAST_STEPS * own.batch_size + FROZEN_PASS * (forget + retain + min(SEEN, retain))
    return replace(own, share=max(own.share, least / (own.training.epochs * retain)))


def _tools(original: nn.Module, seed: int, number: int) -> Tools:
    draws = stream(seed, "own", f"relearn {number}")
    return Tools(
        lambda: fresh(original, draws), lambda name: stream(seed, "own", f"relearn {name}"), Spent(), lambda name, value: None
    )


class Left:
    """How far a network is from having forgotten single images: by the audit's own rule, where there are unseen images enough.

    Shares of kept answers mislead here: of images that it has by heart the original is right, of unseen ones it is as often
    wrong as any, so that a retrained model keeps fewer of the first. The audit's reference knows what may be expected.

    Args:
        reference: gives models that never saw D_f; asked for once, where it is needed.
    """

    def __init__(self, original: Network, watch: Watch, reference: Callable[[], Reference]) -> None:
        self.watch, self._forget, self._unseen = watch, watch.sets["forget"], watch.sets.get("unseen")
        if self._unseen is not None and len(self._unseen) >= LEAST_COMPARED:
            self._students = [reference().logits(images) for images in (self._forget, self._unseen)]
            self._before = self._answers(original)
        else:
            self._unseen = None

    def _answers(self, model: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
        forget, unseen = (apply_frozen(model, images, "audit").cpu() for images in (self._forget, cast(OwnImages, self._unseen)))
        return forget, unseen

    def of(self, model: nn.Module, look: dict[str, float]) -> float:
        """0 where it has forgotten."""
        if self._unseen is None:
            return self.watch.forgotten(look)
        found = cast(Evidence, weigh(self._before, self._answers(model), (self._students[0], self._students[1])))
        if found.finding in ("none", "unclear"):
            return 0.0
        agreement, expected, error = (cast(float, value) for value in (found.agreement, found.expected, found.error))
        return max(abs(agreement - expected) / max(error, 1e-6), abs(found.sureness), CRITICAL)


def students(
    original: Network, forget: OwnImages, retain: OwnImages, settings: RelearnSettings | None, seed: int, left: Left,
    best: float = math.inf,
) -> tuple[Network | None, dict[str, float] | None, RelearnSettings, list[dict[str, object]]]:
    """The student nearest to having forgotten (or ``None``), its look, its settings, and the attempts.

    Args:
        original: frozen, in evaluation mode; it is left as it is.
        retain: all of D_r, as a retrained model would learn it.
        settings: one start; ``None``: ``STARTS``, the nearest first, to the first that has forgotten.
        left: with the watch that decides.
        best: what is left in the network that there is without them.
    """
    watch = left.watch
    own = settings or settings_for(len(forget), len(retain))
    ways = [own] if settings else [replace(own, start=start, tail=tail) for start, tail in STARTS]
    network: Network | None = None
    kept: dict[str, float] | None = None
    attempts: list[dict[str, object]] = []
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
            missing = left.of(student, look)
        if missing < best:
            network, kept, own, best = student, look, way, missing
        ended = trouble or ("forgotten" if missing == 0 else "not forgotten")
        shown = {name: round(value, 4) for name, value in look.items()}
        attempts.append({"strength": way.start, "ended": f"relearn: {ended}", "kept": kept, "looks": [shown]})
        if missing == 0:
            break
    return network, kept, own, attempts
