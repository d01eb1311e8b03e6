"""Small stand-ins shared by the tests of the core rooms: nothing here needs real images or a network connection."""

import ast
import os
from dataclasses import replace

os.environ["LAF_PROGRESS"] = "0"  # no bars in test output

import numpy as np
import pytest
import torch
from hypothesis import settings

from laf_utils.evaluation import evaluate, make_record
from laf_utils.images import Images, Transform
from laf_utils.losses import Densities
from laf_utils.models import Architecture
from laf_utils.representations import FrozenRepresentations
from laf_utils.run import Run
from laf_utils.settings.presets import DATASET_PRESETS, preset
from laf_utils.support import definitions
from laf_utils.vae import VAEConfig, fit_vae

CPU = torch.device("cpu")
TINY = DATASET_PRESETS["optdigits"]  # the CNN, native resolution, all images
TINY_SETTINGS = {  # a run in about a second
    "device": "cpu", "training__epochs": 2, "training__learning_rate": 2e-3, "vae__epochs": 2, "unlearning__epochs": 2,
    "unlearning__lr_ue": 1e-3, "unlearning__lr_ra": 1e-3,
}

settings.register_profile("laf", deadline=None, derandomize=True, database=None, max_examples=40)
settings.load_profile("laf")


torch.set_num_threads(1)  # the same sums in the same order on every machine


@pytest.fixture
def random_state_untouched():
    """Fails the test if it moves one of the global random states."""
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    yield
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()


@pytest.fixture
def edited(monkeypatch):
    """``edited("training.train")``: from then on, keys see another body of that definition."""
    names, found = set(), definitions.definitions

    def changed(*given):
        return [
            replace(one, node=ast.Constant("edited")) if one.place in names else one for one in found(*given)
        ]

    def edit(place):
        names.add(place)
        definitions.code_version.cache_clear()

    monkeypatch.setattr(definitions, "definitions", changed)
    yield edit
    definitions.code_version.cache_clear()


@pytest.fixture
def make_images():
    """``make_images(count, channels, size, seed, **transform)``: random pixels."""

    def make(count, channels=1, size=8, seed=0, **transform):
        draw = torch.Generator().manual_seed(seed)
        pixels = torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=draw)
        return Images(pixels, Transform(**transform))

    return make


@pytest.fixture
def network():
    """A fresh CNN for images 1x8x8."""
    return Architecture("cnn", 1, 8, 10).build(0, "original").eval()


@pytest.fixture
def make_densities():
    """``make_densities(model, forget, retain)``: two VAEs, hardly trained."""

    def make(model, forget, retain, **settings):
        config = VAEConfig(epochs=1, **settings)
        parts = {"h": retain, "h_f": forget}
        return Densities(**{
            name: fit_vae(FrozenRepresentations(model.extractor, images), config, seed=0, stage=f"vae_{name}", device=CPU)[0]
            for name, images in parts.items()
        })

    return make


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """A folder with ``tiny.npz``: ten classes that differ, images 1x8x8, 300 to train on and 100 to test on."""
    draw = np.random.default_rng(0)
    patterns = draw.integers(0, 256, (10, 1, 8, 8))
    arrays = {}
    for part, count in (("train", 300), ("test", 100)):
        labels = np.arange(count, dtype=np.int64) % 10
        images = patterns[labels] + draw.normal(0, 60, (count, 1, 8, 8))
        arrays |= {f"{part}_images": images.clip(0, 255).astype(np.uint8), f"{part}_labels": labels}
    folder = tmp_path_factory.mktemp("data")
    np.savez(folder / "tiny.npz", **arrays)
    return folder


@pytest.fixture
def make_run(tiny_data, tmp_path, monkeypatch):
    """``make_run(task, **changes)``: a run on the tiny data; all runs of one test share a folder."""
    monkeypatch.setenv("LAF_DATA", str(tiny_data))

    def make(task="class", *, mode="reference", folder=tmp_path / "runs", say=lambda line: None, **changes):
        config = preset("tiny", task, mode=mode, own=TINY, **TINY_SETTINGS | changes)
        return Run(config, folder=folder, say=say)

    return make


@pytest.fixture(scope="session")
def optdigits(tmp_path_factory):
    """``optdigits(mode)`` gives run, evaluation and record of class removal on scikit-learn's digits, computed once."""
    folder, known = tmp_path_factory.mktemp("optdigits"), {}

    def get(mode):
        if mode not in known:
            config = preset("optdigits", "class", mode=mode, device="cpu", vae__epochs=3, unlearning__epochs=4)
            run = Run(config, folder=folder, say=lambda line: None)
            evaluation = evaluate(run)
            known[mode] = run, evaluation, make_record(run, evaluation)
        return known[mode]

    return get


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Results and runs of their own."""
    for name in ("results", "runs"):
        monkeypatch.setenv(f"LAF_{name.upper()}", str(tmp_path / name))
        (tmp_path / name).mkdir()
    return tmp_path
