"""``relearn`` at other shares of retraining's passes, with a tenth of D_r, with another set's images in place of D_r, and without
each of its parts: gaps by request."""

from collections.abc import Sequence
from typing import TypeAlias

import pandas as pd
from matplotlib.figure import Figure

from ...experiments.cells import AGAIN, ORIGINAL
from ...experiments.variants import VARIANTS
from ...settings.names import DATASET_NAMES, TASK_NAMES
from ..base import style
from ..base.captions import caption
from ..base.exhibit import Exhibit
from ..base.reading import Found, Group, MaybeNone, gap, over, pick, with_variants
from ..base.tables import number
from ..base.words import spread_text

METHOD, OWN = "relearn", "all parts, 10 % of retraining's passes, all of D_r"
BUDGETS = {"passes_2": 2, "passes_5": 5, "": 10, "passes_20": 20}  # percent of retraining's passes
SCALED = "as_sure"  # changes no answer, so no accuracy: it stands with the log-odds
PARTS = tuple(name for name, variant in VARIANTS.items() if variant.method == METHOD and name not in (*BUDGETS, SCALED))
IMAGES = ("retain_10", "other_images")  # variants that change what it learns from
TITLE, NOTHING = "relearn: its budget and its parts", "No record of relearn at another setting yet."
BESIDE = {ORIGINAL: "doing nothing", "laf": "LAF", AGAIN: "a second retrained model"}

Rows: TypeAlias = dict[str, dict[str, Group]]  # by what the row is called, then by request


def _title(variant: str) -> str:
    return VARIANTS[variant].title if variant else OWN


def rows_of(found: Found, places: Sequence[tuple[str, str]]) -> Rows:
    """Every row of the table by request, on the seeds that a variant has; none without a record of a variant."""
    variants, result = (*BUDGETS, *PARTS), Rows()
    for dataset, task in places:
        kept = with_variants(found, dataset, task, [name for name in variants if name], (METHOD, *BESIDE))
        own = {name: pick(kept, method) for method, name in BESIDE.items()}
        own |= {_title(name): pick(kept, METHOD, name) for name in variants}
        for name, group in own.items():
            if group is not None and group.values(gap):
                result.setdefault(name, {})[f"{DATASET_NAMES[dataset]}, {TASK_NAMES[task].split()[0]}"] = group
    order = [*BESIDE.values(), *map(_title, variants)]
    return {name: result[name] for name in order if name in result}


def _shared(rows: Rows) -> list[str]:
    """The requests that every budget on record has, and what stands beside them."""
    own = [rows[name] for name in (*BESIDE.values(), *map(_title, BUDGETS)) if name in rows]
    return [request for request in own[0] if all(request in found for found in own)] if own else []


def mean(rows: Rows, name: str) -> float | MaybeNone:
    """Mean gap of a row over the requests that every budget has, points; ``None`` where it lacks one of them."""
    gaps = [over(rows.get(name, {}).get(request)) for request in _shared(rows)]
    return sum(found.mean for found in gaps) / len(gaps) if gaps and None not in gaps else None


def _by_budget(rows: Rows) -> dict[int, float]:
    """Mean gaps by share of retraining's passes, percent."""
    return {share: found for name, share in BUDGETS.items() if (found := mean(rows, _title(name))) is not None}


def table(rows: Rows) -> pd.DataFrame:
    """One row for each setting: its mean gap, then that of each request."""
    requests = list(dict.fromkeys(request for own in rows.values() for request in own))
    return pd.DataFrame.from_dict({
        name: {
            "mean gap": number(mean(rows, name)), **{request: spread_text(over(own.get(request))) for request in requests},
            "seeds": str(min(len(group.values(gap)) for group in own.values())),
        } for name, own in rows.items()
    }, orient="index")


def _on_other_images(own: float, nothing: float | MaybeNone, laf: float | MaybeNone) -> str:
    """What is left of it without one image of D_r, beside what was there before and what LAF does with D_r."""
    beside = [(name, level) for name, level in ((BESIDE[ORIGINAL], nothing), ("LAF with D_r", laf)) if level is not None]
    ends = " and ".join(f"{name} {level:.2f}" for name, level in beside)
    said = f"Without an image of D_r, taught on another set's as many, it is {own:.2f} points" + (f"; {ends}" if ends else "")
    if nothing is None:
        return said
    return f"{said}. D_r's images {'can' if own < nothing else 'cannot'} be replaced by another set's here"


