"""A file that is there but wrong is an error that names it and the remedy; it never becomes a result."""

import gzip
import os
import pickle
import re
import struct

import dataset_fakes as fakes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laf_utils.datasets import DataCorrupt, catalogue, fingerprint, load

SPRUNG = []


def spring():
    SPRUNG.append(True)


class Trap:
    """Is noticed if it is ever unpickled."""

    def __reduce__(self):
        return spring, ()


@pytest.fixture(autouse=True)
def nothing_was_unpickled():
    SPRUNG.clear()
    yield
    assert not SPRUNG


def test_the_trap_works():
    pickle.loads(pickle.dumps(Trap()))
    assert SPRUNG.pop()


def refused(name, folder, file, problem):
    """load must raise DataCorrupt that names the file, the problem and a remedy."""
    with pytest.raises(DataCorrupt, match=problem) as raised:
        load(name, folder=folder, fallback="optdigits")
    message = str(raised.value)
    assert str(file) in message
    assert "Remedy: " in message
    assert "\n" not in message
    return message


def replaced(**changes):
    """Small own arrays with some keys replaced; a change is a function of the old array, None takes the key away."""
    made = fakes.arrays()
    for key, change in changes.items():
        old = made.pop(key)
        if change is not None:
            made[key] = change(old)
    return made


WRONG_ARRAYS = {
    "missing key": (replaced(test_labels=None), "lacks test_labels"),
    "float images": (replaced(train_images=lambda a: a / np.float32(255)), "train_images has dtype float32, not uint8"),
    "wide images": (replaced(test_images=lambda a: a.astype(np.int64)), "dtype int64"),
    "flat images": (replaced(train_images=lambda a: a.reshape(50, -1)), r"shape \(50, 784\)"),
    "no channels": (replaced(train_images=lambda a: a.reshape(50, 4, 14, 14)), "neither axis 1 nor axis 3"),
    "two ways": (replaced(train_images=lambda a: a[:, :, :3, :3].repeat(3, 1)), "both axis 1 and axis 3"),
    "not square": (replaced(train_images=lambda a: a[:, :, :14]), "14x28, not square"),
    "unlike test": (replaced(test_images=lambda a: a[:, :, :14, :14]), "test images"),
    "no images": (replaced(test_images=lambda a: a[:0], test_labels=lambda a: a[:0]), r"shape \(0, 1, 28, 28\)"),
    "same images": (replaced(train_images=lambda a: np.zeros_like(a)), "all images in train_images are the same"),
    "same test": (replaced(test_images=lambda a: a[:1].repeat(20, 0)), "all images in test_images are the same"),
    "one more label": (replaced(train_labels=lambda a: np.append(a, 0)), "51 labels for 50 images"),
    "no labels": (replaced(test_labels=lambda a: a[:0]), "0 labels for 20 images"),
    "column labels": (replaced(train_labels=lambda a: a[:, None]), r"shape \(50, 1\), not \[N\]"),
    "float labels": (replaced(train_labels=lambda a: a.astype(float)), "float64, not a whole-number type"),
    "truth labels": (replaced(train_labels=lambda a: a > 4), "bool, not a whole-number type"),
    "text labels": (replaced(train_labels=lambda a: a.astype(str)), "not a whole-number type"),
    "negative": (replaced(test_labels=lambda a: a - 1), "negative label -1"),
    "from one": (replaced(train_labels=lambda a: a + 1), "no image of class 0"),
    "gap": (replaced(train_labels=lambda a: np.where(a == 3, 4, a)), "no image of class 3"),
    "huge": (replaced(train_labels=lambda a: np.where(a == 9, 2**62, a)), "holds the label 4611686018427387904"),
    "huge test": (
        replaced(test_labels=lambda a: np.full(20, 2**64 - 1, np.uint64)),
        "holds the label 18446744073709551615",
    ),
    "unknown class": (replaced(test_labels=lambda a: np.where(a == 9, 10, a)), r"label 10, but the classes are 0\.\.9"),
    "one class": (replaced(train_labels=lambda a: a * 0, test_labels=lambda a: a * 0), "a single class"),
    "objects": (replaced(train_labels=lambda a: a.astype(object)), "cannot be read"),
    "pickle": (replaced(train_labels=lambda a: np.array([Trap()] * 50, object)), "cannot be read"),
}


