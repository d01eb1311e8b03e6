"""Forgotten too little, too much, as by retraining, or not to be told: each with the level and the power that it has.

One unlearned model can be shown to differ from retrained ones, never to equal them: images of one model share its training, so
they are one observation. Equivalence is a statement about a method and takes several training seeds and a margin.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from scipy import stats

from .power import detectable, exact_passes, factor, margin_of
from .statistics import holm, interval, p_of_excess

LEVEL = 0.05  # of every test; where several are asked the question, of all of them together
UNDER, OVER, CANNOT = "under-forgotten", "over-forgotten", "cannot tell"
DIFFERENT, EQUIVALENT, NO_POWER = "different", "equivalent", "no power"
VERDICTS = (UNDER, CANNOT, OVER)  # of a single model
SHIFT, BY_IMAGE = "mean of φ", "φ image by image"
LEAST = 3  # seeds, of a method and of the null, before equivalence can be said


@dataclass(frozen=True)
class Verdict:
    """What the mean of phi on D_f says about one unlearned model beside retrained ones."""

    verdict: str  # one of ``VERDICTS``
    shift: float  # mean of phi(unlearned) - phi(retrained) over D_f, in nats. Positive: still more confident of the label.
    low: float | None  # between which the shift of one more retrained model lies with 95 %; ``None`` where only one was trained
    high: float | None  # likewise
    retrained: int  # number of retrained models
    detectable: float | None  # shift that such a test finds four times in five, in nats; ``None`` where only one was trained


def verdict(unlearned: torch.Tensor, retrained: torch.Tensor, again: torch.Tensor | None = None) -> Verdict:
    """Compare phi on D_f of one unlearned model with retrained ones: could it have been one more of them?

    It differs where its mean lies outside Student's 95 % prediction interval for one more retrained model. The spread is that
    between trainings; with one retrained model there is none, and nothing can be told. The test has its level of 5 % for means
    that are normal over trainings, up to 9 % for strongly skewed ones (``study`` has them); with two retrained models it sees
    gross differences only, as ``detectable`` says.

    Args:
        unlearned, retrained: phi [n] on the same images.
        again: phi [n] or [K, n] of models retrained with other seeds.

    Raises:
        ValueError: fewer than three images, or numbers that differ.
    """
    others = [] if again is None else list(again[None] if again.ndim == 1 else again)
    if len(unlearned) < 3 or any(len(other) != len(unlearned) for other in (retrained, *others)):
        raise ValueError(f"phi of the same three images or more, got {[len(each) for each in (unlearned, retrained, *others)]}")
    goal = float(retrained.double().mean())
    shift = float(unlearned.double().mean()) - goal
    if not others:
        return Verdict(CANNOT, shift, None, None, 1, None)
    over = interval([0.0, *(float(other.double().mean()) - goal for other in others)])
    scale = over.std * math.sqrt(1 + 1 / over.count)
    half = float(stats.t.ppf(1 - LEVEL / 2, over.count - 1)) * scale
    low, high = over.mean - half, over.mean + half
    found = OVER if shift < low else UNDER if shift > high else CANNOT
    return Verdict(found, shift, low, high, over.count, factor(over.count - 1) * scale)


@dataclass(frozen=True)
class SeedVerdict:
    """What several training seeds say about a method beside retraining."""

    outcome: str  # ``EQUIVALENT``, ``DIFFERENT``, ``CANNOT`` or ``NO_POWER``
    side: str  # ``under-forgotten`` or ``over-forgotten`` where the mean of phi differs, else empty
    shift: float  # mean over seeds of the mean of phi(unlearned) - phi(retrained) over D_f, in nats
    low: float  # its 95 % interval
    high: float  # likewise
    seeds: int  # how many trainings the method has
    margin: float  # within which the mean has to lie to be equivalent, in nats
    null: float  # root mean square of the same shift between two retrained models, in nats
    found_by: tuple[str, ...]  # the measures that tell the method from retraining, all of them together at a level of 5 %
    detectable: float  # shift of the mean that this many seeds find four times in five, in nats
    exact_passes: float  # percent of exact methods whose mean shift so many seeds would find equivalent
    missing: str = ""  # of what equivalence needs, what there is not

    @property
    def words(self) -> str:
        """``different (under-forgotten)``, ``cannot tell``."""
        return f"{self.outcome} ({self.side})" if self.side else self.outcome


Pairs = Sequence[tuple[float, float]]


def verdict_over_seeds(
    shifts: Sequence[float], null: Sequence[float], distances: Mapping[str, Pairs] | None = None, *,
    original_differs: bool | None = None,
) -> SeedVerdict:
    """The verdict over training seeds, which are the unit of every test here.

    *Different*: the mean shift is not zero (two-sided t test), or a distance to the retrained model is larger than that of a
    second retrained one of the same seed (one-sided), corrected for their number (Holm). *Equivalent*: the 90 % interval of the
    mean shift lies within the margin (two one-sided tests), and every distance is less than twice that between two retrained
    models (one-sided); all of them at 5 %, so that a method at a margin passes in 5 % at most. Both may be true of a
    difference that is real and small: it is then equivalent, and ``found_by`` names it. Else: *cannot tell*. *No
    power* instead of equivalent or cannot tell where the untouched original is not found different either: what it passes as
    well shows nothing.

    Args:
        shifts: mean of phi(unlearned) - phi(retrained) over D_f, in nats, one per seed.
        null: the same of a second retrained model in the place of the unlearned one.
        distances: by name, per seed the distance to the retrained model and that of a second retrained model to it. Equivalence
            needs ``BY_IMAGE`` among them: a mean of zero may hide images that moved both ways.
        original_differs: whether the untouched original is found different here; ``None`` of the original itself.

    Raises:
        ValueError: fewer than two seeds of either.

    Source: Schuirmann, "A comparison of the two one-sided tests procedure", 1987, for the test of equivalence.
    """
    if min(len(shifts), len(null)) < 2:
        raise ValueError(f"at least two seeds, got {len(shifts)} and {len(null)}")
    distances = {name: list(pairs) for name, pairs in (distances or {}).items() if len(pairs) > 1}
    found, margin = interval(list(shifts)), margin_of(list(null))
    ps = [found.p, *(p_of_excess([own - other for own, other in pairs]) for pairs in distances.values())]
    names = [SHIFT, *distances]
    found_by = tuple(name for name, p in zip(names, holm(ps), strict=True) if p < LEVEL)
    missing = _missing(len(shifts), len(null), distances)
    ninety = interval(list(shifts), 1 - 2 * LEVEL)
    near = -margin < ninety.low and ninety.high < margin and all(map(_at_most_twice, distances.values()))
    outcome = EQUIVALENT if near and not missing else DIFFERENT if found_by else CANNOT
    if outcome != DIFFERENT and original_differs is False:
        outcome = NO_POWER
    side = (OVER if found.mean < 0 else UNDER) if outcome == DIFFERENT and SHIFT in found_by else ""
    rms = math.sqrt(sum(value**2 for value in null) / len(null))
    seen = detectable(list(shifts), len(names))
    return SeedVerdict(
        outcome, side, found.mean, found.low, found.high, found.count, margin, rms, found_by, seen,
        100 * exact_passes(found.count), missing,
    )


def _missing(seeds: int, null: int, distances: Mapping[str, Pairs]) -> str:
    if BY_IMAGE not in distances:
        return f"the records hold no distance of {BY_IMAGE}"
    return f"equivalence needs {LEAST} seeds" if min(seeds, null) < LEAST else ""


def _at_most_twice(pairs: Pairs) -> bool:
    """Whether a distance is shown to be less than twice that between two retrained models, at 5 %."""
    return p_of_excess([2 * null - own for own, null in pairs]) < LEVEL
