"""What the tables say together: paired differences of gaps, one row for each request, then their mean over the requests.

A request is a data set and a task. Its number is the mean over its training seeds, so that one with more seeds weighs no more.
Requests of one data set share its images, so they are no independent units: what is claimed rests on data sets, three or more,
whose number is the mean of their requests, with Student's interval over the few of them; that over requests stands beside it. The
comparisons of one exhibit are corrected for being several (Holm).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from ...audit import interval
from ...audit.statistics import Interval, holm
from ...experiments.cells import AGAIN, ORIGINAL
from ..base import style
from ..base.captions import caption
from ..base.exhibit import Exhibit
from ..base.reading import Found, Group, difference, grouped, over, pick, profile_of
from ..base.words import LEVEL, breakable, gap_text, mark_of, method_name, title_of, within_noise
from . import ablation, labels, tables
from .sentences import LEVEL_WORDS, against_nearest

MEAN = "mean over {} {} (95 % interval)"
NOTHING = "No record of two rows to compare yet."
TITLE = "Over all requests"
LEAST = 3  # data sets before a claim over data sets; two have intervals twelve times their deviation
NEARER = "#0072B2"
FREE = {ORIGINAL: "doing nothing", "laf": "LAF"}  # what no share of labels moves, and how columns call it
TICKS = (-100, -30, -10, -3, -1, 0, 1, 3, 10, 30, 100)


@dataclass(frozen=True)
class Comparison:
    """One column: a first row against a second, in every request that has both."""

    column: str  # its heading
    first: str  # what they are called in the sentence
    second: str  # likewise
    # the paired difference first - second among a request's rows, ``None`` where it lacks one of them
    of: Callable[[list[Group]], Interval | None]


@dataclass(frozen=True)
class Together:
    """A comparison over requests."""

    requests: list[float]  # one difference for each, the mean over its seeds
    sets: list[float]  # one for each data set, the mean over its requests
    p: float | None = None  # of the mean over data sets, corrected for the comparisons beside it

    @property
    def claims(self) -> bool:
        """Whether it says who is nearer, on enough data sets."""
        return len(self.sets) >= LEAST and not within_noise(interval(self.sets), p=self.p)


def together(found: dict[str, Interval], sets: dict[str, str]) -> Together:
    """Of the differences by title of the request, and the data set of each."""
    by_set = grouped(found, lambda title: sets[title])
    means = [sum(found[title].mean for title in own) / len(own) for own in by_set.values()]
    return Together([apart.mean for apart in found.values()], means)


def sentence(own: Comparison, found: Together) -> str:
    """In how many requests the first is nearer (farther, where it is so on average) and by how much; the table has intervals."""
    mean, count = interval(found.requests).mean, len(found.requests)
    way, sign = ("farther", 1) if mean > 0 else ("nearer", -1)
    times = f"in {sum(sign * each > 0 for each in found.requests)} of {count} requests" if count > 1 else "in the one request"
    return f"{own.first} is {way} than {own.second} {times}, by {abs(mean):.2f} points{' on average' if count > 1 else ''}."


def weighed(found: Together) -> str:
    """What a comparison's mean over data sets is worth."""
    count = len(found.sets)
    if count < LEAST:
        return f"{count} data set{' is' if count == 1 else 's are'} too few for a claim."
    if found.claims:
        return f"Over {count} data sets that is **more than chance**."
    p = f" (p = {found.p:.2f}, corrected)" if found.p is not None and found.p >= LEVEL else ""
    return f"Over {count} data sets that may be chance{p}."


def sentences(kept: list[Comparison], found: dict[str, Together]) -> tuple[str, ...]:
    """One for each comparison; what they are worth once at the end where it is the same for all."""
    worth = [weighed(found[own.column]) for own in kept]
    said = [sentence(own, found[own.column]) for own in kept]
    if len(kept) > 1 and len(set(worth)) == 1:
        return (*said, worth[0])
    return tuple(f"{first} {second}" for first, second in zip(said, worth, strict=True))


def _left_out(rows_by_title: dict[str, list[Group]], used: list[str]) -> str:
    """Requests that have records and yet stand in no row: a comparison of what did not diverge must say what did."""
    left = {title: dict.fromkeys(method_name(group.method) for group in rows if not group.good)
            for title, rows in rows_by_title.items() if rows and title not in used}
    said = [title + (f" ({', '.join(failed)} diverged)" if failed else "") for title, failed in left.items()]
    return f" No such difference on record: {'; '.join(said)}." if said else ""


def exhibit(name: str, title: str, what: str, rows_by_title: dict[str, list[Group]], columns: list[Comparison]) -> Exhibit:
    """The table of some comparisons over requests; a note where no request has any of them."""
    cells = {own.column: {title: apart for title, rows in rows_by_title.items() if (apart := own.of(rows))} for own in columns}
    used = [title for title in rows_by_title if any(title in found for found in cells.values())]
    if not used:
        return Exhibit(name, title, NOTHING)
    kept = [own for own in columns if cells[own.column]]
    sets = {title: rows[0].any["cell"]["dataset"] for title, rows in rows_by_title.items() if rows}
    found = {own.column: together(cells[own.column], sets) for own in kept}
    tested = [column for column, own in found.items() if len(own.sets) >= LEAST]
    for column, p in zip(tested, holm([interval(found[column].sets).p for column in tested]), strict=True):
        found[column] = replace(found[column], p=p)
    table = pd.DataFrame(
        {own.column: {title: breakable(gap_text(cells[own.column].get(title))) for title in used} for own in kept}
    )
    for unit, values in (("requests", "requests"), ("data sets", "sets")):
        means = {column: interval(getattr(own, values)) for column, own in found.items()}
        counts = {mean.count for mean in means.values()}
        table.loc[MEAN.format(counts.pop() if len(counts) == 1 else "the", unit)] = pd.Series(
            {column: breakable(gap_text(mean)) for column, mean in means.items()}
        )
    detail = caption("requests, detail") + _left_out(rows_by_title, used)
    return Exhibit(
        name, title, caption("requests", what=what), table, sentences(kept, found), lambda: figure(found),
        caption("requests, picture", title=title), detail=detail,
    )


