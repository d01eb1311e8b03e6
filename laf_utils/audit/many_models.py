"""Measures over many models: KLoM and the likelihood-ratio attack, each from phi of K models; ``forget_score`` has the third.

Every function takes matrices phi [K, n] of K independently trained models over the same n images: unlearned ones and retrained
ones. The same function on two halves of the retrained models is its null: what it says where there is nothing to find.
"""

from dataclasses import dataclass

import torch

from .membership import Ranking

BINS, CLIP, FLOOR = 20, 100.0, 1e-5  # of KLoM
MOST_EXPOSED = 0.1  # of the images: those that models which saw them betray most
SIGMA_FLOOR = 0.1  # of a Gaussian fitted to a handful of phi, in nats


def two_groups(unlearned: torch.Tensor, retrained: torch.Tensor, least: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Both as float64 on the CPU.

    Raises:
        ValueError: no matrices of the same images, or fewer than ``least`` models of a kind.
    """
    if unlearned.ndim != 2 or retrained.ndim != 2 or unlearned.shape[1] != retrained.shape[1]:
        raise ValueError(f"phi must be [K, n] of the same images, got {tuple(unlearned.shape)} and {tuple(retrained.shape)}")
    if min(len(unlearned), len(retrained)) < least:
        raise ValueError(f"at least {least} models of each kind, got {len(unlearned)} and {len(retrained)}")
    return unlearned.double().cpu(), retrained.double().cpu()


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
    unlearned, retrained = (group.clamp(-CLIP, CLIP) for group in two_groups(unlearned, retrained, 1))
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

    The unlearned and the retrained model of a row, which share a training seed, are held out in turn; Gaussians, one per image
    and kind, are fitted to the others, and the images of the two held-out models are ranked against each other, by the same
    fits. The numbers are means over the pairs. Scores of different pairs are not pooled: where the images of a model move
    together, as they do, pooled ones are blind below 50 (46 with 8 models at a correlation of 0.9). Within a pair 50
    is blind, since either model might have been the other.

    Images and D_f are the same for all models: it measures one request, not the population of requests that Hayes et al. draw.

    Args:
        unlearned, retrained: phi [K, n], three models or more of each kind, row by row of the same seeds.

    Raises:
        ValueError: fewer than three models of a kind.

    Source: Hayes et al., "Inexact Unlearning Needs More Careful Evaluations to Avoid a False Sense of Privacy", 2024.
    """
    groups = two_groups(unlearned, retrained, 3)
    pairs = torch.arange(max(map(len, groups)))
    held = [group[pairs % len(group)] for group in groups]
    (mean_u, std_u), (mean_r, std_r) = ((own[pairs % len(own)] for own in _left_out(group)) for group in groups)
    members, others = (_log_density(phi, mean_u, std_u) - _log_density(phi, mean_r, std_r) for phi in held)
    auc, one, tenth = (100.0 * float(rate.mean()) for rate in _rates(members, others))
    return Ranking(auc, one, tenth, members.numel(), others.numel())


def exposure(members: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """How far models that saw an image lie from those that did not [n]: |difference of means of phi| over its joint spread.

    Args:
        members, others: phi [K, n] of models trained with and without the images.

    Source: Carlini et al., "Membership Inference Attacks From First Principles", IEEE S&P 2022, section III-B (privacy score).
    """
    members, others = two_groups(members, others, 2)
    spread = (members.var(0) + others.var(0)).sqrt().clamp(min=SIGMA_FLOOR)
    return (members.mean(0) - others.mean(0)).abs() / spread


def u_lira_of_exposed(
    unlearned: torch.Tensor, retrained: torch.Tensor, original: torch.Tensor, share: float = MOST_EXPOSED
) -> Ranking:
    """``u_lira`` of the most exposed images alone, chosen on other seeds than those that judge them: each half of the seeds
    chooses for the other, and the numbers are the means of both. An average over all images hides the few that leak.

    Args:
        unlearned, retrained, original: phi [K, n] of the same images, six models or more of each kind, row by row of the
            same seeds.
        share: of the images that are chosen, those with the largest ``exposure`` between original and retrained models.

    Raises:
        ValueError: fewer than six models of a kind.
    """
    half, count = len(retrained) // 2, max(1, round(share * retrained.shape[1]))
    first, second = slice(0, half), slice(half, None)
    found = []
    for choose, judge in ((first, second), (second, first)):
        rows = exposure(original[choose], retrained[choose]).topk(count).indices.to(unlearned.device)
        found.append(u_lira(unlearned[judge][:, rows], retrained[judge][:, rows]))
    means = (sum(getattr(own, name) for own in found) / 2 for name in ("auc", "tpr_at_1_fpr", "tpr_at_01_fpr"))
    return Ranking(*means, sum(own.members for own in found), sum(own.non_members for own in found))


def klom_null(models: int, images: int = 500, seed: int = 0) -> float:
    """What KLoM says of two groups of models that differ in nothing: mean over images whose phi is normal, nats, by simulation.

    It falls only when the empty bins of one group do: an empty bin counts as ``FLOOR``, which makes a single model there cost
    log(1 / (models * FLOOR)) / models nats.
    """
    draw = torch.Generator().manual_seed(seed)
    return klom(*torch.randn(2, models, images, generator=draw).double()).mean


def models_for_klom(below: float = 1.0) -> int:
    """The fewest models of each kind, to a multiple of four, with which ``klom_null`` is below so many nats."""
    return next(models for models in range(4, 4_096, 4) if klom_null(models) < below)


def _left_out(phi: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation [K, n] of the models without each in turn."""
    kept = ~torch.eye(len(phi), dtype=torch.bool)
    parts = torch.stack([phi[rows] for rows in kept])
    return parts.mean(1), parts.std(1).clamp(min=SIGMA_FLOOR)


def _log_density(phi: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """Of a Gaussian, up to a constant."""
    return -((phi - mean) / std).square() / 2 - std.log()


def _rates(members: torch.Tensor, others: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """AUC, TPR at 1 % FPR and TPR at 0.1 % FPR as shares, each [P], of P pairs of groups of scores [P, n]."""
    below, members = others.sort(1).values, members.contiguous()
    count = below.shape[1]
    ranks = torch.searchsorted(below, members) + torch.searchsorted(below, members, right=True)
    edges = (below[:, count - 1 - int(rate * count), None] for rate in (0.01, 0.001))
    return ranks.double().mean(1) / 2 / count, *((members > edge).double().mean(1) for edge in edges)
