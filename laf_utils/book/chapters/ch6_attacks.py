"""Chapter 6: each attack from the inside, on one run: what it reads, where it draws its line, what it finds; and layer by layer.

All of them read phi or a number made from it, so each picture shows that number for forgotten images beside images that no model
saw, or beside what a retrained model gives for the same images.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression

from ...audit import ModelOutputs, audit_representation, free_measures, log_odds
from ...audit.confidence import label_loss, label_probability
from ...audit.membership import CLIP, log_loss, relative_confidence
from ...audit.request import AGAIN, RETRAINED, audit_request
from ...audit.verdict import Verdict, verdict
from ...evaluation import Evaluation, outputs_of
from ...experiments import cells
from ...experiments.audit_seeds import NULL
from ...experiments.making import settings_of
from ...experiments.problem import Problem
from ...experiments.second_retrained import retrained_again
from ...models import Network
from ...run import Run
from ..base import style as figures
from ..base.reading import measure
from ..base.tables import number
from .ch6_tables import title_of

LIMIT, LEARN = 300, 600  # images of a kind, and images that a probe learns from: seconds instead of minutes
MEASURES = {
    "few_image_recovery": "images of the removed class that a probe finds, taught by a few images.",
    "membership": "AUC of a probe that tells forgotten from test images; 50 is blind.",
}
MODELS = ("original", AGAIN, "laf", "laf_r")


def second_retrained_model(run: Run) -> Network:
    """A model retrained from another seed; kept like any other stage."""
    problem, cell = Problem(run), cells.Cell(run.data.name, run.config.task, cells.AGAIN)
    return retrained_again(problem, settings_of(cell, problem, None))[0]


def layer_audit(run: Run) -> dict:
    """``audit.audit_representation`` with probes on a small sample of the run's images, of all its models."""
    models = {"original": run.original, RETRAINED: run.retrained, AGAIN: second_retrained_model(run)}
    models |= {"laf": run.laf, "laf_r": run.laf_r}
    request = audit_request(
        models, run.task, run.train_images, run.test_images, run.data.test.labels, run.config.training, seed=run.config.seed,
        limit=LIMIT, learn=LEARN,
    )
    return audit_representation(request, ["probes"])


def measure_of(found: dict) -> str:
    """The measure that the table shows: recovery from few images where a class was removed, else membership."""
    names = found["models"]["laf"]["probes"]
    return "few_image_recovery" if any(name.endswith(": few_image_recovery") for name in names) else "membership"


