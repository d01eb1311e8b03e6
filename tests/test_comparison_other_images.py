"""A request whose retained images are those of another set."""

from dataclasses import replace

import pytest
import torch

from laf_utils.datasets import ImageSet
from laf_utils.experiments import making, other_images, planning, variants
from laf_utils.experiments.cells import Cell, read
from laf_utils.experiments.making import inputs_of, run_cell, settings_of
from laf_utils.experiments.problem import Problem
from laf_utils.settings.config import ConfigError


@pytest.fixture
def problem(make_run, tmp_path, monkeypatch):
    """The tiny run, and a set of noise that stands in for its images."""
    monkeypatch.setenv("LAF_RESULTS", str(tmp_path / "results"))
    monkeypatch.setitem(variants.OTHER, "tiny", "other")
    own = make_run()
    like = own.data.train.images
    pixels = torch.randint(0, 256, like.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(5))
    stand_in = replace(own.data, train=ImageSet(pixels, own.data.train.labels), checksum="of noise")
    for room in (making, other_images):
        monkeypatch.setattr(room, "other_set", lambda dataset: stand_in)
    return Problem(own), stand_in


def cell(variant="other_images"):
    return Cell("tiny", "class", "relearn", variant=variant)


def test_the_method_gets_as_many_images_of_the_other_set_and_no_label(problem):
    own, other = problem
    asked, plain = other_images.request_on(own, other), own.request
    assert len(asked.retain) == len(plain.retain) and asked.retain_labels is None and asked.forget is plain.forget
    assert asked.retain.transform == own.run.train_images.transform
    everything = {row.numpy().tobytes() for row in other.train.images}
    assert all(row.numpy().tobytes() in everything for row in asked.retain.pixels)
    assert torch.equal(asked.retain.pixels, other_images.request_on(own, other).retain.pixels), "the same every time"


def test_its_record_has_a_key_of_its_own_images_and_code(problem):
    own, other = problem
    settings = settings_of(cell(), own, None)
    plain, variant = (inputs_of(name, own, settings) for name in (cell(""), cell()))
    assert {name for name in plain if plain[name] != variant[name]} == {"settings", "data", "method"}
    first, second = (run_cell(name, own) for name in (cell(""), cell()))
    assert first["metrics"] != second["metrics"] and second["task"] == first["task"]
    assert read(cell().path)["key"] == second["key"] and cell().path.parent.name == "other_images"


def test_a_set_without_another_has_no_such_cell():
    with pytest.raises(ConfigError, match="variant other_images is of mnist, fashion, cifar10, svhn, got optdigits"):
        Cell("optdigits", "class", "relearn", variant="other_images")


def test_a_plan_without_the_other_sets_images_takes_the_record_at_its_word(problem, monkeypatch):
    own, _ = problem
    run_cell(cell(), own)
    monkeypatch.setattr(planning, "_here", lambda name: name == "tiny")
    monkeypatch.setattr(planning, "config_of", lambda asked: own.config)
    monkeypatch.setattr(planning, "problem_of", lambda *_: pytest.fail("images were asked for"))
    (found,) = planning.planned([cell()], download=False)
    assert found.state == "valid" and not found.stale
