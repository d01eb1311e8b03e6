"""SSD, selective synaptic dampening: Foster, Schoepf, Brintrup, AAAI 2024 (arXiv 2308.07707). Reads all labels.

The labelled sibling of LFSSD: importance is the squared gradient of the loss. No training, evaluation mode.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..images import ImageView
from ..support.progress import track
from .lfssd import dampen
from .loops import batches
from .method import Sizes
from .passes import Passes
from .request import joined
from .settings import Settings
from .view import View


@dataclass(frozen=True)
class SSDSettings(Settings):
    """As released, for class removal."""

    selection: float = 10.0  # alpha: dampen where I_f > alpha I_D
    dampening: float = 1.0  # lambda: by min(lambda I_D / I_f, 1)
    batch_size: int = 64  # enters the importance; 64 (class), 128 (random images)


PUBLISHED = {"data": SSDSettings(batch_size=128), "noisy": SSDSettings(batch_size=128)}


def importance(
    view: View, model: nn.Module, images: ImageView, labels: torch.Tensor, batch_size: int, name: str
) -> list[torch.Tensor]:
    """I_p = mean over batches of (d/dp mean cross-entropy of the batch)^2, shaped like each parameter."""
    parameters, order = list(model.parameters()), view.stream("order", name)
    totals, cut = [torch.zeros_like(p) for p in parameters], batches(len(images), batch_size, order)
    with track(len(cut), f"{view.name} {name}") as bar:
        for rows in cut:
            loss = F.cross_entropy(model(images.batch(rows, order)), labels[rows.to(labels.device)])
            for total, gradient in zip(totals, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
                if gradient is not None:
                    total += gradient.square()
            view.spent.training += len(rows)
            bar.update()
    return [total / len(cut) for total in totals]


def ssd(view: View, settings: SSDSettings) -> nn.Module:
    """Dampen what D_f's loss needs more than D's does; ``history["dampened"]`` is the share of values that were."""
    student, forget, retain = view.student(), view.forget, view.retain
    of_forget = importance(view, student, forget.images, forget.labels, settings.batch_size, "forget")
    everything, labels = joined(forget.images, retain.images), torch.cat([forget.labels, retain.labels])
    of_all = importance(view, student, everything, labels, settings.batch_size, "all")
    count = dampen(student, of_forget, of_all, settings.selection, settings.dampening)
    view.log("dampened", count / sum(p.numel() for p in student.parameters()))
    return student


def ssd_passes(settings: SSDSettings, sizes: Sizes) -> Passes:
    """D_f and D once each, forward and backward."""
    return Passes(2 * sizes.forget + sizes.retain)
