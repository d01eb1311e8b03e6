"""Makes the record of a cell: from what its numbers depend on to what stands in it.

A record carries a key of everything its numbers depend on: run settings, forget request, images, the method's settings, and the
code of the modules that compute them. A record with the present key is taken as it is; any other is made anew.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from ..methods import DataAccess, Method, find, prepare, run_method
from ..methods.laf import LAFRSettings, LAFSettings
from ..methods.method import MethodResult, fingerprint
from ..methods.passes import Passes, repair_images
from ..models import Network
from ..run import TRAINED, Run, method_code, repair_code, training_code
from ..settings.changes import changed, plain
from ..settings.config import RunConfig, TrainingConfig
from ..settings.names import caveats, headline
from ..settings.presets import preset
from ..support.definitions import code_version
from ..support.devices import describe
from ..support.keys import content_key
from ..training import TrainingDiverged
from .cells import AGAIN, COMPARISON, ORIGINAL, REFERENCES, RETRAIN, Cell
from .distances import to_retrained
from .memory import PeakMemory
from .other_images import other_set, request_on
from .problem import Measured, Problem
from .second_retrained import retrained_again
from .tuning_winners import winners_of
from .variants import VARIANTS

STAGES = {  # of a run, whose seconds a cell from the pipeline adds up; the last one gives the model
    ORIGINAL: ("original",), RETRAIN: ("retrained",), "laf": ("vae", "unlearning"), "laf_r": ("vae", "unlearning", "repair"),
}


def problem_of(cell: Cell, say: Callable[[str], None] = print) -> Problem:
    """The request that the cell is about, with the variant's settings."""
    return Problem(Run(config_of(cell), say=say))


def config_of(cell: Cell) -> RunConfig:
    """The settings of the run that the cell is about."""
    changes = VARIANTS[cell.variant].arguments if cell.variant else {}
    return preset(cell.dataset, cell.task, profile=cell.profile, seed=cell.seed, **changes)


def _table_entry(cell: Cell) -> Method:
    """The method whose settings and access the cell has; ``retrain`` for what trains from scratch."""
    return find("retrain" if cell.method in REFERENCES else cell.method)


def settings_of(cell: Cell, problem: Problem, winners: Mapping[str, object] | None) -> Any:
    """The settings of a cell: the run's own where they are part of it, else the published ones, changed by ``winners`` or by the
    variant."""
    method, config = _table_entry(cell), problem.config
    settings = method.published(config.task)
    if isinstance(settings, TrainingConfig):
        settings = config.training
    elif isinstance(settings, LAFSettings):
        settings = replace(settings, vae=config.vae, unlearning=config.unlearning)
        if isinstance(settings, LAFRSettings):  # of the labels that the request gives, which are the share already
            settings = replace(settings, repair=replace(config.repair, labelled_share=1.0))
    elif "training" in plain(settings):
        settings = replace(settings, training=config.training)
    return changed(settings, winners or (VARIANTS[cell.variant].settings if cell.variant else {}))


def chosen_settings(cell: Cell, problem: Problem) -> Any:
    """The settings of a cell, those that the tuning chose where it is ``tuned``; raises ``WinnersError`` where there are none."""
    return settings_of(cell, problem, winners_of(cell) if cell.choice == "tuned" else None)


def inputs_of(cell: Cell, problem: Problem, settings: Any) -> dict[str, str]:
    """Everything the cell's numbers depend on, 16 hex digits for each part."""
    run, data = problem.run, [problem.run.data.checksum]
    if _takes_other_images(cell):
        data.append(other_set(cell.dataset).checksum)
    images = {"data": content_key(data if len(data) > 1 else data[0]), "task": content_key(run.task.checksum())}
    return images | code_of(cell, problem, settings)


def code_of(cell: Cell, problem: Problem, settings: Any) -> dict[str, str]:
    """The same but for the images: settings and code."""
    config = problem.config.as_dict()
    if cell.method != "laf_r":
        config["repair"].pop("pairing", None)  # came later, and no other method repairs
    return {
        "settings": content_key({"cell": cell.described(), "settings": plain(settings), "config": config}),
        "training": training_code(), "method": _method_code(cell),
        # What gives a method its request and measures any model of it.
        "measuring": code_version((Problem.request, Problem.outputs, Problem.measure, Problem.gap, to_retrained), TRAINED),
    }


def _takes_other_images(cell: Cell) -> bool:
    return bool(cell.variant) and VARIANTS[cell.variant].other_images


def _method_code(cell: Cell) -> str:
    """Names the code that makes the cell's model from the original."""
    if cell.method in (ORIGINAL, RETRAIN):
        return ""
    if cell.method == AGAIN:
        return code_version((retrained_again,), TRAINED | {"experiments.problem"})
    method = find(cell.method)
    roots = (method.function, method.prepare, request_on if _takes_other_images(cell) else None)
    own = code_version(tuple(filter(None, roots)), TRAINED)
    if method.name in ("laf", "laf_r"):  # by the pipeline, or by the method where the tuning chose its settings
        own = content_key([own, method_code(), repair_code() if method.name == "laf_r" else ""])
    return own


@dataclass(frozen=True)
class _Made:
    """A cell's model, what it cost, and how the model was before where a method has an original of its own."""

    model: Network
    passes: Passes
    seconds: float
    processor_seconds: float | None
    memory: PeakMemory
    history: Mapping[str, list[float]]
    reused: bool = False
    before: Measured | None = None
    preparation: Mapping[str, float] | None = None
    ascent_steps: int = 0


