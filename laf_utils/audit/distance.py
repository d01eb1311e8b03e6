"""How far a model is from the retrained one: in its confidence, in its representations, in what it needs to relearn."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import torch
from scipy.stats import ks_2samp, mannwhitneyu
from torch import nn

from ..images import Images
from ..settings.config import TrainingConfig
from ..training import train

RELEARN_EPOCHS = 10  # epochs tried
RELEARN_WITHIN = 5.0  # points below the accuracy before forgetting


def ks_distance(unlearned: torch.Tensor, retrained: torch.Tensor) -> float:
    """Largest distance D of the cumulative distributions of phi on D_f, 0 to 1: 0 for equal samples, 1 for disjoint ones.

    It has no p value here: the images of one model share its training, so that two retrained models give p values down to
    1e-90. Read D beside the D of two retrained models.
    """
    return float(ks_2samp(unlearned.double().cpu().numpy(), retrained.double().cpu().numpy()).statistic)


def log_odds_auc(unlearned: torch.Tensor, retrained: torch.Tensor) -> float:
    """How often phi of an unlearned model is above phi of the retrained one, over all pairs of images of D_f, in percent.

    50 where the two distributions lie on the same level, 100 where every forgotten image is surer than any of the retrained
    model's, 0 the other way round; equal values count half. Read it beside that of a second retrained model.
    """
    first, second = (phi.double().cpu().numpy() for phi in (unlearned, retrained))
    return 100 * float(mannwhitneyu(first, second).statistic) / (len(first) * len(second))


def distance_by_image(unlearned: torch.Tensor, retrained: torch.Tensor) -> float:
    """Mean over images of |phi(unlearned) - phi(retrained)|, in nats.

    It sees what the mean of phi hides, such as half of the images moved up and half of them down by as much; two retrained
    models have a distance too.
    """
    return float((unlearned.double() - retrained.double()).abs().mean())


def wasserstein(unlearned: torch.Tensor, retrained: torch.Tensor) -> float:
    """1-Wasserstein distance in nats of the distributions of phi over the same number of images: the least mean move of phi that
    makes one of the other, whichever image it comes from. At most ``distance_by_image``.
    """
    first, second = (phi.double().sort().values for phi in (unlearned, retrained))
    return float((first - second).abs().mean())


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
    """Linear CKA of two representations [n, d_a], [n, d_b] of the same images: 1 up to rotation and scale.

    Unrelated ones are above zero, the more the wider they are: about d / (n + d) of independent Gaussians, 0.46 for 300 images
    and 256 dimensions. ``debiased_cka`` is zero there. ``nan`` where one of them does not vary at all.

    Source: Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019, equation 3.
    """
    a, b = (x.double() - x.double().mean(0) for x in (a, b))
    norm = (a.T @ a).norm() * (b.T @ b).norm()
    return ((b.T @ a).square().sum() / norm).item() if norm > 0 else math.nan


def _debiased_hsic(k: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Unbiased estimate of HSIC, up to a constant, from two Gram matrices [n, n] with zeros on their diagonals."""
    n, ones_k, ones_l = len(k), k.sum(0), other.sum(0)
    return (k * other).sum() + ones_k.sum() * ones_l.sum() / ((n - 1) * (n - 2)) - 2 * (ones_k * ones_l).sum() / (n - 2)


def debiased_cka(a: torch.Tensor, b: torch.Tensor) -> float:
    """Linear CKA from unbiased estimates of HSIC: 1 up to rotation and scale, 0 on average where the two are unrelated, at any
    width; single values may fall below zero.

    ``nan`` of fewer than four images, or where one of them does not vary.

    Source: Song et al., "Feature Selection via Dependence Maximization", JMLR 2012, equation 5, in the CKA of Kornblith et al.,
    as Nguyen, Raghu and Kornblith, "Do Wide and Deep Networks Learn the Same Things?", ICLR 2021, section 2.
    """
    if len(a) < 4:
        return math.nan
    grams = []
    for x in (a, b):
        x = x.double() - x.double().mean(0)  # for the digits: HSIC does not see the mean
        grams.append((x @ x.T).fill_diagonal_(0))
    own = [_debiased_hsic(gram, gram) for gram in grams]
    return (_debiased_hsic(*grams) / (own[0] * own[1]).sqrt()).item() if min(own) > 0 else math.nan


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
