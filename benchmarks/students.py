"""How many students does the audit need, and how long must they learn? Power, and findings in models that never saw D_f.

``python -m benchmarks.students`` writes ``results/students.json``, seed by seed; what is there is not done again. A network has
learned 4,000 images of Fashion-MNIST (pooled to 14 x 14) by heart. Five requests of 160 random images each; two models are
retrained without all five, one is the original after two more epochs without them. Four students as ``forget`` teaches them, the
first two and the first of these, and four that stop early are held against the same 500 unseen images: for each the untouched
original's standing, the leak that would be seen, and what is found in the retrained models, in which there is nothing to find.
"""

import argparse
import copy
import json
import time
from unittest import mock

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.common import RESULTS, conditions, say, write
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


def study(seed: int) -> dict:
    """All references of one seed; by request and model what was found."""
    whole, draw = load("fashion"), torch.Generator().manual_seed(seed)
    sets = []
    for part, count in ((whole.train, TRAINED), (whole.test, len(whole.test.labels))):
        rows = torch.randperm(len(part.labels), generator=draw)[:count]
        sets += [F.avg_pool2d(part.images[rows].float().reshape(-1, 1, 28, 28) / 255, 2), part.labels[rows].long()]
    x, y, other, truth = sets
    new, kept, gone = other[:UNSEEN], torch.arange(REQUESTS * OF_EACH, TRAINED), slice(0, REQUESTS * OF_EACH)
    original, found = trained(x, y, seed), {}
    models = {"original": original} | {f"retrained {k}": trained(x[kept], y[kept], seed + 100 * k) for k in (1, 2)}
    models["tuned"] = trained(x[kept], y[kept], seed, original, epochs=2)
    for arm, (students, seconds) in references(original, x, kept, seed).items():
        answers, lines = torch.stack([logits(student, new) for student in students]), []
        for request in range(REQUESTS):
            part = x[request * OF_EACH : (request + 1) * OF_EACH]
            sides = (torch.stack([logits(student, part) for student in students]), answers)
            before = (logits(original, part), logits(original, new))
            for name, model in models.items():
                evidence = weigh(before, (logits(model, part), logits(model, new)), sides)
                accuracy = right(model, part, y[request * OF_EACH : (request + 1) * OF_EACH])
                lines.append({"request": request, "model": name, "accuracy": accuracy, **evidence.as_dict()})
        own = right(students[0], other[UNSEEN:], truth[UNSEEN:])
        found[arm] = {"seconds": seconds, "test": own, "lines": lines}
    accuracy = {
        name: {"forget": right(model, x[gone], y[gone]), "test": right(model, other[UNSEEN:], truth[UNSEEN:])}
        for name, model in models.items()
    }
    return {"accuracy": accuracy, "references": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    options, before, file = parser.parse_args(), conditions(), RESULTS / "students.json"
    kept = json.loads(file.read_text(encoding="utf-8"))["seeds"] if file.exists() else {}
    for seed in options.seeds:
        if str(seed) not in kept:
            kept[str(seed)] = study(seed)
            for arm, own in kept[str(seed)]["references"].items():
                said = [(line["model"][0], line["finding"], line["sureness"]) for line in own["lines"]]
                say(f"seed {seed}, {arm}: {own['test']:.1f} % of test images, {own['seconds']:.1f} s, {said}")
            write("students", {"images": TRAINED, "forget": OF_EACH, "unseen": UNSEEN, "short": SHORT, "seeds": kept}, before)


if __name__ == "__main__":
    main()
