"""The decision tree of the page on choosing: questions that a user can answer, and at each end a method with its gap and cost."""

from collections.abc import Sequence
from html import escape

import pandas as pd

from ..base.reading import Found
from ..base.words import LEVELS_SAID
from .frontier import choices

WHAT = {  # tasks as somebody with a request calls them, in the order of the question
    "class removal": "All images of some classes", "data removal": "Single images, of any class",
    "noisy-label removal": "Images with wrong labels",
}
LABELS = {  # by the frontier's words for them
    LEVELS_SAID["none"]: "None", LEVELS_SAID["few"]: "Of images that stay", LEVELS_SAID["all"]: "All",
}


def tree(found: Found, places: Sequence[tuple[str, str]]) -> str:
    """Nested lists in HTML; empty where no request is on record."""
    table = choices(found, places)
    ends = {words: "".join(_end(name, row) for name, row in table.iterrows() if str(name).startswith(f"{task}, "))
            for task, words in WHAT.items()}
    branches = [f"<li><b>{words}.</b> Which labels have you?<ul>{own}</ul></li>" for words, own in ends.items() if own]
    if not branches:
        return ""
    return (
        '<ul class="tree"><li>Can you train again without the images, in time?<ul>'
        "<li><b>Yes</b>: <em>retrain</em>. It is the goal itself, at its full cost.</li>"
        f"<li><b>No.</b> What must go?<ul>{''.join(branches)}</ul></li></ul></li></ul>"
    )


def _end(name: object, row: pd.Series) -> str:
    """One end: a method for these labels, and what it gives."""
    take, gap, nothing, cost, seeds = map(escape, row)
    labels = LABELS[str(name).rpartition("labels: ")[2]]
    once = ", one seed" if seeds == "1" else ""
    return f"<li><b>{labels}</b>: <em>{take}</em>. Gap {gap} (doing nothing {nothing}), cost {cost}{once}.</li>"
