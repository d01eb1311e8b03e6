"""Seconds of a setting by stage on a device whose passes were measured, and what the grid saves of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...experiments.cells import listed
from .measured import Alone
from .workloads import Setting, baseline_work, stages

SHARED = ("original", "retrained")  # trained once for all cells of a request and seed
LAF = ("VAEs", "unlearning")
REFERENCE_CELLS = ("original", "retrain", "retrain_again", "laf", "laf_r")


def seconds_of_stages(setting: Setting, alone: Alone) -> dict[str, float]:
    """Seconds by stage, in order."""
    return {
        name: alone.predict(work, setting.network, setting.number_format) for name, work in stages(setting).items()
    }


def seconds_of_baselines(setting: Setting, alone: Alone, methods: Sequence[str] | None = None) -> dict[str, tuple[float, float]]:
    """(seconds of unlearning, seconds of its own original) of every method of the comparison that is no stage of a run."""
    names = [name for name in listed("defaults") if name not in REFERENCE_CELLS] if methods is None else methods
    found = {}
    for name in names:
        after, before = (
            alone.predict(work, setting.network, setting.number_format) for work in baseline_work(name, setting)
        )
        found[name] = after, before
    return found


def bottleneck(seconds: Mapping[str, float], among: Sequence[str] | None = None) -> tuple[str, float]:
    """(the stage that takes longest, its share of all), of all stages or of some."""
    taken = {name: value for name, value in seconds.items() if among is None or name in among}
    name = max(taken, key=taken.__getitem__)
    return name, taken[name] / sum(taken.values())


@dataclass(frozen=True)
class Grid:
    """Hours of all cells of one request over several seeds.

    Args:
        alone: every cell by itself: it trains the original it starts from and the retrained model it is compared with.
        shared: original and retrained once per seed, each cell its own work.
        chain: the longest chain of work that no number of devices shortens.
    """

    cells: int
    alone: float
    shared: float
    chain: float

    def hours(self, devices: int) -> float:
        """At least so long on so many devices."""
        return max(self.chain, self.shared / devices)


def grid(setting: Setting, alone: Alone, seeds: int = 3) -> Grid:
    """All cells of the comparison for one request: those that are stages, the baselines, and retraining from another seed."""
    own = seconds_of_stages(setting, alone)
    evaluation = own["evaluation"] / 4
    baselines = seconds_of_baselines(setting, alone)
    laf = sum(own[name] for name in LAF)
    work = {"original": 0.0, "retrain": 0.0, "retrain_again": own["retrained"], "laf": laf, "laf_r": own["repair"]}
    work |= {name: sum(both) for name, both in baselines.items()}
    start = sum(own[name] for name in SHARED)
    separate = {name: start + seconds + evaluation for name, seconds in work.items()}
    separate["laf_r"] += laf
    shared = start + sum(work.values()) + evaluation * len(work)
    chain = max(own[n] for n in SHARED) + max(work.values()) + evaluation
    hour = 3600
    return Grid(len(work) * seeds, seeds * sum(separate.values()) / hour, seeds * shared / hour, chain / hour)
