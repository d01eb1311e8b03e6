"""Door 1: ``<name>.npz`` in the data folder, for the known sets and for anyone's own arrays."""

from pathlib import Path

import numpy as np

from laf_utils.datasets.catalogue import KEYS
from laf_utils.datasets.checks import checked_images, checked_labels
from laf_utils.datasets.errors import EXPORT, DataCorrupt, DoorClosed, corrupt, one_line
from laf_utils.datasets.sets import Arrays


def read_npz(name: str, folder: Path) -> tuple[Arrays, Path]:
    """The four arrays of ``<name>.npz`` in canonical form, and the file.

    DoorClosed if there is no such file; DataCorrupt if it is damaged, lacks a key, or holds anything but plain arrays
    of the documented types (pickled objects are never loaded).
    """
    file = folder / f"{name}.npz"
    if not file.exists():
        raise DoorClosed(f"no {name}.npz in {folder}")
    try:
        with np.load(file, allow_pickle=False) as archive:
            return _arrays(archive, file), file
    except DataCorrupt:
        raise
    except Exception as error:  # a damaged archive can fail in any way, in zipfile, zlib or numpy
        raise corrupt(file, f"cannot be read ({one_line(error)})", EXPORT) from error


def _arrays(archive: np.lib.npyio.NpzFile, file: Path) -> Arrays:
    """The four arrays, each converted as soon as it is read, so that at most one is held twice."""
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise corrupt(file, "is no .npz file but a single array", EXPORT)
    missing = [key for key in KEYS if key not in archive.files]
    if missing:
        raise corrupt(file, f"lacks {', '.join(missing)}; it holds {', '.join(archive.files) or 'nothing'}", EXPORT)
    arrays: Arrays = {}
    for part in ("train", "test"):
        images = checked_images(archive[f"{part}_images"], f"{part}_images", file)
        arrays[f"{part}_images"] = images
        arrays[f"{part}_labels"] = checked_labels(archive[f"{part}_labels"], f"{part}_labels", len(images), file)
    return arrays
