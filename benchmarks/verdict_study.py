"""Is the verdict ever wrongly "acceptable", and is it of truly retrained models?

``python -m benchmarks.verdict_study`` trains originals and truly retrained models on small real data, hands both in, and writes
one line for each judged model to ``results/verdict/study.jsonl``; what is there is not done again. ``--forget`` adds the models
that ``forget`` gives. 10 seeds x 3 networks x 5 requests x {by heart, well fitted} are 300 requests.

A verdict of "acceptable" is false where accuracy on D_f lies more than 4 points above the best of eight truly retrained models,
or more than 4 points and more than one image below the worst. For the three small requests these never saw any image of the
largest of them.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from laf_utils.datasets import load
from laf_utils.forgetting import ForgetOptions, forget
from laf_utils.forgetting.judge import judged
from laf_utils.forgetting.reference import taught
from laf_utils.forgetting.sources import ArrayStore, OwnImages
from laf_utils.support.paths import ROOT

RESULT = ROOT / "results" / "verdict" / "study.jsonl"
SEEDS, NETWORKS = range(25, 35), {"mlp": "digits", "cnn": "digits", "residual": "mnist"}
STEPS = {"by heart": 600, "well fitted": 130}
REQUESTS = ("class", "10 %", "1 %", "10 images", "1 image")
CLASS, ALLOWED, TUNED = 3, 4.0, 60  # the class removed; points of accuracy; steps of fine-tuning on D_r


class Residual(nn.Module):
    """One residual block with BatchNorm: images [B, 1, 8, 8] to logits."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        self.block = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8),
        )
        self.mix, self.head = nn.Linear(128, 64), nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.head(F.relu(self.mix(F.relu(x + self.block(x)).flatten(1))))


def network(name: str) -> nn.Module:
    if name == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
    if name == "residual":
        return Residual()
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 10),
    )


def data(name: str, seed: int) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Images [N, 1, 8, 8], labels, and how many of the first are for training; digits as they are, others pooled to 7 x 7."""
    draw = torch.Generator().manual_seed(seed)
    if name == "digits":
        x, y = (torch.tensor(part) for part in load_digits(return_X_y=True))
        rows = torch.randperm(len(x), generator=draw)
        return x[rows].float().reshape(-1, 1, 8, 8) / 16, y[rows].long(), 1_200
    parts, whole = [], load(name)
    for split, count in ((whole.train, 1_500), (whole.test, 600)):
        rows = torch.randperm(len(split.labels), generator=draw)[:count]
        images = F.avg_pool2d(split.images[rows].float().reshape(-1, 1, 28, 28) / 255, 4)
        parts.append((F.pad(images, (0, 1, 0, 1)), split.labels[rows].long()))
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts]), 1_500


def _rows(keep: torch.Tensor, seed: int, steps: int) -> Iterator[torch.Tensor]:
    draw, rows, left = torch.Generator().manual_seed(seed), keep.nonzero().flatten(), torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(left) < 64:
            left = rows[torch.randperm(len(rows), generator=draw)]
        yield left[:64]
        left = left[64:]


def trained(
    models: list[nn.Module], x: torch.Tensor, y: torch.Tensor, keep: torch.Tensor, seed: int, steps: int
) -> list[nn.Module]:
    """Train all at once, each on the images that its row of ``keep`` [models, N] allows."""
    weights, buffers = stack_module_state([model.train() for model in models])
    weights = {name: value.detach().requires_grad_() for name, value in weights.items()}
    optimiser, base = torch.optim.Adam(weights.values(), 2e-3), models[0]
    together = vmap(lambda own, state, images: functional_call(base, (own, state), (images,)))
    for pick in zip(*(_rows(own, 100 * seed + number, steps) for number, own in enumerate(keep)), strict=True):
        rows = torch.stack(pick)
        out = together(weights, buffers, x[rows])
        optimiser.zero_grad()
        (F.cross_entropy(out.flatten(0, 1), y[rows].flatten(), reduction="sum") / 64).backward()
        optimiser.step()
    for number, model in enumerate(models):
        model.load_state_dict({name: value[number].detach() for name, value in (weights | buffers).items()})
    return [model.eval() for model in models]


def requests(y: torch.Tensor, count: int) -> dict[str, torch.Tensor]:
    """Rows of D_f of each request; the small ones lie in each other, and not in the tenth."""
    tenth, hundredth = count // 10, count // 100
    small = torch.arange(tenth, tenth + hundredth)
    return {
        "class": (y[:count] == CLASS).nonzero().flatten(), "10 %": torch.arange(tenth), "1 %": small, "10 images": small[:10],
        "1 image": small[:1],
    }


def far(accuracy: float, retrained: list[float], images: int) -> bool:
    """Is a model's accuracy on ``images`` of D_f, in percent, one that no retrained model has?"""
    return accuracy > max(retrained) + ALLOWED + 0.01 or accuracy < min(retrained) - max(ALLOWED, 100 / images) - 0.1


