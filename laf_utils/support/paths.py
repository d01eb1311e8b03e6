"""Where files live. Every place is absolute and overridable by an environment variable.

Notebooks run in different working folders (papermill: the caller's; JupyterLab and nbval: the notebook's own), so nothing
in this project uses a path relative to the working folder.

In a checkout everything lies below it. Where the package was installed from a wheel, images and runs lie in the user's cache,
never beside installed packages; records and notebooks are not there, and who needs them is told so.
"""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

NAME = "laf-utils"  # of the distribution


def _checkout(above: Path) -> Path | None:
    """The folder above the package, where it is this project's: its pyproject.toml has this project's name."""
    try:
        text = (above / "pyproject.toml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return above if re.search(rf'^name = "{NAME}"$', text, re.MULTILINE) else None


def _cache() -> Path:
    """Where this platform keeps what programs can fetch or compute again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / NAME
    given = os.environ.get("XDG_CACHE_HOME", "")  # a relative one is to be ignored (XDG base directory specification)
    return (Path(given) if given.startswith("/") else Path.home() / ".cache") / NAME


CHECKOUT = _checkout(Path(__file__).resolve().parents[2])
ROOT = CHECKOUT or _cache()


class PlaceError(ValueError):
    """A place that cannot be used: it names no folder, or nothing can be written there. The message is one line."""


def need_checkout(what: str) -> Path:
    """The checkout.

    Args:
        what: needs it: begins the message.

    Raises:
        PlaceError: the package was installed without it.
    """
    if CHECKOUT is None:
        raise PlaceError(f"{what} lies in the project's repository, not in the installed package: clone it and pip install -e .")
    return CHECKOUT


def _place(variable: str, name: str, *, committed: bool = False) -> Path:
    """The folder that a variable names, else the one of that name below ``ROOT``, where committed files need a checkout."""
    value = os.environ.get(variable)
    if value:
        return resolved(value, variable)
    return (need_checkout(f"{name}/ ({variable})") if committed else ROOT) / name


def resolved(value: str | Path, name: str) -> Path:
    """The absolute path that a text names; a folder or nothing yet.

    Raises:
        PlaceError: no such user, a name that no file can have, or a file where a folder should be.
    """
    try:
        path = Path(value).expanduser().resolve()
        in_the_way = not next(place for place in (path, *path.parents) if place.exists()).is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        raise PlaceError(f"{name}={_short(value)} names no folder ({_told(error)})") from error
    if in_the_way:
        raise PlaceError(f"{name}={_short(value)} names no folder (there is something else of that name)")
    return path


def _told(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).split("\n")[0][:200]


def _short(value: str | Path) -> str:
    text = ascii(str(value))[1:-1]
    return text if len(text) <= 80 else f"{text[:77]}..."


def check_writable(folder: Path, name: str) -> Path:
    """The folder, after a file was written there and taken away again; folders made for that are taken away too.

    A try is the only proof: permissions say nothing of ``/proc``, of a full disk or of one mounted read-only.

    Raises:
        PlaceError: it is no folder, or nothing can be written there.
    """
    folder = resolved(folder, name)
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        raise PlaceError(f"{name}={_short(folder)} cannot be written to ({_told(error)})") from error
    finally:
        for place in made:
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()
    return folder


def check_file_writable(file: Path, name: str) -> Path:
    """The file, a plain one or none yet, whose folder passes ``check_writable``.

    Raises:
        PlaceError: a folder, a device or a pipe; or it cannot be written to.
    """
    try:
        path = Path(file).expanduser().resolve()
        there = path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise PlaceError(f"{name}={_short(file)} names no file ({_told(error)})") from error
    if there and not path.is_file():
        raise PlaceError(f"{name}={_short(file)} is no plain file")
    check_writable(path.parent, name)
    if there and not os.access(path, os.W_OK):
        raise PlaceError(f"{name}={_short(file)} cannot be written to")
    return path


def check_places(records: str = "LAF_RESULTS") -> None:
    """Whether records can be written where this variable says, and runs; raises as ``check_writable``."""
    check_writable(training_folder() if records == "LAF_TRAINING" else results_folder(), records)
    check_writable(runs_folder(), "LAF_RUNS")


def plain_bytes(path: Path, most: int) -> bytes:
    """The content of a file that was handed in; of anything but a plain file within a size ``OSError``, which says why."""
    if not path.is_file():
        raise OSError("it is no plain file" if path.exists() else "there is no such file")
    if path.stat().st_size > most:
        raise OSError(f"larger than {most >> 20:,} MB")
    return path.read_bytes()


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write that becomes ``path`` at the end: readers see the old one or the new one, never a half."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def data_folder() -> Path:
    """The images (``LAF_DATA``, default ``data/``)."""
    return _place("LAF_DATA", "data")


def runs_folder() -> Path:
    """What runs produce: records, executed notebooks, weights (``LAF_RUNS``, default ``runs/``, outside git)."""
    return _place("LAF_RUNS", "runs")


def training_folder() -> Path:
    """The committed records of training (``LAF_TRAINING``, default ``Training/``)."""
    return _place("LAF_TRAINING", "Training", committed=True)


def results_folder() -> Path:
    """The committed records of comparisons and tuning (``LAF_RESULTS``, default ``results/``)."""
    return _place("LAF_RESULTS", "results", committed=True)


def notebooks_folder() -> Path:
    """The notebooks (``LAF_NOTEBOOKS``, default ``notebooks/``)."""
    return _place("LAF_NOTEBOOKS", "notebooks", committed=True)
