"""The machine: device, number format, and what records say of it."""

import getpass
import json
import platform

import pytest
import torch

from laf_utils.adaptation import unlearn
from laf_utils.images import Images
from laf_utils.losses import Densities
from laf_utils.support.devices import describe, has_fast_bfloat16, peak_memory_bytes, precision, resolve, synchronise

CPU = torch.device("cpu")


@pytest.fixture
def present(monkeypatch):
    def set_to(cuda, mps):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return set_to


@pytest.mark.parametrize(("cuda", "mps", "chosen"), [
    (True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu"),
])
def test_auto_takes_the_fastest_there_is(present, cuda, mps, chosen):
    present(cuda, mps)
    assert resolve("auto") == resolve() == torch.device(chosen)
    assert resolve("cpu") == CPU


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps", "tpu", ""])
def test_a_device_that_is_not_there_is_refused(present, name):
    present(cuda=False, mps=False)
    with pytest.raises(ValueError, match=r"is not available on this machine \(available: auto, cpu\)"):
        resolve(name)


def test_a_numbered_device(present):
    present(cuda=True, mps=False)
    assert resolve("cuda:1") == torch.device("cuda", 1)


def test_float32_changes_nothing_and_bfloat16_casts_products():
    a = torch.rand(4, 4)
    with precision(CPU, "float32"):
        assert (a @ a).dtype == torch.float32
    with precision(CPU, "bfloat16"):
        assert (a @ a).dtype == torch.bfloat16
    assert (a @ a).dtype == torch.float32


def test_memory_is_in_bytes():
    assert 2**26 < peak_memory_bytes() < 2**38  # this process holds PyTorch


def test_the_description_names_no_host_and_no_user():
    found = describe(CPU)
    assert found["device"] == "cpu"
    assert found["threads"] == torch.get_num_threads()
    assert isinstance(has_fast_bfloat16(), bool)
    assert set(found) == {"device", "name", "threads", "system", "bfloat16_hardware"}
    assert set(found.values()) & {platform.node(), getpass.getuser()} == set()
    json.dumps(found)


def test_waiting_for_the_cpu_is_nothing():
    synchronise(CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_a_gpu_gives_what_the_cpu_gives(network, make_images, make_densities):
    from laf_utils.settings.config import UnlearningConfig

    config = UnlearningConfig(epochs=1, batch_size=16, lr_ue=1e-4, lr_ra=1e-4, use_ue=False)  # the latent noise differs
    sets = make_images(40, seed=1), make_images(70, seed=2)
    densities = make_densities(network, *sets)
    here = unlearn(network, *sets, densities, config, seed=0)
    there = unlearn(
        network.to("cuda"), *(Images(part.pixels.to("cuda"), part.transform) for part in sets),
        Densities(densities.h.to("cuda"), densities.h_f.to("cuda")), config, seed=0,
    )
    assert there.loss_ra == pytest.approx(here.loss_ra, rel=1e-3)
