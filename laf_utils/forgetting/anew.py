"""A network that has its images by heart: a fresh one learns the retained images anew, from the original's answers.

Whoever has all images by heart answers them as their labels do, so that these answers teach what the labels taught, and nothing
of D_f. What is known by heart cannot be taken out of the weights a step at a time: every such step is seen. So D_r is learned
afresh, which is what retraining does, in fewer passes: the layers start levelled (after Mishkin and Matas, "All You Need Is a
Good Init", ICLR 2016, algorithm 1), and the learning rate stays high until nine answers in ten are learned, then falls to zero.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from ..methods.relearn_start import LateStatistics
from ..models import Network
from ..support.seeds import stream
from ..training import TrainingDiverged, adam
from .adapting import inner
from .cutting import layer_of
from .evidence import LEAST_COMPARED
from .head import Extractor
from .reference import fresh
from .sources import OwnImages
from .workers import frozen_pass

# Chosen on networks of benchmarks/by_heart.py, seeds 5 to 9, after 12 to 60 epochs. What is taken for known by heart and is not
# costs a fresh network's lessons: the floor for utility lets it go.
SURE = 0.12  # mean doubt, 1 - p of the likeliest class, that a network by heart has of trained images at most
UNSURE = 1.15  # times as much it has of unseen ones at least
PLAIN = 0.02  # and doubt of unseen images that it has at least
BEYOND = 2.5  # standard errors by which its doubts of the two differ at least
LEVELLED = 256  # images on which the layers' outputs are made mean 0 and variance 1
LEAST_SPREAD = 1e-4  # of a layer's outputs: what is constant stays as it is
HELD = 1 << 28  # bytes of images that are kept in memory
# So far below the floor may utility on unseen images lie: two networks that were trained alike differ there, and one that has its
# images by heart is sure of its answers even where it is wrong. A retrained one was seen at 0.895 (1,000 images, one seed), which
# on 500 images and from another seed may be 0.85. The fresh successor of a pretrained network lies far below that.
APART = 0.15


@dataclass(frozen=True)
class Anew:
    """Lengths and rates of the fresh network's training. A leg is a pass over D_r, of ``shortest`` steps at least."""

    batch_size: int = 50  # images
    learning_rate: float = 3e-3  # Adam's, after the first leg, through which it rises
    goal: float = 0.9  # share of answers that a leg has learned, from which on the rate falls
    falling: int = 4  # legs over which it falls to zero
    most: int = 40  # legs in all
    shortest: int = 16  # steps of a leg
    longest: int = 250  # likewise, where D_r is large

    def leg(self, retain: int) -> int:
        """Steps of a leg over ``retain`` images."""
        return max(self.shortest, min(self.longest, retain // self.batch_size))


def by_heart(before: Mapping[str, torch.Tensor | None]) -> bool:
    """Whether a network is sure of what it was trained on and plainly less sure of what it was not. Reads no label.

    Args:
        before: its logits [n, classes] on ``forget``, ``retain`` and ``unseen`` images; without one of them, or with fewer than
            ``LEAST_COMPARED`` unseen ones, nobody can tell, and it is not.
    """
    found = {name: logits for name, logits in before.items() if logits is not None}
    if not {"forget", "retain", "unseen"} <= set(found) or len(found["unseen"]) < LEAST_COMPARED:
        return False
    doubt = {name: 1 - logits.double().softmax(1).max(1).values for name, logits in found.items()}
    trained, unseen = torch.cat([doubt["forget"], doubt["retain"]]), doubt["unseen"]
    error = (trained.var() / len(trained) + unseen.var() / len(unseen)).sqrt().item()
    sure, unsure = trained.mean().item(), unseen.mean().item()
    return sure <= SURE and unsure >= max(PLAIN, UNSURE * sure) and unsure - sure >= BEYOND * error


@torch.no_grad()
def level(network: Network, inputs: torch.Tensor) -> None:
    """Scale and shift the layers below the head, so that each gives mean 0 in every channel and variance 1 in all, in one pass.

    PyTorch's own start shrinks the spread from layer to layer, and images between 0 and 1 shift it: without levelling a plain
    network spends the first epochs on undoing that.

    Args:
        network: fresh, in training mode; changed in place.
        inputs: [B, ...], a batch of D_r.
    """
    model, seen = inner(cast(Extractor, network.extractor).model), set[int]()
    head = model.get_submodule(layer_of(cast(Extractor, network.extractor).head)[0])

    def levelled(layer: nn.Module, _: object, output: torch.Tensor) -> torch.Tensor | None:
        weight, bias = cast(nn.Parameter, layer.weight), cast(nn.Parameter | None, layer.bias)
        if id(weight) in seen or not isinstance(output, torch.Tensor):
            return None
        seen.add(id(weight))
        channel = output.ndim - 1 if isinstance(layer, nn.Linear) else 1
        rest = [axis for axis in range(output.ndim) if axis != channel]
        mean = output.mean(rest, keepdim=True) if bias is not None else output.new_zeros(())
        spread = (output - output.mean(rest, keepdim=True)).std()
        if not spread.isfinite() or spread < LEAST_SPREAD:
            return None
        weight.div_(spread)
        if bias is not None:
            bias.copy_((bias - mean.flatten()) / spread)
        return (output - mean) / spread

    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd) and m is not head]
    hooks = [layer.register_forward_hook(levelled) for layer in layers]
    try:
        model(inputs)
    finally:
        for hook in hooks:
            hook.remove()


