"""From the paper's tables and figures to the records behind ours, the command that makes them, and the time that they took."""

from collections.abc import Iterable

import pandas as pd

from ...settings.names import TASK_NAMES
from ..base.reading import PROFILES, Found
from ..base.tables import MISSING
from . import ablation, labels

HOUR = 3600.0
PAGES = {"data": "results_data.md", "class": "results_class.md", "noisy": "results_noisy.md"}
COLUMNS = ("page", "command", "records", "hours")


def _of(found: Found, variants: Iterable[str], task: str | None = None) -> list[dict]:
    """The records of some variants in the profiles that fill tables."""
    cells = [(record, record["cell"]) for record in found.records.values()]
    return [r for r, c in cells if c["profile"] in PROFILES and c.get("variant", "") in variants and task in (None, c["task"])]


def _row(page: str, command: str, seconds: list[float | None]) -> dict[str, str]:
    known = [value for value in seconds if value is not None]
    hours = f"{sum(known) / HOUR:.1f}" if known else MISSING
    return dict(zip(COLUMNS, (f"[{page.removesuffix('.md')}]({page})", f"`{command}`", str(len(seconds)), hours), strict=True))


def table(found: Found, runs: list[dict]) -> pd.DataFrame:
    """One row for each exhibit of the paper that is known first hand.

    Args:
        runs: records of training runs, with seconds by stage.
    """
    rows = {
        f"comparison, {name}": _row(
            PAGES[task], f"make experiments TASK={task} VARIANT=none", [r["seconds"] for r in _of(found, ("",), task)]
        )
        for task, name in TASK_NAMES.items()
    }
    shares = [labels.variant_of(share) for share in labels.SHARES if share != labels.FULL]
    for name, page, variants in (
        ("semi-supervised: shares of labels", "results_labels.md", shares),
        ("ablation of both losses", "results_ablation.md", ablation.PARTS),
    ):
        command = f"make experiments VARIANT={','.join(variants)}"
        rows[name] = _row(page, command, [r["seconds"] for r in _of(found, variants)])
    own = [sum(value for value in r["seconds"].values() if value) for r in runs if r.get("seconds")]
    rows["loss curves"] = _row("records.md", "make laf PROFILE=paper", own)
    return pd.DataFrame.from_dict(rows, orient="index")
