"""What channels-last memory, pooling before ReLU, fused Adam and torch.compile each do to the training step of the CNN.

``python -m benchmarks.compile`` times blocks of steps of every variant in turn; the time to compile is reported apart.
"""

import argparse
import itertools
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from benchmarks import plain
from benchmarks.common import BATCH, conditions, in_turn, mnist, ratio, ratio_text, say, write
from laf_utils.models import Architecture

Step = Callable[[], None]
BLOCK = 60  # steps
BASE = "channels last"


def make_step(
    batches: list, *, ours: bool = True, channels_last: bool = True, fused: bool = True, compiled: bool = False
) -> Step:
    """One training step of a variant, over the given batches in a circle."""
    network = Architecture("cnn", 1, 28, 10).build(0, "original") if ours else plain.CNN()
    form = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(memory_format=form).train()
    inputs = [(x.contiguous(memory_format=form), y) for x, y in batches]
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4, weight_decay=1e-4, fused=fused)
    forward = torch.compile(network) if compiled else network
    turn = itertools.cycle(inputs)

    def step() -> None:
        x, y = next(turn)
        loss = F.cross_entropy(forward(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


VARIANTS = {
    BASE: {},
    "contiguous": {"channels_last": False},
    "ReLU before pooling": {"ours": False},
    "unfused Adam": {"fused": False},
    "all three plain": {"ours": False, "channels_last": False, "fused": False},
    "compiled, channels last": {"compiled": True},
    "compiled, contiguous": {"compiled": True, "channels_last": False},
}


def first_step(step: Step) -> float:
    """Seconds of the first step, which compiles where there is something to compile."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def measure(rounds: int) -> dict[str, dict]:
    """Milliseconds of a step of every variant, and how the package's own compares with it."""
    data = mnist(3_000)
    parts = torch.arange(40 * BATCH).split(BATCH)
    batches = [(data.train.images[rows].float() / 255, data.train.labels[rows]) for rows in parts]
    steps = {name: make_step(batches, **options) for name, options in VARIANTS.items()}
    first = {name: first_step(step) for name, step in steps.items()}
    blocks = {name: (lambda step=step: [step() for _ in range(BLOCK)]) for name, step in steps.items()}
    in_turn(blocks, 1)  # warm-up
    times = in_turn(blocks, rounds)
    report = {}
    for name, taken in times.items():
        over, step = ratio(taken, times[BASE]), taken.scaled(1e3 / BLOCK).report()
        report[name] = {"milliseconds": step, "over_base": over, "first_step_seconds": first[name]}
        say(f"{name:<24} {step['cpu']['median']:6.2f} ms of processor time; time over the base's: {ratio_text(over)}")
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options, before = parser.parse_args(), conditions()
    write("compile", {"rounds": options.rounds, "block": BLOCK, "variants": measure(options.rounds)}, before)


if __name__ == "__main__":
    main()
