"""SalUn: Fan, Liu, Zhang, Wong, Wei, Liu, "SalUn", ICLR 2024 (arXiv 2310.12508). Reads all labels.

Weights whose gradient of D_f's loss is large may move, the others stay as they were to the bit. D_f learns labels drawn at random
anew in every epoch, D_r its own, one pass after the other. Training mode; the mask is found in evaluation mode.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..images import ImageView
from ..support.progress import track
from .loops import batches, finite, sgd, take_step
from .method import Sizes
from .passes import Passes
from .settings import Settings
from .view import View


@dataclass(frozen=True)
class SalUnSettings(Settings):
    """The released example: ResNet-18 on CIFAR-10, a tenth of the images."""

    epochs: int = 10  # passes over D_f and D_r
    learning_rate: float = 0.013  # SGD
    momentum: float = 0.9
    weight_decay: float = 5e-4
    mask_share: float = 0.5  # of all weights, those that may move
    forget_batch: int = 256  # images; also of the mask's gradient
    retain_batch: int = 256


def saliency(view: View, model: nn.Module, batch_size: int) -> list[torch.Tensor]:
    """|sum over batches of d/dp mean cross-entropy on D_f|, shaped like each parameter."""
    images, labels, order = view.forget.images, view.forget.labels, view.stream("order", "mask")
    parameters, cut = list(model.parameters()), batches(len(view.forget), batch_size, view.stream("order", "mask"))
    totals = [torch.zeros_like(p) for p in parameters]
    for rows in cut:
        loss = F.cross_entropy(model(images.batch(rows, order)), labels[rows.to(labels.device)])
        for total, gradient in zip(totals, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
            if gradient is not None:
                total += gradient
        view.spent.training += len(rows)
    return [total.abs() for total in totals]


def masks(sizes: list[torch.Tensor], share: float) -> list[torch.Tensor]:
    """True for the ``share`` of all values that are largest, over all tensors together; of equals the earlier ones."""
    flat = torch.cat([size.flatten() for size in sizes])
    chosen = torch.zeros(len(flat), dtype=torch.bool, device=flat.device)
    chosen[flat.argsort(descending=True, stable=True)[: int(share * len(flat))]] = True
    parts = chosen.split([size.numel() for size in sizes])
    return [part.view_as(size) for part, size in zip(parts, sizes, strict=True)]


class _Walk:
    """One pass after another, each step undone outside the masks."""

    def __init__(self, view: View, student: nn.Module, settings: SalUnSettings) -> None:
        self.view, self.student = view, student
        self.masks = masks(saliency(view, student, settings.forget_batch), settings.mask_share)
        self.start = [p.detach().clone() for p in student.parameters()]
        self.optimiser = sgd(student.train(), settings.learning_rate, settings.momentum, settings.weight_decay)
        self.order = view.stream("order")

    def over(self, images: ImageView, labels: torch.Tensor, batch_size: int) -> float:
        """One pass of cross-entropy; its mean per image, measured before each step."""
        total = torch.zeros((), device=images.device)
        for rows in batches(len(images), batch_size, self.order):
            loss = F.cross_entropy(self.student(images.batch(rows, self.order)), labels[rows.to(labels.device)])
            take_step(self.optimiser, loss)
            with torch.no_grad():
                for p, mask, p_0 in zip(self.student.parameters(), self.masks, self.start, strict=True):
                    p.copy_(torch.where(mask, p, p_0))
            self.view.spent.training += len(rows)
            total += loss.detach() * len(rows)
        return finite(self.view, total.item() / max(1, len(images)))


def salun(view: View, settings: SalUnSettings) -> nn.Module:
    """Random labels for D_f and the true ones for D_r, on the salient weights alone."""
    student, s = view.student(), settings
    if not s.epochs:
        return student
    walk, draw = _Walk(view, student, s), view.stream("random labels")
    with track(s.epochs, view.name, unit="epoch") as bar:
        for _ in range(s.epochs):
            drawn = torch.randint(view.classes, (len(view.forget),), generator=draw).to(view.device)
            view.log("forget_loss", walk.over(view.forget.images, drawn, s.forget_batch))
            view.log("retain_loss", walk.over(view.retain.images, view.retain.labels, s.retain_batch))
            bar.update()
    return student


def salun_passes(settings: SalUnSettings, sizes: Sizes) -> Passes:
    """D_f once for the mask, then both sets in every epoch."""
    return Passes((sizes.forget if settings.epochs else 0) + settings.epochs * (sizes.forget + sizes.retain))
