"""Chapter 5: a method of one's own, one function and one line in the table."""

from typing import Any

import torch
from torch import nn

from ...methods import DataAccess, LabelAccess, Method, Settings, View
from ...representations import apply_frozen


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
