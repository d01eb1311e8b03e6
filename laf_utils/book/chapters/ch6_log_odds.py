"""The log-odds of D_f at the paper's size: what ``benchmarks/log_odds`` has measured, as a sentence and a table."""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ...experiments.cells import AGAIN, ORIGINAL
from ...support.paths import results_folder
from ..base.tables import markdown
from ..base.words import mean_text
from ..base.words import title_of as heading
from .ch6_many_models import title_of
from .ch6_tables import PLACES, WITHIN

OURS = ("relearn", "relearn-as_sure")
LEAST_SEEDS = 3  # training seeds of a claim

Lines = Mapping[tuple[str, str], list[dict]]  # by data set and request, one for each training seed


def place(folder: Path | None = None) -> Path:
    """Where the lines are."""
    return (folder or results_folder() / "log_odds") / "paper.jsonl"


def lines(folder: Path | None = None) -> Lines:
    """The committed lines by request, in the book's order; empty without a file."""
    path = place(folder)
    found = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    by_place = {place: [line for line in found if (line["dataset"], line["task"]) == place] for place in PLACES}
    return {place: own for place, own in by_place.items() if own}


def _distance(own: list[dict], model: str) -> float:
    """Mean over seeds of how far the AUC lies from 50, in points."""
    return sum(abs(line["auc"][model] - 50) for line in own) / len(own)


def near(own: list[dict], model: str) -> bool:
    """Whether a request's log-odds lie within ``WITHIN`` points of where a second retrained model's lie."""
    return _distance(own, model) <= _distance(own, AGAIN) + WITHIN


def finding(found: Lines) -> str:
    """A sentence on the requests with ``LEAST_SEEDS`` seeds, and the table of all; empty without a line."""
    if not found:
        return ""
    claimed = [own for own in found.values() if len(own) >= LEAST_SEEDS]
    counts = [f"{title_of(model)} in {sum(near(own, model) for own in claimed)} of {len(claimed)}" for model in OURS]
    first = (
        f"**At the paper's size** the log-odds of the forgotten images lie within {WITHIN:g} points of where a second retrained "
        f"model's lie: {'; '.join(counts)} requests." if claimed else ""
    )
    last = (
        "AUC of the log-odds of $D_f$'s labels against the retrained model's, in percent; 50 is blind. "
        f"± is one standard deviation over training seeds; a row of fewer than {LEAST_SEEDS} is marked and makes no claim."
    )
    return "\n\n".join(filter(None, [first, markdown(table(found), "request"), last]))


def table(found: Lines) -> pd.DataFrame:
    """The AUC by request and model, percent."""
    columns = {ORIGINAL: "doing nothing", AGAIN: "a second retrained model"} | {model: title_of(model) for model in OURS}
    rows = {
        heading(*place) + ("" if len(own) >= LEAST_SEEDS else f" ({len(own)} seed{'s' * (len(own) > 1)})"):
        {title: mean_text([line["auc"][model] for line in own], 1) for model, title in columns.items()}
        for place, own in found.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")
