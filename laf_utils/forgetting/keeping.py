"""Where arrays go that may be larger than memory: up to a bound in memory, beyond it in files mapped into the address space.

A mapped file's pages are the kernel's to drop, so that memory in use stays below the bound whatever the number of images.
"""

import math
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from .packing import as_rows
from .refusal import Refused
from .sources import ArrayStore

DEFAULT_BOUND = 1 << 30  # bytes: representations of 500,000 images of width 512


class Keeper:
    """Gives places for tensors; use it as a context manager, its files go when it closes.

    Args:
        bound: bytes that all tensors it gives may take in memory together.
        folder: where files go; the system's temporary folder by default.
    """

    def __init__(self, bound: int = DEFAULT_BOUND, folder: Path | None = None) -> None:
        self.bound, self.in_memory, self.on_disk = bound, 0, 0
        self._folder: Path | None = None
        self._parent = folder

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self) -> Path:
        if self._folder is None:
            if self._parent is not None:
                self._parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix="laf-", dir=self._parent))
        return Path(tempfile.mkstemp(dir=self._folder)[1])

    @property
    def left(self) -> int:
        """Bytes that may still lie in memory."""
        return max(0, self.bound - self.in_memory)

    def place(self, shape: tuple[int, ...]) -> torch.Tensor:
        """An empty float32 tensor on the CPU: in memory within the bound, else mapped to a file."""
        count = math.prod(shape)
        if 4 * count <= self.left:
            self.in_memory += 4 * count
            return torch.empty(shape)
        self.on_disk += 4 * count
        return torch.from_file(str(self._file()), shared=True, size=count, dtype=torch.float32).view(shape)

    def spool(self, batches: Iterator[torch.Tensor]) -> ArrayStore:
        """Inputs that can be read only once, kept in a file: the store of them.

        Raises:
            Refused: ``bad_images``: no batch at all, no floating point tensors, or batches of different image sizes.
        """
        path, shape, count, packing = self._file(), None, 0, None
        with path.open("wb") as file:
            for batch in batches:
                batch, packing = as_rows(batch)
                if not isinstance(batch, torch.Tensor) or not batch.is_floating_point():
                    raise Refused("bad_images", "the loader must give floating point tensors: network inputs")
                shape = shape or tuple(batch.shape[1:])
                if tuple(batch.shape[1:]) != shape:
                    raise Refused("bad_images", f"images of different sizes, {shape} and {tuple(batch.shape[1:])}")
                file.write(batch.detach().cpu().float().contiguous().numpy().tobytes())
                count += len(batch)
        if shape is None:
            return ArrayStore(torch.empty(0))
        size = count * math.prod(shape)
        self.on_disk += 4 * size
        kept = torch.from_file(str(path), shared=True, size=size, dtype=torch.float32).view(count, *shape)
        return ArrayStore(kept, packing=packing)