@pytest.mark.parametrize("fault", WRONG_ARRAYS)
def test_wrong_own_arrays(tmp_path, fault):
    content, problem = WRONG_ARRAYS[fault]
    file = fakes.write_npz(tmp_path, "mine", **content)
    message = refused("mine", tmp_path, file, problem)
    assert "re-export it" in message


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"not a zip file", pickle.dumps(Trap()), "npy", "half", "folder"]
)
def test_files_that_are_no_npz(tmp_path, content):
    file = fakes.write_npz(tmp_path, "mine", **fakes.arrays())
    whole = file.read_bytes()
    if content == "folder":
        file.unlink()
        file.mkdir()
    elif content == "npy":
        with file.open("wb") as stream:
            np.save(stream, np.zeros(3))
    else:
        file.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    refused("mine", tmp_path, file, "cannot be read|is no .npz file")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_changed_byte_is_noticed_or_harmless(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip")
    made = fakes.arrays(shape=(1, 3 + 1, 3 + 1))
    file = fakes.write_npz(folder, "mine", **made)
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    try:
        assert load("mine", folder=folder).checksum == fingerprint(made)
    except DataCorrupt as error:
        assert str(file) in str(error)


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("mnist", lambda made: fakes.arrays(seed=99), "not MNIST's arrays"),
        ("fashion", lambda made: {**made, "train_labels": made["train_labels"][::-1]}, "not Fashion-MNIST's arrays"),
        ("mnist", lambda made: fakes.arrays(shape=(3, 32, 32)), r"\(3, 32, 32\) \[C,H,W\], MNIST's are \(1, 28, 28\)"),
        ("cifar10", lambda made: fakes.arrays(), "CIFAR-10's are"),
        ("cifar10", lambda made: {**made, "test_labels": (made["test_labels"] + 1) % 9}, "not CIFAR-10's arrays"),
        ("svhn", lambda made: {**made, "train_labels": made["train_labels"] % 9}, "no image of class 9"),
        ("svhn", lambda made: {**made, "train_labels": np.arange(50) % 11}, "label 10, but the classes"),
    ],
)
def test_an_npz_under_a_name_that_is_not_its_own(tmp_path, monkeypatch, name, change, problem):
    if name in ("mnist", "fashion"):
        made = fakes.small_mnist(monkeypatch, tmp_path, name)
    else:
        made = {"cifar10": fakes.small_cifar, "svhn": fakes.small_svhn}[name](monkeypatch)[0]
    file = fakes.write_npz(tmp_path, name, **change(made))
    message = refused(name, tmp_path, file, problem)
    if "arrays" in problem:
        assert "rename the file to use them as your own set" in message


IDX_FAULTS = {
    "empty": (lambda content: b"", "starts with nothing"),
    "magic": (lambda content: b"\x00\x00\x08\x01" + content[4:], "starts with 00000801, not 00000803"),
    "count": (lambda content: content[:4] + struct.pack(">I", 10**9) + content[8:], "does not announce"),
    "short": (lambda content: content[:-1], "less data"),
    "header only": (lambda content: content[:9], "does not announce"),
    "long": (lambda content: content + b"\x00", "more data"),
    "one byte": (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "checksum"),
}


