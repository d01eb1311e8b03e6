"""What the book's pages say of runs: headlines, departures and their measured effect, what is on record.

Its numbers are of the runs in ``Training/``, which alone have single switches, and, of mode ``fixed``, of cells of the grid;
``authors.json`` has the numbers of others with their origin.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from ...settings.presets import preset
from ...support import records
from ...support.choices import TASKS
from ...support.reading import counted
from ..base.reading import Found, gap, over, pick, profile_of, share_of_retraining
from ..base.reading import groups as all_groups
from ..base.tables import MISSING
from ..base.training_records import PAPER_DATASETS, _is_preset, groups, images_text, settings
from ..base.words import mean_text, title_of
from .tables import rows_of

MEASURED = "measured alone"
MODES = ("reference", FIXED := "fixed")
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
        count = counted(len(same), "run")
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


def fixed_table(found: Found, places: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Both modes over the cells of the grid that have them, a row for each request: LAF's gaps in points and costs."""
    rows = {}
    for dataset, task in places:
        own = all_groups(found, dataset, task, profile_of(found, dataset, task) or "", ("", FIXED))
        pair = [pick(own, "laf", variant) for variant in ("", FIXED)]
        if not all(group and group.values(gap) for group in pair):
            continue
        costs = [list(share_of_retraining(own, group).values()) for group in pair]
        rows[title_of(dataset, task)] = {
            **{f"`{mode}`": mean_text(group.values(gap).values()) for mode, group in zip(MODES, pair, strict=True)},
            "cost": " → ".join(f"{100 * sum(own) / len(own):.0f}\u00a0%" if own else MISSING for own in costs),
            "seeds": " → ".join(str(len(group.values(gap))) for group in pair),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def fixed_sentence(table: pd.DataFrame) -> str:
    """In how many rows of ``fixed_table`` mode ``fixed`` ends nearer, and where it does not."""
    means = {name: [float(str(row[f"`{mode}`"]).split()[0]) for mode in MODES] for name, row in table.iterrows()}
    farther = [str(name) for name, (before, after) in means.items() if after >= before]
    where = f"; it is farther in {', '.join(farther)}" if farther else ""
    return (
        f"On CIFAR-10 and SVHN, in profile `native`, it ends nearer on average in {len(means) - len(farther)} of {len(means)} "
        f"requests{where}."
    )


def alone_sentence(table: pd.DataFrame) -> str:
    """How many of the switches were measured alone, from ``departures_table``."""
    count = sum(value.startswith("`") for value in table.iloc[:, 1])
    seen = sum(table[MEASURED] != MISSING) if MEASURED in table else 0
    rest = "" if seen else " Which of them matters is not known; what all of them do together is, [below](#all-of-them-together)."
    return f"**{seen or 'None'} of the {count} switches {'is' if seen < 2 else 'are'} measured alone.**{rest}"


def modes_sentence(found: list[dict]) -> str:
    """In how many settings mode ``fixed`` ends nearer than ``reference``, and what each costs; of single runs no claim."""
    here = groups(found)
    both = [(d, t) for d, t, mode in here if mode == "reference" and (d, t, "fixed") in here]
    pairs = [(here[d, t, "reference"], here[d, t, "fixed"]) for d, t in both]
    if not pairs:
        return ""
    mean = [[sum(r["gaps"]["laf"]["mean"] for r in same) / len(same) for same in pair] for pair in pairs]
    costs = [[100 * r["passes"]["share_of_retraining"]["with_vae"] for pair in pairs for r in pair[k]] for k in (0, 1)]
    once = sum(min(len(same) for same in pair) == 1 for pair in pairs)
    (low, high), (least, most) = ((f"{min(own):.0f}", f"{max(own):.0f}") for own in costs)
    return (
        f"Mode `fixed` ends nearer to the retrained model than `reference` in {sum(b < a for a, b in mean)} of "
        f"{counted(len(pairs), 'setting')}, for {least} to {most} % of retraining's passes in place of {low} to {high} %. "
        f"{once} of them {'has' if once == 1 else 'have'} a single run on one side: no claim."
    )


def stores_sentence(found: list[dict], compared: Found) -> str:
    """The request whose gap differs most between ``Training/`` and ``results/comparison``: other seeds, other numbers."""
    pairs = []
    for (dataset, task, mode), same in groups(found).items():
        other = over(pick(rows_of(compared, dataset, task), "laf"))
        if mode == "reference" and other and same[0]["config"]["profile"] == profile_of(compared, dataset, task):
            mean = sum(r["gaps"]["laf"]["mean"] for r in same) / len(same)
            pairs.append((title_of(dataset, task), mean, len(same), other))
    if not pairs:
        return ""
    title, own, runs, other = max(pairs, key=lambda pair: abs(pair[1] - pair[3].mean))
    return (
        f"The same request has another number there: at most {abs(own - other.mean):.2f} points apart, in {title} ({own:.2f} "
        f"over {counted(runs, 'run')} here, {other.mean:.2f} over {counted(other.count, 'seed')} there)."
    )


def left(table: str) -> str:
    """A Markdown table whose cells are text: aligned to the left."""
    return table.replace("---:", "---")


def versions() -> pd.DataFrame:
    """What this build of the book ran on."""
    return pd.DataFrame.from_dict(records.versions(*BOOK_PACKAGES), orient="index", columns=["version"])
