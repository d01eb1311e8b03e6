"""The figures of the questions, narrow enough for a phone."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...audit import interval
from ...settings.names import TASK_NAMES
from ...support.reading import counted
from ..base import style as figures
from ..base.reading import Group, Value, cka, gap, over
from ..base.words import title_of
from .ch7_questions import EPOCHS, PLACES, Board, Place, Question, agreement, of_task
from .ch7_tables import AGAIN_NAME, trajectory

MARKS: dict[Place, tuple[str, str]] = {
    ("mnist", "class"): ("o", "#D55E00"), ("mnist", "data"): ("s", "#0072B2"),
    ("fashion", "class"): ("^", "#CC79A7"), ("fashion", "data"): ("D", "#009E73"),
}
# Request: place below the marks, line of its interval.
BARS: dict[str, tuple[float, Any]] = {"class": (0.14, "-"), "data": (0.32, ":")}
STEPS = (-100, -30, -10, -3, -1, 0, 1, 3, 10, 30, 100)
MOST_STEPS = 8  # numbers below the axis of a figure of this width


@figures.styled
def differences(board: Board, question: Question) -> Figure:
    """Each arm's gap minus LAF's, points: a mark per run, paired by place and seed; bars: 95 % intervals by request.

    Raises:
        ValueError: no arm has a run beside LAF.
    """
    arms = [arm for arm in question if board.differences(arm)]
    if not arms:
        raise ValueError("no run to compare: nothing to draw")
    figure, axis = figures.plt.subplots(figsize=(figures.NARROW, 0.62 * len(arms) + 1.6))
    for line, arm in enumerate(arms):
        own = board.differences(arm)
        for place in PLACES:
            values = [value for (dataset, task, _), value in own.items() if (dataset, task) == place]
            marker, colour = MARKS[place]
            axis.plot(values, [line - 0.12] * len(values), marker, color=colour, alpha=0.6, markersize=5, linewidth=0)
        for task, (shift, style) in BARS.items():
            mean = board.pooled(arm, places=of_task(task))
            if mean:
                axis.plot([mean.mean], [line + shift], "|", color="black", markersize=8, markeredgewidth=2)
            if mean and mean.count > 1:
                axis.plot([mean.low, mean.high], [line + shift] * 2, color="black", linewidth=1.6, linestyle=style)
    axis.axvline(0, color="#666666", linewidth=0.9, zorder=0)
    axis.set_xscale("symlog", linthresh=figures.LINEAR)
    axis.set_yticks(range(len(arms)), [arm.title for arm in arms])
    axis.set_ylim(len(arms) - 0.5, -0.6)
    axis.set_xlabel("gap to retrained minus LAF's (points)")
    _ticks(axis)
    handles = [
        figures.plt.Line2D([], [], marker=marker, linestyle="", color=colour, label=title_of(*place))
        for place, (marker, colour) in MARKS.items()
    ]
    handles += [
        figures.plt.Line2D([], [], color="black", linestyle=style, label=f"95 % interval, {TASK_NAMES[task]}")
        for task, (_, style) in BARS.items()
    ]
    figure.legend(handles=handles, fontsize=8, ncols=2, loc="outside upper center", handletextpad=0.4)
    return figure


def _ticks(axis: Axes) -> None:
    """Plain numbers on both sides of zero, as far as the axis goes; powers of ten alone where more would run into each other."""
    low, high = axis.get_xlim()
    kept = [step for step in STEPS if low <= step <= high]
    if len(kept) > MOST_STEPS:
        kept = [step for step in kept if step not in (-30, -3, 3, 30)]
    figures.gap_scale(axis, "x", kept)


@figures.styled
def over_epochs(board: Board) -> Figure:
    """Gap, agreement with the retrained model on D_f, and CKA on D_f by epochs of LAF; dashed: a second retrained model.

    Raises:
        ValueError: no place has LAF after several numbers of epochs.
    """
    known = {place: rows for place in PLACES if len(rows := trajectory(board, place)) > 2}
    if not known:
        raise ValueError("no run to draw")
    measures = {
        "gap to retrained (points)": gap, "D_f answered as retrained (%)": agreement("forget"),
        "CKA to retrained on D_f": cka("forget"),
    }
    figure, axes = figures.plt.subplots(len(measures), 1, figsize=(figures.NARROW, 6.6), sharex=True)
    for axis, (title, value) in zip(axes, measures.items(), strict=True):
        for place, rows in known.items():
            _line(axis, place, rows, value)
        axis.set_title(title)
    figures.gap_scale(axes[0], "y", (0, 1, 3, 10, 30))
    axes[0].set_ylim(-0.1, 60)
    axes[-1].set(xscale="log", xlabel="epochs of representation adaptation (10: the profile's own)")
    axes[-1].set_xticks(EPOCHS, [str(n) for n in EPOCHS])
    axes[-1].minorticks_off()
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, ncols=2, loc="outside upper center")
    return figure


def _line(axis: Axes, place: Place, rows: dict[str, Group], value: Value) -> None:
    """A measure by epochs at one place: mean, span of the seeds, and the second retrained model's as a dashed line."""
    marker, colour = MARKS[place]
    known = {n: rows[name] for n in EPOCHS if (name := counted(n, "epoch")) in rows}
    spans = {n: own for n, row in known.items() if (own := list(row.values(value).values()))}
    axis.plot(list(spans), [interval(own).mean for own in spans.values()], marker + "-", color=colour, markersize=5,
              label=title_of(*place))
    low, high = ([end(own) for own in spans.values()] for end in (min, max))
    axis.fill_between(list(spans), low, high, color=colour, alpha=0.15, linewidth=0)
    if floor := over(rows.get(AGAIN_NAME), value):
        axis.axhline(floor.mean, color=colour, linewidth=0.9, linestyle="--")