class Case:
    """A seed's original of one network and fit, its retrained models, and a judge for each request."""

    def __init__(self, seed: int, name: str, fit: str) -> None:
        self.seed, self.name, steps = seed, name, STEPS[fit]
        self.x, self.y, self.count = data(NETWORKS[name], seed)
        self.requests = requests(self.y, self.count)
        kept = ["", "class", *["10 %"] * 3, *["1 %"] * 3, *["10 %"] * 5, *["1 %"] * 5]  # what each model is trained without
        keep = torch.ones(len(kept), self.count, dtype=torch.bool)
        for own, request in zip(keep[1:], kept[1:], strict=True):
            own[self.requests[request]] = False
        torch.manual_seed(1_000 * seed + len(name) + steps)
        models: list[nn.Module] = []
        for group in torch.arange(len(kept)).split(1 if name == "mlp" else 8):  # small products gain nothing together
            models += trained([network(name) for _ in group], self.x, self.y, keep[group], seed + int(group[0]), steps)
        self.original, self.retrained = models[0], {
            request: [model for model, without in zip(models, kept, strict=True) if without == request]
            for request in ("class", "10 %", "1 %")
        }
        self._references: dict[str, list[torch.Tensor]] = {}

    @torch.no_grad()
    def logits(self, model: nn.Module) -> torch.Tensor:
        return model(self.x)

    def _group(self, request: str) -> str:
        return request if request in self.retrained else "1 %"

    def _students(self, request: str) -> torch.Tensor:
        group = self._group(request)
        if group not in self._references:
            keep = torch.ones(self.count, dtype=torch.bool)
            keep[self.requests[group]] = False
            images = OwnImages(ArrayStore(self.x), torch.device("cpu"), torch.float32, keep.nonzero().flatten())
            found = taught(self.original, images, (CLASS,) if request == "class" else (), seed=self.seed)
            self._references[group] = torch.stack([self.logits(own) for own in found.students])
        return self._references[group]

    def tuned(self, request: str) -> nn.Module:
        """The original after some steps on D_r: what forgets least of all that is called forgetting."""
        keep = torch.ones(1, self.count, dtype=torch.bool)
        keep[0, self.requests[request]] = False
        model = network(self.name)
        model.load_state_dict(self.original.state_dict())
        return trained([model], self.x, self.y, keep, self.seed + 50, TUNED)[0]

    def _accuracy(self, logits: torch.Tensor, request: str) -> float:
        rows = self.requests[request]
        return 100 * (logits[rows].argmax(1) == self.y[rows]).float().mean().item()

    def judged(self, model: nn.Module, request: str, said: str | None = None) -> dict:
        """The verdict on a model (or ``said``), its accuracy on D_f, and whether "acceptable" is false."""
        before, after, students = self.logits(self.original), self.logits(model), self._students(request)
        own, unseen = self.requests[request], slice(self.count, None)
        found = judged(
            (before[own], before[unseen]), (after[own], after[unseen]), (students[:, own], students[:, unseen]),
            (CLASS,) if request == "class" else (),
        )
        truth = [round(self._accuracy(self.logits(other), request), 1) for other in self.retrained[self._group(request)]]
        accuracy, verdict = round(self._accuracy(after, request), 1), said or found.verdict
        return {
            "images": len(own), "verdict": verdict, "accuracy": accuracy, "retrained": truth,
            "false": verdict == "acceptable" and far(accuracy, truth, len(own)),
            "finding": None if found.evidence is None else found.evidence.finding,
            "sees_original": None if found.evidence is None else round(found.evidence.original, 2),
            "beyond": None if found.evidence is None or found.evidence.beyond is None else round(found.evidence.beyond, 1),
        }

    def forgotten(self, request: str) -> tuple[nn.Module, str]:
        """What ``forget`` gives, and what it says of it."""
        own = self.requests[request]
        rest = torch.ones(self.count, dtype=torch.bool)
        rest[own] = False
        scope = "class" if request == "class" else "instances"
        found = forget(
            self.original, self.x[own], self.x[: self.count][rest], unseen=self.x[self.count :], seed=self.seed,
            options=ForgetOptions(scope=scope, copies="keep"),  # retrained models keep them, too
        )
        return found.model, found.report.verdict


def done(path: Path = RESULT) -> list[dict]:
    """The lines so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run(seeds: range, networks: list[str], path: Path = RESULT, forgets: bool = False) -> None:
    """All requests of these seeds and networks that have no line yet."""
    known = {(line["seed"], line["network"], line["fit"], line["request"], line["model"]) for line in done(path)}
    kinds = ("original", "tuned", "retrained", *(("forget",) if forgets else ()))
    path.parent.mkdir(parents=True, exist_ok=True)
    for seed, name, fit in ((seed, name, fit) for seed in seeds for name in networks for fit in STEPS):
        left = [(request, kind) for request in REQUESTS for kind in kinds if (seed, name, fit, request, kind) not in known]
        case = Case(seed, name, fit) if left else None
        for request, kind in left:
            said = None
            if kind == "forget":
                model, said = case.forgotten(request)
            elif kind == "tuned":
                model = case.tuned(request)
            else:
                model = case.original if kind == "original" else case.retrained[case._group(request)][0]
            line = {"seed": seed, "network": name, "fit": fit, "request": request, "model": kind}
            line |= case.judged(model, request, said)
            with path.open("a") as file:
                file.write(json.dumps(line, separators=(",", ":")) + "\n")
            print(line, flush=True)


def summary(lines: list[dict]) -> dict[str, dict[str, int]]:
    """By kind of model: runs, each verdict, and false ones."""
    found: dict[str, dict[str, int]] = {}
    for line in lines:
        own = found.setdefault(line["model"], {"runs": 0, "acceptable": 0, "retraining advised": 0, "cannot tell": 0, "false": 0})
        own["runs"] += 1
        own[line["verdict"]] += 1
        own["false"] += line["false"] and line["model"] != "retrained"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS))
    parser.add_argument("--networks", nargs="*", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--forget", action="store_true", help="also judge what forget gives")
    options = parser.parse_args()
    run(options.seeds, options.networks, forgets=options.forget)
    print(json.dumps(summary(done()), indent=1))


if __name__ == "__main__":
    main()
