"""Door 2 for CIFAR-10: the original pickles, read only after their checksum matched, and letting in only arrays."""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from laf_utils.datasets.catalogue import CIFAR_ARCHIVE, CIFAR_TEST, CIFAR_TRAIN, FACTS
from laf_utils.datasets.errors import DoorClosed, corrupt, reading
from laf_utils.datasets.sets import Arrays
from laf_utils.datasets.transfer import content_md5

# All that CIFAR-10's files refer to (they were written by Python 2 and an early numpy; the function has moved since).
_RECONSTRUCT = np.empty(0).__reduce__()[0]
ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _Restricted(pickle.Unpickler):
    """Loads dictionaries, lists, numbers, text and numpy arrays; anything else is an UnpicklingError."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in an image file") from None


def read_cifar(name: str, folder: Path) -> tuple[Arrays, Path]:
    """The arrays from ``cifar-10-batches-py/`` or else the archive, and the place read.

    DoorClosed if neither is complete; DataCorrupt if a checksum is wrong or a batch is not what it should be.
    """
    batches = folder / FACTS[name].folder
    archive = folder / CIFAR_ARCHIVE
    missing = [file for file in (*CIFAR_TRAIN, CIFAR_TEST) if not (batches / file).exists()]
    if not missing:
        return _collect(name, lambda file: ((batches / file).read_bytes(), batches / file)), batches
    if archive.exists():
        return _read_archive(name, archive), archive
    raise DoorClosed(f"{batches} lacks {', '.join(missing)}, and there is no {CIFAR_ARCHIVE}")


def _read_archive(name: str, archive: Path) -> Arrays:
    with reading(archive):
        found = content_md5(archive)
        if found != FACTS[name].downloads[CIFAR_ARCHIVE]:
            raise corrupt(archive, f"has the checksum {found}, not {FACTS[name].downloads[CIFAR_ARCHIVE]}")
        wanted = {f"{FACTS[name].folder}/{file}": file for file in (*CIFAR_TRAIN, CIFAR_TEST)}
        contents: dict[str, bytes] = {}
        # One pass from start to end: going back in a compressed archive means starting over.
        with tarfile.open(archive, "r|gz") as members:
            for member in members:
                if member.name in wanted and member.isfile():
                    contents[wanted[member.name]] = cast(IO[bytes], members.extractfile(member)).read()  # a plain file has one
        return _collect(name, lambda file: (contents.pop(file), archive))


def _collect(name: str, read: Callable[[str], tuple[bytes, Path]]) -> Arrays:
    """Fill the four arrays batch by batch; ``read`` gives a batch's bytes and the file to blame."""
    (train, test), shape, arrays = FACTS[name].counts, FACTS[name].shape, Arrays()
    for part, count in (("train", train), ("test", test)):
        arrays |= {f"{part}_images": np.empty((count, *shape), np.uint8), f"{part}_labels": np.empty(count, np.int64)}
    step = train // len(CIFAR_TRAIN)
    places = [("train", file, index * step, step) for index, file in enumerate(CIFAR_TRAIN)]
    for part, batch, start, count in [*places, ("test", CIFAR_TEST, 0, test)]:
        images, labels = _read_batch(name, batch, count, read)
        arrays[f"{part}_images"][start : start + count] = images.reshape(count, *shape)
        arrays[f"{part}_labels"][start : start + count] = labels
    return arrays


def _read_batch(name: str, batch: str, count: int, read: Callable[[str], tuple[bytes, Path]]) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [count, C*H*W] and labels int64 [count] of one pickle, after its checksum."""
    with reading(Path(batch)):
        content, file = read(batch)
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != FACTS[name].files[batch]:
        raise corrupt(file, f"{batch} has the checksum {found}, not {FACTS[name].files[batch]}")
    with reading(file, problem=f"{batch} is no batch of images"):
        entry = _Restricted(io.BytesIO(content), encoding="latin1").load()
        images, labels = np.asarray(entry["data"]), np.asarray(entry["labels"])
    width = int(np.prod(FACTS[name].shape))
    if images.dtype != np.uint8 or images.shape != (count, width) or labels.shape != (count,):
        raise corrupt(file, f"{batch} holds {images.dtype} {images.shape}, not uint8 ({count}, {width})")
    return images, labels
