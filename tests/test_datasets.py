"""Every local door gives the same arrays, in the documented order, and says what they are."""

import re
import subprocess
import sys
from pathlib import Path

import dataset_fakes as fakes
import numpy as np
import pytest
import torch

from laf_utils import datasets
from laf_utils.datasets import DATASETS, DataCorrupt, DataError, DataUnavailable, catalogue, digits, fingerprint, load

README = Path(__file__).parent.parent / "data" / "README.md"


def same(found, made):
    """Whether a Dataset holds exactly these arrays, with the promised types."""
    for part in ("train", "test"):
        images, labels = getattr(found, part).images, getattr(found, part).labels
        assert (images.dtype, labels.dtype) == (torch.uint8, torch.int64)
        assert images.is_contiguous()
        assert np.array_equal(images.numpy(), made[f"{part}_images"])
        assert np.array_equal(labels.numpy(), made[f"{part}_labels"])
    return found.checksum == fingerprint(made)


LAYOUTS = {
    "[N,C,H,W]": lambda images: images,
    "[N,H,W,C]": lambda images: images.transpose(0, 2, 3, 1),
    "[N,H,W]": lambda images: images[:, 0],
    "Fortran order": lambda images: np.asfortranarray(images),
}


@pytest.mark.parametrize(
    ("layout", "channels"),
    [(layout, channels) for layout in LAYOUTS for channels in (1, 3) if (layout, channels) != ("[N,H,W]", 3)],
)
def test_own_arrays_in_every_layout(tmp_path, layout, channels):
    made = fakes.arrays(shape=(channels, 12, 12), classes=4)
    given = {key: LAYOUTS[layout](array) if "images" in key else array for key, array in made.items()}
    fakes.write_npz(tmp_path, "mine", **given)
    found = load("mine", folder=tmp_path)
    assert same(found, made)
    assert (found.name, found.requested, found.source, found.notes) == ("mine", "mine", "npz", ())
    assert (found.num_classes, found.channels, found.size, len(found.train)) == (4, channels, 12, 50)
    assert found.class_names == ("0", "1", "2", "3")
    assert not found.is_fallback


@pytest.mark.parametrize("dtype", ["uint8", "int8", ">i4", "uint64", "int64"])
def test_labels_of_any_whole_number_type(tmp_path, dtype):
    made = fakes.arrays()
    labels = {key: array.astype(dtype) for key, array in made.items() if "labels" in key}
    fakes.write_npz(tmp_path, "mine", **{**made, **labels})
    assert same(load("mine", folder=str(tmp_path)), made)


def test_data_folder_is_read_at_each_call(tmp_path, monkeypatch):
    monkeypatch.setenv("LAF_DATA", str(tmp_path))
    with pytest.raises(DataUnavailable, match=re.escape(str(tmp_path))):
        load("mine")
    fakes.write_npz(tmp_path, "mine", **fakes.arrays())
    assert load("mine").source == "npz"


def test_idx_doors_in_order_with_one_checksum(tmp_path, monkeypatch):
    made = fakes.small_mnist(monkeypatch, tmp_path, "fashion")
    raw = tmp_path / "FashionMNIST" / "raw"
    with pytest.raises(DataUnavailable):
        load("fashion", folder=tmp_path, download=False)
    fakes.write_idx(catalogue.DEBIAN_FOLDER, made, compressed=True)
    debian = load("fashion", folder=tmp_path)
    fakes.write_idx(raw, made, compressed=True)
    packed = load("fashion", folder=tmp_path)
    for file in raw.glob("*.gz"):
        file.write_bytes(b"not looked at once the plain file is there")
    fakes.write_idx(raw, made)
    plain = load("fashion", folder=tmp_path)
    fakes.write_npz(tmp_path, "fashion", **made)
    npz = load("fashion", folder=tmp_path)
    found = (debian, packed, plain, npz)
    assert [each.source for each in found] == ["debian package", "torchvision files", "torchvision files", "npz"]
    assert all(same(each, made) and each.notes == () for each in found)
    assert npz.class_names[9] == "Ankle boot"


def test_incomplete_files_are_no_set(tmp_path, monkeypatch):
    made = fakes.small_mnist(monkeypatch, tmp_path)
    (fakes.write_idx(tmp_path / "MNIST" / "raw", made) / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataUnavailable, match="lacks t10k-labels-idx1-ubyte"):
        load("mnist", folder=tmp_path, download=False)


def test_cifar_batches_and_archive(tmp_path, monkeypatch):
    made, contents, archive = fakes.small_cifar(monkeypatch)
    (tmp_path / catalogue.CIFAR_ARCHIVE).write_bytes(archive)
    packed = load("cifar10", folder=tmp_path)
    assert same(packed, made)
    (tmp_path / catalogue.CIFAR_ARCHIVE).write_bytes(b"not looked at once the batches are there")
    (tmp_path / "cifar-10-batches-py").mkdir()
    for name, content in contents.items():
        (tmp_path / "cifar-10-batches-py" / name).write_bytes(content)
    unpacked = load("cifar10", folder=tmp_path)
    assert same(unpacked, made)
    assert {packed.source, unpacked.source} == {"torchvision files"}
    assert unpacked.class_names[8] == "ship"
    assert unpacked.notes == ()


def test_svhn_files(tmp_path, monkeypatch):
    made, contents = fakes.small_svhn(monkeypatch)
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    found = load("svhn", folder=tmp_path)
    assert same(found, made)
    assert int(found.train.labels.min()) == 0
    assert found.source == "torchvision files"


