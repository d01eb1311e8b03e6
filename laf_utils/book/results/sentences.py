"""Sentences under a table, computed from its records: each claim with its number and its interval over seeds.

Doing nothing comes first. Two rows are compared over the seeds that both have; one seed makes no claim. The comparisons of a
table are corrected for being several (Holm), and the nearest of several methods is chosen on other seeds than it is compared on:
chosen and compared on the same numbers, the luckiest of equal ones would look nearer.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ...audit import interval
from ...audit.statistics import Interval, holm
from ...experiments.cells import AGAIN, EXACT, ORIGINAL, REFERENCES, RETRAIN
from ..base import reading
from ..base.reading import DEFAULTS, Group, MaybeNone, collapsed, difference, gap, metric, over, pick, ranked
from ..base.words import name_of, short_points, verdict_text, within_noise

LEVEL_WORDS = {"none": "without any label", "all": "with all labels"}
DEAR = 99.0  # percent of retraining's passes from which nothing is saved


@dataclass(frozen=True)
class Said:
    """One comparison: its difference, and the sentence that it makes once its p is corrected for the others."""

    apart: Interval | None  # ``None`` where there is nothing to compare, and the sentence is no comparison
    text: Callable[[float | None], str]


def candidates(rows: list[Group], level: str) -> list[Group]:
    """Approximate methods of a level of label access at published settings that have numbers, are ranked and did not collapse."""
    skipped = (*REFERENCES, *EXACT, "laf")
    own = [g for g in rows if g.choice == DEFAULTS and g.level == level and g.method not in skipped and g.values(gap)]
    return [group for group in own if ranked(group) and not collapsed(group)]


def nearest(rows: list[Group], level: str) -> tuple[Group, int] | None:
    """The approximate method of a level of label access with the smallest mean gap at published settings, and of how many.

    It describes: what was chosen for being small is smaller than it would be on other seeds. ``against_nearest`` compares.
    """
    scored = candidates(rows, level)
    return (min(scored, key=lambda g: over(g).mean), len(scored)) if scored else None


def against_nearest(rows: list[Group], level: str) -> Interval | None:
    """LAF's gap less that of the nearest method of a level over seeds, chosen anew for each seed on the other seeds alone.

    ``None`` where there are fewer than two seeds to choose and compare on, or where the nearest of all is none that could be
    chosen, because it has fewer.
    """
    laf, first = pick(rows, "laf"), nearest(rows, level)
    goal = laf.values(gap) if laf else {}
    if first is None or len(goal.keys() & first[0].values(gap).keys()) < 2:
        return None
    others = {name_of(g): g.values(gap) for g in candidates(rows, level)}
    found = []
    for seed, own in goal.items():
        means = {
            name: sum(rest) / len(rest) for name, values in others.items()
            if seed in values and (rest := [value for other, value in values.items() if other != seed])
        }
        if means:
            found.append(own - others[min(means, key=means.__getitem__)][seed])
    return interval(found) if len(found) > 1 else None


def _pair(
    apart: Interval | MaybeNone, floor: Interval | None, said: str, alike: str, other: str, than: str = ""
) -> Said | None:
    """Two rows of which the second is what the first is held against: ``alike`` where noise may do it, ``other`` where not."""
    def text(p: float | None) -> str:
        words = alike if within_noise(apart, p) else other
        return f"{said}; {words} {verdict_text(apart, floor, '' if words is alike else than, p=p)}."

    return None if apart is None else Said(apart, text)


def _beside_nothing(rows: list[Group], where: str) -> Said | None:
    laf, original, floor = pick(rows, "laf"), pick(rows, ORIGINAL), over(pick(rows, AGAIN))
    apart = difference(laf, original)
    worse = " **worse than doing nothing**:" if apart and apart.mean > 0 else ""
    said = f"{where}, doing nothing leaves a gap of {short_points(over(original))}" if apart else ""
    return _pair(apart, floor, said, "LAF and it", f"LAF is{worse}")


def _floor(rows: list[Group], where: str) -> Said | None:
    laf, again = pick(rows, "laf"), pick(rows, AGAIN)
    if over(laf) is None:
        return None
    said, beyond = f"LAF's gap is {short_points(over(laf))}", difference(laf, again)
    if beyond is None:
        unknown = f"{said}; no second retrained model is on record beside it, so the noise floor is unknown."
        return Said(None, lambda _: unknown)
    floor = over(again)
    said += f", a second retrained model's {short_points(floor)}"

    def text(p: float | None) -> str:
        if beyond.count == 1:
            return f"{said}. The two {verdict_text(beyond)}."
        if within_noise(beyond, p=p):
            near = abs(beyond.mean) <= floor.mean  # a wide interval alone puts nothing within the floor
            left = "LAF lies within the noise floor" if near else "so few seeds do not tell whether LAF reaches the noise floor"
            return f"{said}. The two {verdict_text(beyond, p=p)}: {left}."
        return f"{said}. LAF is {verdict_text(beyond, than='that noise floor', p=p)}."

    return Said(beyond, text)


def _searched(rows: list[Group]) -> Said | None:
    """LAF with the settings of the equal search beside the published ones."""
    laf, floor = pick(rows, "laf"), over(pick(rows, AGAIN))
    tuned = next((g for g in rows if g.method == "laf" and not g.variant and g.choice != DEFAULTS), None)
    said = f"With the settings of the equal search LAF's gap is {short_points(over(tuned))}" if over(tuned) else ""
    apart = difference(tuned, laf)
    return _pair(apart, floor, said, "these and its published settings", "that is", "with its published ones")


def _against(rows: list[Group], level: str) -> Said | None:
    laf, found, floor = pick(rows, "laf"), nearest(rows, level), over(pick(rows, AGAIN))
    if found is None or difference(laf, found[0]) is None:
        return None
    other, count = found
    which = f"the nearest of {count} approximate methods is" if count > 1 else "the only approximate method on record is"
    said = f"{LEVEL_WORDS[level].capitalize()} {which} {name_of(other)} ({short_points(over(other))})"
    name, how = ("it", "") if count == 1 else ("the nearest", "chosen on other seeds than it is compared on: ")
    apart = difference(laf, other) if count == 1 else against_nearest(rows, level)
    if apart is None:
        alone = f"{said}: no claim, since on so few seeds the luckiest of {count} looks nearest."
        return Said(None, lambda _: alone)

    return _pair(apart, floor, said, f"{how}LAF and {name}", f"{how}LAF is {'worse' if apart.mean > 0 else 'better'},")


def _repaired(rows: list[Group]) -> Said | None:
    laf, own, floor = pick(rows, "laf"), pick(rows, "laf_r"), over(pick(rows, AGAIN))
    apart = difference(own, laf)
    said = f"LAF+R, which reads labels of D_r, has a gap of {short_points(over(own))}" if apart else ""
    return _pair(apart, floor, said, "it and LAF", "it is", "LAF")


def _corrected(asked: list[Said]) -> list[str]:
    """The sentences, their comparisons corrected for one another (the results page says that they are)."""
    tested = [said for said in asked if said.apart and said.apart.count > 1]
    ps = dict(zip(map(id, tested), holm([said.apart.p for said in tested if said.apart]), strict=True))
    return [said.text(ps.get(id(said))) for said in asked]


def attacked(rows: list[Group]) -> str | None:
    """What the published attack scores on LAF and on the retrained model, and whether it has any power here."""
    own, goal, nothing, level = (over(pick(rows, m), v) for m, v in (
        ("laf", metric("asr")), (RETRAIN, metric("asr")), (ORIGINAL, metric("asr")), ("laf", reading.chance),
    ))
    if own is None or goal is None:
        return None
    if level and all(each is None or each.mean < level.mean for each in (own, goal, nothing)):
        of = "doing nothing, LAF or the retrained model" if nothing else "LAF or the retrained model"
        always = f"always answering “member” ({level.mean:.1f} %) scores more"
        return f"The published success rate has **no power** here: {always} than the attack does on {of}."
    first = f"{nothing.mean:.1f} % after doing nothing, " if nothing else ""
    always = f"; always answering “member” scores {level.mean:.1f} %" if level else ""
    return f"The published attack scores {first}{own.mean:.1f} % on LAF and {goal.mean:.1f} % on the retrained model{always}."


def cost(rows: list[Group]) -> str | None:
    """What LAF takes of retraining's image passes, and whether that saves any."""
    share = reading.share_of_retraining(rows, pick(rows, "laf"))
    if share is None:
        return None
    dear = ": **no cheaper than retraining**" if 100 * share >= DEAR else ""
    return f"LAF takes {100 * share:.1f} % of retraining's image passes{dear}."


