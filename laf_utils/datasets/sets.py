"""What a caller gets: images and labels as tensors, and where they came from."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from laf_utils.datasets.catalogue import KEYS

Arrays = dict[str, np.ndarray]  # the four KEYS: images uint8 [N,C,H,W], labels int64 [N]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """``images`` uint8 [N,C,H,W] with values 0..255, ``labels`` int64 [N] with values 0..K-1."""

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """One set with its split, checked.

    ``requested`` is the name that was asked for; it differs from ``name`` only for a fallback. ``source`` is the door
    that gave the data. ``checksum`` is the sha256 (hex) of the four arrays, the same through every door. ``notes`` are
    remarks that belong beside any number computed on this set.
    """

    name: str
    requested: str
    train: ImageSet
    test: ImageSet
    class_names: tuple[str, ...]
    source: str
    checksum: str
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def channels(self) -> int:
        return self.train.images.shape[1]

    @property
    def size(self) -> int:
        """Height and width of an image, which are equal."""
        return self.train.images.shape[2]

    @property
    def is_fallback(self) -> bool:
        return self.name != self.requested


def fingerprint(arrays: Mapping[str, np.ndarray]) -> str:
    """sha256 (hex) over name, dtype, shape and bytes of the four arrays, which must be C-contiguous."""
    digest = hashlib.sha256()
    for key in KEYS:
        array = arrays[key]
        digest.update(f"{key} {array.dtype.name} {tuple(array.shape)}\n".encode())
        # Bytes in little-endian order, so that the number does not depend on the machine.
        digest.update(np.asarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    return digest.hexdigest()
