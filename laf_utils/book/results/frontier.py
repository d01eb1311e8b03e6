"""The picture of the comparison: distance to the retrained model against cost, one dot for each method over all requests.

It draws from gathered records and computes means only. Methods are compared on the same requests: those that most of them have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from ...experiments.cells import AGAIN, ORIGINAL, REFERENCES
from ...settings.names import TASK_NAMES
from ..base import style
from ..base.captions import caption
from ..base.exhibit import Exhibit
from ..base.placing import Place, around, settle
from ..base.reading import DEFAULTS, Found, Group, collapsed, gap, over, ranked, share_of_retraining
from ..base.words import LEVELS_SAID, NOTHING, method_name, title_of
from . import tables
from .sentences import DEAR

NAME, TITLE = "frontier", "Distance to retraining against cost"
NAMED = ("laf", "laf_r", *tables.OWN)  # these always have their name beside them
MOST = 0.6  # of the methods: a request that fewer have on record is none that they are compared on
WIDTH, HEIGHT = 4.8, 3.7  # inches: narrow, so that text stays legible on a phone
COLOURS = {"none": style.COLOURS["laf"], "few": style.COLOURS["laf_r"], "all": "#6a3d9a"}  # by the labels that are read
MARKS = {"none": "o", "few": "^", "all": "s"}
GREY, BAND = "#a8a8a8", "#e3efe6"
FLOOR = 0.3  # of the cheapest dot's cost: where the axis begins
GAPS, COSTS = (0, 0.5, 1, 3, 10, 30, 100), (0.01, 0.03, 0.1, 0.3, 1)
TEXT: dict[str, Any] = {
    "textcoords": "offset points", "fontsize": 9, "in_layout": False,
    "path_effects": [withStroke(linewidth=2, foreground="white")],
}
MARK = 5  # points from the middle of a mark to its edge
Notes = list[tuple[Annotation, list[Place]]]
CHOSEN = ("take", "gap", "doing nothing", "cost", "seeds")
COLUMNS = ("gap", "cost", "labels", "requests", "seeds")
NOTHING_YET = "No record of two methods on one request yet."


@dataclass(frozen=True)
class Dot:
    """One method over requests."""

    method: str
    level: str
    gap: float  # mean over requests of the mean over seeds, points
    cost: float  # mean over requests of image passes as a share of retraining's
    count: int
    missing: int  # of the requests that are compared on, those where it has no number
    seeds: int  # training seeds, the fewest of any request

    @property
    def free(self) -> bool:
        """Whether it reads no label."""
        return self.level == "none"


def _scored(rows: list[Group]) -> dict[str, Group]:
    """The methods of a request at published settings that have numbers, are ranked and did not collapse."""
    own = [g for g in rows if g.choice == DEFAULTS and not g.variant and g.values(gap) and ranked(g) and not collapsed(g)]
    return {group.method: group for group in own if group.method not in REFERENCES or group.method in (ORIGINAL, AGAIN)}


def _rows(found: Found, places: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[Group]]:
    return {place: rows for place in places if _scored(rows := tables.rows_of(found, *place))}


def compared_on(found: Found, places: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The requests that most methods have on record."""
    have = {place: _scored(rows).keys() - set(REFERENCES) for place, rows in _rows(found, places).items()}
    methods = set().union(*have.values())
    return [place for place, own in have.items() if methods and len(own) >= MOST * len(methods)]


