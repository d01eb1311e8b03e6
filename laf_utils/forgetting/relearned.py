"""``relearn`` on a request of one's own: from nearer and farther starts, until the watch cannot tell D_f from what it should be.

LAF moves what a network says of D_f, and in a network that has its images by heart every such move is seen: it leaves all of D_f
known, or drives it out. A student that learns D_r anew never sees D_f. How far from the original it must start depends on how
much the original remembers, which no setting knows: so the watch decides.
"""

from dataclasses import replace

from torch import nn

from ..methods.parts import Spent
from ..methods.passes import FROZEN_PASS
from ..methods.relearn import RelearnSettings, Tools, relearned
from ..support.seeds import stream
from ..training import TrainingDiverged
from .reference import fresh
from .sources import OwnImages
from .watch import Watch

RELEARN = "relearn"
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


def students(
    original: nn.Module, forget: OwnImages, retain: OwnImages, settings: RelearnSettings | None, seed: int, watch: Watch
) -> tuple[nn.Module | None, dict[str, float] | None, RelearnSettings, list[dict[str, object]]]:
    """The student at the best look (or ``None``), that look, its settings, and the attempts; the watch has seen them all.

    Args:
        original: frozen, in evaluation mode; it is left as it is.
        retain: all of D_r, as a retrained model would learn it.
        settings: one start; ``None``: ``STARTS``, the nearest first, to the first that has forgotten.
    """
    own = settings or settings_for(len(forget), len(retain))
    ways = [own] if settings else [replace(own, start=start, tail=tail) for start, tail in STARTS]
    best, attempts = (None, None, own), []
    for number, way in enumerate(ways):
        draws = stream(seed, "own", f"relearn {number}")
        tools = Tools(
            lambda draws=draws: fresh(original, draws), lambda name: stream(seed, "own", f"relearn {name}"), Spent(),
            lambda name, value: None,
        )
        try:
            student = relearned(original, forget, retain, way, tools)
        except TrainingDiverged as error:
            attempts.append({"strength": way.start, "ended": str(error), "kept": None, "looks": []})
            continue
        look = {"share": way.start, **watch.measure(student)}
        watch.seen.append(look)
        if watch.consider(student, look):
            best = student, look, way
        ended = watch.trouble(look) or ("forgotten" if watch.forgotten(look) == 0 else "not forgotten")
        shown = {name: round(value, 4) for name, value in look.items()}
        attempts.append({"strength": way.start, "ended": f"relearn: {ended}", "kept": best[1], "looks": [shown]})
        if ended == "forgotten":
            break
    return *best, attempts

