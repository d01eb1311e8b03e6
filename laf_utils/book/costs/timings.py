"""Seconds: of records, and of a pass measured alone on a device (``benchmarks/passes.py``).

The records that can be timed. The rule, fixed before any fit:

- on a CPU: processor seconds of a cell that was computed with one thread. Stages that came from artefacts carry only the wall
  clock of a machine that did other work; they are shown beside the fit and never enter it.
- on a GPU: the wall clock, of artefacts too, each stage once. All GPU records so far come from several processes at a time on
  one card: their seconds are contended, and are never mixed with those of a pass measured alone.
- machines are kept apart by device, name, threads and whether they multiply bfloat16; networks by name and image size.
- cells below ``LEAST`` seconds are predicted and shown, and not scored.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...datasets.catalogue import FACTS
from ...experiments.cells import read
from ...representations import PASS_BATCH
from ...settings.presets import DATASET_PRESETS, backbone_of
from ...support.paths import ROOT, results_folder
from ..base.captions import side_of
from .work import Work, family_of, of_record

LEAST = 5.0  # seconds


@dataclass(frozen=True, order=True)
class Group:
    """A machine and a network: what one set of coefficients is for."""

    device: str
    machine: str
    threads: int
    bfloat16: bool
    backbone: str
    size: int  # pixels that the network sees

    @property
    def title(self) -> str:
        networks = {"cnn": "CNN", "resnet18": "ResNet-18", "resnet9": "Small residual network"}
        where = self.machine if self.device != "cpu" else f"CPU ({self.machine}, {'' if self.bfloat16 else 'no '}bfloat16)"
        return f"{networks[self.backbone]} at {self.size} × {self.size}, {where}"


@dataclass(frozen=True)
class Timing:
    """A cell and the seconds it took."""

    group: Group
    dataset: str
    task: str
    method: str
    label: str
    seconds: float
    work: Work
    clock: str  # "processor", "wall"

    @property
    def family(self) -> str:
        """A method and its variants, whose cells err together."""
        return str(family_of(self.method))

    @property
    def scored(self) -> bool:
        return self.seconds >= LEAST


def group_of(record: dict) -> Group:
    """Where a record of the comparison belongs."""
    machine, cell = record["machine"], record["cell"]
    return Group(
        machine["device"], machine["name"], machine["threads"], bool(machine.get("bfloat16_hardware")),
        backbone_of(DATASET_PRESETS[cell["dataset"]], cell["profile"]), side_of(cell["dataset"], cell["profile"]),
    )


def _seconds(record: dict) -> tuple[float, str] | str:
    """(seconds, clock) that count, or why none do."""
    if record["machine"].get("together"):
        return "trained as one of several: its seconds are a share"
    if record["machine"]["device"] != "cpu":
        return record["seconds"], "wall"
    if record["machine"]["threads"] != 1:
        return "CPU, more than one thread"
    if record["processor_seconds"] is None:
        return "CPU, from an artefact: wall clock only"
    return record["processor_seconds"], "processor"


def records(folder: Path | None = None) -> list[dict]:
    """Every record of the comparison, variants included, of data sets that the presets know."""
    place = folder or results_folder() / "comparison"
    found = [read(path) for path in sorted(place.rglob("*.json"))]
    return [record for record in found if record["cell"]["dataset"] in FACTS]


def timings(found: Iterable[dict]) -> tuple[list[Timing], Counter]:
    """The cells that can be timed, and how many were left out for which reason."""
    left_out: Counter = Counter()
    taken, known = [], set()
    for record in found:
        work, cell = of_record(record), record["cell"]
        if work is None:
            left_out["diverged" if record["passes"] is None else "no family describes the method"] += 1
            continue
        timed = _seconds(record)
        if isinstance(timed, str):
            left_out[timed] += 1
            continue
        stage = (cell["dataset"], timed[0])
        if record["from_artefact"] and stage in known:
            left_out["GPU, the same artefact again"] += 1
            continue
        known.add(stage)
        place = cell["dataset"], cell["task"], cell["method"]
        details = [cell.get("variant"), "tuned" if cell["choice"] == "tuned" else "", f"seed {cell['seed']}"]
        label = ", ".join(filter(None, [" ".join(place), *details]))
        taken.append(Timing(group_of(record), *place, label, timed[0], work, timed[1]))
    return taken, left_out


FOLDER = ROOT / "benchmarks" / "results"
SMALL, LARGE = 32, 256  # images: the batches that training passes are measured at


@dataclass(frozen=True)
class Alone:
    """One file: rows of passes, the VAE's step, a copy to the device, and what it ran on."""

    found: Mapping

    @property
    def device(self) -> str:
        return self.found["device"]["name"]

    def seconds(self, network: str, kind: str, batch: int) -> float:
        """Seconds per image of ``kind`` (``training``, ``frozen``, ``laf``) in float32.

        Raises:
            KeyError: not measured.
        """
        for row in self.found["passes"]:
            if (row["network"], row["pass"], row["format"], row["batch"]) == (network, kind, "float32", batch):
                return row["seconds"]
        raise KeyError(f"no {kind} pass of {network} at batch {batch} was measured on {self.device}")

    def call(self, network: str, kind: str, images: float) -> float:
        """Seconds of one call with so many images: on a line between measured batches, below the smallest as long as that one.

        A GPU that waits for its next instruction takes as long for a few images as for 32: no call costs less than a smaller one.
        """
        sizes = (SMALL, LARGE) if kind == "training" else (SMALL, LARGE, PASS_BATCH)
        took, least = [], 0.0
        for batch in sizes:
            least = max(least, batch * self.seconds(network, kind, batch))
            took.append(least)
        if images >= sizes[-1]:
            return images / sizes[-1] * took[-1]
        return float(np.interp(images, sizes, took))

    @property
    def vae_step(self) -> float:
        """Seconds."""
        return self.found["vae_step"]["seconds"]

    def predict(self, work: Work, network: str) -> float:
        """Seconds of so much work, from passes alone: what an optimiser and a loss add is in the training pass."""
        # Images passed forward in small batches beside the steps; the rest goes in large ones.
        beside = (work.frozen_calls - work.frozen / PASS_BATCH) / (1 / SMALL - 1 / PASS_BATCH)
        beside = min(work.frozen, max(0.0, beside))
        training = work.calls * self.call(network, "training", work.training / work.calls) if work.calls else 0.0
        parts = ((beside, SMALL), (work.frozen - beside, PASS_BATCH))
        frozen = sum(images / batch * self.call(network, "frozen", batch) for images, batch in parts)
        return training + frozen + work.vae_steps * self.vae_step


def alone(device: str = "cuda") -> Alone:
    """What was measured of passes on a kind of device."""
    return Alone(json.loads((FOLDER / f"passes_{device}.json").read_text(encoding="utf-8")))
