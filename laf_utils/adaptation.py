"""The loop of LAF: batches of D_f and D_r in pairs, one step for each loss, and a label-free rule that ends it."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import nn
from tqdm import tqdm

from .images import ImageView, shuffled
from .losses import Densities, drift, extractor_unlearning_loss, representation_alignment_loss
from .models import Network
from .representations import FrozenRepresentations
from .settings.config import UnlearningConfig
from .stopping import EVERY, AgreementRule, Rule
from .support.devices import precision
from .support.progress import track
from .support.seeds import stream
from .training import TrainingDiverged, adam


@dataclass(frozen=True)
class Teacher:
    """The frozen original's representations of both sets; what was computed for the VAEs is not computed again."""

    forget: FrozenRepresentations
    retain: FrozenRepresentations


@dataclass(frozen=True)
class Unlearned:
    """What unlearning gives."""

    model: Network  # the unlearned network, sharing no storage with the original
    loss_ue: list[float]  # mean loss per step of each epoch; empty where a loss was switched off
    loss_ra: list[float]  # likewise
    steps: int  # of either loss, taken until the weights that ``model`` holds
    images_passed: int  # images passed forward and backward, both losses counted
    # images passed forward only: by the label-free rule, and by the teacher where crops make every batch new
    images_watched: int = 0
    agreement: list[dict[str, float]] = field(default_factory=list)  # what that rule saw, one entry per look (empty without it)
    steps_taken: int = 0  # in all, those after the point that the rule went back to included