def _batches(count: int, size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Rows of full batches, pass after pass: BatchNorm cannot train on a rest of one image."""
    while True:
        yield from (rows for rows in torch.randperm(count, generator=generator).split(size) if len(rows) == size)


class _Teaching:
    """The fresh network's lessons, leg after leg."""

    def __init__(self, network: nn.Module, images: OwnImages, answers: torch.Tensor, settings: Anew) -> None:
        self.network, self.images, self.answers, self.settings = network, images, answers, settings
        self.optimiser = adam(network.parameters(), settings.learning_rate)
        self.steps = settings.leg(len(images))

    def leg(self, batches: Iterator[torch.Tensor], rate: Callable[[float], float]) -> float:
        """Share of the answers that were right on the way. ``rate``: of the learning rate, at 0 < t <= 1 of the leg.

        Raises:
            TrainingDiverged: a loss is not finite.
        """
        right, total, seen = 0, torch.zeros((), device=self.answers.device), 0
        for step, rows in enumerate(islice(batches, self.steps)):
            for group in self.optimiser.param_groups:
                group["lr"] = self.settings.learning_rate * rate((step + 1) / self.steps)
            said, wanted = self.network(self.images.batch(rows)).float(), self.answers[rows.to(self.answers.device)]
            loss = F.cross_entropy(said, wanted)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            total += loss.detach()
            right += (said.argmax(1) == wanted).sum()
            seen += len(rows)
        if not math.isfinite(total.item()):
            raise TrainingDiverged("a fresh network: its loss is not finite")
        return float(right) / seen


def _falling(done: float, leg: float, t: float) -> float:
    """Half a cosine from 1 to 0 over all falling legs: at ``t`` of a leg, before which the share ``done`` was."""
    return 0.5 * (1 + math.cos(math.pi * (done + leg * t)))


def taught_anew(original: Network, retain: OwnImages, settings: Anew, seed: int) -> Network:
    """A fresh network of the original's architecture that has learned its hard answers on D_r, in evaluation mode.

    Args:
        original: frozen, in evaluation mode; it is left as it is.
        retain: all of D_r.

    Raises:
        TrainingDiverged: a loss is not finite.
    """
    images, draws = retain.held(HELD), stream(seed, "own", "anew")
    answers = frozen_pass(original, images, "answers").argmax(1)
    network = cast(Network, fresh(original, draws)).train()
    teaching, statistics = _Teaching(network, images, answers, settings), LateStatistics(network)
    batches = _batches(len(images), min(settings.batch_size, len(images)), draws)
    with torch.random.fork_rng(devices=[]):  # of dropout
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=draws)))
        level(network, images.batch(torch.randperm(len(images), generator=draws)[:LEVELLED]))
        learned = teaching.leg(batches, lambda t: t)
        for _ in range(settings.most - settings.falling - 1):
            if learned >= settings.goal:
                break
            learned = teaching.leg(batches, lambda t: 1.0)
        for number in range(settings.falling):
            if number == settings.falling - 1:
                statistics.begin()
            teaching.leg(batches, partial(_falling, number / settings.falling, 1 / settings.falling))
    statistics.end()
    return network.eval().requires_grad_(False)
