"""``python -m laf_utils.experiments [DATASET=mnist] [TASK=class,data] [METHOD=all] [SEED=0] [SETTINGS=defaults]
[VARIANT=without_ue] [PLAN=1]``.

Makes the records of all cells that the lists span, cheap ones first; ``PLAN=1`` prints what they would cost and makes none.
"""

import sys
import time
from itertools import product

from ..settings.cli import SETTINGS, Stop, known_values, one_line_errors, stopping
from ..support.paths import check_writable, results_folder, runs_folder
from ..support.reading import chosen, items, seed
from .cells import Cell, run_cell
from .expected import expected, listed, table
from .tuning_winners import WinnersError, winners_of

NAMES = {
    "DATASET": "mnist", "TASK": "class", "METHOD": "all", "SEED": "0", "PROFILE": "paper", "SETTINGS": "defaults", "VARIANT": "",
    "PLAN": "0",
}


def _options(arguments: list[str]) -> dict[str, list[str]]:
    given = NAMES | known_values(arguments, NAMES)
    found = {name: [""] if name == "VARIANT" and not text else items(text, name) for name, text in given.items()}
    for name in ("PLAN", "PROFILE"):
        if len(found[name]) > 1:
            raise Stop(f"{name} takes one value, got {given[name]!r}", SETTINGS)
    chosen(given["PLAN"], "PLAN", ("0", "1"))
    return found


def cells_of(options: dict[str, list[str]]) -> list[Cell]:
    """Every cell that the lists span, by data set, task and seed, cheap methods first."""
    cells = []
    names = ("DATASET", "TASK", "SEED", "SETTINGS", "VARIANT")
    for dataset, task, number, choice, variant in product(*(options[name] for name in names)):
        methods = listed(choice) if options["METHOD"] == ["all"] else options["METHOD"]
        cells += [Cell(dataset, task, method, seed(number), options["PROFILE"][0], choice, variant) for method in methods]
    return cells


def _run(options: dict[str, list[str]]) -> None:
    cells, problems = cells_of(options), {}  # type: ignore[var-annotated]
    if options["PLAN"] == ["0"]:
        check_writable(results_folder(), "LAF_RESULTS")
        check_writable(runs_folder(), "LAF_RUNS")
    for cell in cells:
        problems[cell.place] = problems.get(cell.place) or cell.problem()
    plan = [(cell, expected(cell, problems[cell.place])) for cell in cells]
    print(table(plan), flush=True)
    if options["PLAN"] != ["0"]:
        return
    for cell, _ in sorted(plan, key=lambda item: item[1].equivalent):
        start, before = time.perf_counter(), cell.path.exists()
        record = run_cell(cell, problems[cell.place], winners=winners_of(cell) if cell.choice == "tuned" else None)
        gap = record["failure"] or f"gap {record['gap']['mean']:.2f}" if record["gap"] or record["failure"] else "the goal"
        print(f"{cell.path.name}: {gap} ({time.perf_counter() - start:.0f} s{', there before' if before else ''})", flush=True)


def main() -> int:
    """The command; its exit code."""

    def command() -> None:
        with stopping(WinnersError):
            _run(_options(sys.argv[1:]))

    return one_line_errors(command, "interrupted; records that are there stay, and the same command goes on")


if __name__ == "__main__":
    sys.exit(main())
