"""Broken and foreign files over every door: named in one line, never taken, never executed; what can be made anew is."""

import io
import json
import struct
import warnings
import zipfile
import zlib

import numpy as np
import pytest
import torch
from exhibits_fakes import fake
from forgetting_fakes import own_model
from safetensors.torch import save_file
from wrong_inputs import by_argv

from laf_utils.book.base import execute
from laf_utils.experiments.cells import Cell, read
from laf_utils.support import records
from laf_utils.support.records import RecordError, sealed

pytest_plugins = "wrong_fixtures"
DEEP = "[" * 100_000


def changed(**parts):
    state = {name: tensor.clone() for name, tensor in own_model().state_dict().items()}
    return {name: tensor for name, tensor in (state | parts).items() if tensor is not None}


def archive(state):
    """A PyTorch file's bytes."""
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def tensors(state, **metadata):
    def write(path):
        save_file(state, path, metadata=metadata or None)

    return write


BIAS = "decide.bias"
WEIGHTS = {
    "whole numbers": tensors({name: tensor.long() for name, tensor in changed().items()}),
    "complex": tensors(changed(**{BIAS: torch.zeros(4, dtype=torch.complex64)})),
    "zeros": tensors({name: torch.zeros_like(tensor) for name, tensor in changed().items()}),
    "NaN": tensors(changed(**{BIAS: torch.full((4,), torch.nan)})),
    "infinity": tensors(changed(**{BIAS: torch.full((4,), torch.inf)})),
    "one missing": tensors(changed(**{BIAS: None})), "another shape": tensors(changed(**{BIAS: torch.zeros(5)})),
    "not its checksum": tensors(changed(), checksum="0" * 64), "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("weights"), "a folder": lambda path: path.mkdir(),
    "half": lambda path: (save_file(changed(), path), path.write_bytes(path.read_bytes()[:2000])),
    "a long head": lambda path: path.write_bytes(struct.pack("<Q", 1 << 60) + b"{}"),
}
ZIPPED = {
    "text": b"weights", "empty": b"", "nothing": b"\x80", "integer keys": archive({1: torch.ones(2)}),
    "a list": archive([torch.ones(2)]),
    "no tensors": archive({"a": 1}), "one tensor": archive(torch.ones(2)), "half": archive(changed())[:9000],
    "byte 40": flipped(archive(changed()), 40), "a weight": flipped(archive(changed()), 20_000),
    "NaN": archive({"a": torch.tensor(torch.nan)}),
    "zeros": archive({"a": torch.zeros(3)}),
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights(kind, tmp_path, laf, ended):
    WEIGHTS[kind](tmp_path / "w.safetensors")
    ended(laf("forget", "--model", tmp_path / "w.safetensors", mode=["--dry-run"]), 3, "[bad_weights]")


@pytest.mark.parametrize("kind", ZIPPED)
def test_weights_of_pytorch(kind, tmp_path, laf, ended):
    (tmp_path / "w.pt").write_bytes(ZIPPED[kind])
    ended(laf("forget", "--model", tmp_path / "w.pt", mode=["--dry-run"]), 3, "[bad_weights]")


IDS = {
    "binary": b"\x80\x81", "huge field": b"file\n" + b"a" * 200_000, "ragged": b"why,file\nasked,c0-000.png\nasked\n",
    "empty": b"",
    "short at once": b"why,file\nasked\n", "heading": b"file\n", "blank": b"\n\n ,\n", "nobody": b"nobody.png\n",
    "NUL": b"a\x00b\n",
    "a long name": b"a" * 5000, "a quote": b'"never closed\n' * 3, "no name": b"file,why\n,asked\n",
    "above": b"../ids.csv\n",
}


@pytest.mark.parametrize("name", ["forget", "data", "audit"])
@pytest.mark.parametrize("kind", IDS)
def test_lists_of_images(kind, name, own, tmp_path, laf, ended):
    (tmp_path / "ids.csv").write_bytes(IDS[kind])
    code = 4 if kind in ("empty", "heading", "blank") else 3
    ended(laf(name, "--ids", tmp_path / "ids.csv", *(["--unseen", own / "unseen"] if name == "audit" else [])), code, "[")


def png(width, height):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


IMAGES = {
    "bomb.png": png(50_000, 50_000), "large.png": png(12_000, 12_000), "huge.png": png(2**31 - 1, 2**31 - 1),
    "half.png": png(64, 64),
    "text.png": b"no image", "empty.png": b"", "evil.ppm": b"P6 99999999 99999999 255\n", "evil.pgm": b"P5 -1 -1 255\n",
    "huge.bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 100_000, 100_000, 1, 24, 0, 0, 0, 0, 0, 0),
    "head.gif": b"GIF89a", "zero.png": png(0, 0), "text.jpg": b"\xff\xd8\xff\xe0nothing", "text.tiff": b"II*\0\xff\xff\xff\x7f",
}


@pytest.mark.parametrize("name", IMAGES)
def test_images(name, tmp_path, laf, ended, capsys):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / name).write_bytes(IMAGES[name])
    (folder / "ids.txt").write_text(f"{name}\n")
    given = "--data", folder, "--ids", folder / "ids.txt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own remark on large images
        assert laf("data", *given)() == 3
        told = capsys.readouterr()
        assert f"unreadable: {name}" in told.out and not told.err
        ended(laf("forget", *given), 3, "[bad_images]")


