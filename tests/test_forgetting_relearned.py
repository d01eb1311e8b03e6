"""Single images in a network that has them by heart: LAF leaves them known, a student that never saw them does not."""

import dataclasses

import pytest
import torch
from forgetting_fakes import accuracy, forget, own_model, patterns, trained

from laf_utils.forgetting import relearned
from laf_utils.methods.relearn import RelearnSettings, plan_of
from laf_utils.methods.relearn_sureness import sureness

own_settings = relearned.settings_for
COUNT = 100


@pytest.fixture(scope="module")
def learned():
    """Images too noisy to be known otherwise than by heart, the original, and a model retrained without D_f."""
    x, y = patterns(400, 1, noise=9.0)
    return x, y, trained(own_model(), x, y, steps=300), trained(own_model(1), x[COUNT:], y[COUNT:], steps=300)


def test_images_known_by_heart_are_forgotten_to_a_retrained_models_level(learned):
    x, y, original, retrained = learned
    found = forget(original, x[:COUNT], x[COUNT:])
    assert found.report.content["method"]["name"] == "relearn"
    assert any("relearn" in attempt["ended"] for attempt in found.report.content["attempts"])
    before, goal, now = (100 * accuracy(model, x[:COUNT], y[:COUNT]) for model in (original, retrained, found.model))
    assert before > 99 and goal < 90  # else there is nothing to see
    assert abs(now - goal) < 0.5 * (before - goal)
    assert accuracy(found.model, x[COUNT:], y[COUNT:]) > 0.9


def test_what_laf_has_forgotten_is_not_learned_anew(learned, monkeypatch):
    monkeypatch.setattr(relearned, "students", lambda *_: pytest.fail("a student was taught"))
    gone = patterns(800, 1)
    model = trained(own_model(), *gone)
    report = forget(model, gone[0][gone[1] == 0], gone[0][gone[1] != 0]).report
    assert report.content["method"]["name"] == "laf"


def test_the_method_can_be_asked_for(learned):
    x, _, original, _ = learned
    settings = RelearnSettings(share=0.2, start=1.0, tail=1.0)
    report = forget(original, x[:COUNT], x[COUNT:], method="relearn", settings=settings).report
    assert report.content["method"]["name"] == "relearn" and len(report.content["attempts"]) == 1


def test_the_result_is_as_sure_of_the_rest_as_the_original(learned, monkeypatch):
    x, _, original, _ = learned

    def sure_of_the_rest():
        model = forget(original, x[:COUNT], x[COUNT:], method="relearn").model.eval()
        with torch.no_grad():
            return [sureness(own.eval()(torch.as_tensor(x[COUNT:]))) for own in (original, model)]

    wanted, found = sure_of_the_rest()
    assert abs(found / wanted - 1) < 0.15
    monkeypatch.setattr(relearned, "settings_for", lambda *_: dataclasses.replace(own_settings(*_), as_sure=False))
    _, unscaled = sure_of_the_rest()
    assert abs(unscaled / wanted - 1) > 2 * abs(found / wanted - 1)


def test_a_few_images_are_taught_for_as_many_steps_as_it_takes():
    for retain in (300, 100_000):
        plan = plan_of(relearned.settings_for(50, retain), 50, retain)
        assert plan.steps >= relearned.LEAST_STEPS - 1
    assert relearned.settings_for(50, 100_000).share == RelearnSettings().share


def test_the_nearest_start_that_has_forgotten_is_kept(learned, monkeypatch):
    x, _, original, _ = learned
    far_enough = lambda self, look: 0.0 if look.get("share", 0) >= 0.5 else 1.0  # noqa: E731
    monkeypatch.setattr("laf_utils.forgetting.watch.Watch.forgotten", far_enough)
    report = forget(original, x[:COUNT], x[COUNT:], method="relearn").report
    assert [attempt["strength"] for attempt in report.content["attempts"]] == [start for start, _ in relearned.STARTS[:2]]

