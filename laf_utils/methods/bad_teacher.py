"""T-S, the bad teacher: Chundawat, Tarun, Mandal, Kankanhalli, "Can Bad Teaching Induce Forgetting?", AAAI 2023.

The student (training mode) learns from a fresh network on D_f and from the original on a part of D_r, both teachers in evaluation
mode. Reads no labels.
"""

from dataclasses import dataclass

import torch
from torch import nn

from ..support.progress import track
from ..training import adam
from .loops import distillation, one_pass
from .method import Sizes
from .parts import FrozenLogits
from .passes import Passes
from .request import joined
from .settings import Settings
from .view import View


@dataclass(frozen=True)
class BadTeacherSettings(Settings):
    """As published."""

    epochs: int = 1  # passes over D_f and the part of D_r together
    learning_rate: float = 1e-4  # Adam
    batch_size: int = 256  # images
    retain_share: float = 0.3  # of D_r, at random, once
    temperature: float = 1.0  # published: none


class MixedTeacher:
    """Targets of a joined set, D_f first: flag * softmax(bad(x)) + (1 - flag) * softmax(original(x)), flag 1 on D_f.

    The flag is 0 or 1, so each image needs one of the two teachers, and that one once where the transform is deterministic.
    """

    def __init__(self, bad: FrozenLogits, good: FrozenLogits, forget: int) -> None:
        self.bad, self.good, self.forget = bad, good, forget

    def logits(self, rows: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """[B, classes], whose softmax is the target of the joined set's ``rows``."""
        flag = rows < self.forget
        parts = [
            (flag, self.bad, rows), (~flag, self.good, rows - self.forget),
        ]
        found = [(chosen, teacher.of_batch(own[chosen], inputs[chosen])) for chosen, teacher, own in parts if chosen.any()]
        target = found[0][1].new_empty(len(rows), found[0][1].shape[1])
        for chosen, logits in found:
            target[chosen] = logits
        return target


def bad_teacher(view: View, settings: BadTeacherSettings) -> nn.Module:
    """Distil D_f from a fresh network and a random share of D_r from the original, by KL(target || student)."""
    forget, retain = view.forget.images, view.retain.images
    count = round(settings.retain_share * len(retain))
    retain = retain.subset(torch.randperm(len(retain), generator=view.stream("retain share"))[:count])
    images, order = joined(forget, retain), view.stream("order")
    bad = view.fresh("bad teacher").eval().requires_grad_(False)
    teacher = MixedTeacher(
        FrozenLogits(bad, forget, view.spent), FrozenLogits(view.original, retain, view.spent), len(forget)
    )
    student = view.student().train()
    optimiser = adam(student.parameters(), settings.learning_rate)

    def loss(rows: torch.Tensor, inputs: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        return distillation(logits, teacher.logits(rows, inputs), settings.temperature)

    with track(settings.epochs * -(-len(images) // settings.batch_size), view.name) as bar:
        for _ in range(settings.epochs):
            walk = {"batch_size": settings.batch_size, "order": order, "bar": bar}
            view.log("kl", one_pass(view, student, optimiser, images, loss, **walk))
    return student


def bad_teacher_passes(settings: BadTeacherSettings, sizes: Sizes) -> Passes:
    """Each image once through its teacher, and through the student in every epoch."""
    used = sizes.forget + round(settings.retain_share * sizes.retain)
    return Passes(settings.epochs * used, used if settings.epochs else 0)
