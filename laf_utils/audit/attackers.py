"""The attacker that the attacks on probabilities share: logistic regression, every image scored by a fit without it."""

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..support.seeds import derive

FOLDS = 2  # half of the images of each kind teach the attacker, the other half are attacked, and the other way round
LEAST_P = 1e-8  # probabilities below it count as it


def log_probabilities(probabilities: torch.Tensor) -> torch.Tensor:
    """Natural logarithm [n, classes] in float64, floored."""
    return probabilities.double().clamp(min=LEAST_P).log()


def cross_fitted(groups: Sequence[torch.Tensor], *, seed: int) -> list[np.ndarray]:
    """For each group of images the log-probability [n, groups] of belonging to each group, by an attacker who knows the others.

    Every group weighs the same. This attacker knows of half the images where they belong, which no outsider does: what it
    cannot find, an outsider with the same features cannot either.

    Args:
        groups: features [n, width] of each kind of image.
        seed: draws the halves.

    Raises:
        ValueError: fewer than two groups, or than four images in one.
    """
    sizes = [len(group) for group in groups]
    if len(groups) < 2 or min(sizes) < 2 * FOLDS:
        raise ValueError(f"an attacker needs two groups of at least {2 * FOLDS} images, got groups of {sizes}")
    x, y = torch.cat(list(groups)).double().cpu().numpy(), np.repeat(np.arange(len(sizes)), sizes)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=derive(seed, "attacker") % 2**32)
    attacker = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=300))
    scores = cross_val_predict(attacker, x, y, cv=folds, method="predict_log_proba")
    return np.split(scores, np.cumsum(sizes)[:-1])
