"""Supervised training of K networks at once, each on its own rows and from its own seed."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from ..images import Images, shuffled
from ..models import Architecture, Network
from ..settings.config import TrainingConfig
from ..support.progress import track
from ..support.seeds import stream
from ..training import adam
from .members import AT_ONCE, check_each, groups, one_each, same_length
from .stacked import StackedNetwork, side_by_side


def train_together(
    architecture: Architecture, images: Images, labels: torch.Tensor, rows: Sequence[torch.Tensor], seeds: Sequence[int],
    config: TrainingConfig, stage: str, at_once: int = AT_ONCE,
) -> tuple[list[Network], list[list[float]]]:
    """K networks, the k-th as ``training.train`` makes it of ``images.subset(rows[k])`` with seed ``seeds[k]``, up to rounding.

    Initialisation, order and crops are drawn from the same streams as there.

    Args:
        architecture: of the CNN, the same for all models.
        images: N images with training transforms.
        labels: int64 [N], or [K, N] where each network has labels of its own.
        rows: K index sets, int64 [n] each, of one length.
        stage: ``original`` or ``retrained``: with a seed, names the random streams.
        at_once: networks in one group; a GPU takes more than a processor does.

    Returns:
        The K networks in evaluation mode, and for each the mean loss of every epoch in nats per image.

    Raises:
        ValueError: index sets of different lengths, not one for each seed, labels of another shape, ResNet-18, a precision
            other than float32, or ``compile``.
        TrainingDiverged: a loss is not finite.
    """
    one_each(seeds, rows=rows)
    if config.precision != "float32" or config.compile or config.rate != "constant":
        raise ValueError("networks are trained together in float32, without compile and at a constant rate only")
    same_length("rows", rows)
    targets = _targets(labels, rows, len(images)).to(images.device)
    networks = [architecture.build(seed, stage, images.device).train() for seed in seeds]
    views, orders = [images.subset(own) for own in rows], [stream(seed, stage, "order") for seed in seeds]
    losses = []
    for group in groups(len(seeds), at_once):
        losses += _train(networks[group], views[group], targets[group], orders[group], config, stage)
    return [network.eval() for network in networks], losses


def _train(
    networks: list[Network], views: list[Images], targets: torch.Tensor, orders: list[torch.Generator], config: TrainingConfig,
    stage: str,
) -> list[list[float]]:
    """Train one group in place; the losses of each member."""
    count, stacked, losses = targets.shape[1], StackedNetwork(networks), []
    optimiser = adam(stacked.parameters(), config.learning_rate, config.weight_decay)
    with track(config.epochs * -(-count // config.batch_size), stage) as bar:
        for _ in range(config.epochs):
            total = torch.zeros(len(networks), device=targets.device)
            for picked in zip(*(shuffled(count, config.batch_size, order) for order in orders), strict=True):
                x = side_by_side([view.batch(own, order) for view, own, order in zip(views, picked, orders, strict=True)])
                loss = _cross_entropy(stacked(x), targets.gather(1, torch.stack(picked).to(targets.device)))
                optimiser.zero_grad()
                loss.sum().backward()
                optimiser.step()
                total += loss.detach() * len(picked[0])
                bar.update()
            losses.append((total / count).tolist())
            check_each(stage, losses)
    stacked.put_back(networks)
    return [list(own) for own in zip(*losses, strict=True)]


def _targets(labels: torch.Tensor, rows: Sequence[torch.Tensor], images: int) -> torch.Tensor:
    """int64 [K, n], every network's labels of its own rows."""
    if tuple(labels.shape) not in ((images,), (len(rows), images)):
        raise ValueError(f"labels must be [{images}] or [{len(rows)}, {images}], got {list(labels.shape)}")
    each = labels.expand(len(rows), images)
    return torch.stack([of_one[own.to(labels.device)] for of_one, own in zip(each, rows, strict=True)])


def _cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """[K], the mean over the batch of logits [K, B, classes] and targets [K, B]."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").unflatten(0, targets.shape).mean(1)

