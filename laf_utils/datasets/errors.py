"""What can go wrong, in two kinds that callers treat differently: it is not there, or it is there and wrong."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

DELETE = "delete it and run again"
EXPORT = "re-export it (data/README.md shows how)"


class DataError(Exception):
    """Anything about data that stops a run; the message says what to do."""


class DataUnavailable(DataError):
    """Not found and not obtainable. The message lists every door tried, one line each, and why it stayed shut."""


class DataCorrupt(DataError):
    """A file is there but must not be used. The message names the file, what is wrong with it and the remedy."""


class DoorClosed(Exception):
    """Inside this package only: one door has nothing to give, so the next one is tried. The message is one line."""


def corrupt(file: Path, problem: str, remedy: str = DELETE) -> DataCorrupt:
    """The error for ``file``, ready to be raised."""
    return DataCorrupt(f"{file}: {problem}. Remedy: {remedy}.")


def one_line(error: BaseException | str, limit: int = 300) -> str:
    """``error`` as at most ``limit`` characters without line breaks; an error without text gives its class."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


@contextlib.contextmanager
def reading(file: Path, remedy: str = DELETE, problem: str = "cannot be read") -> Iterator[None]:
    """Within it whatever fails is an error of ``file``: files that are wrong fail in any way, in libraries of any kind.

    Raises:
        DataCorrupt: that error, or the one that was raised within.
    """
    try:
        yield
    except (DataCorrupt, MemoryError):
        raise
    except Exception as error:
        raise corrupt(Path(getattr(error, "filename", None) or file), f"{problem} ({one_line(error)})", remedy) from error
