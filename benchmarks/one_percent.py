"""One per cent of CIFAR-10 forgotten by torchvision's ResNet-18: seconds of ``forget`` over seconds of retraining, in one run.

``python -m benchmarks.one_percent`` writes ``results/one_percent.json``. D_f is 500 of the 10,000 images that the original was
trained on, D_r the other 49,500 of the data set. Retraining is not run: one epoch of it is 387 steps of 128 images, of which
some are timed before and after the request. The method is LAF; where ``auto`` goes on to learn anew, that costs a tenth of
retraining by its own budget. The audit's students are not trained here: their steps are known, and count as steps of retraining.
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
from laf_utils.forgetting import call
from laf_utils.forgetting.reference import BATCH, IMAGES, MOST_STEPS, STEPS, STUDENTS
from laf_utils.forgetting.reference import EPOCHS as PASSES
from laf_utils.support.seeds import stream
from laf_utils.tasks import balanced_subset

FORGET, UNSEEN, EPOCHS = 500, 2_000, (30, 100, 200)  # images, images, lengths of retraining that are reported on

AUDIT = STUDENTS * BATCH * min(MOST_STEPS, max(STEPS, PASSES * IMAGES // BATCH))  # images that its students take steps on


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
        epochs.append(seconds_of_an_epoch(kept, kept_labels, options.steps, len(kept)))
        epoch, content = sum(epochs) / 2, report.content
        found = {
            "seed": seed, "forget_seconds": seconds, "stages_wall": content["seconds"], "audit_in_epochs": AUDIT / len(kept),
            "epoch_seconds": epochs, "kept": content["kept"],
            "utility": {name: entry["utility"] for name, entry in content["utility"].items()},
            "attempts": [{key: a[key] for key in ("strength", "ended")} for a in content["attempts"]],
            "share_of_retraining": {str(count): {
                "forget": seconds / (count * epoch), "forget_and_audit": (seconds / epoch + AUDIT / len(kept)) / count,
            } for count in EPOCHS},
        }
        say(str(found))
        requests.append(found)
        write("one_percent", {"images": len(labels), "forget": FORGET, "recipe": vars(recipe), "requests": requests}, before)


if __name__ == "__main__":
    main()
