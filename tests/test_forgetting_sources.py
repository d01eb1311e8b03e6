"""Data as people have them: loaders and data sets of every form, augmenting ones, image files and lists that others wrote."""

import io

import numpy as np
import pytest
import torch
from forgetting_fakes import X, Y, forget, own_model, trained
from PIL import Image
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, SequentialSampler, Subset, TensorDataset
from torchvision.datasets import FakeData, ImageFolder
from torchvision.transforms import v2

from laf_utils.forgetting import Refused, files
from laf_utils.forgetting.copies import CopiesFound, near
from laf_utils.forgetting.keeping import Keeper
from laf_utils.forgetting.opening import store_of
from laf_utils.forgetting.pictures import FileStore, opened
from laf_utils.forgetting.preparing import Options, open_images
from laf_utils.forgetting.sources import files_in
from laf_utils.forgetting.stilling import still

FEW = X[:12]


def rows_of(given, transform=None):
    with Keeper() as keeper:
        store = store_of(given, transform, keeper.spool)
        return store.read(range(len(store))).clone()


def refused(reason, given, transform=None):
    with pytest.raises(Refused) as caught:
        rows_of(given, transform)
    assert caught.value.reason == reason and "\n" not in str(caught.value)
    return str(caught.value)


class Items(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, row):
        return self.items[row]


class Stream(IterableDataset):
    def __init__(self, items):
        self.items = items

    def __iter__(self):
        return iter(self.items)


def halved(batch):
    return {"pixel_values": torch.stack([item["picture"] for item in batch]) / 2, "labels": "none of our business"}


TRIPLES = [(x, "label", number) for number, x in enumerate(FEW)]
GIVEN = {
    "triples": lambda: DataLoader(Items(TRIPLES), batch_size=5),
    "batches by a sampler of batches": lambda: DataLoader(
        TensorDataset(FEW), batch_sampler=[list(range(5)), list(range(5, 12))]
    ),
    "no batches at all": lambda: DataLoader(Items([(FEW[:5], 0), (FEW[5:], 1)]), batch_size=None),
    "batch sampler of torch": lambda: DataLoader(
        TensorDataset(FEW), batch_sampler=BatchSampler(SequentialSampler(FEW), 5, False)
    ),
    "stream of dictionaries": lambda: Stream([{"image": x, "label": 1} for x in FEW]),
    "generator of pairs": lambda: ((x, 0) for x in FEW),
    "list of tensors": lambda: list(FEW),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_images_come_out_as_they_went_in(kind):
    assert torch.equal(rows_of(GIVEN[kind]()), FEW)


def test_a_transform_is_used_wherever_images_come_from():
    double = {"list": list(FEW), "loader": DataLoader(Stream([(x, 1) for x in FEW]), batch_size=4), "stream": Stream(list(FEW)),
              "generator": iter(FEW), "dictionary": Items([{"picture": x} for x in FEW])}
    for kind, given in double.items():
        own = (lambda item: item["picture"] * 2) if kind == "dictionary" else (lambda x: x * 2)
        assert torch.equal(rows_of(given, own), FEW * 2), kind


def test_a_loader_that_makes_its_inputs_itself_is_asked_for_them():
    loader = DataLoader(Items([{"picture": x} for x in FEW]), batch_size=5, collate_fn=halved)
    assert torch.equal(rows_of(loader), FEW / 2)
    assert "collate_fn" in refused("bad_images", loader, lambda x: x)


def test_texts_and_tables_in_every_form():
    ids, mask = torch.arange(12).view(4, 3), torch.ones(4, 3).long()
    wanted = torch.cat([ids, mask], 1).float()
    items = [{"input_ids": i, "attention_mask": m, "labels": "unread"} for i, m in zip(ids, mask, strict=True)]
    loader = DataLoader(Items(items), batch_size=2, collate_fn=lambda batch: {
        key: torch.stack([item[key] for item in batch]) for key in ("input_ids", "attention_mask")
    })
    for given in ({"input_ids": ids, "attention_mask": mask}, Items(items), loader, Stream(items)):
        assert torch.equal(rows_of(given), wanted)
    assert torch.equal(rows_of(ids), ids.float()) and torch.equal(rows_of(ids.numpy()), ids.float())
    assert "labels" in refused("bad_images", {"input_ids": ids, "labels": mask})
    assert "transform" in refused("bad_images", Items([{"words": "a text"}]))
    assert "transform" in refused("bad_images", ids.to(torch.uint8))


# -- augmenting sets ----------------------------------------------------------------------------------------------------------


def test_an_augmenting_set_is_read_without(tmp_path):
    """torchvision's own sets and transforms, behind a Subset, give the same image twice and say what was changed."""
    steps = v2.Compose([
        v2.RandomResizedCrop(24), v2.Compose([v2.RandomHorizontalFlip(), v2.ColorJitter(0.5)]), v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True), v2.RandomErasing(),
    ])
    given = Subset(FakeData(6, (3, 40, 32), transform=steps), [1, 3, 5])
    with pytest.warns(UserWarning, match="CenterCrop for RandomResizedCrop, without RandomHorizontalFlip, without ColorJitter"):
        found = rows_of(given)
    assert found.shape == (3, 3, 24, 24) and torch.equal(found, rows_of(Subset(still(given.dataset), [1, 3, 5])))
    assert given.dataset.transform is steps, "the user's own set augments as before"
    (tmp_path / "a").mkdir()
    Image.new("RGB", (30, 30), "red").save(tmp_path / "a" / "one.png")
    folder = ImageFolder(tmp_path, v2.Compose([v2.RandomCrop(20), v2.PILToTensor(), v2.ToDtype(torch.float32)]))
    with pytest.warns(UserWarning, match="CenterCrop for RandomCrop"):
        assert rows_of(folder).shape == (1, 3, 20, 20)


