"""JiT, just in time: Foster et al., "Zero-Shot Machine Unlearning at Scale via Lipschitz Regularization", arXiv 2402.01401.

Needs nothing but the images of D_f. The released ``lipschitz.py`` sums over the batch, clamps the noisy copies to the batch's
range, sets the gradients to zero once before the pass, so that they add up from batch to batch, and leaves the network in
training mode. Published are D_f of 100 to 500 images: one to four steps. ``MEAN`` is this project's variant.
"""

from dataclasses import dataclass

import torch
from torch import nn

from ..support.progress import track
from .loops import batches, finite, sgd, step_count, take_step
from .method import Sizes
from .passes import Passes
from .settings import Settings
from .view import View


@dataclass(frozen=True)
class JiTSettings(Settings):
    """Published for VGG-16 and class removal."""

    copies: int = 25  # N noisy copies of each image
    sigma: float = 0.5  # of the noise, in units of the network's input
    learning_rate: float = 3e-4  # SGD, one step per batch, one pass
    batch_size: int = 128  # images of D_f
    reduction: str = "sum"  # over the batch; "mean" makes a step that does not grow with it
    accumulate: bool = True  # published: gradients are zeroed once, not before each batch
    clamp: bool = True  # published: noisy copies stay inside the range of their batch
    batch_statistics: bool = True  # published: training mode; False leaves BatchNorm's statistics alone


RANDOM = JiTSettings(sigma=0.01)  # published for random images
PUBLISHED = {"data": RANDOM, "noisy": RANDOM}
STILL = {"learning_rate": 0.0, "batch_statistics": False}  # leaves a network as it is
MEAN = JiTSettings(batch_size=32, reduction="mean", accumulate=False, clamp=False, batch_statistics=False)  # ours, every task


def lipschitz_loss(
    logits: torch.Tensor, noisy_logits: torch.Tensor, inputs: torch.Tensor, noisy_inputs: torch.Tensor, reduction: str = "mean"
) -> torch.Tensor:
    """||f(x) - f(x_k)|| / ||x - x_k||, Euclidean norms: mean over copies k, mean or sum over images.

    Args:
        logits: f(x) [B, classes]; the gradient goes through these.
        noisy_logits: f(x_k) [N, B, classes], without gradient.
        inputs, noisy_inputs: x [B, ...] and x_k [N, B, ...].
    """
    moved = torch.linalg.vector_norm(logits - noisy_logits.detach(), dim=2)
    distance = torch.linalg.vector_norm((inputs - noisy_inputs).flatten(2), dim=2)
    ratio = moved / distance
    return ratio.mean() if reduction == "mean" else ratio.mean(0).sum()


def jit(view: View, settings: JiTSettings) -> nn.Module:
    """Make the network flat around the images of D_f: one pass, one step per batch."""
    s, student, images = settings, view.student().train(settings.batch_statistics), view.forget.images
    optimiser, order, noise = sgd(student, settings.learning_rate), view.stream("order"), view.stream("noise")
    cut, losses = batches(len(images), settings.batch_size, order), []
    with track(len(cut), view.name) as bar:
        for rows in cut:
            x = images.batch(rows, order)
            draws = torch.randn(settings.copies, *x.shape, generator=noise).to(x.device)  # on the CPU: every device the same
            noisy = x + s.sigma * draws
            noisy = noisy.clamp(x.min(), x.max()) if s.clamp else noisy
            logits = student(x)
            with torch.no_grad():
                noisy_logits = torch.stack([student(copy) for copy in noisy])
            loss = lipschitz_loss(logits, noisy_logits, x, noisy, s.reduction)
            take_step(optimiser, loss, keep=s.accumulate)
            view.spent.training += len(rows)
            view.spent.frozen += s.copies * len(rows)
            view.spent.ascent += 1
            losses.append(loss.detach() * (len(rows) if s.reduction == "mean" else 1))
            bar.update()
    view.log("loss", finite(view, torch.stack(losses).sum().item() / len(images)))
    return student


def jit_ascent(settings: JiTSettings, sizes: Sizes) -> int:
    """One for each batch of D_f."""
    return step_count(sizes.forget, settings.batch_size)


def jit_passes(settings: JiTSettings, sizes: Sizes) -> Passes:
    """Each image once forward and backward, its copies forward."""
    return Passes(sizes.forget, settings.copies * sizes.forget)
