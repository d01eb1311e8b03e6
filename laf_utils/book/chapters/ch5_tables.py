"""What chapter 5 says beside the tables of the results pages: who reads what, costs, originals of their own, and tuning."""

import json
import math
import re
from functools import cache
from pathlib import Path

import pandas as pd
import torch

from ...datasets.catalogue import FACTS
from ...experiments.cells import REFERENCES, RETRAIN, read
from ...experiments.tuning_spaces import SPACES
from ...experiments.tuning_winners import searched_methods, winners_path
from ...methods import METHODS, LabelAccess
from ...methods.flops import per_image
from ...models import Architecture, Network
from ...settings.names import DATASET_NAMES, MEASURE_NAMES, TASK_NAMES
from ...settings.presets import DATASET_PRESETS, backbone_of
from ...support.paths import ROOT, results_folder
from ..base.captions import caption, side_of
from ..base.reading import grouped
from ..base.tables import MISSING, number
from ..base.words import TITLES, detail_of, method_name, title_of

PUBLISHED_FULL, WINNER_FULL = "published, full size", "winner, full size"
UNITS = "Image passes and their TFLOP; seconds of one thread, ~ on the wall clock; MB that the method added to the process."


def _place(record: dict) -> tuple[int, bool]:
    names = [*REFERENCES, *(name for name in METHODS if name != "retrain")]
    name = record["cell"]["method"]
    return names.index(name) if name in names else len(names), record["cell"]["choice"] == "tuned"


def found(
    dataset: str, task: str, *, seed: int | None = 0, profile: str = "paper", folder: Path | None = None
) -> list[dict]:
    """The committed records of a data set and task in one profile, of one training seed or (``None``) of all, in the order of
    tables.

    Raises:
        RecordError: a file among them that is no record.
    """
    place = (folder or results_folder() / "comparison") / dataset
    last, which = "" if profile == "paper" else f"-{profile}", r"\d+" if seed is None else seed
    name = re.compile(rf"{task}-\w+-seed{which}(-tuned)?{last}")  # a variant's lie in folders of their own
    return sorted((read(path) for path in sorted(place.glob(f"{task}-*.json")) if name.fullmatch(path.stem)), key=_place)


def record_name(record: dict) -> str:
    """The row of a record in tables."""
    cell = record["cell"]
    title = TITLES.get(cell["method"]) or method_name(cell["method"])
    return title + detail_of(cell["choice"], cell["profile"])


def retraining_passes(records: list[dict]) -> float:
    """Image passes of retraining, in training passes; NaN where no record says."""
    return next((r["passes"]["equivalent"] for r in records if r["cell"]["method"] == RETRAIN and r["passes"]), math.nan)


