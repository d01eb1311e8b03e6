"""One progress bar, with time left, for everything that takes longer than a second and that somebody watches.

``LAF_PROGRESS=0`` draws none (tests, grids), ``LAF_PROGRESS=1`` all. Without it a bar appears in a terminal and in a notebook
whose front end is open. A notebook that papermill runs prints one line when a stage is done.
"""

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

FRONT_ENDS = ("JPY_SESSION_NAME", "COLAB_RELEASE_TAG")  # set in the kernels that JupyterLab and Colab start, for a session
BAR = re.compile(r"[^\r\n]*?: +\d+%\|[^|\r\n]*\|[^\]\r\n]*\]")

_here = threading.local()


def watched() -> bool:
    """Whether somebody sees a bar move."""
    said = os.environ.get("LAF_PROGRESS")
    if said in ("0", "1"):
        return said == "1"
    return sys.stdout.isatty() or any(name in os.environ for name in FRONT_ENDS)


def without_bars(text: str) -> str:
    """What is left of printed text when its bars are gone: for pages that are made of an executed notebook."""
    lines = (BAR.sub("", line).rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").split("\n"))
    return "\n".join(line.rstrip() for line in lines)


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

    It writes to standard output: in a notebook, standard error is drawn as a warning. Use it as a context manager and call
    ``update``.
    """
    return tqdm(
        total=total, desc=label, unit=unit, unit_scale=unit == "B", delay=1, mininterval=0.5, leave=False, file=sys.stdout,
        position=0,  # a bar inside another draws over it: a second line is moved to by codes that a notebook does not obey
        ascii=True, ncols=88, disable=not watched() or getattr(_here, "silent", False),
    )
