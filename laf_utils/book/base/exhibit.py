"""One exhibit: a table, a figure and sentences that belong together, on a page of the book or as files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Markdown, display
from matplotlib.figure import Figure

from . import style, tables


@dataclass(frozen=True)
class Exhibit:
    """What is drawn in one place.

    Args:
        name: of its files, without an ending.
        about: what it rests on; of an exhibit without records, why it is empty.
        table: rows by name, text in its cells; empty where there is nothing to show.
        readings: sentences, each with its number.
        draw: makes the figure, ``None`` where there is nothing to draw.
        alt: the figure in words.
    """

    name: str
    title: str
    about: str
    table: pd.DataFrame
    readings: tuple[str, ...] = ()
    draw: Callable[[], Figure] | None = None
    alt: str = ""

    def text(self) -> str:
        """Caption, table and sentences as Markdown, without the title."""
        parts = [self.about, *([tables.markdown(self.table)] if len(self.table) else [])]
        parts += ["\n".join(f"- {sentence}" for sentence in self.readings)] if self.readings else []
        return "\n\n".join(parts)

    def show(self, *, titled: bool = False) -> None:
        """Display it in a notebook or on a page of the book, the figure first; ``titled``: with its title above."""
        if titled:
            display(Markdown(f"**{self.title}**"))
        if self.draw:
            style.show(self.draw(), self.alt)
        display(Markdown(self.text()))

    def write(self, folder: Path) -> list[Path]:
        """Write ``name.md``, and ``name.csv`` and ``name.png`` where there is a table and a figure; returns their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        page, written = [f"# {self.title}", self.text()], []
        if self.draw:
            figure = self.draw()
            with mpl.rc_context(style.STYLE):
                figure.savefig(folder / f"{self.name}.png", dpi=2 * style.STYLE["savefig.dpi"])
            plt.close(figure)
            written.append(folder / f"{self.name}.png")
            page.append(f"![{self.alt}]({self.name}.png)")
        if len(self.table):
            plain = self.table.map(lambda cell: str(cell).replace("\u00a0", " "))  # this one is not set in type
            plain.to_csv(folder / f"{self.name}.csv", index_label="", encoding="utf-8")
            written.append(folder / f"{self.name}.csv")
        path = folder / f"{self.name}.md"
        path.write_text("\n\n".join(page) + "\n", encoding="utf-8")
        return [path, *written]
