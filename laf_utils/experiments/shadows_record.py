"""The record of many models of one request: the measures over them, their null, their error bars, and one image to look at.

Error bars are the jackknife's, which leaves out one training seed at a time.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from ..run import Run
from ..settings.names import caveats, headline
from ..support.definitions import code_version
from ..support.devices import describe
from ..support.keys import content_key
from . import training_run
from .shadows import LEAST, SAMPLE, Shadows, shadow_code, shadows


def jackknife(values: Sequence[float]) -> float:
    """Standard error of an estimate from its n leave-one-out values: sqrt((n - 1) / n * sum (v - mean)^2).

    Raises:
        ValueError: fewer than two values.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 11.
    """
    if len(values) < 2:
        raise ValueError(f"a jackknife needs two values or more, got {len(values)}")
    mean = sum(values) / len(values)
    return math.sqrt((len(values) - 1) / len(values) * sum((value - mean) ** 2 for value in values))


def without(found: Shadows, place: int) -> Shadows:
    """The same without the models of one training seed: one of each kind, and the retrained model of the other half as well."""
    half = len(found.phi["retrained"]["forget"]) // 2

    def kept(kind: str, count: int) -> list[int]:
        gone = {place, place + half} if kind == "retrained" else {place}
        return [row for row in range(count) if row not in gone]

    phi = {
        kind: {part: own[torch.tensor(kept(kind, len(own)))] for part, own in parts.items()} for kind, parts in found.phi.items()
    }
    accuracy = {
        kind: {part: [own[row] for row in kept(kind, len(own))] for part, own in parts.items()}
        for kind, parts in found.accuracy.items()
    }
    return replace(found, phi=phi, accuracy=accuracy)


def _spread(leaves: list) -> Any:
    if isinstance(leaves[0], dict):
        return {name: _spread([leaf[name] for leaf in leaves]) for name in leaves[0]}
    return jackknife(leaves) if all(isinstance(leaf, int | float) for leaf in leaves) else None


def errors(found: Shadows) -> dict[str, dict]:
    """One standard error of every number of ``found.measures()``, in the same shape; ``None`` beside what is no number.

    Raises:
        ValueError: so few models that leaving one out leaves too few for the likelihood-ratio attack.
    """
    half = len(found.phi["retrained"]["forget"]) // 2
    if half <= LEAST:
        raise ValueError(f"error bars need more than {LEAST} models of a kind, got {half}")
    return _spread([without(found, place).measures() for place in range(half)])


def inputs_of(run: Run, seeds: Sequence[int], methods: Sequence[str] = ()) -> dict[str, str]:
    """Everything the numbers depend on, 16 hex digits for each part."""
    settings = {"config": run.config.as_dict(), "seeds": list(seeds), "sample": SAMPLE, "methods": list(methods)}
    return training_run.inputs_of(run) | {
        "settings": content_key(settings), "method": shadow_code(tuple(methods)),
        "measuring": code_version((Shadows.measures, errors, example)),
    }


def example(found: Shadows) -> dict:
    """phi of one forgotten image in every model: the one where LAF is as far from the retrained models as on the median."""
    own, (retrained, null) = found.phi["laf"]["forget"], found.halves("forget")
    distance = (own.mean(0) - retrained.mean(0)).abs()
    image = int(distance.argsort()[len(distance) // 2])
    rows = {"retrained": retrained, "null": null} | {kind: found.phi[kind]["forget"] for kind in found.phi if kind != "retrained"}
    shown = {kind: [round(value, 3) for value in phi[:, image].tolist()] for kind, phi in rows.items()}
    return {"place_in_forget": image, "phi": shown}


def make(run: Run, seeds: Sequence[int], methods: Sequence[str] = ()) -> dict:
    """The record, without its head, of one model of each kind per seed; trained and unlearned as one, or taken from disk.

    Raises:
        ValueError: too few seeds for error bars, or what ``shadows`` raises.
    """
    found = shadows(run, seeds, methods=methods)
    place = {"dataset": run.data.name, "task": run.config.task, "models": len(seeds)}
    return {
        "headline": headline(run.config, run.data), "caveats": caveats(run.config, run.data), "place": place,
        **found.record(), "error": errors(found), "example": example(found), "machine": describe(run.device),
    }
