"""One exhibit: sentences, tables and a figure that belong together, on a page of the book or as files."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Markdown, display
from matplotlib.figure import Figure

from . import style, tables

FOLDED = "Which records these are, and every column"
PART = "part"  # the column of a CSV that names the block


@dataclass(frozen=True)
class Exhibit:
    """What is drawn in one place."""

    name: str  # what its files are called, without an ending
    title: str
    about: str  # one line that says what it is; of an exhibit without records, why it is empty
    table: pd.DataFrame  # rows by name, text in its cells; empty where there is nothing to show
    readings: tuple[str, ...] = ()  # sentences, each with its number
    draw: Callable[[], Figure] | None = None  # makes the figure, ``None`` where there is nothing to draw
    alt: str = ""  # the figure in words
    blocks: dict[str, pd.DataFrame] = field(default_factory=dict)  # further tables below the first, each under its heading
    detail: str = ""  # what a reader opens: machines, caveats, how columns are meant
    # the rows of all blocks with every column, folded away on a page and whole in the CSV; ``None``: as they are shown
    full: pd.DataFrame | None = None

    def said(self) -> str:
        """The findings as a Markdown list."""
        return "\n".join(f"- {sentence}" for sentence in self.readings)

    def text(self) -> str:
        """Findings, caption, tables and what is folded as Markdown, without the title."""
        return "\n\n".join(filter(None, [self.said(), self._below()]))

    def _below(self) -> str:
        """What stands below the findings and the figure."""
        parts = [self.about] if self.about else []
        parts += [tables.markdown(self.table)] if len(self.table) else []
        for heading, block in self.blocks.items():
            parts += [f"*{heading}*", tables.markdown(block)] if len(block) else []
        folded = [self.detail] if self.detail else []
        folded += [tables.markdown(self.full)] if self.full is not None and len(self.full) else []
        if folded:
            parts += [f"<details><summary>{FOLDED}</summary>", *folded, "</details>"]
        return "\n\n".join(parts)

    def show(self, *, titled: bool = False) -> None:
        """Display it in a notebook or on a page of the book, the findings first; ``titled``: with its title above."""
        above = "\n\n".join(filter(None, [f"**{self.title}**" * titled, self.said()]))
        if above:
            display(Markdown(above))
        if self.draw:
            style.show(self.draw(), self.alt)
        display(Markdown(self._below()))

    def _rows(self) -> pd.DataFrame:
        """Every row that is shown, with all its columns."""
        if self.full is not None:
            return self.full
        parts = [self.table, *(block.assign(**{PART: heading}) for heading, block in self.blocks.items())]
        return pd.concat([part for part in parts if len(part)]) if any(map(len, parts)) else self.table

    def write(self, folder: Path) -> list[Path]:
        """Write ``name.md``, and ``name.csv`` and ``name.png`` where there is a table and a figure; returns their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        page, written, rows = [f"# {self.title}", self.text()], [], self._rows()
        if self.draw:
            figure = self.draw()
            about = {"Software": None, "Description": tables.markdown(rows) if len(rows) else self.title}
            with mpl.rc_context(style.STYLE):  # the picture carries its numbers: what it was drawn from can be checked
                figure.savefig(folder / f"{self.name}.png", dpi=style.SHARP * style.STYLE["savefig.dpi"], metadata=about)
            plt.close(figure)
            written.append(folder / f"{self.name}.png")
            page.append(f"![{self.alt}]({self.name}.png)")
        if len(rows):
            plain = rows.fillna("").map(lambda cell: str(cell).replace("\u00a0", " "))  # this one is not set in type
            plain.to_csv(folder / f"{self.name}.csv", index_label="", encoding="utf-8")
            written.append(folder / f"{self.name}.csv")
        path = folder / f"{self.name}.md"
        path.write_text("\n\n".join(page) + "\n", encoding="utf-8")
        return [path, *written]
