"""Which cells of the project's own grids are on record, and which are not.

Presence only: whether a record still is what making it now would give is what ``make experiments PLAN=1`` says.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from ...experiments.cells import REFERENCES, Cell
from ...experiments.grid import GRID, NATIVE, read_grid
from ...experiments.variants import VARIANTS
from ...methods.catalogue import LISTED
from ...settings.names import DATASET_NAMES, TASK_NAMES
from ..base.captions import caption
from ..base.exhibit import Exhibit
from ..base.reading import DEFAULTS, Found
from ..base.tables import MISSING
from ..base.words import method_name

ABOUT = caption("coverage")


def row_of(cell: Cell) -> str:
    """The row of a cell: its method, what its variant changes, its settings and its profile."""
    profile = "" if cell.profile == "paper" else f", {cell.profile}"
    return method_name(cell.method, cell.variant) + (", tuned" if cell.choice != DEFAULTS else "") + profile


def _order(cell: Cell) -> tuple:
    names = [*REFERENCES, *(name for name in LISTED if name not in REFERENCES)]
    place = names.index(cell.method) if cell.method in names else len(names)
    return ["", *VARIANTS].index(cell.variant), place, cell.method, cell.choice != DEFAULTS, cell.profile


def counted(cells: Iterable[Cell], found: Found) -> str:
    """``3 of 3``, ``1 of 3 (no seed 1, 2)``, with the number that diverged."""
    wanted = {cell.seed: cell.path for cell in cells}
    missing = sorted(seed for seed, path in wanted.items() if path not in found.records)
    failed = sum(bool(found.records[path]["failure"]) for path in wanted.values() if path in found.records)
    said = f"{len(wanted) - len(missing)} of {len(wanted)}"
    said += f" (no seed {', '.join(map(str, missing))})" if 0 < len(missing) < len(wanted) else ""
    return said + (f", {failed} diverged" if failed else "")


def by_method(grid: list[Cell], found: Found, dataset: str) -> pd.DataFrame:
    """Rows are methods, columns are tasks, of one data set; ``–`` where the grid names no cell."""
    tasks = list(dict.fromkeys(cell.task for cell in grid if cell.dataset == dataset))
    rows: dict[str, dict[str, list[Cell]]] = {}
    for cell in sorted((cell for cell in grid if cell.dataset == dataset), key=_order):
        rows.setdefault(row_of(cell), {}).setdefault(cell.task, []).append(cell)
    texts = {
        name: {TASK_NAMES[task]: counted(own[task], found) if task in own else MISSING for task in tasks}
        for name, own in rows.items()
    }
    return pd.DataFrame.from_dict(texts, orient="index")


def summary(grid: list[Cell], found: Found) -> pd.DataFrame:
    """Cells on record of those the grid names, by data set and task, and records that it does not name."""
    named, rows = {cell.path for cell in grid}, {}
    places = [(cell.dataset, cell.task) for cell in grid]
    places += [(r["cell"]["dataset"], r["cell"]["task"]) for r in found.records.values()]
    for dataset, task in dict.fromkeys(places):
        own = [cell for cell in grid if (cell.dataset, cell.task) == (dataset, task)]
        besides = sum(
            (record["cell"]["dataset"], record["cell"]["task"]) == (dataset, task) and path not in named
            for path, record in found.records.items()
        )
        there = sum(cell.path in found.records for cell in own)
        rows[f"{DATASET_NAMES.get(dataset, dataset)}, {TASK_NAMES[task]}"] = {
            "on record": f"{there} of {len(own)}" if own else MISSING, "missing": str(len(own) - there) if own else MISSING,
            "on record besides the grid": str(besides) if besides else MISSING,
        }
    found_rows = pd.DataFrame.from_dict(rows, orient="index")
    return found_rows.loc[:, (found_rows != MISSING).any()]  # no column of dashes


def sentence(grid: list[Cell], found: Found) -> str:
    """How many cells are there, how many are not, how many diverged."""
    there = [found.records[cell.path] for cell in grid if cell.path in found.records]
    failed, missing = sum(bool(record["failure"]) for record in there), len(grid) - len(there)
    said = f"{len(there)} of the grid's {len(grid)} cells are on record ({failed} of them diverged), {missing} are not."
    unread = ", ".join(f"`{path.name}`" for path in found.unreadable)
    return said + (f" No record, and left out: {unread}." if unread else "")


def exhibits(found: Found, paths: Iterable[Path] = (GRID, NATIVE)) -> list[Exhibit]:
    """The summary, then one table for each data set of the grids."""
    grid = list(dict.fromkeys(cell for path in paths for cell in read_grid(path)))
    first = Exhibit("coverage", "What was run and what was not", ABOUT, summary(grid, found), (sentence(grid, found),))
    rest = [
        Exhibit(f"coverage-{dataset}", f"Cells of the grid: {DATASET_NAMES.get(dataset, dataset)}", ABOUT,
                by_method(grid, found, dataset))
        for dataset in dict.fromkeys(cell.dataset for cell in grid)
    ]
    return [first, *rest]
