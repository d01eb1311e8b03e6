"""What one measure says of one model, with its interval, its null and its power.

Every measure of the representation comes down to one number per image, whose mean is the measure: whether a probe is right, the
probability of the label, or an image's place among others (the mean of which is the AUC). Three things follow, the same way for
all of them: the difference to the retrained model, image by image; the same difference between two retrained models, which is
what a measure says where nothing is to be found; and the smallest leak that would have been seen, by planting leaks.
"""

from bisect import bisect_left
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import stats

from ..support.seeds import derive

LEVEL, POWER = 0.05, 0.8  # of the two-sided test; of being found
Z = float(stats.norm.ppf(1 - LEVEL / 2))
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)  # of the images, planted
REPEATS = 100  # plantings of each size


@dataclass(frozen=True)
class PerImage:
    """A measure as means over images: in one group, or in two where it compares groups."""

    first: np.ndarray  # float64 [n], of the images in question
    # float64 [m], of those they are compared with; of an AUC, the share of the first that an image lies below
    second: np.ndarray | None = None

    @property
    def value(self) -> float:
        """The measure."""
        return float(self.first.mean())


@dataclass(frozen=True)
class Power:
    """The smallest leak that would have been found with probability 0.8, as a share of the images in question."""

    # share of images that are still as in the original model; ``None``: not even all of them would be seen
    as_original: float | None
    given_away: float | None  # share of images that have the highest value possible; ``None`` likewise


@dataclass(frozen=True)
class Finding:
    """One measure of one model beside the retrained one."""

    value: float  # the measure of both
    retrained: float  # likewise
    excess: float  # value - retrained
    # 95 % interval of the excess. Its variance is that over images plus the square of ``floor``, the one estimate of what
    # training anew does. One pair of trainings bounds that poorly: a claim needs seeds (``verdict_over_seeds``).
    low: float
    high: float  # likewise
    floor: float  # |excess| of a second retrained model
    differs: bool  # the interval excludes zero
    power: Power | None = None  # of the measure, the same for every model of a request


def mean_of(values: torch.Tensor | np.ndarray) -> PerImage:
    """A measure that is a mean over images.

    Raises:
        ValueError: fewer than two images.
    """
    values = _array(values)
    if len(values) < 2:
        raise ValueError(f"a mean with an interval needs two images, got {len(values)}")
    return PerImage(values)


def auc_of(first: torch.Tensor | np.ndarray, second: torch.Tensor | np.ndarray) -> PerImage:
    """AUC (0 to 1) of scores that are meant to be higher in the first group, as places of each image among the other group.

    Raises:
        ValueError: fewer than two images in a group.

    Source: DeLong, DeLong, Clarke-Pearson, Biometrics 1988 (structural components).
    """
    first, second = _array(first), _array(second)
    if min(len(first), len(second)) < 2:
        raise ValueError(f"an AUC with an interval needs two images of each kind, got {len(first)} and {len(second)}")
    return PerImage(_below(first, second), 1 - _below(second, first))


def _array(values: torch.Tensor | np.ndarray) -> np.ndarray:
    return values.detach().double().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values, dtype=np.float64)


def _below(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Share of ``others`` below each score; ties count half."""
    ordered = np.sort(others)
    return (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")) / (2 * len(others))


def _half_width(first: np.ndarray, second: np.ndarray | None, floor: float) -> np.ndarray:
    """Half of the interval of a mean difference, from the differences by image [..., n] of both groups."""
    square = floor**2 + first.var(-1, ddof=1) / first.shape[-1]
    if second is not None:
        square = square + second.var(-1, ddof=1) / second.shape[-1]
    return Z * np.sqrt(square)


def compare(own: PerImage, goal: PerImage, again: PerImage) -> Finding:
    """A model's measure beside that of the retrained model, over the same images in the same order.

    Raises:
        ValueError: numbers of images that differ.
    """
    if not len(own.first) == len(goal.first) == len(again.first):
        raise ValueError(f"measures of {len(own.first)}, {len(goal.first)} and {len(again.first)} images")
    excess, floor = own.value - goal.value, abs(again.value - goal.value)
    half = float(_half_width(own.first - goal.first, None if own.second is None else own.second - goal.second, floor))
    return Finding(own.value, goal.value, excess, excess - half, excess + half, floor, abs(excess) > half)


def power_of(goal: PerImage, again: PerImage, original: PerImage | None = None, *, top: float = 1.0, seed: int) -> Power:
    """The smallest planted leak that ``compare`` finds with probability 0.8.

    The model without a leak is the second retrained one, moved so that its measure is the retrained model's; images are drawn
    anew in every repeat, so that the result holds for other images of the same kind.

    Args:
        original: of the model that is known to leak; without it only leaks of the highest value are planted.
        top: the highest value that an image can have; a leak lies there, and is worth nothing where images lie there anyway.
        seed: draws the plantings.
    """
    draw = np.random.default_rng(derive(seed, "planted"))
    full = PerImage(np.full(len(goal.first), top))
    leaks = {"as_original": original, "given_away": full}
    return Power(**{name: None if leak is None else _smallest(goal, again, leak, draw) for name, leak in leaks.items()})


def _smallest(goal: PerImage, again: PerImage, leak: PerImage, draw: np.random.Generator) -> float | None:
    """The first of ``SHARES`` that is found often enough; a larger leak is found more often, so that halving finds it."""
    place = bisect_left(SHARES, POWER, key=lambda share: _found(goal, again, leak, share, draw))
    return SHARES[place] if place < len(SHARES) else None


def _found(goal: PerImage, again: PerImage, leak: PerImage, share: float, draw: np.random.Generator) -> float:
    """How often a leak in a share of the images is found, over draws of images and of the leaking ones."""
    bias, count = again.value - goal.value, len(goal.first)
    rows = draw.integers(0, count, (REPEATS, count))
    leaking = draw.random((REPEATS, count)) < share
    difference = np.where(leaking, leak.first[rows], again.first[rows] - bias) - goal.first[rows]
    other: np.ndarray
    second = None
    if goal.second is not None:
        assert again.second is not None
        other = again.second if leak.second is None else (1 - share) * again.second + share * leak.second
        second = (other - goal.second)[draw.integers(0, len(goal.second), (REPEATS, len(goal.second)))]
    return float((np.abs(difference.mean(1)) > _half_width(difference, second, abs(bias))).mean())


def findings(measured: dict[str, PerImage], *, seed: int) -> dict[str, Finding]:
    """``compare`` with the measure's power, for every model of a request but the retrained one.

    Args:
        measured: by model; ``retrained`` and ``retrained_again`` among them, and ``original`` where it can be measured.
        seed: as in ``power_of``.
    """
    goal, again = measured["retrained"], measured["retrained_again"]
    power = power_of(goal, again, measured.get("original"), seed=seed)
    return {name: replace(compare(own, goal, again), power=power) for name, own in measured.items() if name != "retrained"}
