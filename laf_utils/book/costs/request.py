"""What a request costs, method by method and stage by stage: counted from each record, beside what was measured."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pandas as pd

from ...datasets.catalogue import FACTS
from ...experiments.cells import AGAIN, ORIGINAL, RETRAIN
from ...methods.passes import FROZEN_PASS, Passes
from ...models import REPRESENTATION_WIDTH, Architecture, parameter_count
from ...representations import PASS_BATCH
from ...settings.presets import DATASET_PRESETS, backbone_of
from ..base.tables import MISSING
from ..chapters.ch5_tables import found, name_of
from .calibrated import every
from .memory import FLOAT, Shape, added, kept_before
from .observed import group_of
from .work import FAMILIES, Work, family_of, of_extractor_unlearning, of_record, work_of

MB = 2**20
COLUMNS = (
    "training passes", "frozen passes", "optimiser steps", "MB kept before", "MB added, counted", "seconds", "clock",
    "MB added, measured", "seconds, model", "% of retraining",
)
TRAINING, OWN, VAES, UNLEARNING, REPAIR = "training", "its own original", "VAEs", "unlearning", "repair"


def cost_by_stage(
    dataset: str = "mnist", task: str = "class", seed: int = 0, *, profile: str = "paper", folder: Path | None = None
) -> pd.DataFrame:
    """One row per method and stage of the comparison's records at published settings.

    Args:
        folder: of the comparison's records; the committed ones by default.

    Returns:
        Index (method, stage). Columns: passes and steps of the stage; ``MB kept before``, what must have been kept since the
        original's training; ``MB added, counted``, representations, teacher's logits, VAEs, kept epochs, weights and optimiser
        (2**20 bytes); seconds by the clock that timed them (``processor``, or ``wall`` of an artefact's computation; LAF's are
        known together and stand with unlearning); the process's added memory, on a CPU; seconds as the model fitted to all
        records of the machine has them; passes as percent of retraining's, a frozen pass counted as a third. What no record
        says is NaN.
    """
    records = [r for r in found(dataset, task, seed=seed, profile=profile, folder=folder) if r["cell"]["choice"] == "defaults"]
    goal = next((r["passes"]["equivalent"] for r in records if r["cell"]["method"] == RETRAIN and r["passes"]), math.nan)
    models, rows = every(), {}
    for record in records:
        if record["passes"] is None or family_of(record["cell"]["method"]) is None:
            continue
        model = models.get(group_of(record))
        for stage, (row, work) in _stages(record).items():
            equivalent = row["training passes"] + FROZEN_PASS * row["frozen passes"]
            predicted = model.fitted.predict(work) if model else math.nan
            rows[name_of(record), stage] = row | {"% of retraining": 100 * equivalent / goal, "seconds, model": predicted}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
    table.index = pd.MultiIndex.from_tuples(rows, names=["method", "stage"]) if rows else pd.MultiIndex.from_arrays(
        [[], []], names=["method", "stage"])
    return table


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """``cost_by_stage`` for the eye: thousands apart, one digit of MB, seconds and percent, a dash for what no record says."""
    digits = {name: 0 if name in COLUMNS[:3] else 1 for name in COLUMNS if name != "clock"}
    columns = {
        name: [MISSING if pd.isna(value) else f"{value:,.{digits[name]}f}" if name in digits else value for value in table[name]]
        for name in COLUMNS
    }
    return pd.DataFrame(columns, index=table.index)


Stage = tuple[dict, Work]  # the row of a stage, and its work


def _stages(record: Mapping) -> dict[str, Stage]:
    """The stages of one record."""
    method, settings, shape = record["cell"]["method"], record["settings"], shape_of(record)
    work, mb = cast(Work, of_record(record)), {name: size / MB for name, size in _added(record, shape).items()}
    before = sum(kept_before(method, settings, shape.parameters).values()) / MB
    on_cpu = record["machine"]["device"] == "cpu"
    seconds, clock = record["processor_seconds"], "processor"
    if seconds is None or not on_cpu:
        seconds, clock = record["seconds"], "wall"
    # On a GPU the process's memory is the host's, not the card's.
    measured = record["added_memory_mb"] if on_cpu and record["added_memory_mb"] is not None else math.nan
    whole = _row(work, _steps(method, work), sum(mb.values()), seconds, clock, before=before, measured=measured), work
    if method in (ORIGINAL, RETRAIN, AGAIN):
        return {TRAINING: whole}
    if family_of(method) == "laf":
        return _laf_stages(record, work, mb, seconds, clock, measured)
    return ({OWN: _own(record, clock)} if record["preparation"] else {}) | {UNLEARNING: whole}


def _row(
    work: Work, steps: float, counted: float, seconds: float, clock: str, *, before: float = 0.0, measured: float = math.nan
) -> dict:
    values = (work.training, work.frozen, steps, before, counted, seconds, clock, measured)
    return dict(zip(COLUMNS, values, strict=False))


def _steps(method: str, work: Work) -> float:
    return round(work.calls / FAMILIES[str(family_of(method))].calls_per_step)


def _own(record: Mapping, clock: str) -> Stage:
    """The original that SISA and Unroll train for themselves before any request comes."""
    method, settings, task = record["cell"]["method"], record["settings"], record["task"]
    own, images = settings.get("training", settings), task["forget"] + task["retain"]
    seconds = record["preparation"]["processor_seconds" if clock == "processor" else "seconds"]
    work = work_of(method, settings, Passes(own["epochs"] * images), task["forget"], task["retain"], crops=_crops(record))
    return _row(work, _steps(method, work), math.nan, seconds, clock), work


def _laf_stages(record: Mapping, work: Work, mb: Mapping, seconds: float, clock: str, measured: float) -> dict[str, Stage]:
    """LAF's stages; the record has their seconds only together, and they stand with unlearning."""
    settings, repaired = record["settings"], _repaired(record)
    beside = work.training / 2 if _crops(record) else 0  # the teacher's, of the steps of L_RA
    represented = work.frozen - repaired - beside
    steps = work.vae_steps - of_extractor_unlearning(settings["unlearning"], work.calls)
    fitted = Work(frozen=represented, frozen_calls=represented / PASS_BATCH, vae_steps=steps)
    repair = Work(frozen=repaired, frozen_calls=repaired / PASS_BATCH)
    unlearnt = replace(
        work, frozen=beside, frozen_calls=work.frozen_calls - fitted.frozen_calls - repair.frozen_calls,
        vae_steps=work.vae_steps - steps,
    )
    held = mb["representations"] + mb["VAEs"]
    rows = {
        VAES: (_row(fitted, steps, held, math.nan, clock), fitted),
        UNLEARNING: (_row(unlearnt, _steps("laf", work), mb["student, gradients, optimiser"], seconds, clock, measured=measured),
                     unlearnt),
    }
    if repaired:
        again = 1 if _paired(settings["repair"]) else settings["repair"]["epochs"]  # else ``repaired`` has every pass in it
        count = again * -(-repaired // settings["repair"]["batch_size"])
        rows[REPAIR] = _row(repair, count, repaired * REPRESENTATION_WIDTH * FLOAT / MB, math.nan, clock), repair
    return rows


def _repaired(record: Mapping) -> int:
    """Images whose representations the repair takes."""
    repair = record["settings"].get("repair")
    if not repair or not repair["epochs"]:
        return 0
    share = record["label_access"]["share_of_retain"] or 1.0
    known, size = max(1, round(repair["labelled_share"] * round(share * record["task"]["retain"]))), repair["batch_size"]
    if not _paired(repair):
        return known
    return repair["epochs"] * min(known, -(-record["task"]["forget"] // size) * size)


def _paired(repair: Mapping) -> bool:
    """Whether its passes end with D_f's batches; records from before there was a choice read all of D_r."""
    return repair.get("pairing", "all") == "forget"


def _crops(record: Mapping) -> bool:
    return DATASET_PRESETS[record["cell"]["dataset"]].augment


def shape_of(record: Mapping) -> Shape:
    """What the bytes of a record's method depend on."""
    cell, task = record["cell"], record["task"]
    facts, preset = FACTS[cell["dataset"]], DATASET_PRESETS[cell["dataset"]]
    channels, size, classes = facts.shape[0], facts.shape[1], len(facts.class_names)
    weights = parameter_count(Architecture(backbone_of(preset, cell["profile"]), channels, size, classes).build(0, "original"))
    seen = preset.resize if cell["profile"] == "paper" and preset.resize else size
    return Shape(
        task["forget"], task["retain"], weights, classes, REPRESENTATION_WIDTH, channels * seen**2, crops=preset.augment
    )


def _added(record: Mapping, shape: Shape) -> dict[str, int]:
    method = record["cell"]["method"]
    return added("retrain" if method in (ORIGINAL, AGAIN) else method, record["settings"], shape)
