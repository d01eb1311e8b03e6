"""The package against the plain way, stage by stage and end to end, on real MNIST, class 0 removed.

``python -m benchmarks.speed`` times both sides in turn. Training, VAEs, unlearning and repair run on a slice, since their cost
grows with the images (``benchmarks.linear`` shows it); index sets and evaluation run on all images. The paper's whole
pipeline is put together from these by the number of image passes, and a smaller pipeline is run end to end beside it.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks import plain
from benchmarks.common import Sides, Times, conditions, cut, in_turn, mnist, ratio, ratio_text, say, spread, write
from laf_utils.adaptation import Teacher, unlearn
from laf_utils.datasets.sets import Dataset
from laf_utils.evaluation import evaluate
from laf_utils.laf import repair
from laf_utils.models import Architecture, Network
from laf_utils.run import Run
from laf_utils.settings.config import RunConfig
from laf_utils.settings.presets import preset
from laf_utils.tasks import make_task
from laf_utils.training import train

FORGET_CLASS = 0
EPOCHS = {"training": 1, "vae": 10, "unlearning": 4}  # of the stage timings; the VAEs have the paper's ten
SHORT = {"training": 5, "vae": 3, "unlearning": 5}  # of the pipeline run end to end: about a quarter of the paper's
PAPER = {"training": 20, "vae": 10, "unlearning": 20}
TARGETS = {"index sets": 100.0, "original training": 1.5, "VAE stage": 10.0, "unlearning stage": 2.0, "whole pipeline": 3.0}
BATCH = plain.BATCH


@dataclass(frozen=True)
class Stage:
    """Two sides of a stage, and how many times this work the paper's setting holds."""

    sides: Sides
    to_paper: float


def configuration(epochs: dict[str, int]) -> RunConfig:
    """The paper's setting of MNIST, class removal, with these epochs."""
    changes = {f"{name}__epochs": count for name, count in epochs.items()}
    return preset("mnist", "class", profile="paper", forget_classes=(FORGET_CLASS,), device="cpu", **changes)


def new_run(data: Dataset, epochs: dict[str, int], folder: Path) -> Run:
    """Our pipeline on a slice, nothing computed yet."""
    run = Run(configuration(epochs), folder=folder, say=lambda line: None)
    run.data = data
    return run


