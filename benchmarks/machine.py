"""What this machine can do at most, and how near a training step of the CNN is to it.

``python -m benchmarks.machine`` measures GFLOP/s of a large matrix product and of every layer of the CNN alone, forward and
backward, at batch 32 and at a large batch, then of the whole training step. A multiplication and an addition are two FLOP.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from benchmarks.common import BATCH, conditions, say, write
from laf_utils.images import Images, Transform
from laf_utils.models import Architecture
from laf_utils.training import adam

LARGE = 1024  # images
SQUARE = 2048  # side of the matrices whose product stands for the machine's limit


@dataclass(frozen=True)
class Layer:
    """A layer with weights: its input without the batch, its kernel, and FLOP of one image forward."""

    name: str
    inputs: tuple[int, ...]
    weight: tuple[int, ...]
    flop: int
    first: bool = False  # the images need no gradient: its backward pass is half of the others'

    def apply(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return F.linear(x, weight) if len(self.inputs) == 1 else F.conv2d(x, weight, padding=2)

    def backward_flop(self) -> int:
        return self.flop if self.first else 2 * self.flop


LAYERS = (
    Layer("convolution 1", (1, 28, 28), (16, 1, 5, 5), 2 * 25 * 1 * 16 * 28 * 28, first=True),
    Layer("convolution 2", (16, 14, 14), (32, 16, 5, 5), 2 * 25 * 16 * 32 * 14 * 14),
    Layer("representation", (1568,), (256, 1568), 2 * 1568 * 256),
    Layer("classifier 1", (256,), (128, 256), 2 * 256 * 128),
    Layer("classifier 2", (128,), (10, 128), 2 * 128 * 10),
)


def best_seconds(call: Callable[[], object], spend: float) -> float:
    """The fastest of repeated calls during ``spend`` seconds: a limit is what the machine does when nothing disturbs it."""
    call()
    best, end = float("inf"), time.perf_counter() + spend
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def layer_speed(layer: Layer, batch: int, spend: float) -> dict[str, float]:
    """Seconds and GFLOP/s of one layer alone, forward and backward."""
    x, weight = torch.randn(batch, *layer.inputs), torch.randn(layer.weight, requires_grad=True)
    if len(layer.inputs) == 3:
        x, weight = (t.detach().contiguous(memory_format=torch.channels_last) for t in (x, weight))
        weight.requires_grad_(True)
    x.requires_grad_(not layer.first)
    y = layer.apply(x, weight)
    gradient, wanted = torch.randn_like(y), [t for t in (x, weight) if t.requires_grad]
    with torch.no_grad():
        forward = best_seconds(lambda: layer.apply(x, weight), spend)
    backward = best_seconds(lambda: torch.autograd.grad(y, wanted, gradient, retain_graph=True), spend)
    return {
        "forward_seconds": forward, "backward_seconds": backward,
        "forward_gflops": batch * layer.flop / forward / 1e9, "backward_gflops": batch * layer.backward_flop() / backward / 1e9,
    }


def matrix_limit(spend: float, dtype: torch.dtype = torch.float32) -> float:
    """GFLOP/s of a large square product."""
    a, b = (torch.randn(SQUARE, SQUARE).to(dtype) for _ in range(2))
    return 2 * SQUARE**3 / best_seconds(lambda: a @ b, spend) / 1e9


def training_step() -> Callable[[], object]:
    """The package's training step at batch 32, from uint8 pixels to new weights."""
    network = Architecture("cnn", 1, 28, 10).build(0, "original").train()
    images = Images(torch.randint(0, 256, (4096, 1, 28, 28), dtype=torch.uint8), Transform())
    labels, optimiser = torch.randint(0, 10, (4096,)), adam(network.parameters(), 1e-4, 1e-4)

    def step() -> None:
        rows = torch.randint(0, 4096, (BATCH,))
        loss = F.cross_entropy(network(images.batch(rows)), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def step_report(layers: dict[str, dict], limit: float, spend: float) -> dict[str, float]:
    """How near the step is to its layers' own time and to the machine's limit."""
    flop = BATCH * sum(layer.flop + layer.backward_flop() for layer in LAYERS)
    seconds = best_seconds(training_step(), spend)
    alone = sum(layers[layer.name]["forward_seconds"] + layers[layer.name]["backward_seconds"] for layer in LAYERS)
    return {
        "mflop": flop / 1e6, "seconds": seconds, "gflops": flop / seconds / 1e9, "layers_alone_seconds": alone,
        "layers_alone_share": alone / seconds, "share_of_matrix_limit": flop / seconds / 1e9 / limit,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spend", type=float, default=0.6, help="seconds for each measurement")
    spend, before = parser.parse_args().spend, conditions()
    limits = {"float32": matrix_limit(3 * spend), "bfloat16": matrix_limit(3 * spend, torch.bfloat16)}
    say(f"matrix product {SQUARE}: float32 {limits['float32']:.0f} GFLOP/s, bfloat16 {limits['bfloat16']:.0f} GFLOP/s")
    report: dict = {"matrix_limit_gflops": limits, "layers": {}}
    for batch in (BATCH, LARGE):
        report["layers"][str(batch)] = {layer.name: layer_speed(layer, batch, spend) for layer in LAYERS}
        for name, speed in report["layers"][str(batch)].items():
            forward, backward = speed["forward_gflops"], speed["backward_gflops"]
            say(f"batch {batch:4d} {name:<15} forward {forward:6.1f}  backward {backward:6.1f} GFLOP/s")
    step = step_report(report["layers"][str(BATCH)], limits["float32"], 4 * spend)
    say(f"training step: {1e3 * step['seconds']:.2f} ms, {step['mflop']:.0f} MFLOP, {step['gflops']:.0f} GFLOP/s = "
        f"{100 * step['share_of_matrix_limit']:.0f} % of the matrix product; its layers alone take "
        f"{100 * step['layers_alone_share']:.0f} % of it")
    write("machine", report | {"training_step": step}, before)


if __name__ == "__main__":
    main()
