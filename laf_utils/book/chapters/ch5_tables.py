"""What chapter 5 says beside the tables of the results pages: who reads what, costs, originals of their own, and tuning."""

import json
from functools import cache
from pathlib import Path

import pandas as pd
import torch

from ...datasets.catalogue import FACTS
from ...experiments.cells import REFERENCES, RETRAIN, read
from ...experiments.tuning_winners import winners_path
from ...methods import METHODS, LabelAccess
from ...methods.flops import per_image
from ...models import Architecture
from ...settings.names import DATASET_NAMES, MEASURE_NAMES, TASK_NAMES
from ...settings.presets import preset
from ...support.paths import ROOT, results_folder
from ..base.tables import MISSING
from ..base.words import TITLES, method_name, title_of

UNITS = "Image passes and their TFLOP; seconds of one thread, ~ on the wall clock; MB that the method added to the process."


def _place(record: dict) -> tuple[int, bool]:
    names = [*REFERENCES, *(name for name in METHODS if name != "retrain")]
    name = record["cell"]["method"]
    return names.index(name) if name in names else len(names), record["cell"]["choice"] == "tuned"


def found(dataset: str, task: str, *, seed: int = 0, profile: str = "paper", folder: Path | None = None) -> list[dict]:
    """The committed records of a data set and task in one profile, in the order of tables.

    Raises:
        RecordError: a file among them that is no record.
    """
    place = (folder or results_folder() / "comparison") / dataset
    last = "" if profile == "paper" else f"-{profile}"
    paths = [path for choice in ("", "-tuned") for path in sorted(place.glob(f"{task}-*-seed{seed}{choice}{last}.json"))]
    return sorted(map(read, paths), key=_place)


def record_name(record: dict) -> str:
    """The row of a record in tables."""
    cell = record["cell"]
    title = TITLES.get(cell["method"]) or method_name(cell["method"])
    profile = "" if cell["profile"] == "paper" else f", {cell['profile']}"
    return title + (", tuned" if cell["choice"] == "tuned" else "") + profile


def _number(value: float | None, digits: int = 2) -> str:
    return MISSING if value is None else f"{value:,.{digits}f}"


def cost_share(record: dict, records: list[dict]) -> float | None:
    """Image passes in percent of retraining's; ``None`` where either is not on record."""
    goal = next((r["passes"]["equivalent"] for r in records if r["cell"]["method"] == RETRAIN and r["passes"]), None)
    return None if record["passes"] is None or not goal else 100 * record["passes"]["equivalent"] / goal


