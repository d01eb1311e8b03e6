"""Equal tuning: for every method the same number of trials, judged on images of D_r and D_f that were set aside, no test image.

A part of a task's images is drawn, D_r and D_f in their proportion, and split: four fifths train an original and a retrained
model of their own, one fifth stands in for the test set. A trial unlearns from that original; what it scores is the mean gap to
that retrained model, as in ``audit.gaps_to_retrained``. Trial 0 is the published settings, the others are drawn by Optuna's
tree-structured Parzen estimator. The winner goes to the full size with batches that grow with the sets: the same number of steps.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ..audit import accuracies, gaps_to_retrained
from ..datasets import ImageSet
from ..methods import UnlearningRequest, prepare, run_method
from ..run import Run
from ..settings.changes import batch_names, changed, scaled
from ..settings.presets import preset
from ..support import records
from ..support.extras import naming_extras
from ..support.keys import content_key
from ..support.seeds import derive, stream
from ..tasks import ForgetTask
from ..training import TrainingDiverged
from .cells import Cell
from .making import settings_of
from .problem import Problem
from .tuning_spaces import SPACES, Dimension

IMAGES, VALIDATION = 2_000, 0.2  # drawn of the task's training images, and the share of them that is set aside
TRIALS = 8  # per method, the published settings among them
WORST = 100.0  # points: what a trial that diverges scores
# A few thousand images need more steps per image than sixty thousand: the ``quick`` rate, and epochs until it fits.
TRAINING = {"training__epochs": 10, "training__learning_rate": 5e-4}
STEPLESS = ("lfssd", "unroll")  # batches enter their definitions, not a number of steps


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
    """The trials of all methods on one data set and task.

    Args:
        dataset, task, seed: of the request the images are drawn from, as in ``presets.preset``.
        images: drawn of its training images.
        trials: per method.
        changes: further settings of the reduced run.
    """

    def __init__(
        self, dataset: str, task: str, seed: int = 0, *, images: int = IMAGES, trials: int = TRIALS,
        say: Callable[[str], None] = print, **changes: Any,
    ) -> None:
        self.full = Run(preset(dataset, task, profile="paper", seed=seed, **TRAINING | changes), say=say)
        self.trials, self.seed, self.say = trials, seed, say
        self.problem = Problem(carve(self.full, images, VALIDATION))
        self.factor = len(self.full.task.train_labels) / len(self.problem.run.task.train_labels)

    @cached_property
    def goal(self) -> dict[str, float | None]:
        """Accuracies of the retrained model of the reduced run."""
        return self._accuracies(self.problem.run.retrained)

    def _accuracies(self, model: Any) -> dict[str, float | None]:
        run = self.problem.run
        return accuracies(self.problem.outputs(model), run.task, run.data.test.labels)

    @cached_property
    def request(self) -> UnlearningRequest:
        """The reduced request; a method that needs a held-out set gets the images set aside, as none others are untouched."""
        run = self.problem.run
        return replace(self.problem.request, held_out=run.test_images, held_out_labels=run.data.test.labels)

    def trial(self, method: str, request: UnlearningRequest, settings: Any, changes: Mapping[str, object]) -> dict:
        """One trial: what was changed, what it scored, how long it took."""
        start = time.process_time()
        try:
            metrics = self._accuracies(run_method(method, request, changed(settings, changes)).model)
            gap = gaps_to_retrained({"retrained": self.goal, "own": metrics})["own"]["mean"]
        except TrainingDiverged:
            metrics, gap = None, WORST
        seconds = round(time.process_time() - start, 2)
        return {"changes": dict(changes), "gap": gap, "metrics": metrics, "processor_seconds": seconds}

    def of_method(self, method: str) -> dict:
        """All trials of one method, and the winner."""
        cell = Cell(self.full.config.dataset, self.full.config.task, method, self.seed, choice="tuned")
        settings = settings_of(cell, self.problem, None)
        request = prepare(method, self.request, settings)
        found = [self.trial(method, request, settings, {})]
        study = _study(derive(self.seed, "tuning", cell.task, method) % 2**32)
        for _ in range(self.trials - 1):
            asked = study.ask()
            found.append(self.trial(method, request, settings, {d.name: _draw(asked, d) for d in SPACES[method]}))
            study.tell(asked, found[-1]["gap"])
        best = min(range(len(found)), key=lambda number: found[number]["gap"])
        winner = {
            "trial": best, "gap": found[best]["gap"], "changes": found[best]["changes"],
            "settings_at_full_size": self.at_full_size(method, settings, found[best]["changes"]),
        }
        space = {dimension.name: dimension.words() for dimension in SPACES[method]}
        self.say(f"{cell.task} {method}: published {found[0]['gap']:.2f}, trial {best} {found[best]['gap']:.2f}")
        return {"space": space, "trials": found, "winner": winner}

    def at_full_size(self, method: str, settings: Any, changes: Mapping[str, object]) -> dict[str, object]:
        """The winning changes, and batch sizes that keep the number of steps."""
        if method in STEPLESS:
            return dict(changes)
        grown, batches = scaled(settings, self.factor), {}
        for name in batch_names(settings):
            value = grown
            for part in name.split("."):
                value = getattr(value, part)
            batches[name] = value
        return dict(changes) | batches

    def about(self) -> dict:
        """What the trials rest on."""
        run = self.problem.run
        return {
            "dataset": run.config.dataset, "task": run.config.task, "seed": self.seed, "trials_per_method": self.trials,
            "objective": "mean of |accuracy - retrained's| on D_r, D_f and the images set aside, points",
            "images": {
                "train": len(run.task.train_labels), "forget": len(run.task.forget), "retain": len(run.task.retain),
                "set_aside": len(run.data.test.labels), "of": len(self.full.task.train_labels),
            },
            "training": run.config.as_dict()["training"], "goal": self.goal,
            "original": self._accuracies(run.original),
            "batches_at_full_size": f"times {self.factor:g}, so that the number of steps stays; not {', '.join(STEPLESS)}",
            "versions": records.versions() | {"optuna": _optuna().__version__}, "commit": records.commit(),
        }


def _optuna() -> Any:
    """Optuna, which only the search needs; raises ``ImportError`` that names the extra where it is not installed."""
    with naming_extras():
        import optuna
    return optuna


def _study(seed: int) -> Any:
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=5))


def _draw(trial: Any, dimension: Dimension) -> object:
    """A value of one setting, from an Optuna trial."""
    if dimension.scale == "choice":
        return trial.suggest_categorical(dimension.name, list(dimension.choices))
    if dimension.scale == "whole":
        return trial.suggest_int(dimension.name, int(dimension.low), int(dimension.high))
    return trial.suggest_float(dimension.name, dimension.low, dimension.high, log=dimension.scale == "log")


def search(one: Search, path: Path) -> dict:
    """The trials of every method, kept in ``path`` after each; methods whose trials are there with the same space stay."""
    known: dict[str, dict]
    about, known = one.about(), {}
    if path.is_file():
        before = records.read_parts(path, ("schema", "about", "methods"), 1)
        same = all(before["about"].get(name) == about[name] for name in about if name not in ("versions", "commit"))
        known = before["methods"] if same else {}
    for method, space in SPACES.items():
        if known.get(method, {}).get("space") != {dimension.name: dimension.words() for dimension in space}:
            known[method] = one.of_method(method)
            records.write_json(path, {"schema": 1, "about": about, "methods": known})
    return {"about": about, "methods": known}
