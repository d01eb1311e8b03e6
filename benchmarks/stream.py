"""Fifty requests in a row: what they cost, and whether what earlier ones removed comes back.

``python -m benchmarks.stream`` writes ``results/stream.json``, way by way of each seed; what is there is not done again. A small
network that has learned 1,500 images of Fashion-MNIST (pooled to 7 x 7) by heart forgets 50 times 4 of them: in batches of ten
requests, one by one, and one by one with retraining as soon as the ledger says that all requests together have cost more than the
floor allows. Every ten requests: accuracy on test images, and on the forgotten ones, those of the last ten requests and those of
earlier ones apart. The audit of each single request is left out, and the VAEs are fitted for fewer epochs than are derived for so
few images, which are nearly all of a call's time on so small a network.
"""

import argparse
import json
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.common import RESULTS, conditions, say, write
from benchmarks.verdict_study import data, network
from laf_utils.forgetting import ForgetOptions, call, forget
from laf_utils.forgetting.choice import LEAST_RETAINED, derived_settings
from laf_utils.forgetting.ledger import Ledger
from laf_utils.forgetting.watch import utility
from laf_utils.methods.laf import LAFSettings
from laf_utils.methods.method import fingerprint

REQUESTS, OF_EACH, EVERY, FLOOR, STEPS = 50, 4, 10, 0.95, 2_000
VAE_EPOCHS = 20  # in place of the 200 that are derived for so few images: nearly all of a call's time here
TRAINED, UNSEEN = 1_500, 300  # images; the other 300 test images are not shown to any request
WAYS = {"batches_of_ten": (10, False), "one_by_one": (1, False), "with_retraining": (1, True)}  # requests in one call; retraining


@dataclass
class Row:
    """A model on its way, and what was measured of it."""

    model: nn.Module
    ledger: Path
    done: int = 0
    seconds: float = 0.0
    retrained: list[int] = field(default_factory=list)
    looks: list[dict] = field(default_factory=list)


class Stream:
    """One seed: images, the first model, and requests."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.x, self.y, _ = data("fashion", seed)
        self.order = torch.randperm(TRAINED, generator=torch.Generator().manual_seed(1_000 + seed))
        self.first = self.train(torch.arange(TRAINED), seed)
        self.probabilities = self.logits(self.first, self.x[TRAINED + UNSEEN :]).softmax(1)

    def train(self, rows: torch.Tensor, seed: int) -> nn.Module:
        """By heart."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = network("mlp")
        optimiser, draw = torch.optim.Adam(model.parameters(), 3e-3), torch.Generator().manual_seed(seed)
        for _ in range(STEPS):
            chosen = rows[torch.randint(len(rows), (128,), generator=draw)]
            optimiser.zero_grad()
            F.cross_entropy(model(self.x[chosen]), self.y[chosen]).backward()
            optimiser.step()
        return model.eval()

    @torch.no_grad()
    def logits(self, model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return model.eval()(x)

    def left(self, requests: int) -> torch.Tensor:
        """Rows that nothing has asked for yet."""
        return self.order[requests * OF_EACH :].sort().values

    def accuracy(self, model: nn.Module, rows: torch.Tensor) -> float:
        return 100 * (self.logits(model, self.x[rows]).argmax(1) == self.y[rows]).float().mean().item()

    def look(self, model: nn.Module, requests: int) -> dict[str, float]:
        """Percent."""
        last = self.order[max(0, requests - EVERY) * OF_EACH : requests * OF_EACH]
        earlier = self.order[: max(0, requests - EVERY) * OF_EACH]
        test = torch.arange(TRAINED + UNSEEN, len(self.x))
        answers = self.logits(model, self.x[test]).argmax(1)
        return {
            "requests": requests, "test": self.accuracy(model, test),
            "utility_by_first": 100 * utility(self.probabilities, answers),
            "last": self.accuracy(model, last) if len(last) else None,
            "earlier": self.accuracy(model, earlier) if len(earlier) else None,
        }

    @staticmethod
    def settings(count: int) -> LAFSettings:
        """As derived, but for the VAEs."""
        derived = derived_settings(count, LEAST_RETAINED)
        return replace(derived, vae=replace(derived.vae, epochs=VAE_EPOCHS))

    def request(self, row: Row, count: int) -> dict:
        """The next ``count`` requests as one; what its report says of utility."""
        chosen = self.order[row.done * OF_EACH : (row.done + count) * OF_EACH]
        row.done, start = row.done + count, time.process_time()
        row.model, report = forget(
            row.model, self.x[chosen], self.x[self.left(row.done)], unseen=self.x[TRAINED : TRAINED + UNSEEN], seed=row.done,
            ledger=row.ledger, options=ForgetOptions(settings=self.settings(len(chosen))),
        )
        row.seconds += time.process_time() - start
        return report.content

    def anew(self, row: Row) -> None:
        """As the ledger says: a model trained without anything forgotten so far."""
        start = time.process_time()
        row.model = self.train(self.left(row.done), self.seed)
        Ledger(row.ledger).begin_again(fingerprint(row.model))
        row.retrained.append(row.done)
        row.seconds += time.process_time() - start

    def run(self, row: Row, count: int, retrain: bool) -> dict:
        """All requests; with ``retrain`` the ledger's advice is followed."""
        while row.done < REQUESTS:
            content = self.request(row, count)
            together = content["utility_together"]
            if retrain and (not content["kept"] or together < FLOOR):
                self.anew(row)
                together = 1.0
            if row.done % EVERY == 0:
                book = Ledger(row.ledger)
                shares = [e["utility"] for e in book.kept if e["number"] > book.since and e["utility"] is not None]
                product = 100 * torch.tensor(shares, dtype=torch.float64).prod().item()  # 1 of none
                row.looks.append(self.look(row.model, row.done) | {"ledger": 100 * together, "product": product})
                say(f"seed {self.seed}, {count} at a time{', retrained' if retrain else ''}: {row.looks[-1]}")
        return {"looks": row.looks, "seconds": row.seconds, "retrained": row.retrained}

    def ends(self) -> dict:
        """The first model, and one trained without the images of all fifty."""
        start = time.process_time()
        ideal = self.train(self.left(REQUESTS), self.seed)
        seconds = time.process_time() - start
        return {
            "first_model": self.look(self.first, REQUESTS),
            "retrained_model": self.look(ideal, REQUESTS) | {"seconds": seconds},
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options, before, file = parser.parse_args(), conditions(), RESULTS / "stream.json"
    kept = json.loads(file.read_text(encoding="utf-8"))["seeds"] if file.exists() else {}
    facts = {"images": TRAINED, "requests": REQUESTS, "of_each": OF_EACH, "floor": FLOOR, "vae_epochs": VAE_EPOCHS}
    for seed in options.seeds:
        found = kept.setdefault(str(seed), {})
        if "first_model" in found and WAYS.keys() <= found.keys():
            continue
        stream = Stream(seed)
        found |= stream.ends()
        for name, (count, retrain) in WAYS.items():
            if name in found:
                continue
            with tempfile.TemporaryDirectory() as folder, mock.patch.object(call, "weighed", lambda *_, **__: None):
                found[name] = stream.run(Row(stream.first, Path(folder) / "ledger.jsonl"), count, retrain)
            write("stream", facts | {"seeds": kept}, before)


if __name__ == "__main__":
    main()
