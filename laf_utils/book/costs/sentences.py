"""The sentences of the cost model's page, each number with its interval, computed from what is there when the page is built."""

from collections.abc import Mapping

import pandas as pd

from ...methods.passes import FROZEN_PASS
from ..base.words import in_time
from .fit import QUARTER, Fit, held_out, interval
from .passes import SMALL, Alone
from .tables import between, percent, title_of
from .timings import LEAST, Group
from .workloads import LAF, Setting, bottleneck, seconds_of_stages, stages


def factors_of(models: Mapping[Group, Fit], device: str = "cuda") -> tuple[float, float]:
    """What to multiply a prediction by, from cells of data sets left out, on that kind of device or else on any."""
    chosen = [own for group, own in models.items() if group.device == device] or list(models.values())
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


def bottleneck_sentence(setting: Setting, alone: Alone, factors: tuple[float, float]) -> str:
    """Which stage takes longest, of the whole run and of what a request costs once original and retrained model are there."""
    seconds = seconds_of_stages(setting, alone)
    first, share = bottleneck(seconds)
    name, own_share = bottleneck(seconds, LAF)
    laf = sum(seconds[stage] for stage in LAF)
    return (
        f"**{setting.title}.** The longest stage is *{first}*: {in_time(seconds[first])} ({between(seconds[first], factors)}), "
        f"{100 * share:.0f} % of the run. LAF itself takes {in_time(laf)} ({between(laf, factors)}), "
        f"{percent(laf / seconds['retrained'])} % of retraining's {in_time(seconds['retrained'])}; most of it is *{name}* "
        f"({100 * own_share:.0f} %)."
    )


def counted_sentence(setting: Setting) -> str:
    """The same without seconds: the stage with the most passes, a frozen one counted as a third."""
    work = stages(setting)
    passes = {name: w.training + FROZEN_PASS * w.frozen for name, w in work.items()}
    first, share = bottleneck(passes)
    laf = passes["VAEs"] + passes["unlearning"]
    return (
        f"**{setting.title}.** By image passes the longest stage is *{first}*, {100 * share:.0f} % of the run; LAF takes "
        f"{percent(laf / passes['retrained'])} % of retraining's passes."
    )


def rule_sentence(left_out: Mapping[str, int], scored: int) -> str:
    """What enters the fit and what does not."""
    reasons = "; ".join(f"{reason}: {count}" for reason, count in sorted(left_out.items()))
    return f"{scored} cells of at least {LEAST:g} seconds are scored. Left out by the rule: {reasons or 'none'}."
