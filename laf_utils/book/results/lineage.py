"""LAF beside what came before and after it: the authors' own numbers, our runs of their code and of the methods around it."""

import pandas as pd

from ...experiments.cells import ORIGINAL
from ...settings.names import DATASET_NAMES, TASK_NAMES
from ...support.choices import TASKS
from ..base.reading import DEFAULTS, Found, Group, gap, groups, metric, over
from ..base.words import detail_of, gap_text, method_name
from . import tables

TUNED = "tuned"
ROWS = (*((method, DEFAULTS) for method in ("original", "laf", "scrub", "mixunlearn", "relearn")), ("scrub", TUNED))
DATASETS = ("mnist", "fashion")
RELEASED = ("delete", "salun", "sparse", "lotus", "synthetic", "svd")  # whose authors' settings are for CIFAR-10
BESIDE = (ORIGINAL, "laf", "relearn")


def authors_rows() -> pd.DataFrame:
    """The authors' models by origin: their notebook, and their code run by us; gaps computed here from their accuracies."""
    return pd.DataFrame.from_dict({
        f"{DATASET_NAMES[dataset]}: {name}": row
        for dataset, task in tables.THEIRS for name, row in tables.their_rows(dataset, task).items()
    }, orient="index").drop(columns=["ToW"])


def _row(found: Found, dataset: str, task: str, method: str, choice: str, profile: str = "paper") -> Group | None:
    rows = groups(found, dataset, task, profile)
    return next((g for g in rows if (g.method, g.variant, g.choice) == (method, "", choice) and g.good), None)


def ours(found: Found) -> pd.DataFrame:
    """Our runs of LAF and of the methods around it on the CNN's data sets at the paper's setting: means over requests."""
    rows = {}
    for method, choice in ROWS:
        own = [row for d in DATASETS for t in TASKS if (row := _row(found, d, t, method, choice))]
        if not own:
            continue
        gaps, kept = ([over(row, value).mean for row in own] for value in (gap, metric("train_r")))
        seeds = {len(row.good) for row in own}
        rows[method_name(method) + detail_of(choice)] = {
            "gap (points)": f"{sum(gaps) / len(gaps):.2f}", "worst": f"{max(gaps):.1f}",
            "Train_r": f"{sum(kept) / len(kept):.1f}",
            "requests": f"{len(own)} of {len(DATASETS) * len(TASKS)}",
            "seeds": str(min(seeds)) if len(seeds) == 1 else f"{min(seeds)} to {max(seeds)}",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def beside_authors(found: Found) -> str:
    """Our LAF beside theirs, in distance to the retrained model of the same hands."""
    said = []
    for dataset, task in tables.THEIRS:
        theirs, own = tables.their_gaps(dataset, task)["laf"]["mean"], _row(found, dataset, task, "laf", DEFAULTS)
        beside = f", ours {gap_text(over(own))} from ours." if own else "; ours at their size is not run."
        said.append(f"On {DATASET_NAMES[dataset]} their LAF is {theirs:.2f} points from their retrained model{beside}")
    return " ".join(said)


def on_cifar(found: Found) -> pd.DataFrame:
    """Gaps on CIFAR-10 in profile ``native`` of the methods whose released settings are for CIFAR-10."""
    rows = {}
    for method in (*BESIDE, *RELEASED):
        own = {task: _row(found, "cifar10", task, method, DEFAULTS, "native") for task in ("class", "data")}
        if there := [len(row.good) for row in own.values() if row]:
            gaps = {TASK_NAMES[task]: gap_text(over(row)) for task, row in own.items()}
            rows[method_name(method)] = gaps | {"seeds": str(min(there))}
    return pd.DataFrame.from_dict(rows, orient="index")
