"""Every table of the notebooks and the book, drawn from records."""

import html

import pandas as pd
from pandas.io.formats.style import Styler

from ...settings.names import LABEL_ACCESS, MEASURE_NAMES, MODEL_NAMES

MISSING = "–"
STAGE_NAMES = {
    "index_sets": "index sets", "original": "original training", "retrained": "retraining", "vae": "VAEs h and h_f",
    "unlearning": "representation adaptation", "repair": "repair (LAF+R)", "evaluation": "evaluation of four models",
}


def _number(value: float | None, digits: int = 2) -> str:
    return MISSING if value is None else f"{value:.{digits}f}"


def titled(table: pd.DataFrame, title: str) -> Styler:
    """The table with a title above it; rows and columns stay on one line, and what is too wide scrolls."""
    styles = [
        {"selector": "caption", "props": "caption-side: top; text-align: left; padding-bottom: 6px; font-size: 90%"},
        {"selector": "th, td", "props": "text-align: right; white-space: nowrap"},
    ]
    return table.style.set_caption(html.escape(title)).set_table_styles(styles)


def caption(table: pd.DataFrame, record: dict) -> Styler:
    """The table with what it rests on written above it; a fallback or a quick profile is said on every table."""
    return titled(table, " ".join([record["headline"] + ".", *record["caveats"]]))


def results(record: dict) -> pd.DataFrame:
    """Accuracies, published ASR and the gap to retrained, one row per model; percent, the gap in points.

    The gap is the mean of |difference to retrained| over Train_r, Train_f and Test (Test_r where a class was removed).
    """
    metrics = record["metrics"]
    used = [key for key in MEASURE_NAMES if any(metrics[model].get(key) is not None for model in metrics)]
    rows = {}
    for model, own in metrics.items():
        row = {MEASURE_NAMES[key]: _number(own.get(key)) for key in used}
        row["gap to retrained"] = _number(record["gaps"].get(model, {}).get("mean", 0.0))
        row["labels read"] = LABEL_ACCESS[model]
        rows[MODEL_NAMES[model]] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def attack(record: dict) -> pd.DataFrame:
    """The published attack beside what makes it interpretable, one row per model; percent."""
    rows = {}
    for model, own in record["attack"].items():
        rows[MODEL_NAMES[model]] = {
            "ASR": _number(own["asr"]), "always “member”": _number(own["chance"]),
            "balanced accuracy": _number(own["balanced_accuracy"]), "AUC": _number(own["auc"]),
            "TPR at 1 % FPR": _number(own["tpr_at_1_fpr"]),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def cost(record: dict) -> pd.DataFrame:
    """Seconds and image passes by stage, and each stage's passes as a share of retraining's."""
    goal, rows = record["passes"]["retrained"]["equivalent"], {}
    threads = record.get("threads")
    for stage, name in STAGE_NAMES.items():
        if stage not in record["seconds"]:
            continue
        passes = record["passes"].get(stage)
        rows[name] = {
            "seconds": _number(record["seconds"][stage], 1),
            "images forward and backward": f"{passes['training']:,}" if passes else MISSING,
            "images forward only": f"{passes['frozen']:,}" if passes else MISSING,
            "share of retraining": _number(passes["equivalent"] / goal) if passes else MISSING,
            **({"threads": threads.get(stage, MISSING)} if threads else {}),  # original and retrained may share them
            "from disk": "yes" if record["reused"].get(stage) else "no",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def summary(record: dict) -> str:
    """Two sentences that say what happened, with their numbers."""
    laf, goal, task = record["metrics"]["laf"], record["metrics"]["retrained"], record["task"]["name"]
    gap, nothing = record["gaps"]["laf"], record["gaps"]["original"]
    cost = 100 * record["passes"]["share_of_retraining"]["with_vae"]
    test = "test_r" if task == "class" else "test"
    wrong = " (accuracy on the wrong labels)" if task == "noisy" else ""
    way = "nearer to" if gap["mean"] < nothing["mean"] else "no nearer to"
    return (
        f"LAF is {gap['mean']:.2f} points from the retrained model on average; doing nothing is {nothing['mean']:.2f} points "
        f"away, so on this run LAF is {way} the goal, for {cost:.0f} % of retraining's image passes. "
        f"Without any label it reaches Train_f {laf['train_f']:.2f} %{wrong} where retraining gives {goal['train_f']:.2f} %, "
        f"and {MEASURE_NAMES[test]} {laf[test]:.2f} % against {goal[test]:.2f} %. "
        f"The published attack scores {laf['asr']:.2f} % on it and "
        f"{goal['asr']:.2f} % on the retrained model (always “member”: {record['attack']['laf']['chance']:.2f} %)."
    )


def markdown(table: pd.DataFrame, corner: str = "") -> str:
    """A table as GitHub and Jupyter Book draw it."""
    lines = [[corner, *table.columns], ["---", *["---:"] * len(table.columns)]]
    lines += [[str(name), *map(str, row)] for name, row in zip(table.index, table.to_numpy(), strict=True)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
