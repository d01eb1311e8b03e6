"""A request without D_r: unlabelled images of another set stand in for it, as where the training images are gone."""

from dataclasses import replace

import torch

from ..datasets import Dataset, load
from ..images import Images
from ..methods import UnlearningRequest
from ..settings.config import ConfigError
from ..support.seeds import stream
from .problem import Problem

OTHER = {"mnist": "fashion", "fashion": "mnist", "cifar10": "svhn", "svhn": "cifar10"}  # of the same shape


def other_name(dataset: str) -> str:
    """The set whose images stand in.

    Raises:
        ConfigError: there is none.
    """
    if dataset not in OTHER:
        raise ConfigError(f"no other set stands in for the images of {dataset}; it does for those of {', '.join(OTHER)}")
    return OTHER[dataset]


def other_set(dataset: str) -> Dataset:
    """The set itself.

    Raises:
        ConfigError: there is none.
        laf_utils.datasets.errors.DataError: images that cannot be had or are corrupt.
    """
    return load(other_name(dataset))


def request_on(problem: Problem, other: Dataset) -> UnlearningRequest:
    """The problem's request with training images of another set for D_r: as many, drawn at random, without labels."""
    asked, pixels = problem.request, other.train.images
    drawn = torch.randperm(len(pixels), generator=stream(problem.config.seed, "comparison", "other images"))
    rows = drawn[: len(asked.retain)].sort().values
    transform = problem.run.train_images.transform  # network inputs are made of them as of D_r
    return replace(asked, retain=Images(pixels[rows].to(asked.retain.device), transform), retain_labels=None)
