"""Equal tuning: for every method the same number of trials, judged on images of D_r and D_f that were set aside, no test image.

A fifth of a task's images is drawn, D_r and D_f in their proportion, and split: four fifths train an original and two retrained
models of their own, one fifth stands in for the test set. Every batch, those of training included, shrinks with the images, so
that everything takes as many steps as at full size. A trial unlearns from that original; what it scores is the mean gap to the
first retrained model, as in ``audit.gaps_to_retrained``. Trial 0 is the published settings, the others are drawn by Optuna's
tree-structured Parzen estimator, and its percentile rule ends those that stay behind. The published settings stay unless the best
trial is nearer by more than the second retrained model's own gap: less than that is noise. The winner's changes go to the full
size as they are. Original and goal of a method's trials stand beside them: trained again on another processor they differ by
rounding, and trials that are there stay.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..audit import accuracies, gaps_to_retrained
from ..datasets import ImageSet
from ..methods import UnlearningRequest, prepare, run_method
from ..run import Run
from ..settings.changes import changed, scaled
from ..support import records
from ..support.extras import naming_extras
from ..support.keys import content_key
from ..support.seeds import derive, stream
from ..tasks import ForgetTask
from ..training import TrainingDiverged
from .cells import Cell
from .making import settings_of
from .problem import Problem
from .second_retrained import retrained_again
from .tuning_looks import LOOK_AFTER, Fits, fitted_once, fused, percent, watched
from .tuning_spaces import SPACES, Dimension

IMAGES, VALIDATION = 12_000, 0.2  # drawn of the task's training images, and the share of them that is set aside
TRIALS = 20  # per method, the published settings among them
SCHEMA = 3
WORST = 100.0  # points: what a trial that diverges scores
BY_BATCH = ("lfssd", "ssd", "unroll")  # batches enter their definitions, not a number of steps
# A trial ends where, after so many whole trials, it is not among the best so many percent at a look, after every so many passed
# images and at so many of the images.
WHOLE, PERCENT, LOOKED_AT = 5, 25.0, 600


def carve(run: Run, images: int, validation: float) -> Run:
    """A run on ``images`` of a run's training images, whose test set are those of them that were set aside.

    D_f and D_r are drawn and split each in its own proportion; wrong labels of the noisy task stay as they are.
    """
    draw, parts = stream(run.config.seed, "tuning", "carve"), {}
    for name, rows in (("forget", run.task.forget), ("retain", run.task.retain)):
        count = round(images * len(rows) / len(run.task.train_labels))
        parts[name] = rows[torch.randperm(len(rows), generator=draw)[:count]]
    kept = {name: rows[round(validation * len(rows)) :] for name, rows in parts.items()}
    aside = torch.cat([rows[: round(validation * len(rows))] for rows in parts.values()])
    train = torch.cat(list(kept.values())).sort().values
    full = run.train_set
    data = replace(
        run.data, train=ImageSet(full.images[train], full.labels[train]), test=ImageSet(full.images[aside], full.labels[aside]),
        checksum=content_key({"of": run.data.checksum, "train": train.tolist(), "aside": aside.tolist()}),
    )
    places = torch.arange(len(train))
    forgotten = torch.isin(train, kept["forget"])
    task = ForgetTask(
        run.task.name, places[forgotten], places[~forgotten], run.task.train_labels[train], run.task.true_labels[train],
        run.task.forget_classes,
    )
    return Run(replace(run.config, images=None), data=data, task=task, folder=run.folder, say=run.say)


class Search:
    """The trials of all methods on one data set and task, on images of a run; ``say`` receives a line for each method."""

    def __init__(self, full: Run, *, images: int = IMAGES, trials: int = TRIALS, say: Callable[[str], None] = print) -> None:
        self.full, self.trials, self.say = full, trials, say
        run = carve(full, images, VALIDATION)
        self.factor = len(run.task.train_labels) / len(full.task.train_labels)
        batch = max(1, round(full.config.training.batch_size * self.factor))
        run.config = replace(run.config, training=replace(run.config.training, batch_size=batch))
        self.problem = Problem(run)
        self._fits: Fits = {}

    @cached_property
    def goal(self) -> dict[str, float | None]:
        """Accuracies of the retrained model of the reduced run."""
        return self._accuracies(self.problem.run.retrained)

    @cached_property
    def floor(self) -> float:
        """Gap of a second retrained model, in points: what is nearer by less is not nearer."""
        model, _, _ = retrained_again(self.problem, self.problem.config.training)
        return self._gap(self._accuracies(model))

    def _gap(self, metrics: dict[str, float | None]) -> float:
        return gaps_to_retrained({"retrained": self.goal, "own": metrics})["own"]["mean"]

    def _accuracies(self, model: Any) -> dict[str, float | None]:
        run = self.problem.run
        return accuracies(self.problem.outputs(model), run.task, run.data.test.labels)

    @cached_property
    def request(self) -> UnlearningRequest:
        """The reduced request; a method that needs a held-out set gets the images set aside, as none others are untouched."""
        run = self.problem.run
        return replace(self.problem.request, held_out=run.test_images, held_out_labels=run.data.test.labels)

    def reduced(self, method: str, settings: Any) -> Any:
        """Settings of the full size for the reduced set: as many steps, each as large."""
        if method in BY_BATCH:
            return settings
        small = scaled(settings, self.factor)
        if getattr(settings, "reduction", "") == "sum":  # a step grows with its batch
            small = replace(small, learning_rate=settings.learning_rate / self.factor)
        return small

    def trial(self, method: str, request: UnlearningRequest, settings: Any, changes: Mapping[str, object]) -> dict:
        """One trial: what was changed, what it scored, how long it took; raises what a look at the model raises."""
        start = time.process_time()
        try:
            with fused(), fitted_once(self._fits):
                model = run_method(method, request, self.reduced(method, changed(settings, changes))).model
            metrics = self._accuracies(model)
            gap = self._gap(metrics)
        except TrainingDiverged:
            metrics, gap = None, WORST
        seconds = round(time.process_time() - start, 2)
        return {"changes": dict(changes), "gap": gap, "metrics": metrics, "processor_seconds": seconds}

    @cached_property
    def _looked_at(self) -> list[tuple[torch.Tensor, torch.Tensor, float]]:
        """Inputs, labels and the goal in percent of D_f, D_r and the images set aside: some of each."""
        run, draw = self.problem.run, stream(self.full.config.seed, "tuning", "look")
        task, aside = run.task, torch.arange(len(run.data.test.labels))
        sets = ((run.frozen_images, task.forget, task.train_labels), (run.frozen_images, task.retain, task.train_labels),
                (run.test_images, aside, run.data.test.labels))
        found = []
        for images, rows, labels in sets:
            chosen = rows[torch.randperm(len(rows), generator=draw)[: LOOKED_AT // 3]]
            inputs, own = images.batch(chosen), labels[chosen].to(images.device)
            found.append((inputs, own, percent(run.retrained, inputs, own)))
        return found

    def look(self, model: nn.Module) -> float:
        """The mean gap of a model on the way, on some images, in points."""
        return sum(abs(percent(model, inputs, labels) - goal) for inputs, labels, goal in self._looked_at) / 3

    def of_method(self, method: str) -> dict:
        """All trials of one method, and the winner."""
        cell = Cell(self.full.config.dataset, self.full.config.task, method, self.full.config.seed, choice="tuned")
        settings = settings_of(cell, Problem(self.full), None)
        request = prepare(method, self.request, self.reduced(method, settings))
        study = _study(derive(self.full.config.seed, "tuning", cell.task, method) % 2**32)
        found = [self.trial(method, request, settings, {})]
        found += [self._asked(study, method, request, settings) for _ in range(self.trials - 1)]
        gaps = [WORST + 1 if one["gap"] is None else one["gap"] for one in found]
        best = min(range(len(found)), key=gaps.__getitem__)
        chosen = best if gaps[0] - gaps[best] > self.floor else 0
        winner = {"trial": chosen, "gap": gaps[chosen], "changes": found[chosen]["changes"], "best_trial": best}
        space = {dimension.name: dimension.words() for dimension in SPACES[method]}
        return {"space": space, "trials": found, "winner": winner, "against": self.against()}

    def _asked(self, study: Any, method: str, request: UnlearningRequest, settings: Any) -> dict:
        """A trial whose settings the study draws, and which it may end."""
        asked, pruned = study.ask(), _optuna().TrialPruned
        changes = {d.name: _draw(asked, d) for d in SPACES[method]}

        def look(model: nn.Module, number: int) -> None:
            asked.report(self.look(model), number)
            if asked.should_prune():
                raise pruned

        start = time.process_time()
        try:
            with watched(request, look) as seen:
                one = self.trial(method, seen, settings, changes)
        except pruned:
            study.tell(asked, state=_optuna().trial.TrialState.PRUNED)
            seconds = round(time.process_time() - start, 2)
            return {"changes": changes, "gap": None, "metrics": None, "processor_seconds": seconds}
        study.tell(asked, one["gap"])
        return one

    def against(self) -> dict:
        """What the trials are held against, and what made them."""
        return {
            "goal": self.goal, "floor": self.floor, "original": self._accuracies(self.problem.run.original),
            "versions": records.versions() | {"optuna": _optuna().__version__}, "commit": records.commit(),
        }

    def about(self) -> dict:
        """What the trials of every method rest on."""
        run = self.problem.run
        return {
            "dataset": run.config.dataset, "task": run.config.task, "seed": run.config.seed, "trials_per_method": self.trials,
            "objective": "mean of |accuracy - retrained's| on D_r, D_f and the images set aside, points",
            "images": {
                "train": len(run.task.train_labels), "forget": len(run.task.forget), "retain": len(run.task.retain),
                "set_aside": len(run.data.test.labels), "of": len(self.full.task.train_labels),
            },
            "training": run.config.as_dict()["training"],
            "batches": f"times {self.factor:g}, so that the number of steps stays; not {', '.join(BY_BATCH)}",
            "stopping": f"not among the best {PERCENT:g} % at a look, every {LOOK_AFTER} images, after {WHOLE} whole trials",
        }


def _optuna() -> Any:
    """Optuna, which only the search needs; raises ``ImportError`` that names the extra where it is not installed."""
    with naming_extras():
        import optuna
    return optuna


def _study(seed: int) -> Any:
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=WHOLE)
    return optuna.create_study(sampler=sampler, pruner=optuna.pruners.PercentilePruner(PERCENT, WHOLE))


def _draw(trial: Any, dimension: Dimension) -> object:
    """A value of one setting, from an Optuna trial."""
    if dimension.scale == "choice":
        return trial.suggest_categorical(dimension.name, list(dimension.choices))
    if dimension.scale == "whole":
        return trial.suggest_int(dimension.name, int(dimension.low), int(dimension.high))
    return trial.suggest_float(dimension.name, dimension.low, dimension.high, log=dimension.scale == "log")


def search(one: Search, path: Path, methods: Collection[str] = ()) -> dict:
    """The trials of every method (of some: ``methods``), kept in ``path`` after each; those there with the same space stay.

    What another process keeps meanwhile stays too: the file is read again before each method is added.
    """
    about: dict[str, Any] = one.about()
    for method, space in SPACES.items():
        wanted = {dimension.name: dimension.words() for dimension in space}
        if methods and method not in methods or _kept(path, about).get(method, {}).get("space") == wanted:
            continue
        found = one.of_method(method)
        records.write_json(path, {"schema": SCHEMA, "about": about, "methods": _kept(path, about) | {method: found}})
        own, gaps = found["winner"], [trial["gap"] for trial in found["trials"]]
        best = f"best {gaps[own['best_trial']]:.2f}, winner trial {own['trial']}"
        one.say(f"{about['task']} {method}: published {gaps[0]:.2f}, {best}")  # once it is kept: who reads it may stop the search
    return {"about": about, "methods": _kept(path, about)}


def _kept(path: Path, about: dict) -> dict[str, dict]:
    """The methods whose trials rest on the same, in a file or none."""
    if not path.is_file():
        return {}
    before = records.read_parts(path, ("schema", "about", "methods"), SCHEMA)
    return before["methods"] if before["about"] == about else {}
