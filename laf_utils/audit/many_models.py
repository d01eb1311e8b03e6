"""Measures over many models: the forget score, KLoM and the likelihood-ratio attack, each from phi of K models.

Every function takes matrices phi [K, n] of K independently trained models over the same n images: unlearned ones and retrained
ones. The same function on two halves of the retrained models is its null: what it says where there is nothing to find.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .membership import Ranking, ranking

EPSILON_STEP = 0.5  # width of a step of the forget score's points
BINS, CLIP, FLOOR = 20, 100.0, 1e-5  # of KLoM
SIGMA_FLOOR = 0.1  # of a Gaussian fitted to a handful of phi, in nats


def _two_groups(unlearned: torch.Tensor, retrained: torch.Tensor, least: int) -> tuple[torch.Tensor, torch.Tensor]:
    if unlearned.ndim != 2 or retrained.ndim != 2 or unlearned.shape[1] != retrained.shape[1]:
        raise ValueError(f"phi must be [K, n] of the same images, got {tuple(unlearned.shape)} and {tuple(retrained.shape)}")
    if min(len(unlearned), len(retrained)) < least:
        raise ValueError(f"at least {least} models of each kind, got {len(unlearned)} and {len(retrained)}")
    return unlearned.double().cpu(), retrained.double().cpu()


def example_epsilon(unlearned: torch.Tensor, retrained: torch.Tensor, delta: float = 0.0) -> torch.Tensor:
    """How well a threshold on phi tells unlearned from retrained models: epsilon [n] of differential privacy, by image.

    The largest of log((1 - delta - FPR) / FNR) and log((1 - delta - FNR) / FPR) over all thresholds and both directions; a rate
    of zero counts as half a model, since K models cannot show a smaller one.

    Source: Triantafillou et al., "Are we making progress in unlearning? Findings from the first NeurIPS unlearning
    competition", 2024.
    """
    unlearned, retrained = _two_groups(unlearned, retrained, 2)
    thresholds = torch.cat([unlearned, retrained]).sort(0).values  # [T, n]
    rates = [
        (group[None] > thresholds[:, None]).double().mean(1) for group in (unlearned, retrained)
    ]  # share called "unlearned" by "above the threshold", [T, n]
    floor = [0.5 / len(unlearned), 0.5 / len(retrained)]
    best = torch.zeros(unlearned.shape[1], dtype=torch.float64)
    for hit, false in ((rates[0], rates[1]), (1 - rates[0], 1 - rates[1])):
        fnr, fpr = (1 - hit).clamp(min=floor[0]), false.clamp(min=floor[1])
        for top, bottom in ((1 - delta - fpr, fnr), (1 - delta - fnr, fpr)):
            best = torch.maximum(best, (top.clamp(min=1e-12) / bottom).log().max(0).values)
    return best.clamp(min=0)


def forget_score(
    unlearned: torch.Tensor, retrained: torch.Tensor, *, utility_ratios: tuple[float, ...] = (), delta: float = 0.0
) -> float:
    """The competition's score: mean over images of 2^-floor(epsilon / 0.5), times the utility ratios (at most 1 each).

    1 where no threshold tells the two kinds of model apart.
    """
    points = 2.0 ** -(example_epsilon(unlearned, retrained, delta) / EPSILON_STEP).floor()
    return float(points.mean()) * float(np.prod([min(ratio, 1.0) for ratio in utility_ratios]))


@dataclass(frozen=True)
class KLoM:
    """Divergence of phi's distribution between unlearned and retrained models over images; nats, 0 for equal ones."""

    mean: float
    percentile_95: float


def klom_by_image(unlearned: torch.Tensor, retrained: torch.Tensor) -> torch.Tensor:
    """KL(unlearned || retrained) [n] of the histograms of phi over models, 20 bins over both groups' range.

    phi is clipped to +-100, an empty bin counts as 1e-5.

    Source: Georgiev et al., "Attribute-to-Delete: Machine Unlearning via Datamodel Matching", 2024 (KL divergence of margins).
    """
    unlearned, retrained = (group.clamp(-CLIP, CLIP) for group in _two_groups(unlearned, retrained, 1))
    both = torch.cat([unlearned, retrained])
    low, high = both.min(0).values, both.max(0).values
    width = ((high - low) / BINS).clamp(min=1e-12)

    def histogram(group: torch.Tensor) -> torch.Tensor:
        cell = ((group - low) / width).long().clamp(0, BINS - 1)
        counts = torch.zeros(BINS, group.shape[1], dtype=torch.float64).scatter_add_(0, cell, torch.ones_like(group))
        shares = (counts / len(group)).clamp(min=FLOOR)
        return shares / shares.sum(0)

    p, q = histogram(unlearned), histogram(retrained)
    return (p * (p / q).log()).sum(0)


def klom(unlearned: torch.Tensor, retrained: torch.Tensor) -> KLoM:
    """Mean and 95th percentile over images of ``klom_by_image``."""
    values = klom_by_image(unlearned, retrained)
    return KLoM(values.mean().item(), values.quantile(0.95).item())


def u_lira(unlearned: torch.Tensor, retrained: torch.Tensor) -> Ranking:
    """The likelihood-ratio attack: was a model's phi of an image drawn from unlearned or from retrained models?

    Each model is attacked in turn with Gaussians fitted to the others, one per image and kind. One model of the other kind is
    left out with it: a fit to one model more would be the better one, and the attack would be blind below 50. AUC 50 is blind.

    Raises:
        ValueError: fewer than three models of a kind.

    Source: Hayes et al., "Inexact Unlearning Needs More Careful Evaluations to Avoid a False Sense of Privacy", 2024.
    """
    groups, scores = _two_groups(unlearned, retrained, 3), []
    for group in groups:
        found = []
        for row in range(len(group)):
            fitted = [_gaussian(_without(kind, row % len(kind))).log_prob(group[row]) for kind in groups]
            found.append(fitted[0] - fitted[1])
        scores.append(torch.stack(found).flatten().numpy())
    return ranking(*scores)


def _without(phi: torch.Tensor, row: int) -> torch.Tensor:
    return torch.cat([phi[:row], phi[row + 1 :]])


def _gaussian(phi: torch.Tensor) -> torch.distributions.Normal:
    return torch.distributions.Normal(phi.mean(0), phi.std(0).clamp(min=SIGMA_FLOOR))
