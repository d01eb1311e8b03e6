"""A control: the closed form that takes one direction out of the classifier.

The kept images' mean representation and the forgotten ones' lie on a line. The classifier's first layer is made blind along it:
every representation counts as if it lay beside the kept mean. Needs no label and no training. What a method costs above this has
to show in what it forgets.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from ..representations import apply_frozen
from .method import Sizes
from .passes import Passes
from .settings import Settings
from .view import View


@dataclass(frozen=True)
class NullSpaceSettings(Settings):
    """This project's."""

    strength: float = 1.0  # share of the direction that is taken out; 0 changes nothing


@torch.no_grad()
def null_space(view: View, settings: NullSpaceSettings) -> nn.Module:
    """W (I - d d^T) and b + W d d^T m, d the direction between the means and m the kept mean: the kept mean's logits stay."""
    student = cast(Any, view.student())
    forget, kept = (apply_frozen(student.extractor, part.images.for_evaluation()).mean(0) for part in (view.forget, view.retain))
    view.spent.frozen += len(view.forget) + len(view.retain)
    direction = nn.functional.normalize(forget - kept, dim=0)
    layer = cast(Any, next(module for module in student.classifier.modules() if isinstance(module, nn.Linear)))
    along = settings.strength * (layer.weight @ direction)
    layer.weight -= torch.outer(along, direction)
    if layer.bias is not None:
        layer.bias += along * (direction @ kept)
    return student


def null_space_passes(settings: NullSpaceSettings, sizes: Sizes) -> Passes:
    """Both sets once, forward."""
    return Passes(0, sizes.forget + sizes.retain)
