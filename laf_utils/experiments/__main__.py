"""``python -m laf_utils.experiments [NAME=VALUE ...]``: make every record of the grid that is missing or stale.

``PLAN=1`` says what there is to do and how long it may take, and does nothing. ``DATASET``, ``TASK``, ``METHOD``, ``SEED``,
``PROFILE``, ``SETTINGS`` and ``VARIANT`` pick cells of the grid, each a list (``SEED=0,1``; ``VARIANT=none``: no variants).
``EXECUTOR`` is a folder of ``workflow/profiles``, ``WORKERS`` how many cells run at a time, ``GRID`` another grid file.
"""

import errno
import sys
from collections import Counter
from pathlib import Path

from ..settings.cli import Stop, known_values, one_line_errors, stopping
from ..settings.config import ConfigError
from ..support.paths import check_writable, need_checkout, results_folder, runs_folder
from ..support.reading import items, whole
from .cells import Cell
from .estimate import hours, in_words, seconds_per_pass
from .faults import full_disk
from .grid import GRID, STATES, Planned, planned, read_grid
from .launch import GridError, run, workers_of
from .tuning_winners import WinnersError

PICKS = {  # what each name picks cells by
    "DATASET": "dataset", "TASK": "task", "METHOD": "method", "SEED": "seed", "PROFILE": "profile", "SETTINGS": "choice",
    "VARIANT": "variant",
}
PLAIN = "none"  # a variant's name for cells that are none
NAMES = ("PLAN", "EXECUTOR", "WORKERS", "GRID", *PICKS)
FAILED = 1
MOST_WORKERS = 10_000


def _options(arguments: list[str]) -> dict[str, str]:
    found = known_values(arguments, NAMES)
    whole(found.get("WORKERS", "1"), "WORKERS", 1, MOST_WORKERS)
    whole(found.get("PLAN", "0"), "PLAN", 0, 1)
    for name in PICKS:
        items(found.get(name, PLAIN), name)
    return found


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
    if not todo or not rate:
        return todo, None
    expected = 3600 * hours(todo, rate, workers)
    print(f"{in_words(expected)} with {workers} at a time, at {1 / rate:.0f} training passes a second each", flush=True)
    return todo, expected


def _run(options: dict[str, str]) -> int:
    need_checkout("the grid of experiments")
    profile = options.get("EXECUTOR", "local")
    usual = workers_of(profile)
    if options.get("PLAN", "0") == "0":
        check_writable(results_folder(), "LAF_RESULTS")
        check_writable(runs_folder(), "LAF_RUNS")
    grid = planned(chosen(read_grid(Path(options.get("GRID", GRID))), options))
    workers = whole(options["WORKERS"], "WORKERS") if "WORKERS" in options else None
    todo, expected = report(grid, workers or usual)
    if options.get("PLAN", "0") != "0" or not todo:
        return 0
    failed = run(todo, profile, workers, lambda line: print(line, flush=True), expected)
    for item, line in failed:
        print(f"FAILED {item.name}: {line}", flush=True)
    print(f"{len(todo) - len(failed)} of {len(todo)} made", flush=True)
    return FAILED if failed else 0


def main() -> int:
    """The command; its exit code."""
    code = [0]

    def command() -> None:
        try:
            with stopping(WinnersError):
                code[0] = _run(_options(sys.argv[1:]))
        except GridError as error:
            raise Stop(str(error)) from error
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise Stop(f"the disk is full: {full_disk()}") from error

    return one_line_errors(command, "interrupted; records that are there stay, and the same command goes on") or code[0]


if __name__ == "__main__":
    sys.exit(main())
