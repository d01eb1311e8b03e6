"""The comparison in a notebook: some methods on its own run, as records that are not written anywhere."""

from collections.abc import Sequence

from ...experiments.cells import Cell
from ...experiments.making import make, settings_of
from ...experiments.problem import Problem
from ...run import Run

# References, LAF, and one of each kind that takes seconds; the others stand in the committed records.
FEW = ("original", "retrain", "jit", "boundary_expand", "laf", "lfssd", "ts", "laf_r", "neggrad", "boundary_shrink")


def compare(run: Run, methods: Sequence[str] = FEW) -> list[dict]:
    """A record for each method at its published settings, in this order, on the run's request.

    Raises:
        ConfigError: a method that does not exist.
    """
    config, problem, found = run.config, Problem(run), []
    for name in methods:
        cell = Cell(run.data.name, config.task, name, config.seed, config.profile)
        found.append(make(cell, problem, settings_of(cell, problem, None)))
    return found
