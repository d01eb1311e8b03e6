"""Semi-supervised: how near LAF+R comes with few labels, beside baselines that are given the same labels.

A share is a percentage of D_r whose labels may be read. At 100 % stand the plain cells; the retrained model is there at gap zero.
"""

from collections.abc import Iterable

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...audit import interval
from ...audit.statistics import Interval
from ...experiments.cells import AGAIN, ORIGINAL, RETRAIN
from ...support.reading import counted
from ..base import style as figures
from ..base.captions import caption
from ..base.reading import DEFAULTS, Found, Group, difference, gap, groups, over, pick, profile_of, seeds_of_variants
from ..base.words import FEW_NAMES, exploratory, method_name, short_points, verdict_text, within_noise
from .sentences import broken, diverged, elsewhere

NAME, TITLE, NOTHING = "labels", "Few labels", "No record with a share of the labels yet."
FIGURE = caption("labels")
SHARES = (1, 5, 10, 50, 100)
FULL = SHARES[-1]
PSEUDO, BOUNDED = "neggrad_plus_pseudo", FEW_NAMES["neggrad_plus_few"]
# By method: with a share of the labels, and what stands for it with all of them where it has no cell of its own there.
LINES = {
    "LAF+R": ("laf_r", "laf_r"), "Retrain": ("retrain_few", RETRAIN), "SCRUB": ("scrub_few", "scrub"),
    BOUNDED: ("neggrad_plus_few", PSEUDO),
}
COLOURS = {"LAF+R": "#0072B2", "Retrain": "#000000", "SCRUB": "#6a3d9a", BOUNDED: "#009E73"}
MARKS = {"LAF+R": "o", "Retrain": "D", "SCRUB": "s", BOUNDED: "^"}
FLAT = {  # rows that no share moves
    ORIGINAL: ("#7f7f7f", "-"), "laf": ("#D55E00", "--"), "ts": ("#8c6d1f", ":"), AGAIN: ("#7f7f7f", "-."),
}


def variant_of(share: int) -> str:
    """The variant of a share's cells; those of 100 % are plain."""
    return "" if share == FULL else f"labels_{share}"


def lines(rows: list[Group]) -> dict[str, dict[int, Group]]:
    """By method and share, the rows that have numbers."""
    result = {}
    for name, (few, full) in LINES.items():
        own = {share: pick(rows, few, variant_of(share)) for share in SHARES}
        own[FULL] = own[FULL] or pick(rows, full)
        result[name] = {share: group for share, group in own.items() if group and group.values(gap)}
    return {name: own for name, own in result.items() if own}


def _shown(rows: list[Group]) -> list[Group]:
    drawn = {id(group) for line in lines(rows).values() for group in line.values()}
    plain = {*FLAT, ORIGINAL}
    return [g for g in rows if g.choice == DEFAULTS and (g.variant or g.method in plain or id(g) in drawn)]


def _by_share(rows: list[Group]) -> list[Group]:
    """Doing nothing and the rows that no share moves, then each method from few labels to all."""
    ends = [full for _, full in LINES.values()]
    place = {few: number for number, (few, _) in enumerate(LINES.values())} | {full: n for n, full in enumerate(ends)}

    def order(group: Group) -> tuple:
        share = int(group.variant.rpartition("_")[2]) if group.variant else FULL
        return place.get(group.method, -1), share

    return sorted(_shown(rows), key=order)


def _usable(others: dict[str, Group], nothing: Group | None) -> dict[str, Group]:
    """Baselines that are no farther than doing nothing: against one that is, every method looks good."""
    limit = over(nothing)
    return {name: g for name, g in others.items() if limit is None or over(g).mean <= limit.mean}


def _beside_baselines(own: Group, others: dict[str, Group], usable: dict[str, Group], floor: Interval | None) -> str:
    """LAF+R beside the nearest of the baselines that were given the same labels."""
    if not others:
        return ""
    if not usable:
        one = " (one seed)" if any(over(group).count == 1 for group in others.values()) else ""
        come = f"come{'s' * (len(others) == 1)}"
        return f"; {' and '.join(others)} with these labels {come} no nearer than doing nothing{one}"
    name = min(usable, key=lambda n: over(usable[n]).mean)
    apart = difference(own, usable[name])
    said = f"; the nearest baseline with the same, chosen on these numbers, is {name} with {short_points(over(usable[name]))}"
    if apart.count == 1:
        return f"{said} (one seed, no claim)"
    return f"{said}: LAF+R {'and it' if within_noise(apart) else 'is'} {verdict_text(apart, floor)}"


