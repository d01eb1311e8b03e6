"""What the page of the cost model shows: coefficients, held-out errors, and what the paper's setting would take."""

from collections.abc import Mapping, Sequence

import pandas as pd

from ..base.tables import MISSING
from ..base.words import TITLES, in_time, method_name
from .fit import NAMES, QUARTER, SPLITS, Fit, held_out, interval, resampled, within
from .timings import Alone, Group, Timing
from .workloads import LAF, Setting, seconds_of_stages, stages


def coefficients(fitted: Fit) -> pd.DataFrame:
    """Seconds per unit with the range over resampled methods, and the share of all predicted seconds that each explains."""
    ranges = resampled(fitted.cells)
    total = sum(fitted.predict(cell.work) for cell in fitted.scored)
    done = {kind: sum(getattr(cell.work, kind) for cell in fitted.scored) for kind in fitted.seconds}
    return pd.DataFrame.from_dict({
        NAMES[kind]: {
            "ms each": f"{1e3 * value:.3g}",
            "5th to 95th percentile": " to ".join(f"{1e3 * end:.3g}" for end in ranges.get(kind, ())) or MISSING,
            "% of all seconds": f"{100 * value * done[kind] / total:.1f}",
        } for kind, value in fitted.seconds.items()
    }, orient="index")


def errors(cells: Sequence[Timing]) -> pd.DataFrame:
    """Held-out predictions of one machine and network: one row for each way of leaving cells out."""
    rows = {}
    for by in SPLITS:
        left = held_out(cells, by)
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


def between(seconds: float, factors: tuple[float, float]) -> str:
    return " to ".join(in_time(seconds * factor) for factor in factors)


def stage_times(setting: Setting, alone: Alone, factors: tuple[float, float]) -> pd.DataFrame:
    """Passes, steps and time of every stage of a setting, with the interval that held-out errors give."""
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
    for name, among in (("all", seconds), ("LAF", LAF)):
        own = sum(seconds[stage] for stage in among)
        rows[name] = {"time": in_time(own), "interval": between(own, factors), "% of the run": f"{100 * own / total:.1f}"}
    return pd.DataFrame.from_dict(rows, orient="index").fillna("")


def rates(alone: Alone) -> pd.DataFrame:
    """Microseconds per image of every measured pass, by network and pass; one column per batch and number format."""
    rows: dict[str, dict[str, str]] = {}
    for row in alone.found["passes"]:
        if row["pass"] != "laf":
            cell = f"{1e6 * row['seconds']:,.1f}"
            rows.setdefault(f"{row['network']}, {row['pass']}", {})[f"{row['format']}, batch {row['batch']}"] = cell
    return pd.DataFrame.from_dict(rows, orient="index").fillna(MISSING)


def factors_of(models: Mapping[Group, Fit]) -> tuple[float, float]:
    """What to multiply a prediction by, from cells of data sets left out, on a GPU or else on any machine."""
    chosen = [own for group, own in models.items() if group.device == "cuda"] or list(models.values())
    left = [held_out(own.cells, by) for own in chosen for by in ("dataset", "task")]
    ratios = pd.concat(left)["ratio"] if left else pd.Series(dtype=float)
    if ratios.empty:
        raise ValueError("no held-out prediction: there is no interval")
    return interval(ratios)


def outside_sentence(models: Mapping[Group, Fit]) -> str:
    """Which families fail when nothing like them was seen, and why."""
    said = []
    for group, own in models.items():
        left = held_out(own.cells, "family")
        off = left[~left["ratio"].between(*QUARTER)]
        for unpriced, rows in off.groupby("unpriced"):
            names = ", ".join(dict.fromkeys(TITLES.get(name) or method_name(name) for name in rows["method"]))
            why = f"no other family does {unpriced}, so that the others cannot tell its price" if unpriced else (
                "every kind of its work occurs elsewhere, in another mixture: the price of a pass is not the same everywhere")
            said.append(f"- {group.title}: {names} ({rows['ratio'].min():.2f} to {rows['ratio'].max():.2f} of measured): {why}.")
    return "\n".join(said) or "- None."