def test_optdigits(tmp_path):
    from sklearn.datasets import load_digits

    found = load("optdigits", folder=tmp_path / "nowhere")
    assert (len(found.train), len(found.test), found.source) == (1348, 449, "scikit-learn")
    assert found.checksum == catalogue.FACTS["optdigits"].arrays
    assert found.train.images.shape[1:] == (1, 28, 28)
    assert not (tmp_path / "nowhere").exists()
    target = torch.from_numpy(load_digits().target)
    assert torch.equal(found.test.labels, target[3::4])
    assert torch.equal(found.train.labels[:4], target[[0, 1, 2, 4]])
    images = found.train.images
    assert images[:, :, 2:26, 2:26].sum() == images.sum()
    assert int(images.max()) == 255


def test_enlarging_is_bilinear():
    small = np.random.default_rng(0).integers(0, 17, (20, 8, 8))
    wanted = torch.nn.functional.interpolate(
        torch.tensor(small, dtype=torch.float64)[:, None], scale_factor=3, mode="bilinear"
    )
    got = digits.enlarge(small)[:, 2:26, 2:26]
    assert np.abs(got - wanted[:, 0].numpy() * 255 / 16).max() < 0.51


def test_notes_say_what_is_not_official(tmp_path):
    made = fakes.arrays(shape=(3, 32, 32), counts=(70, 30))
    fakes.write_npz(tmp_path, "svhn", **made)
    official = "not the official split: 70 / 30 images (official: 73,257 / 26,032)"
    assert load("svhn", folder=tmp_path).notes == (official,)
    fakes.write_npz(tmp_path, "mine", **{**made, "test_labels": np.zeros(30, int)})
    assert load("mine", folder=tmp_path).notes == ("no test image of class 1, 2, 3, 4, 5, 6, 7, 8, 9",)


def test_unverifiable_pixels_are_noted(tmp_path, monkeypatch):
    made, _, _ = fakes.small_cifar(monkeypatch)
    fakes.write_npz(tmp_path, "cifar10", **made)
    assert "could not be verified" in load("cifar10", folder=tmp_path).notes[0]


def test_fallback_is_loud_and_only_for_what_is_missing(tmp_path):
    found = load("mnist", folder=tmp_path, download=False, fallback="optdigits")
    assert (found.name, found.requested, found.is_fallback) == ("optdigits", "mnist", True)
    assert found.notes[0].startswith("FALLBACK: mnist could not be had")
    assert str(tmp_path) not in found.notes[0]  # notes are kept in records
    (tmp_path / "mnist.npz").write_bytes(b"half a file")
    with pytest.raises(DataCorrupt, match=r"mnist\.npz"):
        load("mnist", folder=tmp_path, download=False, fallback="optdigits")


def test_a_fallback_that_is_missing_too(tmp_path):
    with pytest.raises(DataUnavailable, match="also_mine could not be had"):
        load("mine", folder=tmp_path, fallback="also_mine")


def test_unavailable_lists_every_door(tmp_path):
    with pytest.raises(DataUnavailable) as raised:
        load("mnist", folder=tmp_path, download=False)
    lines = [line for line in str(raised.value).splitlines() if line.startswith("- ")]
    assert [line[2:].split(":")[0] for line in lines] == [
        "npz",
        "torchvision files",
        "torchvision download",
        "npm package",
    ]
    assert "not tried (download=False)" in lines[2]
    with pytest.raises(DataUnavailable, match="not one of mnist, fashion, cifar10, svhn, optdigits"):
        load("MNIST", folder=tmp_path)


@pytest.mark.parametrize("name", ["", "../mnist", "a/b", ".hidden", "a b", "mine\n", "/etc/mine"])
def test_names_that_could_leave_the_folder(tmp_path, name):
    for arguments in ({"name": name}, {"name": "optdigits", "fallback": name}):
        with pytest.raises(DataError, match="cannot be the name of a set"):
            load(**arguments, folder=tmp_path)


def test_catalogue_agrees_with_itself_and_with_the_readme():
    text = README.read_text(encoding="utf-8")
    assert datasets.DATASETS == ("mnist", "fashion", "cifar10", "svhn", "optdigits") == tuple(catalogue.FACTS)
    for name in DATASETS:
        facts = catalogue.FACTS[name]
        assert tuple(map(sum, facts.per_class)) == facts.counts
        assert len(facts.class_names) == len(facts.per_class[0]) == 10
        train = facts.per_class[0]
        removal = sum(count * 2 // 5 for count in train[5:]), train[0], sum(count * 3 // 5 for count in train[:5])
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` | {facts.counts[0]:,}"))
        assert [f"{number:,}" for number in (*facts.counts, *removal)] == re.findall(r"[\d,]*\d(?= \|)", row)


def test_the_readme_example_runs(tmp_path):
    example = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL).group(1)
    environment = {"LAF_DATA": str(tmp_path), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(README.parent.parent)}
    subprocess.run([sys.executable, "-c", example], env=environment, check=True, timeout=60)
    assert load("mine", folder=tmp_path).num_classes > 1


@pytest.mark.parametrize("name", ["mnist", "fashion", "cifar10", "svhn"])
def test_real_files_if_they_are_here(name):
    try:
        found = load(name, download=False)
    except DataUnavailable:
        pytest.skip(f"{name} is not in the data folder")
    facts = catalogue.FACTS[name]
    assert found.train.images.shape[1:] == facts.shape
    if not any("not the official split" in note for note in found.notes):
        assert tuple(found.train.labels.bincount().tolist()) == facts.per_class[0]
        assert facts.arrays in (None, found.checksum)
