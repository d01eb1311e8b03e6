"""Two-sided: forgotten too little, too much, or as by retraining, and how small a difference could have been seen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats

from .statistics import interval

VERDICTS = ("under-forgotten", "indistinguishable from retrained", "over-forgotten")
LEVEL = 0.05  # of the two-sided test
POWER = 0.8


@dataclass(frozen=True)
class Verdict:
    """What phi on D_f says about an unlearned against a retrained model.

    Args:
        verdict: one of ``VERDICTS``.
        shift: mean of phi(unlearned) - phi(retrained) over D_f, in nats. Positive: still more confident of the label.
        low, high: its 95 % interval.
        floor: shift between two retrained models, in nats; ``None`` where only one was trained.
        detectable: smallest shift that the test would have found with probability 0.8, in nats.
    """

    verdict: str
    shift: float
    low: float
    high: float
    floor: float | None
    detectable: float


def verdict(unlearned: torch.Tensor, retrained: torch.Tensor, again: torch.Tensor | None = None) -> Verdict:
    """Compare phi [n] on D_f of an unlearned and a retrained model, image by image.

    A difference counts where the interval of the mean shift excludes zero and, with a second retrained model, where the shift is
    larger than that between the two retrained ones: two trainings differ too.

    Args:
        unlearned, retrained: phi [n] on the same images.
        again: phi [n] of a model retrained with another seed.

    Raises:
        ValueError: fewer than three images, or numbers that differ.
    """
    if len(unlearned) != len(retrained) or len(unlearned) < 3:
        raise ValueError(f"phi of the same three images or more, got {len(unlearned)} and {len(retrained)}")
    difference = (unlearned.double() - retrained.double()).cpu().numpy()
    count, shift = len(difference), float(difference.mean())
    error = float(difference.std(ddof=1)) / math.sqrt(count)
    half = float(stats.t.ppf(1 - LEVEL / 2, count - 1)) * error
    floor = None if again is None else abs(float(np.mean((again.double() - retrained.double()).cpu().numpy())))
    detectable = max(half + float(stats.norm.ppf(POWER)) * error, floor or 0.0)
    differs = abs(shift) > half and abs(shift) > (floor or 0.0)
    index = (2 if shift < 0 else 0) if differs else 1
    return Verdict(VERDICTS[index], shift, shift - half, shift + half, floor, detectable)


def verdict_over_seeds(shifts: Sequence[float], null: Sequence[float]) -> Verdict:
    """The verdict over training seeds, which are the unit of the test: images of one model share its training.

    A difference counts where Student's 95 % interval of the mean shift excludes zero and the mean lies outside that of the shifts
    between two retrained models.

    Args:
        shifts: mean of phi(unlearned) - phi(retrained) over D_f, in nats, one per seed.
        null: the same of a second retrained model in the place of the unlearned one.

    Raises:
        ValueError: fewer than two seeds of either.
    """
    if min(len(shifts), len(null)) < 2:
        raise ValueError(f"at least two seeds, got {len(shifts)} and {len(null)}")
    found, noise = interval(list(shifts)), interval(list(null))
    free = found.count - 1
    detectable = float(stats.t.ppf(1 - LEVEL / 2, free) + stats.t.ppf(POWER, free)) * found.std / math.sqrt(found.count)
    differs = not found.low <= 0 <= found.high and not noise.low <= found.mean <= noise.high
    index = (2 if found.mean < 0 else 0) if differs else 1
    floor = max(abs(noise.low), abs(noise.high))
    return Verdict(VERDICTS[index], found.mean, found.low, found.high, floor, max(detectable, floor))
