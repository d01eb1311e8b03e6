"""What cells will cost, from the passes that each method's definition implies: known before anything runs."""

from typing import cast

import pandas as pd

from ..methods import find
from ..methods.method import Implied, Sizes
from ..methods.passes import Passes
from .cells import AGAIN, ORIGINAL, Cell
from .making import settings_of
from .problem import HELD_OUT_SHARE, Problem


def expected(cell: Cell, problem: Problem) -> Passes:
    """Passes of a cell, its method's own original and the evaluation included; the settings are the published ones.

    What a run has as an artefact costs nothing but the evaluation.
    """
    run = problem.run
    everything, retain = len(run.task.train_labels), len(run.task.retain)
    epochs, test = run.config.training.epochs, everything + len(run.data.test.labels)
    if cell.from_pipeline:
        return Passes(0, test)
    if cell.method == AGAIN:
        return Passes(epochs * retain, test)
    if cell.method in ("sisa", ORIGINAL):  # before and after the deletion, each about as much as a training
        return Passes(epochs * (everything + retain), 2 * test)
    method, settings = find(cell.method), settings_of(cell, problem, None)
    few = max(1, round(run.config.repair.labelled_share * retain))  # asking the request would train its original
    sizes = Sizes(len(run.task.forget), retain, few, round(HELD_OUT_SHARE * len(run.data.test.labels)))
    implied = cast(Implied, method.implied)(settings, sizes)  # every method of the grid has one
    own = settings.epochs * everything if method.prepare else 0
    return Passes(implied.training + own, implied.frozen + (2 if method.prepare else 1) * test)


def table(plan: list[tuple[Cell, Passes]]) -> str:
    """One line per cell and the sum, in training passes; divide by a machine's images per second for seconds."""
    rows = pd.DataFrame([
        {"cell": cell.path.stem, "data": cell.dataset, "forward and backward": passes.training, "forward": passes.frozen,
         "equivalent": round(passes.equivalent)}
        for cell, passes in sorted(plan, key=lambda item: item[1].equivalent)
    ])
    rows.loc[len(rows)] = ["all", "", *rows.iloc[:, 2:].sum()]
    return rows.to_string(index=False)
