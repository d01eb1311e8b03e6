"""Forgetting in a classifier of somebody else's: torchvision's ResNet-18 on CIFAR-10, one class, then ten requests in a row.

``python -m benchmarks.own`` takes the original and the retrained model of ``own_models`` (and trains them where they are not
kept) and writes ``results/own.json``. Seconds of forgetting are those of the whole call, checks and report included.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from benchmarks.common import RESULTS, conditions, say, write
from benchmarks.own_models import TRANSFORM, Recipe, data, trained
from laf_utils import forget
from laf_utils.audit.unseen import audit
from laf_utils.datasets import Dataset
from laf_utils.forgetting.preparing import alike
from laf_utils.forgetting.watch import utility
from laf_utils.support.paths import runs_folder
from laf_utils.support.seeds import stream

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
    """Class removal, beside original and retrained, and the audit of each on the same unseen images."""
    chosen = whole.train.labels == recipe.removed
    found: dict = {name: accuracies(model, inputs, whole, recipe.removed) for name, model in models.items()}
    found["unlearned"] = []
    unseen, own = inputs["test"][:UNSEEN], inputs["train"][chosen]
    before = {part: logits(models["original"], images) for part, images in (("forget", own), ("unseen", unseen))}
    like = alike(before["forget"].argmax(1), before["unseen"].argmax(1))

    def audited(model: nn.Module) -> dict:
        return audit(logits(model, own), logits(model, unseen)[like]).as_dict()

    for seed in range(seeds):
        start, cpu = time.perf_counter(), time.process_time()
        model, report = forget(models["original"], own, inputs["train"][~chosen], seed=seed)
        seconds = {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu}
        measured, content = accuracies(model, inputs, whole, recipe.removed), report.content
        found["unlearned"].append({
            "seed": seed, **measured, "seconds": seconds, "stages": content["seconds"], "verdict": report.verdict,
            "reasons": content["reasons"], "utility_retain": content["utility"]["retain"]["utility"], "audit": audited(model),
            "attempts": [{key: a[key] for key in ("strength", "ended", "kept")} for a in content["attempts"]],
        })
        say(f"class removal, seed {seed}: {found['unlearned'][-1]}")
    found["audit_images_of_the_class"] = int((whole.test.labels[:UNSEEN][like] == recipe.removed).sum())
    found |= {f"audit_of_{name}": audited(model) for name, model in models.items()}
    return found


def judged(model: nn.Module, first: torch.Tensor, inputs: dict, whole: Dataset, forgotten: torch.Tensor) -> dict[str, float]:
    """Percent: test accuracy, utility of the test answers by the first model itself, accuracy on all that was forgotten.

    Args:
        first: probabilities [n, classes] of the first model on the test images.
        forgotten: rows of the training images.
    """
    answers = logits(model, inputs["test"]).argmax(1)
    gone = logits(model, inputs["train"][forgotten]).argmax(1) == whole.train.labels[forgotten]
    return {
        "test": 100 * (answers == whole.test.labels).float().mean().item(), "utility_by_first": 100 * utility(first, answers),
        "train_f_all": 100 * gone.float().mean().item(),
    }


def one_request(model: nn.Module, inputs: dict, chosen: torch.Tensor, left: torch.Tensor, **options: object) -> tuple:
    """The unlearned model, and what its report and the processor's clock say."""
    cpu = time.process_time()
    model, report = forget(model, inputs["train"][chosen], inputs["train"][left], unseen=inputs["test"][:UNSEEN], **options)
    seconds, content = time.process_time() - cpu, report.content
    return model, {
        "verdict": report.verdict, "reasons": content["reasons"], "kept": content["kept"], "scope": content["scope"]["name"],
        "utility": {name: entry["utility"] for name, entry in content["utility"].items()},
        "utility_together": content["utility_together"], "audit": content["audit"], "cpu_seconds": seconds,
        "attempts": [{key: a[key] for key in ("strength", "ended", "kept")} for a in content["attempts"]],
    }


def in_a_row(model: nn.Module, inputs: dict, whole: Dataset, folder: Path, keep: Callable[[dict], None]) -> None:
    """Ten requests of random images, each on what the one before left; then all of their images in a single request.

    Args:
        keep: is given the result after every request, so that a run that is cut off leaves what it has.
    """
    rows, original = torch.randperm(len(whole.train), generator=stream(0, "own", "requests")), model
    ledger, left = folder / "ledger.jsonl", torch.ones(len(rows), dtype=torch.bool)
    ledger.unlink(missing_ok=True)
    first = logits(model, inputs["test"]).softmax(1)
    found: dict = {"images_of_each": OF_EACH, "before": judged(model, first, inputs, whole, rows[: REQUESTS * OF_EACH])}
    found["requests"] = []
    for number in range(1, REQUESTS + 1):
        chosen = rows[(number - 1) * OF_EACH : number * OF_EACH]
        left[chosen] = False
        model, request = one_request(model, inputs, chosen, left, ledger=ledger, seed=number)
        own = judged(model, first, inputs, whole, rows[: number * OF_EACH])
        found["requests"].append({"request": number, **own, **request})
        say(f"request {number}: {own}, {request['verdict']} {request['reasons']}")
        keep(found)
    model, request = one_request(original, inputs, rows[: REQUESTS * OF_EACH], left, seed=1)
    found["at_once"] = judged(model, first, inputs, whole, rows[: REQUESTS * OF_EACH]) | request
    say(f"at once: {found['at_once']}")
    keep(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", choices=("class_removal", "in_a_row"), default=["class_removal", "in_a_row"])
    options, recipe, before = parser.parse_args(), Recipe(), conditions()
    pairs = {stage: trained(recipe, stage) for stage in ("original", "retrained")}
    models, training = {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}
    whole, file = data(recipe), RESULTS / "own.json"
    inputs = {"train": TRANSFORM(whole.train.images), "test": TRANSFORM(whole.test.images)}

    def keep(part: str, found: dict) -> None:
        kept: dict = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        kept |= {"recipe": vars(recipe), "training_seconds": training}
        kept[part] = {"conditions": before | {"load_average_after": conditions()["load_average"]}} | found
        write("own", {key: value for key, value in kept.items() if key != "conditions"}, before)

    if "class_removal" in options.parts:
        found = one_class(models, inputs, whole, recipe, options.seeds)
        for own in found["unlearned"]:
            share = {clock: own["seconds"][clock] / training["retrained"][clock] for clock in ("wall", "cpu")}
            own["share_of_retraining"] = share
        keep("class_removal", found)
    if "in_a_row" in options.parts:
        in_a_row(models["original"], inputs, whole, runs_folder() / "own", lambda found: keep("in_a_row", found))


if __name__ == "__main__":
    main()
