"""What several training seeds say together: intervals, the p of a mean, and the correction for several comparisons."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """Mean, standard deviation and Student's 95 % interval of a mean over ``count`` seeds.

    With one seed ``std``, ``low`` and ``high`` are ``nan``: one run has no interval.
    """

    mean: float
    std: float
    low: float
    high: float
    count: int

    @property
    def p(self) -> float:
        """Two-sided p of a mean of zero, Student's test; 1 of one value, which tests nothing."""
        if self.count == 1:
            return 1.0
        if self.std == 0:
            return float(self.mean == 0)
        return 2 * float(stats.t.sf(abs(self.mean) * math.sqrt(self.count) / self.std, self.count - 1))


def interval(values: list[float], level: float = 0.95) -> Interval:
    """Of independent values, one per training seed.

    Raises:
        ValueError: no value.
    """
    if not values:
        raise ValueError("an interval of no value")
    mean, count = float(np.mean(values)), len(values)
    if count == 1:
        return Interval(mean, math.nan, math.nan, math.nan, 1)
    std = float(np.std(values, ddof=1))
    half = float(stats.t.ppf((1 + level) / 2, count - 1)) * std / math.sqrt(count)
    return Interval(mean, std, mean - half, mean + half, count)


def paired(first: dict[int, float], second: dict[int, float], level: float = 0.95) -> Interval:
    """Interval of first - second over the seeds that both have: what the seed does to both cancels.

    Raises:
        ValueError: no seed in common.
    """
    common = sorted(first.keys() & second.keys())
    if not common:
        raise ValueError("a paired comparison needs seeds in common")
    return interval([first[seed] - second[seed] for seed in common], level)


def p_of_excess(values: Sequence[float]) -> float:
    """One-sided p of a mean that is zero or below, Student's test over seeds; 1 of fewer than two values."""
    found = interval(list(values)) if len(values) > 1 else None
    if found is None:
        return 1.0
    if found.std == 0:
        return float(found.mean <= 0)
    return float(stats.t.sf(found.mean * math.sqrt(found.count) / found.std, found.count - 1))


def holm(ps: Sequence[float]) -> list[float]:
    """p values corrected for being several, in their order: below 0.05 the chance that any is so by accident is 5 % at most.

    Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 1979.
    """
    result, least = [1.0] * len(ps), 0.0
    for place, number in enumerate(sorted(range(len(ps)), key=lambda each: ps[each])):
        least = max(least, min(1.0, (len(ps) - place) * ps[number]))
        result[number] = least
    return result
