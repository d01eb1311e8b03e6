"""A network that has its images by heart: a fresh one, which never sees D_f, learns the retained images anew."""

import pytest
import torch
from forgetting_fakes import LIGHT, UNSEEN, X, Y, accuracy, forget, own_model, patterns, trained
from torch import nn

from laf_utils.forgetting import anew, call, engine, reference
from laf_utils.forgetting.head import find_head, split

COUNT, NOISE = 100, 4.5
OTHERS, OTHER_LABELS = patterns(400, 2, noise=NOISE)


@pytest.fixture(scope="module")
def learned():
    """Noisy images, an original that has them by heart, and a model retrained without D_f."""
    x, y = patterns(400, 1, noise=NOISE)
    return x, y, trained(own_model(), x, y, steps=300), trained(own_model(1), x[COUNT:], y[COUNT:], steps=300)


@pytest.fixture(scope="module")
def forgotten(learned):
    x, _, original, _ = learned
    return forget(original, x[:COUNT], x[COUNT:], unseen=OTHERS)


def network_of(model, x):
    return split(model, find_head(model, x[:4]), x[:4])


# -- when ---------------------------------------------------------------------------------------------------------------------


def answers(count, doubt):
    """Logits of ``count`` images with doubts around one: half of it and half more in turn."""
    doubts = doubt * torch.tensor([0.5, 1.5]).repeat(count)[:count]
    return torch.stack([1 - doubts, doubts, torch.zeros(count)], 1).log()


@pytest.mark.parametrize(("trained_on", "unseen", "count", "found"), [
    (0.01, 0.10, 100, True), (0.01, 0.10, 59, False), (0.04, 0.08, 100, True),
    (0.15, 0.50, 100, False),  # not sure of what it has learned
    (0.10, 0.11, 1_000, False),  # hardly surer of it than of others
    (0.10, 0.12, 1_000, True), (0.10, 0.12, 70, False),  # on so few it may be chance
    (0.001, 0.01, 100, False),  # sure of others as well
])
def test_by_heart_is_sure_of_its_own_images_and_plainly_less_of_others(trained_on, unseen, count, found):
    before = {"forget": answers(50, trained_on), "retain": answers(50, trained_on), "unseen": answers(count, unseen)}
    assert anew.by_heart(before) is found
    assert not anew.by_heart(before | {"unseen": None}) and not anew.by_heart(before | {"retain": None})


class WentOn(Exception):
    """LAF began."""


@pytest.fixture
def laf_begins(monkeypatch):
    def begun(*_):
        raise WentOn

    monkeypatch.setattr(engine, "run_laf", begun)


def test_what_is_well_fitted_or_asked_in_a_series_or_otherwise_is_not_learned_anew(learned, laf_begins, monkeypatch, tmp_path):
    monkeypatch.setattr(anew, "taught_anew", lambda *_: pytest.fail("a fresh network was taught"))
    with pytest.raises(WentOn):
        forget(trained(own_model(), X, Y), X[:COUNT], X[COUNT:], unseen=UNSEEN)
    x, _, original, _ = learned
    for asked in (
        {"ledger": tmp_path / "ledger.jsonl"}, {"settings": LIGHT}, {"method": "laf"}, {"unseen": OTHERS[:30]},
        {"unseen": OTHERS[:110]},
    ):
        with pytest.raises(WentOn):
            forget(original, x[:COUNT], x[COUNT:], **{"unseen": OTHERS} | asked)


# -- how ----------------------------------------------------------------------------------------------------------------------


def test_levelled_layers_give_mean_zero_and_variance_one_and_the_head_stays():
    torch.manual_seed(0)
    convolution, linear, head = nn.Conv2d(3, 5, 3), nn.Linear(180, 24), nn.Linear(24, 4)
    model = nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), linear, nn.ReLU(), head)
    x, before = 7 + torch.rand(64, 3, 8, 8), head.weight.clone()
    given = {}
    anew.level(network_of(model, x), x)
    for layer in (convolution, linear):
        layer.register_forward_hook(lambda own, _, output: given.update({own: output.detach()}))
    model(x)
    for layer, rest in ((convolution, (0, 2, 3)), (linear, (0,))):
        assert given[layer].mean(rest).abs().max() < 1e-4 and abs(given[layer].std().item() - 1) < 0.02
    assert torch.equal(head.weight, before)


