"""The picture of the comparison: distance to the retrained model against cost, one dot for each method over all requests.

It draws from gathered records and computes means only. Methods are compared on the same requests: those that most of them have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ...experiments.cells import AGAIN, ORIGINAL, REFERENCES
from ...settings.names import TASK_NAMES
from ..base import style
from ..base.exhibit import Exhibit
from ..base.reading import DEFAULTS, Found, Group, gap, over, ranked, share_of_retraining
from ..base.words import LEVELS_SAID, NOTHING, method_name, title_of
from . import tables
from .sentences import DEAR

NAME, TITLE = "frontier", "Distance to retraining against cost"
NAMED = ("laf", "laf_r", *tables.OWN)  # these are written beside their dots
MOST = 0.6  # of the methods: a request that fewer have on record is none that they are compared on
WIDTH, HEIGHT = 5.4, 3.9  # inches: narrow, so that text stays legible on a phone
LINEAR = 1.0  # points: below that the axis is linear, so that zero is on it
FREE, GREY, BAND = style.COLOURS["laf"], "#9a9a9a", "#e3efe6"
FLOOR = 0.3  # of the cheapest dot's cost: where the axis begins
GAPS, COSTS = (0, 0.5, 1, 3, 10, 30, 100), (0.01, 0.03, 0.1, 0.3, 1, 3)
TEXT: dict[str, Any] = {"textcoords": "offset points", "fontsize": 9}
CHOSEN = ("nearest", "gap", "doing nothing", "cost")
COLUMNS = ("gap", "cost", "labels", "requests")
ABOUT = (
    "Each dot is a method at published settings: mean gap to the retrained model against image passes as a share of "
    "retraining's. Down and left is better. Orange reads no label, blue and grey do; a hollow dot lacks some of the requests, "
    "so its place is not comparable. The band is as near as a second retrained model comes."
)
ALT = (
    "Gap to the retrained model against cost as a share of retraining, both axes logarithmic: one dot for each method, LAF and "
    "LAF+R named, methods without labels in orange, a line for doing nothing and a band for a second retrained model. The "
    "numbers are in the table."
)
NOTHING_YET = "No record of two methods on one request yet."


@dataclass(frozen=True)
class Dot:
    """One method over requests.

    Args:
        gap: mean over requests of the mean over seeds, points.
        cost: mean over requests of image passes as a share of retraining's.
        missing: of the requests that are compared on, those where it has no number.
    """

    method: str
    level: str
    gap: float
    cost: float
    count: int
    missing: int

    @property
    def free(self) -> bool:
        """Whether it reads no label."""
        return self.level == "none"


def _scored(rows: list[Group]) -> dict[str, Group]:
    """The methods of a request at published settings that have numbers and are ranked."""
    own = [g for g in rows if g.choice == DEFAULTS and not g.variant and g.values(gap) and ranked(g)]
    return {group.method: group for group in own if group.method not in REFERENCES or group.method in (ORIGINAL, AGAIN)}


def _rows(found: Found, places: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[Group]]:
    return {place: rows for place in places if _scored(rows := tables.rows_of(found, *place))}


def compared_on(found: Found, places: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The requests that most methods have on record."""
    have = {place: _scored(rows).keys() - set(REFERENCES) for place, rows in _rows(found, places).items()}
    methods = set().union(*have.values())
    return [place for place, own in have.items() if methods and len(own) >= MOST * len(methods)]


def dots(found: Found, places: Sequence[tuple[str, str]]) -> list[Dot]:
    """Every method over the requests that are compared on, doing nothing first, then by gap."""
    core, result = compared_on(found, places), []
    rows = {place: tables.rows_of(found, *place) for place in core}
    scored = {place: _scored(own) for place, own in rows.items()}
    for method in dict.fromkeys(name for own in scored.values() for name in own):
        have = [place for place in core if method in scored[place]]
        gaps = [over(scored[place][method]).mean for place in have]
        shares = [list(share_of_retraining(rows[place], scored[place][method]).values()) for place in have]
        costs = [sum(own) / len(own) for own in shares if own]
        if costs:
            level = scored[have[0]][method].level
            missing = len(core) - len(have)
            result.append(Dot(method, level, sum(gaps) / len(gaps), sum(costs) / len(costs), len(have), missing))
    return sorted(result, key=lambda dot: (dot.method != ORIGINAL, dot.gap))


def _mark(axis: Axes, dot: Dot) -> None:
    named, colour = dot.method in NAMED, FREE if dot.free else GREY
    colour = style.COLOURS["laf_r"] if dot.method == "laf_r" else colour
    axis.plot(
        dot.cost, dot.gap, "D" if named else "o", color=colour, markersize=9 if named else 7, alpha=0.9,
        markerfacecolor="white" if dot.missing else colour, zorder=4 if named else 3,
    )
    if named:
        below = dot.method == "laf_r"  # it lies beside LAF: their names part
        axis.annotate(
            method_name(dot.method), (dot.cost, dot.gap), (8, -13 if below else 5), textcoords="offset points", color=colour,
            fontsize=10.5, fontweight="bold", zorder=5,
        )


