"""The request of one data set, task and seed, and how any model of it is measured.

Original, retrained model, LAF and LAF+R come from ``run.Run`` and its artefacts, so that a grid trains each of them once.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from ..audit import ModelOutputs, accuracies, gaps_to_retrained, published_attack
from ..images import Images
from ..methods import UnlearningRequest, request_of
from ..models import Network
from ..representations import Outputs, outputs
from ..run import Run
from ..settings.presets import preset
from ..support.seeds import stream

HELD_OUT_SHARE = 0.2  # of the test images, for methods that declare a held-out set


@dataclass(frozen=True)
class Measured:
    """What one model scores."""

    metrics: dict[str, float | None]  # accuracies and ``asr`` in percent
    attack: dict[str, float | int | bool]  # the published attack in full


class Problem:
    """One request to forget, for all methods: that of a run, e.g. a notebook's."""

    def __init__(self, run: Run) -> None:
        self.config, self.run = run.config, run

    @classmethod
    def asked(
        cls, dataset: str, task: str, seed: int = 0, profile: str = "paper", *, say: Callable[[str], None] = print, **changes: Any
    ) -> "Problem":
        """The problem of a run in mode ``reference``; names, changes and errors are those of ``presets.preset``.

        Args:
            say: receives a line for each stage that is computed or taken from disk.
        """
        return cls(Run(preset(dataset, task, profile=profile, seed=seed, **changes), say=say))

    @cached_property
    def held_out_rows(self) -> torch.Tensor:
        """int64, sorted: test images that a method may read as its held-out set. All training images trained the original, so
        there are no others; that method's test accuracies are measured on the rest, and so are the retrained model's beside it.
        """
        count = len(self.run.data.test.labels)
        drawn = torch.randperm(count, generator=stream(self.config.seed, "comparison", "held out"))
        return drawn[: round(HELD_OUT_SHARE * count)].sort().values

    @cached_property
    def held_out(self) -> tuple[Images, torch.Tensor]:
        """The held-out images and their labels."""
        return self.run.test_images.subset(self.held_out_rows), self.run.data.test.labels[self.held_out_rows]

    @cached_property
    def request(self) -> UnlearningRequest:
        """What every method receives; labels of D_r that may be known are as many as LAF+R reads in the pipeline."""
        run, (images, labels) = self.run, self.held_out
        return request_of(
            run.original, run.train_images, run.task, seed=self.config.seed, held_out=images, held_out_labels=labels,
            fresh=lambda seed, stage: run.architecture.build(seed, stage, run.device),
            label_share=self.config.repair.labelled_share,
        )

    def outputs(self, model: Network) -> ModelOutputs:
        """Logits over the training and the test images, as ``evaluation.evaluate`` takes them."""
        run, none = self.run, torch.empty(0, dtype=torch.int64)
        draw = stream(self.config.seed, "evaluation")
        return ModelOutputs(
            outputs(model, run.frozen_images, "training images", draw, keep=none),
            outputs(model, run.test_images, "test images", keep=none),
        )

    def measure(self, given: ModelOutputs, *, without_held_out: bool = False) -> Measured:
        """Accuracies and the published attack; ``without_held_out``: test accuracies on the images outside the held-out set.

        The attack always takes the published rows: what it is trained and asked on would be others otherwise.
        """
        task, labels, train = self.run.task, self.run.data.test.labels, given.train.probabilities
        attack = published_attack(
            train[task.retain.to(train.device)], train[task.forget.to(train.device)], given.test.probabilities,
            seed=self.config.seed,
        )
        if without_held_out:
            rest = torch.ones(len(labels), dtype=torch.bool)
            rest[self.held_out_rows] = False
            logits = given.test.logits[rest.to(given.test.logits.device)]
            given, labels = replace(given, test=Outputs(given.test.representations, logits)), labels[rest]
        return Measured(accuracies(given, task, labels) | {"asr": attack.asr}, attack.as_dict())

    @cached_property
    def _retrained_outputs(self) -> ModelOutputs:
        return self.outputs(self.run.retrained)

    @cached_property
    def goals(self) -> dict[bool, Measured]:
        """The retrained model, measured on all test images (``False``) and without the held-out ones (``True``)."""
        return {without: self.measure(self._retrained_outputs, without_held_out=without) for without in (False, True)}

    def gap(self, measured: Measured, *, without_held_out: bool = False) -> dict[str, float]:
        """|difference| to the retrained model in points, their mean and ToW, as ``audit.gaps_to_retrained`` gives them."""
        goal = self.goals[without_held_out].metrics
        return gaps_to_retrained({"retrained": goal, "own": measured.metrics})["own"]
