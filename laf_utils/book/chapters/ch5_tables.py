"""The tables of the comparison, drawn from its records. References first, then down the ladder of label access."""

import json
from pathlib import Path

import pandas as pd

from ...experiments.cells import AGAIN, CHOICES, ORIGINAL, REFERENCES, RETRAIN, listed, read
from ...experiments.tuning_winners import winners_path
from ...methods import FURTHER, METHODS, LabelAccess
from ...settings.names import MEASURE_NAMES
from ...support.paths import results_folder
from ..base.tables import MISSING
from ..base.words import TITLES, labels_read, title_of

FIELDS = ("train_r", "train_f", "train_f_true", "test", "test_r", "test_f", "asr")


def _place(record: dict) -> tuple[int, bool]:
    names = [*REFERENCES, *(name for name in METHODS if name != "retrain")]
    name = record["cell"]["method"]
    return names.index(name) if name in names else len(names), record["cell"]["choice"] == "tuned"


def found(dataset: str, task: str, *, seed: int = 0, profile: str = "paper", folder: Path | None = None) -> list[dict]:
    """The committed records of a data set and task in one profile, in the order of tables.

    Raises:
        RecordError: a file among them that is no record.
    """
    place = (folder or results_folder() / "comparison") / dataset
    last = "" if profile == "paper" else f"-{profile}"
    paths = [path for choice in ("", "-tuned") for path in sorted(place.glob(f"{task}-*-seed{seed}{choice}{last}.json"))]
    return sorted(map(read, paths), key=_place)


def name_of(record: dict) -> str:
    """The row of a record in tables."""
    cell = record["cell"]
    title = TITLES.get(cell["method"]) or record["method"]["title"] or cell["method"]
    title = f"LAF, {title}" if cell["method"].startswith("laf_") and cell["method"] in FURTHER else title  # a part exchanged
    profile = "" if cell["profile"] == "paper" else f", {cell['profile']}"
    return title + (", tuned" if cell["choice"] == "tuned" else "") + profile


def _number(value: float | None, digits: int = 2) -> str:
    return MISSING if value is None else f"{value:,.{digits}f}"


def results(records: list[dict]) -> pd.DataFrame:
    """Labels read, accuracies, published ASR and mean gap to the retrained model, one row per record; percent, gap in points."""
    used = [name for name in FIELDS if any((record["metrics"] or {}).get(name) is not None for record in records)]
    rows = {}
    for record in records:
        own = record["metrics"] or {}
        row = {"labels read": labels_read(record)} | {MEASURE_NAMES[name]: _number(own.get(name)) for name in used}
        gap = MISSING if record["cell"]["method"] == RETRAIN else _number((record["gap"] or {}).get("mean"))
        rows[name_of(record)] = row | {"gap": "diverged" if record["failure"] else gap}
    return pd.DataFrame.from_dict(rows, orient="index")


