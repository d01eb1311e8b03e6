"""The settings that the equal tuning chose, as they are kept in ``results/tuning``."""

import json
from pathlib import Path

from ..support.paths import results_folder
from .cells import Cell


class WinnersError(ValueError):
    """There are no winners for a cell, or their file cannot be read."""


def winners_path(dataset: str, task: str) -> Path:
    """Where the trials and winners of one search lie."""
    return results_folder() / "tuning" / dataset / f"{task}.json"


def winners_of(cell: Cell) -> dict[str, object]:
    """Dotted settings that won for the cell's method; none where the published ones did.

    Raises:
        WinnersError: no search of this data set and task, or none of this method.
    """
    path = winners_path(cell.dataset, cell.task)
    search = f"python -m laf_utils.experiments KIND=tuning DATASET={cell.dataset} TASK={cell.task} makes them"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found["methods"][cell.method]["winner"]["changes"]
    except (OSError, ValueError, RecursionError) as error:
        raise WinnersError(f"{path}: no trials to choose tuned settings from ({error}); {search}") from error
    except (KeyError, TypeError) as error:
        raise WinnersError(f"{path}: no trials of {cell.method}; {search}") from error


def published_stay(cell: Cell) -> bool:
    """Whether a tuned cell is that of the published settings, since no trial was nearer by more than noise."""
    try:
        return cell.choice == "tuned" and not winners_of(cell)
    except WinnersError:
        return False


def searched_methods(dataset: str, task: str) -> dict[str, bool]:
    """The methods that a search has trials of, and whether it chose other settings than the published ones; none without one."""
    path = winners_path(dataset, task)
    methods = json.loads(path.read_text(encoding="utf-8"))["methods"] if path.is_file() else {}
    return {name: bool(own["winner"]["changes"]) for name, own in methods.items()}
