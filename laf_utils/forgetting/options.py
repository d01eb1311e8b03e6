"""What a request may be asked to do otherwise, and the defaults, which stand here and nowhere else."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..support.reading import MOST_SEED
from .choice import SCOPES
from .copies import WAYS
from .keeping import DEFAULT_BOUND
from .refusal import RISKS

MINUTES = 5.0  # between saves of an attempt on its way
OVERLAPS = ("refuse", "drop")  # of ``forget(overlap=...)``
STUDENTS, MOST_STUDENTS = 4, 64  # of the audit: one alone is as far from the next as from a retrained model


@dataclass(frozen=True)
class ForgetOptions:
    """Rarely used options of ``forget``.

    Args:
        settings: of the method; ``None``: derived from the data.
        head: name of the layer that gives the logits, where it is not found by itself.
        transform: to network inputs, where the images are not: of a batch for tensors and arrays, else of one image.
        unseen_labels: int64 [len(unseen)], for accuracies in the report only.
        floor: utility between 0 and 1 below which no point is kept.
        memory: bytes that representations and images may take in memory; what is more goes to files.
        folder: of those files; the system's temporary folder by default. They are removed at the end.
        accept: risks taken knowingly, of ``refusal.RISKS``.
        overlap: of images in both sets: ``refuse``, or ``drop`` them from D_r.
        scope: ``class`` where D_f is all of some classes, ``instances`` where its classes stay; ``auto``: by the original's
            answers.
        copies: of retained images that the model cannot tell from forgotten ones (``copies.Copies``): ``refuse`` and list them,
            ``forget`` them too, ``drop`` them from D_r, or ``keep`` them.
        students: models taught on retained images against which the audit holds single ones (``reference``). Fewer cost less, and
            the audit sees less, which it says: *cannot tell* comes more often.
        checkpoint: folder in which a long call keeps its state; the same call made again goes on from there. Empty at the end.
        checkpoint_minutes: between saves of an attempt on its way; what is finished is saved at once.
        requests: numbers of a queue's requests that this call carries out, for the ledger.
        save: writes the copy, before the ledger says that the request is done; what it returns stands in report and ledger.
    """

    settings: Any = None
    head: str | None = None
    transform: Callable[..., Any] | None = None
    unseen_labels: Any = None
    floor: float = 0.95
    memory: int = DEFAULT_BOUND
    folder: str | Path | None = None
    accept: tuple[str, ...] = ()
    overlap: str = "refuse"
    scope: str = "auto"
    copies: str = "refuse"
    students: int = STUDENTS
    checkpoint: str | Path | None = None
    checkpoint_minutes: float = MINUTES
    requests: tuple[int, ...] = ()
    save: Callable[[nn.Module], dict[str, Any]] | None = None


@dataclass(frozen=True)
class Options(ForgetOptions):
    """How a request is carried out, all of it; ``forget`` describes the rest."""

    method: str = "auto"
    seed: int = 0
    device: str | torch.device | None = None


def check_options(options: Options) -> None:
    """Refuse values that cannot be meant.

    Raises:
        ValueError: naming the option.
    """
    if not 0 <= options.floor <= 1:
        raise ValueError(f"floor must be between 0 and 1, got {options.floor!r}")
    if type(options.seed) is not int or not 0 <= options.seed <= MOST_SEED:
        raise ValueError(f"seed must be a whole number from 0 to {MOST_SEED}, got {ascii(options.seed)[:40]}")
    if type(options.students) is not int or not 1 <= options.students <= MOST_STUDENTS:
        raise ValueError(f"students must be a whole number from 1 to {MOST_STUDENTS}, got {ascii(options.students)[:40]}")
    for name, known in (("overlap", OVERLAPS), ("copies", WAYS), ("scope", SCOPES)):
        if getattr(options, name) not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(options, name)!r}")
    unknown = set(options.accept) - set(RISKS)
    if unknown:
        raise ValueError(f"accept knows {', '.join(RISKS)}, got {', '.join(sorted(unknown))}")
    if not options.checkpoint_minutes >= 0:
        raise ValueError(f"checkpoint_minutes must be at least 0, got {options.checkpoint_minutes!r}")
    if options.memory < 1 << 20:
        raise ValueError(f"memory must be at least {1 << 20} bytes, got {options.memory!r}")
