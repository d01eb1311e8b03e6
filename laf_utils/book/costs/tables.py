"""What the page of the cost model says: coefficients, held-out errors, and what larger settings would take."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from ...methods import METHODS
from ...methods.passes import FROZEN_PASS
from ...methods.table import FURTHER
from ...settings.changes import plain
from ..base.tables import MISSING
from ..base.words import TITLES, in_time
from .fit import NAMES, QUARTER, SPLITS, Fit, held_out, interval, resampled, within
from .memory import added, kept_before
from .timings import SMALL, Alone, Group, Timing
from .workloads import LAF, Setting, grid, seconds_of_baselines, seconds_of_stages, stages


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


# -- sentences, each number computed from what is there when the page is built -----------------------------------------------


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
            names = ", ".join(dict.fromkeys(title_of(name) for name in rows["method"]))
            why = f"no other family does {unpriced}, so that the others cannot tell its price" if unpriced else (
                "every kind of its work occurs elsewhere, in another mixture: the price of a pass is not the same everywhere")
            said.append(f"- {group.title}: {names} ({rows['ratio'].min():.2f} to {rows['ratio'].max():.2f} of measured): {why}.")
    return "\n".join(said) or "- None."


def prices_sentence(models: Mapping[Group, Fit]) -> str:
    """How a frozen pass compares with a training pass, where both have a price, beside the third that counts of passes assume."""
    said = []
    for group, own in models.items():
        for training, frozen in (("training", "frozen"), ("calls", "frozen_calls")):
            prices = own.seconds
            if prices.get(training) and prices.get(frozen):
                said.append(f"{prices[frozen] / prices[training]:.2f} of one forward and backward ({group.title})")
    return f"One forward only costs {', '.join(said)}; counts of passes take {FROZEN_PASS:.2f} everywhere." if said else ""


def contention_sentence(models: Mapping[Group, Fit], alone: Alone) -> str:
    """How much longer a call took in the records than alone on the device."""
    said = []
    for group, own in models.items():
        network = f"{group.backbone}-{group.size}"
        if group.device == "cuda" and "calls" in own.seconds:
            single, shared = SMALL * alone.seconds(network, "training", "float32", SMALL), own.seconds["calls"]
            said.append(
                f"In the records of {group.title} a batch forward and backward took {1e3 * shared:.1f} ms; alone on the device a "
                f"batch of {SMALL} takes {1e3 * single:.1f} ms, a factor of {shared / single:.1f}."
            )
    return " ".join(said)


def counted_sentence(setting: Setting) -> str:
    """The stage with the most image passes, a frozen one counted as a third."""
    work = stages(setting)
    passes = {name: w.training + FROZEN_PASS * w.frozen for name, w in work.items()}
    first, laf = max(passes, key=passes.__getitem__), sum(passes[name] for name in LAF)
    longest = percent(passes[first] / sum(passes.values()))
    return (
        f"**{setting.title}.** By image passes the longest stage is *{first}*, {longest} % of the run; LAF takes "
        f"{percent(laf / passes['retrained'])} % of retraining's passes."
    )
