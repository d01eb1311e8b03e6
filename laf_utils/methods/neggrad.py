"""NegGrad and NegGrad+: gradient ascent on the forgotten images, alone or beside descent on the retained ones.

Golatkar, Achille, Soatto (CVPR 2020) for the first; Kurmanji, Triantafillou, Hayes, Triantafillou (NeurIPS 2023) for the second.
NegGrad works in training mode: BatchNorm's running statistics move, with D_f among what moves them. NegGrad+ works in evaluation
mode, as its notebooks do. Both are unbounded as published: how far they go is a matter of the number of steps, so the batch is
part of the method. The bound is this project's and stands under a name of its own (``BOUNDED``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..support.progress import track
from .loops import batches, cycled, cycled_images, finite, one_pass, sgd, step_count, take_step
from .method import Sizes
from .passes import Passes
from .settings import Settings
from .view import View


@dataclass(frozen=True)
class NegGradSettings(Settings):
    """Gradient ascent, as in the field's code (``unlearn/GA.py`` and the defaults of OPTML-Group/Unlearn-Sparse)."""

    epochs: int = 5  # passes over D_f
    learning_rate: float = 1e-4  # SGD
    momentum: float = 0.9
    weight_decay: float = 5e-4  # L2 term of SGD
    batch_size: int = 256  # images of D_f
    bounded: bool = False  # published: unbounded; True clips as ``forget_loss`` says


@dataclass(frozen=True)
class NegGradPlusSettings(Settings):
    """Descent on D_r and ascent on D_f in one step; the small-scale notebook's. Another of its notebooks takes alpha 0.9999."""

    epochs: int = 10  # passes over D_r
    learning_rate: float = 0.01  # SGD without momentum
    alpha: float = 0.95  # weight of D_r; D_f weighs 1 - alpha
    weight_decay: float = 0.1  # of the distance to the original
    forget_batch: int = 64  # images
    retain_batch: int = 128
    bounded: bool = False  # published: unbounded
    batch_statistics: bool = False  # published: evaluation mode; True trains BatchNorm, with D_f too


CONFUSION = NegGradPlusSettings(forget_batch=32)  # small_scale_ictest.ipynb
PUBLISHED = {"noisy": CONFUSION}
# Ours: the forget loss of an image stops at that of a guess, so that the number of steps cannot make it run away.
BOUNDED = NegGradPlusSettings(forget_batch=32, retain_batch=32, bounded=True, batch_statistics=True)


def forget_loss(logits: torch.Tensor, labels: torch.Tensor, bounded: bool) -> torch.Tensor:
    """Cross-entropy in nats per image; ``bounded``: each image's clipped at ln(classes), the loss of a guess.

    Beyond that bound an image gives no gradient, so ascent cannot run away.
    """
    loss = F.cross_entropy(logits, labels, reduction="none")
    return (loss.clamp(max=math.log(logits.shape[1])) if bounded else loss).mean()


def neggrad(view: View, settings: NegGradSettings) -> nn.Module:
    """Gradient ascent on the cross-entropy of D_f. Reads nothing of D_r."""
    student, targets = view.student().train(), view.forget.targets
    optimiser = sgd(student, settings.learning_rate, settings.momentum, settings.weight_decay)
    order, images = view.stream("order"), view.forget.images
    with track(settings.epochs * -(-len(images) // settings.batch_size), view.name) as bar:
        for _ in range(settings.epochs):
            loss = one_pass(
                view, student, optimiser, images,
                lambda rows, _, logits: -forget_loss(logits, targets[rows], settings.bounded),
                batch_size=settings.batch_size, order=order, bar=bar, against=True,
            )
            view.log("forget_loss", -loss)
    return student


def neggrad_passes(settings: NegGradSettings, sizes: Sizes) -> Passes:
    """Every epoch passes D_f."""
    return Passes(settings.epochs * sizes.forget)


def neggrad_ascent(settings: NegGradSettings, sizes: Sizes) -> int:
    """One for each batch of D_f."""
    return settings.epochs * step_count(sizes.forget, settings.batch_size)


def distance_squared(model: nn.Module, start: Sequence[torch.Tensor]) -> torch.Tensor:
    """||theta - theta_0||^2 over all parameters."""
    return torch.stack([(p - p0).square().sum() for p, p0 in zip(model.parameters(), start, strict=True)]).sum()


def neggrad_plus(view: View, settings: NegGradPlusSettings) -> nn.Module:
    """alpha (CE_r + wd/2 ||theta - theta_0||^2) - (1 - alpha) CE_f, over zip(retain, cycle(forget)).

    theta_0 are the original's weights. The two sets pass the network apart, so that BatchNorm normalises each by itself.
    """
    student, start = view.student().train(settings.batch_statistics), list(view.original.parameters())
    retain, forget, order = view.retain.targets, view.forget.targets, view.stream("order")
    optimiser, alpha = sgd(student, settings.learning_rate), settings.alpha
    forget_batches = cycled(len(forget), settings.forget_batch, view.stream("forget order"))
    with track(settings.epochs * -(-len(retain) // settings.retain_batch), view.name) as bar:
        for _ in range(settings.epochs):
            total, steps = torch.zeros(2, device=view.device), 0
            for rows in batches(len(retain), settings.retain_batch, order):
                rows_f = next(forget_batches)
                logits_r = student(view.retain.images.batch(rows, order))
                logits_f = student(view.forget.images.batch(rows_f, order))
                loss_r = F.cross_entropy(logits_r, retain[rows.to(view.device)])
                loss_f = forget_loss(logits_f, forget[rows_f.to(view.device)], settings.bounded)
                tether = settings.weight_decay / 2 * distance_squared(student, start)
                take_step(optimiser, alpha * (loss_r + tether) - (1 - alpha) * loss_f)
                view.spent.training += len(rows) + len(rows_f)
                view.spent.ascent += 1
                total, steps = total + torch.stack([loss_r, loss_f]).detach(), steps + 1
                bar.update()
            for name, value in zip(("retain_loss", "forget_loss"), (total / steps).tolist(), strict=True):
                view.log(name, finite(view, value))
    return student


def neggrad_plus_passes(settings: NegGradPlusSettings, sizes: Sizes) -> Passes:
    """Every epoch passes D_r and, for each of its batches, one of D_f."""
    steps = neggrad_plus_ascent(settings, sizes)
    return Passes(settings.epochs * sizes.retain + cycled_images(sizes.forget, settings.forget_batch, steps))


def neggrad_plus_ascent(settings: NegGradPlusSettings, sizes: Sizes) -> int:
    """One for each batch of D_r."""
    return settings.epochs * step_count(sizes.retain, settings.retain_batch)
