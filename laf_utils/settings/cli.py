"""What every command line of this project shares: ``NAME=VALUE`` to values, errors to one line, a terminal that stays clean."""

import contextlib
import errno
import signal
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import product
from typing import TextIO

from ..datasets import DataError
from ..support.extras import advice
from ..support.paths import PlaceError
from ..support.reading import ReadingError, items, plain, seed
from .config import ConfigError

FAILED, SETTINGS, DATA, INTERRUPTED = 1, 2, 3, 130  # exit codes
WORDS = {"none": None, "null": None, "true": True, "false": False}
TEXT = ("DATASET", "FALLBACK")  # names of files, so "007" is not 7


class Stop(Exception):
    """The end of a command, with what to tell and the exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


class Help(Exception):  # noqa: N818 (not an error: what was asked for)
    """``-h`` or ``--help`` is among the arguments."""


def help_wanted(arguments: Sequence[str]) -> None:
    """Raise ``Help`` where it is asked for; ``one_line_errors`` answers it."""
    if "-h" in arguments or "--help" in arguments:
        raise Help


def value(text: str) -> object:
    """A whole number, a number, True, False or None where the text says so; otherwise the text itself."""
    return WORDS[text.lower()] if text.lower() in WORDS else plain(text)


def values(arguments: Sequence[str]) -> dict[str, object]:
    """``["SEED=1", "FORGET_CLASS=3,5"]`` as ``{"SEED": 1, "FORGET_CLASS": "3,5"}``; raises as ``known_values``."""
    given = known_values(arguments)
    return {name: text if name in TEXT and text.lower() not in WORDS else value(text) for name, text in given.items()}


class Terminal:
    """A file that passes on what a running cell prints.

    On a terminal everything, so that progress bars move. Elsewhere whole lines only, without the states of bars that were
    overwritten: a log of a build is to be read.
    """

    def __init__(self, target: TextIO) -> None:
        self.target, self.rest = target, ""

    def write(self, text: str) -> None:
        if self.target.isatty():
            self.target.write(text)
            return
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            last = line.rstrip("\r").rpartition("\r")[2].rstrip()
            if last or "\r" not in line:
                self.target.write(f"{last}\n")
        self.rest = self.rest.rpartition("\r")[2]

    def flush(self) -> None:
        self.target.flush()


@contextlib.contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """Being told to end, or losing the terminal, does the same as Ctrl-C: what was started is stopped too."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    names = [signal.SIGTERM, signal.SIGHUP]
    before = {name: signal.signal(name, interrupt) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def known_values(arguments: Sequence[str], names: Collection[str] | None = None) -> dict[str, str]:
    """``["SEED=1,2"]`` as ``{"SEED": "1,2"}``: text, of these names only where any are given.

    Raises:
        Stop: something that is not ``NAME=VALUE`` with one of the names, or a name twice.
    """
    help_wanted(arguments)
    found: dict[str, str] = {}
    for argument in arguments:
        name, _, text = (part.strip() for part in argument.partition("="))
        if not text or name not in (names or [name]) or not name:
            which = f" with one of {', '.join(names)}" if names else ""
            raise Stop(f"expected NAME=VALUE{which}, got {ascii(argument)[:80]}", SETTINGS)
        if name in found:
            raise Stop(f"{name} is given twice", SETTINGS)
        found[name] = text
    return found


def spanned(found: Mapping[str, str]) -> list[tuple[str, str, int]]:
    """(data set, task, seed) of all that the lists ``DATASET``, ``TASK`` and ``SEED`` span; seeds outermost, so that what is
    there after a while is balanced.

    Raises:
        ReadingError: a seed that is no whole number, an empty item, or one twice.
    """
    seeds, datasets, tasks = (items(found[name], name) for name in ("SEED", "DATASET", "TASK"))
    return [(dataset, task, one) for one, dataset, task in product([seed(text) for text in seeds], datasets, tasks)]


@contextlib.contextmanager
def stopping(*wrong_settings: type[Exception], data: int = FAILED) -> Iterator[None]:
    """What a user can mend ends the command: settings that cannot be meant (these errors too), data that cannot be had.

    Args:
        data: exit code of the latter.
    """
    try:
        yield
    except (ConfigError, ReadingError, PlaceError, *wrong_settings) as error:  # type: ignore[misc]
        raise Stop(str(error), SETTINGS) from error
    except DataError as error:
        raise Stop(str(error), data) from error


# What a place that was named wrongly, or a disk, says; anything else is a mistake of ours and keeps its traceback.
OF_PLACES = (
    errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR,
    errno.ENAMETOOLONG, errno.ELOOP, errno.EFBIG,
)


def one_line_errors(command: Callable[[], int | None], interrupted: str, say: Callable[[str, int], None] | None = None) -> int:
    """Run a command; its exit code, 0 where it gives none. What a user can mend is said in one line instead of a traceback.

    Help is the text at the head of the command's module.

    Args:
        say: is told the line and the code too, for what a program reads.
    """
    try:
        with signals_as_interrupt(), stopping():
            return command() or 0
    except Help:
        print((sys.modules[command.__module__].__doc__ or "").strip())
        return 0
    except Stop as stop:
        message, code = str(stop), stop.code
    except KeyboardInterrupt:
        message, code = interrupted, INTERRUPTED
    except ImportError as error:
        if (line := advice(error)) is None:
            raise
        message, code = line, FAILED
    except MemoryError:
        message, code = "there is not enough memory for this", FAILED
    except OSError as error:
        if error.errno not in OF_PLACES and not (error.errno == errno.ENOENT and error.filename):
            raise
        where = f" ({error.filename})" if error.filename else ""
        message, code = f"{error.strerror}{where}", FAILED
    message = " ".join(message.split()) if code in (SETTINGS, FAILED) else message
    print(f"\nlaf: {message}" if code == INTERRUPTED else f"laf: error: {message}", file=sys.stderr)
    if say:
        say(message, code)
    return code
