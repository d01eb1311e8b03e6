"""From the paper's tables and figures to the records behind ours, the command that makes them, and the time that they took."""

from collections.abc import Iterable

import pandas as pd

from ...settings.names import TASK_NAMES
from ..base.reading import PROFILES, Found
from ..base.tables import MISSING
from ..base.words import in_time
from . import ablation, labels

PAGES = {"data": "results_data.md", "class": "results_class.md", "noisy": "results_noisy.md"}
# As others quote the paper's sentence that names its Tables 1, 2 and 3: data, class and noisy-label removal.
NUMBERS = {"data": "Table 1", "class": "Table 2", "noisy": "Table 3"}
COLUMNS = ("records", "time", "page", "command")  # what decides beside the name: a phone shows that much


def _seconds(found: Found, variants: Iterable[str], task: str | None = None) -> list[float | None]:
    """Of the records of some variants in the profiles that fill tables: on a CPU of the processor, else of the clock."""
    cells = [(record, record["cell"]) for record in found.records.values()]
    own = [r for r, c in cells if c["profile"] in PROFILES and c.get("variant", "") in variants and task in (None, c["task"])]
    return [(r["machine"]["device"] == "cpu" and r["processor_seconds"]) or r["seconds"] for r in own]


def _row(page: str, command: str, seconds: list[float | None]) -> dict[str, str]:
    known = [value for value in seconds if value is not None]
    time = in_time(sum(known)) if known else MISSING
    return dict(zip(COLUMNS, (str(len(seconds)), time, f"[{page.removesuffix('.md')}]({page})", f"`{command}`"), strict=True))


def table(found: Found, runs: list[dict]) -> pd.DataFrame:
    """One row for each exhibit of the paper that is known first hand, with its number where that is known, too.

    Args:
        runs: records of training runs, with seconds by stage.
    """
    rows = {
        f"{NUMBERS[task]}: {name}": _row(PAGES[task], f"make experiments TASK={task} VARIANT=none", _seconds(found, ("",), task))
        for task, name in TASK_NAMES.items()
    }
    shares = [labels.variant_of(share) for share in labels.SHARES if share != labels.FULL]
    for name, page, variants in (
        ("semi-supervised: shares of labels", "results_labels.md", shares),
        ("ablation of both losses", "results_ablation.md", ablation.PARTS),
    ):
        command = f"make experiments VARIANT={','.join(variants)}"
        rows[name] = _row(page, command, _seconds(found, variants))
    own = [sum(value for value in r["seconds"].values() if value) for r in runs if r.get("seconds")]
    rows["loss curves"] = _row("records.md", "make laf PROFILE=paper", own)
    return pd.DataFrame.from_dict(rows, orient="index")