@torch.no_grad()
def reestimate_batchnorm(model: nn.Module, images: ImageView, batch_size: int = 250) -> None:
    """Replace BatchNorm's running statistics, which the forgotten data helped to make, by those of ``images``."""
    layers = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # cumulative average
        layer.train()
    images = images.for_evaluation()
    # The average is over batches, so that they must be of one size.
    for rows in torch.arange(len(images)).tensor_split(-(-len(images) // batch_size)):
        model(images.batch(rows))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


class Adaptation:
    """One unlearning run: the student, the frozen teacher's representations, and a step for each loss.

    A subclass that overrides ``of_extractor``, ``of_alignment`` or ``drift`` is LAF with that part exchanged.
    """

    def __init__(
        self, original: Network, forget: ImageView, retain: ImageView, densities: Densities, config: UnlearningConfig, seed: int,
        teacher: Teacher | None, watched: ImageView | None = None, rule: Rule | None = None,
    ) -> None:
        self.config, self.densities, self.forget, self.retain = config, densities, forget, retain
        self.student = copy.deepcopy(original).eval()  # BatchNorm stays in evaluation mode, as published
        if config.batchnorm == "retain":
            reestimate_batchnorm(self.student, retain)
        # The classifier gets no gradient; the graph of the frozen parts is never built.
        self.student.requires_grad_(False).extractor.requires_grad_(True)
        self.teacher = teacher or Teacher(
            FrozenRepresentations(original.extractor, forget), FrozenRepresentations(original.extractor, retain)
        )
        self.teacher.forget.prepare()
        self.teacher.retain.prepare()
        agreement = config.stop == "agreement" and rule is None
        self.rule = AgreementRule(original, forget, watched or retain, seed) if agreement else rule
        self.every = rule.every if rule else EVERY
        self.steps = self.images_passed = self.teacher_passed = 0
        self.stopped = False
        self.order = stream(seed, "unlearning", "order")
        self.noise = stream(seed, "unlearning", "noise", device=forget.device)
        self.adam_ue = adam(self.student.extractor.parameters(), config.lr_ue)
        self.adam_ra = adam(self.student.extractor.parameters(), config.lr_ra)

    def pairs(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Batches of D_f and D_r side by side, reshuffled; the epoch ends with the shorter set."""
        size, drop = self.config.batch_size, self.config.drop_ragged
        forget = shuffled(len(self.forget), size, self.order, drop)
        retain = shuffled(len(self.retain), size, self.order, drop)
        return list(zip(forget, retain, strict=False))

    def represent(self, inputs: torch.Tensor, count_retain: int) -> tuple[torch.Tensor, torch.Tensor]:
        """g_U of both halves in one pass: [B_r, 256], [B_f, 256]."""
        with precision(inputs.device, self.config.precision):
            e = self.student.extractor(inputs)
        return e[:count_retain].float(), e[count_retain:].float()

    def of_teacher(self, inputs: torch.Tensor, rows: tuple) -> tuple[torch.Tensor, torch.Tensor]:
        """g_D of both halves of a step's inputs: [B_r, 256], [B_f, 256]."""
        count = len(rows[1])
        self.teacher_passed += 0 if self.teacher.retain.cached else len(inputs)
        retain = self.teacher.retain.of_batch(rows[1], inputs[:count])
        return retain, self.teacher.forget.of_batch(rows[0], inputs[count:])

    def drift(self, unlearned: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
        """c(x) [B] of ``of_alignment``."""
        return drift(unlearned, original)

    def loss(self, part: str, e: tuple[torch.Tensor, torch.Tensor], inputs: torch.Tensor, rows: tuple) -> torch.Tensor:
        """``ue`` or ``ra`` of representations [B_r, 256], [B_f, 256] of ``inputs``, the images ``rows`` = (forget, retain)."""
        return (self.of_extractor if part == "ue" else self.of_alignment)(e, inputs, rows)

    def of_extractor(self, e: tuple[torch.Tensor, torch.Tensor], inputs: torch.Tensor, rows: tuple) -> torch.Tensor:
        """L_UE."""
        return extractor_unlearning_loss(*e, self.densities, self.noise, self.config.reduction)

    def of_alignment(self, e: tuple[torch.Tensor, torch.Tensor], inputs: torch.Tensor, rows: tuple) -> torch.Tensor:
        """L_RA."""
        config, original = self.config, self.of_teacher(inputs, rows)
        drifts = (self.drift(e[0], original[0]), self.drift(e[1], original[1]))
        return representation_alignment_loss(*drifts, config.temperature, config.reduction, config.use_ra)

    def epoch(self, losses: list[str], bar: tqdm) -> dict[str, float]:
        """One epoch of the named losses (``ue``, ``ra``, or ``ue+ra`` as one step); the mean of each per step.

        Where the label-free rule has seen enough the epoch ends early and ``stopped`` is set.
        """
        zero, pairs, taken = torch.zeros((), device=self.forget.device), self.pairs(), 0
        total = {part: zero for name in losses for part in name.split("+")}
        for rows in pairs:
            inputs = torch.cat([self.retain.batch(rows[1], self.order), self.forget.batch(rows[0], self.order)])
            for name in losses:
                for part, loss in self._step(name, inputs, rows).items():
                    total[part] = total[part] + loss
                self.images_passed += len(inputs)
            taken, self.steps = taken + 1, self.steps + 1
            bar.update()
            if self.rule and self.steps % self.every == 0 and self.rule.should_stop(self.student, self.steps):
                self.stopped = True
                break
        means = {name: value.item() / taken for name, value in total.items()}
        if not all(map(math.isfinite, means.values())):
            raise TrainingDiverged("unlearning: a loss is not a number; lower lr_ue and lr_ra")
        return means

    def _step(self, name: str, inputs: torch.Tensor, rows: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        """A new forward pass, the named loss or the sum of both, and one step of its Adam; the value of each loss."""
        optimiser = self.adam_ue if name == "ue" else self.adam_ra
        e = self.represent(inputs, len(rows[1]))
        losses = {part: self.loss(part, e, inputs, rows) for part in name.split("+")}
        weight = self.config.ra_weight if len(losses) == 2 else 1.0
        total = sum(weight * loss if part == "ra" else loss for part, loss in losses.items())
        optimiser.zero_grad()
        cast(torch.Tensor, total).backward()
        optimiser.step()
        return {part: loss.detach() for part, loss in losses.items()}


def schedule_of(config: UnlearningConfig) -> list[list[str]]:
    """The losses stepped on in each epoch: ``ue``, ``ra``, both in turn, or ``ue+ra`` as one step."""
    used = (["ue"] if config.use_ue else []) + (["ra"] if config.use_ra != "none" else [])
    if config.schedule == "two_stage":
        return [[name] for name in used for _ in range(config.epochs)]
    if config.schedule == "joint" and len(used) == 2:
        return [["ue+ra"]] * config.epochs
    return [used] * config.epochs if used else []


def unlearn(
    original: Network, forget: ImageView, retain: ImageView, densities: Densities, config: UnlearningConfig, *, seed: int,
    teacher: Teacher | None = None, watched: ImageView | None = None, rule: Rule | None = None,
    kind: type[Adaptation] = Adaptation, after_epoch: Callable[[Adaptation, int], None] | None = None,
) -> Unlearned:
    """LAF: a copy of ``original`` whose extractor no longer represents ``forget`` as it did. No label is read.

    Args:
        original: the trained network, left untouched.
        forget, retain: images of D_f and D_r; no labels can be reached from them.
        densities: h and h_f, fitted on the original's representations.
        seed: draws order, crops and latent noise.
        teacher: the original's representations of the same rows, where they are known already.
        watched: retained images that the stopping rule looks at. Those that unlearning trains on, the default, flatter it.
        rule: watches the run in place of the configuration's rule.
        kind: of adaptation; a subclass exchanges a part of the method.
        after_epoch: is shown the state and the number of the epoch that has ended.

    Raises:
        TrainingDiverged: a loss is not finite.
    """
    run = kind(original, forget, retain, densities, config, seed, teacher, watched, rule)
    history: dict[str, list[float]] = {"ue": [], "ra": []}
    schedule = schedule_of(config)
    with track(len(schedule) * len(run.pairs()) if schedule else 0, "unlearning") as bar:
        for epoch, losses in enumerate(schedule, start=1):
            for name, value in run.epoch(losses, bar).items():
                history[name].append(value)
            if after_epoch:
                after_epoch(run, epoch)
            if run.stopped:
                break
    rule, steps = cast(Any, run.rule), run.steps
    if rule and rule.seen:
        steps = rule.restore_best(run.student) or steps
    run.student.requires_grad_(True)
    return Unlearned(
        run.student, history["ue"], history["ra"], steps, run.images_passed,
        run.teacher_passed + (rule.images_passed if rule else 0), rule.seen if rule else [], run.steps,
    )
