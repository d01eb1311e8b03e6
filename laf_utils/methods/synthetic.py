"""Forgetting with synthetic embeddings: "A Universal Source-Free Class Unlearning Framework via Synthetic Embeddings", TMLR 2026.

Random inputs of the last layer that the original takes for the class to be forgotten stand for its images, and a known method
trains the last layer on them: DELETE, the one that the authors' examples take. No image is read but to learn which classes D_f
holds, and none at all where ``classes`` names them. The authors keep the epoch that is best on test images; here it is the last.
"""

from dataclasses import dataclass

import torch
from torch import nn

from ..support.progress import track
from .delete import struck_out_loss
from .loops import finite, sgd, take_step
from .method import Sizes
from .passes import Passes
from .settings import Settings
from .view import View, last_linear

DRAWN = 2_000  # embeddings at a time
TRIES = 5_000  # times that many, at most


@dataclass(frozen=True)
class SyntheticSettings(Settings):
    """Of the authors' examples for CIFAR-10 and ResNet-18."""

    epochs: int = 200  # over the embeddings
    learning_rate: float = 0.01  # SGD, cosine to zero
    momentum: float = 0.9
    batch_size: int = 1024  # embeddings
    samples: int = 5_000  # embeddings of each forgotten class
    classes: tuple[int, ...] = ()  # the forgotten ones; empty: asked of the original, on D_f


def held_classes(answers: torch.Tensor, classes: int) -> torch.Tensor:
    """int64: the classes that at least half as many answers (int64 [N]) name as name the commonest one."""
    counts = torch.bincount(answers, minlength=classes)
    return (2 * counts >= counts.max()).nonzero().squeeze(1)


@torch.no_grad()
def embeddings(layer: nn.Linear, classes: torch.Tensor, samples: int, draw: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Standard normal inputs [n, inputs] that ``layer`` takes for one of ``classes``, and which (int64 [n]): ``samples`` of each,
    or as many as were found.

    Raises:
        ValueError: none was found; random inputs never reach these classes.
    """
    found: dict[int, list[torch.Tensor]] = {c: [] for c in classes.tolist()}
    missing = dict.fromkeys(found, samples)
    for _ in range(TRIES):
        inputs = torch.randn(DRAWN, layer.in_features, generator=draw).to(layer.weight)
        answers = layer(inputs).argmax(1)
        for c in found:
            taken = inputs[answers == c][: missing[c]]
            found[c].append(taken)
            missing[c] -= len(taken)
        if not any(missing.values()):
            break
    counts = {c: sum(map(len, parts)) for c, parts in found.items()}
    if not any(counts.values()):
        raise ValueError(f"synthetic embeddings: of {TRIES * DRAWN} random inputs the last layer takes none for {list(found)}")
    pseudo = torch.cat([torch.full((counts[c],), c) for c in found]).to(layer.weight.device)
    return torch.cat([part for parts in found.values() for part in parts]), pseudo


def synthetic(view: View, settings: SyntheticSettings) -> nn.Module:
    """DELETE on the last layer, on random embeddings that it takes for the forgotten classes."""
    student, s = view.student(), settings
    if not s.epochs:
        return student
    told = torch.tensor(s.classes) if s.classes else held_classes(view.forget.pseudo_labels.cpu(), view.classes)
    layer, original = last_linear(student)[1], last_linear(view.original)[1]
    inputs, pseudo = embeddings(original, told, s.samples, view.stream("embeddings"))
    with torch.no_grad():
        answers = original(inputs)
    optimiser = sgd(layer, s.learning_rate, s.momentum)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, s.epochs)
    with track(s.epochs, view.name, unit="epoch") as bar:
        for _ in range(s.epochs):
            total = 0.0
            for rows in torch.arange(len(inputs), device=inputs.device).split(s.batch_size):
                loss = struck_out_loss(layer(inputs[rows]), answers[rows], pseudo[rows])
                take_step(optimiser, loss)
                total += loss.item() * len(rows)
            schedule.step()
            view.log("kl", finite(view, total / len(inputs)))
            bar.update()
    return student


def synthetic_passes(settings: SyntheticSettings, sizes: Sizes) -> Passes:
    """D_f once, to ask the original for its classes; the last layer alone is no pass."""
    return Passes(0, sizes.forget if settings.epochs and not settings.classes else 0)
