"""Forgetting in a classifier of somebody else's: torchvision's ResNet-18 on CIFAR-10, one class, then ten requests in a row.

``python -m benchmarks.own`` takes the original and the retrained model of ``own_models`` (and trains them where they are not
kept) and writes ``results/own.json``. Seconds of forgetting are those of the whole call, checks and report included.
"""

import argparse
import time
from pathlib import Path

import torch
from torch import nn

from benchmarks.common import conditions, say, write
from benchmarks.own_models import TRANSFORM, Recipe, data, trained
from laf_utils import forget
from laf_utils.datasets import Dataset
from laf_utils.forgetting.audit import audit
from laf_utils.paths import runs_folder
from laf_utils.seeds import stream

REQUESTS, OF_EACH = 10, 100  # requests in a row, images of each
UNSEEN = 3_000  # test images that the audit is given


@torch.no_grad()
def logits(model: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """[n, classes] in evaluation mode."""
    model.eval()
    return torch.cat([model(batch) for batch in inputs.split(500)])


def accuracies(model: nn.Module, inputs: dict[str, torch.Tensor], whole: Dataset, removed: int) -> dict[str, float]:
    """Percent, on D_f and on the test images of the kept and of the removed class."""
    test = logits(model, inputs["test"]).argmax(1) == whole.test.labels
    gone = whole.test.labels == removed
    train_f = (logits(model, inputs["train"][whole.train.labels == removed]).argmax(1) == removed).float().mean()
    return {name: 100 * value.item() for name, value in {
        "train_f": train_f, "test_r": test[~gone].float().mean(), "test_f": test[gone].float().mean()
    }.items()}


def one_class(models: dict, inputs: dict, whole: Dataset, recipe: Recipe, seeds: int) -> dict:
    """Class removal, beside original and retrained; the last seed once more with unseen images, for the audit."""
    chosen = whole.train.labels == recipe.removed
    found: dict = {name: accuracies(model, inputs, whole, recipe.removed) for name, model in models.items()}
    found["unlearned"] = []
    for seed in range(seeds):
        start, cpu = time.perf_counter(), time.process_time()
        model, report = forget(models["original"], inputs["train"][chosen], inputs["train"][~chosen], seed=seed)
        seconds = {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu}
        own = accuracies(model, inputs, whole, recipe.removed)
        content = report.content
        found["unlearned"].append({
            "seed": seed, **own, "seconds": seconds, "stages": content["seconds"], "verdict": report.verdict,
            "reasons": content["reasons"], "utility_retain": content["utility"]["retain"]["utility"],
            "attempts": [{key: a[key] for key in ("strength", "ended", "kept")} for a in content["attempts"]],
        })
        say(f"class removal, seed {seed}: {own} in {seconds}, {report.verdict}")
    _, report = forget(
        models["original"], inputs["train"][chosen], inputs["train"][~chosen], unseen=inputs["test"][:UNSEEN],
        unseen_labels=whole.test.labels[:UNSEEN],
    )
    found["with_unseen_images"] = {key: report.content[key] for key in ("verdict", "reasons", "utility", "audit")}
    retrained = [logits(models["retrained"], part) for part in (inputs["train"][chosen], inputs["test"][:UNSEEN])]
    like = logits(models["original"], inputs["test"][:UNSEEN]).argmax(1) == recipe.removed
    found["audit_of_retrained"] = audit(retrained[0], retrained[1][like]).as_dict()
    return found


def in_a_row(model: nn.Module, inputs: dict, whole: Dataset, folder: Path) -> list[dict]:
    """Ten requests of random images, one after another, each on what the one before left."""
    rows = torch.randperm(len(whole.train), generator=stream(0, "own", "requests"))
    ledger, left, found = folder / "ledger.jsonl", torch.ones(len(rows), dtype=torch.bool), []
    ledger.unlink(missing_ok=True)
    for number in range(1, REQUESTS + 1):
        chosen = rows[(number - 1) * OF_EACH : number * OF_EACH]
        left[chosen] = False
        start = time.perf_counter()
        model, report = forget(
            model, inputs["train"][chosen], inputs["train"][left], unseen=inputs["test"][:UNSEEN], ledger=ledger, seed=number
        )
        test = 100 * (logits(model, inputs["test"]).argmax(1) == whole.test.labels).float().mean().item()
        forgotten = (~left).nonzero().flatten()
        said = logits(model, inputs["train"][forgotten]).argmax(1)
        train_f = 100 * (said == whole.train.labels[forgotten]).float().mean().item()
        content = report.content
        found.append({
            "request": number, "test": test, "train_f_all": train_f, "verdict": report.verdict, "reasons": content["reasons"],
            "utility_together": content["utility_together"], "audit": content["audit"], "seconds": time.perf_counter() - start,
            "strengths": [attempt["strength"] for attempt in content["attempts"]], "kept": content["kept"],
        })
        say(f"request {number}: test {test:.2f} %, all forgotten so far {train_f:.2f} %, {report.verdict} {content['reasons']}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds, recipe, before = parser.parse_args().seeds, Recipe(), conditions()
    pairs = {stage: trained(recipe, stage) for stage in ("original", "retrained")}
    models, training = {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}
    whole = data(recipe)
    inputs = {"train": TRANSFORM(whole.train.images), "test": TRANSFORM(whole.test.images)}
    result: dict = {"recipe": vars(recipe), "training_seconds": training}
    result["class_removal"] = one_class(models, inputs, whole, recipe, seeds)
    for own in result["class_removal"]["unlearned"]:
        own["share_of_retraining"] = {clock: own["seconds"][clock] / training["retrained"][clock] for clock in ("wall", "cpu")}
    write("own", result, before)
    test = 100 * (logits(models["original"], inputs["test"]).argmax(1) == whole.test.labels).float().mean().item()
    result["in_a_row"] = {"test_before": test, "images_of_each": OF_EACH, "requests": in_a_row(
        models["original"], inputs, whole, runs_folder() / "own"
    )}
    write("own", result, before)


if __name__ == "__main__":
    main()
