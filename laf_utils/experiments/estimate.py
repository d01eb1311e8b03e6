"""How long a grid will take, from what its cells took before."""

import json
import statistics
from collections.abc import Iterable

from ..support import records
from ..support.paths import ROOT
from .cells import FROM_SCRATCH, read
from .planning import Planned

LEAST = 10_000  # training passes below which the seconds of a record say little about their rate
PRICES = ROOT / "benchmarks" / "results" / "native.json"
TRUST = 0.05  # of a grid: how much of it must be done before its own pace counts as much as what was expected


def seconds_per_pass(grid: Iterable[Planned]) -> float | None:
    """Median seconds of one training pass over the valid records of a grid; ``None`` without a record to tell."""
    rates = []
    for item in grid:
        if item.state != "valid":
            continue
        try:
            record = read(item.cell.path)
        except records.RecordError:
            continue
        passes = (record["passes"] or {}).get("equivalent", 0)
        seconds = record.get("processor_seconds") or record["seconds"]
        if passes >= LEAST and seconds:
            rates.append(seconds / passes)
    return statistics.median(rates) if rates else None


def hours(todo: Iterable[Planned], rate: float, workers: int) -> float:
    """Hours of the cells with ``workers`` of them at a time."""
    return rate * sum(item.equivalent for item in todo) / workers / 3600


def priced(todo: Iterable[Planned]) -> list[str]:
    """Where no record tells a rate: hours of each profile's cells on one thread here and minutes on one GPU, from the few dozen
    steps that ``benchmarks/native.py`` measured; its GPU prices are ResNet-18's at 32 x 32 until it has run on one: more layers,
    more time.
    """
    found = json.loads(PRICES.read_text(encoding="utf-8"))["devices"] if PRICES.is_file() else {}
    said, by_profile = [], {}
    for item in todo:
        by_profile.setdefault(item.cell.profile, []).append(item)
    for profile, items in by_profile.items():
        own = {device: prices["networks"][profile] for device, prices in found.items() if profile in prices["networks"]}
        seconds = {
            device: sum(i.equivalent * price["training" if i.cell.method in FROM_SCRATCH else "unlearning"] for i in items)
            for device, price in own.items()
        }
        if len(seconds) == len(found) and seconds:
            said.append(f"{profile}, {len(items)} cells: {seconds['cpu'] / 3600:.1f} hours here on one thread, about "
                        f"{seconds['cuda'] / 60:.0f} minutes on one {found['cuda']['device']['name']}")
    return said


def seconds_left(total: float, done: float, elapsed: float, expected: float | None) -> float | None:
    """Seconds that the rest of a running grid may take from the moment its last cell came in.

    What was expected counts as much as ``TRUST`` of the grid would; the more of it is done, the more its own pace counts.

    Args:
        total, done: training passes of all cells, and of those that are done.
        elapsed: seconds from the start until the last cell came in.
        expected: seconds for all of them, as estimated before; ``None`` where there was no record to tell.
    """
    trust = TRUST if expected is not None else 0.0
    seen = trust + done / total if total else 0.0
    if not seen:
        return None
    return (1 - done / total) * (trust * (expected or 0.0) + elapsed) / seen


def in_words(seconds: float) -> str:
    """``about 2.1 hours``, ``about 12 minutes``, ``under a minute``."""
    if seconds < 60:
        return "under a minute"
    return f"about {seconds / 60:.0f} minutes" if seconds < 5400 else f"about {seconds / 3600:.1f} hours"
