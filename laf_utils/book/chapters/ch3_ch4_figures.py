"""The figures of chapters 3 and 4: unlearning epoch by epoch, and the attack. In the style of ``laf_utils.book.base.style``."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...audit.attack import AttackResult
from ...settings.names import MODEL_NAMES
from ..base.style import COLOURS, FORGET, MARKERS, RETAIN, TEST, outlined, panels, styled
from .ch1_ch2_figures import SET_COLOURS, SET_NAMES
from .ch3_traces import Trace
from .ch4_membership import KINDS

KIND_COLOURS = {"members": RETAIN, "non_members": TEST, "forget": FORGET}
MODE_LINES, MODE_COLOURS = {"reference": "-", "fixed": "--"}, {"reference": COLOURS["laf"], "fixed": "#009E73"}


def _in_order(trace: Trace) -> int:
    """The looks of the way there; one that went back to an earlier point is left out."""
    return len(trace.epochs) - trace.went_back


def _whole_epochs(axis: Axes) -> None:
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))


@styled
def moving(points: dict[str, dict[str, np.ndarray]], classes: np.ndarray) -> Figure:
    """The same images after some epochs, one panel each, all on the same two axes.

    Args:
        points: when to ``retain`` and ``forget`` to float [n, 2].
        classes: int [n], true classes of the retained images, for their colours.
    """
    columns = min(3, len(points))
    rows = -(-len(points) // columns)
    figure, axes = panels(rows, columns, 0.3 + 2.5 * rows, sharex=True, sharey=True)
    for axis in axes.flat[len(points):]:
        axis.set_axis_off()
    for axis, (when, now) in zip(axes.flat, points.items(), strict=False):
        axis.scatter(*now["retain"].T, c=classes, cmap="tab10", vmin=0, vmax=9, s=5, alpha=0.5, linewidths=0)
        axis.scatter(*now["forget"].T, c="black", s=5, alpha=0.5, linewidths=0)
        axis.scatter([], [], c="black", s=5, label="D_f")
        axis.set(title=when, xticks=[], yticks=[])
        axis.grid(visible=False)
    axes.flat[0].legend(markerscale=2.5, handletextpad=0.1, loc="best")
    return figure


def _bands(axis: Axes, trace: Trace) -> None:
    """Median drift of D_r and of D_f by epoch, and the range from 10 to 90 % of the images."""
    epochs = trace.epochs[: _in_order(trace)]
    for part in ("retain", "forget"):
        low, middle, high = np.quantile(trace.drift(part)[: len(epochs)], [0.1, 0.5, 0.9], axis=1)
        axis.fill_between(epochs, low, high, color=SET_COLOURS[part], alpha=0.18, linewidth=0)
        axis.plot(epochs, middle, color=SET_COLOURS[part], marker="o", markersize=3, label=SET_NAMES[part])
        axis.set_ylim(-0.02, max(0.1, axis.get_ylim()[1], 1.05 * high.max()))  # no drift should look like none


def _curves(axis: Axes, trace: Trace, measure: str, goal: dict[str, float] | None = None) -> None:
    for part in ("retain", "test", "forget"):
        values = getattr(trace, measure)(part)[: _in_order(trace)]
        axis.plot(trace.epochs[: len(values)], values, color=SET_COLOURS[part], marker="o", markersize=3, label=SET_NAMES[part])
        if goal:
            axis.axhline(goal[part], color=SET_COLOURS[part], linestyle=":", linewidth=1.3)
    axis.set_ylim(-4, 104)
    _whole_epochs(axis)


@styled
def by_epoch(trace: Trace, goal: dict[str, float]) -> Figure:
    """Drift c(x), agreement with the original, and accuracy by epoch; dotted: the retrained model's accuracy."""
    figure, axes = panels(1, 3, 2.9)
    _bands(axes[0, 0], trace)
    _whole_epochs(axes[0, 0])
    axes[0, 0].set_title("Drift c(x): median, 10–90 %")
    _curves(axes[0, 1], trace, "agreement")
    axes[0, 1].set_title("Agreement with original (%)")
    _curves(axes[0, 2], trace, "accuracy", goal)
    axes[0, 2].set_title("Accuracy (%), dotted: goal")
    figure.legend(*axes[0, 1].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@styled
def each_alone(traces: dict[str, Trace], goal: dict[str, float]) -> Figure:
    """Both losses and each alone: drift above, accuracy below; dotted: the retrained model's accuracy."""
    figure, axes = panels(2, len(traces), 4.6, sharey="row", sharex=True)
    for column, (name, trace) in zip(axes.T, traces.items(), strict=True):
        _bands(column[0], trace)
        column[0].set_title(name)
        _curves(column[1], trace, "accuracy", goal)
    axes[0, 0].set_ylabel("drift c(x)")
    axes[1, 0].set_ylabel("accuracy (%)")
    figure.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@styled
def modes(traces: dict[str, Trace], goal: dict[str, float]) -> Figure:
    """Accuracy against the images passed forward and backward, both modes in one panel per set; dotted: retrained."""
    parts = {"forget": "Train_f (%)", "retain": "Train_r (%)", "test": "Test (%)"}
    figure, axes = panels(1, len(parts), 2.9, sharey=True)
    for axis, (part, title) in zip(axes[0], parts.items(), strict=True):
        for mode, trace in traces.items():
            values, passed = trace.accuracy(part), np.array(trace.passed) / 1000
            count = _in_order(trace)
            axis.plot(passed[:count], values[:count], MODE_LINES[mode], color=MODE_COLOURS[mode], marker="o", markersize=3,
                      label=mode)
            axis.plot(passed[-1], values[-1], "*", color=MODE_COLOURS[mode], markersize=11, label=f"{mode}, kept")
        axis.axhline(goal[part], color="black", linestyle=":", linewidth=1.3, label="retrained")
        axis.set(title=title, ylim=(-4, 104), xlabel="images passed (thousands)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


@styled
def attack_features(odds: dict[str, dict[str, dict[str, np.ndarray]]]) -> Figure:
    """What the attacker sees: log-odds (nats) of the largest probabilities, one row per model, one column per rank."""
    ranks = list(next(iter(odds.values())))
    figure, axes = panels(len(odds), len(ranks), 0.9 + 1.35 * len(odds), sharex="col", sharey="row")
    for row, (model, by_rank) in zip(axes, odds.items(), strict=True):
        for axis, rank in zip(row, ranks, strict=True):
            low, high = (-5, 18) if rank == "largest" else (-18, 2)
            for kind, values in by_rank[rank].items():
                outlined(axis, np.clip(values, low, high), np.linspace(low, high, 41), KIND_COLOURS[kind], KINDS[kind])
            axis.set_xlim(low, high)
        row[0].set_ylabel(f"{MODEL_NAMES[model]}\n% of rows", fontsize=8.5)
    for axis, rank in zip(axes[0], ranks, strict=True):
        axis.set_title(f"{rank} probability")
    for axis in axes[-1]:
        axis.set_xlabel("log-odds (nats)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@styled
def roc(curves: dict[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """ROC curves of the attack, on plain axes and where few test images are called members."""
    figure, axes = panels(1, 2, 3.5)
    for axis in axes[0]:
        line = np.geomspace(0.01, 100, 100)
        axis.plot(line, line, color="#bbbbbb", linestyle="--", linewidth=1, label="blind")
        for model, (false, true) in curves.items():
            axis.plot(false, true, color=COLOURS[model], linewidth=1.6, label=MODEL_NAMES[model], drawstyle="steps-post")
        axis.set(xlabel="test images called members (%)", ylabel="D_f called members (%)")
    axes[0, 0].set(title="ROC curve", xlim=(-1, 101), ylim=(-1, 101), aspect="equal")
    axes[0, 1].set(title="The same, both axes logarithmic", xscale="log", yscale="log", xlim=(0.1, 100), ylim=(0.1, 100))
    axes[0, 1].set_aspect("equal")
    axes[0, 1].axvline(1, color="#bbbbbb", linewidth=1)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


@styled
def attack_noise(found: dict[str, list[AttackResult]], published: dict[str, AttackResult]) -> Figure:
    """ASR and AUC of the attack re-run with other seeds (dots) and the reported one (mark); lines: blind attackers."""
    figure, axes = panels(1, 2, 2.9)
    chance = published["retrained"].chance
    blind = {"asr": {"always “member”": chance, "always “non-member”": 100 - chance}, "auc": {"blind": 50.0}}
    for axis, (key, levels) in zip(axes[0], blind.items(), strict=True):
        for (label, level), line in zip(levels.items(), ("--", ":"), strict=False):
            axis.axhline(level, color="#888888", linestyle=line, linewidth=1.3, label=label)
        for place, (model, results) in enumerate(found.items()):
            values = [getattr(result, key) for result in results]
            spread = np.linspace(-0.22, 0.22, len(values))
            axis.plot(place + spread, values, ".", color=COLOURS[model], markersize=5, alpha=0.8)
            axis.plot(place, getattr(published[model], key), MARKERS[model], color=COLOURS[model], markersize=8,
                      markerfacecolor="none")
        axis.set_xticks(range(len(found)), [MODEL_NAMES[model] for model in found])
        axis.set_title(f"{key.upper()} (%)")
        axis.grid(axis="x", visible=False)
        axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
    return figure
