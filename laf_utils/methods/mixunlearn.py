"""MixUnlearn: Peng, Tang, Yang, "Adversarial Mixup Unlearning", ICLR 2025 (arXiv 2502.10288). Reads no label.

The student leaves the original's sharpened answers on D_f and keeps them on D_r, on real images and on mixtures of the two, which
a generator makes as hard for it as it can. The losses are the paper's equations 3 to 7; the sum over D_r is a mean here. In
equation 5 that sum runs over D_f in print, and over D_r in the text, in equation 3 and in the released file; D_r is taken.

Two parts of it stand as methods of their own: the loss on real images alone, and plain mixup in place of the generator.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..support.progress import track
from ..support.seeds import derive, initialisation
from ..training import adam
from .loops import batches, cycled, cycled_images, finite, take_step
from .method import Sizes
from .mixing import FeatureTap, MixBlock, mixed
from .passes import Passes
from .settings import Settings
from .view import View


@dataclass(frozen=True)
class RealSettings(Settings):
    """The loss on real images alone. Published: sharpening. Not in what is public: the rest, which is LAF's on the CNN, whose
    experiments the paper repeats, and weights of one. With them a class goes as it should, and random images far too
    thoroughly: tune them."""

    epochs: int = 20  # passes over D_f
    learning_rate: float = 1e-4  # Adam
    forget_batch: int = 32  # images
    retain_batch: int = 32
    temperature: float = 1.0  # tau, of D_f's side of every loss
    sharpening: float = 0.3  # T: targets are the original's probabilities to the power 1 / T, normalised


@dataclass(frozen=True)
class MixupSettings(RealSettings):
    """With plain mixup. Published: the parameter of the ratio's distribution."""

    mixing: float = 0.75  # alpha: the ratio of D_f in a mixture is drawn from Beta(alpha, alpha)
    real_weight: float = 1.0  # omega


@dataclass(frozen=True)
class MixUnlearnSettings(MixupSettings):
    """With the generator. Published: the interval."""

    interval: int = 4  # steps of the student to one of the generator
    generator_rate: float = 1e-3  # Adam, of the generator


def sharpened(logits: torch.Tensor, sharpening: float) -> torch.Tensor:
    """p^(1/T) / sum p^(1/T) [B, classes], p the softmax of the logits."""
    return (logits / sharpening).softmax(1)


