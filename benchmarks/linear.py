"""Cost grows linearly with the images, and forgetting in ``fixed`` mode does not grow with what was trained on.

``python -m benchmarks.linear`` times index sets, a training epoch, a representation pass, a VAE epoch and an unlearning epoch
at 10, 30 and 60 thousand MNIST images, the sizes in turn, and fits a line; then it forgets the same 2,000 images out of 10, 30
and 60 thousand. The networks hold random weights: time does not depend on them.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.common import conditions, in_turn, mnist, say, write
from laf_utils.adaptation import Teacher, unlearn
from laf_utils.datasets.sets import Dataset, ImageSet
from laf_utils.images import Images, Transform
from laf_utils.laf import repair
from laf_utils.losses import Densities
from laf_utils.models import Architecture
from laf_utils.representations import FrozenRepresentations, apply_frozen
from laf_utils.run import Run
from laf_utils.settings.config import RunConfig, VAEConfig
from laf_utils.settings.presets import preset
from laf_utils.tasks import ForgetTask, make_task
from laf_utils.training import train
from laf_utils.vae import fit_vae

SIZES = (10_000, 30_000, 60_000)
FORGOTTEN = 2_000  # images, the same ones at every size
FORGET_EPOCHS = 5  # of the fixed-mode runs; its stopping rule is off, or it would decide how long a run takes
INDEX_REPEATS = 50  # index sets take milliseconds
CLOCKS = ("wall", "cpu")
Calls = Mapping[str, Callable[[], object]]


def line(sizes: tuple[int, ...], values: list[float]) -> dict[str, float]:
    """Least squares through (size, seconds): slope per thousand images, intercept, R^2."""
    fit = statistics.linear_regression(sizes, values)
    mean = statistics.fmean(values)
    rest = sum((v - fit.intercept - fit.slope * n) ** 2 for n, v in zip(sizes, values, strict=True))
    return {
        "seconds_per_thousand": 1000 * fit.slope, "intercept": fit.intercept,
        "r2": 1 - rest / sum((v - mean) ** 2 for v in values),
    }


def stage_calls(data: Dataset) -> Calls:
    """One epoch or pass of every stage over all images of a slice."""
    config = preset("mnist", "class", profile="paper", **{f"{s}__epochs": 1 for s in ("training", "vae", "unlearning")})
    labels, images = data.train.labels, Images(data.train.images, Transform())
    network = Architecture("cnn", 1, 28, 10).build(0, "original")
    task = make_task("class", labels, classes=10, seed=0)
    frozen = FrozenRepresentations(network.extractor, images).prepare()
    forget, retain = images.subset(task.forget), images.subset(task.retain)
    teacher = Teacher(frozen.subset(task.forget), frozen.subset(task.retain))
    brief = replace(VAEConfig(), epochs=1)
    vae = fit_vae(teacher.forget, brief, seed=0, stage="vae_h_f", device=images.device)[0]
    return {
        "index sets": lambda: [make_task("class", labels, classes=10, seed=0) for _ in range(INDEX_REPEATS)],
        "training epoch": lambda: train(
            Architecture("cnn", 1, 28, 10).build(0, "original"), images, labels, config.training, seed=0, stage="original"
        ),
        "representation pass": lambda: apply_frozen(network.extractor, images),
        "VAE epoch": lambda: fit_vae(frozen, brief, seed=0, stage="vae_h", device=images.device),
        "unlearning epoch": lambda: unlearn(
            network, forget, retain, Densities(vae, vae), config.unlearning, seed=0, teacher=teacher
        ),
    }


def measure_growth(rounds: int) -> dict[str, dict]:
    """Seconds of every stage at every size, and the line through them."""
    calls = {size: stage_calls(mnist(size)) for size in SIZES}
    report = {}
    for name in calls[SIZES[0]]:
        calls[SIZES[0]][name]()  # warm-up
        times = in_turn({str(size): calls[size][name] for size in SIZES}, rounds)
        share = INDEX_REPEATS if name == "index sets" else 1
        report[name] = {}
        for clock in CLOCKS:
            medians = [statistics.median(getattr(times[str(size)], clock)) / share for size in SIZES]
            found = line(SIZES, medians)
            report[name][clock] = {"seconds": dict(zip(map(str, SIZES), medians, strict=True)), **found}
            say(f"{name:<20} {clock:<5}" + "".join(f"{v:10.4f} s" for v in medians) + f"  R^2 {found['r2']:.4f}")
    return report


class FixedRun:
    """Forgetting the same 2,000 images out of ``size`` in ``fixed`` mode, through the pipeline."""

    def __init__(self, full: Dataset, size: int) -> None:
        # Every size begins with the same shuffled rows, so the first 2,000 are the same images each time.
        rows = torch.randperm(len(full.train), generator=torch.Generator().manual_seed(0))[:size]
        self.data = replace(full, train=ImageSet(full.train.images[rows], full.train.labels[rows]))
        labels = self.data.train.labels
        self.task = ForgetTask("data", torch.arange(FORGOTTEN), torch.arange(FORGOTTEN, size), labels, labels)

    @staticmethod
    def _config() -> RunConfig:
        return preset("mnist", "data", profile="paper", mode="fixed", device="cpu",
                      unlearning__stop="last", unlearning__epochs=FORGET_EPOCHS)

    def forget(self) -> None:
        """VAEs and unlearning, from a network that holds random weights."""
        with tempfile.TemporaryDirectory() as folder:
            run = Run(self._config(), folder=Path(folder), say=lambda text: None)
            run.data = self.data
            run.task, run.original = self.task, Architecture("cnn", 1, 28, 10).build(0, "original")
            _ = run.laf

    def repair(self) -> None:
        """The supervised repair of LAF+R as preset, which reads all of D_r."""
        network = Architecture("cnn", 1, 28, 10).build(0, "original")
        images = Images(self.data.train.images, Transform()).subset(self.task.retain)
        repair(network, images, self.task.train_labels[self.task.retain], self._config().repair, seed=0)


def measure_fixed(rounds: int) -> dict[str, dict]:
    """Seconds of forgetting the same images at every size, and how far the sizes lie apart."""
    full = mnist()
    runs = {size: FixedRun(full, size) for size in SIZES}
    runs[SIZES[0]].forget()  # warm-up
    report = {}
    for name in ("forget", "repair"):
        times = in_turn({str(size): getattr(runs[size], name) for size in SIZES}, rounds)
        report[name] = {"seconds": {size: taken.report() for size, taken in times.items()}}
        for clock in CLOCKS:
            medians = [statistics.median(getattr(taken, clock)) for taken in times.values()]
            apart = max(medians) / min(medians)
            report[name] |= {f"{clock}_largest_over_smallest": apart, f"{clock}_within_a_fifth": apart <= 1.2}
            say(f"fixed mode, {name} {clock:<5} 2,000 of {'/'.join(times)}: {', '.join(f'{v:.2f} s' for v in medians)}; "
                f"largest over smallest {apart:.2f}")
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", choices=("growth", "fixed"), default=("growth", "fixed"))
    options = parser.parse_args()
    for part in options.parts:
        before = conditions()
        if part == "growth":
            write("linear", {"rounds": options.rounds, "stages": measure_growth(options.rounds)}, before)
        else:
            write("linear_fixed", {"rounds": options.rounds} | measure_fixed(options.rounds), before)


if __name__ == "__main__":
    main()
