"""Cost in image passes, against counting what really passes through the networks."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laf_utils.images import shuffled
from laf_utils.methods.passes import Passes, count_passes, paired_rows, unlearning_passes
from laf_utils.settings.config import UnlearningConfig
from laf_utils.settings.presets import preset
from laf_utils.tasks import make_task

sizes = st.integers(1, 200)


@given(sizes, sizes, st.integers(1, 40), st.booleans())
def test_paired_rows_are_those_of_the_loop(forget, retain, batch, drop):
    draw = torch.Generator().manual_seed(0)
    pairs = list(zip(shuffled(forget, batch, draw, drop), shuffled(retain, batch, draw, drop), strict=False))
    assert paired_rows(forget, retain, batch, drop) == (len(pairs), sum(len(f) + len(r) for f, r in pairs))


def test_a_frozen_pass_is_a_third():
    assert Passes(30, 30).equivalent == pytest.approx(40)


@pytest.mark.parametrize("settings", [
    {}, {"schedule": "joint"}, {"schedule": "two_stage"}, {"use_ue": False}, {"use_ra": "none"}, {"use_ra": "retain"},
    {"schedule": "joint", "use_ue": False}, {"schedule": "two_stage", "use_ra": "none"}, {"use_ue": False, "use_ra": "none"},
    {"drop_ragged": True}, {"epochs": 0}, {"batch_size": 100},
])
def test_the_forecast_is_what_unlearning_passes(network, make_images, make_densities, settings):
    from laf_utils.adaptation import unlearn

    sets = make_images(40, seed=1), make_images(70, seed=2)
    config = dataclasses.replace(UnlearningConfig(epochs=2, batch_size=16), **settings)
    densities, passed = make_densities(network, *sets), []
    # The student is a copy, hooks included; the frozen teacher builds no graph.
    network.extractor.register_forward_hook(lambda module, given, out: passed.append(len(out)) if out.requires_grad else None)
    found = unlearn(network, *sets, densities, config, seed=0)
    assert unlearning_passes(config, 40, 70) == Passes(sum(passed))
    assert found.images_passed == sum(passed)


def mnist_class_removal(**changes):
    config = preset("mnist", "class", profile="paper", **changes)
    labels = torch.arange(10).repeat_interleave(torch.tensor([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]))
    task = make_task("class", labels, classes=10, seed=0)
    return config, task


def test_passes_of_a_whole_run():
    config, task = mnist_class_removal()
    unlearning = unlearning_passes(config.unlearning, 5_923, 54_077)
    # 186 pairs: 5,923 forgotten and 186 * 32 retained images, both losses, 20 epochs
    assert unlearning == Passes(20 * 2 * (5_923 + 186 * 32))
    found = count_passes(config, task, 54_077, unlearning)
    assert found["original"]["training"] == 60_000 * 20
    assert found["retrained"]["training"] == 54_077 * 20
    share = found["share_of_retraining"]
    assert share["unlearning"] == pytest.approx(unlearning.training / (54_077 * 20))
    assert share["with_vae"] == pytest.approx((unlearning.training + found["vae"]["frozen"] / 3) / (54_077 * 20))


def frozen_passes(run, stage):
    """Images that pass the original's extractor without gradients while a stage is computed."""
    passed = []

    def note(module, given, out):
        if not out.requires_grad:
            passed.append(len(out))

    hook = run.original.extractor.register_forward_hook(note)
    getattr(run, stage)
    hook.remove()
    return sum(passed)


@pytest.mark.parametrize("settings", [
    {"vae__fit_h_on": "retain"},
    {"transforms__augment": True, "transforms__augment_everywhere": True},
    {"vae__fit_h_on": "all"},
])
def test_the_vaes_frozen_passes(make_run, settings):
    run = make_run("class", **settings)
    counted = count_passes(run.config, run.task, len(run.sets.retain), Passes(0))
    assert counted["vae"]["frozen"] == frozen_passes(run, "densities")


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_the_repairs_frozen_pass(make_run, share):
    run, passed = make_run("class", repair__labelled_share=share), []
    hook = run.laf.extractor.register_forward_hook(lambda module, given, out: passed.append(len(out)))
    assert run.laf_r is not None  # a copy of LAF, hooks included
    hook.remove()
    counted = count_passes(run.config, run.task, len(run.sets.retain), Passes(0))
    assert counted["repair"] == {"training": 0, "frozen": sum(passed), "equivalent": pytest.approx(sum(passed) / 3)}


@pytest.mark.parametrize("settings", [
    {},
    {"transforms__augment": True, "transforms__augment_everywhere": True},
])
def test_the_teachers_passes_while_unlearning(make_run, settings):
    run = make_run("class", **settings)
    assert run.densities is not None
    passed = frozen_passes(run, "laf")
    assert run.facts["unlearning"]["images_watched"] == passed
