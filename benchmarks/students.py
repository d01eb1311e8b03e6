"""How many students does the audit need, and how long must they learn? Power, and findings in models that never saw D_f.

``python -m benchmarks.students`` writes ``results/students.jsonl``, a line for each judged model, seed by seed; what is there is
not done again. A network has learned 4,000 images of Fashion-MNIST (pooled to 14 x 14) by heart. Five requests of 160 random
images each; two models are retrained without all five, one is the original after two more epochs without them. Four students as
``forget`` teaches them, the first two and the first of these, and four that stop early are held against the same 500 unseen
images: for each the untouched original's standing, the leak that would be seen, and what is found in the retrained models, in
which there is nothing to find.
"""

import argparse
import copy
import json
import time
from collections import Counter
from statistics import fmean
from unittest import mock

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.common import RESULTS, say
from laf_utils.datasets import load
from laf_utils.forgetting import reference
from laf_utils.forgetting.evidence import weigh
from laf_utils.forgetting.sources import ArrayStore, OwnImages

TRAINED, REQUESTS, OF_EACH, UNSEEN, EPOCHS = 4_000, 5, 160, 500, 60
SHORT = 150  # steps of a student that stops early; as ``forget`` teaches them it takes 600 here
ARMS = {"four": 4, "two": 2, "one": 1}  # students


def network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(196, 256), nn.ReLU(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 10))


def trained(x: torch.Tensor, y: torch.Tensor, seed: int, start: nn.Module | None = None, epochs: int = EPOCHS) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = network() if start is None else copy.deepcopy(start)
    draw, steps = torch.Generator().manual_seed(seed), epochs * (len(x) // 128)
    optimiser = torch.optim.Adam(model.parameters(), 4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=draw).split(128)[: len(x) // 128]:
            optimiser.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimiser.step()
            schedule.step()
    return model.eval()


@torch.no_grad()
def logits(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return model(x)


def right(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Percent."""
    return 100 * (logits(model, x).argmax(1) == y).float().mean().item()


def references(original: nn.Module, x: torch.Tensor, kept: torch.Tensor, seed: int) -> dict[str, tuple[list[nn.Module], float]]:
    """Students by arm, and processor seconds."""
    images, found = OwnImages(ArrayStore(x), torch.device("cpu"), torch.float32, kept), {}
    start = time.process_time()
    long = list(reference.taught(original, images, seed=seed).students)
    seconds = time.process_time() - start
    found = {arm: (long[:count], seconds * count / len(long)) for arm, count in ARMS.items()}
    start = time.process_time()
    with mock.patch.multiple(reference, STEPS=SHORT, MOST_STEPS=SHORT):
        short = list(reference.taught(original, images, seed=seed).students)
    return found | {"four that stop early": (short, time.process_time() - start)}


def study(seed: int) -> list[dict]:
    """All references of one seed; a line by students, request and model."""
    whole, draw = load("fashion"), torch.Generator().manual_seed(seed)
    sets = []
    for split, count in ((whole.train, TRAINED), (whole.test, len(whole.test.labels))):
        rows = torch.randperm(len(split.labels), generator=draw)[:count]
        sets += [F.avg_pool2d(split.images[rows].float().reshape(-1, 1, 28, 28) / 255, 2), split.labels[rows].long()]
    x, y, other, truth = sets
    new, kept = other[:UNSEEN], torch.arange(REQUESTS * OF_EACH, TRAINED)
    original, found = trained(x, y, seed), []
    models = {"original": original} | {f"retrained {k}": trained(x[kept], y[kept], seed + 100 * k) for k in (1, 2)}
    models["tuned"] = trained(x[kept], y[kept], seed, original, epochs=2)
    for arm, (students, seconds) in references(original, x, kept, seed).items():
        answers = torch.stack([logits(student, new) for student in students])
        for request in range(REQUESTS):
            part = x[request * OF_EACH : (request + 1) * OF_EACH]
            sides = (torch.stack([logits(student, part) for student in students]), answers)
            before = (logits(original, part), logits(original, new))
            for name, model in models.items():
                evidence = weigh(before, (logits(model, part), logits(model, new)), sides)
                assert evidence is not None, "there are unseen images enough"
                found.append({
                    "seed": seed, "students": arm, "seconds": round(seconds, 2), "request": request, "model": name,
                    "accuracy": round(right(model, part, y[request * OF_EACH : (request + 1) * OF_EACH]), 1),
                    "test": round(right(model, other[UNSEEN:], truth[UNSEEN:]), 1), "finding": evidence.finding,
                    "sureness": round(evidence.sureness, 2), "detectable": round(evidence.detectable or 0.0, 1),
                })
    return found


def summary(lines: list[dict]) -> dict[str, dict[str, object]]:
    """By arm: cost over that of four students, the mean smallest leak that would be seen, and findings by kind of model."""
    found: dict[str, dict[str, object]] = {}
    four = fmean(line["seconds"] for line in lines if line["students"] == "four")
    for arm in dict.fromkeys(line["students"] for line in lines):
        own = [line for line in lines if line["students"] == arm]
        kinds = {kind: [line for line in own if line["model"].startswith(kind)] for kind in ("original", "tuned", "retrained")}
        found[arm] = {
            "cost": round(fmean(line["seconds"] for line in own) / four, 2),
            "detectable": round(fmean(line["detectable"] for line in kinds["original"]), 1),
        } | {kind: dict(Counter(line["finding"] for line in part)) for kind, part in kinds.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    options, file = parser.parse_args(), RESULTS / "students.jsonl"
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    for seed in options.seeds:
        if all(line["seed"] != seed for line in lines):
            lines += study(seed)
            file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    say(json.dumps(summary(lines), indent=1))


if __name__ == "__main__":
    main()
