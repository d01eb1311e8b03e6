"""``python -m laf_utils.experiments [DATASET=mnist,fashion] [TASK=class,data] [SEED=0,1,2,3,4] [PROFILE=quick]``.

Makes the audit's record of every place that the lists span; a record that is there and valid stays.
"""

import sys
import time

from ..settings.cli import known_values, one_line_errors, spanned, stopping
from ..support.paths import check_writable, results_folder, runs_folder
from ..support.records import RecordError
from .audit_seeds import Place, audit_request, read

NAMES = {"DATASET": "mnist,fashion", "TASK": "class,data", "SEED": "0,1,2,3,4", "PROFILE": "quick"}


def places_of(arguments: list[str]) -> list[Place]:
    """Every place that the arguments span, seeds outermost, so that what is there after a while is balanced.

    Raises:
        Stop: an argument that is not ``NAME=VALUE`` with a known name.
        ReadingError: a seed that is no number, or an item twice.
    """
    found = NAMES | known_values(arguments, NAMES)
    return [Place(*place, found["PROFILE"]) for place in spanned(found)]


def _say_broken(place: Place) -> None:
    try:
        read(place.path)
    except RecordError as error:
        if place.path.exists():
            print(f"{' '.join(str(error).split())}; it is made anew", flush=True)


def main() -> int:
    """The command; its exit code."""

    def command() -> None:
        with stopping():
            places = places_of(sys.argv[1:])
            check_writable(results_folder(), "LAF_RESULTS")
            check_writable(runs_folder(), "LAF_RUNS")
            for place in places:
                start = time.perf_counter()
                _say_broken(place)
                record = audit_request(place)
                verdicts = {name: own["verdict"] for name, own in record["audit"].items()}
                said = ", ".join(f"{name}: {found['verdict']}" for name, found in verdicts.items() if found)
                print(f"{place.path.name} ({place.dataset}): {said} ({time.perf_counter() - start:.0f} s)", flush=True)

    return one_line_errors(command, "interrupted; records that are there stay, and the same command goes on")


if __name__ == "__main__":
    sys.exit(main())
