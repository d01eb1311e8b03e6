"""What every benchmark shares: taking turns, medians, the slice of MNIST, the machine's description, the result files.

Seconds of a shared machine mean little by themselves; a ratio of two sides timed in turn means more, because whatever else the
machine does falls on both. So every comparison is A B A B ..., and what is reported is the median of the pairs' ratios.

Each call is timed by the wall clock and by the processor time of this process. With one thread the second is what the first
would be on an idle machine, less the waiting for loader workers, whose own processor time it leaves out: it favours the plain
way. With several threads it counts their spinning and says little.
"""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from laf_utils import datasets
from laf_utils.datasets.sets import Dataset, ImageSet
from laf_utils.support.devices import has_fast_bfloat16
from laf_utils.tasks import balanced_subset

RESULTS = Path(__file__).parent / "results"
BATCH = 32  # images, the paper's batch size, for both sides of every comparison
Sides = Mapping[str, Callable[[], object]]


@dataclass
class Times:
    """Seconds of repeated calls, by the wall clock and of this process's processor time."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, call: Callable[[], object]) -> None:
        """Time one call."""
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)

    def scaled(self, factor: float) -> "Times":
        return Times([factor * value for value in self.wall], [factor * value for value in self.cpu])

    def __add__(self, other: "Times") -> "Times":
        """The sum round by round."""
        pairs = [zip(a, b, strict=True) for a, b in ((self.wall, other.wall), (self.cpu, other.cpu))]
        return Times(*([a + b for a, b in pair] for pair in pairs))

    def report(self) -> dict[str, dict[str, float]]:
        return {"wall": spread(self.wall), "cpu": spread(self.cpu)}


def in_turn(sides: Sides, rounds: int) -> dict[str, Times]:
    """The times of every side in every round, the sides taking turns within a round."""
    times = {name: Times() for name in sides}
    for _ in range(rounds):
        for name, call in sides.items():
            times[name].add(call)
    return times


def spread(values: list[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratio(slow: Times, fast: Times) -> dict[str, dict[str, float]]:
    """Spread of slow / fast, round by round, by both clocks."""
    pairs = {"wall": zip(slow.wall, fast.wall, strict=True), "cpu": zip(slow.cpu, fast.cpu, strict=True)}
    return {clock: spread([a / b for a, b in values]) for clock, values in pairs.items()}


def ratio_text(found: dict[str, dict[str, float]]) -> str:
    """``2.10x (1.90 to 2.30), processor time 2.00x (...)``."""
    texts = [f"{v['median']:.2f}x ({v['min']:.2f} to {v['max']:.2f})" for v in (found["wall"], found["cpu"])]
    return f"{texts[0]:<28} processor time {texts[1]:<28}"


def cut(data: Dataset, train: int, test: int | None = None, seed: int = 0) -> Dataset:
    """A class-balanced slice of a data set with about ``train`` and ``test`` images."""
    def part(images: ImageSet, count: int | None) -> ImageSet:
        if count is None or count >= len(images):
            return images
        rows = balanced_subset(images.labels, count, data.num_classes, seed)
        return ImageSet(images.images[rows], images.labels[rows])

    return replace(data, train=part(data.train, train), test=part(data.test, test))


def mnist(train: int = 60_000, test: int | None = None) -> Dataset:
    """Real MNIST from this machine, or a slice of it."""
    return cut(datasets.load("mnist", download=False), train, test)


def cpu_features() -> list[str]:
    """The vector instructions that decide how fast this CPU multiplies; empty where they cannot be read."""
    listing = Path("/proc/cpuinfo")
    flags = set(listing.read_text(encoding="ascii").split()) if listing.exists() else set()
    return [flag for flag in ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16") if flag in flags]


def conditions() -> dict[str, object]:
    """What the numbers depend on: no machine name, no path."""
    return {
        "threads": torch.get_num_threads(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "architecture": platform.machine(),
        "cpu_features": cpu_features(),
        "bfloat16_hardware": has_fast_bfloat16(),
        "torch": torch.__version__,
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


def rounded(value: object) -> object:
    """Plain values with four significant digits: nothing measured here is worth more."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def write(name: str, result: dict, before: dict) -> None:
    """Keep a result as ``results/NAME.json``, with the conditions before and the load after."""
    RESULTS.mkdir(exist_ok=True)
    whole = {"conditions": before | {"load_average_after": conditions()["load_average"]}, **result}
    text = json.dumps(rounded(whole), indent=1, sort_keys=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def say(line: str) -> None:
    """One line of the report, shown at once."""
    print(line, flush=True)  # noqa: T201 (a command line tool)
