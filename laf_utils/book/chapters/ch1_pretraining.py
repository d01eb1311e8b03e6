"""Chapter 1: the three forget requests, and what original and retrained make of them."""

from dataclasses import replace
from itertools import product
from typing import cast

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from ...evaluation import Evaluation
from ...experiments.cells import ORIGINAL, RETRAIN
from ...run import Run
from ...settings.names import DATASET_NAMES, MODEL_NAMES, TASK_NAMES
from ...tasks import TASKS, ForgetTask
from ..base import reading
from ..base.tables import MISSING
from ..base.words import mean_text
from .aligned import aligned
from .laf_views import touched_classes
from .shared import draw, variant


def requests(run: Run) -> dict[str, ForgetTask]:
    """The three forget requests on the training images of this run."""
    others = {name: variant(run, replace(run.config, task=name), TASK_NAMES[name]) for name in TASKS if name != run.config.task}
    return {name: others.get(name, run).task for name in TASKS}


def set_sizes(tasks: dict[str, ForgetTask]) -> pd.DataFrame:
    """Images of D, D_f and D_r by request, and the labels in D_f that are wrong."""
    return pd.DataFrame.from_dict({
        TASK_NAMES[name]: {
            "D": len(task.train_labels), "D_f": len(task.forget), "D_r": len(task.retain),
            "wrong labels": int((task.train_labels != task.true_labels).sum()),
        } for name, task in tasks.items()
    }, orient="index")


def request_images(run: Run, tasks: dict[str, ForgetTask], per_set: int) -> dict[str, dict[str, tuple[np.ndarray, list[str]]]]:
    """Some images of D_f and D_r of each request: task to set to (uint8 [n, C, H, W], n captions)."""
    def caption(given: str, true: str) -> str:
        line = given if given == true else f"{given} (is {true})"
        return line if given == true or len(line) < 12 else line.replace(" (is", "\n(is")

    shown: dict[str, dict[str, tuple[np.ndarray, list[str]]]] = {name: {} for name in tasks}
    for (name, task), part in product(tasks.items(), ("D_f", "D_r")):
        chosen = draw(task.forget if part == "D_f" else task.retain, per_set, run.config.seed, "shown", name, part)
        given, true = ([run.data.class_names[label] for label in own[chosen]] for own in (task.train_labels, task.true_labels))
        shown[name][part] = run.train_set.images[chosen].numpy(), list(map(caption, given, true))
    return shown


def class_counts(tasks: dict[str, ForgetTask], classes: int) -> dict[str, tuple[np.ndarray, ...]]:
    """Images of D_f and of D_r by true class: task to two int [classes]."""
    sets = {name: (task.true_labels[task.forget], task.true_labels[task.retain]) for name, task in tasks.items()}
    return {name: tuple(torch.bincount(own, minlength=classes).numpy() for own in pair) for name, pair in sets.items()}


def _percent(hit: torch.Tensor) -> str:
    return f"{100 * hit.float().mean().item():.1f}" if len(hit) else MISSING


def accuracy_on_alike(run: Run, evaluation: Evaluation) -> pd.DataFrame:
    """Accuracy in percent on D_f and on other images of the same classes, one row per model."""
    task, rows = run.task, {}
    touched = torch.tensor(touched_classes(run))
    siblings = task.retain[torch.isin(task.true_labels[task.retain], touched)]
    same_test = torch.isin(run.data.test.labels, touched)
    for name, output in evaluation.outputs.items():
        said, on_test = output.train.predictions.cpu(), output.test.predictions.cpu() == run.data.test.labels
        row = {"D_f": _percent((said == task.train_labels)[task.forget])}
        if task.name == "noisy":
            row = {"D_f, wrong labels": row["D_f"], "D_f, true labels": _percent((said == task.true_labels)[task.forget])}
        row |= {
            "D_r, same classes": _percent((said == task.train_labels)[siblings]),
            "test, same classes": _percent(on_test[same_test]), "test, other classes": _percent(on_test[~same_test]),
        }
        rows[MODEL_NAMES[name]] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def goal_finding(run: Run, evaluation: Evaluation) -> str:
    """How far Train_f falls from the original to the retrained model, and whether there was anything to forget."""
    before, after = (evaluation.metrics[name] for name in ("original", "retrained"))
    f, left = (cast(float, own["train_f"]) for own in (before, after))
    said = f"**The goal of this run:** Train_f falls from {f:.1f} % (original) to {left:.1f} % (retrained)."
    if run.task.name != "noisy":
        return f"{said} Test of the retrained model: {after['test']:.1f} %."
    guess = 100 / (run.data.num_classes - 1)
    said += f" By their true class it calls {after['train_f_true']:.1f} %, the original {before['train_f_true']:.1f} %."
    return said if f > 1.5 * guess else (
        f"{said} A guess would hit {guess:.1f} % of the wrong labels: this original has hardly learned them, so there is little "
        "here that could be forgotten. Train it for longer (`EPOCHS`, or profile `paper`) to see them learned."
    )


def goals_in_records(dataset: str) -> pd.DataFrame:
    """Train_f and Test of original and retrained in the committed records of a data set, by request; means over seeds."""
    found, rows = reading.everything(), {}
    for task in TASKS:
        own = reading.groups(found, dataset, task, reading.profile_of(found, dataset, task) or "")
        models = {"original": reading.pick(own, ORIGINAL), "retrained": reading.pick(own, RETRAIN)}
        if all(models.values()):
            test = "test_r" if task == "class" else "test"
            rows[TASK_NAMES[task]] = {
                f"{MODEL_NAMES[model]}, {label}": mean_text([reading.over(group, reading.metric(key)).mean])
                for key, label in (("train_f", "Train_f"), (test, "Test (kept classes)")) for model, group in models.items()
            } | {"seeds": len(models["retrained"].good)}
    return pd.DataFrame.from_dict(rows, orient="index")


def recorded_goals(dataset: str) -> list[Markdown | Styler]:
    """The table of the committed records under what it rests on, or a sentence that says there are none."""
    table, name = goals_in_records(dataset), DATASET_NAMES.get(dataset, dataset)
    if table.empty:
        return [Markdown(f"There are no committed records of {name} at the paper's settings.")]
    return [aligned(table, f"The same at the paper's settings: {name}, from the records of the comparison, in percent.")]
