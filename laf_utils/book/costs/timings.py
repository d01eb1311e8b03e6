"""The records that can be timed. The rule, fixed before any fit:

- on a CPU: processor seconds of a cell that was computed with one thread. Stages that came from artefacts carry only the wall
  clock of a machine that did other work; they are shown beside the fit and never enter it.
- on a GPU: the wall clock, of artefacts too, each stage once. All GPU records so far come from several processes at a time on
  one card: their seconds are contended, and are never mixed with those of a pass measured alone.
- machines are kept apart by device, name, threads and whether they multiply bfloat16; networks by name and image size.
- cells below ``LEAST`` seconds are predicted and shown, and not scored.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...datasets.catalogue import FACTS
from ...experiments.cells import read
from ...settings.presets import DATASET_PRESETS, backbone_of
from ...support.paths import results_folder
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
    preset = DATASET_PRESETS[cell["dataset"]]
    native = FACTS[cell["dataset"]].shape[1]
    size = preset.resize if cell["profile"] == "paper" and preset.resize else native
    return Group(
        machine["device"], machine["name"], machine["threads"], bool(machine.get("bfloat16_hardware")),
        backbone_of(preset, cell["profile"]), size,
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
        taken.append(_timing(record, work, *timed))
    return taken, left_out


def _timing(record: dict, work: Work, seconds: float, clock: str) -> Timing:
    cell = record["cell"]
    details = [cell.get("variant", ""), "tuned" if cell["choice"] == "tuned" else "", f"seed {cell['seed']}"]
    label = ", ".join([f"{cell['dataset']} {cell['task']} {cell['method']}", *filter(None, details)])
    return Timing(group_of(record), cell["dataset"], cell["task"], cell["method"], label, seconds, work, clock)
