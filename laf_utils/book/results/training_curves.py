"""Training curves of the records beside the authors' digitised ones (``Training/authors.json``)."""

from typing import Any, cast

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from ...settings.names import DATASET_NAMES, TASK_NAMES
from ...support.reading import counted
from ..base.style import COLOURS, STYLE, WIDTH
from ..base.tables import MISSING
from ..base.training_records import PAPER_DATASETS, authors, groups, images_text
from ..base.words import signed, title_of

MINUS = "\u2212"
FARTHER = 1.5  # times their fall, beyond the error of reading: no agreement either
READING_ERROR = 0.4  # of values read off the authors' pictures
THEIRS = "#0072B2"
AUTHORS_KEYS = {"mnist": "digits"}  # how authors.json calls a data set, where that differs
# Whole series of the authors, by setting: (group of authors.json, its label).
SERIES = {
    ("mnist", "class"): ("authors_code_measured", "authors' code, run"),
    ("cifar10", "class"): ("published_notebook", "authors' notebook"),
}
COLUMNS = ("epochs", "L_UE first", "lowest (epoch)", "L_UE last", "L_RA first", "L_RA last")


def published(dataset: str, task: str) -> list | None:
    """``[epochs, L_UE first, extreme, last, L_RA first, last]`` of a setting the authors show, else ``None``."""
    return authors()["published_curves"].get(f"{task}_{AUTHORS_KEYS.get(dataset, dataset)}")


def table(task: str, found: list[dict]) -> pd.DataFrame:
    """First, extreme and last values of both losses, the authors' and ours (mean over runs)."""
    here, rows = groups(found), {}
    for dataset in PAPER_DATASETS:
        name, theirs, same = DATASET_NAMES[dataset], published(dataset, task), here.get((dataset, task, "reference"))
        shown = [MISSING if value is None else str(value) for value in theirs] if theirs else _nothing("not shown")
        own = _own(same) if same else _nothing("no record")
        which = ", ".join(filter(None, ("here", images_text(same) if same else "")))
        for who, values in (("theirs", shown), (which, own)):
            rows[f"{name}, {who}"] = dict(zip(COLUMNS, map(_typeset, values), strict=True))
    return pd.DataFrame.from_dict(rows, orient="index")


def _nothing(why: str) -> list[str]:
    return [why] + [MISSING] * (len(COLUMNS) - 1)


def _typeset(value: str) -> str:
    """A true minus, and no line break inside a value."""
    return value.replace("-", MINUS).replace(" ", "\u00a0")


def _own(same: list[dict]) -> list[str]:
    ue, ra = (pd.DataFrame([r["losses"][name] for r in same]).mean() for name in ("loss_ue", "loss_ra"))
    ends = [f"{ra.iloc[0]:.1f}", f"{ra.iloc[-1]:.1f}"]
    return [str(len(ue)), f"{ue.iloc[0]:.1f}", f"{ue.min():.1f} ({int(ue.idxmin())})", f"{ue.iloc[-1]:.1f}", *ends]


def readings(task: str, found: list[dict]) -> tuple[str, ...]:
    """Whether L_UE falls here as it does in the authors' plot, for each data set of which both are at hand."""
    here, said = groups(found), []
    for dataset in PAPER_DATASETS:
        theirs, same = published(dataset, task), here.get((dataset, task, "reference"))
        if not theirs or not same:
            continue
        _, first, extreme, last, *_ = theirs
        lowest = min(float(str(extreme).partition(" ")[0]) if extreme else first, first, last)
        curve = pd.DataFrame([r["losses"]["loss_ue"] for r in same]).mean()
        falls, fell = first - lowest, float(curve.iloc[0] - curve.min())
        ours = f"from {signed(curve.iloc[0], 1)} to {signed(curve.min(), 1)}"
        words = f"{DATASET_NAMES[dataset]}: theirs falls from {signed(first, 1)} to {signed(lowest, 1)}, ours {ours}"
        size = images_text(same)
        off = f": **the curves disagree**{f'; ours is of {size}' if size else ''}"
        far = ": ours falls farther" if fell > falls + 2 * READING_ERROR and fell > FARTHER * falls else ": the curves agree"
        run = ""
        if (dataset, task) in SERIES:
            run = f"; the series of the {SERIES[dataset, task][1]} falls to {signed(min(_series(dataset, task).values()), 1)}"
        said.append(f"{words}{off if fell + 2 * READING_ERROR < falls / 2 else far}{run}.")
    return tuple(said)


