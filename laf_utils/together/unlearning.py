"""LAF's unlearning stage for K models at once: the losses of ``laf``, each model with its own sets, densities and seed."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from ..config import UnlearningConfig
from ..images import Images, shuffled
from ..laf import Densities, Teacher, Unlearned, drift, representation_alignment_loss, saturating, schedule_of
from ..models import Network
from ..progress import track
from ..representations import FrozenRepresentations
from ..seeds import stream
from ..stopping import EVERY, AgreementRule
from ..training import TrainingDiverged, adam
from .members import groups, one_each, same_length
from .stacked import Stack, side_by_side
from .vaes import StackedVAE

Pair = tuple[torch.Tensor, torch.Tensor]  # int64 rows of a batch of D_f and of a batch of D_r


@dataclass
class _Member:
    """What one of the models has to itself."""

    student: Network
    forget: Images
    retain: Images
    densities: Densities
    teacher: Teacher
    rule: AgreementRule | None
    order: torch.Generator
    noise: torch.Generator
    pending: list[Pair] = field(default_factory=list)  # batches of this epoch
    total: dict[str, float] = field(default_factory=dict)  # of each loss in this epoch
    history: dict[str, list[float]] = field(default_factory=lambda: {"ue": [], "ra": []})
    steps: int = 0
    images_passed: int = 0
    teacher_passed: int = 0

    def pairs(self, config: UnlearningConfig) -> list[Pair]:
        """As ``laf.unlearn`` draws them."""
        forget = shuffled(len(self.forget), config.batch_size, self.order, config.drop_ragged)
        retain = shuffled(len(self.retain), config.batch_size, self.order, config.drop_ragged)
        return list(zip(forget, retain, strict=False))

    def inputs(self, rows: Pair) -> torch.Tensor:
        """[B_r + B_f, C, H, W], the retained ones first."""
        return torch.cat([self.retain.batch(rows[1], self.order), self.forget.batch(rows[0], self.order)])

    def original(self, rows: Pair, inputs: torch.Tensor) -> torch.Tensor:
        """g_D of both halves, [B_r + B_f, 256]."""
        count = len(rows[1])
        self.teacher_passed += 0 if self.teacher.retain.cached else len(inputs)
        retain = self.teacher.retain.of_batch(rows[1], inputs[:count])
        return torch.cat([retain, self.teacher.forget.of_batch(rows[0], inputs[count:])])

    def close_epoch(self, taken: int) -> None:
        """Keep the mean of each loss per step.

        Raises:
            TrainingDiverged: a loss is not finite.
        """
        for part, value in self.total.items():
            self.history[part].append(value / taken)
            if not math.isfinite(value):
                raise TrainingDiverged("unlearning: a loss is not a number; lower lr_ue and lr_ra")

    def result(self) -> Unlearned:
        """After the student's weights were put back."""
        rule, steps = self.rule, self.steps
        if rule and rule.seen:
            steps = rule.restore_best(self.student) or steps
        self.student.requires_grad_(True)
        watched = self.teacher_passed + (rule.images_passed if rule else 0)
        return Unlearned(
            self.student, self.history["ue"], self.history["ra"], steps, self.images_passed, watched, rule.seen if rule else []
        )


class _Lockstep:
    """Models that take every step together. One whose rule has seen enough leaves, and the rest go on without it."""

    def __init__(self, members: list[_Member], config: UnlearningConfig) -> None:
        self.config, self.members = config, members
        self._stack_up()
        self.adam = {name: adam(self.extractor.parameters(), rate) for name, rate in (("ue", config.lr_ue), ("ra", config.lr_ra))}

    def _stack_up(self) -> None:
        self.extractor = Stack([member.student.extractor for member in self.members])
        self.h = StackedVAE([member.densities.h for member in self.members]).requires_grad_(False)
        self.h_f = StackedVAE([member.densities.h_f for member in self.members]).requires_grad_(False)

    def put_back(self) -> None:
        """Give every student its weights."""
        for position, member in enumerate(self.members):
            self.extractor.put_back(position, member.student.extractor)

    def epoch(self, losses: list[str]) -> None:
        """One epoch of the named losses, as ``laf.unlearn`` takes it."""
        for member in self.members:
            member.pending = member.pairs(self.config)
            member.total = {part: 0.0 for name in losses for part in name.split("+")}
        steps = len(self.members[0].pending)
        for step in range(steps):
            rows = [member.pending[step] for member in self.members]
            each = [member.inputs(own) for member, own in zip(self.members, rows, strict=True)]
            inputs = side_by_side(each)
            for name in losses:
                self._step(name, inputs, each, rows)
            for member in self.members:
                member.steps += 1
                member.images_passed += len(losses) * len(inputs)
            self._look(step + 1)
            if not self.members:
                return
        for member in self.members:
            member.close_epoch(steps)

    def _step(self, name: str, inputs: torch.Tensor, each: list[torch.Tensor], rows: list[Pair]) -> None:
        """A new forward pass, the named loss or the sum of both, and one step of its Adam."""
        config, optimiser = self.config, self.adam["ue" if name == "ue" else "ra"]
        e, count = self.extractor(inputs).float(), len(rows[0][1])
        losses = {part: self._ue(e, count) if part == "ue" else self._ra(e, each, rows) for part in name.split("+")}
        weight = config.ra_weight if len(losses) == 2 else 1.0
        optimiser.zero_grad()
        sum(weight * loss if part == "ra" else loss for part, loss in losses.items()).sum().backward()
        optimiser.step()
        for part, loss in losses.items():
            for member, value in zip(self.members, loss.tolist(), strict=True):
                member.total[part] += value

    def _ue(self, e: torch.Tensor, count: int) -> torch.Tensor:
        """L_UE [K] of representations [K, B_r + B_f, 256]."""
        noises = [member.noise for member in self.members]
        keep = saturating(self.h.squared_error(e[:, :count], noises))
        drop = saturating(self.h_f.squared_error(e[:, count:], noises))
        return keep.sum(1) - drop.sum(1) if self.config.reduction == "sum" else keep.mean(1) - drop.mean(1)

    def _ra(self, e: torch.Tensor, each: list[torch.Tensor], rows: list[Pair]) -> torch.Tensor:
        """L_RA [K] of representations [K, B_r + B_f, 256]."""
        config, count = self.config, len(rows[0][1])
        original = [member.original(own, x) for member, own, x in zip(self.members, rows, each, strict=True)]
        drifts = drift(e.flatten(0, 1), torch.cat(original)).unflatten(0, e.shape[:2])
        return torch.stack([
            representation_alignment_loss(own[:count], own[count:], config.temperature, config.reduction, config.use_ra)
            for own in drifts
        ])

    def _look(self, taken: int) -> None:
        """Let every member's rule look; those that should stop leave with the weights they have now."""
        if self.members[0].rule is None or self.members[0].steps % EVERY:
            return
        self.put_back()
        stops = [member.rule.should_stop(member.student, member.steps) for member in self.members]
        for member, stop in zip(self.members, stops, strict=True):
            if stop:
                member.close_epoch(taken)
        if any(stops):
            self._go_on_with([position for position, stop in enumerate(stops) if not stop])

    def _go_on_with(self, positions: list[int]) -> None:
        """Restack some of the members, with the moments that Adam has gathered for them."""
        before, members = list(self.extractor.parameters()), len(self.members)
        self.members = [self.members[position] for position in positions]
        if not self.members:
            return
        self._stack_up()
        for name, old in self.adam.items():
            new = adam(self.extractor.parameters(), old.param_groups[0]["lr"])
            for was, now in zip(before, self.extractor.parameters(), strict=True):
                new.state[now] = {key: _of(value, positions, members) for key, value in old.state.get(was, {}).items()}
            self.adam[name] = new