def costs(records: list[dict]) -> pd.DataFrame:
    """What each record cost: image passes in percent of retraining's and in thousands, the floating-point operations of those,
    seconds, and memory added.

    Seconds are processor seconds of one thread where they were measured, else the wall clock's of the artefact (marked ~).
    Memory is what the method added to what the process held before. What diverged has no row: ``diverged``.
    """
    rows, goal = {}, retraining_passes(records)
    for record in (record for record in records if record["passes"]):
        passes, seconds, wall = record["passes"], record["processor_seconds"], record["seconds"]
        rows[record_name(record)] = {
            "% of retraining": number(passes and 100 * passes["equivalent"] / goal, ",.1f"),
            "thousand images, forward and backward": number(passes and passes["training"] / 1000, ",.1f"),
            "thousand images, forward only": number(passes and passes["frozen"] / 1000, ",.1f"),
            "TFLOP": number(passes and operations(record), ",.1f"),
            "seconds": f"~{wall:,.0f}" if seconds is None and wall is not None else number(seconds, ",.1f"),
            "MB added": number(record["added_memory_mb"], ",.0f"),
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
    side = side_of(dataset, profile)
    return per_image(network_of(dataset, profile), torch.zeros(2, FACTS[dataset].shape[0], side, side))


def network_of(dataset: str, profile: str) -> Network:
    """The network that a profile trains on a data set, untrained."""
    facts = FACTS[dataset]
    backbone = backbone_of(DATASET_PRESETS[dataset], profile)
    return Architecture(backbone, *facts.shape[:2], len(facts.class_names)).build(0, "original")


def beside_passes() -> str:
    """Which methods spend operations beside their image passes, as ``benchmarks/operations.py`` counted them."""
    path = ROOT / "benchmarks" / "results" / "operations.json"
    if not path.is_file():
        return ""
    found = json.loads(path.read_text(encoding="utf-8"))
    factors = {METHODS[name].title: one["factor"] for name, one in found["methods"].items() if one.get("factor")}
    ranked = sorted(factors.items(), key=lambda item: -item[1])
    more = [f"{title} {factor:.1f} times" for title, factor in ranked if factor > 1.05]
    counts = {"images": f"{found['about']['images']:,}", "alike": str(len(factors) - len(more)), "all": str(len(factors))}
    return caption("operations", **counts, more=", ".join(more) or "none")


def own_originals(records: list[dict]) -> pd.DataFrame:
    """Methods that need an original of their own: what it scores before anything is forgotten, and what training it took."""
    rows = {}
    for record in (record for record in records if record["before"]):
        own = {MEASURE_NAMES[name]: number(value) for name, value in record["before"].items() if value is not None}
        rows[record_name(record)] = own | {"seconds": number(record["preparation"]["processor_seconds"], ",.0f")}
    return pd.DataFrame.from_dict(rows, orient="index")


def ladder() -> str:
    """Every method of the table with the labels and the data that it declares, as lines of plain text."""
    lines = []
    for access, own in grouped(METHODS.values(), lambda method: method.label_access).items():
        lines.append(f"labels: {'of D_r' if access == LabelAccess.FEW else access.words}")
        lines += [f"  {m.data_access.words:<24}{m.title.replace(', pseudo-labels', ', pseudo')}" for m in own]
    return "\n".join(lines)


def _full_size(dataset: str, task: str) -> dict[str, tuple[float | None, float | None, int]]:
    """By method: the mean gap of the published settings and of the winner, and over how many training seeds.

    Where both have some, over the seeds that both have, so that the two are held against each other on the same models.
    """
    gaps: dict[str, dict[str, dict[int, float]]] = {}
    for record in filter(lambda record: record["gap"], found(dataset, task, seed=None)):
        cell = record["cell"]
        gaps.setdefault(cell["method"], {}).setdefault(cell["choice"], {})[cell["seed"]] = record["gap"]["mean"]
    means = {}
    for method, own in gaps.items():
        pair = own.get("defaults", {}), own.get("tuned", {})
        shared = (set(pair[0]) & set(pair[1])) or set(pair[0]) | set(pair[1])
        sides = [[gap for seed, gap in side.items() if seed in shared] for side in pair]
        published, winner = (sum(side) / len(side) if side else None for side in sides)
        means[method] = published, winner, len(shared)
    return means


def tuning(dataset: str, task: str) -> pd.DataFrame:
    """What the equal search found, a row for each method: gap of the published settings and of the best trial on the reduced set
    and at full size, in points, over how many seeds, and what the winner changed; empty where there was no search.
    """
    path = winners_path(dataset, task)
    if not path.is_file():
        return pd.DataFrame()
    methods, full, rows = json.loads(path.read_text(encoding="utf-8"))["methods"], _full_size(dataset, task), {}
    for name, own in methods.items():
        winner, trials = own["winner"], own["trials"]
        changes = ", ".join(f"{key.rpartition('.')[2]} {f'{value:.3g}' if isinstance(value, float) else value}"
                            for key, value in winner["changes"].items())
        published, tuned, seeds = full.get(name, (None, None, 0))
        rows[METHODS[name].title] = {
            "published": number(trials[0]["gap"]), "best": number(trials[winner["best_trial"]]["gap"]),
            PUBLISHED_FULL: number(published), WINNER_FULL: number(tuned), "seeds": str(seeds or MISSING),
            "changed to": changes or "nothing: published stays",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def tuning_finding(dataset: str, task: str) -> str:
    """What the tuning was worth at full size, in words; empty where nothing was searched."""
    table = tuning(dataset, task)
    if table.empty:
        return ""
    gaps = table[[PUBLISHED_FULL, WINNER_FULL]].replace(MISSING, None).dropna().astype(float)
    worse, once = gaps.index[gaps[WINNER_FULL] > gaps[PUBLISHED_FULL]], (table.loc[gaps.index, "seeds"] == "1").sum()
    laf = f" LAF gets {'worse' if 'LAF' in worse else 'better'}." if "LAF" in gaps.index else ""
    return (
        f"{title_of(dataset, task)}: at full size {len(worse)} of {len(gaps)} winners of the search are farther from the "
        f"retrained model than the published settings.{laf}{f' {once} of the pairs rest on one training seed.' if once else ''}"
    ) if len(gaps) else f"{title_of(dataset, task)}: no winner of the search was run at full size."


def unsearched(dataset: str) -> str:
    """The requests of a data set without a search, and the methods that a search does not have yet; empty where none lacks."""
    lacking = {name: _unsearched(dataset, task) for task, name in TASK_NAMES.items()}
    whole = [name for name, methods in lacking.items() if len(methods) == len(SPACES)]
    said = [f"No search is on record yet for {DATASET_NAMES[dataset]}, {', '.join(whole)}."] if whole else []
    said += [
        f"Not searched yet for {DATASET_NAMES[dataset]}, {name}: {', '.join(METHODS[method].title for method in methods)}."
        for name, methods in lacking.items() if methods and name not in whole
    ]
    return " ".join(said)


def _unsearched(dataset: str, task: str) -> list[str]:
    known = searched_methods(dataset, task)
    return [method for method in SPACES if method not in known]
