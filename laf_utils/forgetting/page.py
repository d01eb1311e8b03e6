"""The report as JSON and as one HTML page that needs nothing else: no script, no network, no image of anybody.

The page is a template, ``page.html``, with all its words; it escapes what it is given: names of files are other people's.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from ..audit.unseen import LEAST
from ..support.paths import whole_file
from ..support.reading import counted
from ..support.records import write_json
from .copies import SEARCHED
from .evidence import CRITICAL, LEAST_COMPARED
from .report import ACCEPTABLE, STILL_NAMED
from .workers import first

FACTS = ("method", "scope", "images", "options", "model", "memory", "seconds", "versions", "machine")
BEFORE, AFTER = "#7f7f7f", "#D55E00"  # the original and LAF in every figure of the book


def picture(evidence: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Places in the page's drawing, 360 wide: the zone that is no finding, and how sure each model is; ``None``: no audit."""
    if evidence is None:
        return None
    pair = {"before": evidence["original"], "after": evidence["sureness"]}
    reach = 1.15 * max(1.5 * CRITICAL, *map(abs, pair.values()))
    low, high, *places = (round(204 + 140 * value / reach, 1) for value in (-CRITICAL, CRITICAL, *pair.values()))
    rows = zip(pair, places, (34, 66), (BEFORE, AFTER), strict=True)
    dots = [{"name": name, "x": x, "y": y, "fill": fill} for name, x, y, fill in rows]
    told = f"sureness before {pair['before']:.1f}, after {pair['after']:.1f} standard errors; no finding within {CRITICAL:.1f}"
    return {"low": low, "high": high, "dots": dots, "told": told}


def _plain(value: Any) -> str:
    """A value as the page writes it: two decimals, thousands apart."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"


def _columns(rows: Sequence[Sequence[Any]], head: Sequence[str]) -> list[tuple[str, int, str]]:
    """(heading, place in a row, class) of the columns that hold anything; numbers stand to the right."""
    found = []
    for place, name in enumerate(head):
        values = [row[place] for row in rows if row[place] is not None]
        number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        if values:
            found.append((name, place, "n" if number else ""))
    return found


def _table(looks: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    """Headings and rows."""
    names = list(dict.fromkeys(name for look in looks for name in look))
    return names, [[look.get(name) for name in names] for look in looks]


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"plain": _plain, "columns": _columns, "table": _table, "counted": counted}
    environment.globals |= {
        "critical": round(CRITICAL, 1), "least": LEAST, "compared": LEAST_COMPARED, "searched": SEARCHED,
        "still_named": f"{100 * STILL_NAMED:g}",
    }
    return environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Report:
    """What ``forget`` measured and decided; ``content`` holds plain values only. ``digests`` of the images of D_f are for a
    ``certificate`` and are never written."""

    content: dict[str, Any]
    digests: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def verdict(self) -> str:
        """``acceptable``, ``retraining advised`` or ``cannot tell``."""
        return self.content["verdict"]

    @property
    def acceptable(self) -> bool:
        return self.verdict == ACCEPTABLE

    def json(self) -> str:
        """All of it."""
        return json.dumps(self.content, indent=1, sort_keys=True, allow_nan=False)

    def html(self) -> str:
        """One page."""
        c: dict[str, Any] = {"reasons": [], "notes": [], "date": None, "evidence": None, "kept": True} | self.content
        audit = c["audit"] or {}
        return _template().render(
            c=c, picture=picture(c["evidence"]), facts=json.dumps({key: c[key] for key in FACTS}, indent=1, sort_keys=True),
            utility=[
                (name, e["images"], e["utility"], e["agreement"], e.get("accuracy_before"), e.get("accuracy_after"))
                for name, e in c["utility"].items()
            ],
            worst=[(w["row"], w.get("file"), w["original_answer"], w["probability_left"]) for w in c["forgetting"]["worst"]],
            audit=[
                (when, a["auc"], f"{a['low']:.1f} to {a['high']:.1f}", 50 - a["detectable"], 50 + a["detectable"],
                 a["tpr_at_1_fpr"]) for when, a in audit.items()
            ],
        )

    def write(self, folder: str | Path) -> Path:
        """``report.json`` and ``report.html`` in a folder; returns the page's path. Of several workers the first one writes."""
        folder = Path(folder)
        if not first():
            return folder / "report.html"
        write_json(folder / "report.json", self.content)
        with whole_file(folder / "report.html") as temporary:
            temporary.write_text(self.html(), encoding="utf-8")
        return folder / "report.html"

    def _repr_html_(self) -> str:
        """A notebook shows the page's body, without its style, its headings below those of the page it becomes part of."""
        body = self.html().split("<body>")[1].split("</body>")[0]
        return re.sub(r"<(/?)h([12])>", lambda found: f"<{found[1]}h{int(found[2]) + 2}>", body)

    def __str__(self) -> str:
        found, lines = self.content["forgetting"], [self.verdict, *(f"- {reason}" for reason in self.content["reasons"])]
        lines += [f"{name}: utility {entry['utility']:.1f} %" for name, entry in self.content["utility"].items()]
        left = f"removed class answered {found['named']:.1f} %" if "named" in found else f"agreement {found['agreement']:.1f} %"
        return "\n".join([*lines, f"forget images: {left}", *(f"note: {note}" for note in self.content.get("notes", ()))])