def unlearning_steps(forget: int, retain: int) -> int:
    """Pairs of batches in an epoch, which ends with the shorter set."""
    return -(-min(forget, retain) // BATCH)


class Bench:
    """The prepared inputs of both sides: the full set, the slice, an original and VAEs with the same weights."""

    def __init__(self, images: int, folder: Path) -> None:
        self.full = mnist()
        self.run = new_run(cut(self.full, images), EPOCHS, folder)
        data, self.task = self.run.data, self.run.task
        self.digits = plain.Digits(data.train.images, data.train.labels)
        self.all_digits = plain.Digits(self.full.train.images, self.full.train.labels)
        self.test_digits = plain.Digits(self.full.test.images, self.full.test.labels)
        self.forget, self.retain = self.task.forget.tolist(), self.task.retain.tolist()
        self.plain_original = plain.CNN()
        self.plain_original.load_state_dict(self.run.original.state_dict())
        self.plain_vaes = tuple(self._plain_vae(vae) for vae in (self.run.densities.h, self.run.densities.h_f))
        everything = make_task("class", self.full.train.labels, classes=10, seed=0, forget_classes=(FORGET_CLASS,))
        self.paper = {"forget": len(everything.forget), "retain": len(everything.retain)}
        self.all_forget, self.all_retain = everything.forget.tolist(), everything.retain.tolist()

    @staticmethod
    def _plain_vae(ours: torch.nn.Module) -> torch.nn.Module:
        vae = plain.VAE()
        vae.load_state_dict({k: v for k, v in ours.state_dict().items() if k not in ("centre", "scale")})
        return vae.requires_grad_(False)

    def fresh(self) -> Network:
        return Architecture("cnn", 1, 28, 10).build(0, "original")

    def without_cache(self) -> Run:
        """A run that holds the trained original only, so that the VAE stage has its frozen pass to do."""
        run = new_run(self.run.data, EPOCHS, Path(tempfile.mkdtemp(dir=self.run.folder)))
        run.original = self.run.original
        return run

    # -- stages --------------------------------------------------------------------------------------------------------

    def index_sets(self) -> Stage:
        """All 60,000 labels: membership in a list is quadratic, a slice would flatter it."""
        labels = self.full.train.labels
        return Stage({
            "plain": lambda: plain.class_index_sets(self.all_digits, FORGET_CLASS),
            "ours": lambda: make_task("class", labels, classes=10, seed=0, forget_classes=(FORGET_CLASS,)),
        }, to_paper=1.0)

    def training(self) -> Stage:
        run, config = self.run, self.run.config.training
        return Stage({
            "plain": lambda: plain.train(plain.CNN(), self.digits, None, config.epochs),
            "ours": lambda: train(self.fresh(), run.train_images, run.task.train_labels, config, seed=0, stage="original"),
        }, to_paper=0.0)  # the next stage stands for it

    def both_trainings(self) -> Stage:
        """Original and retrained: the plain way trains one after the other, the pipeline both at the same time."""

        def plain_side() -> None:
            plain.train(plain.CNN(), self.digits, None, EPOCHS["training"])
            plain.train(plain.CNN(), self.digits, self.retain, EPOCHS["training"])

        def our_side() -> None:
            new_run(self.run.data, EPOCHS, Path(tempfile.mkdtemp(dir=self.run.folder))).train_both()

        paper_images = (2 * self.paper["retain"] + self.paper["forget"]) * PAPER["training"]
        images = (len(self.digits) + len(self.retain)) * EPOCHS["training"]
        return Stage({"plain": plain_side, "ours": our_side}, to_paper=paper_images / images)

    def vaes(self) -> Stage:
        def plain_side() -> None:
            plain.fit_vae(self.plain_original, self.digits, None, EPOCHS["vae"])
            plain.fit_vae(self.plain_original, self.digits, self.forget, EPOCHS["vae"])

        rows = len(self.digits) + len(self.forget)
        paper_rows = self.paper["retain"] + 2 * self.paper["forget"]
        return Stage({"plain": plain_side, "ours": lambda: self.without_cache().densities}, to_paper=paper_rows / rows)

    def unlearning(self) -> Stage:
        run, images = self.run, self.run.frozen_images
        teacher = Teacher(run.frozen["forget"], run.frozen["retain"])  # known since the VAE stage, which pays for it
        steps = unlearning_steps(len(self.forget), len(self.retain)) * EPOCHS["unlearning"]
        paper_steps = unlearning_steps(self.paper["forget"], self.paper["retain"]) * PAPER["unlearning"]
        return Stage({
            "plain": lambda: plain.unlearn(
                self.plain_original, self.digits, self.forget, self.retain, self.plain_vaes, EPOCHS["unlearning"]
            ),
            "ours": lambda: unlearn(
                run.original, images.subset(run.task.forget), images.subset(run.retain_rows), run.densities,
                run.config.unlearning, seed=0, teacher=teacher,
            ),
        }, to_paper=paper_steps / steps)

    def repairing(self) -> Stage:
        run = self.run
        labels = run.task.train_labels[run.task.retain]
        return Stage({
            "plain": lambda: plain.repair(self.plain_original, self.digits, self.retain),
            "ours": lambda: repair(run.original, run.train_images.subset(run.task.retain), labels, run.config.repair, seed=0),
        }, to_paper=self.paper["retain"] / len(self.retain))

    def evaluation(self) -> Stage:
        """One model on all images; the pipeline evaluates four."""
        run = new_run(self.full, EPOCHS, self.run.folder)
        _ = run.task
        run.models = lambda: {"retrained": self.run.original}
        return Stage({
            "plain": lambda: plain.evaluate(
                self.plain_original, self.all_digits, self.test_digits, self.all_forget, self.all_retain, FORGET_CLASS
            ),
            "ours": lambda: evaluate(run),
        }, to_paper=4.0)

    def stages(self) -> dict[str, Callable[[], Stage]]:
        return {
            "index sets": self.index_sets, "original training": self.training,
            "original and retrained": self.both_trainings, "VAE stage": self.vaes,
            "unlearning stage": self.unlearning, "repair": self.repairing, "evaluation": self.evaluation,
        }


def worker_start(data: Dataset) -> float:
    """Median seconds that the plain way's loader takes for one batch, workers included: its cost per epoch on any slice."""
    digits = plain.Digits(data.train.images[:BATCH], data.train.labels[:BATCH])
    return spread(in_turn({"plain": lambda: list(plain.loader(digits))}, 5)["plain"].wall)["median"]


def plain_pipeline(data: Dataset, epochs: dict[str, int]) -> None:
    """Everything the plain way, from index sets to the evaluation of four models."""
    digits, test = plain.Digits(data.train.images, data.train.labels), plain.Digits(data.test.images, data.test.labels)
    forget, retain = plain.class_index_sets(digits, FORGET_CLASS)
    original, retrained = plain.CNN(), plain.CNN()
    plain.train(original, digits, None, epochs["training"])
    plain.train(retrained, digits, retain, epochs["training"])
    h = plain.fit_vae(original, digits, None, epochs["vae"])
    h_f = plain.fit_vae(original, digits, forget, epochs["vae"])
    laf, _, _ = plain.unlearn(original, digits, forget, retain, (h, h_f), epochs["unlearning"])
    laf_r = plain.repair(laf, digits, retain)
    for model in (original, retrained, laf, laf_r):
        plain.evaluate(model, digits, test, forget, retain, FORGET_CLASS)


def our_pipeline(data: Dataset, epochs: dict[str, int]) -> None:
    """Everything through ``laf_utils.run``, writing what it keeps to a folder that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        evaluate(new_run(data, epochs, Path(folder)))


def measure_stages(images: int, pairs: int) -> dict:
    """Spread of every stage, and what the paper's whole pipeline would take, round by round."""
    whole = {side: Times([0.0] * pairs, [0.0] * pairs) for side in ("plain", "ours")}
    report: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(images, Path(folder))
        for name, make in bench.stages().items():
            stage = make()
            stage.sides["ours"]()  # warm-up of the short side: the first call pays for choosing kernels
            times = in_turn(stage.sides, pairs)
            for side, taken in times.items():
                whole[side] += taken.scaled(stage.to_paper)
            report[name] = summary(name, times) | {"to_paper": stage.to_paper}
        start = worker_start(bench.run.data)
    return {
        "images": images, "pairs": pairs, "epochs": EPOCHS, "stages": report, "plain_worker_start_seconds": start,
        "paper_setting_from_the_stages": summary("whole pipeline, paper setting", whole, TARGETS["whole pipeline"]),
    }


def summary(name: str, times: dict[str, Times], target: float | None = None) -> dict:
    """One row of the report, printed and returned. A target is met when both clocks say so, or the wall clock where there are
    more threads than one: processor time then holds the waiting of idle threads, more of it on the side that uses them less.
    """
    factor, target = ratio(times["plain"], times["ours"]), target or TARGETS.get(name)
    clocks = factor if torch.get_num_threads() == 1 else ("wall",)
    row: dict = {"ratio": factor, "plain_seconds": times["plain"].report(), "our_seconds": times["ours"].report()}
    if target is not None:
        row |= {"target": target, "met": all(factor[clock]["median"] >= target for clock in clocks)}
    verdict = "" if target is None else f" target {target:g}x: {'met' if row['met'] else 'NOT met'}"
    say(f"{name:<30} {ratio_text(factor)}{verdict}")
    return row


def measure_pipeline(images: int, pairs: int) -> dict:
    """A small pipeline run as a whole by both sides."""
    data = mnist(images, images // 6)
    say(f"end to end: {len(data.train)} training and {len(data.test)} test images, epochs {SHORT}")
    sides = {"plain": lambda: plain_pipeline(data, SHORT), "ours": lambda: our_pipeline(data, SHORT)}
    our_pipeline(cut(data, 300), dict.fromkeys(SHORT, 1))  # warm-up
    return {"images": images, "pairs": pairs, "epochs": SHORT} | summary("whole pipeline", in_turn(sides, pairs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=6_000, help="training images of the slice")
    parser.add_argument("--pipeline-images", type=int, default=3_000, help="training images of the pipeline run end to end")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--parts", nargs="+", choices=("stages", "pipeline"), default=("stages", "pipeline"))
    options = parser.parse_args()
    for part in options.parts:
        before = conditions()
        say(f"{part}: {before['threads']} threads, load {before['load_average'][0]}")
        if part == "stages":
            write("speed", measure_stages(options.images, options.pairs), before)
        else:
            write("speed_pipeline", measure_pipeline(options.pipeline_images, options.pairs), before)


if __name__ == "__main__":
    main()