def unlike(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1 - cos(softmax(logits), target) [B], in [0, 1]: the paper's SimLoss, which grows as the two part."""
    return 1 - F.cosine_similarity(logits.softmax(1), target)


def contrast(retain: torch.Tensor, forget: torch.Tensor, temperature: float) -> torch.Tensor:
    """mean over D_r of log(exp(r) / sum over D_f of exp(f / tau)): falls as D_r is kept and as D_f is left.

    Args:
        retain, forget: ``unlike`` of each image, [B_r] and [B_f].
    """
    return retain.mean() - torch.logsumexp(forget / temperature, 0)


@dataclass(frozen=True)
class _Pairs:
    """Mixtures of a step: as many as retained images, each with one forgotten image (its position in the batch)."""

    partner: torch.Tensor
    ratio: float


class _Mixtures:
    """The original's answers, pairs and mixtures of a step, and the loss on them; ``make(step, pairs)`` gives mixed images."""

    def __init__(self, view: View, settings: MixupSettings) -> None:
        self.view, self.settings, self.order = view, settings, view.stream("pairs")
        self.ratios = np.random.default_rng(derive(view.seed, "methods", "ratios"))

    def pairs(self, forget: int, retain: int) -> _Pairs:
        return _Pairs(
            torch.randperm(retain, generator=self.order) % forget,
            float(self.ratios.beta(*cast("tuple[float, float]", [self.settings.mixing] * 2))),
        )

    def loss(self, student: nn.Module, images: torch.Tensor, step: "_Step", pairs: _Pairs) -> torch.Tensor:
        """L_mix of the mixed images: near D_r's answers by (1 - ratio), away from D_f's by ratio."""
        logits = student(images)
        self.view.spent.training += len(images)
        away = unlike(logits, step.forget_target[pairs.partner.to(logits.device)])
        return contrast((1 - pairs.ratio) * unlike(logits, step.retain_target), pairs.ratio * away, self.settings.temperature)

    def answers(self, part: str, rows: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        return getattr(self.view, part).logits.of_batch(rows, inputs)

    def make(self, step: "_Step", pairs: _Pairs) -> torch.Tensor:
        return mixed(step.forget[pairs.partner.to(step.forget.device)], step.retain, pairs.ratio)

    def before(self, student: nn.Module, step: "_Step") -> None:
        """What comes before the student's step: nothing."""


class _Generated(_Mixtures):
    """Mixtures by the generator, which takes a step of its own now and then, against the student."""

    def __init__(self, view: View, settings: MixUnlearnSettings, tap: FeatureTap) -> None:
        self.settings: MixUnlearnSettings
        self.features: dict[str, torch.Tensor]
        self.block: MixBlock | None
        super().__init__(view, settings)
        self.tap, self.features, self.block, self.steps = tap, {}, None, 0

    def answers(self, part: str, rows: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            logits = self.view.original(inputs)
        self.view.spent.frozen += len(inputs)
        self.features[part] = self.tap.features
        return logits

    def _generator(self) -> MixBlock:
        if self.block is None:
            with initialisation(self.view.seed, "methods", "mix block"):
                self.block = MixBlock(self.features["forget"].shape[1]).to(self.view.device)
            self.optimiser = adam(self.block.parameters(), self.settings.generator_rate)
        return self.block

    def make(self, step: "_Step", pairs: _Pairs) -> torch.Tensor:
        partner = pairs.partner.to(step.forget.device)
        share = self._generator()(self.features["forget"][partner], self.features["retain"], pairs.ratio, step.retain.shape[2:])
        return mixed(step.forget[partner], step.retain, share)

    def before(self, student: nn.Module, step: "_Step") -> None:
        if self.steps % self.settings.interval == 0:
            pairs = self.pairs(len(step.forget), len(step.retain))
            student.requires_grad_(False)
            against = -self.loss(student, self.make(step, pairs), step, pairs)  # its first mixtures make generator and optimiser
            take_step(self.optimiser, against)
            student.requires_grad_(True)
        self.steps += 1


@dataclass(frozen=True)
class _Step:
    """A batch of each set and the sharpened answers of the original to it."""

    forget: torch.Tensor
    retain: torch.Tensor
    forget_target: torch.Tensor
    retain_target: torch.Tensor


def _unlearn(view: View, settings: RealSettings, mixtures: _Mixtures, use: bool) -> nn.Module:
    """The shared loop; without ``use`` no mixture is made."""
    s, student = settings, view.student().train()
    optimiser, order = adam(student.parameters(), s.learning_rate), view.stream("order")
    retain_batches = cycled(len(view.retain), s.retain_batch, view.stream("retain order"))
    with track(s.epochs * -(-len(view.forget) // s.forget_batch), view.name) as bar:
        for _ in range(s.epochs):
            total, steps = torch.zeros(2, device=view.device), 0
            for rows_f in batches(len(view.forget), s.forget_batch, order):
                rows_r = next(retain_batches)
                x_f, x_r = view.forget.images.batch(rows_f, order), view.retain.images.batch(rows_r, order)
                asked = ("forget", rows_f, x_f), ("retain", rows_r, x_r)
                targets = [sharpened(mixtures.answers(*one), s.sharpening) for one in asked]
                step = _Step(x_f, x_r, *targets)
                of_mixed = torch.zeros((), device=view.device)
                if use:
                    mixtures.before(student, step)
                    pairs = mixtures.pairs(len(x_f), len(x_r))
                    with torch.no_grad():
                        images = mixtures.make(step, pairs)
                    of_mixed = mixtures.loss(student, images, step, pairs)
                real = contrast(unlike(student(x_r), targets[1]), unlike(student(x_f), targets[0]), s.temperature)
                view.spent.training += len(x_f) + len(x_r)
                take_step(optimiser, of_mixed + (cast(MixupSettings, s).real_weight * real if use else real))
                total, steps = total + torch.stack([real, of_mixed]).detach(), steps + 1
                bar.update()
            means = dict(zip(("real_loss", "mixed_loss"), (total / steps).tolist(), strict=True))
            for name in means if use else ("real_loss",):
                view.log(name, finite(view, means[name]))
    return student


def real_alone(view: View, settings: RealSettings) -> nn.Module:
    """L_real alone: no mixture, no generator."""
    return _unlearn(view, settings, _Mixtures(view, MixupSettings()), use=False)


def mixup(view: View, settings: MixupSettings) -> nn.Module:
    """L_mix on plain mixtures ratio x_f + (1 - ratio) x_r, and L_real."""
    return _unlearn(view, settings, _Mixtures(view, settings), use=True)


def mixunlearn(view: View, settings: MixUnlearnSettings) -> nn.Module:
    """L_mix on the generator's mixtures, and L_real; the generator climbs L_mix. It needs a network with a feature map."""
    with FeatureTap(view.original) as tap:
        return _unlearn(view, settings, _Generated(view, settings, tap), use=True)


def _steps(settings: RealSettings, sizes: Sizes) -> tuple[int, int]:
    """(steps, retained images in them)."""
    steps = settings.epochs * len(batches(sizes.forget, settings.forget_batch, torch.Generator()))
    return steps, cycled_images(sizes.retain, settings.retain_batch, steps)


def _frozen(settings: RealSettings, sizes: Sizes) -> int:
    return sizes.forget + sizes.retain if settings.epochs else 0


def real_alone_passes(settings: RealSettings, sizes: Sizes) -> Passes:
    """Every epoch passes D_f and as many batches of D_r; the original passes both sets once."""
    return Passes(settings.epochs * sizes.forget + _steps(settings, sizes)[1], _frozen(settings, sizes))


def mixup_passes(settings: MixupSettings, sizes: Sizes) -> Passes:
    """The mixtures besides: as many as retained images."""
    return Passes(settings.epochs * sizes.forget + 2 * _steps(settings, sizes)[1], _frozen(settings, sizes))


def _of_generator(settings: MixUnlearnSettings, sizes: Sizes) -> int:
    """Mixtures that pass the student for the generator's steps: each one has as many as its batch of D_r."""
    known = [len(rows) for rows in batches(sizes.retain, settings.retain_batch, torch.Generator())]
    return sum(known[step % len(known)] for step in range(0, _steps(settings, sizes)[0], settings.interval))


def mixunlearn_passes(settings: MixUnlearnSettings, sizes: Sizes) -> Passes:
    """The generator's steps besides; the original passes every batch, for its features."""
    retain = _steps(settings, sizes)[1]
    forget = settings.epochs * sizes.forget
    return Passes(forget + 2 * retain + _of_generator(settings, sizes), forget + retain)


