"""relearn, as sure of D_r as the original: what is scaled, when, and at what cost."""

import copy
import dataclasses

import pytest
import torch
from methods_fakes import tiny_request
from torch import nn
from torch.nn.utils.parametrizations import orthogonal

import laf_utils.methods.relearn as relearn_module
from laf_utils.experiments.shadows import _settings, shadow_config
from laf_utils.methods import run_method
from laf_utils.methods.method import fingerprint
from laf_utils.methods.relearn import RelearnSettings, plan_of
from laf_utils.methods.relearn_lessons import Lessons
from laf_utils.methods.relearn_sureness import MOST, make_as_sure, sureness
from laf_utils.run import Run
from laf_utils.settings.changes import plain
from laf_utils.settings.config import ConfigError

SETTINGS = RelearnSettings(share=2.0, learning_rate=5e-3, batch_size=16)
AS_SURE = dataclasses.replace(SETTINGS, as_sure=True)


@pytest.fixture(scope="module")
def request_():
    return tiny_request()


def logits_of(model, images):
    with torch.no_grad():
        return model.eval()(images.batch(torch.arange(len(images))))


def times(model, factor):
    """A copy whose last linear layer, and so its logits, are so many times as large."""
    found = copy.deepcopy(model).eval().requires_grad_(False)
    found.classifier.weight.mul_(factor)
    found.classifier.bias.mul_(factor)
    return found


def test_sureness_is_the_log_odds_of_the_likeliest_class():
    p = torch.tensor([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    assert sureness(p.log()) == pytest.approx(torch.tensor(0.8 / 0.2).log().item(), abs=1e-5)


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.7])
def test_the_student_is_made_as_sure_as_the_original_and_answers_the_same(request_, factor):
    original, images = request_.original, request_.retain
    student = times(original, 1 / factor)
    before = logits_of(student, images)
    found = make_as_sure(student, images, logits_of(original, images))
    assert found == pytest.approx(factor, rel=0.15)  # the odds are not quite linear in the logits
    after = logits_of(student, images)
    assert torch.equal(after.argmax(1), before.argmax(1))
    assert sureness(after) == pytest.approx(sureness(logits_of(original, images)), rel=0.15)


def test_the_factor_has_bounds(request_):
    answers = logits_of(request_.original, request_.retain)
    assert make_as_sure(times(request_.original, 0.5), request_.retain, 100 * answers) == MOST
    assert make_as_sure(times(request_.original, 50.0), request_.retain, answers) == 1 / MOST


class Normalised(nn.Module):
    """Gives log-probabilities, which do not scale with the last linear layer."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x).log_softmax(1)


def test_what_cannot_be_scaled_stays_as_it_is(request_):
    answers = logits_of(request_.original, request_.retain)
    bound = times(request_.original, 0.5)
    orthogonal(bound.classifier)
    for student, wanted in (
        (Normalised(times(request_.original, 0.5)), answers), (times(request_.original, 0.5), 0 * answers), (bound, answers),
    ):
        before = fingerprint(student)
        assert make_as_sure(student, request_.retain, wanted) == 1.0 and fingerprint(student) == before


def test_relearn_scales_its_last_layer_alone_and_pays_for_the_look(request_):
    plain_run, scaled = (run_method("relearn", request_, own) for own in (SETTINGS, AS_SURE))
    plan = plan_of(AS_SURE, len(request_.forget), len(request_.retain))
    assert plan.sureness == len(request_.retain) and plan_of(SETTINGS, 100, 900).sureness == 0
    assert (scaled.passes.training, scaled.passes.frozen) == (plan.images, plan.frozen)
    assert scaled.passes.equivalent <= 2.0 * SETTINGS.training.epochs * len(request_.retain)
    assert scaled.history["scaled"][0] != 1.0 and "scaled" not in plain_run.history
    wanted = sureness(logits_of(request_.original, request_.retain))
    assert sureness(logits_of(scaled.model, request_.retain)) == pytest.approx(wanted, rel=0.1)


def test_where_labels_contradict_nothing_is_scaled_or_paid(request_, monkeypatch):
    def lessons(forget, retain, **_):
        nothing_gone, everywhere = torch.zeros(retain.shape[1], dtype=torch.bool), torch.ones(len(retain), dtype=torch.bool)
        return Lessons(retain.softmax(1), nothing_gone, everywhere)

    monkeypatch.setattr(relearn_module, "lessons_of", lessons)
    found = run_method("relearn", request_, AS_SURE)
    plan = plan_of(AS_SURE, len(request_.forget), len(request_.retain))
    assert "scaled" not in found.history and found.passes.frozen == plan.retain + plan.forget


def test_a_setting_that_came_later_leaves_older_records_as_they_are():
    assert "as_sure" not in plain(RelearnSettings()) and plain(AS_SURE)["as_sure"] is True


def test_many_models_take_a_variant_of_a_method():
    run = Run.__new__(Run)
    run.config = shadow_config("mnist", "data")
    run.data = type("Data", (), {"name": "mnist"})
    assert _settings(run, "relearn-as_sure") == dataclasses.replace(_settings(run, "relearn"), as_sure=True)
    for name in ("scrub-as_sure", "relearn-without_ue"):
        with pytest.raises(ConfigError, match=f"{name}: variant .* changes no setting"):
            _settings(run, name)
