"""What a request will cost, measured on a few of its own images: seconds and bytes, before anything is done."""

import time
from dataclasses import dataclass

import torch
from torch import nn

from ..methods.passes import paired_rows
from ..settings.config import UnlearningConfig
from ..support.devices import synchronise
from .adapting import adapted
from .attempts import ATTEMPTS
from .choice import derived_settings, retained_used
from .copying import working_copy
from .head import find_head, split
from .preparing import EXAMPLE
from .sources import OwnImages
from .watch import EVERY, SAMPLE, SAMPLE_GOAL

COPIES = 5  # of the weights: original, student, gradients, two of Adam; the best look is a sixth
VAE_STEP = 1e-3  # seconds of a step of a representation VAE, a small fraction of any classifier's


@dataclass(frozen=True)
class Estimate:
    """Seconds of one attempt that uses all its steps, of the most that three may take, and bytes."""

    seconds: float
    most_seconds: float
    steps: int
    frozen: float  # images per second, forward and forward with backward
    training: float  # likewise
    weights: int
    activations: int
    representations: int  # bytes, in files where they exceed the bound
    retained_used: int


def _rates(network: nn.Module, inputs: torch.Tensor) -> tuple[float, float, int]:
    """Images per second forward, and forward with backward, and bytes kept for the backward pass of these inputs."""
    seconds, kept = [], 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    for backward in (False, False, True):  # the first pass allocates
        synchronise(inputs.device)
        start = time.perf_counter()
        with torch.set_grad_enabled(backward), torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            found = network(inputs)
            if backward:
                found.sum().backward()
        synchronise(inputs.device)
        seconds.append(time.perf_counter() - start)
    return len(inputs) / seconds[1], len(inputs) / seconds[2], kept


def estimate(model: nn.Module, forget: OwnImages, retain: int, unseen: int = 0, head: str | None = None) -> Estimate:
    """The cost of LAF on a request of this size."""
    batch = UnlearningConfig.batch_size
    inputs = forget.batch(torch.arange(min(2 * batch, len(forget))))
    copied = adapted(working_copy(model).to(forget.device), inputs[:EXAMPLE], forget.packing)
    network = split(copied, find_head(copied, inputs[:EXAMPLE], head), inputs[:1])
    frozen, training, kept = _rates(network, inputs)
    used = retained_used(len(forget), max(0, retain - min(1_000, retain // 2)))
    settings = derived_settings(len(forget), max(1, used))
    pairs, images = paired_rows(len(forget), max(1, used), batch, True)
    steps = settings.unlearning.epochs * pairs
    looks = (min(SAMPLE_GOAL, len(forget)) + min(SAMPLE, retain) + min(SAMPLE_GOAL, unseen)) * (steps // EVERY)
    passes = 2 * (2 * len(forget) + used + min(1_000, retain // 2) + unseen)  # answers before and after, representations
    vae = settings.vae.epochs * (len(forget) + used) / settings.vae.batch_size * VAE_STEP
    attempt = settings.unlearning.epochs * images / training + looks / frozen
    fixed = passes / frozen + vae
    with torch.no_grad():
        width = network.extractor(inputs[:1]).shape[1]
    return Estimate(
        fixed + attempt, fixed + ATTEMPTS * attempt, steps, frozen, training,
        COPIES * sum(p.numel() * p.element_size() for p in copied.parameters()), kept * 2 * batch // max(1, len(inputs)),
        4 * width * (len(forget) + used), used,
    )
