"""Chapter 5, live: some methods on a notebook's own run, as records that are not written anywhere, and a method of one's own."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ...experiments.cells import Cell
from ...experiments.making import make, settings_of
from ...experiments.problem import Problem
from ...methods import DataAccess, LabelAccess, Method, Settings, View
from ...representations import apply_frozen
from ...run import Run

# References, LAF, and one of each kind that takes seconds; the others stand in the committed records.
FEW = ("original", "retrain", "jit", "boundary_expand", "laf", "lfssd", "ts", "laf_r", "neggrad", "boundary_shrink")


def compare(run: Run, methods: Sequence[str] = FEW) -> list[dict]:
    """A record for each method at its published settings, in this order, on the run's request."""
    config, problem = run.config, Problem(run)
    cells = [Cell(run.data.name, config.task, name, config.seed, config.profile) for name in methods]
    return [make(cell, problem, settings_of(cell, problem, None)) for cell in cells]


def project_out(view: View, settings: Settings) -> nn.Module:
    """The classifier no longer sees the direction from the kept images' mean representation to the forgotten ones'."""
    student: Any = view.student()  # a network that has an extractor and a classifier
    means = [apply_frozen(student.extractor, part.images).mean(0) for part in (view.forget, view.retain)]
    direction = nn.functional.normalize(means[0] - means[1], dim=0)
    weight = next(layer for layer in student.classifier.modules() if isinstance(layer, nn.Linear)).weight
    with torch.no_grad():
        weight -= torch.outer(weight @ direction, direction)
    view.spent.frozen += len(view.forget) + len(view.retain)
    return student


OWN = Method("project_out", "this chapter", LabelAccess.NONE, DataAccess.BOTH, Settings(), project_out, "Project out")
