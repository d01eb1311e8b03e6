"""What several training seeds say together."""

import math
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
    def half_width(self) -> float:
        return (self.high - self.low) / 2


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
