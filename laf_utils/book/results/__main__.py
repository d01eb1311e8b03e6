"""``python -m laf_utils.book.results [FOLDER=_build/exhibits]``: every table and figure as Markdown, CSV and PNG."""

import shutil
import sys
from pathlib import Path

import matplotlib as mpl

from ...settings.cli import known_values, one_line_errors, stopping
from ...support.paths import ROOT
from .every import every

DEFAULT = ROOT / "_build" / "exhibits"
NAMES = {"FOLDER": str(DEFAULT)}


def _run(arguments: list[str]) -> None:
    folder = Path((NAMES | known_values(arguments, NAMES))["FOLDER"]).expanduser().resolve()
    if folder == DEFAULT and folder.is_dir():
        shutil.rmtree(folder)  # an exhibit of records that are gone must not stay; another folder may hold more than exhibits
    mpl.use("agg")  # files only: there may be no screen
    empty = 0
    for exhibit in every():
        written = exhibit.write(folder)
        empty += len(written) == 1
        there = ", ".join(path.name for path in written)
        print(f"{exhibit.title}: {there}" + ("" if len(written) > 1 else f" ({exhibit.about})"), flush=True)
    print(f"all in {folder}" + (f"; {empty} have no record yet and say so" if empty else ""))


def main() -> int:
    """The command; its exit code."""

    def command() -> None:
        with stopping():
            _run(sys.argv[1:])

    return one_line_errors(command, "interrupted; the same command begins again")


if __name__ == "__main__":
    sys.exit(main())
