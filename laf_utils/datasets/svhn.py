"""Door 2 for SVHN: the two MATLAB files of cropped digits."""

from pathlib import Path

import numpy as np

from laf_utils.datasets.catalogue import FACTS
from laf_utils.datasets.errors import DoorClosed, corrupt, reading
from laf_utils.datasets.sets import Arrays
from laf_utils.datasets.transfer import content_md5


def read_svhn(name: str, folder: Path) -> tuple[Arrays, Path]:
    """The arrays of ``train_32x32.mat`` and ``test_32x32.mat``, and the data folder.

    DoorClosed if one is missing; DataCorrupt if a checksum or a content is wrong.
    """
    missing = [file for file in FACTS[name].files if not (folder / file).exists()]
    if missing:
        raise DoorClosed(f"{folder} lacks {', '.join(missing)}")
    arrays: Arrays = {}
    for part, file in zip(("train", "test"), FACTS[name].files, strict=True):
        arrays[f"{part}_images"], arrays[f"{part}_labels"] = _read_mat(name, folder / file)
    return arrays, folder


def _read_mat(name: str, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [N,3,32,32] and int64 [N]; the file stores [32,32,3,N] and writes 10 for the digit 0."""
    from scipy.io import loadmat  # needed by this door only, and slow to import

    with reading(file):
        found = content_md5(file)
        if found != FACTS[name].files[file.name]:
            raise corrupt(file, f"has the checksum {found}, not {FACTS[name].files[file.name]}")
        content = loadmat(file, variable_names=("X", "y"))
        images = np.ascontiguousarray(content.pop("X").transpose(3, 2, 0, 1))
        labels = content["y"].astype(np.int64).reshape(-1) % 10
    if images.dtype != np.uint8 or len(images) != len(labels):
        raise corrupt(file, f"holds {images.dtype} images {images.shape} with {len(labels)} labels")
    return images, labels