def test_a_set_that_does_not_augment_is_left_alone():
    plain = FakeData(2, transform=v2.Compose([v2.Resize(8), v2.PILToTensor()]))
    assert still(plain) is plain and still(FEW) is FEW and still(own := FakeData(2)) is own


# -- image files --------------------------------------------------------------------------------------------------------------


def stored(image, path, **options):
    image.save(path, **options)
    return path


def test_files_of_every_kind(tmp_path):
    ramp = np.linspace(0, 65_535, 64, dtype=np.uint16).reshape(8, 8)
    deep = np.array(opened(stored(Image.fromarray(ramp), tmp_path / "deep.png")))
    assert np.array_equal(deep[..., 0], ramp >> 8) or np.abs(deep[..., 0].astype(int) - (ramp >> 8)).max() <= 1
    corner = Image.new("RGB", (8, 4), "white")
    corner.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    turned = opened(stored(corner, tmp_path / "turned.png", exif=exif))
    assert turned.size == (4, 8) and turned.getpixel((3, 0)) == (255, 0, 0)
    cmyk = opened(stored(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), tmp_path / "cmyk.tif"))
    assert cmyk.mode == "RGB" and cmyk.getpixel((3, 3)) == (255, 0, 0)
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    shown = opened(stored(palette, tmp_path / "palette.png", transparency=b"\x00\x80"))
    assert shown.getpixel((2, 2)) == (10, 200, 30)
    for mode, colour in (("1", 1), ("L", 255), ("LA", (255, 9)), ("RGBA", (255, 255, 255, 0)), ("F", 1.0)):
        path = tmp_path / f"{mode}.{'tif' if mode == 'F' else 'png'}"
        assert opened(stored(Image.new(mode, (8, 8), colour), path)).getpixel((1, 1)) == (255, 255, 255), mode


def test_files_that_cannot_be_read_are_named(tmp_path):
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(whole, "JPEG")
    for name, content in {"cut.jpg": whole.getvalue()[:900], "empty.png": b"", "text.bmp": b"BM no image"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Refused, match=name):
            opened(tmp_path / name)
    store = FileStore(files_in(tmp_path))
    assert store.name(1) == "empty.png"


def test_images_that_are_not_finite_are_named():
    broken = X[:20].clone()
    broken[7, 0, 0, 0], broken[11] = float("inf"), float("nan")
    with Keeper() as keeper, pytest.raises(Refused, match="forget: row 7, row 11 holds values that are not finite"):
        images = open_images(broken, Options(), keeper, own_model(), "forget")
        list(images.subset(torch.arange(3, 20)).in_order(50))


