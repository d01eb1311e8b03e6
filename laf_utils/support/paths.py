"""Where files live. Every place is absolute and overridable by an environment variable.

Notebooks run in different working folders (papermill: the caller's; JupyterLab and nbval: the notebook's own), so nothing
in this project uses a path relative to the working folder.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _place(variable: str, default: Path) -> Path:
    value = os.environ.get(variable)
    return Path(value).expanduser().resolve() if value else default


def data_folder() -> Path:
    """The images (``LAF_DATA``, default ``data/``)."""
    return _place("LAF_DATA", ROOT / "data")


def runs_folder() -> Path:
    """What runs produce: records, executed notebooks, weights (``LAF_RUNS``, default ``runs/``, outside git)."""
    return _place("LAF_RUNS", ROOT / "runs")


def training_folder() -> Path:
    """The committed records of training (``LAF_TRAINING``, default ``Training/``)."""
    return _place("LAF_TRAINING", ROOT / "Training")


def results_folder() -> Path:
    """The committed records of comparisons and tuning (``LAF_RESULTS``, default ``results/``)."""
    return _place("LAF_RESULTS", ROOT / "results")


def notebooks_folder() -> Path:
    """The notebooks (``LAF_NOTEBOOKS``, default ``notebooks/``)."""
    return _place("LAF_NOTEBOOKS", ROOT / "notebooks")