@pytest.mark.parametrize("fault", IDX_FAULTS)
@pytest.mark.parametrize("compressed", [False, True])
def test_wrong_idx_files(tmp_path, monkeypatch, fault, compressed):
    made = fakes.small_mnist(monkeypatch, tmp_path)
    raw = fakes.write_idx(tmp_path / "MNIST" / "raw", made, compressed)
    change, problem = IDX_FAULTS[fault]
    content = change(fakes.idx_bytes(made["train_images"]))
    file = raw / ("train-images-idx3-ubyte" + (".gz" if compressed else ""))
    file.write_bytes(gzip.compress(content) if compressed else content)
    assert "delete it and run again" in refused("mnist", tmp_path, file, problem)


@pytest.mark.parametrize("keep", [0, 5, 100])
def test_truncated_gz_and_the_remedy_for_debians(tmp_path, monkeypatch, keep):
    made = fakes.small_mnist(monkeypatch, tmp_path, "fashion")
    file = fakes.write_idx(catalogue.DEBIAN_FOLDER, made, compressed=True) / "t10k-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:keep])
    message = refused("fashion", tmp_path, file, "cannot be read|starts with nothing")
    assert "reinstall the package dataset-fashion-mnist" in message


def test_labels_in_place_of_images(tmp_path, monkeypatch):
    made = fakes.small_mnist(monkeypatch, tmp_path)
    raw = fakes.write_idx(tmp_path / "MNIST" / "raw", made)
    (raw / "t10k-labels-idx1-ubyte").replace(raw / "train-labels-idx1-ubyte")
    (raw / "t10k-labels-idx1-ubyte").write_bytes(fakes.idx_bytes(made["test_labels"]))
    refused("mnist", tmp_path, raw / "train-labels-idx1-ubyte", "does not announce")


def cifar_folder(tmp_path, contents):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def test_cifar_files_with_a_wrong_checksum(tmp_path, monkeypatch):
    _, contents, archive = fakes.small_cifar(monkeypatch)
    file = tmp_path / catalogue.CIFAR_ARCHIVE
    file.write_bytes(archive[:-3])
    refused("cifar10", tmp_path, file, "has the checksum")
    folder = cifar_folder(tmp_path, {**contents, "data_batch_3": contents["data_batch_2"]})
    refused("cifar10", tmp_path, folder / "data_batch_3", "has the checksum")


@pytest.mark.parametrize("content", [pickle.dumps(Trap()), pickle.dumps({"data": Trap()}), b"", pickle.dumps([1])])
def test_cifar_pickles_let_nothing_in_but_arrays(tmp_path, monkeypatch, content):
    made, contents, _ = fakes.small_cifar(monkeypatch)
    contents["data_batch_1"] = content
    # Even if the checksum could be met: the catalogue is made to expect exactly this file.
    fakes.install(monkeypatch, "cifar10", made, contents, {})
    folder = cifar_folder(tmp_path, contents)
    message = refused("cifar10", tmp_path, folder / "data_batch_1", "is no batch of images")
    assert ("not allowed" in message) == (b"spring" in content)


def test_cifar_batch_of_another_size(tmp_path, monkeypatch):
    made, contents, _ = fakes.small_cifar(monkeypatch)
    contents["test_batch"] = contents["data_batch_1"]
    fakes.install(monkeypatch, "cifar10", made, contents, {})
    folder = cifar_folder(tmp_path, contents)
    refused("cifar10", tmp_path, folder / "test_batch", re.escape("test_batch holds uint8 (10, 3072), not"))


def test_svhn_files_with_a_wrong_checksum_or_content(tmp_path, monkeypatch):
    made, contents = fakes.small_svhn(monkeypatch)
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    file = tmp_path / "train_32x32.mat"
    file.write_bytes(contents["test_32x32.mat"])
    refused("svhn", tmp_path, file, "has the checksum")
    file.write_bytes(b"no MATLAB file")
    fakes.install(monkeypatch, "svhn", made, {**contents, file.name: b"no MATLAB file"}, {})
    refused("svhn", tmp_path, file, "cannot be read")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    file = fakes.write_npz(tmp_path, "mine", **fakes.arrays())
    file.chmod(0)
    refused("mine", tmp_path, file, "Permission denied")
