"""The tables of the cost model: coefficients, held-out errors, and what larger settings would take."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from ...methods import METHODS
from ...methods.table import FURTHER
from ...settings.changes import plain
from ..base.tables import MISSING
from ..base.words import TITLES, in_time
from .fit import NAMES, SPLITS, Fit, held_out, interval, resampled, within
from .memory import added, kept_before
from .passes import Alone
from .timings import Timing
from .workloads import Setting, grid, seconds_of_baselines, seconds_of_stages, stages


def coefficients(fitted: Fit) -> pd.DataFrame:
    """Seconds per unit with the range over resampled methods, and the share of all predicted seconds that each explains."""
    ranges = resampled(fitted.cells)
    total = sum(fitted.predict(cell.work) for cell in fitted.scored)
    rows = {}
    for kind, value in fitted.seconds.items():
        share = 100 * value * sum(getattr(cell.work, kind) for cell in fitted.scored) / total
        ends = " to ".join(f"{1e3 * end:.3g}" for end in ranges.get(kind, ()))
        rows[NAMES[kind]] = {
            "ms each": f"{1e3 * value:.3g}", "5th to 95th percentile": ends or MISSING,
            "% of all seconds": f"{share:.1f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def errors(cells: Sequence[Timing]) -> pd.DataFrame:
    """Held-out predictions of one machine and network: one row for each way of leaving cells out."""
    rows = {}
    for by in SPLITS:
        left = held_out(cells, by)
        if left.empty:
            continue
        known = left[left["unpriced"] == ""]
        if known.empty:
            continue
        low, high = interval(known["ratio"])
        rows[f"each {'family of methods' if by == 'family' else by} in turn"] = {
            "cells": len(left), "within a quarter": f"{100 * within(left['ratio']):.0f} %",
            "every kind of work priced": len(known), "of those within a quarter": f"{100 * within(known['ratio']):.0f} %",
            "predicted / measured, median": f"{known['ratio'].median():.2f}",
            "range": f"{known['ratio'].min():.2f} to {known['ratio'].max():.2f}",
            "measured lies at (90 % of cells)": f"{low:.2f} to {high:.2f} of predicted",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def equation(fitted: Fit) -> str:
    """The model of one machine and network as a line of TeX, with its coefficients in milliseconds."""
    terms = [rf"{1e3 * value:.3g}\,\text{{ms}}\times\text{{{NAMES[kind]}}}" for kind, value in fitted.seconds.items()]
    return r"\begin{aligned} t \approx {} & " + r" \\ & {} + ".join(terms) + r" \end{aligned}"  # a line each: phones are narrow


def percent(share: float) -> str:
    """A share as percent: whole from ten on, else two digits that mean something."""
    return f"{100 * share:.0f}" if share >= 0.1 else f"{100 * share:.2g}"


def between(seconds: float, factors: tuple[float, float]) -> str:
    return f"{in_time(seconds * factors[0])} to {in_time(seconds * factors[1])}"


def stage_times(setting: Setting, alone: Alone, factors: tuple[float, float]) -> pd.DataFrame:
    """Passes, steps and time of every stage of a setting, with the interval that held-out errors give.

    Args:
        factors: of ``fit.interval``.
    """
    seconds, work = seconds_of_stages(setting, alone), stages(setting)
    total = sum(seconds.values())
    rows = {
        name: {
            "time": in_time(value), "% of the run": f"{100 * value / total:.1f}", "interval": between(value, factors),
            "forward and backward": f"{work[name].training:,.0f}", "forward only": f"{work[name].frozen:,.0f}",
            "VAE steps": f"{work[name].vae_steps:,.0f}",
        }
        for name, value in seconds.items()
    }
    rows["all"] = {"time": in_time(total), "interval": between(total, factors), "% of the run": "100.0"}
    return pd.DataFrame.from_dict(rows, orient="index").fillna("")


def rates(alone: Alone) -> pd.DataFrame:
    """Microseconds per image of every measured pass, by network and pass; one column per batch and number format."""
    rows: dict[str, dict[str, str]] = {}
    for row in alone.found["passes"]:
        if row["pass"] != "laf":
            cell = f"{1e6 * row['seconds']:,.1f}"
            rows.setdefault(f"{row['network']}, {row['pass']}", {})[f"{row['format']}, batch {row['batch']}"] = cell
    return pd.DataFrame.from_dict(rows, orient="index").fillna(MISSING)


def baseline_times(setting: Setting, alone: Alone, factors: tuple[float, float]) -> pd.DataFrame:
    """Time of LAF and of every baseline, its own original apart, and its share of retraining's; cheapest first."""
    own = seconds_of_stages(setting, alone)
    taken = {"laf": (own["VAEs"] + own["unlearning"], 0.0)} | seconds_of_baselines(setting, alone)
    rows = {
        title_of(name): {
            "time": in_time(after), "% of retraining": percent(after / own["retrained"]), "interval": between(after, factors),
            "its own original": in_time(before) if before else MISSING,
        }
        for name, (after, before) in sorted(taken.items(), key=lambda item: item[1][0])
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def title_of(method: str) -> str:
    """What tables call a method."""
    known = METHODS | FURTHER
    return known[method].title if method in known else TITLES.get(method, method)


def gigabytes(value: float) -> str:
    """Bytes in words."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= size:
            return f"{value / size:,.1f} {unit}"
    return f"{value:.0f} B"


def bytes_of(settings: Sequence[Setting], parameters: dict[str, int]) -> pd.DataFrame:
    """What each setting keeps in memory: images, LAF's representations and VAEs, a teacher's logits, SISA's checkpoints.

    Args:
        parameters: of the networks by their names in ``benchmarks/passes.py``.
    """
    rows = {}
    for setting in settings:
        weights, config = parameters[setting.network], setting.config
        laf = added("laf", {"vae": plain(config.vae), "unlearning": plain(config.unlearning)}, setting.shape(weights))
        scrub = added("scrub", plain(METHODS["scrub"].published(config.task)), replace(setting.shape(weights), crops=False))
        sisa = kept_before("sisa", plain(METHODS["sisa"].settings), weights)
        rows[setting.title] = {
            "images, uint8": gigabytes(setting.image_bytes), "representations": gigabytes(laf["representations"]),
            "both VAEs": gigabytes(laf["VAEs"]), "teacher's logits": gigabytes(scrub["teacher's logits"]),
            "SISA's checkpoints": gigabytes(sum(sisa.values())), "student": gigabytes(laf["student, gradients, optimiser"]),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def grid_times(
    settings: Sequence[Setting], alone: Alone, factors: tuple[float, float], devices: Sequence[int] = (4, 16), seeds: int = 3
) -> pd.DataFrame:
    """Hours of all cells of a request: each by itself, with shared originals and their interval, and on several devices."""
    rows = {}
    for setting in settings:
        found = grid(setting, alone, seeds)
        rows[setting.title] = {
            "cells": found.cells, "each by itself": in_time(3600 * found.alone), "shared": in_time(3600 * found.shared),
            "interval": between(3600 * found.shared, factors), "saved": f"{100 * (1 - found.shared / found.alone):.0f} %",
        } | {f"on {n} devices": in_time(3600 * found.hours(n)) for n in devices} | {
            "longest chain": in_time(3600 * found.chain)}
    return pd.DataFrame.from_dict(rows, orient="index")
