"""The paper's tables: one for each data set and task, ours over seeds and the authors' own numbers in rows of their own."""

import pandas as pd

from ...audit import gaps_to_retrained
from ...audit.statistics import Interval
from ...experiments.cells import ORIGINAL, REFERENCES, RETRAIN
from ...methods.catalogue import LISTED
from ...settings.names import LABEL_ACCESS, MEASURE_NAMES
from ..base.captions import chance_text, machine_of, rests_on
from ..base.exhibit import Exhibit
from ..base.reading import DEFAULTS, Found, Group, Value, gap, groups, metric, over, pick, profile_of, reference_mark, tow
from ..base.tables import MISSING
from ..base.training_records import authors
from ..base.words import gap_text, labels_read, mean_text, name_of, points_text, title_of
from .sentences import readings

MEASURES = {
    "class": ("train_r", "train_f", "test_r", "test_f"), "data": ("train_r", "train_f", "test"),
    "noisy": ("train_r", "train_f", "train_f_true", "test"),
}
GAP = "gap (95 % interval)"
# The authors' full sets of numbers, by what they are about: (group of authors.json, its name in rows).
THEIRS = {
    ("mnist", "class"): ("authors_code_measured", "authors' code run by us"),
    ("cifar10", "class"): ("published_notebook", "authors' notebook"),
}
THEIR_MODELS = {"original": "Original", "retrained": "Retrain", "laf": "LAF"}
READING = (
    "Percent, mean ± standard deviation over seeds; gap: mean distance to the retrained model of the same seed in points, with "
    "its 95 % interval (one seed has none); ToW is 1 for the retrained model."
)


def seconds_of(group: Group) -> tuple[list[float], bool, str] | None:
    """Seconds by seed, whether they are processor seconds, and on what: of one machine and PyTorch, a CPU where there is one.

    Records of different machines are not averaged; where some of a machine's were measured on the processor's clock and others
    on the wall's, the former.
    """
    machines: dict[tuple, list[dict]] = {}
    for record in group.good.values():
        machines.setdefault((record["machine"]["device"] != "cpu", machine_of(record)), []).append(record)
    for (_, name), same in sorted(machines.items(), key=lambda item: (item[0][0], -len(item[1]))):
        for clock in ("processor_seconds", "seconds"):
            values = [record[clock] for record in same if record[clock] is not None]
            if values:
                return values, clock == "processor_seconds", name
    return None


def seconds_text(group: Group) -> str:
    """``10.2 ± 0.3`` processor seconds, or ``~147`` on the wall clock of a machine that did other work."""
    found = seconds_of(group)
    if found is None:
        return MISSING
    values, processor, _ = found
    return mean_text(values, 1) if processor else f"~{sum(values) / len(values):,.0f}"


def seeds_text(group: Group) -> str:
    """``3``, ``2 of 3, the others diverged``, ``diverged``."""
    good, all_ = len(group.good), len(group.records)
    return "diverged" if not good else str(good) if good == all_ else f"{good}, {all_ - good} diverged"


def _text(group: Group, value: Value, digits: int = 2) -> str:
    return mean_text(group.values(value).values(), digits)


def row_of(group: Group, measures: tuple[str, ...]) -> dict[str, str]:
    """The cells of one row."""
    goal = group.method == RETRAIN and not group.variant
    return {
        "labels read": labels_read(group.any),
        **{MEASURE_NAMES[name]: _text(group, metric(name)) for name in (*measures, "asr")},
        GAP: "the goal" if goal else gap_text(over(group, gap)), "ToW": MISSING if goal else _text(group, tow, 3),
        "seconds": seconds_text(group), "seeds": seeds_text(group),
    }


def table(rows: list[Group], task: str) -> pd.DataFrame:
    """One row for each group, in their order; empty without any."""
    found = {name_of(group): row_of(group, MEASURES[task]) for group in rows}
    for group in rows:  # a gap to another retrained model than the table shows is marked
        found[name_of(group)][GAP] += reference_mark(rows, group)
    return pd.DataFrame.from_dict(found, orient="index")


