"""LoTUS: Spartalis, Semertzidis, Gavves, Daras, "Large-Scale Machine Unlearning with a Taste of Uncertainty", CVPR 2025.

The student learns from the original's answers with Gumbel noise: softened on D_f by a temperature that falls as forgetting
proceeds, hard on a part of D_r. The published schedule compares the student's accuracy on D_f with the original's on unseen
images. No label is read here: agreement with the original stands for the first, the original's mean confidence on unseen images
for the second. Training mode, as in the released code.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from ..images import ImageView
from ..representations import apply_frozen
from ..support.progress import track
from .bad_teacher import MixedTeacher
from .loops import one_pass
from .method import Sizes
from .parts import FrozenLogits
from .passes import Passes
from .request import joined
from .settings import Settings
from .view import View

SLACK = 0.01  # how far the student's agreement may fall below its goal before unlearning ends


@dataclass(frozen=True)
class LoTUSSettings(Settings):
    """The released settings of ResNet-18 on CIFAR-10, for the removal of random images."""

    epochs: int = 10  # passes over D_f and the part of D_r together, at most
    learning_rate: float = 1e-4  # AdamW
    weight_decay: float = 5e-4
    batch_size: int = 128  # images, of both sets together
    retain_share: float = 0.3  # of D_r, at random, once
    alpha: float = 8.0  # of the temperature exp(alpha (agreement - goal)); 8 (random images), 32 (class)
    whole_class: bool = False  # the goal is 0: nobody who never saw the class would name it


PUBLISHED = {"class": LoTUSSettings(alpha=32.0, whole_class=True)}


def temperature(alpha: float, agreement: float, goal: float) -> float | None:
    """exp(alpha (agreement - goal)), both in [0, 1]; ``None`` once the agreement lies a hundredth below its goal."""
    return None if agreement - goal <= -SLACK else math.exp(alpha * (agreement - goal))


def gumbel(logits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Logits [B, classes] with standard Gumbel noise, drawn on the CPU: their argmax is a sample of softmax(logits)."""
    uniform = torch.rand(logits.shape, generator=generator).clamp_(1e-10, 1 - 1e-7)
    return logits + (-(-uniform.log()).log()).to(logits)


def agreement(view: View, student: nn.Module) -> float:
    """Share of D_f of which the student says what the original said, without crop and flip."""
    view.spent.frozen += len(view.forget)
    answers = apply_frozen(student, view.forget.images.for_evaluation(), "agreement").argmax(1)
    return (answers == view.forget.pseudo_labels).float().mean().item()


def goal_of(view: View, settings: LoTUSSettings) -> float:
    """The agreement to reach: 0 for a whole class, else the original's mean confidence on the held-out images."""
    if settings.whole_class:
        return 0.0
    images: ImageView = view.held_out.images.for_evaluation()
    view.spent.frozen += len(images)
    return apply_frozen(view.original, images, "confidence").softmax(1).amax(1).mean().item()


def lotus(view: View, settings: LoTUSSettings) -> nn.Module:
    """Soften D_f by the schedule's temperature, keep a random share of D_r; ends once D_f is answered as unseen images are."""
    s, student = settings, view.student()
    if not s.epochs:
        return student
    forget, retain, goal = view.forget.images, view.retain.images, goal_of(view, s)
    share = torch.randperm(len(retain), generator=view.stream("retain share"))[: round(s.retain_share * len(retain))]
    images, order, noise = joined(forget, retain.subset(share)), view.stream("order"), view.stream("gumbel")
    kept = FrozenLogits(view.original, retain.subset(share), view.spent)
    teacher = MixedTeacher(view.forget.logits, kept, len(forget))
    optimiser = torch.optim.AdamW(student.parameters(), lr=s.learning_rate, weight_decay=s.weight_decay)
    with track(s.epochs * -(-len(images) // s.batch_size), view.name) as bar:
        for _ in range(s.epochs):
            now = agreement(view, student)
            heat = temperature(s.alpha, now, goal)
            view.log("agreement", now)
            if heat is None:
                break
            view.log("temperature", heat)

            def loss(rows: torch.Tensor, inputs: torch.Tensor, logits: torch.Tensor, heat: float = heat) -> torch.Tensor:
                answers = gumbel(teacher.logits(rows, inputs), noise)
                hard = nn.functional.one_hot(answers.argmax(1), answers.shape[1]).to(answers)
                target = torch.where((rows < len(forget))[:, None], (answers / heat).softmax(1), hard)
                return -(target * logits.log_softmax(1)).sum(1).mean()

            walk = {"batch_size": s.batch_size, "order": order, "bar": bar}
            view.log("loss", one_pass(view, student.train(), optimiser, images, loss, **walk))
    return student


def lotus_passes(settings: LoTUSSettings, sizes: Sizes) -> Passes:
    """Every epoch passes D_f and the part of D_r, and D_f once more for the agreement; the original passes each image once.

    Exact for a whole class; for random images the schedule may end it earlier.
    """
    if not settings.epochs:
        return Passes(0)
    used = sizes.forget + round(settings.retain_share * sizes.retain)
    unseen = 0 if settings.whole_class else sizes.held_out
    return Passes(settings.epochs * used, used + settings.epochs * sizes.forget + unseen)
