"""Images as users have them, behind the interface of ``laf_utils.images.Images``: rows in, network inputs out, no label.

A *store* is anything with ``__len__``, ``read(rows)`` and ``digest(row)``; ``OwnImages`` is a view of one on a device. Stores
read what a batch asks for and nothing else, so that a set may be larger than memory.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Protocol, cast

import numpy as np
import torch
from torch.utils.data import Dataset

from .packing import Packing, as_rows
from .refusal import Refused
from .stilling import still

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
IMAGE_KEYS = ("image", "images", "pixel_values", "img", "x")  # of datasets whose items are dictionaries
TEXT_KEYS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")  # taken together, where there is no image
SHOWN = 3  # names in a message
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

    def name(self, row: int) -> str:
        """What a message calls it."""
        ...


def listed(names: Sequence[object]) -> str:
    """The first names of a list, and how many more there are."""
    shown = ", ".join(map(str, names[:SHOWN]))
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"


def digest_of(content: bytes) -> bytes:
    """16 bytes."""
    return hashlib.blake2b(content, digest_size=16).digest()


def floating(inputs: torch.Tensor, what: str) -> torch.Tensor:
    """The inputs themselves; refused where they are whole numbers, which want the model's transform."""
    if not inputs.is_floating_point():
        raise Refused("bad_images", f"{what} are {inputs.dtype}: give the model's transform (transform=...)")
    return inputs


class ArrayStore:
    """A tensor or NumPy array [N, ...] (also one mapped to a file) and, where given, the transform of a batch of it."""

    def __init__(
        self, array: torch.Tensor | np.ndarray, transform: Callable | None = None, packing: Packing | None = None
    ) -> None:
        self._array, self._transform, self.packing = array, transform, packing

    def __len__(self) -> int:
        return len(self._array)

    def _raw(self, rows: Sequence[int]) -> torch.Tensor:
        if isinstance(self._array, torch.Tensor):
            return self._array[torch.as_tensor(rows, device=self._array.device)]
        return torch.from_numpy(np.asarray(self._array[np.asarray(rows)]))

    def read(self, rows: Sequence[int]) -> torch.Tensor:
        raw = self._raw(rows)
        return floating(raw if self._transform is None else self._transform(raw), "the images")

    def digest(self, row: int) -> bytes:
        return digest_of(self._raw([row]).cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())

    def name(self, row: int) -> str:
        return f"row {row}"


def image_of(item: Any) -> Any:
    """The input of an item: the item itself, the first of a tuple, or of a dictionary its image or its token numbers.

    No label is touched.
    """
    if isinstance(item, Mapping):
        found = [key for key in IMAGE_KEYS if key in item]
        if found:
            return item[found[0]]
        text = [key for key in TEXT_KEYS if key in item]
        if not text:
            known = ", ".join((*IMAGE_KEYS, TEXT_KEYS[0]))
            raise Refused(
                "bad_images", f"the data set's items have no input under any of {known}: {sorted(item)}; give a transform that "
                "takes it out (transform=lambda item: ...)",
            )
        return {key: item[key] for key in text}
    return item[0] if isinstance(item, list | tuple) else item


def as_tensors(value: Any) -> Any:
    """Arrays as tensors, also in a dictionary."""
    if isinstance(value, Mapping):
        return {key: torch.as_tensor(part) for key, part in value.items()}
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


