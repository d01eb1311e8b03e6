"""What the audit's records say over training seeds: tables and sentences. Mean and half of Student's 95 % interval throughout."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from ...audit import interval
from ...audit.verdict import Verdict, verdict_over_seeds
from ...experiments.audit_seeds import MODELS, NULL, read
from ...methods import METHODS
from ...settings.names import DATASET_NAMES, MEASURE_NAMES, TASK_NAMES
from ...support.paths import results_folder
from ..base.tables import MISSING

TITLES = {"original": "Original", "retrained": "Retrained", NULL: "Retrained, another seed", "laf": "LAF", "laf_r": "LAF+R"}
PLACES = (("mnist", "class"), ("mnist", "data"), ("fashion", "class"), ("fashion", "data"))

Value = Callable[[dict, str], float | None]


def found(dataset: str, task: str, profile: str = "quick", folder: Path | None = None) -> list[dict]:
    """The committed records of a data set and task, one per training seed.

    Raises:
        RecordError: a file among them that is no record.
    """
    place = (folder or results_folder() / "audit") / dataset
    return sorted(map(read, place.glob(f"{task}-{profile}-seed*.json")), key=lambda record: record["place"]["seed"])


def title_of(model: str) -> str:
    """The row of a model in tables."""
    return TITLES.get(model) or METHODS[model].title


def heading(dataset: str, task: str) -> str:
    """``MNIST, class removal``."""
    return f"{DATASET_NAMES[dataset]}, {TASK_NAMES[task]}"


def rests_on(records: list[dict]) -> str:
    """What the tables of these records rest on."""
    if not records:
        return "No record yet."
    first, seeds = records[0], ", ".join(str(record["place"]["seed"]) for record in records)
    task = first["task"]
    said = f"Training seeds {seeds}; {task['forget']:,} images to forget, {task['retain']:,} to keep."
    return " ".join([said, *first["caveats"]])


def values(records: list[dict], model: str, value: Value) -> dict[int, float]:
    """A measure of a model by seed; seeds on which the model diverged or the measure does not apply are left out."""
    own = {record["place"]["seed"]: value(record, model) for record in records if model in record["metrics"]}
    return {seed: number for seed, number in own.items() if number is not None}


def _text(numbers: dict[int, float], digits: int) -> str:
    if not numbers:
        return MISSING
    over = interval(list(numbers.values()))
    return f"{over.mean:.{digits}f}" + (f"\u00a0±\u00a0{over.half_width:.{digits}f}" if over.count > 1 else "")


def _metric(name: str) -> Value:
    return lambda record, model: record["metrics"][model].get(name)


def shift(record: dict, model: str) -> float | None:
    """Mean of phi(model) - phi(retrained) over D_f, in nats."""
    found = record["audit"][model]["verdict"]
    return found and found["shift"]


def u_mia(record: dict, model: str) -> float | None:
    """Accuracy of U-MIA in percent."""
    found = record["audit"][model]["u_mia"]
    return found and found["accuracy"]


def rmia_auc(record: dict, model: str) -> float | None:
    """AUC of RMIA in percent."""
    found = record["audit"][model]["rmia"]
    return found and found["auc"]


def _audit(name: str) -> Value:
    return lambda record, model: record["audit"][model][name]


def judged(records: list[dict], model: str) -> Verdict | None:
    """The verdict over seeds on a model; ``None`` of fewer than two seeds."""
    own, null = values(records, model, shift), values(records, NULL, shift)
    return verdict_over_seeds(list(own.values()), list(null.values())) if min(len(own), len(null)) > 1 else None


def _table(records: list[dict], columns: dict[str, tuple[Value, int]], skipped: tuple[str, ...] = ()) -> pd.DataFrame:
    rows = {}
    for model in MODELS:
        if model in skipped or not records:
            continue
        row = {name: _text(values(records, model, value), digits) for name, (value, digits) in columns.items()}
        count = sum(model in record["metrics"] for record in records)
        rows[title_of(model)] = row | {"seeds": str(count) if count else "diverged"}
    return pd.DataFrame.from_dict(rows, orient="index")


def utility(records: list[dict]) -> pd.DataFrame:
    """Accuracies, their mean gap to the retrained model of the same seed, and ToW; percent and points."""
    test = "test_r" if records and records[0]["place"]["task"] == "class" else "test"
    columns = {MEASURE_NAMES[name]: (_metric(name), 2) for name in ("train_r", "train_f", test)}
    columns["gap"] = (lambda record, model: record["gaps"].get(model, {}).get("mean"), 2)
    columns["ToW"] = (lambda record, model: record["gaps"].get(model, {}).get("tow"), 3)
    return _table(records, columns)


def membership(records: list[dict]) -> pd.DataFrame:
    """Every attack on every model, in percent: 50 is blind for all but the published ASR, whose chance level stands beside it."""
    columns = {
        "ASR": (_metric("asr"), 1), "always “member”": (lambda record, model: record["attack"][model]["chance"], 1),
        "balanced accuracy": (lambda record, model: record["attack"][model]["balanced_accuracy"], 1),
        "U-MIA": (u_mia, 1), "RMIA AUC": (rmia_auc, 1),
        "RMIA TPR at 1 % FPR": (lambda record, model: (record["audit"][model]["rmia"] or {}).get("tpr_at_1_fpr"), 1),
    }
    return _table(records, columns)


def distances(records: list[dict]) -> pd.DataFrame:
    """Distance to the retrained model of the same seed: phi on D_f, KS, representations, epochs to relearn."""
    columns = {
        "shift of φ (nats)": (shift, 2), "KS, log10 p": (_audit("ks_log10_p"), 1),
        "JS on D_f (nats)": (_audit("js_forget"), 3),
        "CKA on D_r": (_audit("cka_retain"), 3), "CKA on D_f": (_audit("cka_forget"), 3),
        "distance on D_r": (_audit("distance_retain"), 2), "distance on D_f": (_audit("distance_forget"), 2),
        "epochs to relearn": (lambda record, model: record["relearn"].get(model), 1),
    }
    return _table(records, columns, skipped=("retrained",))


def verdicts(records: list[dict]) -> pd.DataFrame:
    """The two-sided verdict over seeds on every model, with the power of the test."""
    rows = {}
    for model in MODELS:
        own = judged(records, model) if model not in ("retrained", NULL) else None
        if own:
            rows[title_of(model)] = {
                "verdict": own.verdict, "shift of φ (nats)": f"{own.shift:.2f}",
                "95 % interval": f"{own.low:.2f} to {own.high:.2f}",
                "noise between two retrained": f"up to {own.floor:.2f}", "would have seen": f"{own.detectable:.2f}",
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def sentence(records: list[dict], model: str) -> str:
    """The verdict on a model in words, with its numbers."""
    if not records:
        return f"{title_of(model)}: no record yet."
    where = heading(records[0]["place"]["dataset"], records[0]["place"]["task"])
    own = judged(records, model)
    if own is None:
        missing = any(model in record["failures"] for record in records)
        return f"{where}: {title_of(model)} {'diverged' if missing else 'has too few seeds to judge'}."
    way = "above" if own.shift > 0 else "below"
    return (
        f"{where}: {title_of(model)} is **{own.verdict}**. Its confidence φ in the labels of the forgotten images lies "
        f"{abs(own.shift):.2f} nats {way} the retrained model's (95 % interval {own.low:.2f} to {own.high:.2f}, "
        f"{len(values(records, model, shift))} seeds), where two retrained models differ by up to {own.floor:.2f}; "
        f"a shift of {own.detectable:.2f} would have been seen four times in five."
    )