def _of(value: torch.Tensor, positions: list[int], members: int) -> torch.Tensor:
    """The part of an optimiser's state that belongs to some of the members; the number of steps is common to all."""
    if value.ndim == 0:
        return value.clone()
    part = value.unflatten(0, (members, -1))[positions].flatten(0, 1)
    return part.contiguous(memory_format=torch.channels_last) if part.ndim == 4 else part


def unlearn_together(
    originals: Sequence[Network], forget: Sequence[Images], retain: Sequence[Images], densities: Sequence[Densities],
    config: UnlearningConfig, *, seeds: Sequence[int], teachers: Sequence[Teacher] | None = None,
    watched: Sequence[Images] | None = None,
) -> list[Unlearned]:
    """LAF for K models, the k-th as ``laf.unlearn`` unlearns ``originals[k]`` with seed ``seeds[k]``, up to rounding.

    No label can be reached from here. Each model's label-free rule, where the configuration has it, looks at that model alone
    and ends that model's run alone.

    Args:
        originals: K trained CNNs, left untouched.
        forget, retain: D_f and D_r of each, all D_f of one length and all D_r of one length.
        densities: h and h_f of each.
        seeds: K seeds.
        teachers: the originals' representations of these sets, where they are known already.
        watched: retained images that each model's stopping rule looks at, by default those unlearning trains on.

    Raises:
        ValueError: not one of everything for each seed, sets of different lengths, ResNet-18, or a precision other than float32.
        TrainingDiverged: a loss is not finite.
    """
    one_each(seeds, originals=originals, forget=forget, retain=retain, densities=densities)
    one_each(seeds, teachers=teachers or seeds, watched=watched or seeds)
    same_length("forget sets", forget)
    same_length("retain sets", retain)
    if config.precision != "float32":
        raise ValueError("models are unlearned together in float32 only")
    parts, results = (originals, forget, retain, densities, seeds, teachers or [None] * len(seeds), watched or retain), []
    for group in groups(len(seeds)):
        members = [_member(*own, config) for own in zip(*(part[group] for part in parts), strict=True)]
        _walk(members, config)
        results += [member.result() for member in members]
    return results


def _member(
    original: Network, forget: Images, retain: Images, densities: Densities, seed: int, teacher: Teacher | None, watched: Images,
    config: UnlearningConfig,
) -> _Member:
    teacher = teacher or Teacher(
        FrozenRepresentations(original.extractor, forget), FrozenRepresentations(original.extractor, retain)
    )
    teacher.forget.prepare()
    teacher.retain.prepare()
    # The CNN has no BatchNorm, so there are no statistics to re-estimate.
    student = copy.deepcopy(original).eval().requires_grad_(False)
    rule = AgreementRule(original, forget, watched, seed) if config.stop == "agreement" else None
    order, noise = stream(seed, "unlearning", "order"), stream(seed, "unlearning", "noise", device=forget.device)
    return _Member(student, forget, retain, densities, teacher, rule, order, noise)


def _walk(members: list[_Member], config: UnlearningConfig) -> None:
    """Unlearn one group; the students hold the result."""
    run, schedule, steps = _Lockstep(list(members), config), schedule_of(config), 0
    if schedule:  # ``laf.unlearn`` draws one order more, for the length of its bar
        steps = len(schedule) * [len(member.pairs(config)) for member in members][0]
    with track(steps, "unlearning") as bar:
        for losses in schedule:
            run.epoch(losses)
            bar.update(steps // len(schedule))
            if not run.members:
                break
    run.put_back()
