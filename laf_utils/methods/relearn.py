"""``relearn``, this project's own: forget by learning D_r anew from the original's answers, on a fixed budget. Reads no label.

1. Start: the original's weights are shrunk and a fresh initialisation's are added (Ash and Adams, NeurIPS 2020).
2. Lessons: the original answers D_r once; what D_f put into those answers is taken out (``relearn_lessons``).
3. Teach: KL(lesson || student) on D_r alone, Adam with one cycle of the learning rate. Where labels of D_f contradict the
   answers, the student is made surer than its lessons (``lesson_loss``).
4. Where they do not, and it is asked for, the student's logits are scaled until it is as sure of D_r as the original
   (``relearn_sureness``).

D_f never passes through the student. What the student may still hold of it comes from the start and from the answers, so each of
the two has a setting, and every part can be switched off.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

from ..images import ImageView
from ..settings.config import TrainingConfig
from ..support.progress import track
from ..training import adam, check_finite
from .loops import cycled, cycled_images, take_step
from .method import Sizes
from .parts import FrozenLogits, Spent
from .passes import FROZEN_PASS, Passes
from .relearn_lessons import Lessons, lessons_of
from .relearn_start import LateStatistics, towards_fresh
from .relearn_sureness import make_as_sure
from .settings import Settings
from .view import View

SEEN = 2_000  # images of D_f whose answers are looked at, at most; of D_r likewise for the student's sureness
RISE = 0.3  # share of the steps in which the learning rate rises
COOLED = 2.0  # temperature of the student in its lessons where labels of D_f contradict the answers; it is used at 1
LATE = 0.9  # of the steps, after which BatchNorm statistics are averaged: the rate is nearly zero by then


@dataclass(frozen=True)
class RelearnSettings(Settings):
    """One setting for every request."""

    share: float = 0.1  # of retraining's passes that the method may spend, its frozen passes counted
    start: float = 0.5  # a: 0 the original's weights, 1 fresh ones
    tail: float = 0.5  # the same, of the linear layers at the end
    sharpness: str = "conflict"  # of the lessons: "soft", "hard", or soft without the noise of D_f (relearn_lessons)
    certainty: float = 0.8  # weight of the student's entropy where labels of D_f contradict the answers
    mask: bool = True  # classes that vanish with D_f: none in the lessons, and a fresh row in the last layer
    as_sure: bool = False  # the logits are scaled until the student is as sure of D_r as the original; no answer changes
    prior: bool = True  # the lessons expect each class as often as D_r holds it, not as often as D did
    learning_rate: float = 2e-3  # Adam's, at the top of its cycle
    batch_size: int = 32  # images
    retain_share: float = 1.0  # of D_r's images that are used, at random; the budget stays
    training: TrainingConfig = field(default_factory=TrainingConfig)  # how one would retrain: gives its passes


@dataclass(frozen=True)
class Plan:
    """What a budget buys."""

    steps: int  # of the student, and ``images`` that pass through it in them
    images: int
    retain: int  # images of D_r and D_f that are used, each answered once by the original
    forget: int  # likewise
    sureness: int = 0  # images of D_r that the student answers once it is taught

    @property
    def frozen(self) -> int:
        """Images that pass through a network forward only."""
        return self.retain + self.forget + self.sureness


def plan_of(settings: RelearnSettings, forget: int, retain: int) -> Plan:
    """As many whole steps as the budget allows beside the original's own passes, and one at least; none where it is 0.

    Args:
        forget, retain: images of D_f and of all of D_r.
    """
    if not settings.share:
        return Plan(0, 0, 0, 0)
    seen, batch = min(SEEN, forget), settings.batch_size
    budget = settings.share * settings.training.epochs * retain - FROZEN_PASS * seen
    once = int(budget / (1 + FROZEN_PASS))  # images that can be answered and taught once
    used = max(1, min(round(settings.retain_share * retain), max(batch, once), retain))
    looked = min(SEEN, used) if settings.as_sure else 0
    left = budget - FROZEN_PASS * (used + looked)
    steps = max(1, int(left // min(batch, used)))
    while steps > 1 and cycled_images(used, batch, steps) > left:
        steps -= 1
    while cycled_images(used, batch, steps + 1) <= left:
        steps += 1
    return Plan(steps, cycled_images(used, batch, steps), used, seen, looked)


def sample(images: ImageView, count: int, draws: torch.Generator) -> ImageView:
    """``count`` of the images at random, in their order."""
    if count >= len(images):
        return images
    return images.subset(torch.randperm(len(images), generator=draws)[:count].sort().values)


def one_cycle(step: int, steps: int) -> float:
    """The learning rate of a step as a share of its top: a straight rise, then half a cosine that ends near 0."""
    top = max(1, round(RISE * steps))
    if step < top:
        return (step + 1) / top
    return 0.5 * (1 + math.cos(math.pi * (step + 1 - top) / max(1, steps - top)))


@dataclass(frozen=True)
class Tools:
    """What a run draws and counts with; a ``View`` gives them."""

    fresh: Callable[[], nn.Module]
    stream: Callable[[str], torch.Generator]
    spent: Spent
    log: Callable[[str, float], None]


def relearned(
    original: nn.Module, forget: ImageView, retain: ImageView, settings: RelearnSettings, tools: Tools, name: str = "relearn"
) -> nn.Module:
    """The student, in evaluation mode. The original must be frozen and in evaluation mode; it is left as it is.

    Args:
        forget, retain: D_f and D_r, on the original's device; ``Images``, or anything with its interface.

    Raises:
        TrainingDiverged: a loss is not finite.
        ValueError: ``fresh`` gives another kind of network.
    """
    plan = plan_of(settings, len(forget), len(retain))
    weight = len(forget) / plan.forget * plan.retain / len(retain)  # of an image of D_f beside one of D_r, in shares of both
    forget = sample(forget, plan.forget, tools.stream("forget share"))
    retain = sample(retain, plan.retain, tools.stream("retain share"))
    answers = [FrozenLogits(original, images, tools.spent).all() for images in (forget, retain)]
    lessons = lessons_of(*answers, mask=settings.mask, sharpness=settings.sharpness, weight=weight, prior=settings.prior)
    tools.log("vanishing", lessons.gone.sum().item())  # classes
    tools.log("contradicted", lessons.contradicted.float().mean().item())  # share of the images of D_r
    student = towards_fresh(original, tools.fresh(), settings.start, settings.tail, lessons.gone).train()
    _teach(student, retain, lessons, settings, plan, tools, name)
    if settings.as_sure:
        _make_as_sure(student.eval(), retain, answers[1], lessons, plan, tools)
    return student.eval()


def _make_as_sure(
    student: nn.Module, retain: ImageView, answers: torch.Tensor, lessons: Lessons, plan: Plan, tools: Tools
) -> None:
    """Not where labels of D_f contradict the answers: wrong labels have left the original less sure than a retrained model is."""
    if lessons.noisy:
        return
    rows = torch.randperm(len(retain), generator=tools.stream("sureness share"))[: plan.sureness].sort().values
    tools.spent.frozen += len(rows)
    tools.log("scaled", make_as_sure(student, retain.subset(rows).for_evaluation(), answers[rows.to(answers.device)]))


def lesson_loss(logits: torch.Tensor, targets: torch.Tensor, certainty: float = 0.0, temperature: float = 1.0) -> torch.Tensor:
    """KL(target || student) + certainty * H(student), in nats, mean over the batch, of the student at a temperature.

    Both are for noisy answers. Wrong labels leave a network less sure of every image, and what is cleaned is still less sure than
    what labels teach. The student's own answer has averaged over more noise than any single target: its entropy is lowered
    (Grandvalet and Bengio, NeurIPS 2004). Taught at a temperature and used at 1, it ends surer than its lessons (temperatures:
    Hinton, Vinyals and Dean, arXiv 1503.02531, section 2), and answers the same.

    Args:
        logits, targets: [B, classes].
    """
    log_student = F.log_softmax(logits / temperature, 1)
    entropy = -(log_student.exp() * log_student).sum(1)
    return F.kl_div(log_student, targets, reduction="batchmean") + certainty * entropy.mean()


def _teach(
    student: nn.Module, retain: ImageView, lessons: Lessons, settings: RelearnSettings, plan: Plan, tools: Tools, name: str
) -> None:
    """One cycle over shuffled batches of D_r."""
    order, statistics, total = tools.stream("order"), LateStatistics(student), torch.zeros((), device=retain.device)
    optimiser = adam(student.parameters(), settings.learning_rate)
    rows_of, certainty = cycled(len(retain), settings.batch_size, order), settings.certainty * lessons.noisy
    temperature = COOLED if lessons.noisy else 1.0
    with track(plan.steps, name) as bar:
        for step in range(plan.steps):
            if step == int(LATE * plan.steps):
                statistics.begin()
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * one_cycle(step, plan.steps)
            rows = next(rows_of)
            inputs, rows = retain.batch(rows, order), rows.to(retain.device)
            sure = certainty * (step >= RISE * plan.steps)  # not before the student has an answer of its own
            loss = lesson_loss(student(inputs), lessons.targets[rows], sure, temperature)
            take_step(optimiser, loss)
            tools.spent.training += len(rows)
            total += loss.detach() * len(rows)
            bar.update()
    statistics.end()
    check_finite(name, [total.item() / plan.images])
    tools.log("loss", total.item() / plan.images)


def relearn(view: View, settings: RelearnSettings) -> nn.Module:
    """``relearned`` with what a view gives; with a budget of 0 the original comes back."""
    if not settings.share:
        return view.student()
    tools = Tools(lambda: view.fresh("relearn"), view.stream, view.spent, view.log)
    return relearned(view.original, view.forget.images, view.retain.images, settings, tools, view.name)


def relearn_passes(settings: RelearnSettings, sizes: Sizes) -> Passes:
    """The budget, in whole steps, with the answers that are read; ``as_sure`` reads fewer where labels contradict."""
    plan = plan_of(settings, sizes.forget, sizes.retain)
    return Passes(plan.images, plan.frozen)
