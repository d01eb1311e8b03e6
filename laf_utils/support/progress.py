"""One progress bar, with time left, for everything that takes longer than a second."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

_here = threading.local()


@contextmanager
def silent_thread() -> Iterator[None]:
    """No bars from this thread meanwhile."""
    _here.silent = True
    try:
        yield
    finally:
        _here.silent = False


def track(total: int, label: str, unit: str = "step") -> tqdm:
    """A bar over ``total`` units that appears after one second and vanishes when done.

    It writes to standard output: in a notebook, standard error is drawn as a warning. ``LAF_PROGRESS=0`` silences it
    (tests, grids). Use it as a context manager and call ``update``.
    """
    return tqdm(
        total=total,
        desc=label,
        unit=unit,
        unit_scale=unit == "B",
        delay=1,
        mininterval=0.5,
        leave=False,
        file=sys.stdout,
        ascii=True,
        ncols=88,
        disable=os.environ.get("LAF_PROGRESS") == "0" or getattr(_here, "silent", False),
    )
