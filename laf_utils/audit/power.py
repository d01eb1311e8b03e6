"""What the verdicts could have seen. Every number is of a simulation, which stands here with its seed; ``study`` checks it.

Models are drawn as trainings are: the mean of phi over D_f varies from model to model, and its spread is estimated from the same
few models that are judged. A power that takes the estimate for the truth promises too much (75 % where it says 80).
"""

import math
from functools import lru_cache

import numpy as np
from scipy import stats

from .statistics import interval

POWER = 0.8
DRAWS, SEED = 200_000, 0
# By number of tests that share a two-sided level of 5 %, then by degrees of freedom: what ``simulated_factor`` gives with
# the draws and the seed above.
FACTORS: dict[int, dict[int, float]] = {
    1: {1: 39.2, 2: 8.78, 3: 5.7, 4: 4.67, 5: 4.17, 6: 3.88, 7: 3.7, 8: 3.57, 9: 3.47, 10: 3.39, 11: 3.33, 15: 3.18},
    2: {1: 78.52, 2: 12.54, 3: 7.35, 4: 5.76, 5: 5.01, 6: 4.59, 7: 4.32, 8: 4.12, 9: 3.99, 10: 3.88, 11: 3.8, 15: 3.58},
    3: {1: 117.7, 2: 15.4, 3: 8.49, 4: 6.46, 5: 5.54, 6: 5.02, 7: 4.69, 8: 4.46, 9: 4.3, 10: 4.17, 11: 4.07, 15: 3.82},
}


def simulated_factor(free: int, tests: int = 1, draws: int = DRAWS, seed: int = SEED) -> float:
    """The shift that a t test finds with probability 0.8, in estimated standard errors of what is tested.

    The estimate that the shift is printed in and the one that the test uses are independent: the power is that of a next audit
    of this size, averaged over what this one might have printed.

    Args:
        free: degrees of freedom of the estimated spread.
        tests: that share a two-sided level of 5 %, each of which is asked at its part of it.
    """
    draw = np.random.default_rng(seed)
    printed, used = np.sqrt(draw.chisquare(free, (2, draws)) / free)
    noise, edge = draw.standard_normal(draws), float(stats.t.ppf(1 - 0.05 / tests / 2, free)) * used
    low, high = 0.0, 1_000.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (low, middle) if np.mean(np.abs(middle * printed + noise) > edge) >= POWER else (middle, high)
    return round(high, 2)


@lru_cache
def factor(free: int, tests: int = 1) -> float:
    """``simulated_factor``, from the table where it has it."""
    return FACTORS.get(tests, {}).get(free) or simulated_factor(free, tests)


def margin_of(null: list[float], deviations: float = 2.0, level: float = 0.05) -> float:
    """The margin of equivalence in nats: two standard deviations of the shift between two retrained models.

    Within two deviations lie 95 of 100 second retrained models, which a user who retrains could have had as well. The deviation
    is taken at the lower end of its one-sided 95 % interval, since few seeds estimate it: a spread that chance made too large
    would make the margin too wide, and equivalence too cheap.

    Args:
        null: shifts between two retrained models, one per seed, whose true mean is zero.
    """
    total = sum(value**2 for value in null)
    return deviations * math.sqrt(total / float(stats.chi2.ppf(1 - level, len(null))))


def exact_passes(seeds: int, draws: int = 20_000, seed: int = SEED) -> float:
    """Share of exact methods, that is of further retrained models, whose mean shift would be found equivalent."""
    return _passes(seeds, shift=0.0, spread=1.0, draws=draws, seed=seed)


@lru_cache
def _passes(seeds: int, *, shift: float, spread: float, draws: int, seed: int) -> float:
    draw = np.random.default_rng(seed)
    own = shift + spread * draw.standard_normal((draws, seeds))
    edge = 2.0 * np.sqrt((draw.standard_normal((draws, seeds)) ** 2).sum(1) / stats.chi2.ppf(0.95, seeds))
    half = stats.t.ppf(0.95, seeds - 1) * own.std(1, ddof=1) / math.sqrt(seeds)
    return float(np.mean(np.abs(own.mean(1)) + half < edge))


def detectable(shifts: list[float], tests: int = 1) -> float:
    """Shift of the mean, in nats, that so many seeds that scatter like these find four times in five, as one of some tests."""
    found = interval(shifts)
    return factor(found.count - 1, tests) * found.std / math.sqrt(found.count)
