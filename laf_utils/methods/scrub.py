"""SCRUB and SCRUB+R: Kurmanji, Triantafillou, Hayes, Triantafillou, "Towards Unbounded Machine Unlearning", NeurIPS 2023.

A student starts as a copy of the original, the frozen teacher: it leaves the teacher on D_f and stays with it on D_r. The student
is in training mode in both passes (BatchNorm's statistics move, with D_f too), the teacher in evaluation mode.

KL(teacher || student) has its minimum, and so no gradient, where student and teacher agree. Without BatchNorm, dropout or crops
(the notebooks train without BatchNorm, too) the first step over D_f therefore starts from weight decay and rounding alone.
What it climbs afterwards has no bound, so the number of those steps is part of the method, and the batch of D_f sets it:
published are 8 to 20 steps. With smaller batches, or on a larger D_f, it takes more and may run away; with few it may forget
nothing.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any  # noqa: F401 (types of dictionaries, in comments)

import torch
import torch.nn.functional as F
from torch import nn

from ..support.progress import track
from ..training import adam
from .loops import distillation, one_pass, sgd, step_count
from .method import Sizes
from .passes import Passes
from .settings import Settings
from .view import View


@dataclass(frozen=True)
class ScrubSettings(Settings):
    """The published small-scale settings (``small_scale_unlearning.ipynb`` of meghdadk/SCRUB)."""

    epochs: int = 10  # passes over D_r
    max_steps: int = 3  # of those epochs, the first ones that also pass D_f ("msteps")
    optimiser: str = "adam"
    learning_rate: float = 5e-4
    weight_decay: float = 0.1  # L2 term of the optimiser
    momentum: float = 0.9  # of SGD
    gamma: float = 1.0  # weight of the cross-entropy on D_r; 0 reads no label
    alpha: float = 0.5  # weight of the distillation on D_r
    temperature: float = 2.0
    decay_after: tuple[int, ...] = (5, 8, 9)  # epochs after which the learning rate is multiplied by decay_rate
    decay_rate: float = 0.1
    forget_batch: int = 64  # images; |D_f| there is 300: 15 steps against it
    retain_batch: int = 32


LARGE_CLASS = ScrubSettings(  # large_scale_unlearning.ipynb: |D_f| 4,000 to 5,000, 16 to 20 steps
    epochs=3, max_steps=2, optimiser="sgd", learning_rate=5e-4, weight_decay=5e-4, gamma=0.99, alpha=0.001, temperature=4.0,
    decay_after=(3, 5, 9), forget_batch=512, retain_batch=256,
)
CONFUSION = ScrubSettings(  # small_scale_ictest.ipynb: |D_f| 100 to 200, 8 to 14 steps
    max_steps=2, gamma=99.0, alpha=0.01, decay_after=(5, 6, 9), forget_batch=32, retain_batch=32,
)
# By task: class removal takes the large-scale class settings, noisy labels those of label confusion.
PUBLISHED = {"class": LARGE_CLASS, "noisy": CONFUSION}
WITHOUT_LABELS = {task: replace(settings, gamma=0.0) for task, settings in PUBLISHED.items()}


def learning_rate(settings: ScrubSettings, epoch: int) -> float:
    """Of ``epoch``, counted from 1: one factor of ``decay_rate`` for each milestone that lies before it."""
    return settings.learning_rate * settings.decay_rate ** sum(epoch > milestone for milestone in settings.decay_after)


def _optimiser(student: nn.Module, settings: ScrubSettings) -> torch.optim.Optimizer:
    if settings.optimiser == "adam":
        return adam(student.parameters(), settings.learning_rate, settings.weight_decay)
    return sgd(student, settings.learning_rate, settings.momentum, settings.weight_decay)


def _scrub(view: View, settings: ScrubSettings, after_epoch: Callable[[nn.Module], None]) -> nn.Module:
    student, order, s = view.student().train(), view.stream("order"), settings
    labels = view.retain.labels if s.gamma else None
    forget, retain, optimiser = view.forget.logits, view.retain.logits, _optimiser(student, s)

    def leave(rows: torch.Tensor, inputs: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        return -distillation(logits, forget.of_batch(rows, inputs), s.temperature)

    def stay(rows: torch.Tensor, inputs: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        loss = s.alpha * distillation(logits, retain.of_batch(rows, inputs), s.temperature)
        return loss if labels is None else loss + s.gamma * F.cross_entropy(logits, labels[rows])

    forgetting = {"batch_size": s.forget_batch, "order": order, "against": True}  # type: dict[str, Any]
    retaining = {"batch_size": s.retain_batch, "order": order}  # type: dict[str, Any]
    sizes = Sizes(len(view.forget), len(view.retain))
    steps = scrub_ascent(s, sizes) + s.epochs * step_count(sizes.retain, s.retain_batch)
    with track(steps, view.name) as bar:
        for epoch in range(1, s.epochs + 1):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(s, epoch)
            view.log("learning_rate", learning_rate(s, epoch))
            if epoch <= s.max_steps:
                view.log("forget_kl", -one_pass(view, student, optimiser, view.forget.images, leave, bar=bar, **forgetting))
            view.log("retain_loss", one_pass(view, student, optimiser, view.retain.images, stay, bar=bar, **retaining))
            after_epoch(student)
    return student


def scrub(view: View, settings: ScrubSettings) -> nn.Module:
    """SCRUB: maximise T^2 KL(teacher || student) on D_f in the first ``max_steps`` epochs, minimise
    gamma CE + alpha T^2 KL(teacher || student) on D_r in every epoch. With gamma 0 no label is read."""
    return _scrub(view, settings, lambda student: None)


def scrub_ascent(settings: ScrubSettings, sizes: Sizes) -> int:
    """One for each batch of D_f in the epochs that maximise."""
    return min(settings.max_steps, settings.epochs) * step_count(sizes.forget, settings.forget_batch)


def scrub_passes(settings: ScrubSettings, sizes: Sizes) -> Passes:
    """The teacher passes each set once, as far as it is used."""
    maximising = min(settings.max_steps, settings.epochs)
    frozen = (sizes.forget if maximising else 0) + (sizes.retain if settings.epochs else 0)
    return Passes(maximising * sizes.forget + settings.epochs * sizes.retain, frozen)


def scrub_r(view: View, settings: ScrubSettings) -> nn.Module:
    """SCRUB+R: run SCRUB, keep the weights of every epoch, and rewind to the one whose forget error is closest to the reference.

    The reference is the error of the last epoch's model on held-out images of the classes that occur in D_f: what a model
    that never saw them would get wrong. Of epochs equally close the earliest is taken.
    """
    kept: list[dict[str, torch.Tensor]] = []

    def keep(student: nn.Module) -> None:
        kept.append(copy.deepcopy(student.state_dict()))
        view.log("forget_error", view.error(student, view.forget))

    same_classes = torch.isin(view.held_out.labels, view.forget.labels.unique()).nonzero().squeeze(1)
    if not len(same_classes):
        raise ValueError("SCRUB+R needs held-out images of the classes in D_f, and there are none")
    student = _scrub(view, settings, keep)
    if kept:
        reference = view.error(student, view.held_out, same_classes)
        chosen = closest(view.history["forget_error"], reference)
        view.log("held_out_error", reference)
        view.log("chosen_epoch", chosen + 1)
        student.load_state_dict(kept[chosen])
    return student


def closest(errors: list[float], reference: float) -> int:
    """Position of the error closest to the reference, the first of equals."""
    return min(range(len(errors)), key=lambda epoch: abs(errors[epoch] - reference))


def scrub_r_passes(settings: ScrubSettings, sizes: Sizes) -> Passes:
    """SCRUB's, the forget error after each epoch, and the held-out error once."""
    base = scrub_passes(settings, sizes)
    return Passes(base.training, base.frozen + settings.epochs * sizes.forget + (sizes.held_out if settings.epochs else 0))
