"""How long a grid will take, from what its cells took before, and how far a running one is: a bar on a terminal, else a line."""

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable

from ..support.paths import ROOT
from ..support.progress import track
from .cells import FROM_SCRATCH, read
from .planning import Planned

LEAST = 10_000  # training passes below which the seconds of a record say little about their rate
PRICES = ROOT / "benchmarks" / "results" / "native.json"
TRUST = 0.05  # of a grid: how much of it must be done before its own pace counts as much as what was expected


def seconds_per_pass(grid: Iterable[Planned]) -> float | None:
    """Median seconds of one training pass over the valid records of a grid; ``None`` without a record to tell."""
    rates = []
    for record in (read(item.cell.path) for item in grid if item.state == "valid"):
        passes = (record["passes"] or {}).get("equivalent", 0)
        seconds = record.get("processor_seconds") or record["seconds"]
        if passes >= LEAST and seconds:
            rates.append(seconds / passes)
    return statistics.median(rates) if rates else None


def hours(todo: Iterable[Planned], rate: float, workers: int) -> float:
    """Hours of the cells with ``workers`` of them at a time."""
    return rate * sum(item.equivalent for item in todo) / workers / 3600


def prices() -> dict:
    """What ``benchmarks/native.py`` measured, by device; empty where it was not run."""
    return json.loads(PRICES.read_text(encoding="utf-8"))["devices"] if PRICES.is_file() else {}


def priced(todo: Iterable[Planned]) -> list[str]:
    """Where no record tells a rate: hours of each profile's cells on one thread here and minutes on one GPU, from the few dozen
    steps that ``benchmarks/native.py`` measured; its GPU prices are ResNet-18's at 32 x 32 until it has run on one: more layers,
    more time.
    """
    found, todo, said = prices(), list(todo), []
    for profile in dict.fromkeys(item.cell.profile for item in todo):
        items = [item for item in todo if item.cell.profile == profile]
        seconds = {
            device: sum(i.equivalent * price["training" if i.cell.method in FROM_SCRATCH else "unlearning"] for i in items)
            for device, own in found.items() if (price := own["networks"].get(profile))
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


POLL = 1.0  # seconds between looks at what is done
EVERY = 60.0  # seconds at least between two lines while cells come in
QUIET = 600.0  # seconds after which a line comes though no cell did


class Progress:
    """The cells that are done, as far as they were seen, and what to say of them; ``expected`` as of ``seconds_left``."""

    def __init__(
        self, todo: list[Planned], done: Callable[[Planned], bool], expected: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.todo, self.done, self.expected, self.clock = todo, done, expected, clock
        self.total = sum(item.equivalent for item in todo)
        self.seen: set[str] = set()
        self.passes, self.start = 0.0, clock()
        self.last = self.said = self.start  # when a cell came in last; when a line was said last
        self.counted = 0  # cells in the line said last

    def look(self) -> float:
        """Training passes of the cells that came in since the last look."""
        new = [item for item in self.todo if item.name not in self.seen and self.done(item)]
        if new:
            self.seen.update(item.name for item in new)
            self.last = self.clock()
        passes = sum(item.equivalent for item in new)
        self.passes += passes
        return passes

    def words(self) -> str:
        """``3 of 12 cells, about 2.1 hours left``."""
        left = seconds_left(self.total, self.passes, self.last - self.start, self.expected)
        count = f"{len(self.seen)} of {len(self.todo)} cells"
        if left is None or len(self.seen) == len(self.todo):
            return count
        return f"{count}, {in_words(max(0.0, left - (self.clock() - self.last)))} left"

    def due(self) -> bool:
        """Whether it is time for a line; the caller says it then."""
        waited = self.clock() - self.said
        ready = waited >= (EVERY if len(self.seen) > self.counted else QUIET)
        if ready:
            self.said, self.counted = self.clock(), len(self.seen)
        return ready


def follow(
    workflow: subprocess.Popen, todo: list[Planned], done: Callable[[Planned], bool], say: Callable[[str], None],
    expected: float | None,
) -> None:
    """Show how far the cells are until the workflow ends.

    Raises:
        KeyboardInterrupt: Ctrl-C; the workflow is the caller's to end.
    """
    progress, terminal = Progress(todo, done, expected), sys.stdout.isatty()
    with track(round(progress.total), "grid", unit="pass") as bar:
        bar.disable = bar.disable or not terminal
        bar.bar_format = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}{postfix}"  # its own time left knows no cells
        while workflow.returncode is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                workflow.wait(POLL)
            bar.update(round(progress.look()))
            bar.set_postfix_str(progress.words())
            if not terminal and progress.due():
                say(progress.words())