def dots(found: Found, places: Sequence[tuple[str, str]], core: Sequence[tuple[str, str]] | None = None) -> list[Dot]:
    """Every method over the requests ``core``, else those that most methods have; doing nothing first, then by gap."""
    result = []
    core = compared_on(found, places) if core is None else core
    rows = {place: tables.rows_of(found, *place) for place in core}
    scored = {place: _scored(own) for place, own in rows.items()}
    for method in dict.fromkeys(name for own in scored.values() for name in own):
        have = [place for place in core if method in scored[place]]
        gaps = [over(scored[place][method]).mean for place in have]
        shares = [list(share_of_retraining(rows[place], scored[place][method]).values()) for place in have]
        costs = [sum(own) / len(own) for own in shares if own]
        if costs:
            level = scored[have[0]][method].level
            missing, seeds = len(core) - len(have), min(len(scored[place][method].values(gap)) for place in have)
            result.append(Dot(method, level, sum(gaps) / len(gaps), sum(costs) / len(costs), len(have), missing, seeds))
    return sorted(result, key=lambda dot: (dot.method != ORIGINAL, dot.gap))


def named(own: list[Dot]) -> dict[str, str]:
    """The methods that have a name in the picture: LAF, LAF+R, our own, and of the others the nearest without labels and at all,
    where they are nearer than doing nothing.
    """
    found = {dot.method: method_name(dot.method) for dot in own if dot.method in NAMED}
    nothing = next((dot.gap for dot in own if dot.method == ORIGINAL), float("inf"))
    others = [dot for dot in own if dot.method not in (*found, *REFERENCES) and not dot.missing and dot.gap < nothing]
    for kind in ([dot for dot in others if dot.free], others):
        if kind:
            best = min(kind, key=lambda dot: dot.gap).method
            found[best] = method_name(best).replace(" (ours)", "")
    return found


def hover(dot: Dot) -> str:
    """What a dot says when it is pointed at."""
    some = f", {dot.count} of {dot.count + dot.missing} requests" if dot.missing else ""
    some += ", one seed" if dot.seeds == 1 else ""
    return f"{method_name(dot.method)}: gap {dot.gap:.2f}, cost {100 * dot.cost:.0f} %, labels: {LEVELS_SAID[dot.level]}{some}"


def _mark(axis: Axes, dot: Dot, name: str | None) -> Notes:
    """Draw a dot; its name, and where that may stand."""
    colour = COLOURS[dot.level] if name else GREY
    axis.plot(
        dot.cost, dot.gap, MARKS[dot.level], color=colour, markersize=8 if name else 6, alpha=0.9, gid=hover(dot),
        markerfacecolor="white" if dot.missing else colour, zorder=4 if name else 3,
    )
    if not name:
        return []
    bold = "bold" if dot.method in NAMED else "normal"
    note = axis.annotate(name, (dot.cost, dot.gap), (8, -4), color=colour, zorder=5, fontweight=bold, **TEXT)
    return [(note, around((dot.cost, dot.gap)))]


def _references(axis: Axes, own: list[Dot], ends: tuple[float, float]) -> Notes:
    """Doing nothing as a line, the noise floor as a band, retraining's cost as another line; their words."""
    notes: Notes = []
    sides = [(end, dx, ha) for end, dx, ha in zip(ends, (4, -4), ("left", "right"), strict=True)]
    nothing = next((dot for dot in own if dot.method == ORIGINAL), None)
    floor = next((dot for dot in own if dot.method == AGAIN), None)
    if nothing:
        axis.axhline(nothing.gap, color="black", linewidth=1, linestyle="--", zorder=1)
        note = axis.annotate(f"doing nothing: {nothing.gap:.1f}, free", (ends[0], nothing.gap), (4, -3), **TEXT)
        ways = ((-3, "top"), (3, "bottom"), (-16, "top"), (16, "bottom"))
        notes.append((note, [Place((x, nothing.gap), (dx, dy), ha, va) for x, dx, ha in sides for dy, va in ways]))
    if floor:
        axis.axhspan(0, floor.gap, color=BAND, zorder=0)
        note = axis.annotate(f"a second retrained model: {floor.gap:.2f}", (ends[0], 0), (4, 4), **TEXT)
        notes.append((note, [Place((x, y), (dx, 4), ha) for y in (0, floor.gap) for x, dx, ha in sides]))
    axis.axvline(1, color="black", linewidth=0.8, linestyle=":", zorder=1)
    axis.annotate("as expensive as retraining", (1, 100), (-4, -8), ha="right", **TEXT)
    return notes


