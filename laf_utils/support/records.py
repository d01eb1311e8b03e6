"""One JSON per run: what was asked, what came out, on what and how long it took. Written atomically, read with checks."""

import json
import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__
from . import sealing
from .paths import CHECKOUT, NAME, whole_file
from .sealing import SealError, sealed

SCHEMA = 1
REQUIRED = ("schema", "config", "dataset", "task", "metrics", "losses", "seconds", "versions", "machine")
PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "xgboost", "safetensors")


MOST_BYTES = 256 << 20  # of a file that is read as a record


class RecordError(ValueError):
    """A file that is not a record of this project."""


def write_json(path: Path, value: dict) -> Path:
    """Write under a temporary name and rename: readers see the old file or the new one, never a half. Records are sealed."""
    value = sealed(value) if "schema" in value else value
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, sort_keys=True, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    return path


def read(path: Path) -> dict:
    """A record of a run.

    Raises:
        RecordError: the file is missing, is no JSON, lacks a part, or was written by a newer schema.
    """
    return checked_run(path, read_parts(path, REQUIRED, SCHEMA))


def checked_run(path: Path, record: dict) -> dict:
    """The record of a run, after a check of its types and numbers; raises as ``read``."""
    return checked(path, lambda: _check_run(record), record)


def _check_run(record: dict) -> None:
    """The types of a run's parts, and its numbers."""
    for part in REQUIRED[1:]:
        if not isinstance(record[part], dict):
            raise SealError(f"its {part} is no table of names and values")
    sealing.check_percent(record["metrics"], "metrics")
    sealing.check_not_negative(record["seconds"], "seconds")


def checked(path: Path, check: Callable[[], None], record: dict) -> dict:
    """The record, after a check of its content.

    Raises:
        RecordError: what the check raised as ``SealError``, or because a part is of another kind, with the file's name.
    """
    try:
        check()
    except SealError as error:
        raise RecordError(f"{path}: {error}") from error
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        said = f"lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:200]
        raise RecordError(f"{path}: not a record of its kind ({said})") from error
    return record


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _parsed(path: Path) -> Any:
    """The JSON of a file."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"larger than {MOST_BYTES >> 20} MB")
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except RecursionError as error:
        raise RecordError(f"{path}: cannot be read as a record (nested too deep)") from error
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: cannot be read as a record ({error})") from error


def read_parts(path: Path, required: Sequence[str], schema: int) -> dict:
    """A record of any kind: JSON with these parts, of this schema or an older one.

    Raises:
        RecordError: as ``read``, or it was changed since it was sealed.
    """
    record = _parsed(Path(path))
    missing = [part for part in required if not isinstance(record, dict) or part not in record]
    if missing:
        raise RecordError(f"{path}: not a complete record, it lacks {', '.join(missing)}")
    if type(record["schema"]) is not int or record["schema"] < 0:
        raise RecordError(f"{path}: its schema {ascii(record['schema'])[:40]} is no number")
    if record["schema"] > schema:
        raise RecordError(f"{path}: written by a newer version (schema {record['schema']}, this is {schema})")
    try:
        return sealing.check(record)
    except SealError as error:
        raise RecordError(f"{path}: {error}") from error


def read_all(folder: Path) -> list[dict]:
    """Every record below a folder, in order of file name; other JSON files are an error, not skipped."""
    return [read(path) for path in sorted(folder.rglob("*.json"))]


def versions(*more: str) -> dict[str, str]:
    """Versions of Python, this package (``laf-book`` in records of before it was renamed), what its numbers rest on, and more."""
    found = {"python": platform.python_version(), NAME: __version__}
    for name in (*PACKAGES, *more):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def commit() -> str:
    """The commit of this checkout, with ``-dirty`` where tracked files differ, or ``unknown`` outside git."""
    if CHECKOUT is None:  # git would answer for whatever repository is around the installed package
        return "unknown"
    try:
        command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


def now() -> str:
    """The current time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
