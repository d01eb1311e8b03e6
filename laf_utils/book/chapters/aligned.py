"""Tables of the notebooks as they are shown: text left, numbers right, the deciding column first, nothing cut off."""

import html
import re
from collections.abc import Sequence

import pandas as pd
from IPython.display import HTML
from pandas.io.formats.style import Styler

from ..base.tables import MISSING, with_values

NAME = 26  # letters of a row's name on one line; longer names go on below
HYPHEN = re.compile(r"(?<!\w)-(?=\d)")  # it stands for a minus
NUMBER = re.compile(r"[~<+\-\u2212]?[\d,]+(\.\d+)?([eE][+-]?\d+)?( ?%)?(\s*(±|of|to|\().*)?|diverged.*|NaN|")


def aligned(table: pd.DataFrame, title: str = "", columns: Sequence[str] | None = None) -> Styler:
    """The table with a title above it.

    Args:
        title: what the table is of, with the units; plain text.
        columns: those that are shown, in this order; all by default. One without any value is left out.
    """
    shown = with_values(table if columns is None else table[[name for name in columns if name in table]])
    shown = shown.map(lambda cell: HYPHEN.sub("\u2212", cell) if isinstance(cell, str) else cell)
    styles = [
        {"selector": "caption", "props": "caption-side: top; text-align: left; padding-bottom: 6px; font-size: 90%"},
        {"selector": "th.row_heading", "props": f"text-align: left; max-width: {NAME + 2}ch; white-space: normal"},
        {"selector": "th.col_heading", "props": "white-space: normal; vertical-align: bottom"},
    ]
    for place, name in enumerate(shown.columns):
        number = is_number(shown[name])
        props = f"text-align: {'right' if number else 'left'}; white-space: {'nowrap' if number else 'normal'}"
        styles.append({"selector": f".col{place}", "props": props})
    style = shown.style.set_table_styles(styles)
    return style.set_caption(html.escape(title)) if title else style


def folded(summary: str, *shown: Styler | str) -> HTML:
    """Tables, and paragraphs of plain text, that a reader opens; on paper they are open. Nothing where no table has a row."""
    full = [part for part in shown if (part if isinstance(part, str) else len(part.index))]
    if all(isinstance(part, str) for part in full):
        return HTML("")
    parts = [f"<p>{html.escape(part)}</p>" if isinstance(part, str) else part.to_html() for part in full]
    return HTML(f"<details><summary>{html.escape(summary)}</summary>{''.join(parts)}</details>")


def is_number(column: pd.Series) -> bool:
    """Whether a column holds numbers, written out or not, with what stands for a missing one."""
    return all(str(value) == MISSING or NUMBER.fullmatch(str(value)) for value in column)
