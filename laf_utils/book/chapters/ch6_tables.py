"""What the audit's records say over training seeds: tables and sentences. Means, and one standard deviation after ±."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pandas as pd
from IPython.display import HTML

from ...audit.statistics import p_of_excess
from ...audit.verdict import BY_IMAGE, CANNOT, DIFFERENT, EQUIVALENT, LEVEL, NO_POWER, SHIFT, SeedVerdict, verdict_over_seeds
from ...experiments.audit_seeds import MODELS, NULL
from ...experiments.cells import AGAIN
from ...experiments.record import AUDIT
from ...methods import METHODS
from ...settings.names import MEASURE_NAMES, MODEL_NAMES
from ...support.paths import results_folder
from ...support.reading import counted
from ..base import words
from ..base.captions import caveats
from ..base.reading import grouped, measure
from ..base.tables import MISSING
from ..base.words import mean_text
from ..base.words import title_of as heading
from .aligned import aligned, folded

TITLES = MODEL_NAMES | {NULL: words.TITLES[AGAIN]}
PLACES = tuple((dataset, task) for dataset in ("mnist", "fashion") for task in ("class", "data", "noisy"))

JS, CKA = "JS on D_f", "CKA on D_f"
# By name in sentences: the distances of the verdict, and how many digits they are said with.
OUTPUTS = ("shift of φ (nats)", "φ by image (nats)", "W1 of φ (nats)", "KS, D", "JS on D_f (nats)")
INSIDE = ("CKA on D_f", "CKA on D_r", "distance on D_f", "distance on D_r", "epochs to relearn")
VERDICT = ("verdict", "told apart by", "shift of φ (nats)", "95 % interval")
POWER = ("margin", "two retrained", "found 4 times in 5", "exact methods that pass")
WITHIN = 10.0  # points of AUC beside a second retrained model's
DISTANCES = {BY_IMAGE: ("distance_by_image", 2), JS: ("js_forget", 3)}

Value = Callable[[dict, str], float | None]


def found(dataset: str, task: str, profile: str = "quick", folder: Path | None = None) -> list[dict]:
    """The committed records of a data set and task, one per training seed.

    Raises:
        RecordError: a file among them that is no record.
    """
    place = (folder or results_folder() / "audit") / dataset
    return sorted(map(AUDIT.read, place.glob(f"{task}-{profile}-seed*.json")), key=lambda record: record["place"]["seed"])


def places() -> dict[tuple[str, str], list[dict]]:
    """The committed records of every request that has some."""
    return {place: records for place in PLACES if (records := found(*place))}


def title_of(model: str) -> str:
    """The row of a model in tables."""
    return TITLES.get(model) or METHODS[model].title


def rests_on(records: list[dict]) -> str:
    """What the tables of these records rest on."""
    if not records:
        return "No record yet."
    first, seeds = records[0], ", ".join(str(record["place"]["seed"]) for record in records)
    task = first["task"]
    said = f"Training seeds {seeds}; {task['forget']:,} images to forget, {task['retain']:,} to keep."
    return " ".join([said, *caveats(first)])


def values(records: list[dict], model: str, value: Value) -> dict[int, float]:
    """A measure of a model by seed; seeds on which the model diverged or the measure does not apply are left out."""
    own = {record["place"]["seed"]: value(record, model) for record in records if model in record["metrics"]}
    return {seed: number for seed, number in own.items() if number is not None}


def _of(part: str, *names: str) -> Value:
    """A measure of a model by where it stands in a part of a record; older records may have none."""
    return lambda record, model: measure(part, model, *names)(record)


shift = _of("audit", "verdict", "shift")  # mean of phi(model) - phi(retrained) over D_f, in nats
auc = _of("audit", "log_odds_auc")  # of phi(model) over phi(retrained) on D_f, percent
u_mia = _of("audit", "u_mia_log", "accuracy")  # of U-MIA on log losses, percent


def _pairs(records: list[dict], model: str, value: Value) -> list[tuple[float, float]]:
    """A distance of a model and of the second retrained model by seed, of the seeds that have both."""
    own, null = values(records, model, value), values(records, NULL, value)
    return [(own[seed], null[seed]) for seed in sorted(own.keys() & null.keys())]


def judged(records: list[dict], model: str) -> SeedVerdict | None:
    """The verdict over seeds on a model; ``None`` of fewer than two seeds. The untouched original is judged first."""
    own, null = values(records, model, shift), values(records, NULL, shift)
    if min(len(own), len(null)) < 2:
        return None
    first = judged(records, "original") if model != "original" else None
    found = {name: _pairs(records, model, _of("audit", key)) for name, (key, _) in DISTANCES.items()}
    return verdict_over_seeds(
        list(own.values()), list(null.values()), {name: pairs for name, pairs in found.items() if pairs},
        original_differs=first.outcome == DIFFERENT if first else None,
    )


def summary(places: dict[tuple[str, str], list[dict]], model: str) -> str:
    """What the verdicts over seeds say together: the requests by outcome, in one sentence."""
    outcomes = {heading(*place): judged(records, model) for place, records in places.items()}
    found = grouped(outcomes, lambda where: own.outcome if (own := outcomes[where]) else "too few seeds to judge")
    said = (f"**{outcome}** in {counted(len(where), 'request')} ({'; '.join(where)})" for outcome, where in found.items())
    return f"{title_of(model)} beside retrained models: {'; '.join(said)}."


def told(said: list[str]) -> str:
    """Sentences as a Markdown list that a reader opens: many numbers, which the tables hold as well."""
    lines = "\n".join(f"- {line}" for line in said)
    return f"<details><summary>Each verdict with its numbers, request by request</summary>\n\n{lines}\n\n</details>"


def opened(place: tuple[str, str], records: list[dict]) -> HTML:
    """Every table of a request, folded: verdict and its test's reach, utility, attacks, distances."""
    judged, apart = verdicts(records), distances(records)
    return folded(
        heading(*place), rests_on(records), aligned(judged, "Verdict.", VERDICT),
        aligned(judged, "The test's reach. Shifts in nats.", POWER),
        aligned(utility(records), "Utility: gap in points, accuracies in percent."), diverged(records),
        aligned(membership(records), "Attacks, in percent."), powerless(records),
        aligned(apart, "Distance to retraining: outputs.", OUTPUTS),
        aligned(apart, "Distance to retraining: representation, and epochs to relearn.", INSIDE),
    )


