"""The fit of a machine and network, completed by the VAE step where no cell tells it: what predictions beyond the fit take."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..base import training_records
from .fit import Fit, fit, groups
from .observed import Group, Observed, observed, records, vae_step_seconds


@dataclass(frozen=True)
class Calibrated:
    """A machine and network with its cells.

    Args:
        fitted: from the scored cells, with the VAE step where it had to be borrowed.
        borrowed: seconds of a VAE step by run, ascending, from wall clocks of ``Training``; empty where cells tell it.
    """

    fitted: Fit
    cells: Sequence[Observed]
    borrowed: Sequence[float] = ()


def calibrate(group: Group, cells: Sequence[Observed], runs: Sequence[dict]) -> Calibrated:
    """The fit of one group's cells; the median VAE step of ``runs`` (records of ``Training``) where no cell tells it."""
    fitted, borrowed = fit(cells), []
    if "vae_steps" not in fitted.seconds:
        borrowed = vae_step_seconds(group, fitted.seconds.get("frozen", 0.0), runs)
    if borrowed:
        fitted = replace(fitted, seconds={**fitted.seconds, "vae_steps": statistics.median(borrowed)})
    return Calibrated(fitted, cells, borrowed)


def every(found: Sequence[dict] | None = None, runs: Sequence[dict] | None = None) -> dict[Group, Calibrated]:
    """Every machine and network with enough cells, from the records that are there now."""
    cells, _ = observed(records() if found is None else found)
    runs = training_records.runs() if runs is None else runs
    return {group: calibrate(group, own, runs) for group, own in groups(cells).items()}
