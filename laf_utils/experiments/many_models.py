"""``python -m laf_utils.together [DATASET=mnist,fashion] [TASK=class,data] [MODELS=8]``.

Trains and unlearns many models of each request and writes what the measures over them say; a record that is there stays.
"""

import sys
import time
from itertools import product
from pathlib import Path

from ..run import Run
from ..settings.cli import known_values, one_line_errors, stopping
from ..support import records
from ..support.paths import check_writable, results_folder, runs_folder
from ..support.reading import chosen, items, whole
from ..tasks import TASKS
from .shadows import LEAST, shadow_config
from .shadows_record import make, path_of, read

MOST_MODELS = 10_000
NAMES = {"DATASET": "mnist,fashion", "TASK": "class,data", "MODELS": "8"}


def _options(arguments: list[str]) -> tuple[list[tuple[str, str]], int]:
    found = NAMES | known_values(arguments, NAMES)
    places = product(items(found["DATASET"], "DATASET"), chosen(found["TASK"], "TASK", TASKS))
    return list(places), whole(found["MODELS"], "MODELS", LEAST + 1, MOST_MODELS)


def _there(path: Path) -> bool:
    """Whether there is a record; one that cannot be read is named, and made anew."""
    try:
        read(path)
    except records.RecordError as error:
        if path.exists():
            print(f"{' '.join(str(error).split())}; it is made anew", flush=True)
        return False
    return True


def main() -> int:
    """The command; its exit code."""

    def command() -> None:
        with stopping():
            places, models = _options(sys.argv[1:])
            check_writable(results_folder(), "LAF_RESULTS")
            check_writable(runs_folder(), "LAF_RUNS")
            for dataset, task in places:
                path, start = path_of(dataset, task, models), time.perf_counter()
                if not _there(path):
                    records.write_json(path, make(Run(shadow_config(dataset, task)), range(models)))
                print(f"{dataset}, {task}: {path.name} ({time.perf_counter() - start:.0f} s)", flush=True)

    return one_line_errors(command, "interrupted; records that are there stay, and the same command goes on")


if __name__ == "__main__":
    sys.exit(main())
