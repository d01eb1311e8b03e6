"""The label-free stopping rule, on a network whose agreement is set by hand."""

import copy
import dataclasses
import inspect

import pytest
import torch
from torch import nn

from laf_utils import adaptation, stopping
from laf_utils.images import Images, Transform
from laf_utils.models import Network
from laf_utils.settings.config import UnlearningConfig
from laf_utils.stopping import EVERY, FLOOR, GAIN, PATIENCE, SAMPLE, AgreementRule


class Scripted(nn.Module):
    """Says class 1 for the first ``share`` of a set's images and class 0 for the others; the share is a weight.

    Image i of 200 has brightness i in its first pixel, and 1 in its second where it is to be forgotten.
    """

    def __init__(self):
        super().__init__()
        self.share = nn.Parameter(torch.zeros(2))

    def forward(self, pixels):
        rank, forget = (pixels[:, :2] * 255).round().T
        share = torch.where(forget > 0, self.share[0], self.share[1])
        first = (rank < (share * 200).round()).float()
        return torch.stack([1 - first, first], 1)


def images(forget, count=200, **transform):
    pixels = torch.zeros(count, 1, 1, 2, dtype=torch.uint8)
    pixels[:, 0, 0, 0] = torch.arange(count)
    pixels[:, 0, 0, 1] = int(forget)
    return Images(pixels, Transform(**transform))


class Watched:
    """A rule and the network it watches; ``look(forget, retain)`` sets the agreements and asks the rule."""

    def __init__(self):
        self.model = Network(nn.Flatten(), Scripted())
        self.rule = AgreementRule(self.model, images(True), images(False), seed=0)
        self.step = 0

    def look(self, forget, retain):
        with torch.no_grad():
            self.model.classifier.share.copy_(1 - torch.tensor([forget, retain]))
        self.step += EVERY
        return self.rule.should_stop(self.model, self.step)

    def holds(self, forget, retain):
        return self.model.classifier.share.tolist() == pytest.approx([1 - forget, 1 - retain])


@pytest.fixture
def watched():
    return Watched()


def test_agreement_is_the_share_of_unchanged_predictions(watched):
    watched.look(0.5, 0.98)
    watched.look(0.25, 0.96)
    seen = [(look["step"], look["forget"], look["retain"]) for look in watched.rule.seen]
    assert seen == [(EVERY, pytest.approx(0.5), pytest.approx(0.98)), (2 * EVERY, pytest.approx(0.25), pytest.approx(0.96))]


def test_it_waits_while_forgetting_goes_on(watched):
    assert not any(watched.look(1 - i / 10, 1.0) for i in range(1, 10))


def test_it_stops_when_forgetting_does_and_puts_the_best_back(watched):
    watched.look(0.5, 1.0)
    watched.look(0.1, 0.99)
    answers = [watched.look(0.1 - GAIN / 2, 1.0) for _ in range(PATIENCE)]
    assert answers == [False] * (PATIENCE - 1) + [True]
    assert watched.rule.restore_best(watched.model) == 3 * EVERY, "the lowest agreement, however small the gain"
    assert watched.holds(0.1 - GAIN / 2, 1.0)


def test_lost_utility_is_no_progress(watched):
    watched.look(0.6, FLOOR + 0.01)
    answers = [watched.look(0.1, FLOOR - 0.01) for _ in range(PATIENCE + 1)]
    assert answers[-1]
    assert watched.rule.restore_best(watched.model) == EVERY
    assert watched.holds(0.6, FLOOR + 0.01)


def test_a_dip_of_utility_does_not_end_the_run(watched):
    answers = [watched.look(forget, retain) for forget, retain in ((0.8, 1.0), (0.6, 0.5), (0.4, 0.5), (0.2, 0.99))]
    assert not any(answers)
    assert watched.rule.restore_best(watched.model) == 4 * EVERY
    assert watched.holds(0.2, 0.99)


def test_progress_starts_the_wait_anew(watched):
    watched.look(0.9, 1.0)
    for forget in (0.8, 0.7):
        for _ in range(PATIENCE - 1):
            assert not watched.look(0.9, 1.0)
        assert not watched.look(forget, 1.0)


def test_it_does_not_stop_before_forgetting_has_begun(watched):
    assert not any(watched.look(1.0, 1.0) for _ in range(PATIENCE + 1))


def test_the_kept_weights_are_a_copy(watched):
    watched.look(0.5, 1.0)
    watched.look(0.9, 1.0)
    watched.rule.restore_best(watched.model)
    assert watched.holds(0.5, 1.0)