def costs(records: list[dict]) -> pd.DataFrame:
    """What each record cost: image passes in percent of retraining's and in thousands, the floating-point operations of those,
    seconds, and memory added.

    Seconds are processor seconds of one thread where they were measured, else the wall clock's of the artefact (marked ~).
    Memory is what the method added to what the process held before. What diverged has no row: ``diverged``.
    """
    rows = {}
    for record in (record for record in records if record["passes"]):
        passes, memory = record["passes"], record["added_memory_mb"]
        seconds = record["processor_seconds"]
        wall = record["seconds"]
        rows[record_name(record)] = {
            "% of retraining": _number(cost_share(record, records), 1),
            "thousand images, forward and backward": _number(passes and passes["training"] / 1000, 1),
            "thousand images, forward only": _number(passes and passes["frozen"] / 1000, 1),
            "TFLOP": _number(passes and operations(record), 1),
            "seconds": _number(seconds, 1) if seconds is not None else MISSING if wall is None else f"~{wall:,.0f}",
            "MB added": _number(memory, 0),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def diverged(records: list[dict]) -> str:
    """The methods that ``costs`` leaves out, in one sentence; empty where there are none."""
    names = [record_name(record) for record in records if not record["passes"]]
    return f"Diverged, so without a row: {', '.join(names)}." if names else ""


def operations(record: dict) -> float | None:
    """10^12 floating-point operations of a record's image passes; ``None`` for a data set without known images."""
    cell = record["cell"]
    if cell["dataset"] not in FACTS:
        return None
    frozen, trained = _operations_of_an_image(cell["dataset"], cell["profile"])
    return (record["passes"]["frozen"] * frozen + record["passes"]["training"] * trained) / 1e12


@cache
def _operations_of_an_image(dataset: str, profile: str) -> tuple[float, float]:
    """Of a frozen and of a training pass through the network that the profile trains."""
    config, facts = preset(dataset, "class", profile=profile), FACTS[dataset]
    channels, side, _ = facts.shape
    network = Architecture(config.backbone, channels, side, len(facts.class_names)).build(0, "original")
    seen = config.transforms.resize or side
    return per_image(network, torch.zeros(2, channels, seen, seen))


def beside_passes() -> str:
    """Which methods spend operations beside their image passes, as ``benchmarks/operations.py`` counted them."""
    path = ROOT / "benchmarks" / "results" / "operations.json"
    if not path.is_file():
        return ""
    found = json.loads(path.read_text(encoding="utf-8"))
    factors = {METHODS[name].title: one["factor"] for name, one in found["methods"].items() if one.get("factor")}
    ranked = sorted(factors.items(), key=lambda item: -item[1])
    more = [f"{title} {factor:.1f} times" for title, factor in ranked if factor > 1.05]
    images = found["about"]["images"]
    return (
        f"TFLOP are those of the image passes. Counted one by one on {images:,} images, the operations are as many for "
        f"{len(factors) - len(more)} of {len(factors)} methods. More than their passes take: {', '.join(more) or 'none'}."
    )


def own_originals(records: list[dict]) -> pd.DataFrame:
    """Methods that need an original of their own: what it scores before anything is forgotten, and what training it took."""
    rows = {}
    for record in records:
        if record["before"]:
            own = {MEASURE_NAMES[name]: _number(value) for name, value in record["before"].items() if value is not None}
            rows[record_name(record)] = own | {"seconds": _number(record["preparation"]["processor_seconds"], 0)}
    return pd.DataFrame.from_dict(rows, orient="index")


def ladder() -> str:
    """Every method of the table with the labels and the data that it declares, as lines of plain text."""
    lines: dict[str, list[str]] = {}
    for method in METHODS.values():
        labels = "of D_r" if method.label_access == LabelAccess.FEW else method.label_access.words
        line = f"  {method.data_access.words:<24}{method.title.replace(', pseudo-labels', ', pseudo')}"
        lines.setdefault(f"labels: {labels}", []).append(line)
    return "\n".join(line for heading, own in lines.items() for line in (heading, *own))


def tuning(dataset: str, task: str) -> pd.DataFrame:
    """What the equal search found, a row for each method: gap of the published settings and of the best trial on the reduced set
    and at full size, in points, and what the winner changed; empty where there was no search.
    """
    path = winners_path(dataset, task)
    if not path.is_file():
        return pd.DataFrame()
    methods = json.loads(path.read_text(encoding="utf-8"))["methods"]
    full = {(r["cell"]["method"], r["cell"]["choice"]): r["gap"]["mean"] for r in found(dataset, task) if r["gap"]}
    rows = {}
    for name, own in methods.items():
        winner, trials = own["winner"], own["trials"]
        changes = ", ".join(f"{key.rpartition('.')[2]} {_plain(value)}" for key, value in winner["changes"].items())
        rows[METHODS[name].title] = {
            "published": _number(trials[0]["gap"]), "best": _number(trials[winner["best_trial"]]["gap"]),
            "published, full size": _number(full.get((name, "defaults"))),
            "winner, full size": _number(full.get((name, "tuned"))), "changed to": changes or "nothing: published stays",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def tuning_finding(dataset: str, task: str) -> str:
    """What the tuning was worth at full size, in words; empty where nothing was searched."""
    table = tuning(dataset, task)
    if table.empty:
        return ""
    pairs = {
        name: (float(row["published, full size"]), float(row["winner, full size"])) for name, row in table.iterrows()
        if MISSING not in (row["published, full size"], row["winner, full size"])
    }
    worse = [name for name, (before, after) in pairs.items() if after > before]
    laf = f" LAF gets {'worse' if 'LAF' in worse else 'better'}." if "LAF" in pairs else ""
    return (
        f"{title_of(dataset, task)}: at full size {len(worse)} of {len(pairs)} winners of the search are farther from the "
        f"retrained model than the published settings.{laf}"
    ) if pairs else f"{title_of(dataset, task)}: no winner of the search was run at full size."


def unsearched(dataset: str) -> str:
    """The requests of a data set without a search, in one sentence; empty where each has one."""
    tasks = [name for task, name in TASK_NAMES.items() if not winners_path(dataset, task).is_file()]
    return f"No search is on record yet for {DATASET_NAMES[dataset]}, {', '.join(tasks)}." if tasks else ""


def _plain(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