def layer_table(found: dict) -> pd.DataFrame:
    """The measure by layer, from the image to the answer, in percent, a column for each model."""
    rows = {}
    for layer, own in _by_layer(found, "laf").items():
        values = {model: _by_layer(found, model).get(layer, {}).get("value") for model in MODELS} | {RETRAINED: own["retrained"]}
        rows[layer] = {
            title_of(NULL if model == AGAIN else model): number(None if (value := values[model]) is None else 100 * value, ".1f")
            for model in ("original", RETRAINED, "laf", "laf_r", AGAIN)
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _by_layer(found: dict, model: str) -> dict[str, dict]:
    """By layer, what the probes with that measure found in a model."""
    ending = f": {measure_of(found)}"
    probes = found["models"][model]["probes"].items()
    return {name.removesuffix(ending): own for name, own in probes if name.endswith(ending) and own}


def layer_finding(found: dict) -> str:
    """In which layers LAF and LAF+R give more away than the retrained model, with its own test beside it."""
    said = []
    for model in ("laf", "laf_r"):
        own = _by_layer(found, model)
        above = [layer for layer, value in own.items() if value["differs"] and value["excess"] > 0]
        where = f"more than the retrained model in {len(above)} of {len(own)} layers ({', '.join(above)})" if above else (
            f"no more than the retrained model in any of {len(own)} layers"
        )
        said.append(f"{title_of(model)} gives away {where}")
    return ". ".join(said) + ". One run and a small sample: a trace that is found counts, one that is not may be too small."


COLOURS = figures.COLOURS | {NULL: "#009E73"}
LEAST_LOSS = 1e-6  # nats: what a logarithmic axis can still show


@dataclass(frozen=True)
class Signals:
    """What the attacks read of one model."""

    phi: torch.Tensor  # [n_f] log-odds of the label, on D_f
    forget_loss: torch.Tensor  # [n_f], [n_t] cross-entropy in nats, on D_f and on test images of the same classes
    test_loss: torch.Tensor  # likewise
    forget_p: torch.Tensor  # the label's probability, likewise
    test_p: torch.Tensor  # likewise
    # where the attacker by loss draws its line, in nats, and percent of as many images of both kinds that it gets right
    line: float
    right: float  # likewise
    verdict: Verdict | None = None  # on this model beside the two retrained ones


def second_retrained(run: Run, evaluation: Evaluation) -> ModelOutputs:
    """Outputs of a model retrained from another seed: what every measure is held against."""
    return outputs_of(run, {NULL: second_retrained_model(run)}, evaluation.sample)[NULL]


def signals(run: Run, evaluation: Evaluation, again: ModelOutputs) -> dict[str, Signals]:
    """What the attacks read, of every model of the run and of the second retrained one."""
    task, test_labels = run.task, run.data.test.labels.cpu()
    labels, alike = task.train_labels[task.forget], torch.isin(test_labels, task.true_labels[task.forget].unique())
    found = {}
    for name, output in {**evaluation.outputs, NULL: again}.items():
        forget, test = output.train.logits.cpu()[task.forget], output.test.logits.cpu()[alike]
        losses = label_loss(forget, labels), label_loss(test, test_labels[alike])
        found[name] = Signals(
            log_odds(forget, labels), *losses, label_probability(forget, labels),
            label_probability(test, test_labels[alike]), *_line(*losses),
        )
    goal, other = found["retrained"].phi, found[NULL].phi
    return {name: replace(own, verdict=verdict(own.phi, goal, other)) for name, own in found.items()}


def _line(forget: torch.Tensor, test: torch.Tensor) -> tuple[float, float]:
    """The attacker's line in nats, and percent that it gets right."""
    count = min(len(forget), len(test))
    losses, truth = log_loss(torch.cat([forget[:count], test[:count]])).numpy()[:, None], np.repeat([1, 0], count)
    attack = LogisticRegression().fit(losses, truth)
    line = -float(attack.intercept_[0]) / float(attack.coef_[0, 0]) if attack.coef_[0, 0] else np.nan
    return float(np.exp(np.clip(line, -99, 99))), 100 * attack.score(losses, truth)


def free_audit(run: Run, evaluation: Evaluation, again: ModelOutputs) -> pd.DataFrame:
    """Every free measure of this run, the second retrained model among them as the null of each."""
    models = {**evaluation.outputs, NULL: again}
    found = free_measures(models, run.task, run.data.test.labels, evaluation.sample, seed=run.config.seed)

    columns = {
        "U-MIA (%)": (measure("u_mia_log", "accuracy"), ".1f"), "RMIA AUC (%)": (measure("rmia", "auc"), ".1f"),
        "KS, D": (measure("ks_distance"), ".3f"), "JS on D_f (nats)": (measure("js_forget"), ".3f"),
        "CKA on D_f": (measure("debiased_cka_forget"), ".3f"), "distance on D_f": (measure("distance_forget"), ".2f"),
        "shift of φ (nats)": (measure("verdict", "shift"), ".2f"),
    }
    return pd.DataFrame({
        name: {title_of(model): number(value(own), form) for model, own in found.items()}
        for name, (value, form) in columns.items()
    })


def _loss_panel(axis: Axes, own: Signals) -> None:
    every = torch.cat([own.forget_loss, own.test_loss]).clamp(LEAST_LOSS, CLIP)
    bins = np.geomspace(every.min().item(), max(every.max().item(), 1.01 * every.min().item()), 40).tolist()
    groups = {"forgotten": (own.forget_loss, figures.FORGET), "test, same classes": (own.test_loss, figures.TEST)}
    for label, (loss, colour) in groups.items():
        figures.outlined(axis, loss.clamp(LEAST_LOSS, CLIP).numpy(), bins, colour, label)
    if LEAST_LOSS < own.line < CLIP:
        axis.axvline(own.line, color="#444444", linestyle="--", linewidth=1.2)
    axis.set(xscale="log", xlim=(bins[0], bins[-1]), ylabel="% of images")


@figures.styled
def u_mia_picture(found: Mapping[str, Signals], models: tuple[str, ...] = ("original", "retrained", "laf")) -> Figure:
    """Losses of forgotten and of test images with the line that tells them apart best, one panel per model."""
    shown = {f"{title_of(name)}: {found[name].right:.1f} % right": found[name] for name in models}
    below = "loss of the label (nats, log); dashed: the attacker's line"
    figure = figures.by_request(shown, _loss_panel, 1.9, 0.0, below, sharex=False)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2, fontsize=8.5)
    return figure


