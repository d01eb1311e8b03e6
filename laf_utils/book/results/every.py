"""All exhibits in their order, from what is on record."""

from functools import partial
from itertools import product
from types import ModuleType

import pandas as pd

from ...settings.names import DATASET_NAMES, TASK_NAMES
from ...support.choices import TASKS
from ..base import reading, training_records
from ..base.captions import caption, chance_text, headline, rests_on
from ..base.exhibit import Exhibit
from ..base.words import title_of
from . import ablation, answer, coverage, divergence, frontier, labels, relearn_parts, requests, tables, training_curves
from . import maps as mapped

DATASETS = training_records.PAPER_DATASETS
PLACES = tuple((dataset, task) for task in TASKS for dataset in DATASETS)


def _curves(task: str, runs: list[dict]) -> Exhibit:
    """The loss curves of a task, as the page of training records draws them."""
    there = training_curves.drawn(task, runs)
    draw = partial(training_curves.figure, task, runs) if there else None
    names, origin = ", ".join(map(DATASET_NAMES.__getitem__, there)), training_records.authors()["published_curves"]["origin"]
    return Exhibit(
        f"curves-{task}", f"Loss curves: {TASK_NAMES[task]}", caption("curves"), training_curves.table(task, runs),
        training_curves.readings(task, runs), draw, caption("curves, picture", task=TASK_NAMES[task], names=names),
        detail=caption("curves, detail", origin=origin),
    )


def by_task(room: ModuleType, found: reading.Found, task: str) -> list[Exhibit]:
    """One figure over all data sets that have records, then a table for each; a note where none has.

    Args:
        room: ``labels`` or ``ablation``.
    """
    rows = {(dataset, task): own for dataset in DATASETS if (own := room.rows_of(found, dataset, task))}
    name, title = f"{room.NAME}-{task}", f"{room.TITLE}: {TASK_NAMES[task]}"
    if not rows:
        return [Exhibit(name, title, room.NOTHING)]
    missing = ", ".join(DATASET_NAMES[dataset] for dataset in DATASETS if (dataset, task) not in rows)
    about = room.FIGURE + (f" Not run: {missing}." if missing else "")
    alt = f"{about} One panel for each of {', '.join(DATASET_NAMES[dataset] for dataset, _ in rows)}; numbers are in the tables."
    panels = {title_of(*place): own for place, own in rows.items()}
    figure = Exhibit(name, title, about, pd.DataFrame(), (), lambda: room.figure(panels), alt)
    return [figure, *(of_request(room, own, *place) for place, own in rows.items())]


def of_request(room: ModuleType, rows: list[reading.Group], dataset: str, task: str) -> Exhibit:
    """Table and sentences of one request's rows."""
    title = title_of(dataset, task)
    control = f" {caption('labels, control')}" if any(group.method == labels.PSEUDO for group in rows) else ""
    table = ablation.numbers(rows, task) if room is ablation else tables.table(rows, task)
    return Exhibit(
        f"{room.NAME}-{task}-{dataset}", f"{room.TITLE}: {title}", f"{headline(rows)} {tables.READING}{control}", table,
        room.readings(rows, f"On {title}"), full=tables.full(rows, task),
        detail=f"{rests_on(rows)} {chance_text(rows)} {tables.clocks_text(rows)} {tables.EVERY_COLUMN}",
    )


def maps(task: str | None = None) -> list[Exhibit]:
    """The representation maps on record, of one task where it is named, in the paper's order of data sets."""
    names = list(DATASET_NAMES)
    kept = [record for record in mapped.everything().records.values() if task in (None, record["place"]["task"])]
    kept.sort(key=lambda r: names.index(r["place"]["dataset"]) if r["place"]["dataset"] in names else len(names))
    return [mapped.exhibit(record) for record in kept]


def every(found: reading.Found | None = None) -> list[Exhibit]:
    """The answer and its picture, tables, few labels, ablation, maps, loss curves and coverage; what has no record says so."""
    found = reading.everything() if found is None else found
    result = [answer.exhibit(found, PLACES), frontier.exhibit(found, PLACES), requests.of_methods(found, PLACES)]
    result += [answer.task_exhibit(found, task, PLACES) for task in TASKS]
    result += [tables.exhibit(found, *place) for place in PLACES]
    for room, task in product((labels, ablation), TASKS):
        result += by_task(room, found, task)
    result += [*requests.of_shares(found, PLACES), requests.of_parts(found, PLACES), relearn_parts.exhibit(found, PLACES)]
    result.append(divergence.exhibit(found, PLACES))
    drawn = maps()
    result += drawn or [Exhibit("map", "Representations", "No record of a map yet.")]
    runs = training_records.runs()
    return [*result, *(_curves(task, runs) for task in TASKS), *coverage.exhibits(found)]