def _references(axis: Axes, own: list[Dot], low: float) -> None:
    """Doing nothing as a line, the noise floor as a band, retraining's cost as another line."""
    nothing = next((dot for dot in own if dot.method == ORIGINAL), None)
    floor = next((dot for dot in own if dot.method == AGAIN), None)
    if nothing:
        axis.axhline(nothing.gap, color="black", linewidth=1, linestyle="--", zorder=1)
        axis.annotate(f"doing nothing: {nothing.gap:.1f}, free", (low, nothing.gap), (4, 4), **TEXT)
    if floor:
        axis.axhspan(0, floor.gap, color=BAND, zorder=0)
        axis.annotate(f"a second retrained model: {floor.gap:.2f}", (low, floor.gap), (4, -11), **TEXT)
    axis.axvline(1, color="black", linewidth=0.8, linestyle=":", zorder=1)
    axis.annotate("as dear as retraining", (1, 100), (-4, -8), ha="right", **TEXT)


@style.styled
def figure(own: list[Dot]) -> Figure:
    """Gap against cost, a dot for each method.

    Raises:
        ValueError: no method beside the references.
    """
    methods = [dot for dot in own if dot.method not in REFERENCES]
    if not methods:
        raise ValueError("no method beside the references: nothing to draw")
    result, axis = style.plt.subplots(figsize=(WIDTH, HEIGHT))
    low = FLOOR * min(dot.cost for dot in methods)
    _references(axis, own, low)
    for dot in methods:
        _mark(axis, dot)
    axis.set_xscale("log")
    axis.set_yscale("symlog", linthresh=LINEAR)
    axis.set(xlim=(low, max(3.0, 3 * max(dot.cost for dot in methods))), ylim=(0, 130))
    axis.set(xlabel="cost: image passes as a share of retraining's", ylabel="gap to the retrained model (points)")
    axis.xaxis.set_major_locator(FixedLocator([tick for tick in COSTS if tick >= low]))
    axis.yaxis.set_major_locator(FixedLocator(GAPS))
    for scale, text in ((axis.xaxis, lambda value, _: f"{100 * value:g} %"), (axis.yaxis, lambda value, _: f"{value:g}")):
        scale.set_minor_locator(NullLocator())
        scale.set_major_formatter(FuncFormatter(text))
    marks = [(FREE, "reads no label"), (GREY, "reads labels")]
    handles = [style.plt.Line2D([], [], marker="o", linestyle="", color=colour, label=label) for colour, label in marks]
    axis.legend(handles=handles, loc="lower left", fontsize=9, handletextpad=0.1)
    return result


def table(own: list[Dot]) -> pd.DataFrame:
    """The numbers of the dots, the second retrained model's among them."""
    rows = {}
    for dot in own:
        of = dot.count + dot.missing
        labels = "\u2013" if dot.method == ORIGINAL else LEVELS_SAID[dot.level]
        values = (f"{dot.gap:.2f}", f"{100 * dot.cost:.0f}\u00a0%", labels, f"{dot.count} of {of}")
        rows[NOTHING if dot.method == ORIGINAL else method_name(dot.method)] = dict(zip(COLUMNS, values, strict=True))
    return pd.DataFrame.from_dict(rows, orient="index")


def exhibit(found: Found, places: Sequence[tuple[str, str]]) -> Exhibit:
    """The picture, its numbers folded below it; a note where there is nothing to compare."""
    own = dots(found, places)
    if not [dot for dot in own if dot.method not in REFERENCES]:
        return Exhibit(NAME, TITLE, NOTHING_YET, pd.DataFrame())
    core = "; ".join(title_of(*place) for place in compared_on(found, places))
    detail = f"The requests that most methods have on record: {core}. Rows that are not ranked (see the tables) have no dot."
    return Exhibit(NAME, TITLE, ABOUT, pd.DataFrame(), (), lambda: figure(own), ALT, detail=detail, full=table(own))


def choices(found: Found, places: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """For each task and what is known of labels: the method with the smallest mean gap, beside doing nothing.

    Of methods that have every compared request of the task; chosen on these very numbers. None where the best is not nearer
    than doing nothing by more than the noise floor.
    """
    rows = {}
    for task, title in TASK_NAMES.items():
        own = dots(found, [place for place in places if place[1] == task])
        nothing, floor = (next((dot for dot in own if dot.method == name), None) for name in (ORIGINAL, AGAIN))
        for level, words in LEVELS_SAID.items():
            fit = [dot for dot in own if dot.method not in REFERENCES and dot.level == level and not dot.missing]
            if not fit or nothing is None:
                continue
            best = min(fit, key=lambda dot: dot.gap)
            far = best.gap + (floor.gap if floor else 0.0) >= nothing.gap
            name = f"none; {method_name(best.method)} comes next" if far else method_name(best.method)
            cost = f"{100 * best.cost:.0f}\u00a0%" + (": retrain" if far or 100 * best.cost >= DEAR else "")
            values = (name, f"{best.gap:.2f}", f"{nothing.gap:.2f}", cost)
            rows[f"{title}, labels: {words}"] = dict(zip(CHOSEN, values, strict=True))
    return pd.DataFrame.from_dict(rows, orient="index")