def test_without_any_good_look_the_last_one_is_kept(watched):
    watched.look(0.2, 0.5)
    watched.look(0.1, 0.4)
    assert watched.rule.restore_best(watched.model) is None
    assert watched.holds(0.1, 0.4)


def test_samples_are_limited_fixed_and_free_of_crops(make_images, network, monkeypatch):
    passed = []
    outputs = stopping.outputs
    monkeypatch.setattr(stopping, "outputs", lambda model, view, *a: passed.append(view) or outputs(model, view, *a))
    rule = AgreementRule(network, make_images(700, augment=True), make_images(30, seed=1, augment=True), seed=0)
    for step in (1, 2):
        rule.should_stop(network, step)
    assert [len(view) for view in passed] == [SAMPLE, 30] * 3
    assert rule.images_passed == 3 * (SAMPLE + 30)
    assert all(torch.equal(view.index, passed[i % 2].index) for i, view in enumerate(passed))
    assert all(look["forget"] == look["retain"] == 1 for look in rule.seen)
    assert len(passed[0].index.unique()) == SAMPLE


@pytest.mark.usefixtures("random_state_untouched")
def test_the_rule_reads_images_and_nothing_else(make_images, network):
    before = copy.deepcopy(network.state_dict())
    AgreementRule(network, make_images(10), make_images(10), seed=0).should_stop(network, 1)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert list(inspect.signature(AgreementRule).parameters) == ["original", "forget", "retain", "seed"]


# -- the rule inside unlearning ----------------------------------------------------------------------------------------

CONFIG = UnlearningConfig(epochs=3, batch_size=16, lr_ue=1e-3, lr_ra=1e-3, temperature=5.0, stop="agreement")


class Dictated:
    """A rule with given answers."""

    def __init__(self, answers):
        self.answers, self.seen, self.states, self.images_passed = list(answers), [], [], 7

    def should_stop(self, model, step):
        self.seen.append({"step": step})
        self.states.append(copy.deepcopy(model.state_dict()))
        return self.answers.pop(0)

    def restore_best(self, model):
        model.load_state_dict(self.states[0])
        return self.seen[0]["step"]


@pytest.fixture
def unlearn_with(monkeypatch, network, make_images, make_densities):
    sets = make_images(40, seed=1), make_images(70, seed=2)
    densities = make_densities(network, *sets)

    def run(rule, every, **changes):
        monkeypatch.setattr(adaptation, "AgreementRule", lambda *a: rule)
        monkeypatch.setattr(adaptation, "EVERY", every)
        return adaptation.unlearn(network, *sets, densities, dataclasses.replace(CONFIG, **changes), seed=0)

    return run


def test_unlearning_looks_every_so_many_steps_and_obeys(unlearn_with):
    rule = Dictated([False, False, True])
    found = unlearn_with(rule, 2)
    assert [look["step"] for look in rule.seen] == [2, 4, 6] == [look["step"] for look in found.agreement]
    assert (found.steps, len(found.loss_ra), found.images_watched) == (2, 2, 7)
    assert all(torch.equal(rule.states[0][name], value) for name, value in found.model.state_dict().items())


def test_the_best_look_is_put_back_when_the_epochs_run_out(unlearn_with):
    rule = Dictated([False] * 4)
    found = unlearn_with(rule, 2)
    assert [look["step"] for look in rule.seen] == [2, 4, 6, 8]  # of nine
    assert found.steps == 2
    assert all(torch.equal(rule.states[0][name], value) for name, value in found.model.state_dict().items())


def test_looking_changes_nothing_else(unlearn_with):
    """A rule that never stops and finds its last look the best gives the weights of the run without a rule."""
    rule = Dictated([False])
    watched, plain = unlearn_with(rule, 9), unlearn_with(None, 9, stop="last")
    expected = plain.model.state_dict()
    assert all(torch.equal(expected[name], value) for name, value in watched.model.state_dict().items())
    assert (plain.agreement, plain.images_watched, plain.steps) == ([], 0, 9)


def test_steps_before_the_first_look_are_kept(unlearn_with):
    rule = Dictated([])
    found = unlearn_with(rule, 100)
    assert found.steps == 9


def test_the_reported_step_is_that_of_the_weights(monkeypatch, network, make_images, make_densities):
    monkeypatch.setattr(adaptation, "EVERY", 5)
    monkeypatch.setattr(stopping, "FLOOR", 2.0)  # no look can be good enough
    sets = make_images(40, seed=1), make_images(70, seed=2)
    found = adaptation.unlearn(network, *sets, make_densities(network, *sets), CONFIG, seed=0)  # nine steps, one look
    assert [look["step"] for look in found.agreement] == [5]
    assert found.steps == 9
