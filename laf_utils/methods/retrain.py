"""Retrain: the original's recipe on D_r from a fresh initialisation. The goal of every other method, and its price."""

from torch import nn

from ..settings.config import TrainingConfig
from ..training import train
from .method import Sizes
from .passes import Passes
from .view import View


def retrain(view: View, settings: TrainingConfig) -> nn.Module:
    """A model that never saw D_f; with the run's architecture as ``fresh``, the pipeline's retrained model bit for bit.

    Another ``seed`` gives the second retrained model: the noise floor that belongs beside every gap to the first.
    """
    model = view.fresh("retrained").train()
    losses = train(model, view.retain.images, view.retain.labels, settings, seed=view.seed, stage="retrained")
    view.history["retrained"] = losses
    view.spent.training += settings.epochs * len(view.retain)
    return model


def retrain_passes(settings: TrainingConfig, sizes: Sizes) -> Passes:
    """Every epoch passes all of D_r."""
    return Passes(settings.epochs * sizes.retain)
