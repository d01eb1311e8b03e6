"""The picture of the comparison: how far from Retrain each method is on forgotten and on kept data."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, ScalarFormatter

from ...experiments.cells import AGAIN, ORIGINAL, RETRAIN
from ..base import style
from .ch5_tables import name_of

ACCESS_COLOURS = {"none": "#D55E00", "few": "#0072B2", "all": "#6a3d9a"}
ACCESS_NAMES = {"none": "no label", "few": "labels of D_r", "all": "all labels"}
WIDTH = 5.4  # inches: narrow, so that text stays legible on a phone
LINEAR = 1.0  # points: below that the axes are linear, so that zero is on them
KEY_COLUMNS = 2
NEAR = 12  # pixels: marks closer than that share one text


def points(records: list[dict]) -> list[tuple[str, str, bool, float, float]]:
    """(name, label access, tuned, forgetting gap, utility gap) of every record that has metrics, Retrain left out.

    Forgetting: |difference to Retrain| in Train_f; utility: in Test_r for class removal, else in Test. Percentage points.
    """
    found = []
    for record in records:
        if record["gap"] is None or record["cell"]["method"] == RETRAIN:
            continue
        gap, tuned = record["gap"], record["cell"]["choice"] == "tuned"
        utility = gap["test_r"] if "test_r" in gap else gap["test"]
        found.append((name_of(record), record["label_access"]["level"], tuned, gap["train_f"], utility))
    return found


def _write_numbers(axis: Axes, marks: dict[str, tuple[float, float]], numbers: dict[str, int]) -> None:
    """The number of each mark beside it; marks that lie on each other share one text."""
    groups: list[tuple[tuple[float, float], list[int]]] = []
    for name, place in marks.items():
        where = axis.transData.transform(place)
        near = [group for group in groups if abs(axis.transData.transform(group[0]) - where).max() < NEAR]
        if near:
            near[0][1].append(numbers[name])
        else:
            groups.append((place, [numbers[name]]))
    for place, found in groups:
        axis.annotate(", ".join(map(str, found)), place, (6, 4), textcoords="offset points", fontsize=9)


def _panel(axis: Axes, records: list[dict], numbers: dict[str, int]) -> None:
    marks = {}
    references = {name_of(r) for r in records if r["cell"]["method"] in (ORIGINAL, AGAIN)}
    for name, access, tuned, forgetting, utility in points(records):
        colour = "black" if name in references else ACCESS_COLOURS[access]
        axis.plot(forgetting, utility, "D" if name in references else "o", color=colour, markersize=7,
                  markerfacecolor="white" if tuned else colour, alpha=0.85)
        marks[name] = forgetting, utility
    axis.set_xscale("symlog", linthresh=LINEAR)
    axis.set_yscale("symlog", linthresh=LINEAR)
    axis.set(xlim=(-0.15, 200), ylim=(-0.15, 200), ylabel="kept test data: gap")
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_major_locator(FixedLocator([0, 1, 10, 100]))
        scale.set_major_formatter(ScalarFormatter())
    _write_numbers(axis, marks, numbers)


@style.styled
def forgetting_against_utility(by_task: dict[str, list[dict]]) -> Figure:
    """One panel per request, one numbered mark per record; the corner at zero is Retrain.

    Args:
        by_task: title to the records of one request.

    Raises:
        ValueError: no record has metrics.
    """
    names = list(dict.fromkeys(point[0] for records in by_task.values() for point in points(records)))
    if not names:
        raise ValueError("no record with metrics: nothing to draw")
    numbers = {name: number for number, name in enumerate(names, 1)}
    lines = -(-len(names) // KEY_COLUMNS)
    figure, axes = style.plt.subplots(
        len(by_task) + 1, 1, figsize=(WIDTH, 2.9 * len(by_task) + 0.19 * lines + 0.4), squeeze=False,
        height_ratios=[2.9] * len(by_task) + [0.19 * lines + 0.3],
    )
    for axis, (title, records) in zip(axes[:-1, 0], by_task.items(), strict=True):
        _panel(axis, records, numbers)
        axis.set_title(title)
    axes[-2, 0].set_xlabel("forgotten data, Train_f: gap to Retrain (points)")
    handles = [style.plt.Line2D([], [], marker="o", linestyle="", color=ACCESS_COLOURS[a], label=ACCESS_NAMES[a])
               for a in ACCESS_COLOURS if any(p[1] == a for records in by_task.values() for p in points(records))]
    axes[0, 0].legend(handles=handles, fontsize=8.5, loc="upper left", handletextpad=0.1)
    key = axes[-1, 0]
    key.set_axis_off()
    for place, name in enumerate(names):
        column, line = divmod(place, lines)
        where = column / KEY_COLUMNS, 1 - line / lines
        key.text(*where, f"{numbers[name]}  {name}", fontsize=8.5, va="top", transform=key.transAxes)
    return figure