def readings(rows: list[Group], where: str) -> tuple[str, ...]:
    """Doing nothing, then for each share LAF+R beside the nearest baseline with the same labels, and beside LAF without any."""
    drawn, laf, nothing, floor, said = lines(rows), pick(rows, "laf"), pick(rows, ORIGINAL), over(pick(rows, AGAIN)), []
    start = f"{where}, doing nothing leaves a gap of {short_points(over(nothing))}." if over(nothing) else None
    for share in SHARES:
        own = drawn.get("LAF+R", {}).get(share)
        if own is None:
            continue
        others = {name: line[share] for name, line in drawn.items() if name != "LAF+R" and share in line}
        others = {name: g for name, g in others.items() if g.method != RETRAIN and g.level != "none" and difference(own, g)}
        words = f"With {share} % of the labels LAF+R has a gap of {short_points(over(own))}"
        said.append(words + _beside_baselines(own, others, _usable(others, nothing), floor) + ".")
    first = min(drawn.get("LAF+R", {}), default=None)
    apart = difference(drawn["LAF+R"][first], laf) if first else None
    if apart:
        free, same = "LAF without any label", within_noise(apart)
        way = f"and {free} {verdict_text(apart, floor)}" if same else f"is {verdict_text(apart, floor, free)}"
        said.append(f"LAF+R with {first} % of the labels {way}.")
    variants = [group for group in rows if group.variant]
    several = len(said) if any(len(g.values(gap)) > 1 for g in drawn.get("LAF+R", {}).values()) else 0
    ends = exploratory(several), elsewhere(rows), diverged(variants), broken(variants)
    return tuple(filter(None, (start, *said, *ends)))


def _panel(axis: Axes, rows: list[Group]) -> None:
    for method, (colour, style) in FLAT.items():
        own = over(pick(rows, method))
        if own:
            axis.axhline(own.mean, color=colour, linestyle=style, linewidth=1.3, label=method_name(method), zorder=1)
    for name, line in lines(rows).items():
        spread = {share: interval(list(group.values(gap).values())) for share, group in line.items()}
        shares, means = list(spread), [own.mean for own in spread.values()]
        half = [own.std if own.count > 1 else 0.0 for own in spread.values()]
        axis.plot(shares, means, color=COLOURS[name], marker=MARKS[name], markersize=5, linewidth=1.5, label=name)
        low, high = ([max(m + sign * h, 0) for m, h in zip(means, half, strict=True)] for sign in (-1, 1))
        axis.fill_between(shares, low, high, color=COLOURS[name], alpha=0.15, linewidth=0)
    axis.set_xscale("log")
    axis.set_xticks(SHARES, list(map(str, SHARES)))
    figures.gap_scale(axis, "y", (0, 0.5, 1, 3, 10, 30, 100))
    axis.set(xlim=(0.85, 118), ylim=(-0.05, 150), ylabel="gap to retrained (points)")


@figures.styled
def figure(rows_by_title: dict[str, list[Group]]) -> Figure:
    """One panel per request: gap against the share of labels, bands of one standard deviation over seeds."""
    count = len(rows_by_title)
    result, axes = figures.plt.subplots(count, 1, figsize=(figures.NARROW, 2.6 * count + 1.0), squeeze=False, sharex=True)
    for axis, (title, rows) in zip(axes[:, 0], rows_by_title.items(), strict=True):
        _panel(axis, rows)
        axis.set_title(title)
    axes[-1, 0].set_xlabel("labels of the kept images that may be read (%)")
    handles: dict[str, Artist] = {}
    for axis in axes[:, 0]:
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    result.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=3, fontsize=8.5)
    return result


def rows_of(found: Found, dataset: str, task: str) -> list[Group]:
    """The rows of the exhibit: cells with a share of the labels, and the plain ones of their seeds; none without the former."""
    few = tuple(map(variant_of, SHARES))
    profile = profile_of(found, dataset, task, {*few} - {""})
    rows = groups(found, dataset, task, profile, few) if profile else []
    return _by_share(seeds_of_variants(rows))


def summary(found: Found, places: Iterable[tuple[str, str]]) -> str:
    """Mean gaps over requests: of LAF+R with the fewest labels and with all, of LAF without any, and of doing nothing."""
    means = []
    for place in places:
        rows = rows_of(found, *place)
        few = [over(pick(rows, "laf_r", variant_of(share))) for share in (SHARES[0], FULL)]
        own = [*few, over(pick(rows, "laf")), over(pick(rows, ORIGINAL))]
        if all(own):
            means.append([each.mean for each in own])
    if not means:
        return NOTHING
    least, full, free, nothing = (sum(column) / len(means) for column in zip(*means, strict=True))
    return (
        f"Over {counted(len(means), 'request')} LAF+R's mean gap is **{least:.2f} points with {SHARES[0]} % of the labels and "
        f"{full:.2f} with all of them**; LAF without any has {free:.2f}, doing nothing {nothing:.2f}. That describes these runs; "
        "what can be claimed stands below."
    )
