"""Doors 2 and 3 for MNIST and Fashion-MNIST: IDX files, plain or compressed, as torchvision and Debian place them."""

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import cast

import numpy as np

from laf_utils.datasets import catalogue
from laf_utils.datasets.catalogue import FACTS, IDX_FILES
from laf_utils.datasets.errors import DELETE, DoorClosed, corrupt, one_line, reading
from laf_utils.datasets.sets import Arrays


def missing_idx(folder: Path) -> list[str]:
    """Names of the four files that are in ``folder`` neither plain nor as .gz."""
    return [stem for stem in IDX_FILES.values() if _present(folder, stem) is None]


def read_raw(name: str, folder: Path) -> tuple[Arrays, Path]:
    """The arrays from torchvision's raw folder, and that folder. DoorClosed if incomplete, DataCorrupt if wrong."""
    return _read(name, folder / FACTS[name].folder, DELETE)


def read_debian(name: str, folder: Path) -> tuple[Arrays, Path]:
    """The arrays of Debian's installed package; ``folder`` (the data folder) is not looked at."""
    remedy = f"reinstall the package {catalogue.APT_PACKAGE}"
    return _read(name, catalogue.DEBIAN_FOLDER, remedy)


def content_checksum(file: Path) -> str:
    """md5 (hex) of a file's content, decompressed if it is a .gz; DoorClosed if that cannot be read."""
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except (OSError, EOFError, zlib.error) as error:
        raise DoorClosed(f"{file.name} cannot be read ({one_line(error)})") from error


def _present(folder: Path, stem: str) -> Path | None:
    return next((file for file in (folder / stem, folder / f"{stem}.gz") if file.exists()), None)


def _read(name: str, folder: Path, remedy: str) -> tuple[Arrays, Path]:
    missing = missing_idx(folder)
    if missing:
        raise DoorClosed(f"{folder} lacks {', '.join(missing)} (plain or .gz)")
    facts = FACTS[name]
    arrays: Arrays = {}
    for key, stem in IDX_FILES.items():
        count = facts.counts[0] if key.startswith("train") else facts.counts[1]
        shape = (count, *facts.shape) if key.endswith("images") else (count,)
        file = cast(Path, _present(folder, stem))  # none is missing
        with reading(file, remedy):
            array = _read_idx(file, shape, facts.files[stem], remedy)
        arrays[key] = array if key.endswith("images") else array.astype(np.int64)
    return arrays, folder


def _read_idx(file: Path, shape: tuple[int, ...], md5: str, remedy: str) -> np.ndarray:
    """uint8 array of ``shape`` ([N,1,H,W] or [N]) from one IDX file whose content has the checksum ``md5``."""
    stored = shape if len(shape) == 1 else (shape[0], *shape[2:])  # IDX has no channel axis
    # Magic number: 0, 0, 8 for unsigned bytes, the number of axes; then each axis as four bytes, high byte first.
    expected = bytes((0, 0, 8, len(stored))) + b"".join(size.to_bytes(4, "big") for size in stored)
    data = np.empty(shape, dtype=np.uint8)
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
        header = stream.read(len(expected))
        if header[:4] != expected[:4]:
            raise corrupt(file, f"starts with {header[:4].hex() or 'nothing'}, not {expected[:4].hex()}", remedy)
        if header != expected:
            raise corrupt(file, f"its header does not announce {list(stored)}", remedy)
        room = memoryview(data.reshape(-1))  # type: ignore[arg-type]
        while room and (got := stream.readinto(room)):
            room = room[got:]
        if room or stream.read(1):
            amount = "less" if room else "more"
            raise corrupt(file, f"holds {amount} data than the {data.size} bytes it announces", remedy)
    digest = hashlib.md5(header, usedforsecurity=False)
    digest.update(data.reshape(-1))  # type: ignore[arg-type]
    if digest.hexdigest() != md5:
        raise corrupt(file, f"content has the checksum {digest.hexdigest()}, not {md5}", remedy)
    return data