# -- own arrays --------------------------------------------------------------------------------------------------------------


def zipped(path, **members):
    """An archive of arrays given as header and number of zero bytes, or as bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, (shape, size) in members.items():
            head = io.BytesIO()
            np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": shape})
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(head.getvalue())
                for _ in range(size >> 20):
                    member.write(bytes(1 << 20))
                member.write(bytes(size & ((1 << 20) - 1)))


FEW = {"train_labels": ((20,), 20), "test_images": ((20, 8, 8), 1280), "test_labels": ((20,), 20)}
ARRAYS = {
    "says 9 GB": ({"train_images": ((150_000_000, 8, 8), 100)} | FEW, "announces"),
    "has more": ({"train_images": ((20, 8, 8), 1 << 20)} | FEW, "announces"),
    "images without labels": ({"train_images": ((200, 8, 8), 12_800)} | FEW, "20 labels for 200 images"),
    "negative": ({"train_images": ((-20, 8, 8), 100)} | FEW, ""), "no size": ({"train_images": ((), 1)} | FEW, ""),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays(kind, ended, tmp_path):
    members, told = ARRAYS[kind]
    zipped(tmp_path / "data" / "mine.npz", **members)
    ended(lambda: execute.main(["DATASET=mine"]), 3, told)


def test_an_archive_is_refused_before_it_is_unpacked(ended, tmp_path, monkeypatch):
    monkeypatch.setattr("laf_utils.datasets.npz.MOST_BYTES", 1 << 20)
    zipped(tmp_path / "data" / "mine.npz", train_images=((40_000, 8, 8), 40_000 * 64), **FEW)
    ended(lambda: execute.main(["DATASET=mine"]), 3, "unpacks to")


# -- records -----------------------------------------------------------------------------------------------------------------


def with_part(*path, to):
    def change(record):
        *most, last = path
        place = record
        for name in most:
            place = place[name]
        place[last] = to
        return json.dumps(record)

    return change


def without(*path):
    def change(record):
        place = record
        for name in path[:-1]:
            place = place[name]
        del place[path[-1]]
        return json.dumps(record)

    return change


RECORDS = {
    "cut off": lambda r: json.dumps(r)[:300], "empty": lambda r: "", "a list": lambda r: "[]", "deep": lambda r: DEEP,
    "binary": lambda r: b"\x80\x81", "null": lambda r: "null", "schema 99": with_part("schema", to=99),
    "no method": without("method"),
    "schema true": with_part("schema", to=True), "schema text": with_part("schema", to="1"),
    "schema half": with_part("schema", to=1.5),
    "NaN": with_part("metrics", "test", to=float("nan")), "infinity": with_part("gap", "mean", to=float("inf")),
    "a text": with_part("metrics", "test", to="90"), "true": with_part("metrics", "test", to=True),
    "a list of numbers": with_part("metrics", "test", to=[90]), "no metrics": with_part("metrics", to=None),
    "too large": with_part("metrics", "test", to=12345), "negative": with_part("metrics", "test", to=-1),
    "gap": with_part("gap", "mean", to=1e308), "tow": with_part("gap", "tow", to=7), "no seed": without("cell", "seed"),
    "seed text": with_part("cell", "seed", to="0"), "seed true": with_part("cell", "seed", to=True),
    "method": with_part("cell", "method", to="magic"), "task": with_part("cell", "task", to="klass"),
    "cell a list": with_part("cell", to=["laf"]), "level": with_part("label_access", "level", to="some"),
    "levels": with_part("label_access", to="none"), "data set": with_part("cell", "dataset", to="<script>"),
    "another cell": with_part("cell", "seed", to=3), "more": with_part("cell", "more", to=3),
    "seconds": with_part("seconds", to="10"),
    "failure": with_part("failure", to=3), "checksum": with_part("checksum", to="0" * 64), "seal": with_part("checksum", to=None),
    "changed": lambda r: json.dumps(sealed(r) | {"headline": "another"}),
    "changed a little": lambda r: json.dumps(sealed(r)).replace("90.0", "90.1"),
}


@pytest.mark.parametrize("kind", RECORDS)
def test_records(kind, places, ended, tmp_path, monkeypatch):
    path = Cell("mnist", "class", "laf").path
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(fake("laf")))
    assert read(path)["cell"]["method"] == "laf"
    content = RECORDS[kind](fake("laf"))
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RecordError, match=path.name):
        read(path)
    said = ended(by_argv(monkeypatch, "exhibits", [f"FOLDER={tmp_path / 'out'}"]), 1, "none of 1 files is a record", lines=2)
    assert path.name in said.err.splitlines()[0]


def test_what_is_written_is_sealed_and_comes_back_as_it_went(tmp_path):
    path = records.write_json(tmp_path / "class-laf-seed0.json", fake("laf"))
    assert json.loads(path.read_text())["checksum"] == sealed(fake("laf"))["checksum"]
    assert read(path) == fake("laf")
