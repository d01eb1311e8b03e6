"""All exhibits in their order, from what is on record."""

from collections.abc import Callable
from itertools import product
from types import ModuleType

import pandas as pd

from ...settings.names import DATASET_NAMES, TASK_NAMES
from ...support.choices import TASKS
from ..base import reading, training_records
from ..base.exhibit import Exhibit
from . import ablation, across, coverage, labels, tables, training_curves
from . import maps as mapped

DATASETS = training_records.PAPER_DATASETS
PLACES = tuple((dataset, task) for task in TASKS for dataset in DATASETS)
CURVES_ABOUT = (
    "Mean of L_UE and L_RA per step by epoch, of the records in `Training/`; the authors' values are those of "
    "`Training/authors.json`: {origin}."
)


def _curves(task: str, runs: list[dict]) -> Exhibit:
    """The loss curves of a task, as the page of training records draws them."""
    there = training_curves.drawn(task, runs)
    draw: Callable | None = (lambda: training_curves.figure(task, runs)) if there else None
    names = ", ".join(DATASET_NAMES[dataset] for dataset in there)
    alt = f"L_UE and L_RA by epoch in {TASK_NAMES[task]} on {names}, ours and the authors'; the values are in the table."
    origin = training_records.authors()["published_curves"]["origin"]
    table = training_curves.table(task, runs)
    return Exhibit(f"curves-{task}", f"Loss curves: {TASK_NAMES[task]}", CURVES_ABOUT.format(origin=origin), table, (), draw, alt)


def by_task(room: ModuleType, found: reading.Found, task: str) -> list[Exhibit]:
    """One figure over all data sets that have records, then a table for each; a note where none has.

    Args:
        room: ``shares`` or ``ablation``.
    """
    places = [(dataset, task) for dataset in DATASETS]
    there = [place for place in places if room.rows_of(found, *place)]
    name, title = f"{room.NAME}-{task}", f"{room.TITLE}: {TASK_NAMES[task]}"
    if not there:
        return [Exhibit(name, title, room.NOTHING, pd.DataFrame())]
    missing = ", ".join(DATASET_NAMES[dataset] for dataset, _ in places if (dataset, task) not in there)
    about = room.FIGURE + (f" Not run: {missing}." if missing else "")
    alt = f"{about} One panel for each of {', '.join(DATASET_NAMES[dataset] for dataset, _ in there)}; numbers are in the tables."
    figure = Exhibit(name, title, about, pd.DataFrame(), (), room.drawing(found, there), alt)
    return [figure, *(room.exhibit(found, *place) for place in there)]


def maps(dataset: str | None = None, task: str | None = None) -> list[Exhibit]:
    """The representation maps on record, of one data set or task where it is named, in the paper's order of data sets."""
    places = [(dataset, "dataset"), (task, "task")]
    kept = [r for r in mapped.found().values() if all(want in (None, r["place"][name]) for want, name in places)]
    names = list(DATASET_NAMES)
    kept.sort(key=lambda r: names.index(r["place"]["dataset"]) if r["place"]["dataset"] in names else len(names))
    return [mapped.exhibit(record) for record in kept]


def every(found: reading.Found | None = None) -> list[Exhibit]:
    """Tables of the three tasks, few labels, ablation, maps, loss curves and coverage; what has no record says so."""
    found = reading.everything() if found is None else found
    result = [across.of_methods(found, PLACES), *(tables.exhibit(found, *place) for place in PLACES)]
    for room, task in product((labels, ablation), TASKS):
        result += by_task(room, found, task)
    result += [*across.of_shares(found, PLACES), across.of_parts(found, PLACES)]
    drawn = maps()
    result += drawn or [Exhibit("map", "Representations", "No record of a map yet.", pd.DataFrame())]
    runs = training_records.runs()
    return [*result, *(_curves(task, runs) for task in TASKS), *coverage.exhibits(found)]
