"""Images as users have them, behind the interface of ``laf_utils.images.Images``: rows in, network inputs out, no label.

A *store* is anything with ``__len__``, ``read(rows)`` and ``digest(row)``; ``OwnImages`` is a view of one on a device. Stores
read what a batch asks for and nothing else, so that a set may be larger than memory.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, SequentialSampler, Subset, SubsetRandomSampler

from .refusal import Refused

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
IMAGE_KEYS = ("image", "images", "pixel_values", "img", "x")  # of datasets whose items are dictionaries
PASS_BYTES = 64 << 20  # of inputs in one batch of a frozen pass: 500 images of 3x100x100, 100 of 3x224x224


class Store(Protocol):
    """Network inputs by row."""

    def __len__(self) -> int: ...

    def read(self, rows: Sequence[int]) -> torch.Tensor:
        """Network inputs [n, ...], floating point."""
        ...

    def digest(self, row: int) -> bytes:
        """16 bytes that are equal for equal images of stores of one kind."""
        ...


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _floating(inputs: torch.Tensor, what: str) -> torch.Tensor:
    if not inputs.is_floating_point():
        raise Refused("bad_images", f"{what} are {inputs.dtype}: give the model's transform (transform=...)")
    return inputs


class ArrayStore:
    """A tensor or NumPy array [N, ...] (also one mapped to a file) and, where given, the transform of a batch of it."""

    def __init__(self, array: torch.Tensor | np.ndarray, transform: Callable | None = None) -> None:
        self._array, self._transform = array, transform

    def __len__(self) -> int:
        return len(self._array)

    def _raw(self, rows: Sequence[int]) -> torch.Tensor:
        if isinstance(self._array, torch.Tensor):
            return self._array[torch.as_tensor(rows, device=self._array.device)]
        return torch.from_numpy(np.asarray(self._array[np.asarray(rows)]))

    def read(self, rows: Sequence[int]) -> torch.Tensor:
        raw = self._raw(rows)
        return _floating(raw if self._transform is None else self._transform(raw), "the images")

    def digest(self, row: int) -> bytes:
        return _digest(self._raw([row]).cpu().contiguous().view(torch.uint8).numpy().tobytes())


def image_of(item: Any) -> Any:
    """The image of an item: the item itself, the first of a tuple, or the entry of a dictionary. No label is touched."""
    if isinstance(item, dict):
        found = [key for key in IMAGE_KEYS if key in item]
        if not found:
            known = ", ".join(IMAGE_KEYS)
            raise Refused("bad_images", f"the data set's items have no image under any of {known}: {sorted(item)}")
        return item[found[0]]
    return item[0] if isinstance(item, list | tuple) else item


class DatasetStore:
    """A map-style data set whose items are (or begin with) network inputs, transformed by the user's own transforms."""

    def __init__(self, dataset: Dataset, transform: Callable | None = None) -> None:
        self._dataset, self._transform = dataset, transform

    def __len__(self) -> int:
        return len(self._dataset)

    def _one(self, row: int) -> torch.Tensor:
        image = image_of(self._dataset[int(row)])
        image = image if self._transform is None else self._transform(image)
        if isinstance(image, np.ndarray):
            image = torch.from_numpy(image)
        if not isinstance(image, torch.Tensor):
            kind = type(image).__name__
            raise Refused("bad_images", f"the data set's images are {kind}: give a transform to tensors (transform=...)")
        return _floating(image, "the data set's images")

    def read(self, rows: Sequence[int]) -> torch.Tensor:
        return _stacked([self._one(row) for row in rows])

    def digest(self, row: int) -> bytes:
        return _digest(self._one(row).cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())


class FileStore:
    """Image files, read when they are asked for.

    Args:
        files: paths.
        transform: of one RGB PIL image; ``None``: pixels scaled to [0, 1], which only works where all have one size.
    """

    def __init__(self, files: Sequence[Path], transform: Callable | None = None) -> None:
        self.files, self._transform = list(files), transform

    def __len__(self) -> int:
        return len(self.files)

    def _one(self, row: int) -> torch.Tensor:
        path = self.files[int(row)]
        try:
            with Image.open(path) as file:
                image = file.convert("RGB")
        except Exception as error:  # a broken file fails in any way, a decompression bomb in one of its own
            raise Refused("bad_images", f"{path.name} cannot be read as an image: {error}") from error
        if self._transform is not None:
            return self._transform(image)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(255)

    def read(self, rows: Sequence[int]) -> torch.Tensor:
        return _stacked([self._one(row) for row in rows])

    def digest(self, row: int) -> bytes:
        return _digest(self.files[int(row)].read_bytes())


def _stacked(images: list[torch.Tensor]) -> torch.Tensor:
    shapes = {tuple(image.shape) for image in images}
    if len(shapes) > 1:
        sizes = " and ".join(map(str, sorted(shapes)[:2]))
        raise Refused("bad_images", f"images of different sizes, {sizes}: give a transform that makes them equal")
    return torch.stack(images)


@dataclass(frozen=True)
class _Still:
    """What ``Images.transform`` says of images whose transforms are the user's: the same image, the same input."""

    deterministic: bool = True