def summary(found: list[dict]) -> str:
    """In how many comparisons of all tasks L_UE falls as the authors' does, and where it does not; empty without any."""
    said = {f"{line.partition(':')[0]}, {name}": line for task, name in TASK_NAMES.items() for line in readings(task, found)}
    less = [name for name, line in said.items() if "disagree" in line]
    farther = [name for name, line in said.items() if "farther" in line]
    alike = len(said) - len(less) - len(farther)
    lines = [f"**L_UE falls as the authors' does in {alike} of {counted(len(said), 'comparison')}.**"]
    lines += [f"Ours falls farther in {'; '.join(farther)}."] if farther else []
    lines += [f"Ours falls less than half as far in {'; '.join(less)}."] if less else []
    return " ".join(lines) if said else ""


def drawn(task: str, found: list[dict]) -> list[str]:
    """The data sets of which a task's curves can be drawn."""
    here = groups(found)
    return [dataset for dataset in PAPER_DATASETS if (dataset, task, "reference") in here]


def figure(task: str, found: list[dict]) -> Figure:
    """Both losses by epoch, one row per data set with a record: every run of ours, and the authors' values.

    Raises:
        ValueError: no record of this task.
    """
    datasets, here = drawn(task, found), groups(found)
    if not datasets:
        raise ValueError(f"no record of {task!r}")
    with mpl.rc_context(STYLE):
        rows = len(datasets)
        result, axes = plt.subplots(rows, 2, figsize=(WIDTH, 0.5 + 2.3 * rows), squeeze=False)
        layout = cast(ConstrainedLayoutEngine, result.get_layout_engine())
        layout.set(h_pad=0.12)  # inches: a title keeps clear of the numbers above it
        for row, dataset in zip(axes, datasets, strict=True):
            for axis, name in zip(row, ("loss_ue", "loss_ra"), strict=True):
                _panel(axis, dataset, task, name, here[dataset, task, "reference"])
        for axis in axes[-1]:
            axis.set_xlabel("epoch, counted from 0")
        handles = {label: line for axis in axes[:, 0] for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
        result.legend(list(handles.values()), list(handles), loc="outside upper left", ncols=2, fontsize=11, handlelength=1.6)
    return result


def _panel(axis: Axes, dataset: str, task: str, name: str, same: list[dict]) -> None:
    size = images_text(same)
    for number, record in enumerate(same):
        axis.plot(record["losses"][name], color=COLOURS["laf"], linewidth=1.4, label=None if number else "here",
                  gid=f"here, seed {record['config']['seed']}, epoch {{x:.0f}}: {{y:.2f}}")
    _their_series(axis, dataset, task, name)
    _their_points(axis, published(dataset, task), name)
    symbol = {"loss_ue": "$L_{UE}$", "loss_ra": "$L_{RA}$"}[name]
    axis.set_title(f"{title_of(dataset, task)}: {symbol}" + (f"\nhere {size}" if size and name == "loss_ue" else ""))
    cast(MaxNLocator, axis.xaxis.get_major_locator()).set_params(integer=True)


def _series(dataset: str, task: str, name: str = "loss_ue") -> dict[int, float]:
    """A whole series of the authors' by epoch."""
    values = authors()[SERIES[dataset, task][0]][f"{name}_by_epoch"]
    return {int(epoch): value for epoch, value in (values if isinstance(values, dict) else dict(enumerate(values))).items()}


def _their_series(axis: Axes, dataset: str, task: str, name: str) -> None:
    if (dataset, task) not in SERIES:
        return
    points, label = _series(dataset, task, name), SERIES[dataset, task][1]
    said = f"{label}, epoch {{x:.0f}}: {{y:.2f}}"
    drawn: dict[str, Any] = {"marker": ".", "color": THEIRS, "linewidth": 1, "markersize": 3, "label": label, "gid": said}
    axis.plot(list(points), list(points.values()), "--", **drawn)


def _their_points(axis: Axes, theirs: list | None, name: str) -> None:
    if not theirs:
        return
    epochs, first, extreme, last, ra_first, ra_last = theirs
    points = {0: first, epochs - 1: last} if name == "loss_ue" else {0: ra_first, epochs - 1: ra_last}
    if name == "loss_ue" and extreme:
        value, _, epoch = extreme.partition(" ")
        points[int(epoch.strip("()"))] = float(value)
    axis.errorbar(
        list(points), list(points.values()), yerr=READING_ERROR, fmt="x", color=THEIRS, capsize=2, label="authors' plot"
    )
