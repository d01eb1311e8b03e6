"""Forget requests: which training images a run removes, as index sets drawn from a seed.

All three tasks are array operations on the labels: milliseconds for 60,000 images.
Paper, section on experimental settings; the counts are pinned by tests.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from .support.choices import TASKS
from .support.seeds import stream

DATA_CLASSES, DATA_PERCENT = (5, 6, 7, 8, 9), 40  # data removal: 40 % of each of classes 5-9
NOISY_CLASSES, NOISY_PERCENT = (0, 1, 2, 3, 4), 60  # noisy-label removal: 60 % of each of classes 0-4 get a wrong label


@dataclass(frozen=True)
class ForgetTask:
    """A forget request over a training set of N images."""

    name: str  # ``data``, ``class`` or ``noisy``
    forget: torch.Tensor  # int64 [n_f], sorted rows of the training set to forget (D_f)
    retain: torch.Tensor  # int64 [n_r], sorted rows to keep (D_r); both together are 0..N-1
    train_labels: torch.Tensor  # int64 [N], the labels the original is trained on (for ``noisy`` with the wrong ones)
    true_labels: torch.Tensor  # int64 [N], the labels as they came
    forget_classes: tuple[int, ...] = field(default=())  # the classes that disappear as a whole (``class`` only, else empty)

    def checksum(self) -> str:
        """SHA-256 over both index sets and the training labels: equal sums, equal request."""
        digest = hashlib.sha256()
        for part in (self.forget, self.retain, self.train_labels):
            digest.update(part.cpu().numpy().tobytes())
        return digest.hexdigest()

    def is_kept_class(self, labels: torch.Tensor) -> torch.Tensor:
        """bool [n]: which of ``labels`` are not of a forgotten class."""
        return ~torch.isin(labels, torch.tensor(self.forget_classes, dtype=labels.dtype, device=labels.device))


def _share_of_classes(
    labels: torch.Tensor, classes: Sequence[int], percent: int, generator: torch.Generator
) -> torch.Tensor:
    """bool [N]: ``floor(percent)`` of the images of each class, at random.

    A random priority for every image, ranked within its class: one sort instead of one loop per image.
    """
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    priority = torch.rand(len(labels), generator=generator)
    for label in classes:
        rows = (labels == label).nonzero().squeeze(1)
        take = len(rows) * percent // 100  # integers: 0.6 * 5 must be 3
        chosen[rows[priority[rows].argsort()[:take]]] = True
    return chosen


def _wrong_labels(
    labels: torch.Tensor, choices: Sequence[int], generator: torch.Generator
) -> torch.Tensor:
    """int64 [n]: for each label another one, uniform over ``choices`` without the true one."""
    table = torch.tensor(sorted(choices), dtype=torch.int64)
    position = torch.searchsorted(table, labels)
    if not torch.equal(table[position.clamp_max(len(table) - 1)], labels):
        raise ValueError("wrong labels can only be drawn where the true label is among the choices")
    draw = torch.randint(0, len(table) - 1, (len(labels),), generator=generator)
    return table[draw + (draw >= position).long()]


def make_task(
    name: str, labels: torch.Tensor, *, classes: int, seed: int, forget_classes: Sequence[int] = (0,),
    all_wrong_labels: bool = False,
) -> ForgetTask:
    """The forget request of the paper for these training labels.

    Args:
        name: ``data``, ``class`` or ``noisy``.
        labels: int64 [N] true training labels.
        classes: number of classes.
        seed: draws which images and which wrong labels.
        forget_classes: for ``class``, the classes to remove.
        all_wrong_labels: ``noisy``: draw from all classes; the published code never draws the last one (9 of ten).

    Raises:
        ValueError: unknown task, a class that does not exist, every class removed, or nothing to forget.
    """
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}: one of {', '.join(TASKS)}")
    labels = labels.cpu()
    train_labels, removed = labels.clone(), ()  # type: tuple[torch.Tensor, tuple[int, ...]]
    generator = stream(seed, "task", name)
    if name == "class":
        removed = _checked_classes(forget_classes, classes)
        chosen = torch.isin(labels, torch.tensor(removed))
    elif name == "data":
        chosen = _share_of_classes(labels, [c for c in DATA_CLASSES if c < classes], DATA_PERCENT, generator)
    else:
        noisy = [c for c in NOISY_CLASSES if c < classes - 1]
        chosen = _share_of_classes(labels, noisy, NOISY_PERCENT, generator)
        choices = range(classes if all_wrong_labels else classes - 1)
        if len(choices) < 2:
            raise ValueError(f"the noisy task needs a wrong label to draw, these labels have only {classes} classes")
        train_labels[chosen] = _wrong_labels(labels[chosen], choices, generator)
    if not chosen.any() or chosen.all():
        raise ValueError(f"the {name} task leaves nothing to {'retain' if chosen.any() else 'forget'} in these labels")
    rows = torch.arange(len(labels))
    return ForgetTask(name, rows[chosen], rows[~chosen], train_labels, labels, removed)


def _checked_classes(forget_classes: Sequence[int], classes: int) -> tuple[int, ...]:
    removed = tuple(sorted({int(c) for c in forget_classes}))
    unknown = [c for c in removed if not 0 <= c < classes]
    if unknown:
        raise ValueError(f"class {unknown[0]} does not exist: classes are 0 to {classes - 1}")
    if not removed or len(removed) == classes:
        raise ValueError("class removal needs at least one class to forget and one to keep")
    return removed


def balanced_subset(labels: torch.Tensor, images: int, classes: int, seed: int) -> torch.Tensor:
    """int64 rows of ``images // classes`` random images of each class, sorted."""
    priority = torch.rand(len(labels), generator=stream(seed, "subset"))
    rows = []
    for label in range(classes):
        of_class = (labels == label).nonzero().squeeze(1)
        rows.append(of_class[priority[of_class].argsort()[: images // classes]])
    return torch.cat(rows).sort().values
