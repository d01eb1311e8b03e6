"""The pictures of the cost model, narrow enough for a phone."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ..base import style
from .fit import QUARTER, SPLITS, Fit, held_out
from .timings import LEAST, Group

MARKS = {  # of held-out predictions, by what was left out
    "dataset": ("o", "#0072B2", "data set left out"), "task": ("s", "#009E73", "request left out"),
    "family": ("^", "#D55E00", "family of methods left out"),
}
STAGE_COLOURS = {
    "training": "#7f7f7f", "its own original": "#bbbbbb", "VAEs": "#E69F00", "unlearning": "#D55E00", "repair": "#0072B2",
}
SETTING_MARKS = ("o", "s", "^", "D", "v", "P")
SETTING_COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
BAR = 0.23  # inches of a method's line
TEXT = 8.5


def _plain(axis: Axes, *names: str) -> None:
    """Powers of ten as plain numbers."""
    for name in names:
        scale = getattr(axis, f"{name}axis")
        scale.set_major_locator(LogLocator(10, numticks=12))
        scale.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        scale.set_minor_formatter(NullFormatter())


def _diagonal(axis: Axes, ends: np.ndarray) -> None:
    axis.fill_between(ends, QUARTER[0] * ends, QUARTER[1] * ends, color="#dddddd", label="within a quarter", linewidth=0)
    axis.plot(ends, ends, color="#666666", linewidth=0.8)
    axis.set(xscale="log", yscale="log", xlim=tuple(ends), ylim=tuple(ends))
    _plain(axis, "x", "y")


@style.styled
def predicted_against_measured(models: Mapping[Group, Fit]) -> Figure:
    """One panel per machine and network: every scored cell as predicted by fits that did not see it."""
    figure, axes = style.plt.subplots(len(models), 1, figsize=(style.NARROW, 4.3 * len(models)), squeeze=False)
    for axis, (group, own) in zip(axes[:, 0], models.items(), strict=True):
        seconds = [cell.seconds for cell in own.cells]
        _diagonal(axis, np.array([0.6 * min(seconds), 2 * max(seconds)]))
        axis.axvline(LEAST, color="#999999", linewidth=0.8, linestyle=":")
        for by in SPLITS:
            left, (mark, colour, label) = held_out(own.cells, by), MARKS[by]
            if len(left):
                axis.plot(left["measured"], left["predicted"], mark, mfc="none", color=colour, markersize=5, label=label)
        small = [(cell.seconds, own.predict(cell.work)) for cell in own.cells if not cell.scored]
        if small:
            axis.plot(*zip(*small, strict=True), "x", color="#888888", markersize=5, label=f"under {LEAST:g} s, not scored")
        axis.set(title=group.title, xlabel="measured (s)", ylabel="predicted (s)")
        axis.legend(fontsize=TEXT, loc="upper left")
    return figure


@style.styled
def stage_seconds(by_setting: Mapping[str, Mapping[str, float]]) -> Figure:
    """Minutes of every stage, one mark per setting, on a logarithmic axis.

    Args:
        by_setting: title to seconds by stage.
    """
    names = list(dict.fromkeys(name for seconds in by_setting.values() for name in seconds))
    height = 0.42 * len(names) + 0.2 * len(by_setting) + 0.9
    figure, axes = style.plt.subplots(figsize=(style.NARROW, height))
    offsets = np.linspace(-0.25, 0.25, len(by_setting)) if len(by_setting) > 1 else [0.0]
    for number, (offset, (title, seconds)) in enumerate(zip(offsets, by_setting.items(), strict=True)):
        places = [names.index(name) + offset for name in seconds]
        axes.plot([value / 60 for value in seconds.values()], places, SETTING_MARKS[number % 6],
                  color=SETTING_COLOURS[number % 6], markersize=5.5, label=title)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="minutes")
    _plain(axes, "x")
    figure.legend(fontsize=TEXT, loc="outside lower center")
    return figure


def _bars(axis: Axes, table: pd.DataFrame, methods: list[str], column: str) -> None:
    """One line per method, its stages one after the other."""
    for place, method in enumerate(methods):
        start = 0.0
        for stage, value in table.loc[method][column].items():
            if value > 0:
                axis.barh(place, value, left=start, color=STAGE_COLOURS[stage], height=0.72)
                start += value


@style.styled
def cost_of_methods(table: pd.DataFrame) -> Figure:
    """Passes as a share of retraining's, and bytes, by method and stage."""
    methods = list(dict.fromkeys(table.index.get_level_values("method")))[::-1]
    figure, axes = style.plt.subplots(1, 2, figsize=(style.NARROW, BAR * len(methods) + 1.3), sharey=True, width_ratios=(1.3, 1))
    _bars(axes[0], table, methods, "% of retraining")
    axes[0].axvline(100, color="#666666", linewidth=0.8)
    axes[0].set(title="image passes", xlabel="% of retraining")
    for place, method in enumerate(methods):
        own = table.loc[method]
        axes[1].plot(own["MB added, counted"].sum(), place, "o", color="#000000", markersize=5)
        if own["MB kept before"].sum():
            axes[1].plot(own["MB kept before"].sum(), place, "D", color="#CC79A7", markersize=5)
        measured = own["MB added, measured"].dropna()
        if len(measured):
            axes[1].plot(max(measured.max(), 0.1), place, "|", color="#0072B2", markersize=9, markeredgewidth=1.6)
    axes[1].set(title="memory", xlabel="MB", xscale="log")
    _plain(axes[1], "x")
    axes[1].xaxis.set_major_locator(LogLocator(100))  # numbers at every tenfold would run into each other
    axes[0].set_yticks(range(len(methods)), methods, fontsize=TEXT)
    line = style.plt.Line2D
    stages = [name for name in STAGE_COLOURS if name in table.index.get_level_values("stage")]
    handles = [line([], [], color=STAGE_COLOURS[name], linewidth=6, label=name) for name in stages]
    marks = (("o", "#000000", "added, counted"), ("|", "#0072B2", "added, measured"), ("D", "#CC79A7", "kept before"))
    handles += [line([], [], marker=m, color=c, linestyle="", label=text) for m, c, text in marks]
    figure.legend(handles=handles, fontsize=TEXT, ncols=3, loc="outside lower center", columnspacing=1, handletextpad=0.7)
    return figure
