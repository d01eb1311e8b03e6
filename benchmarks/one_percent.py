"""One per cent of CIFAR-10 forgotten by torchvision's ResNet-18: seconds of ``forget`` over seconds of retraining, in one run.

``python -m benchmarks.one_percent`` writes ``results/one_percent.json``. D_f is 500 of the 10,000 images that the original was
trained on, D_r the other 49,500 of the data set. Retraining is not run: one epoch of it is 387 steps of 128 images, of which
some are timed before and after the request. The method is LAF; where ``auto`` goes on to learn anew, that costs a tenth of
retraining by its own budget. The audit's students are not taught to their end: some of their steps are timed, and their number is
known.
"""

import argparse
import time
from collections.abc import Callable
from unittest import mock

import torch
import torch.nn.functional as F

from benchmarks.common import conditions, cut, say, write
from benchmarks.own_models import TRANSFORM, Recipe, network, trained
from laf_utils import datasets, forget
from laf_utils.forgetting import call, reference
from laf_utils.forgetting.options import STUDENTS
from laf_utils.forgetting.sources import ArrayStore, OwnImages
from laf_utils.support.seeds import stream
from laf_utils.tasks import balanced_subset

FORGET, UNSEEN, EPOCHS = 500, 2_000, (30, 100, 200)  # images, images, lengths of retraining that are reported on

LESSON = min(reference.MOST_STEPS, max(reference.STEPS, reference.EPOCHS * reference.IMAGES // reference.BATCH))  # steps


def timed(work: Callable[[], object]) -> tuple[object, float]:
    """The result and seconds of processor time."""
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


def seconds_of_an_epoch(inputs: torch.Tensor, labels: torch.Tensor, steps: int, images: int) -> float:
    """Of training on that many images, from a few steps of 128."""
    model = network().to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True)

    def run(count: int) -> None:
        for step in range(count):
            rows = slice(128 * step, 128 * (step + 1))
            optimiser.zero_grad()
            F.cross_entropy(model(inputs[rows]), labels[rows]).backward()
            optimiser.step()

    run(1)
    return timed(lambda: run(steps))[1] / steps * -(-images // 128)


def seconds_of_a_student(model: torch.nn.Module, inputs: torch.Tensor, steps: int) -> float:
    """Of the audit's, from a few of its steps."""
    images = OwnImages(ArrayStore(inputs), inputs.device, inputs.dtype, torch.arange(reference.IMAGES))
    answers = torch.arange(len(images)) % 10  # what it learns does not change what a step costs

    def run(count: int) -> None:
        with mock.patch.multiple(reference, STEPS=count, MOST_STEPS=count):
            reference.student(model, images, answers, torch.Generator().manual_seed(0))

    run(1)
    return timed(lambda: run(steps))[1] / steps * LESSON


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=25, help="of retraining that are timed, before and after")
    options, before, recipe = parser.parse_args(), conditions(), Recipe(images=10_000, epochs=4)
    model, _ = trained(recipe, "original")
    whole = datasets.load("cifar10", download=False)
    inputs, labels = TRANSFORM(whole.train.images), whole.train.labels
    slice_ = balanced_subset(labels, recipe.images, whole.num_classes, recipe.seed)
    assert torch.equal(whole.train.images[slice_], cut(whole, recipe.images, seed=recipe.seed).train.images)
    unseen, requests = TRANSFORM(whole.test.images[:UNSEEN]), []
    for seed in range(options.seeds):
        rows = slice_[torch.randperm(len(slice_), generator=stream(seed, "one percent"))[:FORGET]]
        left = torch.ones(len(labels), dtype=torch.bool)
        left[rows] = False
        kept, kept_labels = inputs[left], labels[left]
        epochs = [seconds_of_an_epoch(kept, kept_labels, options.steps, len(kept))]
        with mock.patch.object(call, "weighed", lambda *_, **__: None):
            (_, report), seconds = timed(lambda: forget(
                model, inputs[rows], kept, unseen=unseen, seed=seed, method="laf"  # noqa: B023
            ))
        lesson = seconds_of_a_student(model, kept, 2 * options.steps)
        epochs.append(seconds_of_an_epoch(kept, kept_labels, options.steps, len(kept)))
        epoch, content = sum(epochs) / 2, report.content
        found = {
            "seed": seed, "forget_seconds": seconds, "stages_wall": content["seconds"], "student_seconds": lesson,
            "epoch_seconds": epochs, "kept": content["kept"],
            "utility": {name: entry["utility"] for name, entry in content["utility"].items()},
            "attempts": [{key: a[key] for key in ("strength", "ended")} for a in content["attempts"]],
            "share_of_retraining": {str(count): {
                f"with_{number}_students": (seconds + number * lesson) / (count * epoch) for number in (0, 1, STUDENTS)
            } for count in EPOCHS},
        }
        say(str(found))
        requests.append(found)
        write("one_percent", {"images": len(labels), "forget": FORGET, "recipe": vars(recipe), "requests": requests}, before)


if __name__ == "__main__":
    main()