def log_odds_finding(places: dict[tuple[str, str], list[dict]], models: tuple[str, ...] = ("relearn", "laf")) -> str:
    """In how many requests the log-odds of D_f lie as near to the retrained model's as those of a second one, in a sentence.

    Requests of one seed say nothing.
    """
    found = {model: [_pairs(records, model, auc) for records in places.values()] for model in models}
    apart = {model: [_from_blind(pairs) for pairs in own if len(pairs) > 1] for model, own in found.items()}
    said = [
        f"{title_of(model)} in {sum(own <= null + WITHIN for own, null in found)} of {len(found)}"
        for model, found in apart.items() if found
    ]
    if not said:
        return ""
    return (
        f"**Log-odds of the forgotten images.** Their AUC against the retrained model lies within {WITHIN:g} points of a second "
        f"retrained model's: {', '.join(said)} requests (mean over training seeds of the distance from 50)."
    )


def _from_blind(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """Mean distance of AUCs from 50, of a model and of the second retrained one."""
    own, null = (sum(abs(value - 50) for value in side) / len(pairs) for side in zip(*pairs, strict=True))
    return own, null


def representations_apart(records: list[dict], model: str) -> list[tuple[float, float]]:
    """CKA on D_f of a model and of the second retrained one by seed, where the former is lower; else empty.

    A one-sided t test over seeds at 5 %.
    """
    pairs = _pairs(records, model, _of("audit", "debiased_cka_forget"))
    return pairs if p_of_excess([null - own for own, null in pairs]) < LEVEL else []


def _table(records: list[dict], columns: dict[str, tuple[Value, int]], skipped: tuple[str, ...] = ()) -> pd.DataFrame:
    models = [model for model in MODELS if model not in skipped and any(model in record["metrics"] for record in records)]
    return pd.DataFrame({
        name: {title_of(model): mean_text(values(records, model, value).values(), digits) for model in models}
        for name, (value, digits) in columns.items()
    })


def diverged(records: list[dict]) -> str:
    """A sentence: the models that diverged, on how many seeds, and those that no record has; empty where there are none."""
    failed = {model: sum(model in record["failures"] for record in records) for model in MODELS}
    missing = [title_of(m) for m in MODELS if not any(m in record["metrics"] or m in record["failures"] for record in records)]
    some = {model: f" ({count} of {len(records)} seeds)" * (count < len(records)) for model, count in failed.items() if count}
    named = [title_of(model) + seeds for model, seeds in some.items()]
    said = [f"Diverged: {', '.join(named)}." * bool(named), f"Not on record: {', '.join(missing)}." * bool(records and missing)]
    return " ".join(filter(None, said))


def utility(records: list[dict]) -> pd.DataFrame:
    """Mean gap to the retrained model of the same seed in points, and the accuracies it is the mean of in percent."""
    test = "test_r" if records and records[0]["place"]["task"] == "class" else "test"
    columns = {MEASURE_NAMES[name]: (_of("metrics", name), 2) for name in ("train_f", "train_r", test)}
    return _table(records, {"gap": (_of("gaps", "mean"), 2), **columns})


def membership(records: list[dict]) -> pd.DataFrame:
    """Every attack on every model, in percent: 50 is blind for all but the published ASR.

    That stands last, with its chance level.
    """
    return _table(records, {
        "U-MIA on log loss": (u_mia, 1), "RMIA AUC": (_of("audit", "rmia", "auc"), 0), "AUC of φ": (auc, 0),
        "balanced accuracy": (_of("attack", "balanced_accuracy"), 1), "published ASR": (_of("metrics", "asr"), 1),
        "always “member”": (_of("attack", "chance"), 1),
    })


def powerless(records: list[dict]) -> str:
    """A sentence where the published attack lies below its chance level on original, retrained and unlearned models alike."""
    measures, models = (_of("metrics", "asr"), _of("attack", "chance")), ("original", "retrained", "laf")
    asr, level = ([values(records, model, value) for model in models] for value in measures)
    below = all(asr) and all(sum(own.values()) < sum(chance.values()) for own, chance in zip(asr, level, strict=True))
    return "On original, retrained and unlearned models alike the published ASR lies below its chance level: no power." * below


def distances(records: list[dict]) -> pd.DataFrame:
    """Distance to the retrained model of the same seed: phi on D_f, KS, representations, epochs to relearn."""
    return _table(records, {
        "shift of φ (nats)": (shift, 2), "φ by image (nats)": (_of("audit", "distance_by_image"), 2),
        "W1 of φ (nats)": (_of("audit", "wasserstein"), 1), "KS, D": (_of("audit", "ks_distance"), 2),
        "JS on D_f (nats)": (_of("audit", "js_forget"), 3),
        "CKA on D_r": (_of("audit", "debiased_cka_retain"), 3), "CKA on D_f": (_of("audit", "debiased_cka_forget"), 3),
        "distance on D_r": (_of("audit", "distance_retain"), 2), "distance on D_f": (_of("audit", "distance_forget"), 2),
        "epochs to relearn": (_of("relearn"), 1),
    }, skipped=("retrained",))


def verdicts(records: list[dict]) -> pd.DataFrame:
    """The verdict over seeds on every model, the untouched original first, with margin and power of the test."""
    return pd.DataFrame.from_dict({
        title_of(model): {
            "verdict": own.words, "told apart by": ", ".join(own.found_by) or MISSING,
            "shift of φ (nats)": f"{own.shift:.2f}", "95 % interval": f"{own.low:.2f} to {own.high:.2f}",
            "margin": f"{own.margin:.2f}", "two retrained": f"{own.null:.2f}",
            "found 4 times in 5": f"{own.detectable:.2f}", "exact methods that pass": f"{own.exact_passes:.0f} %",
        } for model in MODELS if model not in ("retrained", NULL) and (own := judged(records, model))
    }, orient="index")


def sentence(records: list[dict], model: str, many: str = "") -> str:
    """The verdict on a model in words, and every measure that does not agree with it; the numbers stand in ``verdicts``.

    Args:
        many: what the likelihood-ratio attack over many models says against the verdict, where there is a record of it.
    """
    if not records:
        return f"{title_of(model)}: no record yet."
    where = heading(records[0]["place"]["dataset"], records[0]["place"]["task"])
    own = judged(records, model)
    if own is None:
        missing = any(model in record["failures"] for record in records)
        return f"{where}: {title_of(model)} {'diverged' if missing else 'has too few seeds to judge: one seed, no claim'}."
    original = cast(SeedVerdict, judged(records, "original"))
    parts = [
        f"{where}: {title_of(model)} {_outcome(own)}",
        f"Its φ on the forgotten images lies {_beside(own.shift)} the retrained model's, that of the untouched original "
        f"{_beside(original.shift)}",
    ]
    more = ["; ".join([*_against(records, model, own), *filter(None, [many])]), own.missing]
    parts += [(part[0].upper() if part[0].isascii() else part[0]) + part[1:] for part in more if part]
    return ". ".join(parts) + "."


def _beside(shift: float) -> str:
    return f"{abs(shift):.2f} nats {'above' if shift > 0 else 'below'}"


def _outcome(own: SeedVerdict) -> str:
    """The verdict in bold, as the predicate of a sentence."""
    return {
        DIFFERENT: f"is **{own.words}** from retrained models",
        EQUIVALENT: "is **equivalent** to retrained models",
        NO_POWER: "cannot be judged here (**no power**): it is not found different, but neither is the untouched original",
        CANNOT: "is neither shown different from retrained models nor equivalent to them (**cannot tell**)",
    }[own.outcome]


def _against(records: list[dict], model: str, own: SeedVerdict) -> list[str]:
    """The measures that tell a model from retrained ones, with their numbers, and those of the verdict that do not."""
    said, differs = [], own.outcome == DIFFERENT
    disagrees = "" if differs else "disagrees and "
    if (SHIFT in own.found_by) != differs:
        said.append(f"the {SHIFT} alone does not tell it apart" if differs else f"the {SHIFT} differs, within the margin")
    for name, (key, digits) in DISTANCES.items():
        pairs = _pairs(records, model, _of("audit", key))
        if name in own.found_by:
            said.append(f"{name} {disagrees}is {_both(pairs, digits)}")
        elif pairs and differs:
            said.append(f"{name} does not tell it apart")
    pairs = representations_apart(records, model)
    if pairs:
        said.append(f"{CKA} {disagrees}is {_both(pairs, 3)}")
    return said


def _both(pairs: list[tuple[float, float]], digits: int) -> str:
    own, null = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    return f"{own:.{digits}f} where two retrained models have {null:.{digits}f}"
