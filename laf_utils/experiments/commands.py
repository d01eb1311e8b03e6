"""What ``python -m laf_utils.experiments`` makes beside the comparison: a function for each ``KIND``, and its help."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple
from functools import partial
from itertools import product
from pathlib import Path
from typing import TypeVar

from ..audit.study import study
from ..run import Run
from ..settings.cli import known_values, spanned
from ..settings.config import MODES, MOST_IMAGES
from ..settings.presets import preset
from ..support import records
from ..support.definitions import code_version
from ..support.paths import check_places
from ..support.reading import chosen, items, whole
from ..tasks import TASKS
from . import audit_seeds as audits
from . import maps as representation_maps
from . import record as kinds
from . import shadows_record, training_run
from .problem import Problem
from .record import MISSING, STALE, TRAINING, VALID, Kind, Place, Placed, ShadowsPlace, TrainingPlace, VerdictPlace
from .shadows import IMAGES, LEAST, shadow_config
from .tuning import SCHEMA, Search, search
from .tuning_spaces import SPACES
from .tuning_winners import winners_path

MOST_MODELS = 10_000


P = TypeVar("P", bound=Placed)
T = TypeVar("T")


def _values(arguments: list[str], usual: Mapping[str, str]) -> tuple[dict[str, str], int]:
    """The values by name, and what ``PLAN`` is."""
    found = dict(usual) | known_values(arguments, (*usual, "PLAN"))
    return found, whole(found.get("PLAN", "0"), "PLAN", 0, 2)


def say_states(states: Iterable[tuple[str, str]], plan: int, what: str = "records") -> None:
    """Count states of named things; ``plan`` 2 names each too."""
    states = list(states)
    counts = Counter(state for _, state in states)
    print(f"{len(states)} {what}: " + ", ".join(f"{count} {state}" for state, count in sorted(counts.items())))
    for name, state in states if plan > 1 else ():
        print(f"{state} {name}")


def carry_out(
    kind: Kind, places: Iterable[P], opened: Callable[[P], T], inputs: Callable[[T], Mapping[str, str]],
    made: Callable[[T, P], dict], plan: int,
) -> None:
    """Make every record of a kind that is missing, stale or without a key, or say which those are.

    Args:
        opened: opens a place: reads the data, draws the index sets.
        inputs: what the record of what was opened depends on.
        made: the record, without its head.
        plan: 0 makes them, 1 counts them, 2 names each too.
    """
    if plan:
        found = [(path, *kind.state(path, inputs(opened(place)))) for place in places for path in [kind.path(place)]]
        say_states([(f"{path.parent.name}/{path.stem}" + (f" ({', '.join(parts)})" if parts else ""), state)
                    for path, state, parts in found], plan)
        return
    check_places("LAF_TRAINING" if kind is TRAINING else "LAF_RESULTS")
    for place in places:
        start, path, thing = time.perf_counter(), kind.path(place), opened(place)
        kind.take(path, inputs(thing), partial(made, thing, place), lambda line: print(line, flush=True))
        print(f"{path.parent.name}/{path.name} ({time.perf_counter() - start:.0f} s)", flush=True)


def places_of(arguments: list[str], dataset: str, task: str, seed: str) -> tuple[list[Place], int]:
    """Every place that the arguments span, and what ``PLAN`` is.

    Args:
        dataset, task, seed: where the arguments do not say.

    Raises:
        Stop: an argument that is not ``NAME=VALUE`` with a known name.
        ReadingError: a seed that is no number, or an item twice.
    """
    found, plan = _values(arguments, {"DATASET": dataset, "TASK": task, "SEED": seed, "PROFILE": "quick"})
    return [Place(*place, found["PROFILE"]) for place in spanned(found)], plan


def audit(arguments: list[str]) -> None:
    """all measures of one request and seed, for eight models.

    ``DATASET=mnist,fashion TASK=class,data SEED=0,1,2,3,4 PROFILE=quick``; a record that is there and valid stays.
    """
    places, plan = places_of(arguments, "mnist,fashion", "class,data", "0,1,2,3,4")
    carry_out(kinds.AUDIT, places, lambda place: Problem.asked(*astuple(place)), audits.inputs_of, audits.made, plan)


def maps(arguments: list[str]) -> None:
    """the representations of the same 600 images in every model, in one plane.

    ``DATASET=mnist TASK=class,data,noisy SEED=0 PROFILE=quick``.
    """
    places, plan = places_of(arguments, "mnist", "class,data,noisy", "0")
    carry_out(kinds.MAPS, places, training_run.run_of, representation_maps.inputs_of, representation_maps.made, plan)


def shadows(arguments: list[str]) -> None:
    """many models of one request, trained and unlearned as one, and what the measures over them say.

    ``DATASET=mnist,fashion TASK=class,data MODELS=8``; ``IMAGES`` trains on fewer, ``METHOD=relearn,relearn-as_sure,scrub-tuned``
    adds methods that start from the same originals. Eight seeds at a time are kept: the same command goes on.
    """
    usual = {"DATASET": "mnist,fashion", "TASK": "class,data", "MODELS": "8", "IMAGES": str(IMAGES), "METHOD": ""}
    found, plan = _values(arguments, usual)
    images = whole(found["IMAGES"], "IMAGES", 100, MOST_IMAGES)
    methods = items(found["METHOD"], "METHOD") if found["METHOD"] else []
    models = whole(found["MODELS"], "MODELS", LEAST + 1, MOST_MODELS)
    seeds, requests = range(models), product(items(found["DATASET"], "DATASET"), chosen(found["TASK"], "TASK", TASKS))
    places = [ShadowsPlace(*request, models, images, tuple(methods)) for request in requests]
    carry_out(
        kinds.SHADOWS, places, lambda place: Run(shadow_config(place.dataset, place.task, images=images)),
        lambda run: shadows_record.inputs_of(run, seeds, methods), lambda run, _: shadows_record.make(run, seeds, methods), plan,
    )


def verdict(arguments: list[str]) -> None:
    """levels and powers of the audit's verdicts, simulated: nothing is trained. It takes minutes."""
    _, plan = _values(arguments, {})
    inputs = {"measuring": code_version((study,))}
    carry_out(kinds.VERDICT, [VerdictPlace()], lambda place: place, lambda _: inputs, lambda *_: study(), plan)


