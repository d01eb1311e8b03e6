"""How far a running grid is and how long the rest may take: a bar on a terminal, a line from time to time elsewhere."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable

from ..support.progress import track
from .estimate import in_words, seconds_left
from .planning import Planned

POLL = 1.0  # seconds between looks at what is done
EVERY = 60.0  # seconds at least between two lines while cells come in
QUIET = 600.0  # seconds after which a line comes though no cell did


class Progress:
    """The cells that are done, as far as they were seen, and what to say of them.

    Args:
        expected: seconds that all cells may take, ``None`` where nothing is known.
        clock: seconds, rising.
    """

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
