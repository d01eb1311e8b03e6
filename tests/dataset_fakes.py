"""Small stand-ins for the real sets, with a catalogue that takes them for the real ones."""

import dataclasses
import gzip
import hashlib
import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

from laf_utils.datasets import DataUnavailable, catalogue, fingerprint, load
from laf_utils.datasets.catalogue import CIFAR_ARCHIVE, CIFAR_TEST, CIFAR_TRAIN, IDX_FILES

COUNTS = (50, 20)


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def arrays(seed=0, shape=(1, 28, 28), counts=COUNTS, classes=10):
    """Four canonical arrays: random images, labels 0..classes-1 in turn."""
    draw = np.random.default_rng(seed)
    made = {}
    for part, count in zip(("train", "test"), counts, strict=True):
        made[f"{part}_images"] = draw.integers(0, 256, (count, *shape), dtype=np.uint8)
        made[f"{part}_labels"] = np.arange(count, dtype=np.int64) % classes
    return made


def write_npz(folder, name, **content):
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / f"{name}.npz", **content)
    return folder / f"{name}.npz"


def idx_bytes(array):
    """An array as IDX: the channel axis left out, sizes as big-endian words."""
    array = array[:, 0] if array.ndim == 4 else array
    sizes = b"".join(struct.pack(">I", size) for size in array.shape)
    return bytes((0, 0, 8, array.ndim)) + sizes + array.astype(np.uint8).tobytes()


def idx_contents(made):
    return {stem: idx_bytes(made[key]) for key, stem in IDX_FILES.items()}


def write_idx(folder, made, compressed=False):
    folder.mkdir(parents=True, exist_ok=True)
    for stem, content in idx_contents(made).items():
        file = folder / (f"{stem}.gz" if compressed else stem)
        file.write_bytes(gzip.compress(content, mtime=0) if compressed else content)
    return folder


def python2_pickle(images, labels):
    """A CIFAR batch as Python 2 and an early numpy wrote it (protocol 2, byte strings), assembled by hand."""

    def text(value):  # BINSTRING
        return b"T" + struct.pack("<i", len(value)) + value

    def number(value):  # BININT
        return b"J" + struct.pack("<i", value)

    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(" + number(0) + b"t" + text(b"b") + b"tR"
    kind = b"cnumpy\ndtype\n(" + text(b"u1") + number(0) + number(1) + b"tR"
    kind += b"(" + number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    shape = b"(" + number(images.shape[0]) + number(images.shape[1]) + b"t"
    state = b"(" + number(1) + shape + kind + b"\x89" + text(images.tobytes()) + b"tb"  # \x89: False, not Fortran order
    entries = text(b"data") + array + state + text(b"labels") + b"](" + b"".join(map(number, labels)) + b"e"
    return b"\x80\x02}(" + entries + b"u."


def cifar_contents(made):
    """File name -> bytes of the six batches and the list of names."""
    step = COUNTS[0] // len(CIFAR_TRAIN)
    parts = [("train", name, slice(i * step, (i + 1) * step)) for i, name in enumerate(CIFAR_TRAIN)]
    contents = {}
    for part, name, rows in [*parts, ("test", CIFAR_TEST, slice(None))]:
        images = made[f"{part}_images"][rows]
        contents[name] = python2_pickle(images.reshape(len(images), -1), made[f"{part}_labels"][rows].tolist())
    contents["batches.meta"] = pickle.dumps({"label_names": ["airplane"]}, protocol=2)
    return contents


def tar_gz(contents):
    """Path inside -> bytes, as the bytes of a .tar.gz."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return memory.getvalue()


def install(monkeypatch, name, made, contents, downloads):
    """Make the catalogue take ``made`` for the real set ``name``, with the checksums of these files."""
    per_class = tuple(tuple(np.bincount(made[f"{part}_labels"]).tolist()) for part in ("train", "test"))
    known = catalogue.FACTS[name]
    facts = dataclasses.replace(
        known,
        counts=COUNTS,
        per_class=per_class,
        arrays=fingerprint(made) if known.arrays else None,
        files={file: md5(content) for file, content in contents.items()},
        downloads={file: md5(content) for file, content in downloads.items()},
    )
    monkeypatch.setitem(catalogue.FACTS, name, facts)


def small_mnist(monkeypatch, tmp_path, name="mnist"):
    """Install a small MNIST (or Fashion-MNIST); returns its arrays. Debian's folder is moved to an empty place."""
    made = arrays(seed=len(name))
    contents = idx_contents(made)
    served = {f"{stem}.gz": gzip.compress(content, mtime=0) for stem, content in contents.items()}
    install(monkeypatch, name, made, contents, served)
    monkeypatch.setattr(catalogue, "DEBIAN_FOLDER", tmp_path / "debian")
    return made


def small_cifar(monkeypatch):
    """Install a small CIFAR-10; returns its arrays, its files and its archive (bytes)."""
    made = arrays(seed=3, shape=(3, 32, 32))
    contents = cifar_contents(made)
    archive = tar_gz({f"cifar-10-batches-py/{name}": content for name, content in contents.items()})
    install(monkeypatch, "cifar10", made, contents, {CIFAR_ARCHIVE: archive})
    return made, contents, archive


def small_svhn(monkeypatch):
    """Install a small SVHN; returns its arrays and its two MATLAB files (bytes), which write 10 for the digit 0."""
    from scipy.io import savemat

    made = arrays(seed=4, shape=(3, 32, 32))
    contents = {}
    for part in ("train", "test"):
        memory = io.BytesIO()
        labels = made[f"{part}_labels"]
        numbers = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
        savemat(memory, {"X": made[f"{part}_images"].transpose(2, 3, 1, 0), "y": numbers})
        contents[f"{part}_32x32.mat"] = memory.getvalue()
    install(monkeypatch, "svhn", made, contents, contents)
    return made, contents


def served(made, mirror="a"):
    return {f"/{mirror}/{stem}.gz": gzip.compress(content, mtime=0) for stem, content in idx_contents(made).items()}


def left_behind(folder):
    """Everything in the data folder but lock files."""
    return sorted(
        str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file() and file.suffix != ".lock"
    )


def shut(name, folder, **options):
    with pytest.raises(DataUnavailable) as raised:
        load(name, folder=folder, **options)
    lines = [line[2:] for line in str(raised.value).splitlines() if line.startswith("- ")]
    return dict(line.split(": ", 1) for line in lines)