def elsewhere(rows: list[Group]) -> str | None:
    """How many rows were scored against another retrained model than the row Retrained shows, or nobody knows against which."""
    marks = [reading.reference_mark(rows, group) for group in rows]
    said = [
        f"{mark}: scored against {what} retrained model than the row Retrained ({marks.count(mark)} of {len(rows)} rows)."
        for mark, what in ((reading.OTHER, "another"), (reading.UNKNOWN, "perhaps another")) if mark in marks
    ]
    return " ".join(said) or None


def diverged(rows: list[Group]) -> str | None:
    """Which methods diverged, on how many of their seeds."""
    failed = [(g, len(g.records) - len(g.good)) for g in rows if len(g.good) < len(g.records)]
    named = "; ".join(f"{name_of(g)} ({n} of {len(g.records)} seed{'s' if len(g.records) > 1 else ''})" for g, n in failed)
    return f"Diverged, and counted in no mean: {named}." if named else None


def broken(rows: list[Group]) -> str | None:
    """Which methods answer what they should keep no better than one answer to everything would."""
    named = "; ".join(name_of(group) for group in rows if collapsed(group))
    return f"Collapsed (below {reading.COLLAPSED:.0f} % on D_r), and compared with nothing: {named}." if named else None


def readings(rows: list[Group], where: str) -> tuple[str, ...]:
    """All sentences of a table, doing nothing first.

    Args:
        where: how the first sentences begin, e.g. ``On MNIST, class removal``.
    """
    asked = [
        _beside_nothing(rows, where), _floor(rows, where), _searched(rows), _against(rows, "none"), _against(rows, "all"),
        _repaired(rows),
    ]
    compared = _corrected([said for said in asked if said])
    return tuple(filter(None, [*compared, cost(rows), attacked(rows), elsewhere(rows), diverged(rows), broken(rows)]))