def _panel(axis: Axes, own: list[Dot]) -> Notes:
    """Draw a panel; its words, which find their place once the layout is known."""
    methods, names = [dot for dot in own if dot.method not in REFERENCES], named(own)
    ends = FLOOR * min(dot.cost for dot in methods), max(4.0, 5 * max(dot.cost for dot in methods))
    references = _references(axis, own, ends)
    notes = [note for dot in methods for note in _mark(axis, dot, names.get(dot.method))]
    axis.set_xscale("log")
    style.gap_scale(axis, "y", GAPS)
    axis.set(xlim=ends, ylim=(0, 130))
    axis.set_ylabel("gap to retraining (points)")
    costs = [tick for tick in COSTS if tick >= ends[0]]
    axis.set_xticks(costs, [f"{100 * tick:g} %" for tick in costs])
    axis.minorticks_off()
    return notes + references


def _marks(axis: Axes, own: list[Dot]) -> list[Bbox]:
    """What words must not cover: the marks, and the line of doing nothing; pixels."""
    reach = MARK * axis.figure.get_dpi() / 72
    at = {dot.method: axis.transData.transform((max(dot.cost, 1e-9), dot.gap)) for dot in own}
    boxes = [Bbox([at[d.method] - reach, at[d.method] + reach]) for d in own if d.method not in REFERENCES]
    frame, lines = axis.get_window_extent(), [at[dot.method][1] for dot in own if dot.method == ORIGINAL]
    return boxes + [Bbox([(frame.x0, y - reach / 2), (frame.x1, y + reach / 2)]) for y in lines]


@style.styled
def figure(panels: dict[str, list[Dot]]) -> Figure:
    """Gap against cost, a mark for each method.

    Args:
        panels: title to the dots of a panel; one without a method beside the references is left out.

    Raises:
        ValueError: no method beside the references in any.
    """
    kept = {title: own for title, own in panels.items() if any(dot.method not in REFERENCES for dot in own)}
    if not kept:
        raise ValueError("no method beside the references: nothing to draw")
    result, axes = style.plt.subplots(len(kept), 1, figsize=(WIDTH, HEIGHT * len(kept)), squeeze=False)
    notes = [_panel(axis, own) for axis, own in zip(axes[:, 0], kept.values(), strict=True)]
    for axis, title in zip(axes[:, 0], kept, strict=True):
        axis.set_title(title)
    axes[-1, 0].set_xlabel("cost: image passes as a share of retraining's")
    handles = [
        style.plt.Line2D([], [], marker=mark, linestyle="", color=COLOURS[level], label=f"labels: {LEVELS_SAID[level]}")
        for level, mark in MARKS.items()
    ]
    result.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=9, handletextpad=0.1)
    if len(kept) > 1:
        cast(ConstrainedLayoutEngine, result.get_layout_engine()).set(h_pad=0.1)  # inches: titles keep clear of numbers
    result.draw_without_rendering()
    for axis, own, words in zip(axes[:, 0], kept.values(), notes, strict=True):
        settle(axis, words, _marks(axis, own))
    return result


