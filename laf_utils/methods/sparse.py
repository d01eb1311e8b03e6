"""L1-sparse fine-tuning: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023 (arXiv 2304.04934).

Fine-tuning on D_r with a penalty on the weights' absolute sum that falls to zero in a line. Reads the labels of D_r and nothing
of D_f. Training mode.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..support.progress import track
from .loops import one_pass, sgd
from .method import Sizes
from .passes import Passes
from .settings import Settings
from .view import View


@dataclass(frozen=True)
class SparseSettings(Settings):
    """The released settings of ResNet-18 on CIFAR-10."""

    epochs: int = 10  # passes over D_r
    learning_rate: float = 0.01  # SGD
    momentum: float = 0.9
    weight_decay: float = 5e-4
    penalty: float = 1e-4  # of the L1 norm, in the first epoch; not in the release: Wu and Harandi's for it (ECCV 2024)
    batch_size: int = 256  # images


def absolute_sum(model: nn.Module) -> torch.Tensor:
    """||theta||_1 over all parameters."""
    return torch.stack([p.abs().sum() for p in model.parameters()]).sum()


def penalty_of(settings: SparseSettings, epoch: int) -> float:
    """In ``epoch``, counted from 0: the whole penalty first, falling in a line towards zero."""
    return settings.penalty * (1 - epoch / settings.epochs)


def sparse(view: View, settings: SparseSettings) -> nn.Module:
    """Minimise CE + penalty ||theta||_1 on D_r."""
    student, images, labels, s = view.student().train(), view.retain.images, view.retain.labels, settings
    optimiser, order = sgd(student, s.learning_rate, s.momentum, s.weight_decay), view.stream("order")
    with track(s.epochs * -(-len(images) // s.batch_size), view.name) as bar:
        for epoch in range(s.epochs):
            now = penalty_of(s, epoch)

            def loss(rows: torch.Tensor, _: torch.Tensor, logits: torch.Tensor, now: float = now) -> torch.Tensor:
                return F.cross_entropy(logits, labels[rows]) + now * absolute_sum(student)

            walk = {"batch_size": s.batch_size, "order": order, "bar": bar}
            view.log("loss", one_pass(view, student, optimiser, images, loss, **walk))
            with torch.no_grad():
                view.log("absolute_sum", absolute_sum(student).item())
    return student


def sparse_passes(settings: SparseSettings, sizes: Sizes) -> Passes:
    """Every epoch passes D_r."""
    return Passes(settings.epochs * sizes.retain)
