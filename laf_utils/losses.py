"""The equations of Label-Agnostic Forgetting: the two losses of representation adaptation.

Shen et al., "Label-Agnostic Forgetting: A Supervision-Free Unlearning in Deep Models", ICLR 2024. Symbols: g_D the original
extractor (frozen), g_U the one being unlearned, h and h_f the VAEs, D_f forget set, D_r retain set, tau temperature,
m(e, v) = ||v(e) - e||^2, s(m) = exp(m / (m + 1)), c(x) = 1 - cos(g_U(x), g_D(x)).
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .vae import RepresentationVAE


@dataclass(frozen=True)
class Densities:
    """The two frozen VAEs: ``h`` of the data to keep, ``h_f`` of the data to forget."""

    h: RepresentationVAE
    h_f: RepresentationVAE


def saturating(error: torch.Tensor) -> torch.Tensor:
    """s(m) = exp(m / (m + 1)), from 1 at m = 0 towards e; its slope is s / (m + 1)^2, 1e-4 of the start at m = 160."""
    return (error / (error + 1)).exp()


def extractor_unlearning_loss(
    retain: torch.Tensor, forget: torch.Tensor, densities: Densities, noise: torch.Generator | None, reduction: str = "sum"
) -> torch.Tensor:
    """L_UE: make retained representations fit h, make forgotten ones stop fitting h_f (paper, extractor unlearning).

    ``sum``: sum over D_r of s(m(g_U(x), h)) - sum over D_f of s(m(g_U(x), h_f)), between -32 (e - 1) and 32 (e - 1) for two
    full batches of 32. ``mean``: the difference of the means.

    Args:
        retain, forget: g_U(x) [B_r, 256] and [B_f, 256].
        noise: of the latent, which stays on as published; ``None`` takes the latent's mean.
    """
    keep = saturating(densities.h.squared_error(retain, noise))
    drop = saturating(densities.h_f.squared_error(forget, noise))
    return keep.sum() - drop.sum() if reduction == "sum" else keep.mean() - drop.mean()


def drift(unlearned: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """c(x) = 1 - cos(g_U(x), g_D(x)) [B], between 0 (same direction) and 2."""
    return 1 - F.cosine_similarity(unlearned, original, dim=1)


def representation_alignment_loss(
    drift_retain: torch.Tensor, drift_forget: torch.Tensor, temperature: float, reduction: str = "sum", halves: str = "both"
) -> torch.Tensor:
    """L_RA: retained representations return to the original's, forgotten ones leave it (paper, representation alignment).

    ``sum``: sum over D_r of log(exp(c(x)) / sum over D_f of exp(c(x') / tau))
    = sum_r c(x) - |B_r| log sum_f exp(c(x') / tau), which is -32 ln 32 = -110.904 for two full batches at g_U = g_D and can
    fall by at most 2 * 32 / tau. ``mean``: mean_r c(x) - log mean_f exp(c(x') / tau), zero at g_U = g_D.

    Args:
        drift_retain, drift_forget: c(x) [B_r] and [B_f].
        halves: ``retain`` or ``forget`` keeps one of the two terms (ablation).
    """
    repel = torch.logsumexp(drift_forget / temperature, dim=0)
    if reduction == "sum":
        attract, repel = drift_retain.sum(), len(drift_retain) * repel
    else:
        attract, repel = drift_retain.mean(), repel - math.log(len(drift_forget))
    return {"both": attract - repel, "retain": attract, "forget": -repel}[halves]