def costs(records: list[dict]) -> pd.DataFrame:
    """What each record cost: image passes in thousands, their share of retraining's, seconds, peak memory and data read.

    Seconds are processor seconds of one thread where they were measured, else the wall clock's of the artefact (marked ~).
    Memory is what the method added to what the process held before.
    """
    goal = next((r["passes"]["equivalent"] for r in records if r["cell"]["method"] == RETRAIN), None)
    rows = {}
    for record in records:
        passes, memory = record["passes"], record["added_memory_mb"]
        seconds = record["processor_seconds"]
        wall = record["seconds"]
        share = None if passes is None or goal is None else 100 * passes["equivalent"] / goal
        rows[name_of(record)] = {
            "data read": record["data_access"] if record["cell"]["method"] != ORIGINAL else "D",
            "forward and backward": _number(passes and passes["training"] / 1000, 1),
            "forward only": _number(passes and passes["frozen"] / 1000, 1),
            "% of retraining": _number(share, 1),
            "seconds": _number(seconds, 1) if seconds is not None else MISSING if wall is None else f"~{wall:,.0f}",
            "MB added": _number(memory, 0),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def own_originals(records: list[dict]) -> pd.DataFrame:
    """Methods that need an original of their own: what it scores before anything is forgotten, and what training it took."""
    rows = {}
    for record in records:
        if record["before"]:
            own = {MEASURE_NAMES[name]: _number(value) for name, value in record["before"].items() if value is not None}
            rows[name_of(record)] = own | {"seconds": _number(record["preparation"]["processor_seconds"], 0)}
    return pd.DataFrame.from_dict(rows, orient="index")


def ladder() -> str:
    """Every method of the table with the labels and the data that it declares, as lines of plain text."""
    lines = [f"{'method':<31}{'labels':<15}data"]
    for method in METHODS.values():
        labels = "of D_r" if method.label_access == LabelAccess.FEW else method.label_access.words
        lines.append(f"{method.title:<31}{labels:<15}{method.data_access.words}")
    return "\n".join(lines)


def coverage(datasets: tuple[str, ...] = ("mnist", "fashion")) -> pd.DataFrame:
    """How many cells are on record at published and at tuned settings, and which published ones are missing."""
    rows = {}
    for dataset in datasets:
        for task in ("class", "data", "noisy"):
            records = found(dataset, task)
            cells = [r["cell"] for r in records]
            have = {choice: {cell["method"] for cell in cells if cell["choice"] == choice} for choice in CHOICES}
            wanted = {choice: listed(choice) for choice in have}
            missing = [n for n in wanted["defaults"] if n not in have["defaults"]]
            rows[title_of(dataset, task)] = {
                "published settings": f"{len(have['defaults'])} of {len(wanted['defaults'])}",
                "tuned": f"{len(have['tuned'])} of {len(wanted['tuned'])}",
                "missing at published settings": ", ".join(TITLES.get(n) or METHODS[n].title for n in missing) or "none",
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def nearest(records: list[dict]) -> str:
    """A sentence: the records nearest to the retrained model, the noise floor, and what changed without labels."""
    scored = [r for r in records if r["cell"]["method"] not in (ORIGINAL, RETRAIN, AGAIN) and r["gap"]]
    if not scored:
        return "No method is on record for this request."
    best = min(scored, key=lambda r: r["gap"]["mean"])
    free = [r for r in scored if r["label_access"]["level"] == "none"]
    said = [f"Nearest to Retrain is {name_of(best)} with a mean gap of {best['gap']['mean']:.2f} points"]
    if free:
        first = min(free, key=lambda r: r["gap"]["mean"])
        said.append(f"without any label {name_of(first)} with {first['gap']['mean']:.2f}")
    again = [r["gap"]["mean"] for r in records if r["cell"]["method"] == AGAIN]
    floor = f" Retraining from another seed is {again[0]:.2f} from Retrain: nothing below that means anything." if again else ""
    return "; ".join(said) + f".{floor}"


def tuning(dataset: str, task: str) -> pd.DataFrame:
    """What the equal search found, a row for each method: gap of the published settings and of the winner on the reduced set, in
    points, which trial won, what it changed, and between which values it might; empty where there was no search.
    """
    path = winners_path(dataset, task)
    if not path.is_file():
        return pd.DataFrame()
    methods = json.loads(path.read_text(encoding="utf-8"))["methods"]
    rows = {}
    for name, found in methods.items():
        winner, trials = found["winner"], found["trials"]
        changes = ", ".join(f"{key} {_plain(value)}" for key, value in winner["changes"].items())
        rows[METHODS[name].title] = {
            "published": _number(trials[0]["gap"]), "winner": _number(winner["gap"]),
            "trial": f"{winner['trial'] + 1} of {len(trials)}", "changed to": changes or "nothing: published is best",
            "searched": "; ".join(f"{key}: {span}" for key, span in found["space"].items()),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _plain(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def searched(dataset: str, task: str) -> str:
    """What the search rests on, as a sentence."""
    path = winners_path(dataset, task)
    if not path.is_file():
        return f"{title_of(dataset, task)} was not searched yet: no tuned row stands above."
    about = json.loads(path.read_text(encoding="utf-8"))["about"]
    images = about["images"]
    return (
        f"{title_of(dataset, task)}: {about['trials_per_method']} trials for every method, on {images['train']:,} images to "
        f"train and {images['set_aside']:,} set aside, of {images['of']:,}. Objective: {about['objective']}."
    )
