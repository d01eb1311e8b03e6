"""From what a user hands in to a store of network inputs: arrays, dictionaries, data sets, loaders, streams, folders, lists."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils import data

from .packing import as_rows
from .pictures import FileStore
from .refusal import Refused
from .sources import ArrayStore, DatasetStore, Store, as_tensors, files_in, image_of


def _inputs(batch: Any, transform: Callable | None) -> Any:
    found = image_of(batch)
    return found if transform is None else transform(found)


def _of_loader(loader: data.DataLoader, transform: Callable | None, spool: Callable[[Iterator], Store]) -> Store:
    """The loader's data set, in the data set's own order; what only the loader knows is read through it, once."""
    sampler, dataset = loader.sampler, loader.dataset
    plain = loader.batch_size is not None and type(loader.batch_sampler) is data.BatchSampler
    if isinstance(dataset, data.IterableDataset) or not hasattr(dataset, "__getitem__") or not plain:
        return spool(_inputs(batch, transform) for batch in loader)
    collate = None if loader.collate_fn is data.default_collate else loader.collate_fn
    if collate is not None and transform is not None:
        raise Refused("bad_images", "the loader has a collate_fn of its own: transform in there, or give its data set instead")
    if isinstance(sampler, data.SubsetRandomSampler):
        return DatasetStore(data.Subset(dataset, list(sampler.indices)), transform, collate)
    if isinstance(sampler, data.SequentialSampler | data.RandomSampler):
        return DatasetStore(dataset, transform, collate)
    return spool(_inputs(batch, transform) for batch in loader)


def _of_arrays(given: Any, transform: Callable | None) -> Store:
    """The store of a tensor, an array, or a dictionary of them (by the names of the model's arguments)."""
    if isinstance(given, Mapping) and transform is not None:
        raise Refused("bad_images", "a dictionary of tensors is the model's input as it is: leave the transform out")
    tokens = isinstance(given, np.ndarray) and given.ndim < 3 and given.dtype in ("int32", "int64")
    rows, packing = (given, None) if transform is not None else as_rows(
        as_tensors(given) if tokens or isinstance(given, Mapping) else given  # other arrays may lie in a file
    )
    return ArrayStore(rows, transform, packing)


def store_of(given: Any, transform: Callable | None, spool: Callable[[Iterator], Store]) -> Store:
    """The store of whatever a user hands in.

    Args:
        given: a tensor or array of network inputs [N, ...], of token numbers [N, length], a dictionary of such, a data set, a
            ``DataLoader``, a generator of items, a folder of images, a list of files.
        transform: the user's own, where ``given`` has none: of a batch for tensors and arrays, of one image otherwise.
        spool: writes batches of inputs that can be read only once to a file, and gives the store of it.

    Raises:
        Refused: ``bad_images``.
    """
    if isinstance(given, torch.Tensor | np.ndarray | Mapping):
        return _of_arrays(given, transform)
    if isinstance(given, data.DataLoader):
        return _of_loader(given, transform, spool)
    if isinstance(given, str | Path):
        folder = Path(given)
        if not folder.is_dir():
            raise Refused("bad_images", f"there is no folder {folder}")
        return FileStore(files_in(folder), transform)
    if isinstance(given, data.IterableDataset | Iterator):
        return spool(data.default_collate([_inputs(item, transform)]) for item in given)
    if isinstance(given, list | tuple) and all(isinstance(item, str | Path) for item in given):
        return FileStore([Path(item) for item in given], transform)
    if hasattr(given, "__getitem__") and hasattr(given, "__len__"):
        return DatasetStore(given, transform)
    raise Refused(
        "bad_images", f"images cannot be read from {type(given).__name__}: give a tensor, an array, a data set, a DataLoader, a "
        "folder or a list of files",
    )
