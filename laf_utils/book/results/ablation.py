"""LAF without one of its parts: without L_UE, without L_RA, with either half of L_RA alone.

The number is the paired difference of the gap to full LAF over the seeds that both have: what the seed does to both cancels.
"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...experiments.cells import AGAIN, ORIGINAL, RETRAIN
from ..base import reading, style
from ..base.captions import caption
from ..base.reading import Found, Group, difference, gap, over, pick
from ..base.tables import MISSING
from ..base.words import breakable, exploratory, gap_text, method_name, name_of, short_points, verdict_text, within_noise
from .sentences import diverged, elsewhere
from .tables import COST, GAP, LABELS, table

NAME, TITLE, NOTHING = "ablation", "Ablation", "No record of LAF without one of its parts yet."
FIGURE = caption("ablation")
METHOD = "laf"
PARTS = ("without_ue", "without_ra", "ra_retain_only", "ra_forget_only")
BESIDE = (ORIGINAL, RETRAIN, AGAIN, METHOD)
CKA = {"retain": "CKA on D_r", "forget": "CKA on D_f"}
DIFFERENCE = "difference to LAF (95 % interval)"


def rows_of(found: Found, dataset: str, task: str) -> list[Group]:
    """References, full LAF, then LAF without each part, of the seeds that a part was left out with; none where none was."""
    rows = reading.with_variants(found, dataset, task, PARTS, BESIDE)
    # Stable: references stay first.
    return sorted(rows, key=lambda g: PARTS.index(g.variant) if g.variant else -1)


def numbers(rows: list[Group], task: str) -> pd.DataFrame:
    """The table of the rows, with the paired difference to full LAF, and CKA to the retrained model where records have it."""
    result, laf = table(rows, task).drop(columns=[LABELS, COST], errors="ignore"), pick(rows, METHOD)
    apart = {name_of(g): gap_text(difference(g, laf)) if g.variant else MISSING for g in rows}
    result.insert(list(result.columns).index(GAP) + 1, DIFFERENCE, pd.Series(apart))
    for part, column in CKA.items():
        values = {name_of(g): list(g.values(reading.cka(part)).values()) for g in rows}
        if any(values.values()):
            texts = {name: f"{sum(own) / len(own):.3f}" if own else MISSING for name, own in values.items()}
            result.insert(list(result.columns).index("seeds"), column, pd.Series(texts))
    return result.map(breakable)


def readings(rows: list[Group], where: str) -> tuple[str, ...]:
    """One sentence for each part: what leaving it out does."""
    laf, floor = pick(rows, METHOD), over(pick(rows, AGAIN))
    parts = [(group, apart) for group in rows if group.variant and (apart := difference(group, laf))]
    said: list[str] = []
    for group, apart in parts:
        own = f"a gap of {short_points(over(group))}"
        if reading.collapsed(group):
            kept = over(group, reading.metric("train_r")).mean
            words = f"collapses: {kept:.1f} % on D_r, so its {own.removeprefix('a ')} measures damage, not forgetting"
        elif within_noise(apart):
            ends = ": on this request the part is not seen to matter" if apart.count > 1 else ""
            words = f"has {own}; it and full LAF {verdict_text(apart, floor)}{ends}"
        else:
            ends = "" if apart.mean > 0 else ": it does better without"
            words = f"has {own}, {verdict_text(apart, floor, 'full LAF')}{ends}"
        said.append(f"{'' if said else f'{where}: '}{name_of(group)} {words}.")
    tested = sum(apart.count > 1 for _, apart in parts)
    last = exploratory(tested), elsewhere(rows), diverged([group for group in rows if group.variant])
    return (*said, *filter(None, last))


def summary(found: Found, places: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """For each part, in how many requests leaving it out collapses, and in how many it does better than full LAF."""
    rows = [own for place in places if (own := rows_of(found, *place))]
    said = []
    for part in PARTS:
        pairs = [(pick(own, METHOD, part), pick(own, METHOD)) for own in rows]
        pairs = [(without, laf) for without, laf in pairs if difference(without, laf)]
        if not pairs:
            continue
        fell = sum(reading.collapsed(without) for without, _ in pairs)
        nearer = sum(over(without).mean < over(laf).mean for without, laf in pairs)
        words = f"{method_name(METHOD, part)} is nearer to the goal than full LAF in {nearer} of {len(pairs)} requests"
        said.append(words + (f" and collapses in {fell}." if fell else "."))
    return tuple(said)


def _panel(axis: Axes, rows: list[Group]) -> None:
    drawn = [g for g in rows if g.values(gap) and g.method != RETRAIN]
    for place, group in enumerate(drawn):
        colour = style.COLOURS["laf"] if group.method == METHOD else "black"
        style.spread(axis, place, list(group.values(gap).values()), over(group), colour)
    laf = over(pick(rows, METHOD))
    if laf:
        axis.axvline(laf.mean, color=style.COLOURS["laf"], linewidth=0.8, linestyle="--", zorder=0)
    style.gap_scale(axis, "x", (0, 1, 3, 10, 30, 100))
    axis.set_xlim(-0.05, 130)
    style.name_rows(axis, [name_of(g) for g in drawn])


def figure(rows_by_title: dict[str, list[Group]]) -> Figure:
    """One panel per request: the gap of LAF with and without its parts; dots are seeds, bars 95 % intervals."""
    return style.by_request(rows_by_title, _panel, 2.1, 0.4, "gap to retrained (points)")
