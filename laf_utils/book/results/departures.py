"""What the book's pages say of runs: headlines, departures and their measured effect, what is on record.

Accuracies come from ``results/comparison`` where it has the setting, as on every other page; the rest (mode ``fixed``, single
switches, costs) from ``Training/``, and ``authors.json`` has the numbers of others with their origin.
"""

from dataclasses import dataclass

import pandas as pd

from ...settings.presets import preset
from ...support import records
from ...support.choices import TASKS
from ..base.tables import MISSING
from ..base.training_records import PAPER_DATASETS, _is_preset, groups, images_text, settings
from ..base.words import mean_text, title_of

MEASURED = "measured alone"
BOOK_PACKAGES = (
    "jupyter-book", "Sphinx", "sphinx-book-theme", "myst-nb", "sphinx-mathjax-offline", "matplotlib", "pandas", "scipy",
)


@dataclass(frozen=True)
class Departure:
    """A published choice with a side effect. Its values are those of the presets."""

    choice: str
    effect: str
    switch: str | None  # dotted setting; None: both are always computed, or nothing but time differs
    alternative: str = ""  # in words, where there is no switch


def parsed(text: str) -> list[Departure]:
    """Departures as a page writes them, one a line: choice, side effect and switch between bars; ``: words`` for no switch."""
    rows = [[part.strip() for part in line.split("|")] for line in text.strip().splitlines()]
    return [Departure(c, e, None, s[2:]) if s.startswith(": ") else Departure(c, e, s) for c, e, s in rows]


def cost_text(same: list[dict]) -> str:
    """Densities and unlearning as a share of retraining's image passes; the same for every seed, but for when a rule stops."""
    return f"{sum(100 * r['passes']['share_of_retraining']['with_vae'] for r in same) / len(same):.1f}\u00a0%"


def published_value(switch: str, mode: str) -> str:
    """What a switch is set to in a mode: one value, or one for each network where they differ."""
    values: dict[str, None] = {}
    for dataset in PAPER_DATASETS:
        for task in TASKS:
            value = settings(preset(dataset, task, profile="paper", mode=mode).as_dict())[switch]
            values.setdefault("all" if value is None else str(value).lower() if isinstance(value, bool) else str(value), None)
    return " / ".join(values)


def measured_effect(switch: str, found: list[dict]) -> str:
    """What the switch alone did to LAF's gap to retrained: published runs against runs that differ from one in it only."""
    pairs: dict[tuple, list[tuple[dict, dict]]] = {}
    ignored = ("mode", "device")
    known = [({k: v for k, v in settings(r["config"]).items() if k not in ignored}, r) for r in found]
    for own, record in known:
        if record["config"]["mode"] != "reference" or not _is_preset(record):
            continue
        for other, changed in known:
            if [name for name in own if own[name] != other[name]] == [switch]:
                pairs.setdefault((own["dataset"], own["task"], other[switch]), []).append((record, changed))
    found_effects = []
    for (dataset, task, value), same in pairs.items():
        before, after = (mean_text(r["gaps"]["laf"]["mean"] for r in side) for side in zip(*same, strict=True))
        count = f"{len(same)} run{'s' if len(same) > 1 else ''}"
        found_effects.append(f"gap {before} → {after} points at `{value}` ({title_of(dataset, task)}, {count})")
    return "; ".join(found_effects) or MISSING


def departures_table(departures: list[Departure], found: list[dict]) -> pd.DataFrame:
    """Every published choice with a side effect, its switch, and what it did alone."""
    rows = {}
    for d in departures:
        values = [f"`{published_value(d.switch, mode)}`" for mode in ("reference", "fixed")] if d.switch else []
        rows[d.choice] = {
            "side effect": d.effect,
            "switch: published → `fixed`": f"`{d.switch}`: {' → '.join(values)}" if d.switch else d.alternative,
            MEASURED: measured_effect(d.switch, found) if d.switch else MISSING,
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.drop(columns=MEASURED) if (table[MEASURED] == MISSING).all() else table


def modes_table(found: list[dict]) -> pd.DataFrame:
    """``reference`` and ``fixed`` side by side for every setting that has both: LAF's gap, ToW, attack distance and cost."""
    here, rows = groups(found), {}
    for dataset, task, mode in here:
        if not {(dataset, task, "reference"), (dataset, task, "fixed")} <= here.keys():
            continue
        same = here[dataset, task, mode]
        rows[", ".join(filter(None, (title_of(dataset, task), images_text(same), f"`{mode}`")))] = {
            "gap to retrained": mean_text(r["gaps"]["laf"]["mean"] for r in same),
            "ToW": mean_text((r["gaps"]["laf"]["tow"] for r in same), 3),
            "ASR distance": mean_text(r["gaps"]["laf"]["asr"] for r in same),
            "cost": cost_text(same),
            "runs": str(len(same)),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def left(table: str) -> str:
    """A Markdown table whose cells are text: aligned to the left."""
    return table.replace("---:", "---")


def versions() -> pd.DataFrame:
    """What this build of the book ran on."""
    return pd.DataFrame.from_dict(records.versions(*BOOK_PACKAGES), orient="index", columns=["version"])
