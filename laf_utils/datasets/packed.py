"""A data set as a few small files for a machine that can fetch nothing: mosaics in lossless WebP, in parts of any size.

A part is a zip file of mosaics of 1,024 images and ``about.json``; the first one has the labels too. What is unpacked has the
checksum of what was packed, so that keys of records are the same.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .errors import DataUnavailable, corrupt
from .loading import load
from .sets import Dataset

SIDE = 32  # images in a row and in a column of a mosaic
TILE = SIDE * SIDE


def pack(name: str, folder: Path, parts: int) -> list[Path]:
    """Write ``NAME-1.zip`` to ``NAME-PARTS.zip`` into a folder; the files, largest images first.

    Raises:
        DataError: the set cannot be had.
        ValueError: images that are not square with one or three channels.
    """
    data = load(name)
    images = torch.cat([data.train.images, data.test.images]).permute(0, 2, 3, 1).numpy()
    labels = torch.cat([data.train.labels, data.test.labels]).numpy()
    about = {
        "name": name, "parts": parts, "checksum": data.checksum, "train": len(data.train.labels), "shape": list(images.shape),
        "mosaics": -(-len(images) // TILE),
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for part, numbers in enumerate(np.array_split(np.arange(about["mosaics"]), parts), start=1):
        path = folder / f"{name}-{part}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("about.json", json.dumps(about | {"part": part}))
            if part == 1:
                archive.writestr("labels", labels.astype("<i8").tobytes(), zipfile.ZIP_DEFLATED)
            for number in numbers:
                archive.writestr(f"{number:04}.webp", _mosaic(images[number * TILE : (number + 1) * TILE]))
        written.append(path)
    return written


def _mosaic(images: np.ndarray) -> bytes:
    """Images [n, H, W, C] as one picture; rows that lack images are black."""
    _, height, width, channels = images.shape
    whole = np.zeros((-(-len(images) // SIDE) * SIDE, height, width, channels), np.uint8)
    whole[: len(images)] = images
    picture = whole.reshape(-1, SIDE, height, width, channels).swapaxes(1, 2).reshape(-1, SIDE * width, channels)
    file = io.BytesIO()
    Image.fromarray(np.broadcast_to(picture, (*picture.shape[:2], 3))).save(file, "WEBP", lossless=True, quality=75, method=4)
    return file.getvalue()


def unpack(files: Sequence[Path], folder: Path) -> list[Dataset]:
    """Write ``NAME.npz`` into a folder for every set whose parts are all among the files.

    Raises:
        DataUnavailable: a part is missing.
        DataCorrupt: what comes out is not what was packed.
    """
    sets: dict[str, dict[int, Path]] = {}
    about: dict[str, dict] = {}
    for path in files:
        with zipfile.ZipFile(path) as archive:
            own = json.loads(archive.read("about.json"))
        about[own["name"]] = own
        sets.setdefault(own["name"], {})[own["part"]] = path
    return [_unpacked(about[name], parts, folder) for name, parts in sets.items()]


def _unpacked(about: dict, parts: dict[int, Path], folder: Path) -> Dataset:
    name, count, (_, height, width, channels) = about["name"], about["shape"][0], about["shape"]
    if lacking := set(range(1, about["parts"] + 1)) - parts.keys():
        raise DataUnavailable(f"{name}: of {about['parts']} parts, {', '.join(map(str, sorted(lacking)))} is not here")
    images, labels = np.empty(about["shape"], np.uint8), np.empty(0)
    for path in parts.values():
        with zipfile.ZipFile(path) as archive:
            for inner in archive.namelist():
                if inner == "labels":
                    labels = np.frombuffer(archive.read(inner), "<i8")
                elif inner.endswith(".webp"):
                    start = int(inner[:4]) * TILE
                    picture = np.asarray(Image.open(io.BytesIO(archive.read(inner))).convert("RGB"))[..., :channels]
                    rows = picture.reshape(-1, height, SIDE, width, channels).swapaxes(1, 2)
                    images[start : start + TILE] = rows.reshape(-1, height, width, channels)[: count - start]
    train, file = about["train"], folder / f"{name}.npz"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        file, train_images=images[:train], train_labels=labels[:train], test_images=images[train:], test_labels=labels[train:]
    )
    found = load(name, folder=folder, download=False)
    if found.checksum != about["checksum"]:
        raise corrupt(file, f"is not what was packed (checksum {found.checksum[:12]})", "pack it again")
    return found