# -- lists of names -----------------------------------------------------------------------------------------------------------


def test_lists_that_others_wrote(tmp_path):
    folder = tmp_path / "images"
    (folder / "cats").mkdir(parents=True)
    for name in ("one.png", "two.jpg", "cats/three.png"):
        Image.new("RGB", (4, 4)).save(folder / name)
    names = ["one", "./two.jpg", "cats\\three.png", str(folder / "one.png"), "one"]
    lists = {
        "bom.csv": "\ufefffile\r\n" + "\r\n".join(names) + "\r\n", "plain.txt": "\n".join(names),
        "second.csv": "label,path\n" + "\n".join(f"3,{name}" for name in names),
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        found, others = files.divided(folder, files.read_ids(tmp_path / name))
        assert [path.name for path in found] == ["three.png", "one.png", "two.jpg"] and others == [], name
    (tmp_path / "sheet.csv").write_bytes("file\r\none\r\n".encode("utf-16"))
    assert files.read_ids(tmp_path / "sheet.csv") == ["one"]
    with pytest.raises(Refused, match="no image in .* for 1 of 1 name, the first"):
        files.divided(folder, ["/elsewhere/one.png"])


@pytest.mark.parametrize("name", ["module._orig_mod.fc.weight", "_orig_mod.module.fc.weight", "fc.weight"])
def test_weights_of_wrapped_models(tmp_path, name):
    torch.save({"state_dict": {name: torch.ones(2)}}, tmp_path / "weights.pt")
    assert list(files.read_weights(tmp_path / "weights.pt")) == ["fc.weight"]


# -- near-copies --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    return trained(own_model(), X, Y)


def with_copies(count=5):
    draw = torch.Generator().manual_seed(0)
    return torch.cat([X[40:400], X[:count] + 1e-3 * torch.randn(count, 3, 8, 8, generator=draw)])


def test_near_copies_are_found_listed_and_asked_about(model):
    with pytest.raises(CopiesFound, match="5 retained images are near-copies.*copies='forget'") as caught:
        forget(model, X[:40], with_copies())
    assert {(pair["forget"], pair["retain"]) for pair in caught.value.pairs} == {(f"row {n}", f"row {360 + n}") for n in range(5)}
    assert all(pair["distance"] < 0.1 for pair in caught.value.pairs) and caught.value.reason == "copies"


@pytest.mark.parametrize(("way", "forgotten", "retained"), [("forget", 45, 360), ("drop", 40, 360), ("keep", 40, 365)])
def test_what_is_done_with_near_copies_is_the_users_choice(model, way, forgotten, retained):
    _, report = forget(model, X[:40], with_copies(), copies=way)
    counts = report.content["images"]
    assert (counts["forget"], counts["retain"]) == (forgotten, retained)
    assert counts["near_copies"]["found"] == 5 and counts["near_copies"]["done"] == way
    assert ("near-copies" in str(report)) == (way == "keep") == ("near-copies" in report.html())


def test_images_of_one_class_are_no_copies_of_each_other():
    """No alarm among independent images, however close the classes lie: 0 of 400 in clusters of width 0.05."""
    draw = torch.Generator().manual_seed(0)
    centres = torch.randn(4, 16, generator=draw)
    forget_e, retain_e = (
        centres[torch.arange(n) % 4] + 0.05 * torch.randn(n, 16, generator=draw) for n in (400, 2_000)
    )
    assert not len(near(forget_e, [retain_e], retain_e[::2])[0])
    retain_e[17] = forget_e[3] + 1e-4
    for parts in ([retain_e], retain_e.split(300), retain_e.split(1_999)):
        rows, of, distance = near(forget_e, parts, retain_e[::2])
        assert rows.tolist() == [17] and of.tolist() == [3] and 0 < distance < 0.1
    alike = torch.zeros(50, 16)
    assert not len(near(forget_e[:2], [alike], alike)[0]), "a model that tells nothing apart says nothing"