def short_table(
    found: Found, dataset: str, task: str, models: tuple[str, ...] = (ORIGINAL, RETRAIN, "laf", "laf_r")
) -> pd.DataFrame:
    """The rows of a few models without seconds: what the README shows, in the words of the results page."""
    rows = [group for group in rows_of(found, dataset, task) if group.choice == DEFAULTS and group.method in models]
    return table(rows, task).drop(columns="seconds")


def their_models(dataset: str, task: str) -> dict[str, dict[str, float]]:
    """The authors' accuracies in percent by model, of the settings of which there is a full set."""
    own = authors()[THEIRS[dataset, task][0]]
    return {model: own[model] for model in THEIR_MODELS}


def their_gaps(dataset: str, task: str) -> dict[str, dict[str, float]]:
    """The distance of the authors' models to their own retrained one, as ours is computed."""
    known = their_models(dataset, task)
    return gaps_to_retrained({model: {name: own[name] for name in MEASURES[task]} for model, own in known.items()})


def their_rows(dataset: str, task: str) -> dict[str, dict[str, str]]:
    """The authors' rows of a table. Their gap is computed here from their accuracies; nothing else is."""
    if (dataset, task) not in THEIRS:
        return {}
    _, who = THEIRS[dataset, task]
    known, gaps, rows = their_models(dataset, task), their_gaps(dataset, task), {}
    for model, metrics in known.items():
        rows[f"{THEIR_MODELS[model]}, {who}"] = {
            "labels read": LABEL_ACCESS[model],
            **{MEASURE_NAMES[name]: mean_text([metrics.get(name)]) for name in (*MEASURES[task], "asr")},
            GAP: gap_text(Interval(gaps[model]["mean"], 0, 0, 0, 1)) if model in gaps else "the goal",
            "ToW": mean_text([gaps[model]["tow"]], 3) if model in gaps else MISSING, "seconds": MISSING, "seeds": "1",
        }
    return rows


def clocks_text(rows: list[Group]) -> str:
    """What the seconds of a table are."""
    found = [own for group in rows if (own := seconds_of(group))]
    if not found:
        return ""
    names = " and ".join(sorted({name for _, _, name in found}))
    said = f"Seconds on {names}: of one thread on the processor's clock"
    return said + (", or (~) on the wall clock of a machine that did other work." if not all(p for _, p, _ in found) else ".")


def rows_of(found: Found, dataset: str, task: str) -> list[Group]:
    """References and methods; rows of single experiments have exhibits of their own. None where nothing is on record."""
    profile, listed = profile_of(found, dataset, task), (*REFERENCES, *LISTED)
    return [group for group in groups(found, dataset, task, profile) if group.method in listed] if profile else []


def exhibit(found: Found, dataset: str, task: str) -> Exhibit:
    """The table of a data set and task with its caption and readings; a note where nothing is on record."""
    title, theirs, rows = title_of(dataset, task), their_rows(dataset, task), rows_of(found, dataset, task)
    numbers = pd.concat([table(rows, task), pd.DataFrame.from_dict(theirs, orient="index")])
    about = [f"{rests_on(rows)}\n\n{READING}", chance_text(rows), clocks_text(rows)] if rows else ["No record of ours yet."]
    if theirs:
        key, who = THEIRS[dataset, task]
        about.append(f"Rows “{who}”: {authors()[key]['origin']}; their gap is computed here from their accuracies.")
    if any(record["test_without_held_out"] for group in rows for record in group.good.values()):
        about.append("SCRUB+R reads a fifth of the test images; its test accuracies and its goal's leave those out.")
    said = readings(rows, f"On {title}") + _beside_theirs(rows, dataset, task) if rows else ()
    return Exhibit(f"{task}-{dataset}", title, " ".join(filter(None, about)), numbers, said)


def _beside_theirs(rows: list[Group], dataset: str, task: str) -> tuple[str, ...]:
    """A sentence that holds our LAF beside theirs, in distance to the retrained model of the same hands."""
    own = over(pick(rows, "laf"))
    if (dataset, task) not in THEIRS or own is None:
        return ()
    _, who = THEIRS[dataset, task]
    size = their_gaps(dataset, task)["laf"]["mean"]
    return (f"LAF of the {who} is {size:.2f} points from its own retrained model (one seed); ours {points_text(own)}.",)