def cure(found: Found, places: Sequence[tuple[str, str]]) -> str:
    """Which method that reads no label is nearer than LAF for half of its cost or less, the nearest of them; empty for none.

    Chosen among the dots of the picture; what is said of it is over every request that it and LAF both have.
    """
    own = dots(found, places)
    laf = next((dot for dot in own if dot.method == "laf"), None)
    fit = [d for d in own if d.free and d.method not in REFERENCES and not d.missing and laf and d.gap < laf.gap]
    near = min((dot for dot in fit if laf and dot.cost <= laf.cost / 2), key=lambda dot: dot.gap, default=None)
    if near is None or laf is None:
        return ""
    both = [place for place, rows in _rows(found, places).items() if {near.method, laf.method} <= _scored(rows).keys()]
    near, laf = (next(d for d in dots(found, places, both) if d.method == name) for name in (near.method, laf.method))
    over_what = f"means of {near.count} request{'s' * (near.count > 1)}"
    least = min(near.seeds, laf.seeds)
    seeds = "; **one training seed**, so no claim yet" if least == 1 else f"; {least} training seeds or more"
    return (
        f"Nearer without a label and for less: **{method_name(near.method)}**, {near.gap:.2f} points from retraining for "
        f"{100 * near.cost:.0f} % of its passes, where LAF is at {laf.gap:.2f} for {100 * laf.cost:.0f} % ({over_what}{seeds})."
    )


def by_task(found: Found, places: Sequence[tuple[str, str]]) -> dict[str, list[Dot]]:
    """The dots of each task over its requests."""
    return {title: dots(found, [place for place in places if place[1] == task]) for task, title in TASK_NAMES.items()}


def table(own: list[Dot]) -> pd.DataFrame:
    """The numbers of the dots, the second retrained model's among them."""
    rows = {}
    for dot in own:
        of = dot.count + dot.missing
        labels = "\u2013" if dot.method == ORIGINAL else LEVELS_SAID[dot.level]
        values = (f"{dot.gap:.2f}", f"{100 * dot.cost:.0f}\u00a0%", labels, f"{dot.count} of {of}", str(dot.seeds))
        rows[NOTHING if dot.method == ORIGINAL else method_name(dot.method)] = dict(zip(COLUMNS, values, strict=True))
    return pd.DataFrame.from_dict(rows, orient="index")


def exhibit(found: Found, places: Sequence[tuple[str, str]]) -> Exhibit:
    """The picture, its numbers folded below it; a note where there is nothing to compare."""
    own = dots(found, places)
    if not [dot for dot in own if dot.method not in REFERENCES]:
        return Exhibit(NAME, TITLE, NOTHING_YET, pd.DataFrame())
    core = "; ".join(title_of(*place) for place in compared_on(found, places))
    about, said = caption("frontier", count=str(len(compared_on(found, places)))), tuple(filter(None, [cure(found, places)]))
    return Exhibit(
        NAME, TITLE, about, pd.DataFrame(), said, lambda: figure({"": own}), caption("frontier, picture"),
        detail=caption("frontier, detail", requests=core), full=table(own),
    )


def choices(found: Found, places: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """For each task and what is known of labels: the method with the smallest mean gap, beside doing nothing.

    Of methods that have every compared request of the task and read no more than these labels; chosen on these very numbers.
    Retraining where the best is not nearer than doing nothing by more than the noise floor, or costs as much as retraining.
    """
    rows, levels = {}, list(LEVELS_SAID)
    for title, own in by_task(found, places).items():
        nothing, floor = (next((dot for dot in own if dot.method == name), None) for name in (ORIGINAL, AGAIN))
        for level, words in LEVELS_SAID.items():
            known = levels[: levels.index(level) + 1]
            fit = [dot for dot in own if dot.method not in REFERENCES and dot.level in known and not dot.missing]
            if not any(dot.level == level for dot in fit) or nothing is None:
                continue
            best = min(fit, key=lambda dot: dot.gap)
            far = best.gap + (floor.gap if floor else 0.0) >= nothing.gap
            name = method_name(best.method)
            take = f"retrain; {name} comes next" if far or 100 * best.cost >= DEAR else name
            values = (take, f"{best.gap:.2f}", f"{nothing.gap:.2f}", f"{100 * best.cost:.0f}\u00a0%", str(best.seeds))
            rows[f"{title}, labels: {words}"] = dict(zip(CHOSEN, values, strict=True))
    return pd.DataFrame.from_dict(rows, orient="index")
