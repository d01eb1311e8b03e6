"""How far a model is from the retrained one: in its confidence, in its representations, in what it needs to relearn."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import torch
from scipy.stats import ks_2samp
from torch import nn

from ..images import Images
from ..settings.config import TrainingConfig
from ..training import train

RELEARN_EPOCHS = 10  # epochs tried
RELEARN_WITHIN = 5.0  # points below the accuracy before forgetting


def ks_log10_p(unlearned: torch.Tensor, retrained: torch.Tensor) -> float:
    """log10 of the p value of the two-sample Kolmogorov-Smirnov test of phi on D_f; 0 for equal samples, at least -300."""
    p = float(ks_2samp(unlearned.double().cpu().numpy(), retrained.double().cpu().numpy()).pvalue)
    return max(math.log10(p), -300.0) if p > 0 else -300.0


def jensen_shannon(a: torch.Tensor, b: torch.Tensor) -> float:
    """Mean Jensen-Shannon divergence of two models' probabilities [n, classes] of the same images, in nats.

    0 if equal, ln 2 where they share no class.

    Source: Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Transactions on Information Theory 1991, section IV.
    """
    a, b = a.double(), b.double()
    mixed = (a + b) / 2
    parts = [torch.special.xlogy(p, p / mixed.where(mixed > 0, 1.0)).sum(1) for p in (a, b)]
    return (sum(parts) / 2).mean().item()


def linear_cka(a: torch.Tensor, b: torch.Tensor) -> float:
    """Linear CKA of two representations [n, d_a], [n, d_b] of the same images: 1 up to rotation and scale, 0 if unrelated.

    ``nan`` where one of them does not vary at all.

    Source: Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019, equation 3.
    """
    a, b = (x.double() - x.double().mean(0) for x in (a, b))
    norm = (a.T @ a).norm() * (b.T @ b).norm()
    return ((b.T @ a).square().sum() / norm).item() if norm > 0 else math.nan


def mean_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Mean Euclidean distance of two representations [n, d] of the same images, over the mean length of ``b``'s.

    Networks that started from different weights differ here even where they know the same: read it beside the distance between
    two retrained models, or take CKA, which a rotation leaves alone.
    """
    return ((a - b).norm(dim=1).mean() / b.norm(dim=1).mean()).item()


def relearn_time(
    model: nn.Module, forget: Images, labels: torch.Tensor, accuracy: Callable[[nn.Module], float], before: float,
    config: TrainingConfig, *, seed: int, epochs: int = RELEARN_EPOCHS,
) -> int | None:
    """Epochs of ordinary training on D_f until its accuracy is within five points of ``before``; ``None`` if never.

    The same number for an unlearned and for a retrained model says that nothing was left to remember.

    Args:
        model: left untouched.
        forget: images of D_f.
        labels: int64 [n_f].
        accuracy: gives a model's accuracy on D_f in percent.
        before: the original's accuracy on D_f in percent.
        config: of one epoch; its number of epochs is not read.
    """
    student, one = copy.deepcopy(model), replace(config, epochs=1)
    if accuracy(student) >= before - RELEARN_WITHIN:
        return 0
    for epoch in range(1, epochs + 1):
        train(student, forget, labels, one, seed=seed, stage=f"relearn {epoch}")
        if accuracy(student) >= before - RELEARN_WITHIN:
            return epoch
    return None
