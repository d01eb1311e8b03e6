"""``python -m laf_utils.together [DATASET=mnist,fashion] [TASK=class,data] [MODELS=8]``.

Trains and unlearns many models of each request and writes what the measures over them say; a record that is there stays.
"""

import sys
import time
from itertools import product

from ..run import Run
from ..settings.cli import SETTINGS, Stop, known_values, one_line_errors, stopping
from ..support import records
from .shadows import LEAST, shadow_config
from .shadows_record import make, path_of

NAMES = {"DATASET": "mnist,fashion", "TASK": "class,data", "MODELS": "8"}


def _options(arguments: list[str]) -> tuple[list[tuple[str, str]], int]:
    found = NAMES | known_values(arguments, NAMES)
    if not found["MODELS"].isdigit() or int(found["MODELS"]) <= LEAST:
        raise Stop(f"MODELS must be a whole number above {LEAST}, got {found['MODELS']!r}", SETTINGS)
    return list(product(found["DATASET"].split(","), found["TASK"].split(","))), int(found["MODELS"])


def main() -> int:
    """The command; its exit code."""

    def command() -> None:
        with stopping():
            places, models = _options(sys.argv[1:])
            for dataset, task in places:
                path, start = path_of(dataset, task, models), time.perf_counter()
                if not path.exists():
                    records.write_json(path, make(Run(shadow_config(dataset, task)), range(models)))
                print(f"{dataset}, {task}: {path.name} ({time.perf_counter() - start:.0f} s)", flush=True)

    return one_line_errors(command, "interrupted; records that are there stay, and the same command goes on")


if __name__ == "__main__":
    sys.exit(main())
