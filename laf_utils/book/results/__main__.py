"""``python -m laf_utils.book.results [FOLDER=_build/exhibits]``: every table and figure as Markdown, CSV and PNG.

A file below ``results`` that is no record is named in a line of its own, and the exit code is 1; as it is without any record.
"""

import shutil
import sys

from ...settings.cli import Stop, known_values, one_line_errors
from ...support.paths import ROOT, check_writable, resolved, results_folder

DEFAULT = ROOT / "_build" / "exhibits"
NAMES = {"FOLDER": str(DEFAULT)}


def _run(arguments: list[str]) -> None:
    import matplotlib as mpl

    from ..base import reading
    from . import maps as mapped
    from .every import every

    folder = resolved((NAMES | known_values(arguments, NAMES))["FOLDER"], "FOLDER")
    check_writable(folder, "FOLDER")
    found, maps = reading.everything(), mapped.everything()
    broken = (*found.reasons, *maps.reasons)
    for line in broken:
        print(f"laf: error: {line}", file=sys.stderr)
    if not found.records and not maps.records:
        raise Stop("nothing can be drawn: " + (
            f"none of {len(broken)} files is a record" if broken else f"there is no record below {results_folder()}"
        ))
    if folder == DEFAULT and folder.is_dir():
        shutil.rmtree(folder)  # an exhibit of records that are gone must not stay; another folder may hold more than exhibits
    mpl.use("agg")  # files only: there may be no screen
    empty = 0
    for exhibit in every(found):
        written = exhibit.write(folder)
        empty += len(written) == 1
        there = ", ".join(path.name for path in written)
        print(f"{exhibit.title}: {there}" + ("" if len(written) > 1 else f" ({exhibit.about})"), flush=True)
    print(f"all in {folder}" + (f"; {empty} have no record yet and say so" if empty else ""))
    if broken:
        raise Stop(f"left out: {len(broken)} of the files below {results_folder()}, named above")


def main() -> int:
    """The command; its exit code."""
    return one_line_errors(lambda: _run(sys.argv[1:]), "interrupted; the same command begins again")


if __name__ == "__main__":
    sys.exit(main())