@figures.styled
def rmia_picture(found: Mapping[str, Signals], models: tuple[str, ...] = ("original", "laf")) -> Figure:
    """Share of test images that each ratio r = p_model / p exceeds, for forgotten and for other test images.

    The attacker's score of an image is the height of the population's curve at that image's r.
    """
    def panel(axis: Axes, own: Signals) -> None:
        goal = found["retrained"]
        ratios = {
            "forgotten": (relative_confidence(own.forget_p, goal.forget_p[None]), figures.FORGET),
            "test, same classes": (relative_confidence(own.test_p, goal.test_p[None]), figures.TEST),
        }
        for label, (ratio, colour) in ratios.items():
            axis.plot(ratio.sort().values.numpy(), np.linspace(0, 100, len(ratio)), color=colour, label=label, linewidth=1.6)
        axis.set(ylabel="% below", xscale="log")

    below = "r(x): confidence relative to models that never saw x (log)"
    figure = figures.by_request({title_of(name): found[name] for name in models}, panel, 2.2, 0.0, below, sharex=False)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2, fontsize=8.5)
    return figure


@figures.styled
def phi_picture(found: Mapping[str, Signals]) -> Figure:
    """Share of forgotten images below each phi, by model. KS reads the largest vertical distance to the retrained curve."""
    figure, axes = figures.plt.subplots(1, 1, figsize=(figures.NARROW, 3.4))
    for name in ("original", "retrained", NULL, "laf", "laf_r"):
        phi = found[name].phi.sort().values.numpy()
        style = "--" if name == NULL else "-"
        axes.plot(phi, np.linspace(0, 100, len(phi)), style, color=COLOURS[name], label=title_of(name), linewidth=1.6)
    axes.set(xlabel="φ: log-odds of the label on D_f (nats)", ylabel="% of images below")
    figure.legend(loc="outside upper left", ncols=3, fontsize=8.5)
    return figure


@figures.styled
def verdict_picture(found: Mapping[str, Signals], models: tuple[str, ...] = ("original", "laf", "laf_r")) -> Figure:
    """Each model's mean shift of phi with the verdict; grey: where the shift of one more retrained model lies with 95 %.

    With one further retrained model that range is wide, and only gross differences are outside it.
    """
    figure, axis = figures.plt.subplots(1, 1, figsize=(figures.NARROW, 0.9 + 0.5 * len(models)))
    for place, name in enumerate(models):
        own = cast(Verdict, found[name].verdict)
        axis.plot(own.shift, place, "o", color=COLOURS[name])
        axis.annotate(own.verdict, (own.shift, place), (0, 7), textcoords="offset points", ha="center", fontsize=8.5)
    axis.axvspan(cast(float, own.low), cast(float, own.high), color="#e0e0e0", zorder=0)
    axis.axvline(0, color="black", linewidth=1)
    axis.set_yticks(range(len(models)), [title_of(name) for name in models])
    axis.set(ylim=(len(models) - 0.5, -0.75), xlabel="mean shift of φ against the retrained model (nats)")
    axis.margins(x=0.25)
    return figure
