"""Arrays as read from a file -> checked arrays -> Dataset. Whatever is doubtful is refused, with the file's name."""

from pathlib import Path

import numpy as np
import torch

from laf_utils.datasets.catalogue import FACTS, Facts
from laf_utils.datasets.errors import EXPORT, corrupt
from laf_utils.datasets.sets import Arrays, Dataset, ImageSet, fingerprint


def checked_images(array: np.ndarray, key: str, file: Path) -> np.ndarray:
    """``array`` as contiguous uint8 [N,C,H,W] with C 1 or 3, from [N,H,W], [N,H,W,C] or [N,C,H,W]; else DataCorrupt."""
    if array.dtype != np.uint8:
        advice = f"{EXPORT} as whole numbers 0..255 of dtype uint8"
        raise corrupt(file, f"{key} has dtype {array.dtype}, not uint8", advice)
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise corrupt(file, f"{key} has shape {array.shape}, not [N,H,W], [N,H,W,C] or [N,C,H,W]", EXPORT)
    if array.ndim == 3:
        array = array[:, None]
    else:
        first, last = array.shape[1] in (1, 3), array.shape[3] in (1, 3)
        if first == last:
            reason = "both axis 1 and axis 3" if first else "neither axis 1 nor axis 3"
            raise corrupt(file, f"{key} has shape {array.shape}: {reason} could be the 1 or 3 channels", EXPORT)
        array = array if first else array.transpose(0, 3, 1, 2)
    if array.shape[2] != array.shape[3]:
        raise corrupt(file, f"{key} has images of {array.shape[2]}x{array.shape[3]}, not square", EXPORT)
    return np.ascontiguousarray(array)


def checked_labels(array: np.ndarray, key: str, count: int, file: Path) -> np.ndarray:
    """``array`` as int64 [N] for ``count`` images, values from 0 to less than ``count``; else DataCorrupt."""
    if array.dtype.kind not in "iu":
        raise corrupt(file, f"{key} has dtype {array.dtype}, not a whole-number type", EXPORT)
    if array.ndim != 1:
        raise corrupt(file, f"{key} has shape {array.shape}, not [N]", EXPORT)
    if len(array) != count:
        raise corrupt(file, f"{key} has {len(array)} labels for {count} images", EXPORT)
    low, high = int(array.min()), int(array.max())
    if low < 0:
        raise corrupt(file, f"{key} holds the negative label {low}", EXPORT)
    # Before anything counts up to this label. A test label may be larger than the test set, but not beyond reason.
    if high >= (count if key == "train_labels" else 2**31):
        raise corrupt(file, f"{key} holds the label {high}; labels are 0..K-1, each with at least one image", EXPORT)
    return np.ascontiguousarray(array, dtype=np.int64)


def _all_the_same(images: np.ndarray) -> bool:
    """Whether more than one image is there and no two differ (the usual sign of an export gone wrong)."""
    if len(images) < 2 or (images[1:100] != images[0]).any():
        return False
    return bool((images[1:] == images[0]).all())


def _check_classes(arrays: Arrays, classes: int | None, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images per class (train, test); DataCorrupt unless train holds every class 0..K-1 and test no other one.

    ``classes`` is K where the set is a known one; None takes the largest training label.
    """
    train, test = arrays["train_labels"], arrays["test_labels"]
    classes = classes or int(train.max()) + 1
    for key, labels in (("train_labels", train), ("test_labels", test)):
        if labels.max() >= classes:
            raise corrupt(file, f"{key} holds the label {labels.max()}, but the classes are 0..{classes - 1}", EXPORT)
    per_class = np.bincount(train, minlength=classes), np.bincount(test, minlength=classes)
    missing = np.flatnonzero(per_class[0] == 0)
    if len(missing):
        raise corrupt(file, f"train_labels has no image of class {missing[0]} (labels are 0..{classes - 1})", EXPORT)
    if classes < 2:
        raise corrupt(file, "train_labels holds a single class", EXPORT)
    return per_class


def _check_official(name: str, facts: Facts, arrays: Arrays, per_class: tuple, checksum: str, file: Path) -> list[str]:
    """Notes on how far ``arrays`` are the published set; DataCorrupt if they have its size but are something else."""
    counts = len(arrays["train_images"]), len(arrays["test_images"])
    if counts != facts.counts:
        official = f"{facts.counts[0]:,} / {facts.counts[1]:,}"
        return [f"not the official split: {counts[0]:,} / {counts[1]:,} images (official: {official})"]
    rename = "rename the file to use them as your own set"
    same_labels = all(tuple(found) == known for found, known in zip(per_class, facts.per_class, strict=True))
    if not same_labels or (facts.arrays is not None and checksum != facts.arrays):
        raise corrupt(file, f"these are not {facts.title}'s arrays, though they have its size", rename)
    if facts.arrays is None and file.suffix == ".npz":
        return [f"{name}.npz: official counts and labels per class; pixels and order could not be verified"]
    return []


def assemble(name: str, arrays: Arrays, file: Path, source: str) -> Dataset:
    """The Dataset from the canonical ``arrays`` of ``file``; DataCorrupt if they cannot be the set ``name``."""
    facts = FACTS.get(name)
    train, test = arrays["train_images"], arrays["test_images"]
    if train.shape[1:] != test.shape[1:]:
        raise corrupt(file, f"train images are {train.shape[1:]}, test images {test.shape[1:]}", EXPORT)
    if facts and train.shape[1:] != facts.shape:
        problem = f"images are {train.shape[1:]} [C,H,W], {facts.title}'s are {facts.shape}"
        raise corrupt(file, problem, "rename the file to use it as your own set")
    for key in ("train_images", "test_images"):
        if _all_the_same(arrays[key]):
            raise corrupt(file, f"all images in {key} are the same", EXPORT)
    per_class = _check_classes(arrays, len(facts.class_names) if facts else None, file)
    checksum = fingerprint(arrays)
    notes = _check_official(name, facts, arrays, per_class, checksum, file) if facts else []
    absent = np.flatnonzero(per_class[1] == 0)
    if len(absent):
        notes.append(f"no test image of class {', '.join(map(str, absent))}")
    names = facts.class_names if facts else tuple(map(str, range(len(per_class[0]))))
    own, other = (
        ImageSet(*(torch.from_numpy(arrays[f"{part}_{kind}"]) for kind in ("images", "labels"))) for part in ("train", "test")
    )
    return Dataset(name, name, own, other, names, source, checksum, tuple(notes))