def sentences(rows: Rows) -> tuple[str, ...]:
    """What a larger budget buys, what a tenth of D_r costs, and which parts carry most; none without a request that all have."""
    own, budgets, said = mean(rows, OWN), _by_budget(rows), []
    if own is None:
        return ()
    least, most = min(budgets), max(budgets)
    if least < most:
        way = "falls" if budgets[most] < budgets[least] else "rises"
        ends = f"from {budgets[least]:.2f} to {budgets[most]:.2f} points"
        said.append(f"From {least} to {most} % of retraining's passes the mean gap {way} {ends}")
    if (tenth := mean(rows, _title("retain_10"))) is not None:
        said.append(f"With a tenth of D_r's images and the same passes it is {tenth:.2f} points, with all of them {own:.2f}")
    if (other := mean(rows, _title("other_images"))) is not None:
        said.append(_on_other_images(other, mean(rows, BESIDE[ORIGINAL]), mean(rows, BESIDE["laf"])))
    names = [_title(name) for name in PARTS if name not in IMAGES and mean(rows, _title(name)) is not None]
    parts = {name: mean(rows, name) - own for name in names}
    floor, by_size = mean(rows, BESIDE[AGAIN]), sorted(parts.items(), key=lambda item: -item[1])
    largest = max(parts, key=lambda name: abs(parts[name]), default="")
    if largest and floor is not None and abs(parts[largest]) <= floor:
        size = f"{abs(parts[largest]):.2f} points"
        said.append(f"Its parts are not seen to matter here: the largest change, {largest}, is {size}, and a second retrained "
                    f"model is {floor:.2f} away from the goal")
        by_size = []
    for name, apart in dict((*by_size[:1], *by_size[-1:])).items():
        way = f"{abs(apart):.2f} points {'farther' if apart > 0 else 'nearer'}"
        said.append(f"Started or taught {name}, it ends {way} on average")
    one = " (one seed, no claim)" if any(len(g.values(gap)) == 1 for found in rows.values() for g in found.values()) else ""
    return tuple(f"{sentence}{one}." for sentence in said)


@style.styled
def figure(rows: Rows) -> Figure:
    """Gap against the share of retraining's passes, a thin line for each request and a thick one for their mean."""
    result, axis = style.plt.subplots(figsize=(style.NARROW, 3.2))
    for request in _shared(rows):
        points = {share: over(rows[_title(name)][request]).mean for name, share in BUDGETS.items() if _title(name) in rows}
        said = f"{request}: {{y:.2f}} points"
        axis.plot(list(points), list(points.values()), "o-", color="0.65", linewidth=1, markersize=3, gid=said)
    whole = _by_budget(rows)
    said, blue = "mean: {y:.2f} points", style.COLOURS["laf_r"]
    axis.plot(list(whole), list(whole.values()), "o-", color=blue, linewidth=2.5, label="relearn, mean", gid=said)
    for name, colour, dash in (("LAF", style.COLOURS["laf"], "--"), ("doing nothing", style.COLOURS["original"], ":")):
        if (level := mean(rows, name)) is not None:
            axis.axhline(level, color=colour, linestyle=dash, linewidth=1.2, label=f"{name}, mean")
    axis.set_xscale("log")
    axis.set_xticks(list(whole), [f"{share} %" for share in whole])
    style.gap_scale(axis, "y", (0, 1, 3, 10, 30))
    axis.set(ylim=(0, 40), xlabel="image passes as a share of retraining's", ylabel="gap to retrained (points)")
    result.legend(loc="outside upper center", ncols=3, fontsize=9)
    return result


def exhibit(found: Found, places: Sequence[tuple[str, str]]) -> Exhibit:
    """The table, what it says and the curve over the budget; a note where there is no record."""
    rows = rows_of(found, places)
    if not set(rows) - {*BESIDE.values(), OWN}:
        return Exhibit("relearn-parts", TITLE, NOTHING)
    drawn = bool(_shared(rows)) and _title("passes_2") in rows
    return Exhibit(
        "relearn-parts", TITLE, caption("relearn"), table(rows), sentences(rows), (lambda: figure(rows)) if drawn else None,
        caption("relearn, picture"), detail=caption("relearn, detail"),
    )