@style.styled
def figure(differences: dict[str, Together]) -> Figure:
    """One row for each comparison: a dot for each request, a stroke for the mean over data sets, a bar for its 95 % interval."""
    result, axis = style.plt.subplots(figsize=(style.NARROW, 0.45 * len(differences) + 0.9))
    for place, found in enumerate(differences.values()):
        own = interval(found.sets)
        colour = "0.45" if not found.claims else style.COLOURS["laf"] if own.mean > 0 else NEARER
        style.spread(axis, place, found.requests, own, colour, "black")
    axis.axvline(0, color="black", linewidth=0.8, zorder=0)
    style.gap_scale(axis, "x", TICKS, fontsize=8)
    low, high = axis.dataLim.intervalx
    axis.set_xlim(min(1.5 * low, -style.LINEAR), max(1.5 * high, style.LINEAR))  # of dots and bars
    style.name_rows(axis, list(differences))
    axis.set_xlabel("difference of gaps (points)\nfirst nearer \u2190   \u2192 first farther")
    return result


def _between(first: tuple[str, str], second: tuple[str, str]) -> Callable[[list[Group]], Interval | None]:
    """Between two rows, each a method and a variant."""
    return lambda rows: difference(pick(rows, *first), pick(rows, *second))


def _titled(rows_of: Callable[..., list[Group]], found: Found, places: Sequence[tuple[str, str]]) -> dict[str, list[Group]]:
    """The rows of each request by its title, which says of itself whether it has one seed and a profile other than ``paper``."""
    rows = {place: rows_of(found, *place) for place in places}
    profile = {place: profile_of(found, *place) if rows_of is tables.rows_of else None for place in places}
    return {title_of(*place) + mark_of(profile[place], pick(own, "laf")): own for place, own in rows.items()}


def of_methods(found: Found, places: Sequence[tuple[str, str]]) -> Exhibit:
    """LAF against doing nothing, against the noise floor, against the nearest others; LAF+R against LAF."""
    laf = ("laf", "")
    columns = [
        *(Comparison(f"LAF \u2212 {name}", "LAF", name, _between(laf, (method, "")))
          for method, name in ((ORIGINAL, FREE[ORIGINAL]), (AGAIN, method_name(AGAIN)))),
        *(Comparison(f"LAF \u2212 {name}", "LAF", name, partial(against_nearest, level=level))
          for level in ("none", "all") for name in [f"the nearest {LEVEL_WORDS[level]}"]),
        Comparison("LAF+R \u2212 LAF", "LAF+R", "LAF", _between(("laf_r", ""), laf)),
    ]
    result = exhibit("across", TITLE, "Two methods", _titled(tables.rows_of, found, places), columns)
    return replace(result, detail=f"{result.detail} {caption('requests, chosen')}") if result.readings else result


def of_parts(found: Found, places: Sequence[tuple[str, str]]) -> Exhibit:
    """LAF without each of its parts against full LAF."""
    columns = [
        Comparison(name.removeprefix("LAF, "), name, "full LAF", _between(("laf", part), ("laf", "")))
        for part in ablation.PARTS for name in [method_name("laf", part)]
    ]
    title, what = f"{ablation.TITLE}: {TITLE.lower()}", "LAF without a part and full LAF"
    return exhibit("across-ablation", title, what, _titled(ablation.rows_of, found, places), columns)


def _of_share(share: int, method: str, name: str) -> Comparison:
    """LAF+R with a share of the labels against what reads none, or against a baseline with the same ones."""
    variant, free = labels.variant_of(share), method in FREE
    between = _between(("laf_r", variant), (method, "" if free else variant))

    def of(rows: list[Group]) -> Interval | None:
        # Not against a baseline that is farther than doing nothing: beside that one every method looks good.
        second, nothing = over(pick(rows, method, variant)), over(pick(rows, ORIGINAL))
        return None if not free and second and nothing and second.mean > nothing.mean else between(rows)

    return Comparison(f"{share} %", f"With {share} % of the labels LAF+R", name if free else f"{name} with the same", of)


def of_shares(found: Found, places: Sequence[tuple[str, str]]) -> list[Exhibit]:
    """LAF+R by share of the labels: against doing nothing, against LAF, and against each baseline with the same ones."""
    rows = _titled(labels.rows_of, found, places)
    others = {few: name for name, (few, *_) in labels.LINES.items() if few != "laf_r"}
    return [
        exhibit(
            f"across-labels-{method}", f"{labels.TITLE}, {TITLE.lower()}: LAF+R \u2212 {name}",
            f"LAF+R with a share of the labels and {name} {'without any' if method in FREE else 'with the same labels'}", rows,
            # With all labels the retrained model is the goal, and the others stand in the tables of methods.
            [_of_share(share, method, name) for share in labels.SHARES if method in FREE or share != labels.FULL],
        ) for method, name in {**FREE, **others}.items()
    ]
