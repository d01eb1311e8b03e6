"""The distance to the retrained model, from numbers that are measured already. Everything in percent."""

from collections.abc import Mapping
from typing import Any

MEASURES = ("train_r", "train_f", "test", "test_r", "test_f")


def gaps_to_retrained(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """|difference| to the retrained model of every measure a model has, their mean over accuracies, and ToW.

    ToW = (1 - |dFA|)(1 - |dRA|)(1 - |dTA|) over forget, retain and test accuracy as shares, 1 for a model equal to the
    retrained one; TA is the accuracy on the kept classes where a class was removed.
    """
    goal, gaps = metrics["retrained"], {}
    for name, own in metrics.items():
        if name == "retrained":
            continue
        gap = {key: abs(own[key] - goal[key]) for key in (*MEASURES, "asr") if own.get(key) is not None}
        test = "test_r" if "test_r" in gap else "test"
        used = [gap[key] for key in ("train_r", "train_f", test)]
        gap["mean"] = sum(used) / len(used)
        gap["tow"] = 1.0
        for value in used:
            gap["tow"] *= 1 - value / 100
        gaps[name] = gap
    return gaps
