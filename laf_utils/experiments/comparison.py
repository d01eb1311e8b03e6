"""The comparison's records: those of the grid by Snakemake, or some cells in this process."""

import time
from collections import Counter
from itertools import product
from pathlib import Path

from ..settings.cli import SETTINGS, Stop, known_values
from ..settings.config import ConfigError
from ..support.paths import check_places
from ..support.reading import items, seed, whole
from .cells import Cell, listed
from .expected import expected, table
from .follow import hours, in_words, priced, seconds_per_pass
from .grid import GRID, read_grid
from .launch import run, workers_of
from .making import problem_of, run_cell
from .planning import Planned, planned, quiet
from .problem import Problem
from .record import STATES
from .tuning_winners import published_stay

PLAIN = "none"  # a variant's name for cells that are none
HERE = "here"  # the executor that is this process
USUAL = {
    "DATASET": "mnist", "TASK": "class", "METHOD": "all", "SEED": "0", "PROFILE": "paper", "SETTINGS": "defaults",
    "VARIANT": PLAIN,
}
PICKS = {name: name.lower() for name in USUAL} | {"SETTINGS": "choice"}  # what each name picks cells by
NAMES = ("PLAN", "EXECUTOR", "WORKERS", "GRID", *PICKS)
FAILED = 1
MOST_WORKERS = 10_000


def comparison(arguments: list[str]) -> int:
    """every method on every request.

    ``DATASET``, ``TASK``, ``METHOD``, ``SEED``, ``PROFILE``, ``SETTINGS`` and ``VARIANT`` pick cells of the grid, each a list
    (``SEED=0,1``; ``VARIANT=none``: no variants). ``GRID`` is another grid file, ``WORKERS`` how many cells run at a time, and
    ``EXECUTOR`` a folder of ``workflow/profiles``. ``EXECUTOR=here`` makes the cells that the lists span in this process, whether
    a grid has them or not; what is not said is then MNIST, class removal, all methods, seed 0. ``PLAN=1`` counts what there is to
    do, from the images where they are on this machine, else from what the records say of them; ``PLAN=2`` names every cell too.
    """
    options = known_values(arguments, NAMES)
    whole(options.get("WORKERS", "1"), "WORKERS", 1, MOST_WORKERS)
    whole(options.get("PLAN", "0"), "PLAN", 0, 2)
    for name in PICKS:
        items(options.get(name, PLAIN), name)
    return cells_here(options) if options.get("EXECUTOR") == HERE else _grid(options)


def chosen(grid: list[Cell], options: dict[str, str]) -> list[Cell]:
    """The cells of the grid that the lists in ``options`` pick.

    Raises:
        ConfigError: one of the values is of no cell of the grid, or together they pick none.
    """
    wanted = {name: items(options[name], name) for name in PICKS if name in options}
    for name, values in wanted.items():
        there = dict.fromkeys(_value(cell, name) for cell in grid)
        if strange := [value for value in values if value not in there]:
            raise ConfigError(f"no cell of the grid has {name}={','.join(strange)}; it has {', '.join(there)}")
    picked = [cell for cell in grid if all(_value(cell, name) in values for name, values in wanted.items())]
    if not picked:
        raise ConfigError(f"no cell of the grid has {', '.join(f'{k}={options[k]}' for k in wanted)}")
    return picked


def _value(cell: Cell, name: str) -> str:
    return str(getattr(cell, PICKS[name])) or PLAIN


def report(grid: list[Planned], workers: int) -> tuple[list[Planned], float | None]:
    """Say what is there and what is not; returns what has to be made, and the seconds it may take where a record tells."""
    counts, todo = Counter(item.state for item in grid), [item for item in grid if item.state != "valid"]
    print(f"{len(grid)} cells: " + ", ".join(f"{counts[state]} {state}" for state in STATES), flush=True)
    for item in grid:
        if item.state == "stale":
            print(f"stale, made with other settings, data or code: {item.name}")
    rate = seconds_per_pass(grid)
    for line in priced(todo) if todo and not rate else ():
        print(line, flush=True)
    if not todo or not rate:
        return todo, None
    expected = 3600 * hours(todo, rate, workers)
    print(f"{in_words(expected)} with {workers} at a time, at {1 / rate:.0f} training passes a second each", flush=True)
    return todo, expected


def _grid(options: dict[str, str]) -> int:
    profile, asked = options.get("EXECUTOR", "local"), int(options.get("PLAN", "0"))
    usual = workers_of(profile)
    if not asked:
        check_places()
    grid = planned(chosen(read_grid(Path(options.get("GRID", GRID))), options), print if asked else quiet, download=not asked)
    workers = whole(options["WORKERS"], "WORKERS") if "WORKERS" in options else None
    todo, expected = report(grid, workers or usual)
    if asked > 1:
        for item in grid:
            print(f"{item.state} {item.name}" + (f" ({', '.join(item.stale)})" if item.stale else ""))
    if asked or not todo:
        return 0
    failed = run(todo, profile, workers, lambda line: print(line, flush=True), expected)
    for item, line in failed:
        print(f"FAILED {item.name}: {line}", flush=True)
    print(f"{len(todo) - len(failed)} of {len(todo)} made", flush=True)
    return FAILED if failed else 0


# -- in this process ---------------------------------------------------------------------------------------------------------


def cells_of(options: dict[str, str]) -> list[Cell]:
    """Every cell that the lists span, by data set, task and seed."""
    given = {name: items(text, name) for name, text in (USUAL | options).items() if name in PICKS}
    if len(given["PROFILE"]) > 1:
        raise Stop(f"PROFILE takes one value, got {options['PROFILE']!r}", SETTINGS)
    cells, names = [], ("DATASET", "TASK", "SEED", "SETTINGS", "VARIANT")
    for dataset, task, number, choice, variant in product(*(given[name] for name in names)):
        methods = listed(choice) if given["METHOD"] == ["all"] else given["METHOD"]
        variant = "" if variant == PLAIN else variant
        cells += [Cell(dataset, task, method, seed(number), given["PROFILE"][0], choice, variant) for method in methods]
    return cells


def cells_here(options: dict[str, str]) -> int:
    """Make the cells that the lists span, cheap ones first, and say what each gave."""
    given, asked = cells_of(options), options.get("PLAN", "0") != "0"
    cells = [cell for cell in given if not published_stay(cell)]
    for cell in given:
        if cell not in cells:
            print(f"{cell.path.name}: the search left the published settings, whose record stands for it", flush=True)
    problems: dict[tuple, Problem] = {}
    if not asked:
        check_places()
    for cell in cells:
        problems[cell.place] = problems.get(cell.place) or problem_of(cell)
    plan = [(cell, expected(cell, problems[cell.place])) for cell in cells]
    print(table(plan), flush=True)
    for cell, _ in sorted(plan, key=lambda item: item[1].equivalent) if not asked else ():
        start, before = time.perf_counter(), cell.path.exists()
        record = run_cell(cell, problems[cell.place])
        gap = record["failure"] or f"gap {record['gap']['mean']:.2f}" if record["gap"] or record["failure"] else "the goal"
        print(f"{cell.path.name}: {gap} ({time.perf_counter() - start:.0f} s{', there before' if before else ''})", flush=True)
    return 0
