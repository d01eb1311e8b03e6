"""The picture of the comparison: how far from Retrain each method is on forgotten and on kept data."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, ScalarFormatter

from ...experiments.cells import AGAIN, ORIGINAL, RETRAIN
from ..base import style
from .ch5_tables import is_ranked, name_of

ACCESS_COLOURS = {"none": "#D55E00", "few": "#0072B2", "all": "#6a3d9a"}
ACCESS_NAMES = {"none": "no label", "few": "labels of D_r", "all": "all labels"}
ACCESS_MARKS = {"none": "o", "few": "^", "all": "s"}
WIDTH = 5.4  # inches: narrow, so that text stays legible on a phone
LINEAR = 1.0  # points: below that the axes are linear, so that zero is on them
LABELS = {ORIGINAL: "doing nothing", AGAIN: "second retraining", "laf": "LAF", "laf_r": "LAF+R"}
GREY = "#b5b5b5"
PLACES = ((7, 5), (7, -11), (-7, 8), (-7, -13))  # points beside a mark, where its label goes in turn


def points(records: list[dict]) -> list[tuple[str, str, bool, float, float]]:
    """(name, label access, tuned, forgetting gap, utility gap) of references and ranked records, Retrain left out.

    Forgetting: |difference to Retrain| in Train_f; utility: in Test_r for class removal, else in Test. Percentage points.
    """
    return [
        (name_of(record), record["label_access"]["level"], record["cell"]["choice"] == "tuned", *place(record))
        for record in shown(records)
    ]


def shown(records: list[dict]) -> list[dict]:
    """The records that the picture has a mark for."""
    return [r for r in records if r["gap"] and r["cell"]["method"] != RETRAIN and (is_ranked(r) or r["cell"]["method"] in LABELS)]


def place(record: dict) -> tuple[float, float]:
    """Gap on forgotten and on kept test data, points."""
    gap = record["gap"]
    return gap["train_f"], gap["test_r"] if "test_r" in gap else gap["test"]


def labelled(records: list[dict]) -> dict[int, str]:
    """Which marks have a name in the picture, by place in the list: references, LAF, LAF+R and the nearest of the others."""
    published = {k: r for k, r in enumerate(records) if r["cell"]["choice"] != "tuned"}
    named = {k: LABELS[r["cell"]["method"]] for k, r in published.items() if r["cell"]["method"] in LABELS}
    rest = {k: r["gap"]["mean"] for k, r in published.items() if k not in named}
    if rest:
        best = min(rest, key=rest.__getitem__)
        named[best] = name_of(records[best]).replace(" (ours)", "").replace(", own label left out", "")
    return named


def _panel(axis: Axes, records: list[dict]) -> None:
    found = shown(records)
    names = labelled(found)
    for number, record in enumerate(found):
        known, access = number in names, record["label_access"]["level"]
        reference = record["cell"]["method"] in (ORIGINAL, AGAIN)
        colour = "black" if reference else ACCESS_COLOURS[access] if known else GREY
        axis.plot(*place(record), "D" if reference else ACCESS_MARKS[access], color=colour, markersize=7 if known else 5,
                  markerfacecolor="white" if record["cell"]["choice"] == "tuned" else colour, zorder=3 if known else 2)
    axis.set_xscale("symlog", linthresh=LINEAR)
    axis.set_yscale("symlog", linthresh=LINEAR)
    axis.set(xlim=(-0.15, 200), ylim=(-0.15, 200), ylabel="kept test data: gap")
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_major_locator(FixedLocator([0, 1, 10, 100]))
        scale.set_major_formatter(ScalarFormatter())
    near: list[np.ndarray] = []
    for number, name in names.items():
        where = axis.transData.transform(place(found[number]))
        turn = sum(abs(where - other).max() < 40 for other in near) % len(PLACES)
        near.append(where)
        shift = PLACES[turn]
        axis.annotate(name, place(found[number]), shift, textcoords="offset points", fontsize=8.5, zorder=4,
                      ha="left" if shift[0] > 0 else "right")


@style.styled
def forgetting_against_utility(by_task: dict[str, list[dict]]) -> Figure:
    """One panel per request, one mark per record; the corner at zero is Retrain. What matters has a name, the rest is grey.

    Args:
        by_task: title to the records of one request.

    Raises:
        ValueError: no record has metrics.
    """
    if not any(shown(records) for records in by_task.values()):
        raise ValueError("no record with metrics: nothing to draw")
    figure, axes = style.plt.subplots(len(by_task), 1, figsize=(WIDTH, 2.9 * len(by_task) + 0.5), squeeze=False)
    for axis, (title, records) in zip(axes[:, 0], by_task.items(), strict=True):
        _panel(axis, records)
        axis.set_title(title)
    axes[-1, 0].set_xlabel("forgotten data, Train_f: gap to Retrain (points)")
    used = {r["label_access"]["level"] for records in by_task.values() for r in shown(records)}
    handles = [style.plt.Line2D([], [], marker=ACCESS_MARKS[a], linestyle="", color=colour, label=ACCESS_NAMES[a])
               for a, colour in ACCESS_COLOURS.items() if a in used]
    handles.append(style.plt.Line2D([], [], marker="o", linestyle="", color=GREY, markerfacecolor="white", label="hollow: tuned"))
    figure.legend(handles=handles, fontsize=8.5, loc="outside upper center", ncols=4, handletextpad=0.1)
    return figure