def tuning(arguments: list[str]) -> None:
    """the equal tuning of every method: its trials and their winners (extra ``tuning``).

    ``DATASET=mnist TASK=data,class,noisy``, ``METHOD=laf,scrub`` for some; methods whose trials are there already stay.
    ``PLAN=1`` compares their spaces alone.
    """
    found, plan = _values(arguments, {"DATASET": "mnist", "TASK": "data,class,noisy", "METHOD": ""})
    tasks = chosen(found["TASK"], "TASK", TASKS)
    methods = chosen(found["METHOD"], "METHOD", tuple(SPACES)) if found["METHOD"] else ()
    if plan:
        return say_states(
            [named for task in tasks for named in tuning_states(task, winners_path(found["DATASET"], task))], plan, "searches"
        )
    check_places()
    for task in tasks:
        search(Search(Run(preset(found["DATASET"], task, profile="paper"))), winners_path(found["DATASET"], task), methods)
    return None


def tuning_states(task: str, path: Path) -> list[tuple[str, str]]:
    """By task and method: whether its trials are there, in today's search space."""
    known = records.read_parts(path, ("schema", "about", "methods"), SCHEMA)["methods"] if path.is_file() else {}

    def state(method: str) -> str:
        wanted = {dimension.name: dimension.words() for dimension in SPACES[method]}
        return MISSING if method not in known else VALID if known[method]["space"] == wanted else STALE

    return [(f"{task} {method}", state(method)) for method in SPACES]


def training(arguments: list[str]) -> None:
    """one run of LAF with its losses, measured and written as ``make laf`` does, below ``Training``.

    ``DATASET=mnist TASK=class SEED=0 PROFILE=paper MODE=reference``.
    """
    usual = {"DATASET": "mnist", "TASK": "class", "SEED": "0", "PROFILE": "paper", "MODE": "reference"}
    found, plan = _values(arguments, usual)
    modes = chosen(found["MODE"], "MODE", MODES)
    places = [TrainingPlace(*place, found["PROFILE"], mode) for place in spanned(found) for mode in modes]
    carry_out(TRAINING, places, training_run.run_of, training_run.inputs_of, lambda run, _: training_run.made(run), plan)
