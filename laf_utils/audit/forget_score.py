"""The forget score of the NeurIPS 2023 unlearning competition, by the rules of its published evaluation code.

It is made for hundreds of models of each kind (512 there). With a handful it is far from 1 where there is nothing to find, and
says nothing by itself: read it beside the same score of two groups of retrained models.
"""

import math
from typing import Any, cast

import numpy as np
import torch

from .many_models import two_groups

DELTA = 1e-5
CAP = 50.0  # epsilon of models that a threshold tells apart without an error
STEP = 0.5  # of epsilon, after which the points halve
BUFFER = 2.0  # nats by which the two thresholds may lie beside the narrower group's ends
PEAKED = 0.01  # a group whose range is less than this share of the other's has the largest epsilon at once


def _epsilon(fpr: np.ndarray, fnr: np.ndarray) -> np.ndarray:
    """Epsilon of error rates: the cap where both are 0, none (-inf) where one alone is, which so few models do not show."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.maximum(
            np.nan_to_num(np.log(1 - DELTA - fpr) - np.log(fnr), nan=0.0, posinf=0.0, neginf=0.0),
            np.nan_to_num(np.log(1 - DELTA - fnr) - np.log(fpr), nan=0.0, posinf=0.0, neginf=0.0),
        )
    return np.where((fpr == 0) & (fnr == 0), CAP, np.where((fpr == 0) | (fnr == 0), -np.inf, np.maximum(found, 0.0)))


def _one_threshold(positive: np.ndarray, negative: np.ndarray) -> float:
    """The largest epsilon of "positive from the threshold on", over all thresholds."""
    edges = np.union1d(positive, negative)
    fnr = np.searchsorted(positive, edges) / len(positive)
    fpr = 1 - np.searchsorted(negative, edges) / len(negative)
    return float(_epsilon(fpr, fnr).max())


def _two_thresholds(positive: np.ndarray, negative: np.ndarray) -> float:
    """The largest epsilon of "between two thresholds it is of the narrower group", the thresholds near that group's ends.

    Only between which values a threshold lies matters, so all places between neighbours are tried, where the rule allows them.
    """
    inner, outer = (positive, negative) if np.ptp(positive) < np.ptp(negative) else (negative, positive)
    width, values = np.ptp(inner), np.union1d(positive, negative)
    below, above = np.concatenate([[-np.inf], values]), np.concatenate([values, [np.inf]])
    # The left one lies in (below[i], above[i]] and takes what is not below above[i]; the right one in [below[j], above[j]).
    right_low, right_high = np.maximum(below, inner[-1] - BUFFER), np.minimum(above, inner[-1] + BUFFER)
    far = right_high[None] - below[:, None] >= width - BUFFER
    allowed = far & (right_low[None] - above[:, None] <= width + BUFFER) & (right_low <= right_high)[None]
    inside = []
    for group in (inner, outer):
        first, last = np.searchsorted(group, above), np.searchsorted(group, below, side="right")
        inside.append(np.maximum(last[None] - first[:, None], 0) / len(group))
    return float(np.where(allowed, _epsilon(inside[1], 1 - inside[0]), -np.inf).max())


def example_epsilon(unlearned: torch.Tensor, retrained: torch.Tensor) -> torch.Tensor:
    """How well thresholds on phi tell unlearned from retrained models: epsilon [n] of differential privacy, by image.

    The largest of log((1 - delta - FPR) / FNR) and log((1 - delta - FNR) / FPR), delta = 1e-5, over one threshold (positive: the
    kind with the larger median) and over two thresholds (positive: the kind with the narrower range). Thresholds at which FPR
    or FNR is 0 are left out; where both are, and where one range is below 1 % of the other, epsilon is 50. The published code
    tries 100 thresholds per nat, here every place between two models is tried. It fails where no threshold is left; here epsilon
    is 0 then.

    Args:
        unlearned, retrained: phi [K, n] of K models each over the same n images.

    Raises:
        ValueError: fewer than two models of a kind, other numbers of them, or matrices of different images.

    Source: Triantafillou et al., "Are we making progress in unlearning? Findings from the first NeurIPS unlearning
    competition", 2024; rules as in google-deepmind/unlearning_evaluation, ``metric.py``.
    """
    unlearned, retrained = (cast(Any, group.numpy()) for group in two_groups(unlearned, retrained, 2))
    if len(unlearned) != len(retrained):
        raise ValueError(f"as many unlearned as retrained models, got {len(unlearned)} and {len(retrained)}")
    larger = np.median(retrained, 0) > np.median(unlearned, 0)
    positive = np.sort(np.where(larger, retrained, unlearned), 0)
    negative = np.sort(np.where(larger, unlearned, retrained), 0)
    return torch.tensor([
        _of_image(positive[:, image], negative[:, image]) for image in range(positive.shape[1])
    ], dtype=torch.float64)


def _of_image(positive: np.ndarray, negative: np.ndarray) -> float:
    ranges = sorted([np.ptp(positive), np.ptp(negative)])
    if ranges[1] == 0:
        return CAP if positive[0] != negative[0] else 0.0
    if ranges[0] / ranges[1] < PEAKED:
        return CAP
    return min(max(_one_threshold(positive, negative), _two_thresholds(positive, negative), 0.0), CAP)


def points(epsilon: torch.Tensor, models: int) -> torch.Tensor:
    """Points [n]: 1 below 0.5, halved with every further half, none from ceil(log(models - 1)) on."""
    last = math.ceil(math.log(models - 1)) if models > 1 else 0
    steps = (epsilon / STEP).floor()
    return torch.where(steps < round(last / STEP), 2.0**-steps, 0.0)


def forget_score(
    unlearned: torch.Tensor, retrained: torch.Tensor, *, utility_ratios: tuple[float, ...] = ()
) -> float:
    """The competition's score: mean points of the images, times the utility ratios, 0 to 1 (here at most 1 each).

    Args:
        unlearned, retrained: phi [K, n], as many of each kind.
        utility_ratios: accuracy of the unlearned over that of the retrained models, on retained and on test images.

    Raises:
        ValueError: as ``example_epsilon``.
    """
    found = points(example_epsilon(unlearned, retrained), len(unlearned))
    return float(found.mean()) * math.prod(min(ratio, 1.0) for ratio in utility_ratios)
