"""The one supervised loop: the original, the retrained model, and every baseline that trains."""

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import nn

from .images import ImageView, shuffled
from .settings.config import TrainingConfig
from .support.devices import precision
from .support.progress import track
from .support.seeds import stream

MOMENTUM, RISE = 0.9, 0.2  # of SGD with one cycle: Nesterov's, and the share of the steps in which the rate rises


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number."""


def check_finite(stage: str, losses: list[float]) -> None:
    """Refuse to go on from a loss that is infinite or not a number.

    Raises:
        TrainingDiverged: naming the stage and the epoch.
    """
    if not math.isfinite(losses[-1]):
        raise TrainingDiverged(f"{stage}: the loss of epoch {len(losses)} is not a number; lower the learning rate")


def adam(parameters: Iterable[nn.Parameter], learning_rate: float, weight_decay: float = 0.0) -> torch.optim.Adam:
    """Adam with the published defaults, in PyTorch's fused form (one call per step instead of one per tensor)."""
    parameters = list(parameters)
    fused = all(p.device.type in ("cpu", "cuda", "mps") for p in parameters)
    return torch.optim.Adam(parameters, lr=learning_rate, weight_decay=weight_decay, fused=fused)


def optimiser_of(
    parameters: Iterable[nn.Parameter], config: TrainingConfig, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler | None]:
    """The published Adam, without schedule; with ``one_cycle`` SGD with Nesterov's momentum, whose rate rises linearly for a
    fifth of the steps and falls linearly to zero.

    Source: Smith and Topin, "Super-Convergence", 2018, section 3 (one cycle).
    """
    if config.rate == "constant":
        return adam(parameters, config.learning_rate, config.weight_decay), None
    sgd = torch.optim.SGD(parameters, config.learning_rate, MOMENTUM, weight_decay=config.weight_decay, nesterov=True)
    peak = max(1, round(RISE * steps))
    return sgd, torch.optim.lr_scheduler.LambdaLR(
        sgd, lambda step: (step + 1) / peak if step < peak else max(0, steps - step) / max(1, steps - peak)
    )


def train(
    model: nn.Module, images: ImageView, labels: torch.Tensor, config: TrainingConfig, *, seed: int, stage: str
) -> list[float]:
    """Train ``model`` in place with cross-entropy and Adam, or SGD (``TrainingConfig.rate``); the last epoch is kept.

    Args:
        model: gives logits [B, classes]; on the images' device.
        images: N images.
        labels: int64 [N].
        seed: with ``stage``, draws the order of the images and the augmentation.
        stage: what the progress bar and the random stream are called.

    Returns:
        The mean loss of each epoch, in nats per image.

    Raises:
        ValueError: numbers of images and labels differ.
        TrainingDiverged: the loss is not finite.
    """
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} images and {len(labels)} labels")
    generator, labels = stream(seed, stage, "order"), labels.to(images.device)
    steps = config.epochs * -(-len(images) // config.batch_size)
    optimiser, schedule = optimiser_of(model.parameters(), config, steps)
    forward = torch.compile(model) if config.compile else model
    losses = []
    model.train()
    with track(steps, stage) as bar:
        for _ in range(config.epochs):
            total = torch.zeros((), device=images.device)
            for rows in shuffled(len(images), config.batch_size, generator):
                with precision(images.device, config.precision):
                    loss = F.cross_entropy(forward(images.batch(rows, generator)), labels[rows.to(labels.device)])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                if schedule:
                    schedule.step()
                total += loss.detach() * len(rows)
                bar.update()
            losses.append(total.item() / len(images))
            check_finite(stage, losses)
    model.eval()
    return losses
