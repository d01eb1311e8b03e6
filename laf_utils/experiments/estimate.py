"""How long a grid will take, from what its cells took before."""

import statistics
from collections.abc import Iterable

from .. import records
from ..comparison.cell import read
from .grid import Planned

LEAST = 10_000  # training passes below which the seconds of a record say little about their rate


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
