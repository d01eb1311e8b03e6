"""One cell in a process of its own, as the workflow calls it: ``python -m laf_utils.experiments.worker LOCK NAME=VALUE ...``.

A run that was killed may have left a worker behind, here or on a node of a cluster, that still makes this cell. It holds the
cell's lock: the new worker waits, finds the record, and has nothing to do. The lock ends with the process that holds it.
"""

import contextlib
import fcntl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ..settings.cli import SETTINGS, Stop, help_wanted, one_line_errors
from ..support.paths import check_file_writable
from .__main__ import AGAIN
from .__main__ import main as experiments


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
    def command() -> int:
        help_wanted(sys.argv[1:])
        if len(sys.argv) < 2 or "=" in sys.argv[1] or sys.argv[1].startswith("-"):
            raise Stop("expected the file of the cell's lock and NAME=VALUE of laf_utils.experiments", SETTINGS)
        lock = check_file_writable(Path(sys.argv.pop(1)), "LOCK")
        with alone(lock, lambda line: print(line, flush=True)):
            sys.argv.append("EXECUTOR=here")
            return experiments()

    return one_line_errors(command, AGAIN)


if __name__ == "__main__":
    sys.exit(main())