@dataclass(frozen=True, eq=False)
class OwnImages:
    """A view of a store on a device: the interface of ``Images``.

    Args:
        store: of network inputs.
        device, dtype: of the batches.
        rows: int64 [N] rows of the store that this view holds.
    """

    store: Store
    device: torch.device
    dtype: torch.dtype
    rows: torch.Tensor
    transform: _Still = _Still()

    def __len__(self) -> int:
        return len(self.rows)

    def subset(self, rows: torch.Tensor) -> "OwnImages":
        """The view of some rows of this view."""
        return replace(self, rows=self.rows[rows.cpu()])

    def batch(self, rows: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Network inputs [B, ...] of some rows of this view."""
        return self.store.read(self.rows[rows.cpu()].tolist()).to(self.device, self.dtype)

    def for_evaluation(self) -> "OwnImages":
        """Itself: the transforms are the user's, and the same for every pass."""
        return self

    def in_order(self, batch_size: int, generator: torch.Generator | None = None) -> Iterator[torch.Tensor]:
        """Network inputs of all rows, in order, in batches that never exceed ``PASS_BYTES``."""
        size = max(1, min(batch_size, PASS_BYTES // max(1, self.image_bytes)))
        for rows in torch.arange(len(self)).split(size):
            yield self.batch(rows)

    @property
    def image_bytes(self) -> int:
        """Bytes of one network input."""
        one = self.store.read(self.rows[:1].tolist())
        return one[0].numel() * self.dtype.itemsize if len(one) else 0

    def digests(self, rows: torch.Tensor | None = None) -> list[bytes]:
        """16 bytes for each image, equal for equal images."""
        return [self.store.digest(row) for row in (self.rows if rows is None else self.rows[rows]).tolist()]

    def same_set(self, other: "OwnImages") -> bool:
        """Whether both views lie in one store."""
        return self.store is other.store

    def joined(self, other: "OwnImages") -> "OwnImages":
        """Both views as one, this one first."""
        if self.same_set(other):
            return replace(self, rows=torch.cat([self.rows, other.rows]))
        return replace(self, store=JoinedStore(self, other), rows=torch.arange(len(self) + len(other)))

    def held(self, most: int) -> "OwnImages":
        """The same images in memory where they take at most ``most`` bytes, so that each file is read once; else itself."""
        if isinstance(self.store, ArrayStore) or not len(self) or len(self) * self.image_bytes > most:
            return self
        inputs = torch.cat([x.cpu() for x in self.in_order(100)])
        return replace(self, store=ArrayStore(inputs), rows=torch.arange(len(inputs)))


class JoinedStore:
    """Two views one after the other."""

    def __init__(self, first: OwnImages, second: OwnImages) -> None:
        self._parts = first, second

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def _place(self, row: int) -> tuple[OwnImages, int]:
        first, second = self._parts
        return (first, row) if row < len(first) else (second, row - len(first))

    def read(self, rows: Sequence[int]) -> torch.Tensor:
        return torch.cat([part.batch(torch.tensor([row])) for part, row in map(self._place, rows)]).cpu()

    def digest(self, row: int) -> bytes:
        part, own = self._place(row)
        return part.digests(torch.tensor([own]))[0]


def files_in(folder: Path) -> list[Path]:
    """The image files of a folder and its sub-folders, sorted by path."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def _of_loader(loader: DataLoader, transform: Callable | None, spool: Callable[[Iterator], Store]) -> Store:
    """The loader's data set, in the data set's own order; what only the loader knows is read through it, once."""
    sampler = loader.sampler
    if isinstance(loader.dataset, IterableDataset) or not hasattr(loader.dataset, "__getitem__"):
        return spool(image_of(batch) for batch in loader)
    if isinstance(sampler, SubsetRandomSampler):
        return DatasetStore(Subset(loader.dataset, list(sampler.indices)), transform)
    if isinstance(sampler, SequentialSampler | RandomSampler):
        return DatasetStore(loader.dataset, transform)
    return spool(image_of(batch) for batch in loader)


def store_of(given: Any, transform: Callable | None, spool: Callable[[Iterator], Store]) -> Store:
    """The store of whatever a user hands in.

    Args:
        given: a tensor or array of network inputs [N, ...], a data set, a ``DataLoader``, a folder of images, a list of files.
        transform: the user's own, where ``given`` has none: of a batch for tensors and arrays, of one image otherwise.
        spool: writes batches of inputs that can be read only once to a file, and gives the store of it.

    Raises:
        Refused: ``bad_images``.
    """
    if isinstance(given, torch.Tensor | np.ndarray):
        return ArrayStore(given, transform)
    if isinstance(given, DataLoader):
        return _of_loader(given, transform, spool)
    if isinstance(given, str | Path):
        folder = Path(given)
        if not folder.is_dir():
            raise Refused("bad_images", f"there is no folder {folder}")
        return FileStore(files_in(folder), transform)
    if isinstance(given, IterableDataset):
        return spool(image_of(item)[None] for item in given)
    if isinstance(given, list | tuple) and all(isinstance(item, str | Path) for item in given):
        return FileStore([Path(item) for item in given], transform)
    if hasattr(given, "__getitem__") and hasattr(given, "__len__"):
        return DatasetStore(given, transform)
    raise Refused(
        "bad_images", f"images cannot be read from {type(given).__name__}: give a tensor, an array, a data set, a DataLoader, a "
        "folder or a list of files",
    )
