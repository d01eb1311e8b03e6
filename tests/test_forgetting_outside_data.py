"""Files, lists, data sets and loaders that other programs made: ImageMagick, ExifTool, spreadsheets, torchvision, timm.

``golden/images`` was written by ImageMagick 6.9.11; ``turned.jpg`` got its orientation from ExifTool 12.57.
"""

import csv
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import nn
from torch.utils.data import ChainDataset, DataLoader, IterableDataset
from torchvision.datasets import FakeData, ImageFolder
from torchvision.models import get_model
from torchvision.transforms import v2

from laf_utils.forgetting import ForgetOptions, Refused, choice, copies, files, forget, pictures, retained
from laf_utils.forgetting.keeping import Keeper
from laf_utils.forgetting.opening import store_of
from laf_utils.forgetting.pictures import opened
from laf_utils.forgetting.sources import digest_of, files_in

IMAGES = Path(__file__).parent / "golden/images"
SHOWN = {  # size, then the colours at the top left and at the bottom right
    "turned.jpg": ((8, 12), (0, 1, 253), (254, 0, 0)), "cmyk.jpg": ((12, 8), (255, 0, 0), (255, 0, 0)),
    "deep.png": ((12, 8), (0, 0, 0), (255, 255, 255)), "deep_rgb.png": ((12, 8), (0, 0, 0), (255, 255, 255)),
    "deep.tif": ((12, 8), (0, 0, 0), (255, 255, 255)), "palette.gif": ((12, 8), (10, 200, 30), (10, 200, 30)),
    "palette.png": ((12, 8), (10, 200, 30), (10, 200, 30)), "half.png": ((12, 8), (255, 0, 0), (255, 0, 0)),
    "progressive.jpg": ((12, 8), (254, 0, 0), (0, 0, 253)),
}


def rows_of(given, transform=None):
    with Keeper() as keeper:
        store = store_of(given, transform, keeper.spool)
        return store.read(range(len(store))).clone()


# -- files ------------------------------------------------------------------------------------------------------------


def test_every_file_is_known():
    assert {path.name for path in files_in(IMAGES)} == set(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_files_of_other_programs(name):
    """Orientation, CMYK of an Adobe kind, 16 bits, palettes, transparency, a progressive JPEG."""
    image, (size, first, last) = opened(IMAGES / name), SHOWN[name]
    assert image.mode == "RGB" and image.size == size
    for place, wanted in (((0, 0), first), ((size[0] - 1, size[1] - 1), last)):
        assert np.abs(np.array(image.getpixel(place)) - wanted).max() <= 3


def test_a_folder_of_them_is_read_and_a_damaged_copy_is_named(tmp_path):
    shutil.copytree(IMAGES, tmp_path / "all")
    to = v2.Compose([v2.Resize((6, 6)), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)])
    assert rows_of(tmp_path / "all", to).shape == (len(SHOWN), 3, 6, 6)
    (tmp_path / "all" / "zz.jpg").write_bytes((IMAGES / "progressive.jpg").read_bytes()[:200])
    with pytest.raises(Refused, match="zz.jpg cannot be read"):
        rows_of(tmp_path / "all", to)


def test_photographs(tmp_path):
    for name, pixels in zip(("china", "flower"), load_sample_images().images, strict=True):
        Image.fromarray(pixels[:64, :64]).save(tmp_path / f"{name}.png")
    assert rows_of(tmp_path).shape == (2, 3, 64, 64)


# -- lists ------------------------------------------------------------------------------------------------------------


def test_lists_of_spreadsheets_and_programs(tmp_path):
    """pandas and csv as for Excel (BOM, CRLF), Notepad's UTF-16; absolute paths, a name without its suffix, one named twice."""
    folder = tmp_path / "images"
    shutil.copytree(IMAGES, folder)
    names = ["turned.jpg", "cmyk", str(folder / "deep.tif"), "turned.jpg"]
    pd.DataFrame({"label": [1, 2, 3, 4], "file": names}).to_csv(
        tmp_path / "pandas.csv", index=False, encoding="utf-8-sig", lineterminator="\r\n"
    )
    with (tmp_path / "excel.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, dialect="excel", quoting=csv.QUOTE_ALL)
        writer.writerows([["path", "why"], *([name, "asked, in writing"] for name in names)])
    (tmp_path / "notepad.txt").write_bytes("\r\n".join(names).encode("utf-16"))
    for name in ("pandas.csv", "excel.csv", "notepad.txt"):
        found, others = files.divided(folder, files.read_ids(tmp_path / name))
        assert {path.name for path in found} == {"turned.jpg", "cmyk.jpg", "deep.tif"} and len(others) == len(SHOWN) - 3, name


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda model: torch.compile(model, backend="eager")])
def test_weights_that_a_wrapped_torchvision_model_saved(tmp_path, wrap):
    model = get_model("shufflenet_v2_x0_5", num_classes=3)
    torch.save({"model": wrap(model).state_dict(), "epoch": 3}, tmp_path / "checkpoint.pt")
    own = files.build("torchvision:shufflenet_v2_x0_5", files.read_weights(tmp_path / "checkpoint.pt"))
    assert own.fc.out_features == 3
    assert all(torch.equal(own.state_dict()[name], value) for name, value in model.state_dict().items())