def _from_pipeline(cell: Cell, problem: Problem) -> _Made:
    """A model that is a stage of the run: its seconds are those it took when it was computed."""
    run, task = problem.run, problem.run.task
    model, everything = getattr(run, "retrained" if cell.method == RETRAIN else cell.method), len(task.train_labels)
    if cell.method in (ORIGINAL, RETRAIN):
        passes = Passes(run.config.training.epochs * (everything if cell.method == ORIGINAL else len(task.retain)))
    else:
        facts = run.facts["unlearning"]
        frozen = facts["images_watched"] + everything
        repaired = repair_images(run.config.repair, len(task.retain), len(task.forget)) if cell.method == "laf_r" else 0
        passes = Passes(facts["images_passed"], frozen + repaired)
    stages = STAGES[cell.method]
    history = {name: values for stage in stages for name, values in run.facts[stage]["losses"].items()}
    return _Made(model, passes, sum(run.seconds[stage] for stage in stages), None, PeakMemory(), history, reused=True)


def _computed(cell: Cell, problem: Problem, settings: Any) -> _Made:
    """A model that is computed now, by the method of the table."""
    clock: Any  # of wall and processor, then of the processor
    before, preparation = None, None
    request = request_on(problem, other_set(cell.dataset)) if _takes_other_images(cell) else problem.request
    if find(cell.method).prepare is not None:
        clock = time.perf_counter(), time.process_time()
        request = prepare(cell.method, request, settings)
        preparation = {"seconds": time.perf_counter() - clock[0], "processor_seconds": time.process_time() - clock[1]}
        before = problem.measure(problem.outputs(cast(Network, request.original)))
    with PeakMemory() as memory:
        clock = time.process_time()
        result: MethodResult = run_method(cell.method, request, settings)
        processor = time.process_time() - clock
    return _Made(
        cast(Network, result.model), result.passes, result.seconds, processor, memory, result.history, before=before,
        preparation=preparation, ascent_steps=result.ascent_steps,
    )


def make(cell: Cell, problem: Problem, settings: Any) -> dict:
    """Run the cell's method and measure what it gives: the record without its head, also where it diverges."""
    without = DataAccess.HELD_OUT in _table_entry(cell).data_access
    made, measured, failure = None, None, None
    try:
        if cell.from_pipeline:
            made = _from_pipeline(cell, problem)
        elif cell.method == AGAIN:
            made = _Made(*retrained_again(problem, settings), None, PeakMemory(), {}, reused=True)
        else:
            made = _computed(cell, problem, settings)
        measured = problem.measure(problem.outputs(made.model), without_held_out=without)
    except TrainingDiverged as error:
        failure = str(error)
    return _record(cell, problem, settings, made, measured, failure, without)


def _record(
    cell: Cell, problem: Problem, settings: Any, made: _Made | None, measured: Measured | None, failure: str | None, without: bool
) -> dict:
    method, run = _table_entry(cell), problem.run
    stage = AGAIN if cell.method == AGAIN else STAGES[cell.method][-1] if cell.from_pipeline else ""
    share = problem.request.label_share if made and method.label_access.name == "FEW" else None
    return {
        "headline": headline(run.config, run.data), "caveats": caveats(run.config, run.data),
        "cell": cell.described(), "failure": failure,
        "method": {"title": method.title if cell.method not in REFERENCES else None, "reference": method.reference},
        "settings": plain(settings),
        "scored_against": made and {"original": fingerprint(run.original), "retrained": fingerprint(run.retrained)},
        "label_access": {"level": method.label_access.name.lower(), "share_of_retain": share},
        "data_access": method.data_access.words,
        "task": {"forget": len(run.task.forget), "retain": len(run.task.retain), "checksum": run.task.checksum()},
        "metrics": measured and measured.metrics, "attack": measured and measured.attack,
        "gap": measured and problem.gap(measured, without_held_out=without), "test_without_held_out": without,
        "representation": made and measured and to_retrained(problem, made.model),
        "before": made and made.before and made.before.metrics, "preparation": made and made.preparation,
        "history": dict(made.history) if made else {},
        "seconds": made and made.seconds, "processor_seconds": made and made.processor_seconds,
        "from_artefact": bool(made and made.reused),
        "passes": made and asdict(made.passes) | {"equivalent": made.passes.equivalent},
        "ascent_steps": made and made.ascent_steps,
        "peak_memory_mb": made and made.memory.peak_mb, "added_memory_mb": made and made.memory.added_mb,
        "machine": run.facts.get(stage, {}).get("machine") or describe(run.device),  # a stage may have come from elsewhere
    }


def run_cell(cell: Cell, problem: Problem | None = None, *, say: Callable[[str], None] = print) -> dict:
    """The record of a cell, read where a valid one is there, else made and written.

    Args:
        problem: of the same data set, task, seed and profile, where it is at hand already.

    Raises:
        WinnersError: a ``tuned`` cell for which the tuning chose no settings.
    """
    problem = problem or problem_of(cell, say)
    settings = chosen_settings(cell, problem)
    return COMPARISON.take(cell.path, inputs_of(cell, problem, settings), lambda: make(cell, problem, settings), say)
