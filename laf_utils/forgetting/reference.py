"""Models that never saw D_f: students taught on D_r alone, against which the audit holds every single image.

A student has the audited model's architecture and a fresh start, and learns the original's answers on D_r. It cannot hold what
only D_f could teach, and costs a small part of retraining: few steps, a bounded number of images, no label. How sure several
students are of the original's answer says how well that answer can be known without the image itself.
"""

import copy
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from ..support.seeds import stream
from .checkpoint import Checkpoint
from .options import STUDENTS
from .sources import OwnImages
from .workers import from_each, frozen_pass

STEPS = 250  # of each at least
MOST_STEPS = 1_500
EPOCHS = 12
IMAGES = 5_000  # of D_r that they learn from at most
BATCH = 64
RATE = 2e-3
REMOVED = -1e4  # the logit of a class that vanishes with D_f


@torch.no_grad()
def fresh(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """A copy of the architecture that holds nothing of its training: layers are drawn anew by their own rules.

    Weights that belong to no such layer are shuffled with each other, which keeps their scale and nothing else.

    Args:
        generator: a CPU one; what is drawn does not touch the program's own random state.
    """
    copied = copy.deepcopy(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        known: set[int] = set()
        for module in copied.modules():
            if callable(getattr(module, "reset_parameters", None)):
                cast(Any, module).reset_parameters()
                known.update(id(value) for value in (*module.parameters(), *module.buffers()))
        for value in copied.parameters():
            if id(value) not in known and value.numel() > 1:
                value.copy_(value.flatten()[torch.randperm(value.numel(), device=value.device)].view_as(value))
    return copied.requires_grad_(True)


def _batches(count: int, steps: int, generator: torch.Generator) -> list[torch.Tensor]:
    """Rows of each step, epoch after epoch; a batch of one image, on which BatchNorm cannot train, does not occur."""
    size = min(BATCH, count)
    found: list[torch.Tensor] = []
    while len(found) < steps:
        found += [rows for rows in torch.randperm(count, generator=generator).split(size) if len(rows) == size]
    return found[:steps]


def student(model: nn.Module, images: OwnImages, answers: torch.Tensor, generator: torch.Generator) -> nn.Module:
    """A fresh network of the same architecture after learning answers, in evaluation mode.

    Args:
        images: D_r, or a part of it.
        answers: int64 [n] to learn.
    """
    own = fresh(model, generator).train()
    optimiser = torch.optim.Adam((value for value in own.parameters() if value.is_floating_point()), RATE)
    steps = min(MOST_STEPS, max(STEPS, EPOCHS * len(images) // BATCH))
    answers = answers.to(images.device)
    with torch.random.fork_rng(devices=[]):  # of dropout
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        for rows in _batches(len(images), steps, generator):
            loss = F.cross_entropy(own(images.batch(rows)), answers[rows.to(answers.device)])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return own.eval()


@dataclass(frozen=True)
class Reference:
    """Students that never saw D_f."""

    students: tuple[nn.Module, ...]  # networks in evaluation mode
    images: int  # how many of D_r each has learned from

    def logits(self, images: OwnImages) -> torch.Tensor:
        """float32 [students, n, classes] on the CPU."""
        return torch.stack([frozen_pass(own, images, "reference").cpu() for own in self.students])


def taught(
    original: nn.Module, retain: OwnImages, removed: tuple[int, ...] = (), *, seed: int = 0, students: int = STUDENTS,
    checkpoint: Checkpoint | None = None,
) -> Reference:
    """A reference for a request.

    Args:
        original: whose answers on D_r are learned; it is left as it is.
        retain: images of D_r, of which ``IMAGES`` at most are used.
        removed: classes that vanish with D_f: no answer is one of them.
    """
    order = torch.randperm(len(retain), generator=stream(seed, "own", "reference"))[:IMAGES].sort().values
    images = retain.subset(order)
    images = images.held(1 << 28)
    answers = frozen_pass(original, images, "answers").float()
    answers[:, list(removed)] = REMOVED
    said = answers.argmax(1)  # and not how sure it was, which a network fitted by heart may owe to D_f
    kept = checkpoint or Checkpoint()

    def made(number: int) -> dict[str, torch.Tensor]:
        own = student(original, images, said, stream(seed, "own", f"student {number}")).state_dict()
        kept.keep(f"student-{number}", dict(own), {})
        return {name: value.cpu() for name, value in own.items()}

    found = {number: kept.find(f"student-{number}") for number in range(students)}
    states = {number: artefact.tensors for number, artefact in found.items() if artefact is not None}
    missing = [number for number in range(students) if number not in states]
    states |= dict(zip(missing, from_each(len(missing), lambda place: made(missing[place])), strict=True))
    return Reference(tuple(_holding(original, states[number]) for number in range(students)), len(images))


def _holding(original: nn.Module, state: dict[str, torch.Tensor]) -> nn.Module:
    """A network of the same architecture with a student's weights."""
    own = copy.deepcopy(original).requires_grad_(True).eval()
    own.load_state_dict(state)
    return own

