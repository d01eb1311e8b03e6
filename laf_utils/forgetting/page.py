"""The report as JSON and as one HTML page that needs nothing else: no script, no network, no image of anybody."""

import html
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse;margin:.5rem 0}
th,td{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}td.n{text-align:right}
.verdict{padding:.6rem 1rem;border-left:.4rem solid
#b45309;background:#fff7ed}.verdict.ok{border-color:#15803d;background:#f0fdf4}
code,pre{font-family:ui-monospace,monospace;font-size:.85rem;white-space:pre-wrap;overflow-wrap:anywhere}"""

FACTS = ("method", "scope", "images", "options", "model", "memory", "seconds", "versions", "machine")


def _cell(value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    text = f"{value:,.2f}" if isinstance(value, float) else f"{value:,}" if number else "–" if value is None else str(value)
    return f'<td class="n">{text}</td>' if number else f"<td>{html.escape(text)}</td>"


def _table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    top = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _utility(content: dict[str, Any]) -> str:
    rows = [
        (name, e["images"], e["utility"], e["agreement"], e.get("accuracy_before"), e.get("accuracy_after"))
        for name, e in content["utility"].items()
    ]
    if not rows:
        return "<p>Not measured: neither retained nor unseen images were at hand.</p>"
    return _table(("set", "images", "utility %", "agreement %", "accuracy before %", "accuracy after %"), rows) + (
        "<p>Utility: the original's probability of the new answers, over that of its own. Agreement: same answer as the "
        "original. Measured on images that unlearning did not train on, of the classes that stay.</p>"
    )


def _audit(content: dict[str, Any]) -> str:
    if content["audit"] is None:
        return "<p>None: it needs 20 unseen images like the forgotten ones at least.</p>"
    rows = [
        (
            when, a["auc"], f"{a['low']:.1f} to {a['high']:.1f}", 50 - a["detectable"], 50 + a["detectable"], a["tpr_at_1_fpr"],
            a["side"],
        )
        for when, a in content["audit"].items()
    ]
    sizes = content["audit"]["after"]
    return _table(("model", "AUC %", "95 % interval", "would see below", "or above", "TPR at 1 % FPR", "found"), rows) + (
        f"<p>{sizes['forget']:,} forget images against {sizes['unseen']:,} unseen images like them, by how sure the model is. "
        "50 is blind. Above: they still look learned. Below: they stand out as less sure than unseen ones. Where a class was "
        "removed, a retrained model treats both alike, too. An AUC between the two bounds would be missed more than "
        "once in five times.</p>"
    )


def _evidence(content: dict[str, Any]) -> str:
    found = content.get("evidence")
    if found is None:
        return "<p>None: of single images it needs retained images and 60 unseen ones that no look has used.</p>"
    return _table(
        ("found", "agreement %", "expected %", "error", "surer by", "original surer by", "would have seen, points", "allowed"),
        [(found["finding"], found["agreement"], found["expected"], found["error"], found["sureness"], found["original"],
          found["detectable"], found["tolerance"])],
    ) + (
        f"<p>{found['forget']:,} forget images against {found['unseen']:,} unseen ones that models taught on the retained images "
        "alone find as hard. Agreement: answered as by the original; expected: of a model that never saw them. Surer: in "
        "standard errors. The smallest leak that would have been seen is in points of accuracy on the forget images.</p>"
    )


def _forgetting(content: dict[str, Any]) -> str:
    found = content["forgetting"]
    named = ""
    if "named" in found:
        named = f", answered with a removed class: {found['named']:.2f} % (before: {found['named_before']:.2f} %)"
    if "agreement_unseen" in found:
        named = f" (of unseen images like them: {found['agreement_unseen']:.2f} %)" + named
    rows = [(w["row"], w.get("file"), w["original_answer"], w["probability_left"]) for w in found["worst"]]
    return (
        f"<p>{found['images']:,} images; same answer as the original: {found['agreement']:.2f} %{named}.</p>"
        "<h2>Worst remaining images</h2>" + _table(("row", "file", "original answer", "probability left %"), rows)
    )


def _looks(content: dict[str, Any]) -> str:
    parts = []
    for number, attempt in enumerate(content["attempts"], 1):
        parts.append(f"<p>Attempt {number}, strength {attempt['strength']:.3g}, ended by: {html.escape(attempt['ended'])}</p>")
        if attempt["looks"]:
            names = list(dict.fromkeys(name for look in attempt["looks"] for name in look))
            parts.append(_table(names, [[look.get(name) for name in names] for look in attempt["looks"]]))
    return "".join(parts)


@dataclass(frozen=True)
class Report:
    """What ``forget`` measured and decided; ``content`` holds plain values only."""

    content: dict[str, Any]

    @property
    def verdict(self) -> str:
        """``acceptable``, ``retraining advised`` or ``cannot tell``."""
        return self.content["verdict"]

    @property
    def acceptable(self) -> bool:
        return self.verdict == "acceptable"

    def json(self) -> str:
        """All of it."""
        return json.dumps(self.content, indent=1, sort_keys=True, allow_nan=False)

    def html(self) -> str:
        """One page."""
        c = self.content
        reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in c["reasons"])
        facts = {key: c[key] for key in FACTS}
        parts = [
            "<h1>Forgetting report</h1>",
            f'<p class="verdict{" ok" if self.acceptable else ""}"><b>{html.escape(self.verdict)}</b></p>',
            f"<ul>{reasons}</ul>" if reasons else "",
            *(f"<p>{html.escape(note)}.</p>" for note in c.get("notes", ())),
            f"<p>Method {html.escape(c['method']['name'])}: {html.escape(c['method']['reason'])}. "
            f"Scope: {html.escape(c['scope']['name'])}; {html.escape(c['scope']['reason'])}.</p>",
            "<h2>Utility</h2>", _utility(c), "<h2>Forget images</h2>", _forgetting(c), "<h2>Audit</h2>", _audit(c),
            "<h2>Against models that never saw them</h2>", _evidence(c),
            "<h2>Run</h2>", _looks(c), "<h2>Settings, seeds, versions</h2>",
            f"<pre>{html.escape(json.dumps(facts, indent=1, sort_keys=True))}</pre>", "<h2>To repeat</h2>",
            f"<pre>{html.escape(' '.join([c['command']['program'], *c['command']['arguments']]))}</pre>",
        ]
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Forgetting report</title>'
            f"<style>{STYLE}</style></head>"
            f"<body>{''.join(parts)}</body></html>\n"
        )

    def write(self, folder: str | Path) -> Path:
        """``report.json`` and ``report.html`` in a folder; returns the page's path."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("report.json", self.json() + "\n"), ("report.html", self.html())):
            temporary = folder / f".{name}.tmp"
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(folder / name)
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
