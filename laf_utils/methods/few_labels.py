"""Baselines told as little as LAF+R: the labels of a share of D_r, and none of D_f.

The field's methods want every label. Here D_r is the labelled share alone, and where a method asks for labels of D_f it gets what
the original says of each image. SCRUB's loss is the published one; NegGrad+ is the bounded one, this project's. Not in the
comparison's table; the semi-supervised experiment puts them beside LAF+R.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, cast

from torch import nn

from ..settings.config import TrainingConfig
from ..training import train
from .access import LabelAccess
from .method import Sizes
from .neggrad import NegGradPlusSettings, neggrad_plus
from .parts import SETS, Part
from .passes import Passes
from .scrub import ScrubSettings, scrub
from .view import View

T = TypeVar("T")


class LabelledShare:
    """A view whose D_r is the share of it with known labels; everything else is the view's own, pseudo-labels of D_f included."""

    label_access = LabelAccess.ALL  # of the part below: its labels were given

    def __init__(self, view: View) -> None:
        rows, labels = view.retain.few_labels()
        self._view = view
        self.retain = Part(SETS["retain"], view.retain.images.subset(rows), cast(View, self), labels)

    def __getattr__(self, name: str) -> object:
        return getattr(self._view, name)


def retrain_few(view: View, settings: TrainingConfig) -> nn.Module:
    """The original's recipe on the labelled share of D_r, from a fresh initialisation."""
    share = LabelledShare(view)
    model = view.fresh("retrained").train()
    view.history["retrained"] = train(
        model, share.retain.images, share.retain.labels, settings, seed=view.seed, stage="retrained"
    )
    view.spent.training += settings.epochs * len(share.retain)
    return model


def retrain_few_passes(settings: TrainingConfig, sizes: Sizes) -> Passes:
    """Every epoch passes the labelled share."""
    return Passes(settings.epochs * sizes.few)


def scrub_few(view: View, settings: ScrubSettings) -> nn.Module:
    """SCRUB on the labelled share of D_r; of D_f it reads no label anyway."""
    return scrub(cast(View, LabelledShare(view)), settings)


def neggrad_plus_few(view: View, settings: NegGradPlusSettings) -> nn.Module:
    """NegGrad+ between the labelled share of D_r and the pseudo-labels of D_f."""
    return neggrad_plus(cast(View, LabelledShare(view)), settings)


def on_share(count: Callable[[Any, Sizes], T]) -> Callable[[Any, Sizes], T]:
    """The passes, or the steps against D_f, of a method whose D_r is the labelled share."""
    return lambda settings, sizes: count(settings, replace(sizes, retain=sizes.few))