# -- data sets and loaders --------------------------------------------------------------------------------------------

PLAIN = v2.Compose([v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)])


def fake():
    return FakeData(6, (3, 8, 8), num_classes=2, transform=PLAIN)


class Endless(IterableDataset):
    """Of torch's kind: a part of a chain."""

    def __iter__(self):
        return (fake()[row] for row in range(3))


def test_pairs_of_torchvision_by_a_loader_and_a_chain_of_streams():
    wanted = torch.stack([fake()[row][0] for row in range(6)])
    for given in (fake(), DataLoader(fake(), batch_size=4, shuffle=True), DataLoader(fake(), batch_size=4, num_workers=0)):
        assert torch.equal(rows_of(given), wanted)
    assert torch.equal(rows_of(ChainDataset([Endless(), Endless()])), torch.cat([wanted[:3]] * 2))


def test_dictionaries_as_transformers_collates_them():
    transformers = pytest.importorskip("transformers")
    items = [{"pixel_values": x, "labels": y} for x, y in (fake()[row] for row in range(6))]
    loader = DataLoader(items, batch_size=4, collate_fn=transformers.default_data_collator)
    assert torch.equal(rows_of(loader), torch.stack([item["pixel_values"] for item in items]))


def test_timms_training_transforms_are_read_as_its_evaluation(tmp_path):
    data = pytest.importorskip("timm.data")
    (tmp_path / "a").mkdir()
    for number, pixels in enumerate(load_sample_images().images):
        Image.fromarray(pixels[:90, :120]).save(tmp_path / f"a/{number}.png")
    training = data.create_transform(32, is_training=True, auto_augment="rand-m9-mstd0.5", re_prob=0.5)
    for given in (ImageFolder(tmp_path, training), data.ImageDataset(str(tmp_path), transform=training)):
        with pytest.warns(UserWarning, match="CenterCrop for RandomResizedCropAndInterpolation, without RandomHorizontalFlip"):
            found = rows_of(given)
        assert found.shape == (2, 3, 32, 32)
        with pytest.warns(UserWarning, match="augments"):
            assert torch.equal(rows_of(given), found)


# -- size -------------------------------------------------------------------------------------------------------------


def test_no_more_retained_files_are_decoded_where_there_are_more(tmp_path, monkeypatch):
    """Each file of D_r is hashed as it lies there; what is decoded is bounded, whatever there is: cost follows D_f."""
    for row, (image, _) in enumerate(FakeData(340, (3, 32, 32))):
        image.save(tmp_path / f"{row:03}.png")
    torch.manual_seed(0)
    model, paths, counted = get_model("shufflenet_v2_x0_5", num_classes=4).eval(), files_in(tmp_path), {}
    monkeypatch.setattr(copies, "SEARCHED", 70)
    monkeypatch.setattr(retained, "LOOKED", 30)
    for module in (choice, retained):
        monkeypatch.setattr(module, "LEAST_RETAINED", 40)
    for last in (180, 340):
        decoded, hashed = [], []
        monkeypatch.setattr(pictures, "opened", lambda path, own=decoded: own.append(path) or opened(path))
        monkeypatch.setattr(pictures, "digest_of", lambda content, own=hashed: own.append(1) or digest_of(content))
        rare = ForgetOptions(scope="instances", copies="keep", floor=0.0)
        forget(model, paths[:10], paths[10:last], method="ts", options=rare)
        counted[last] = len(decoded), len(hashed)
    assert counted[180][0] == counted[340][0] < 3 * 170 and [own for _, own in counted.values()] == [180, 340]
