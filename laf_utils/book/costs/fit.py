"""Seconds by kind of work, fitted to records, and how far predictions of unseen cells are off.

seconds = sum over kinds of work of (amount x seconds per unit), no constant. Coefficients cannot be negative and minimise the sum
of squared relative errors (non-negative least squares), so that a cell of ten seconds counts as much as one of three hundred.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from ..base.reading import grouped
from .timings import Group, Timing, records, timings
from .work import Work

# What tells on a processor is arithmetic, on a GPU with these small networks the number of times it is asked.
KINDS: Mapping[str, tuple[str, ...]] = {
    "cpu": ("training", "frozen", "swept", "vae_steps"),
    "cuda": ("calls", "frozen_calls", "tensorwise", "vae_steps"),
}
NAMES = {
    "training": "training passes", "frozen": "frozen passes", "calls": "training calls", "frozen_calls": "frozen calls",
    "swept": "weight sweeps", "tensorwise": "tensor-wise steps", "vae_steps": "VAE steps",
}
LEAST_CELLS = 3  # that do some of a kind of work, before its coefficient can be estimated
LEAST_GROUP = 8  # scored cells of a machine and network, before it gets a fit
QUARTER = (0.8, 1.25)  # predicted over measured
SPLITS = ("dataset", "task", "family")


@dataclass(frozen=True)
class Fit:
    """Seconds per unit of each kind of work on one machine and network, and the cells that they were fitted to."""

    group: Group
    seconds: Mapping[str, float]
    cells: Sequence[Timing]

    @property
    def scored(self) -> list[Timing]:
        return [cell for cell in self.cells if cell.scored]

    def predict(self, work: Work) -> float:
        """Seconds of so much work."""
        return sum(value * getattr(work, kind) for kind, value in self.seconds.items())


def priced(cells: Sequence[Timing]) -> list[str]:
    """The kinds of work that enough of the scored cells do for a coefficient; none where there are too few cells."""
    kinds = {kind for cell in cells for kind in KINDS[cell.group.device]}
    scored = [cell.work for cell in cells if cell.scored]
    return [kind for kind in NAMES if kind in kinds and sum(getattr(work, kind) > 0 for work in scored) >= LEAST_CELLS]


def fit(cells: Sequence[Timing]) -> Fit:
    """Fit the scored cells of one group.

    Raises:
        ValueError: cells of several groups, or so few that they tell no kind of work.
    """
    scored = [cell for cell in cells if cell.scored]
    groups = {cell.group for cell in cells}
    kinds = priced(cells)
    if not kinds or len(groups) != 1:
        raise ValueError(f"needs scored cells of one machine and network, got {len(scored)} of {len(groups)} groups")
    group = groups.pop()
    relative = np.array([[getattr(c.work, kind) / c.seconds for kind in kinds] for c in scored])
    scale = relative.max(0)  # columns differ by orders of magnitude
    found, _ = nnls(relative / scale, np.ones(len(scored)))
    return Fit(group, dict(zip(kinds, (found / scale).tolist(), strict=True)), cells)


def every(found: Sequence[dict] | None = None) -> dict[Group, Fit]:
    """Every machine and network with enough scored cells for a fit, from the records that are there now."""
    by_group = grouped(timings(records() if found is None else found)[0], lambda cell: cell.group)
    return {group: fit(own) for group, own in sorted(by_group.items()) if sum(c.scored for c in own) >= LEAST_GROUP}


def held_out(cells: Sequence[Timing], by: str) -> pd.DataFrame:
    """Predictions of cells that the fit did not see: each ``dataset``, ``task`` or ``family`` in turn is left out of one group.

    A method goes with its variants: SCRUB without labels would say all about SCRUB.

    Returns:
        One row per scored cell: label, dataset, task, method, measured and predicted seconds, ratio = predicted / measured, and
        ``unpriced``: kinds of work in it whose price the remaining cells could not give. Empty where too few remain.
    """
    rows = []
    for value in sorted({getattr(cell, by) for cell in cells}):
        rest = [cell for cell in cells if getattr(cell, by) != value]
        if not priced(rest):
            continue
        fitted = fit(rest)
        for cell in (cell for cell in cells if getattr(cell, by) == value and cell.scored):
            predicted = fitted.predict(cell.work)
            unpriced = [k for k in KINDS[cell.group.device] if k not in fitted.seconds and getattr(cell.work, k) > 0]
            rows.append((cell.label, cell.dataset, cell.task, cell.method, cell.seconds, predicted, predicted / cell.seconds,
                         ", ".join(NAMES[k] for k in unpriced)))
    return pd.DataFrame(rows, columns=["label", "dataset", "task", "method", "measured", "predicted", "ratio", "unpriced"])


def within(ratios: Sequence[float]) -> float:
    """Share of predicted / measured that lies within a quarter (0.8 to 1.25)."""
    return float(np.mean([QUARTER[0] <= ratio <= QUARTER[1] for ratio in ratios]))


def interval(ratios: Sequence[float], share: float = 0.9) -> tuple[float, float]:
    """(low, high): what to multiply a prediction by, so that ``share`` of the held-out cells' measurements lie between.

    Below 20 cells the whole range.
    """
    factors = 1 / np.asarray(ratios, dtype=float)
    ends = [(1 - share) / 2, (1 + share) / 2] if len(factors) >= 20 else [0, 1]
    low, high = np.quantile(factors, ends).tolist()
    return low, high


def resampled(cells: Sequence[Timing], draws: int = 200, seed: int = 0) -> dict[str, tuple[float, float]]:
    """5th and 95th percentile of each coefficient over bootstrap draws of whole families, whose cells err together."""
    generator, families = np.random.default_rng(seed), sorted({cell.family for cell in cells})
    by_family = {family: [cell for cell in cells if cell.family == family] for family in families}
    found: dict[str, list[float]] = {}
    for _ in range(draws):
        drawn = [cell for family in generator.choice(families, len(families)) for cell in by_family[family]]
        if priced(drawn):
            for kind, value in fit(drawn).seconds.items():
                found.setdefault(kind, []).append(value)
    return {kind: tuple(np.quantile(values, [0.05, 0.95]).tolist()) for kind, values in found.items()}
