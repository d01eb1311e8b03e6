"""Peak memory of one piece of work in a process that has done other work before."""

import ctypes
import gc
import sys
from contextlib import suppress
from pathlib import Path

from ..support.devices import peak_memory_bytes, status_bytes

RESET = Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # Linux, proc(5): sets the peak of the resident set back to its present size


def give_back() -> None:
    """Return freed memory to the system: what an earlier piece of work let go of would hide what this one needs (glibc only)."""
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


class PeakMemory:
    """``with PeakMemory() as memory: ...`` and then ``memory.peak_mb``, and ``memory.added_mb`` above what was there before.

    Both are ``None`` where the peak cannot be set back: the process's peak so far would be another piece of work's.
    """

    peak_mb: float | None = None
    added_mb: float | None = None

    def __enter__(self) -> "PeakMemory":
        give_back()
        try:
            RESET.write_text(RESET_PEAK, encoding="ascii")
            self._before = status_bytes("VmRSS")
        except OSError:
            self._before = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            peak = peak_memory_bytes()
            self.peak_mb, self.added_mb = peak / 2**20, max(0, peak - self._before) / 2**20
