"""JiT, just in time: Foster et al., "Zero-Shot Machine Unlearning at Scale via Lipschitz Regularization", arXiv 2402.01401.

Needs nothing but the images of D_f. Our description names no mode: evaluation mode, so that noise enters no statistics.
"""

from dataclasses import dataclass

import torch
from torch import nn

from ..support.progress import track
from .loops import BATCH, batches, finite, sgd, take_step
from .method import Sizes
from .passes import Passes
from .settings import Settings
from .view import View


@dataclass(frozen=True)
class JiTSettings(Settings):
    """Published by task, as ranges; these lie inside them."""

    copies: int = 25  # N noisy copies of each image; 10 to 25
    sigma: float = 0.5  # of the noise, in units of the network's input; 0.01 to 0.5
    learning_rate: float = 3e-4  # SGD, one step per batch, one pass
    batch_size: int = BATCH


def lipschitz_loss(
    logits: torch.Tensor, noisy_logits: torch.Tensor, inputs: torch.Tensor, noisy_inputs: torch.Tensor
) -> torch.Tensor:
    """mean ||f(x) - f(x_k)|| / ||x - x_k|| over copies k and images, Euclidean norms.

    Args:
        logits: f(x) [B, classes]; the gradient goes through these.
        noisy_logits: f(x_k) [N, B, classes], without gradient.
        inputs, noisy_inputs: x [B, ...] and x_k [N, B, ...].
    """
    moved = torch.linalg.vector_norm(logits - noisy_logits.detach(), dim=2)
    distance = torch.linalg.vector_norm((inputs - noisy_inputs).flatten(2), dim=2)
    return (moved / distance).mean()


def jit(view: View, settings: JiTSettings) -> nn.Module:
    """Make the network flat around the images of D_f: one pass, one step per batch, gradients zeroed before each."""
    student, images = view.student(), view.forget.images
    optimiser, order, noise = sgd(student, settings.learning_rate), view.stream("order"), view.stream("noise")
    cut, losses = batches(len(images), settings.batch_size, order), []
    with track(len(cut), view.name) as bar:
        for rows in cut:
            x = images.batch(rows, order)
            draws = torch.randn(settings.copies, *x.shape, generator=noise).to(x.device)  # on the CPU: every device the same
            noisy = x + settings.sigma * draws
            with torch.no_grad():
                noisy_logits = torch.stack([student(copy) for copy in noisy])
            loss = lipschitz_loss(student(x), noisy_logits, x, noisy)
            take_step(optimiser, loss)
            view.spent.training += len(rows)
            view.spent.frozen += settings.copies * len(rows)
            losses.append(loss.detach() * len(rows))
            bar.update()
    view.log("loss", finite(view, torch.stack(losses).sum().item() / len(images)))
    return student


def jit_passes(settings: JiTSettings, sizes: Sizes) -> Passes:
    """Each image once forward and backward, its copies forward."""
    return Passes(sizes.forget, settings.copies * sizes.forget)
