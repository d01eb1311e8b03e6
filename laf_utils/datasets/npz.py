"""Door 1: ``<name>.npz`` in the data folder, for the known sets and for anyone's own arrays."""

import math
from pathlib import Path

import numpy as np

from laf_utils.datasets.catalogue import KEYS
from laf_utils.datasets.checks import checked_images, checked_labels
from laf_utils.datasets.errors import EXPORT, DoorClosed, corrupt, reading
from laf_utils.datasets.sets import Arrays

MOST_BYTES = 4 << 30  # of the four arrays once they are unpacked: 23 times CIFAR-10
READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npz(name: str, folder: Path) -> tuple[Arrays, Path]:
    """The four arrays of ``<name>.npz`` in canonical form, and the file.

    DoorClosed if there is no such file; DataCorrupt if it is damaged, lacks a key, or holds anything but plain arrays
    of the documented types (pickled objects are never loaded).
    """
    file = folder / f"{name}.npz"
    if not file.exists():
        raise DoorClosed(f"no {name}.npz in {folder}")
    with reading(file, EXPORT), np.load(file, allow_pickle=False) as archive:
        return _arrays(archive, file), file


def _header(archive: np.lib.npyio.NpzFile, key: str, file: Path) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype that an array announces, from its first bytes; DataCorrupt unless its member has as many bytes."""
    assert archive.zip is not None  # open
    name = f"{key}.npy" if f"{key}.npy" in archive.zip.namelist() else key
    with archive.zip.open(name) as member:
        version = np.lib.format.read_magic(member)
        if version not in READERS:
            raise corrupt(file, f"{key} is of a format {version} of NumPy's that is not known", EXPORT)
        shape, _, dtype = READERS[version](member)
        announced, there = math.prod(shape) * dtype.itemsize, archive.zip.getinfo(name).file_size - member.tell()
    if dtype.hasobject:
        raise corrupt(file, f"cannot be read ({key} holds pickled objects, which are never loaded)", EXPORT)
    if announced != there:
        raise corrupt(file, f"{key} announces {announced:,} bytes and has {there:,}", EXPORT)
    return shape, dtype


def _check_headers(archive: np.lib.npyio.NpzFile, file: Path) -> None:
    """Refuse what is too large or cannot fit together while nothing but a few bytes was unpacked."""
    headers = {key: _header(archive, key, file) for key in KEYS}
    total = sum(math.prod(shape) * dtype.itemsize for shape, dtype in headers.values())
    if total > MOST_BYTES:
        raise corrupt(file, f"unpacks to {total / 2**30:,.1f} GB, the most is {MOST_BYTES >> 30}", "take fewer images")
    for part in ("train", "test"):
        (images, kind), (labels, _) = headers[f"{part}_images"], headers[f"{part}_labels"]
        if kind == np.uint8 and len(images) in (3, 4) and len(labels) == 1 and images[0] != labels[0]:
            raise corrupt(file, f"{part}_labels has {labels[0]} labels for {images[0]} images", EXPORT)


def _arrays(archive: np.lib.npyio.NpzFile, file: Path) -> Arrays:
    """The four arrays, each converted as soon as it is read, so that at most one is held twice."""
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise corrupt(file, "is no .npz file but a single array", EXPORT)
    missing = [key for key in KEYS if key not in archive.files]
    if missing:
        raise corrupt(file, f"lacks {', '.join(missing)}; it holds {', '.join(archive.files) or 'nothing'}", EXPORT)
    _check_headers(archive, file)
    arrays: Arrays = {}
    for part in ("train", "test"):
        images = checked_images(archive[f"{part}_images"], f"{part}_images", file)
        arrays[f"{part}_images"] = images
        arrays[f"{part}_labels"] = checked_labels(archive[f"{part}_labels"], f"{part}_labels", len(images), file)
    return arrays
