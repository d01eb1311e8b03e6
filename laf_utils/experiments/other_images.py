"""A request without D_r: unlabelled images of another set stand in for it, as where the training images are gone."""

from dataclasses import replace

import torch

from ..datasets import Dataset, load
from ..images import Images
from ..methods import UnlearningRequest
from ..support.seeds import stream
from .problem import Problem
from .variants import OTHER


def other_set(dataset: str) -> Dataset:
    """The set whose images stand in for those of ``dataset``.

    Raises:
        KeyError: there is none.
        laf_utils.datasets.errors.DataError: images that cannot be had or are corrupt.
    """
    return load(OTHER[dataset])


def request_on(problem: Problem, other: Dataset) -> UnlearningRequest:
    """The problem's request with training images of another set for D_r: as many, as far as there are, at random, without labels.
    """
    asked, pixels = problem.request, other.train.images
    drawn = torch.randperm(len(pixels), generator=stream(problem.config.seed, "comparison", "other images"))
    rows = drawn[: len(asked.retain)].sort().values
    transform = problem.run.train_images.transform  # network inputs are made of them as of D_r
    return replace(asked, retain=Images(pixels[rows].to(asked.retain.device), transform), retain_labels=None)
