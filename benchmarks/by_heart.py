"""A network has its images by heart and must forget a fifth of them, at random: how near does ``forget`` come to retraining?

``python -m benchmarks.by_heart --seeds 0 1 2 3 4`` trains originals and two truly retrained models on 1,000 Fashion-MNIST images,
calls ``forget`` with its defaults, and adds one line for each run to ``benchmarks/results/by_heart.jsonl``; what is there stays.
``--repeat`` calls ``forget`` again for the lines there are: the originals are trained anew and must come out as they were, the
retrained models' accuracies are kept, and a tenth of their training is timed beside ``forget``.
"""

import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from laf_utils.datasets import load
from laf_utils.forgetting import forget

RESULT = Path(__file__).parent / "results" / "by_heart.jsonl"
NETWORKS = ("mlp", "cnn", "residual")
IMAGES, FORGET, UNSEEN, JUDGED, EPOCHS = 1_000, 200, 1_000, 3_000, 60


class Residual(nn.Module):
    """One residual block with BatchNorm: images [B, 1, 28, 28] to logits."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2))
        self.block = nn.Sequential(
            nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16),
        )
        self.mix, self.head = nn.Linear(16 * 49, 128), nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.head(F.relu(self.mix(F.relu(x + self.block(x)).flatten(1))))


def network(name: str) -> nn.Module:
    if name == "residual":
        return Residual()
    if name == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 10))
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 49, 128), nn.ReLU(), nn.Linear(128, 10),
    )


def trained(name: str, x: torch.Tensor, y: torch.Tensor, seed: int, epochs: int = EPOCHS) -> tuple[nn.Module, float]:
    """A network after some epochs of Adam at 1e-3, in evaluation mode, and processor seconds."""
    torch.manual_seed(seed)
    model, start = network(name), time.process_time()
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(50):
            optimiser.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimiser.step()
    return model.eval(), time.process_time() - start


@torch.no_grad()
def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    return round(100 * (torch.cat([model(part) for part in x.split(500)]).argmax(1) == y).float().mean().item(), 2)


def run(name: str, seed: int, known: dict | None = None) -> dict:
    """One line: accuracies in percent on D_f, on D_r and on unseen images that no call was given, and the verdict.

    Args:
        known: an earlier line, whose retrained models are not trained again.

    Raises:
        ValueError: the original is not the earlier line's.
    """
    whole = load("fashion")
    rows = torch.randperm(len(whole.train.labels), generator=torch.Generator().manual_seed(seed))[:IMAGES]
    x, y = whole.train.images[rows].float().reshape(-1, 1, 28, 28) / 255, whole.train.labels[rows].long()
    u, v = whole.test.images.float().reshape(-1, 1, 28, 28) / 255, whole.test.labels.long()
    models, seconds = {}, {}
    models["original"], _ = trained(name, x, y, seed)
    if known:
        seconds["retrained"] = 10 * trained(name, x[FORGET:], y[FORGET:], 100 + seed, EPOCHS // 10)[1]
    for number, other in enumerate(() if known else ("retrained", "retrained again")):
        models[other], seconds[other] = trained(name, x[FORGET:], y[FORGET:], 100 * (number + 1) + seed)
    start = time.process_time()
    models["unlearned"], report = forget(models["original"], x[:FORGET], x[FORGET:], unseen=u[:UNSEEN], seed=seed)
    seconds["forget"] = time.process_time() - start
    judged = {"forget": (x[:FORGET], y[:FORGET]), "retain": (x[FORGET:], y[FORGET:]), "unseen": (u[-JUDGED:], v[-JUDGED:])}
    found = {key: {part: accuracy(model, *own) for part, own in judged.items()} for key, model in models.items()}
    if known and known["accuracy"]["original"] != found["original"]:
        raise ValueError(f"{name}, seed {seed}: the original was {known['accuracy']['original']}, it is {found['original']}")
    return {
        "network": name, "seed": seed, "method": report.content["method"]["name"], "verdict": report.verdict,
        "reasons": report.content["reasons"], "seconds": {key: round(value, 1) for key, value in seconds.items()},
        "accuracy": (known["accuracy"] if known else {}) | found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--repeat", action="store_true")
    asked = parser.parse_args()
    known = RESULT.read_text(encoding="utf-8").splitlines() if RESULT.is_file() else []
    done = {(line["network"], line["seed"]): line for line in map(json.loads, known)}
    for seed in asked.seeds:
        for name in asked.networks:
            if asked.repeat == ((name, seed) in done):
                line = run(name, seed, done.get((name, seed)))
                done[name, seed] = line
                RESULT.write_text("".join(json.dumps(own) + "\n" for own in done.values()), encoding="utf-8")
                print(name, seed, line["verdict"], {key: value["forget"] for key, value in line["accuracy"].items()}, flush=True)


if __name__ == "__main__":
    main()
