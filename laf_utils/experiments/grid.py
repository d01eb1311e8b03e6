"""Which cells a grid has, which of them need to be made, and in which order."""

import math
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from ..datasets import remembered
from ..datasets.errors import one_line
from ..settings.config import ConfigError
from ..settings.presets import DATASET_PRESETS
from ..support import records
from ..support.keys import stale_parts
from ..support.paths import ROOT
from ..support.reading import MOST_SEED, ReadingError, file_name
from .cells import AGAIN, ORIGINAL, REFERENCES, RETRAIN, Cell, inputs_of, read, settings_of
from .expected import expected, listed
from .problem import Problem
from .tuning_winners import WinnersError, winners_of
from .variants import VARIANTS

GRID = ROOT / "workflow" / "grid.toml"
STATES = ("valid", "stale", "missing")
MOST_CELLS = 100_000
MEMORY_MB = 2_000  # of a cell on images of 28 x 28: measured peak 1.3 GB, and what evaluation adds


@dataclass(frozen=True)
class Planned:
    """A cell, the state of its record, and what it costs in training passes if it has to be made.

    Args:
        stale: the parts of a stale record that have changed: settings, data, task, or code of training, method, measuring.
    """

    cell: Cell
    state: str
    equivalent: float
    stale: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return name_of(self.cell)


def name_of(cell: Cell) -> str:
    """``mnist/class-laf-seed0``: the record's path below ``results/comparison``, without its ending."""
    return "/".join(filter(None, (cell.dataset, cell.variant, cell.path.stem)))


def arguments_of(cell: Cell) -> str:
    """What ``python -m laf_utils.experiments`` is called with."""
    return (
        f"DATASET={cell.dataset} TASK={cell.task} METHOD={cell.method} SEED={cell.seed} PROFILE={cell.profile} "
        f"SETTINGS={cell.choice}{f' VARIANT={cell.variant}' if cell.variant else ''}"
    )


def read_grid(path: Path = GRID) -> list[Cell]:
    """The cells of a grid file, each once, in its order.

    Raises:
        ConfigError: the file cannot be read, or names what does not exist.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read as a grid ({one_line(error)})") from error
    tables, cells = content.get("cells", []), {}  # type: ignore[var-annotated]
    if content.keys() - {"cells"} or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"{path}: a grid is tables named [[cells]] and nothing else")
    for table in tables:
        spans, profile, choice = _spans(table, path)
        if math.prod(map(len, spans)) > MOST_CELLS - len(cells):
            raise ConfigError(f"{path}: more than {MOST_CELLS} cells")
        for dataset, seed, task, method, variant in product(*spans):
            cells[Cell(dataset, task, method, seed, profile, choice, variant)] = None
    return list(cells)


def _spans(table: dict, path: Path) -> tuple[tuple[list, ...], str, str]:
    """Data sets, seeds, tasks, methods and variants of one table, each a list of its kind; its profile and its settings."""
    unknown = table.keys() - {"datasets", "tasks", "methods", "seeds", "profile", "settings", "variants"}
    if unknown or not {"datasets", "tasks", "methods", "seeds"} <= table.keys():
        needs = "datasets, tasks, methods, seeds, and may have profile, settings and variants"
        raise ConfigError(f"{path}: a table needs {needs}; got {', '.join(table)}")
    for name, kind in (("datasets", str), ("tasks", str), ("methods", str), ("seeds", int), ("variants", str)):
        own = table.get(name, [""])
        if not isinstance(own, list) or not own or not all(type(item) is kind for item in own):
            raise ConfigError(f"{path}: {name} must be a list of {'whole numbers' if kind is int else 'names'}")
    if not all(0 <= seed <= MOST_SEED for seed in table["seeds"]):
        raise ConfigError(f"{path}: seeds are whole numbers from 0 to {MOST_SEED}")
    profile, choice = table.get("profile", "paper"), table.get("settings", "defaults")
    if not isinstance(profile, str) or not isinstance(choice, str):
        raise ConfigError(f"{path}: profile and settings are one name each")
    try:
        for dataset in table["datasets"]:
            file_name(dataset, "a data set")
    except ReadingError as error:
        raise ConfigError(f"{path}: {error}") from error
    methods = listed(choice) if table["methods"] == ["all"] else table["methods"]
    return (table["datasets"], table["seeds"], table["tasks"], methods, table.get("variants", [""])), profile, choice


def planned(cells: Iterable[Cell], say: Callable[[str], None] = lambda line: None) -> list[Planned]:
    """Every cell with the state of its record: ``valid`` if it holds exactly what making it now would depend on, ``stale`` if
    settings, data or code have changed since, ``missing`` if there is none.
    """
    with remembered():
        problems: dict[tuple, Problem] = {}
        return [_looked_at(cell, problems, say) for cell in cells]


def _looked_at(cell: Cell, problems: dict[tuple, Problem], say: Callable[[str], None]) -> Planned:
    if cell.place not in problems:
        problems[cell.place] = cell.problem(say)
    problem = problems[cell.place]
    try:
        settings = settings_of(cell, problem, winners_of(cell) if cell.choice == "tuned" else None)
        stale = tuple(stale_parts(read(cell.path), inputs_of(cell, problem, settings)))
        state = "stale" if stale else "valid"
    except (records.RecordError, WinnersError):  # without winners no tuned record can be valid, and its cell says what it needs
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
    return {
        "folder": str(folder),
        "python": python,
        "root": str(ROOT),  # the package is found from here even where it is not installed
        "cells": {
            item.name: {
                "arguments": arguments_of(item.cell),
                "after": [name_of(other) for other in waits_for(item.cell, cells)],
                "equivalent": item.equivalent,
                "mem_mb": MEMORY_MB,
                "gpu": int(_wants_gpu(item.cell)),
            }
            for item in todo
        },
    }


def _wants_gpu(cell: Cell) -> bool:
    preset = DATASET_PRESETS.get(cell.dataset)
    return preset is not None and preset.backbone == "resnet18" and cell.profile == "paper"