class DatasetStore:
    """A map-style data set whose items are (or begin with) network inputs, transformed by the user's own transforms.

    Args:
        dataset: of any items that ``image_of`` understands.
        transform: of what ``image_of`` finds in an item; of the whole item where that finds nothing.
        collate: of a loader that makes its inputs from items itself; called with a list of one.
    """

    def __init__(self, dataset: Dataset, transform: Callable | None = None, collate: Callable | None = None) -> None:
        self._dataset, self._transform, self._collate = still(dataset), transform, collate
        self.packing = self._row(0)[1] if len(cast(Sized, dataset)) else None

    def __len__(self) -> int:
        return len(self._dataset)

    def _given(self, row: int) -> Any:
        item = self._dataset[int(row)]
        if self._collate is not None:
            batch = image_of(self._collate([item]))
            return {key: part[0] for key, part in batch.items()} if isinstance(batch, Mapping) else batch[0]
        plain = self._transform is not None and isinstance(item, Mapping) and not set(item) & {*IMAGE_KEYS, *TEXT_KEYS}
        image = item if plain else image_of(item)
        return image if self._transform is None else self._transform(image)

    def _row(self, row: int) -> tuple[torch.Tensor, Packing | None]:
        image = as_tensors(self._given(row))
        if not isinstance(image, torch.Tensor | Mapping):
            kind = type(image).__name__
            raise Refused("bad_images", f"the data set's images are {kind}: give a transform to tensors (transform=...)")
        rows, packing = as_rows({key: value[None] for key, value in image.items()} if isinstance(image, Mapping) else image[None])
        return (rows[0] if packing else floating(rows[0], "the data set's images")), packing

    def _one(self, row: int) -> torch.Tensor:
        return self._row(row)[0]

    def read(self, rows: Sequence[int]) -> torch.Tensor:
        return stacked([self._one(row) for row in rows])

    def digest(self, row: int) -> bytes:
        return digest_of(self._one(row).cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())

    def name(self, row: int) -> str:
        return f"row {row}"


def stacked(images: list[torch.Tensor]) -> torch.Tensor:
    """Images of one size as a batch."""
    shapes = {tuple(image.shape) for image in images}
    if len(shapes) > 1:
        sizes = " and ".join(map(str, sorted(shapes)[:2]))
        raise Refused("bad_images", f"images of different sizes, {sizes}: give a transform that makes them equal")
    return torch.stack(images)


@dataclass(frozen=True, eq=False)
class OwnImages:
    """A view of a store on a device: an ``images.ImageView``."""

    store: Store  # where network inputs come from
    device: torch.device  # where batches go, and as which numbers
    dtype: torch.dtype  # likewise
    rows: torch.Tensor  # int64 [N] rows of the store that this view holds
    transform: ClassVar[Any] = SimpleNamespace(deterministic=True)  # the user's: the same image gives the same input
    name: str = "images"  # what messages call the set

    @property
    def packing(self) -> Packing | None:
        """How a batch's rows are cut into the model's inputs; ``None`` where they are its input."""
        return getattr(self.store, "packing", None)

    def __len__(self) -> int:
        return len(self.rows)

    def subset(self, rows: torch.Tensor) -> "OwnImages":
        """The view of some rows of this view."""
        return replace(self, rows=self.rows[rows.cpu()])

    def batch(self, rows: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Network inputs [B, ...] of some rows of this view.

        Raises:
            Refused: ``bad_images``: some are not finite; it names them.
        """
        chosen = self.rows[rows.cpu()].tolist()
        inputs = self.store.read(chosen)
        if not inputs.isfinite().all():
            broken = (~inputs.flatten(1).isfinite().all(1)).nonzero().flatten().tolist()
            names = listed([self.called(int(rows[place])) for place in broken])
            raise Refused("bad_images", f"{self.name}: {names} holds values that are not finite (NaN or infinity): take it out")
        return inputs.to(self.device, self.dtype)

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

    def called(self, row: int) -> str:
        """What a message calls an image of this view: its row as it was handed in, or the name of its file."""
        return self.store.name(int(self.rows[row]))

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
        return replace(self, store=ArrayStore(inputs, packing=self.packing), rows=torch.arange(len(inputs)))


class JoinedStore:
    """Two views one after the other."""

    def __init__(self, first: OwnImages, second: OwnImages) -> None:
        self._parts = first, second
        self.packing = first.packing

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

    def name(self, row: int) -> str:
        part, own = self._place(row)
        return f"{part.name}: {part.called(own)}"


def files_in(folder: Path) -> list[Path]:
    """The image files of a folder and its sub-folders, sorted by path."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
