"""Which cells a grid has. ``planning`` tells which of them need to be made, and in which order."""

import math
import tomllib
from itertools import product
from pathlib import Path

from ..datasets.errors import one_line
from ..settings.config import ConfigError
from ..support.paths import ROOT
from ..support.reading import MOST_SEED, ReadingError, file_name
from .cells import Cell, listed

GRID = ROOT / "workflow" / "grid.toml"
NATIVE = ROOT / "workflow" / "native.toml"  # what wants a GPU
MOST_CELLS = 100_000




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
    cells: dict[Cell, None] = {}
    tables = content.get("cells", [])
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












