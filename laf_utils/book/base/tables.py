"""Every table of the notebooks and the book, drawn from records."""

import pandas as pd

from ...settings.names import MODEL_NAMES

MISSING = "–"
STAGE_NAMES = {
    "index_sets": "index sets", "original": "original training", "retrained": "retraining", "vae": "VAEs h and h_f",
    "unlearning": "representation adaptation", "repair": "repair (LAF+R)", "evaluation": "evaluation of four models",
}


def number(value: float | None, form: str = ".2f") -> str:
    """A cell of a table; ``MISSING`` for what no record says."""
    return MISSING if value is None or pd.isna(value) else f"{value:{form}}"


def with_values(table: pd.DataFrame) -> pd.DataFrame:
    """The table without columns in which no row has a value."""
    return table[[name for name in table.columns if not table[name].isin([MISSING, ""]).all()]]


def attack(record: dict) -> pd.DataFrame:
    """The published attack beside what makes it interpretable, one row per model; percent."""
    columns = {
        "asr": "ASR", "chance": "always “member”", "balanced_accuracy": "balanced accuracy", "auc": "AUC",
        "tpr_at_1_fpr": "TPR at 1 % FPR",
    }
    table = pd.DataFrame.from_dict(record["attack"], orient="index")[list(columns)]
    return table.map(number).rename(columns=columns, index=MODEL_NAMES)


def cost(record: dict) -> pd.DataFrame:
    """Each stage's image passes as a share of retraining's, its seconds, and whether it came from disk."""
    goal = record["passes"]["retrained"]["equivalent"]
    shares = {stage: passes["equivalent"] / goal for stage in STAGE_NAMES if (passes := record["passes"].get(stage))}
    return pd.DataFrame.from_dict({
        name: {
            "share of retraining": number(shares.get(stage)), "seconds": number(record["seconds"][stage], ".1f"),
            "from disk": "yes" if record["reused"].get(stage) else "no",
        } for stage, name in STAGE_NAMES.items() if stage in record["seconds"]
    }, orient="index")


def markdown(table: pd.DataFrame, corner: str = "") -> str:
    """A table as GitHub and Jupyter Book draw it."""
    lines = [[corner, *table.columns], ["---", *["---:"] * len(table.columns)]]
    lines += [[str(name), *map(str, row)] for name, row in zip(table.index, table.to_numpy(), strict=True)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
