"""Unroll: Thudi, Deza, Chandrasekaran, Papernot, "Unrolling SGD", EuroS&P 2022: add back the gradients of D_f at the start.

Single-gradient unlearning needs the initial weights theta_0 and an original trained by SGD with the batches of D_f first in
epoch 1 (``prepare_unroll``). The released code takes back ONE batch of 32, seen at the start of a phase that begins from a
pretrained model; there a first-order expansion may hold. Here whole sets are to be forgotten by an original that was trained
from scratch: hundreds of batches, times E, around a random start. The formula is the paper's and the regime is not, so this
row stands outside its claim (``catalogue``) and is not ranked.

Training mode, as in training: BatchNorm of theta_0 normalises each batch by itself; the running
statistics of the result are the original's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..support.progress import track
from ..training import adam
from .loops import batches, finite, sgd, step_count, take_step
from .method import Sizes
from .passes import Passes
from .settings import Settings
from .view import View

BETAS, EPSILON = (0.9, 0.999), 1e-8  # of PyTorch's Adam


@dataclass(frozen=True)
class UnrollSettings(Settings):
    """How the original is trained (``prepare_unroll``), and how much of its first steps is taken back."""

    epochs: int = 20  # E, the original's
    learning_rate: float = 0.01  # eta; no value in our description: the usual one of plain SGD
    optimiser: str = "sgd"  # published; "adam": see ``UnrollState.optimiser``
    batch_size: int = 32  # of training; the released code's, which takes back one such batch
    strength: float = 1.0  # of what is added back; published: 1


@dataclass(frozen=True)
class UnrollState:
    """What the original's training has to leave behind."""

    initial: Mapping[str, torch.Tensor]  # theta_0, by name of parameter
    learning_rate: float  # eta, of the optimiser that trained the original
    epochs: int  # E, that the original saw
    batch_size: int  # with which it was trained
    # ``sgd``: gradients are added back as they are, each a mean over its batch. ``adam``: what Adam made of the same gradients at
    # theta_0 is added back (its recurrences from zero, bias-corrected, weight decay left out), since eta times a bare gradient is
    # not the step that such an original took.
    optimiser: str = "sgd"


def _forget_batches(view: View, batch_size: int) -> list[torch.Tensor]:
    """The batches of D_f, the same in training and in unlearning."""
    return batches(len(view.forget), batch_size, view.stream("unroll", "forget order"))


def prepare_unroll(view: View, settings: UnrollSettings) -> tuple[nn.Module, UnrollState]:
    """An original trained with D_f's batches first in epoch 1, and what unrolling needs of it."""
    model = view.fresh("original").train()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimiser: torch.optim.Optimizer
    total: float | torch.Tensor
    optimiser = adam(model.parameters(), settings.learning_rate)
    if settings.optimiser == "sgd":
        optimiser = sgd(model, settings.learning_rate)
    order, forget, retain = view.stream("order"), view.forget, view.retain
    with track(settings.epochs, "original for unroll", unit="epoch") as bar:
        for epoch in range(settings.epochs):
            walk = [(forget, rows) for rows in _forget_batches(view, settings.batch_size)]
            walk += [(retain, rows) for rows in batches(len(retain), settings.batch_size, order)]
            if epoch:  # only the first epoch is in order
                walk = [walk[i] for i in torch.randperm(len(walk), generator=order).tolist()]
            total = 0.0
            for part, rows in walk:
                loss = F.cross_entropy(model(part.images.batch(rows, order)), part.labels[rows.to(view.device)])
                take_step(optimiser, loss)
                total += loss.detach()
            view.log("original", finite(view, float(total) / max(1, len(walk))))
            bar.update()
    return model, UnrollState(initial, settings.learning_rate, settings.epochs, settings.batch_size, settings.optimiser)


def _adam_direction(gradients: list[torch.Tensor], moments: list[list[torch.Tensor]], step: int) -> list[torch.Tensor]:
    """What Adam's step number ``step`` would move by, per unit of learning rate; updates ``moments`` in place."""
    result = []
    for gradient, (first, second) in zip(gradients, moments, strict=True):
        first.mul_(BETAS[0]).add_(gradient, alpha=1 - BETAS[0])
        second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        root = (second / (1 - BETAS[1] ** step)).sqrt()
        result.append(first / (1 - BETAS[0] ** step) / (root + EPSILON))
    return result


def first_steps(view: View, state: UnrollState) -> dict[str, torch.Tensor]:
    """The sum over D_f's batches of the direction each moved theta_0 in, by name of parameter."""
    start = view.student().train()
    with torch.no_grad():
        for name, value in start.named_parameters():
            value.copy_(state.initial[name])
    parameters, order, part = list(start.parameters()), view.stream("order"), view.forget
    total = [torch.zeros_like(p) for p in parameters]
    moments = [[torch.zeros_like(p), torch.zeros_like(p)] for p in parameters]
    for step, rows in enumerate(_forget_batches(view, state.batch_size), 1):
        loss = F.cross_entropy(start(part.images.batch(rows, order)), part.labels[rows.to(view.device)])
        direction = list(torch.autograd.grad(loss, parameters))
        if state.optimiser == "adam":
            direction = _adam_direction(direction, moments, step)
        total = [so_far + new for so_far, new in zip(total, direction, strict=True)]
        view.spent.training += len(rows)
        view.spent.ascent += 1
    return dict(zip([name for name, _ in start.named_parameters()], total, strict=True))


def unroll(view: View, settings: UnrollSettings) -> nn.Module:
    """theta'' = theta_T + eta E sum over D_f's batches of grad L(theta_0; b). Reads D_f alone.

    The learning rate, epochs and batch size are those that ``view.state`` says the original was trained with.

    Raises:
        DataAccessError: the request carries no ``UnrollState``.
    """
    state, student = view.state, view.student()
    scale, moved = settings.strength * state.learning_rate * state.epochs, first_steps(view, state)
    with torch.no_grad():
        for name, value in student.named_parameters():
            value.add_(moved[name], alpha=scale)
    return student


def unroll_ascent(settings: UnrollSettings, sizes: Sizes) -> int:
    """Batches taken back."""
    return step_count(sizes.forget, settings.batch_size)


def unroll_passes(settings: UnrollSettings, sizes: Sizes) -> Passes:
    """D_f once, forward and backward."""
    return Passes(sizes.forget)
