"""DELETE: Zhou, Zheng, Mo, Lu, Lin, Zheng, "Decoupled Distillation to Erase", CVPR 2025 (arXiv 2503.23751).

The student learns on D_f what the original says of it once the image's own class is struck out: the class goes, the relation
between the others stays. Needs D_f alone. Training mode, as in the released code.
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
class DeleteSettings(Settings):
    """The released configuration of ResNet-18 on CIFAR-10."""

    epochs: int = 20  # passes over D_f
    learning_rate: float = 1e-4  # SGD
    momentum: float = 0.9
    batch_size: int = 128  # images


def struck_out(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Probabilities [B, classes] of the logits without each image's own class (int64 [B]), whose probability becomes 0."""
    return logits.scatter(1, classes[:, None], float("-inf")).softmax(1)


def struck_out_loss(student: torch.Tensor, original: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """KL(original without the image's own class || student) in nats per image, of logits [B, classes]."""
    return F.kl_div(student.log_softmax(1), struck_out(original, classes), reduction="batchmean")


def delete(view: View, settings: DeleteSettings) -> nn.Module:
    """Distil the original's answers on D_f without the image's class; the class is its label, or the original's answer."""
    student = view.student()
    if not settings.epochs:
        return student
    images, order, teacher, targets = view.forget.images, view.stream("order"), view.forget.logits, view.forget.targets
    optimiser = sgd(student.train(), settings.learning_rate, settings.momentum)

    def loss(rows: torch.Tensor, inputs: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        return struck_out_loss(logits, teacher.of_batch(rows, inputs), targets[rows])

    with track(settings.epochs * -(-len(images) // settings.batch_size), view.name) as bar:
        for _ in range(settings.epochs):
            walk = {"batch_size": settings.batch_size, "order": order, "bar": bar}
            view.log("kl", one_pass(view, student, optimiser, images, loss, **walk))
    return student


def delete_passes(settings: DeleteSettings, sizes: Sizes) -> Passes:
    """Every epoch passes D_f; the original passes it once, which also gives its answers."""
    return Passes(settings.epochs * sizes.forget, sizes.forget if settings.epochs else 0)
