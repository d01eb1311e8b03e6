"""One cell in a process of its own, as the workflow calls it: ``python -m laf_utils.experiments.worker LOCK NAME=VALUE ...``.

A run that was killed may have left a worker behind, here or on a node of a cluster, that still makes this cell. It holds the
cell's lock: the new worker waits, finds the record, and has nothing to do. The lock ends with the process that holds it.
"""

import contextlib
import fcntl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from .comparison import main as comparison


@contextlib.contextmanager
def alone(lock: Path, say: Callable[[str], None] = print) -> Iterator[None]:
    """This cell for this process only; waits while another one makes it.

    On a file system without locks nothing waits: two processes may then make one cell, and the later record replaces the other.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is making this cell: waiting for its record")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            say(f"no lock here ({error.strerror})")
        yield


def main() -> int:
    """The command; its exit code is that of ``laf_utils.experiments``."""
    lock = Path(sys.argv.pop(1))
    with alone(lock, lambda line: print(line, flush=True)):
        return comparison()


if __name__ == "__main__":
    sys.exit(main())
