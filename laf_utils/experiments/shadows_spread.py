"""Error bars of the measures over many models: the jackknife, which leaves out one training seed at a time."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from .shadows import LEAST, Shadows


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