def test_the_lesson_ends_soon_after_nine_in_ten_are_learned_and_at_the_latest_after_most_legs():
    x, _ = patterns(200, 1)
    network, images = network_of(own_model(), x), x
    given = []

    class Counted:
        device = torch.device("cpu")

        def __len__(self):
            return len(images)

        def held(self, most):
            return self

        def batch(self, rows, generator=None):
            given.append(len(rows))
            return images[rows]

        def in_order(self, size, generator=None):
            yield images

    settings = anew.Anew()
    for goal, least, most in ((0.0, 5, 5), (2.0, settings.most, settings.most), (settings.goal, 5, settings.most - 1)):
        given.clear()
        student = anew.taught_anew(network, Counted(), anew.Anew(goal=goal), 0)
        legs = (len(given) - 1) / settings.leg(200)  # one batch is for levelling
        assert least <= legs <= most and not student.training


def test_images_known_by_heart_are_forgotten_to_a_retrained_models_level(learned, forgotten):
    x, y, original, retrained = learned
    before, goal, now = (100 * accuracy(model, x[:COUNT], y[:COUNT]) for model in (original, retrained, forgotten.model))
    assert before > 99 and goal < 90  # else there is nothing to see
    assert abs(now - goal) < 0.5 * (before - goal) and accuracy(forgotten.model, x[COUNT:], y[COUNT:]) > 0.9
    unseen = [accuracy(model, OTHERS, OTHER_LABELS) for model in (retrained, forgotten.model)]
    assert unseen[1] > unseen[0] - 0.06


# -- what the report says -----------------------------------------------------------------------------------------------------


def test_the_report_says_what_was_done_and_needs_no_reference_for_a_network_that_never_saw_the_images(forgotten):
    said = forgotten.report.content
    assert said["method"]["name"] == "relearn" and "by heart" in said["method"]["reason"]
    assert said["method"]["settings"]["goal"] == anew.Anew().goal
    assert [attempt["ended"] for attempt in said["attempts"]] == ["relearn: a fresh network"]
    assert not any("images are answered as by the original" in reason for reason in said["reasons"])
    assert forgotten.report.html()


def test_the_reference_is_asked_where_sureness_alone_tells_the_images_apart(learned, monkeypatch):
    monkeypatch.setattr(call, "told_apart", lambda audits: True)
    monkeypatch.setattr(reference, "STEPS", 20)
    monkeypatch.setattr(reference, "EPOCHS", 1)
    x, _, original, _ = learned
    said = forget(original, x[:COUNT], x[COUNT:], unseen=OTHERS).report.content
    assert said["method"]["name"] == "relearn" and said["evidence"] is not None


@pytest.mark.parametrize(("where", "reasons"), [
    ("retain", ("below the utility floor", "collapsed")), ("unseen", ("below the utility floor on unseen images",)),
])
def test_a_fresh_network_that_knows_too_little_is_not_kept(learned, monkeypatch, where, reasons):
    """On retained images by the watch; on unseen ones as the successor of a pretrained network would."""
    x, _, original, _ = learned
    monkeypatch.setattr(engine, "run_laf", lambda *_: engine.Outcome(None, None))
    monkeypatch.setattr(engine, "_or_relearned", lambda work, outcome, watch: outcome)
    if where == "unseen":
        monkeypatch.setattr(anew, "APART", -0.05)
    else:
        monkeypatch.setattr(anew, "taught_anew", lambda network, *_: network_of(own_model(3).eval(), x))
    said = forget(original, x[:COUNT], x[COUNT:], unseen=OTHERS).report.content
    (attempt,) = said["attempts"]
    assert attempt["ended"].removeprefix("relearn: ") in reasons and attempt["kept"] is None
    assert said["verdict"] == "retraining advised" and not said["kept"]
