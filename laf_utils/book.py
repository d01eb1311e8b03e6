"""What the book's pages say of runs: headlines, departures and their measured effect, training curves beside the authors'.

Everything is computed from ``Training/``: the records of runs, and ``authors.json``, the numbers of others with their origin.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata

import pandas as pd
from matplotlib.figure import Figure

from . import records
from .config import RunConfig
from .figures import COLOURS, STYLE, drawn_in_style
from .paths import training_folder
from .presets import DATASET_PRESETS, preset
from .tables import MISSING
from .tasks import TASKS
from .wording import DATASET_NAMES, TASK_NAMES

PAPER_DATASETS = ("mnist", "fashion", "cifar10", "svhn")
BOOK_PACKAGES = ("jupyter-book", "Sphinx", "sphinx-book-theme", "myst-nb", "sphinx-mathjax-offline", "matplotlib", "pandas")
