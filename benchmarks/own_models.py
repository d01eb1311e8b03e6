"""The classifiers that ``own.py`` forgets in: torchvision's ResNet-18, unchanged, trained on CIFAR-10 at 32x32.

``python -m benchmarks.own_models`` trains the original on a class-balanced slice and the retrained model on the same slice
without the removed class, by one recipe, and keeps both with their seconds in ``LAF_RUNS/own``.
What is kept is not trained again.
"""

import argparse
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet18

from benchmarks.common import cut, say
from laf_utils import datasets
from laf_utils.images import Images, Transform, shuffled
from laf_utils.support import artefacts
from laf_utils.support.paths import runs_folder
from laf_utils.support.seeds import initialisation, stream

TRANSFORM = Transform(normalise=True)  # evaluation; training adds crop and flip


@dataclass(frozen=True)
class Recipe:
    """How both models are trained: the common one of CIFAR-10, shortened."""

    images: int = 15_000  # class-balanced
    epochs: int = 12
    batch_size: int = 128
    learning_rate: float = 0.1  # SGD, momentum 0.9, one cycle
    weight_decay: float = 5e-4
    seed: int = 0
    removed: int = 0  # class


def network(seed: int = 0) -> nn.Module:
    """torchvision's ResNet-18 with ten classes, nothing of it changed."""
    with initialisation(seed, "own", "initialisation"):
        return resnet18(num_classes=10)


def data(recipe: Recipe) -> datasets.Dataset:
    """The slice, and the whole test set."""
    return cut(datasets.load("cifar10", download=False), recipe.images, seed=recipe.seed)


def fit(model: nn.Module, pixels: torch.Tensor, labels: torch.Tensor, recipe: Recipe, stage: str) -> dict[str, float]:
    """Train in place; the seconds that took, by both clocks."""
    images, order = Images(pixels, Transform(normalise=True, augment=True)), stream(recipe.seed, stage, "order")
    steps = recipe.epochs * -(-len(images) // recipe.batch_size)
    optimiser = torch.optim.SGD(
        model.parameters(), lr=recipe.learning_rate, momentum=0.9, weight_decay=recipe.weight_decay, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, total_steps=steps)
    model.to(memory_format=torch.channels_last).train()
    start, cpu = time.perf_counter(), time.process_time()
    for epoch in range(recipe.epochs):
        total = 0.0
        for rows in shuffled(len(images), recipe.batch_size, order):
            loss = F.cross_entropy(model(images.batch(rows, order)), labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(rows)
        say(f"{stage} epoch {epoch + 1}: loss {total / len(images):.3f}, {time.perf_counter() - start:.0f} s")
    model.eval()
    return {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu}


def trained(recipe: Recipe, stage: str) -> tuple[nn.Module, dict[str, float]]:
    """The original (``stage="original"``) or the retrained model, and the seconds its training took, by both clocks."""
    folder, content, model = runs_folder() / "own", vars(recipe), network(recipe.seed)
    found = artefacts.load(folder, stage, content)
    if found is None:
        whole = data(recipe).train
        kept = torch.arange(len(whole)) if stage == "original" else (whole.labels != recipe.removed).nonzero().flatten()
        seconds = fit(model, whole.images[kept], whole.labels[kept], recipe, stage)
        artefacts.save(folder, stage, content, artefacts.Artefact(dict(model.state_dict()), {"seconds": seconds}))
        found = artefacts.load(folder, stage, content)
    model.load_state_dict(found.tensors)
    return model.eval(), found.facts["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=Recipe.images)
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    options = parser.parse_args()
    recipe = Recipe(images=options.images, epochs=options.epochs)
    for stage in ("original", "retrained"):
        say(f"{stage}: {trained(recipe, stage)[1]}")


if __name__ == "__main__":
    main()
