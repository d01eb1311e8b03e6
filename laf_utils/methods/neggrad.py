"""NegGrad and NegGrad+: gradient ascent on the forgotten images, alone or beside descent on the retained ones.

Golatkar, Achille, Soatto (CVPR 2020) for the first; Kurmanji, Triantafillou, Hayes, Triantafillou (NeurIPS 2023) for the second.
Both train in training mode: BatchNorm's running statistics move, with D_f among what moves them.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..support.progress import track
from .loops import BATCH, batches, cycled, cycled_images, finite, one_pass, sgd, take_step
from .method import Sizes
from .passes import Passes
from .settings import Settings
from .view import View


@dataclass(frozen=True)
class NegGradSettings(Settings):
    """Gradient ascent, as in the field's code."""

    epochs: int = 5  # passes over D_f
    learning_rate: float = 1e-4  # SGD
    momentum: float = 0.9
    batch_size: int = BATCH
    bounded: bool = False  # published: unbounded; True clips as NegGrad+ does


@dataclass(frozen=True)
class NegGradPlusSettings(Settings):
    """Descent on D_r and ascent on D_f in one step."""

    epochs: int = 10  # passes over D_r
    learning_rate: float = 0.01  # SGD without momentum
    alpha: float = 0.95  # weight of D_r; D_f weighs 1 - alpha
    weight_decay: float = 0.1  # of the distance to the original; no value published here: that of SCRUB's small-scale runs
    batch_size: int = BATCH
    bounded: bool = True  # published: unbounded, which runs away; False for that


def forget_loss(logits: torch.Tensor, labels: torch.Tensor, bounded: bool) -> torch.Tensor:
    """Cross-entropy in nats per image; ``bounded``: each image's clipped at ln(classes), the loss of a guess.

    Beyond that bound an image gives no gradient, so ascent cannot run away.
    """
    loss = F.cross_entropy(logits, labels, reduction="none")
    return (loss.clamp(max=math.log(logits.shape[1])) if bounded else loss).mean()


def neggrad(view: View, settings: NegGradSettings) -> nn.Module:
    """Gradient ascent on the cross-entropy of D_f. Reads nothing of D_r."""
    student, targets = view.student().train(), view.forget.targets
    optimiser = sgd(student, settings.learning_rate, settings.momentum)
    order, images = view.stream("order"), view.forget.images
    with track(settings.epochs * -(-len(images) // settings.batch_size), view.name) as bar:
        for _ in range(settings.epochs):
            loss = one_pass(
                view, student, optimiser, images,
                lambda rows, _, logits: -forget_loss(logits, targets[rows], settings.bounded),
                batch_size=settings.batch_size, order=order, bar=bar,
            )
            view.log("forget_loss", -loss)
    return student


def neggrad_passes(settings: NegGradSettings, sizes: Sizes) -> Passes:
    """Every epoch passes D_f."""
    return Passes(settings.epochs * sizes.forget)


def distance_squared(model: nn.Module, start: list[torch.Tensor]) -> torch.Tensor:
    """||theta - theta_0||^2 over all parameters."""
    return torch.stack([(p - p0).square().sum() for p, p0 in zip(model.parameters(), start, strict=True)]).sum()


def neggrad_plus(view: View, settings: NegGradPlusSettings) -> nn.Module:
    """alpha (CE_r + wd/2 ||theta - theta_0||^2) - (1 - alpha) CE_f, over zip(retain, cycle(forget)).

    theta_0 are the original's weights. The two sets pass the network apart, so that BatchNorm normalises each by itself.
    """
    student, start = view.student().train(), list(view.original.parameters())
    retain, forget, order = view.retain.targets, view.forget.targets, view.stream("order")
    optimiser, alpha = sgd(student, settings.learning_rate), settings.alpha
    forget_batches = cycled(len(forget), settings.batch_size, view.stream("forget order"))
    with track(settings.epochs * -(-len(retain) // settings.batch_size), view.name) as bar:
        for _ in range(settings.epochs):
            total, steps = torch.zeros(2, device=view.device), 0
            for rows in batches(len(retain), settings.batch_size, order):
                rows_f = next(forget_batches)
                logits_r = student(view.retain.images.batch(rows, order))
                logits_f = student(view.forget.images.batch(rows_f, order))
                loss_r = F.cross_entropy(logits_r, retain[rows.to(view.device)])
                loss_f = forget_loss(logits_f, forget[rows_f.to(view.device)], settings.bounded)
                tether = settings.weight_decay / 2 * distance_squared(student, start)
                take_step(optimiser, alpha * (loss_r + tether) - (1 - alpha) * loss_f)
                view.spent.training += len(rows) + len(rows_f)
                total, steps = total + torch.stack([loss_r, loss_f]).detach(), steps + 1
                bar.update()
            for name, value in zip(("retain_loss", "forget_loss"), (total / steps).tolist(), strict=True):
                view.log(name, finite(view, value))
    return student


def neggrad_plus_passes(settings: NegGradPlusSettings, sizes: Sizes) -> Passes:
    """Every epoch passes D_r and, for each of its batches, one of D_f."""
    steps = settings.epochs * len(batches(sizes.retain, settings.batch_size, torch.Generator()))
    return Passes(settings.epochs * sizes.retain + cycled_images(sizes.forget, settings.batch_size, steps))
