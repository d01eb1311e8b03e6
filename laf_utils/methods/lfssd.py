"""LFSSD, loss-free selective synaptic dampening: Foster et al., "Loss-Free Machine Unlearning", arXiv 2402.19308.

No training and no labels: parameters that matter more for D_f than for D are made smaller. Evaluation mode throughout.
"""

from dataclasses import dataclass

import torch
from torch import nn

from ..images import ImageView
from ..support.progress import track
from .loops import batches
from .method import Sizes
from .passes import Passes
from .request import joined
from .settings import Settings
from .view import View


@dataclass(frozen=True)
class LFSSDSettings(Settings):
    """As published, for class removal."""

    selection: float = 10.0  # a: dampen where I_f > a I_D; 10 (class), 3.5 (random images)
    dampening: float = 1.0  # lambda: by min(lambda I_D / I_f, 1)
    batch_size: int = 64  # of D_f and of D; enters the importance, a mean over batches of absolute gradients


RANDOM = LFSSDSettings(selection=3.5, batch_size=128)  # of random images
PUBLISHED = {"data": RANDOM, "noisy": RANDOM}


def importance(view: View, model: nn.Module, images: ImageView, settings: LFSSDSettings, name: str) -> list[torch.Tensor]:
    """I_p = mean over batches of |d/dp mean over the batch of ||logits||^2|, shaped like each parameter."""
    parameters, order = list(model.parameters()), view.stream("order", name)
    totals, cut = [torch.zeros_like(p) for p in parameters], batches(len(images), settings.batch_size, order)
    with track(len(cut), f"{view.name} {name}") as bar:
        for rows in cut:
            size = model(images.batch(rows, order)).square().sum(1).mean()
            gradients = torch.autograd.grad(size, parameters, allow_unused=True)
            for total, gradient in zip(totals, gradients, strict=True):
                if gradient is not None:
                    total += gradient.abs()
            view.spent.training += len(rows)
            bar.update()
    return [total / len(cut) for total in totals]


@torch.no_grad()
def dampen(
    model: nn.Module, forget: list[torch.Tensor], everything: list[torch.Tensor], selection: float, dampening: float
) -> float:
    """Multiply each value p with I_f > a I_D by min(lambda I_D / I_f, 1), in place; returns how many those are."""
    count: float
    count = 0
    for p, i_f, i_d in zip(model.parameters(), forget, everything, strict=True):
        chosen = i_f > selection * i_d
        factor = (dampening * i_d / i_f.clamp_min(torch.finfo(i_f.dtype).tiny)).clamp_max(1)
        p.copy_(torch.where(chosen, p * factor, p))
        count += chosen.sum().item()
    return count


def lfssd(view: View, settings: LFSSDSettings) -> nn.Module:
    """Dampen what D_f needs more than D does; ``history["dampened"]`` is the share of values that were."""
    student = view.student()
    forget = importance(view, student, view.forget.images, settings, "forget")
    everything = importance(view, student, joined(view.forget.images, view.retain.images), settings, "all")
    count = dampen(student, forget, everything, settings.selection, settings.dampening)
    view.log("dampened", count / sum(p.numel() for p in student.parameters()))
    return student


def lfssd_passes(settings: LFSSDSettings, sizes: Sizes) -> Passes:
    """D_f and D once each, forward and backward."""
    return Passes(2 * sizes.forget + sizes.retain)
