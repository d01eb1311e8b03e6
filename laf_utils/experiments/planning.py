"""Which cells need to be made, what their records wait for, and what the workflow reads."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..datasets import DataUnavailable, load, remembered
from ..settings.presets import DATASET_PRESETS
from ..support.keys import stale_parts
from ..support.paths import ROOT
from ..support.records import RecordError
from .cells import AGAIN, COMPARISON, ORIGINAL, REFERENCES, RETRAIN, Cell
from .expected import expected
from .grid import arguments_of, name_of
from .making import chosen_settings, code_of, config_of, inputs_of, problem_of
from .problem import Problem
from .tuning_winners import WinnersError, published_stay
from .variants import OTHER, VARIANTS

MEMORY_MB = 2_000  # of a cell on images of 28 x 28: measured peak 1.3 GB, and what evaluation adds


@dataclass(frozen=True)
class Planned:
    """A cell, the state of its record, and what it costs in training passes if it has to be made."""

    cell: Cell
    state: str
    equivalent: float
    # the parts of a stale record that have changed: settings, data, task, or code of training, method, measuring
    stale: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return name_of(self.cell)


def quiet(line: str) -> None:
    """Say nothing."""


def planned(cells: Iterable[Cell], say: Callable[[str], None] = quiet, *, download: bool = True) -> list[Planned]:
    """Every cell with the state of its record: ``valid`` if it holds exactly what making it now would depend on, ``stale`` if
    settings, data or code have changed since, ``missing`` if there is none.

    Args:
        download: whether images that are not on this machine are fetched; else a record is asked what its images and index sets
            were, ``say`` is told so, and a cell without one has no cost.

    A tuned cell whose search left the published settings is left out: its record is that of the published ones.
    """
    with remembered():
        problems: dict[tuple, Problem] = {}
        cells = [cell for cell in cells if not published_stay(cell)]
        elsewhere = set() if download else {name for name in {name for cell in cells for name in _sets(cell)} if not _here(name)}
        if elsewhere:
            say(f"not on this machine: images of {', '.join(sorted(elsewhere))}; what the records say of them is taken as it is")
        return [_as_recorded(cell) if elsewhere & _sets(cell) else _looked_at(cell, problems) for cell in cells]


def _sets(cell: Cell) -> set[str]:
    """The sets whose images a cell needs."""
    other = bool(cell.variant) and VARIANTS[cell.variant].other_images
    return {cell.dataset, OTHER[cell.dataset]} if other else {cell.dataset}


def _here(dataset: str) -> bool:
    """Whether the images of a set are on this machine."""
    try:
        load(dataset, download=False)
    except DataUnavailable:
        return False
    return True


def _as_recorded(cell: Cell) -> Planned:
    problem: Any = SimpleNamespace(config=config_of(cell))
    try:
        record = COMPARISON.read(cell.path)
        settings = chosen_settings(cell, problem)
    except (RecordError, WinnersError):
        return Planned(cell, "missing", 0.0)
    inputs = code_of(cell, problem, settings) | {name: record["inputs"].get(name) for name in ("data", "task")}
    stale = tuple(stale_parts(record, inputs))
    return Planned(cell, "stale" if stale else "valid", (record["passes"] or {}).get("equivalent", 0.0), stale)


def _looked_at(cell: Cell, problems: dict[tuple, Problem]) -> Planned:
    if cell.place not in problems:
        problems[cell.place] = problem_of(cell, quiet)
    problem = problems[cell.place]
    try:
        state, stale = COMPARISON.state(cell.path, inputs_of(cell, problem, chosen_settings(cell, problem)))
    except WinnersError:  # without winners no tuned record can be valid, and its cell says what it needs
        state, stale = "missing", ()
    return Planned(cell, state, _cost(cell, problem), stale)


def _cost(cell: Cell, problem: Problem) -> float:
    """Training passes of a cell; ``expected`` counts a run's own stages as there already, here their first cell pays."""
    config, task = problem.config, problem.run.task
    own = {
        ORIGINAL: config.training.epochs * len(task.train_labels),
        RETRAIN: config.training.epochs * len(task.retain),
        "laf": 2 * config.unlearning.epochs * 2 * min(len(task.forget), len(task.retain)),
    }
    extra = own.get(cell.method, 0) if cell.from_pipeline else 0
    return expected(cell, problem).equivalent + extra


def waits_for(cell: Cell, others: set[Cell]) -> list[Cell]:
    """The cells among ``others`` that make what this one would else make a second time at the same time."""
    changes = VARIANTS[cell.variant].changes if cell.variant else {}
    trains_anew = any(name == "images" or name.startswith("training.") for name in changes)  # an original of the variant's own
    place = (cell.seed, cell.profile, "defaults", cell.variant if trains_anew else "")
    wanted = []
    if cell.method == ORIGINAL and cell.task == "data":  # class removal learns from the same images and labels
        wanted.append(Cell(cell.dataset, "class", ORIGINAL, *place))
    if cell.method != ORIGINAL:
        wanted.append(Cell(cell.dataset, cell.task, ORIGINAL, *place))
    if cell.method not in (ORIGINAL, RETRAIN):
        wanted.append(Cell(cell.dataset, cell.task, RETRAIN, *place))
    if cell.method == AGAIN:
        wanted.append(Cell(cell.dataset, cell.task, RETRAIN, cell.seed + 1, *place[1:]))
    if cell.from_pipeline and cell.method not in REFERENCES:
        wanted.append(Cell(cell.dataset, cell.task, "laf", *place))  # whose VAEs, or whose network, it starts from
    return [other for other in wanted if other in others and other != cell]


def plan(todo: list[Planned], folder: Path, python: str) -> dict:
    """What the workflow reads: plain values."""
    cells = {item.cell for item in todo}
    large = [name for name, known in DATASET_PRESETS.items() if known.backbone == "resnet18"]
    return {
        "folder": str(folder), "python": python, "root": str(ROOT),  # the package is found from there even if it is not installed
        "cells": {
            item.name: {
                "arguments": arguments_of(item.cell), "after": [name_of(other) for other in waits_for(item.cell, cells)],
                "equivalent": item.equivalent, "mem_mb": MEMORY_MB,
                "gpu": int(item.cell.dataset in large and item.cell.profile in ("paper", "native")),
            }
            for item in todo
        },
    }
