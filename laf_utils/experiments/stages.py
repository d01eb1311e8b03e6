"""Originals and retrained models of several runs trained as one, and kept as the stages of those runs.

A GPU waits for the processor when it trains one small network; trained side by side, K networks take hardly longer than one.
What a run finds on disk afterwards is what it would have trained itself, up to rounding (``training``), and says where that was.
"""

import time
from collections.abc import Sequence
from typing import Any

import torch

from ..images import Images
from ..run import Run
from ..settings.cli import SETTINGS, Stop, known_values, stopping
from ..support.artefacts import Artefact
from ..support.devices import DEVICES, describe, synchronise
from ..support.keys import content_key
from ..support.paths import check_writable, runs_folder
from ..support.reading import chosen, items, seed, whole
from ..tasks import TASKS
from ..together.training import train_together
from .commands import say_states
from .problem import Problem
from .record import MISSING, VALID
from .second_retrained import again_stage

MOST_AT_ONCE = 4_096  # networks side by side
STAGES = ("original", "retrained", "again")
NAMES = {
    "DATASET": "mnist", "TASK": ",".join(TASKS), "STAGE": "original", "SEED": "0", "PROFILE": "paper", "FOR": "", "AT_ONCE": "8",
    "PLAN": "0",
}


def _of(run: Run, stage: str, device: str) -> tuple[str, dict, int, torch.Tensor]:
    """(name of the artefact, its content, training seed, rows) of a stage of a run that is taken on ``device``."""
    taken_by = {"device": device} if device else {}
    if stage == "again":
        name, content, seed = again_stage(run)
        return name, content | taken_by, seed, run.task.retain
    rows = torch.arange(len(run.train_set.labels)) if stage == "original" else run.task.retain
    return stage, run._training_content("all" if stage == "original" else "retain") | taken_by, run.config.seed, rows


def train_stages(runs: Sequence[Run], stages: Sequence[str], *, device: str = "", at_once: int = 8) -> int:
    """Train the named stage of each run, those that are not on disk yet as one; returns how many that were.

    Args:
        runs: of one data set, the same images of it, and one way to train.
        stages: one of ``STAGES`` for each run: ``original``, ``retrained``, or ``again``, the second retrained model.
        device: type of the device of the runs that will take them, where it is not this one.

    Raises:
        ValueError: as ``train_together``, or runs that do not share their images (a profile with fewer of them draws them by the
            seed) or their settings of training.
        TrainingDiverged: a loss is not finite.
    """
    first = runs[0]
    for run in runs[1:]:
        if run.data.checksum != first.data.checksum or not torch.equal(run.train_set.images, first.train_set.images):
            raise ValueError("runs whose networks are trained as one must share their images")
        if (run.config.training, run.config.transforms) != (first.config.training, first.config.transforms):
            raise ValueError("runs whose networks are trained as one must share their settings of training")
    rows: Any  # of one network here, of all below
    todo = {}
    for run, stage in zip(runs, stages, strict=True):
        name, content, seed, rows = _of(run, stage, device)
        if not run.holds(name, content):
            todo[content_key(content)] = run, name, content, seed, rows
    if not todo:
        return 0
    images: Images = first.train_images
    labels = torch.stack([run.task.train_labels for run, *_ in todo.values()])
    seeds, rows = [one[3] for one in todo.values()], [one[4] for one in todo.values()]
    start = time.perf_counter()
    drawn = "original" if stages[0] == "original" else "retrained"  # what names the random streams, of both retrained models too
    config = first.config.training
    models, losses = train_together(first.architecture, images, labels, rows, seeds, config, drawn, at_once)
    synchronise(first.device)
    seconds, machine = (time.perf_counter() - start) / len(models), describe(first.device) | {"together": len(models)}
    for model, own, (run, name, content, *_) in zip(models, losses, todo.values(), strict=True):
        facts = {"losses": {name: own}, "seconds": seconds, "threads": torch.get_num_threads(), "machine": machine}
        run.keep(name, content, Artefact(dict(model.state_dict()), facts))
    return len(models)


def stages(arguments: list[str]) -> None:
    """originals and retrained models of several runs trained as one, and kept as artefacts for later cells.

    ``DATASET=mnist STAGE=original SEED=1,2`` trains those of the three tasks; ``STAGE=retrained,again`` both retrained models of
    each request. ``PROFILE``, ``AT_ONCE`` networks side by side; ``FOR=cpu`` where methods run elsewhere than here.
    """
    given = NAMES | known_values(arguments, NAMES)
    names = chosen(given["STAGE"], "STAGE", STAGES)
    if "original" in names and len(names) > 1:
        raise Stop(f"STAGE must be original, or retrained, again or both, got {given['STAGE']!r}", SETTINGS)
    kinds = [kind for kind in DEVICES if kind != "auto"]  # of which an artefact's name knows nothing
    if given["FOR"] and given["FOR"] not in kinds:
        raise Stop(f"FOR must be one of {', '.join(kinds)}, got {given['FOR']!r}", SETTINGS)
    at_once, seeds = whole(given["AT_ONCE"], "AT_ONCE", 1, MOST_AT_ONCE), [seed(one) for one in items(given["SEED"], "SEED")]
    tasks = chosen(given["TASK"], "TASK", TASKS)
    plan = whole(given["PLAN"], "PLAN", 0, 2)
    if not plan:
        check_writable(runs_folder(), "LAF_RUNS")
    with stopping(ValueError):  # what cannot be trained as one: index sets of several lengths, ResNet-18
        runs = [Problem.asked(given["DATASET"], task, one, given["PROFILE"]).run for task in tasks for one in seeds]
        of, each = [run for _ in names for run in runs], [stage for stage in names for _ in runs]
        if plan:
            named = {f"{stage} {run.config.task} seed{run.config.seed}": run.holds(*_of(run, stage, given["FOR"])[:2])
                     for run, stage in zip(of, each, strict=True)}
            return say_states(((name, VALID if there else MISSING) for name, there in named.items()), plan, "networks")
        count = train_stages(of, each, device=given["FOR"], at_once=at_once)
    print(f"{count} of {len(of)} trained as one", flush=True)
    return None
