"""Sentences under a table, computed from its records: each claim with its number and its interval over seeds.

Two rows are compared over the seeds that both have. Where the interval of the difference holds zero, or a difference of one seed,
which has no interval, is no larger than the noise floor, they cannot be told apart, and that is said.
"""

from ...experiments.cells import AGAIN, EXACT, ORIGINAL, REFERENCES, RETRAIN
from ..base.reading import DEFAULTS, Group, chance, difference, gap, metric, over, pick
from ..base.words import name_of, points_text, verdict_text, within_noise

LEVEL_WORDS = {"none": "without any label", "all": "with all labels"}


def nearest(rows: list[Group], level: str, besides: tuple[str, ...] = ("laf",)) -> tuple[Group, int] | None:
    """The approximate method of a level of label access with the smallest mean gap at published settings, and of how many."""
    skipped = (*REFERENCES, *EXACT, *besides)
    scored = [g for g in rows if g.choice == DEFAULTS and g.level == level and g.method not in skipped and g.values(gap)]
    return (min(scored, key=lambda g: over(g).mean), len(scored)) if scored else None


def floor_sentence(rows: list[Group], where: str) -> str | None:
    """LAF's gap beside that of a second retrained model, the noise floor."""
    laf, again = pick(rows, "laf"), pick(rows, AGAIN)
    if over(laf) is None:
        return None
    said = f"{where}, LAF's mean gap to the retrained model is {points_text(over(laf))}"
    beyond = difference(laf, again)
    if beyond is None:
        return f"{said}; no second retrained model is on record beside it, so the noise floor is unknown."
    floor = over(again)
    said += f"; a second retrained model's is {points_text(floor)}"
    if within_noise(beyond):
        near = abs(beyond.mean) <= floor.mean  # a wide interval alone puts nothing within the floor
        left = "LAF lies within the noise floor" if near else "whether LAF reaches the noise floor, so few seeds do not tell"
        return f"{said}. The two {verdict_text(beyond)}: {left}."
    return f"{said}. LAF is {verdict_text(beyond, than='that noise floor')}."


def beside_nothing(rows: list[Group]) -> str | None:
    """LAF against doing nothing: the original as it is."""
    laf, original, floor = pick(rows, "laf"), pick(rows, ORIGINAL), over(pick(rows, AGAIN))
    apart = difference(laf, original)
    if apart is None:
        return None
    said = f"Doing nothing, that is Original, has a gap of {points_text(over(original))}"
    if within_noise(apart, floor):
        return f"{said}; LAF and it {verdict_text(apart, floor)}."
    return f"{said}; LAF is {'**worse than doing nothing**: ' if apart.mean > 0 else ''}{verdict_text(apart, floor)}."


def against(rows: list[Group], level: str) -> str | None:
    """LAF against the nearest method of a level of label access."""
    laf, found, floor = pick(rows, "laf"), nearest(rows, level), over(pick(rows, AGAIN))
    apart = difference(laf, found[0]) if found else None
    if apart is None:
        return None
    other, count = found
    which = f"the nearest of {count} approximate methods is" if count > 1 else "the only approximate method on record is"
    said = f"{LEVEL_WORDS[level].capitalize()} {which} {name_of(other)}, with a gap of {points_text(over(other))}"
    if within_noise(apart, floor):
        return f"{said}; LAF and it {verdict_text(apart, floor)}."
    return f"{said}; LAF is {'worse' if apart.mean > 0 else 'better'}: {verdict_text(apart, floor)}."


def repaired(rows: list[Group]) -> str | None:
    """What the repair with labels of D_r changes."""
    laf, own, floor = pick(rows, "laf"), pick(rows, "laf_r"), over(pick(rows, AGAIN))
    apart = difference(own, laf)
    if apart is None:
        return None
    said = f"LAF+R, which reads labels of D_r, has a gap of {points_text(over(own))}"
    if within_noise(apart, floor):
        return f"{said}; it and LAF {verdict_text(apart, floor)}."
    return f"{said}; it is {verdict_text(apart, floor, 'LAF')}."


def attacked(rows: list[Group]) -> str | None:
    """What the published attack scores on LAF and on the retrained model."""
    own, goal, level = (over(pick(rows, m), v) for m, v in (("laf", metric("asr")), (RETRAIN, metric("asr")), ("laf", chance)))
    if own is None or goal is None:
        return None
    always = f"; always answering “member” scores {level.mean:.1f} %" if level else ""
    both = f"{points_text(own, '%', 1)} on LAF and {points_text(goal, '%', 1)} on the retrained model"
    return f"The published attack scores {both}{always}."


def diverged(rows: list[Group]) -> str | None:
    """Which methods diverged, on how many of their seeds."""
    failed = [(g, len(g.records) - len(g.good)) for g in rows if len(g.good) < len(g.records)]
    named = "; ".join(f"{name_of(g)} ({n} of {len(g.records)} seed{'s' if len(g.records) > 1 else ''})" for g, n in failed)
    return f"Diverged, and counted in no mean: {named}." if named else None


def readings(rows: list[Group], where: str) -> tuple[str, ...]:
    """All sentences of a table.

    Args:
        where: how the first one begins, e.g. ``On MNIST, class removal``.
    """
    compared = [floor_sentence(rows, where), beside_nothing(rows), against(rows, "none"), against(rows, "all"), repaired(rows)]
    return tuple(filter(None, [*compared, attacked(rows), diverged(rows)]))
