"""What ``python -m laf_utils.experiments`` makes beside the comparison: a function for each ``KIND``, and its help."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from ..run import Run
from ..settings.cli import known_values, spanned
from ..settings.config import MODES
from ..support.paths import check_writable, results_folder, runs_folder, training_folder
from ..support.reading import chosen, items, whole
from ..tasks import TASKS
from . import audit_seeds as audits
from . import maps as representation_maps
from .problem import Problem
from .record import AUDIT, MAPS, SHADOWS, TRAINING, AuditPlace, Kind, MapPlace, TrainingPlace
from .shadows import LEAST, shadow_config
from .shadows_record import make, path_of
from .training_run import inputs_of as inputs_of_run
from .training_run import made as made_of_run
from .training_run import run_of
from .tuning import Search, search
from .tuning_winners import winners_path

MOST_MODELS = 10_000
Work = tuple[Path, Callable[[], Any], Callable[[Any], Mapping[str, str] | None], Callable[[Any], dict]]


def _values(arguments: list[str], usual: Mapping[str, str]) -> tuple[dict[str, str], int]:
    """The values by name, and what ``PLAN`` is."""
    found = dict(usual) | known_values(arguments, (*usual, "PLAN"))
    return found, whole(found.get("PLAN", "0"), "PLAN", 0, 2)


def carry_out(kind: Kind, works: Iterable[Work], plan: int, folder: Callable[[], Path] = results_folder) -> None:
    """Make every record of a kind that is missing or stale, or say which those are.

    Args:
        works: path, what opens the place (data, index sets), what its record depends on, and what makes it.
        plan: 0 makes them, 1 counts them, 2 names each too.
    """
    if plan:
        states = [(path, *kind.state(path, inputs(opened()))) for path, opened, inputs, _ in works]
        counts = Counter(state for _, state, _ in states)
        print(f"{len(states)} records: " + ", ".join(f"{count} {state}" for state, count in sorted(counts.items())))
        for path, state, parts in states if plan > 1 else ():
            print(f"{state} {path.parent.name}/{path.stem}" + (f" ({', '.join(parts)})" if parts else ""))
        return
    check_writable(folder(), "LAF_TRAINING" if kind is TRAINING else "LAF_RESULTS")
    check_writable(runs_folder(), "LAF_RUNS")
    for path, opened, inputs, made in works:
        start, place = time.perf_counter(), opened()
        kind.take(path, inputs(place), lambda made=made, place=place: made(place), lambda line: print(line, flush=True))
        print(f"{path.parent.name}/{path.name} ({time.perf_counter() - start:.0f} s)", flush=True)


def audit_places(arguments: list[str]) -> tuple[list[AuditPlace], int]:
    """Every place that the arguments span, seeds outermost, so that what is there after a while is balanced.

    Raises:
        Stop: an argument that is not ``NAME=VALUE`` with a known name.
        ReadingError: a seed that is no number, or an item twice.
    """
    usual = {"DATASET": "mnist,fashion", "TASK": "class,data", "SEED": "0,1,2,3,4", "PROFILE": "quick"}
    found, plan = _values(arguments, usual)
    return [AuditPlace(*place, found["PROFILE"]) for place in spanned(found)], plan


def audit(arguments: list[str]) -> None:
    """all measures of one request and seed, for seven models.

    ``DATASET=mnist,fashion TASK=class,data SEED=0,1,2,3,4 PROFILE=quick``; a record that is there and valid stays.
    """
    places, plan = audit_places(arguments)
    carry_out(AUDIT, [(
        place.path, lambda place=place: Problem(place.dataset, place.task, place.seed, place.profile), audits.inputs_of,
        lambda problem, place=place: audits.made(problem, place),
    ) for place in places], plan)


def map_places(arguments: list[str]) -> tuple[list[MapPlace], int]:
    """Every place that the arguments span; raises as ``audit_places``."""
    found, plan = _values(arguments, {"DATASET": "mnist", "TASK": "class,data,noisy", "SEED": "0", "PROFILE": "quick"})
    return [MapPlace(*place, found["PROFILE"]) for place in spanned(found)], plan


def maps(arguments: list[str]) -> None:
    """the representations of the same 600 images in every model, in one plane.

    ``DATASET=mnist TASK=class,data,noisy SEED=0 PROFILE=quick``.
    """
    places, plan = map_places(arguments)
    carry_out(MAPS, [(
        place.path, lambda place=place: representation_maps.run_of(place), representation_maps.inputs_of,
        lambda run, place=place: representation_maps.made(run, place),
    ) for place in places], plan)


def shadows(arguments: list[str]) -> None:
    """many models of one request, trained and unlearned as one, and what the measures over them say.

    ``DATASET=mnist,fashion TASK=class,data MODELS=8``. These records carry no key: one that can be read stays.
    """
    found, plan = _values(arguments, {"DATASET": "mnist,fashion", "TASK": "class,data", "MODELS": "8"})
    places = product(items(found["DATASET"], "DATASET"), chosen(found["TASK"], "TASK", TASKS))
    models = whole(found["MODELS"], "MODELS", LEAST + 1, MOST_MODELS)
    carry_out(SHADOWS, [(
        path_of(dataset, task, models), lambda dataset=dataset, task=task: shadow_config(dataset, task), lambda config: None,
        lambda config: make(Run(config), range(models)),
    ) for dataset, task in places], plan)


def tuning(arguments: list[str]) -> None:
    """the equal tuning of every method: its trials and their winners (extra ``tuning``).

    ``DATASET=mnist TASK=data,class,noisy``; methods whose trials are there already stay.
    """
    usual = {"DATASET": "mnist", "TASK": "data,class,noisy"}
    given = usual | known_values(arguments, usual)
    tasks = chosen(given["TASK"], "TASK", TASKS)
    check_writable(results_folder(), "LAF_RESULTS")
    for task in tasks:
        search(Search(given["DATASET"], task), winners_path(given["DATASET"], task))


def training(arguments: list[str]) -> None:
    """one run of LAF with its losses, measured and written as ``make laf`` does, below ``Training``.

    ``DATASET=mnist TASK=class SEED=0 PROFILE=paper MODE=reference``. Records from before there were keys are stale.
    """
    usual = {"DATASET": "mnist", "TASK": "class", "SEED": "0", "PROFILE": "paper", "MODE": "reference"}
    found, plan = _values(arguments, usual)
    modes = chosen(found["MODE"], "MODE", MODES)
    places = [TrainingPlace(*place, found["PROFILE"], mode) for place in spanned(found) for mode in modes]
    works = [(place.path, lambda place=place: run_of(place), inputs_of_run, made_of_run) for place in places]
    carry_out(TRAINING, works, plan, training_folder)
