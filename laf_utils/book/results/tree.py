"""The decision tree of the page on choosing: questions that a user can answer, and at each end a method with its gap and cost."""

from collections.abc import Sequence
from html import escape

import pandas as pd

from ..base.reading import Found
from ..base.words import LEVELS_SAID
from .frontier import CHOSEN, choices

WHAT = {  # tasks as somebody with a request calls them, in the order of the question
    "class removal": "All images of some classes", "data removal": "Single images, of any class",
    "noisy-label removal": "Images with wrong labels",
}
LABELS = {  # by the frontier's words for them
    LEVELS_SAID["none"]: "None", LEVELS_SAID["few"]: "Of images that stay", LEVELS_SAID["all"]: "All",
}


def tree(found: Found, places: Sequence[tuple[str, str]]) -> str:
    """Nested lists in HTML; empty where no request is on record."""
    table, branches = choices(found, places), []
    if table.empty:
        return ""
    for task, words in WHAT.items():
        own = table[[str(name).startswith(f"{task}, ") for name in table.index]]
        parts = [part for _, part in own.groupby("take", sort=False)]
        if [len(part) for part in parts] == [len(LABELS)]:
            branches.append(f"<li><b>{words}</b>, whatever labels you have: {_end(parts[0])}</li>")
        elif parts:
            ends = "".join(f"<li><b>{_known(part)}</b>: {_end(part)}</li>" for part in parts)
            branches.append(f"<li><b>{words}.</b> Which labels have you?<ul>{ends}</ul></li>")
    return (
        '<ul class="tree"><li>Can you train again without the images, in time?<ul>'
        "<li><b>Yes</b>: <em>retrain</em>. It is the goal itself, at its full cost.</li>"
        f"<li><b>No.</b> What must go?<ul>{''.join(branches)}</ul></li></ul></li></ul>"
    )


def _known(rows: pd.DataFrame) -> str:
    """The labels that are known where one end is taken."""
    known = [LABELS[str(name).rpartition("labels: ")[2]] for name in rows.index]
    return " or ".join([known[0], *map(str.lower, known[1:])])


def _end(rows: pd.DataFrame) -> str:
    """One end: the method that is taken whichever of these labels are known, and what it gives."""
    take, gap, nothing, cost, seeds = (escape(str(rows[column].iloc[0])) for column in CHOSEN)
    once = ", one seed" if seeds == "1" else ""
    return f"<em>{take}</em>. Gap {gap} (doing nothing {nothing}), cost {cost}{once}."
