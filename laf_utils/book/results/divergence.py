"""The forgotten images alone: how near a model's answers on them are to the retrained model's, where accuracies do not look."""

from collections.abc import Sequence
from typing import TypeAlias

import pandas as pd

from ...experiments.cells import AGAIN, ORIGINAL
from ..base import reading
from ..base.captions import caption
from ..base.exhibit import Exhibit
from ..base.reading import Found, pick
from ..base.words import title_of
from . import tables

NAME, TITLE = "divergence", "Answers on the forgotten images"
NOTHING = "No record of relearn, LAF and a second retrained model yet."
COLUMNS = {AGAIN: "second retrained", "relearn": "relearn", "laf": "LAF", ORIGINAL: "doing nothing"}
NEAR = 2.0  # times the second retrained model's divergence: about as near as training again comes

Rows: TypeAlias = dict[tuple[str, str], tuple[dict[str, float], int]]  # by request: means by method, and how many seeds


def rows_of(found: Found, places: Sequence[tuple[str, str]]) -> Rows:
    """Mean Jensen-Shannon divergence on D_f, nats, over the seeds that all four models have; without one, no row."""
    result = Rows()
    for place in places:
        own = tables.rows_of(found, *place)
        groups = {name: pick(own, name) for name in COLUMNS}
        values = {name: group.values(reading.divergence("forget")) for name, group in groups.items() if group is not None}
        seeds = set.intersection(*map(set, values.values())) if len(values) == len(COLUMNS) else set()
        if seeds:
            result[place] = {name: sum(of[seed] for seed in seeds) / len(seeds) for name, of in values.items()}, len(seeds)
    return result


def table(rows: Rows) -> pd.DataFrame:
    """A row for each request."""
    shown = {
        title_of(*place): {name: f"{means[key]:.3f}" for key, name in COLUMNS.items()} | {"seeds": str(seeds)}
        for place, (means, seeds) in rows.items()
    }
    return pd.DataFrame.from_dict(shown, orient="index")


def sentences(rows: Rows) -> tuple[str, ...]:
    """In how many requests relearn is nearer than LAF, and in how many each is about as near as training again."""
    means = [own for own, _ in rows.values()]
    nearer = sum(own["relearn"] < own["laf"] for own in means)
    near = {name: sum(own[name] <= NEAR * own[AGAIN] for own in means) for name in ("relearn", "laf")}
    fewest = min(seeds for _, seeds in rows.values())
    seeds = "one training seed and more, no claim" if fewest == 1 else f"{fewest} training seeds or more"
    return (
        f"relearn answers D_f nearer to the retrained model than LAF in {nearer} of {len(means)} requests ({seeds}).",
        f"Within twice what a second retrained model is away: relearn in {near['relearn']} of {len(means)} requests, "
        f"LAF in {near['laf']}.",
    )


def exhibit(found: Found, places: Sequence[tuple[str, str]]) -> Exhibit:
    """Sentences and table; a note where there is no record."""
    rows = rows_of(found, places)
    if not rows:
        return Exhibit(NAME, TITLE, NOTHING, pd.DataFrame())
    return Exhibit(NAME, TITLE, caption("divergence"), table(rows), sentences(rows), detail=caption("divergence, detail"))
