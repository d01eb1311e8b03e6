"""What the tests of the grid share: a small real grid, run as a command in a session of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from laf_utils.support.paths import ROOT

SNAKEMAKE = (Path(sys.executable).parent / "snakemake").exists() or shutil.which("snakemake")
REAL = '[[cells]]\ndatasets = ["optdigits"]\ntasks = ["class"]\nmethods = ["original", "retrain", "neggrad", "lfssd"]\n' \
    'seeds = [0]\nprofile = "quick"\n'


class RealGrid:
    """``REAL`` with results and runs below ``folder``; ``options`` of the command, e.g. ``WORKERS=1``."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.results, self.runs, grid = folder / "results", folder / "runs", folder / "grid.toml"
        grid.write_text(REAL)
        self.call = [sys.executable, "-m", "laf_utils.experiments", f"GRID={grid}", *options]
        self.environment = {"LAF_RESULTS": str(self.results), "LAF_RUNS": str(self.runs), "LAF_PROGRESS": "0"}

    def start(self) -> subprocess.Popen:
        """The command, under way."""
        return subprocess.Popen(self.call, cwd=ROOT, env=os.environ | self.environment, start_new_session=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def kept(self) -> dict[Path, int]:
        """Every record that is there and when it was written."""
        return {file: file.stat().st_mtime_ns for file in self.results.rglob("*.json")}
