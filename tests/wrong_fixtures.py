"""Fixtures of the tests that walk wrong inputs. Modules ask for them with ``pytest_plugins = "wrong_fixtures"``."""

import pytest
import torch
from forgetting_fakes import own_model, patterns
from safetensors.torch import save_file
from torchvision.transforms import functional as TF

from laf_utils import datasets, run
from laf_utils.book.base import execute
from laf_utils.forgetting import call, command

SCALE = {"--mean": "0.5,0.5,0.5"}


def tree(folder):
    """Every file and folder below, with its content's length and time."""
    return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if not path.is_dir())


@pytest.fixture
def ended(places, tmp_path, monkeypatch, capsys):
    """``ended(main, code, told)``: calls it and looks at everything that a wrong input must leave as it was."""
    monkeypatch.setenv("LAF_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LAF_NOTEBOOKS", str(tmp_path / "notebooks"))
    for name in ("data", "notebooks", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "notebooks" / "LAF.ipynb").write_text("{}")
    (tmp_path / "file").write_text("in the way")
    for room, name in ((execute, "execute"), (run, "train"), (call, "carry_out")):
        monkeypatch.setattr(room, name, lambda *_, **__: pytest.fail("the wrong input was carried out"))
    load = datasets.load
    monkeypatch.setattr(datasets, "load", lambda name, **settings: load(name, **settings | {"download": False}))

    def call_it(main, code, told="", lines=1):
        before = tree(tmp_path)
        assert main() == code, capsys.readouterr()
        said = capsys.readouterr()
        found = said.err.splitlines()
        assert len(found) == lines and all(line.startswith("laf: error: ") for line in found), said.err
        assert told.lower() in said.err.lower(), said.err
        assert len(said.err) < 2_000 * lines and "Traceback" not in said.err + said.out
        assert tree(tmp_path) == before
        return said

    return call_it


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Images of four classes, a list of those of one, unseen ones, and weights of a model that nobody trained."""
    folder = tmp_path_factory.mktemp("own")
    for name, seed, count in (("images", 1, 120), ("unseen", 2, 8)):
        inputs, labels = patterns(count, seed)
        pixels = ((inputs.clamp(-3, 3) + 3) / 6 * 255).round().to(torch.uint8)
        (folder / name).mkdir()
        for number, (image, label) in enumerate(zip(pixels, labels.tolist(), strict=True)):
            TF.to_pil_image(image).save(folder / name / f"c{label}-{number:03}.png")
    (folder / "ids.csv").write_text("file\n" + "".join(f"c0-{n:03}.png\n" for n in range(0, 120, 4)))
    save_file(own_model().state_dict(), folder / "model.safetensors")
    return folder


@pytest.fixture
def laf(own, tmp_path):
    """``laf(name, *more)``: a command with the right arguments, of which ``more`` replace some."""

    def main(name="forget", *more, mode=()):
        given = {"--data": str(own / "images"), "--ids": str(own / "ids.csv"), **SCALE}
        if name != "data":
            given |= {"--model": str(own / "model.safetensors"), "--arch": "forgetting_fakes:own_model", "--device": "cpu"}
        given |= {"--out": str(tmp_path / "out")} if name == "forget" else {}
        rest = [str(word) if word is not None else None for word in more]
        words = {"FILE": tmp_path / "file", "EMPTY": tmp_path / "empty", "FILE/below": tmp_path / "file/below"}
        pairs = [rest[n : n + 2] for n in range(0, len(rest), 2)]
        for pair in pairs:
            given[pair[0]] = str(words.get(pair[1], pair[1])) if len(pair) > 1 and pair[1] is not None else None
        flat = [word for key, text in given.items() for word in ([key] if text is None else [f"{key}={text}"])]
        flat = [word for word in flat if word != "--mean"]
        return lambda: command.main([name, *flat, *mode])

    return main
