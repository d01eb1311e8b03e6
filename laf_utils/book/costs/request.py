"""What a request costs, method by method and stage by stage: counted from each record, beside what was measured."""

import math
from collections.abc import Mapping
from functools import partial
from typing import cast

import pandas as pd

from ...datasets.catalogue import FACTS
from ...experiments.cells import AGAIN, ORIGINAL, RETRAIN
from ...methods.passes import FROZEN_PASS
from ...models import REPRESENTATION_WIDTH, parameter_count
from ...settings.presets import DATASET_PRESETS
from ..base.captions import side_of
from ..base.tables import number
from ..chapters.ch5_tables import found, network_of, record_name, retraining_passes
from .memory import FLOAT, Shape, added, kept_before
from .work import Work, family_of, of_record

MB = 2**20
COLUMNS = (
    "training passes", "frozen passes", "MB kept before", "MB added, counted", "seconds", "MB added, measured",
    "% of retraining",
)
TRAINING, OWN, VAES, UNLEARNING, REPAIR = "training", "its own original", "VAEs", "unlearning", "repair"


def cost_by_stage(dataset: str = "mnist", task: str = "class", seed: int = 0) -> pd.DataFrame:
    """One row per method and stage of the comparison's records at published settings.

    Returns:
        Index (method, stage). Columns: passes of the stage; ``MB kept before``, what must have been kept since the original's
        training; ``MB added, counted``, representations, teacher's logits, VAEs, kept epochs, weights and optimiser (2**20
        bytes); seconds of the processor, or on the wall clock of an artefact's computation (LAF's are known together and stand
        with unlearning); the process's added memory, on a CPU; passes as percent of retraining's, a frozen pass counted as a
        third. What no record says is NaN.
    """
    records = [r for r in found(dataset, task, seed=seed) if r["cell"]["choice"] == "defaults"]
    rows, goal = {}, retraining_passes(records)
    for record in (record for record in records if of_record(record)):
        for stage, row in _stages(record).items():
            equivalent = row["training passes"] + FROZEN_PASS * row["frozen passes"]
            rows[record_name(record), stage] = row | {"% of retraining": 100 * equivalent / goal}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
    table.index = pd.MultiIndex.from_tuples(list(rows), names=["method", "stage"])
    return table


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """``cost_by_stage`` for the eye: thousands apart, one digit of MB, seconds and percent, a dash for what no record says."""
    return table.apply(lambda column: column.map(partial(number, form=",.0f" if column.name in COLUMNS[:2] else ",.1f")))


def _stages(record: Mapping) -> dict[str, dict]:
    """The rows of a record by stage."""
    method, settings, shape = record["cell"]["method"], record["settings"], shape_of(record)
    holds = added("retrain" if method in (ORIGINAL, AGAIN) else method, settings, shape)
    work, mb = cast(Work, of_record(record)), {name: size / MB for name, size in holds.items()}
    before = sum(kept_before(method, settings, shape.parameters).values()) / MB
    on_cpu = record["machine"]["device"] == "cpu"
    clock = "processor_seconds" if on_cpu and record["processor_seconds"] is not None else "seconds"
    # On a GPU the process's memory is the host's, not the card's.
    measured = record["added_memory_mb"] if on_cpu and record["added_memory_mb"] is not None else math.nan
    if family_of(method) == "laf":
        return _laf_stages(record, work, mb, record[clock], measured)
    whole = _row(work.training, work.frozen, sum(mb.values()), record[clock], before=before, measured=measured)
    if method in (ORIGINAL, RETRAIN, AGAIN):
        return {TRAINING: whole}
    if not record["preparation"]:
        return {UNLEARNING: whole}
    own, task = settings.get("training", settings), record["task"]  # SISA and Unroll train one before any request comes
    images = own["epochs"] * (task["forget"] + task["retain"])
    return {OWN: _row(images, 0, math.nan, record["preparation"][clock]), UNLEARNING: whole}


def _row(
    training: float, frozen: float, counted: float, seconds: float = math.nan, *, before: float = 0.0, measured: float = math.nan
) -> dict:
    return dict(zip(COLUMNS, (training, frozen, before, counted, seconds, measured), strict=False))


def _laf_stages(record: Mapping, work: Work, mb: Mapping, seconds: float, measured: float) -> dict[str, dict]:
    """LAF's stages; the record has their seconds only together, and they stand with unlearning."""
    repaired = _repaired(record)
    beside = work.training / 2 if DATASET_PRESETS[record["cell"]["dataset"]].augment else 0  # the teacher's, of steps of L_RA
    rows = {
        VAES: _row(0, work.frozen - repaired - beside, mb["representations"] + mb["VAEs"]),
        UNLEARNING: _row(work.training, beside, mb["student, gradients, optimiser"], seconds, measured=measured),
    }
    return rows | ({REPAIR: _row(0, repaired, repaired * REPRESENTATION_WIDTH * FLOAT / MB)} if repaired else {})


def _repaired(record: Mapping) -> int:
    """Images whose representations the repair takes."""
    repair = record["settings"].get("repair")
    if not repair or not repair["epochs"]:
        return 0
    share = record["label_access"]["share_of_retain"] or 1.0
    known, size = max(1, round(repair["labelled_share"] * round(share * record["task"]["retain"]))), repair["batch_size"]
    if repair.get("pairing", "all") != "forget":  # records from before there was a choice read all of D_r
        return known
    return repair["epochs"] * min(known, -(-record["task"]["forget"] // size) * size)


def shape_of(record: Mapping) -> Shape:
    """What the bytes of a record's method depend on."""
    cell, task = record["cell"], record["task"]
    facts, weights = FACTS[cell["dataset"]], parameter_count(network_of(cell["dataset"], cell["profile"]))
    inputs = facts.shape[0] * side_of(cell["dataset"], cell["profile"]) ** 2
    return Shape(
        task["forget"], task["retain"], weights, len(facts.class_names), REPRESENTATION_WIDTH, inputs,
        crops=DATASET_PRESETS[cell["dataset"]].augment,
    )
