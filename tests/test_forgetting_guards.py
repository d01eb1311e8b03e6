"""``forget``'s guards: the watch and what it lets through, rollback, weaker and stronger attempts, recoveries."""

import copy
import math
import re
from pathlib import Path

import pytest
import torch
from forgetting_fakes import GONE, LIGHT, X, Y, accuracy, forget, light, own_model, trained
from sklearn.datasets import load_digits
from torch import nn

from laf_utils.forgetting import Refused, attempts, choice, preparing, watch
from laf_utils.forgetting.sources import ArrayStore
from laf_utils.methods.method import fingerprint


@pytest.fixture(scope="module")
def model():
    return trained(own_model(), X, Y)


# -- guards -----------------------------------------------------------------------------------------------------------


def test_divergence_rolls_back_to_a_point_that_was_good(model, monkeypatch):
    """A run that breaks after a good look keeps that look; the broken weights never leave."""
    looks = []

    def measure(self, network):
        looks.append(1)
        good = {"finite": 1.0, "forget": 0.5, "named": 0.5, "retain": 1.0, "utility": 1.0, "classes": 1.0}
        return good if len(looks) == 1 else {"finite": 0.0}

    monkeypatch.setattr(watch.Watch, "measure", measure)
    monkeypatch.setattr(attempts, "ATTEMPTS", 1)
    unlearned, report = light(model, X[GONE], X[~GONE])
    (attempt,) = report.content["attempts"]
    assert attempt["ended"] == "not finite" and attempt["kept"]["step"] == watch.EVERY
    assert all(value.isfinite().all() for value in unlearned.parameters())


def test_rollback_puts_back_the_weights_of_the_best_look(model):
    own, network = watching(model), copy.deepcopy(model)
    network.mix.weight.data += 0.5
    best = fingerprint(network)
    good = {"step": 25, "finite": 1.0, "forget": 0.3, "named": 0.3, "utility": 0.95, "classes": 1.0}
    assert own.consider(network, good)
    network.mix.weight.data += 0.5
    assert not own.consider(network, good | {"step": 50, "named": 0.9})
    assert own.restore_best(network) == 25 and fingerprint(network) == best


def test_nothing_good_gives_the_original_back_and_says_so(model, monkeypatch):
    """Weaker attempts are made, and where none leaves a point above the floor there is nothing to give."""
    monkeypatch.setattr(watch.Watch, "trouble", lambda self, look: "below the utility floor")
    unlearned, report = light(model, X[GONE], X[~GONE])
    assert not report.content["kept"] and report.verdict == "retraining advised"
    assert "the copy given back is the original" in report.content["reasons"][0]
    assert fingerprint(unlearned) == fingerprint(model)
    assert [a["strength"] for a in report.content["attempts"]] == pytest.approx([1, 1 / 3, 1 / 9])


def test_outputs_that_are_not_finite_are_seen(model):
    """In a look itself, where no loss has said so: the run ends and nothing of it is kept."""
    own, broken = watching(model), copy.deepcopy(model)
    broken.mix.weight.data[0, 0] = math.nan
    assert own.measure(broken) == {"finite": 0.0}
    assert own.should_stop(broken, 25) and own.ended == "not finite" and own.best is None
    assert own.rank(own.measure(model)) is not None and own.trouble(own.measure(model)) is None


def test_collapse_is_seen(model):
    sets = watch.Sets(*(preparing.OwnImages(ArrayStore(x), torch.device("cpu"), torch.float32, torch.arange(len(x)))
                        for x in (X[GONE], X[~GONE])), None)
    own = watch.Watch(model, sets, preparing.Scope("class", (0,), ""), floor=0.0)
    stuck = copy.deepcopy(model)
    stuck.decide.weight.data.zero_()
    look = own.measure(stuck)
    assert own.trouble(look) == "collapsed" and own.trouble(own.measure(model)) is None
    assert own.should_stop(stuck, 25) and own.ended == "collapsed" and own.best is None


def test_the_floor_keeps_a_point_out(model):
    sets = watch.Sets(*(preparing.OwnImages(ArrayStore(x), torch.device("cpu"), torch.float32, torch.arange(len(x)))
                        for x in (X[GONE], X[~GONE])), None)
    own = watch.Watch(model, sets, preparing.Scope("class", (0,), ""), floor=0.9)
    good = {"finite": 1.0, "forget": 0.3, "named": 0.3, "utility": 0.95, "classes": 1.0}
    assert not own.consider(model, good | {"named": 0.0, "utility": 0.85})
    assert own.consider(model, good) and not own.consider(model, good | {"named": 0.4})
    assert own.consider(model, good | {"utility": 0.99}), "of equals the most useful"


def watching(model, floor=0.9, content=0.0):
    """A watch over the removal of class 0."""
    sets = watch.Sets(*(preparing.OwnImages(ArrayStore(x), torch.device("cpu"), torch.float32, torch.arange(len(x)))
                        for x in (X[GONE], X[~GONE])), None)
    return watch.Watch(model, sets, preparing.Scope("class", (0,), ""), floor, content)


def told(monkeypatch, own, model, looks):
    """The number of the look at which a watch that sees these ends the run, ``None`` where it never does."""
    given = iter({"finite": 1.0, "classes": 1.0, "utility": 1.0, "margin": 0.0} | look for look in looks)
    monkeypatch.setattr(own, "measure", lambda model: next(given))
    return next((number for number in range(len(looks)) if own.should_stop(model, watch.EVERY * (number + 1))), None)


def test_a_margin_that_shrinks_is_progress_and_one_that_stays_is_none(model, monkeypatch):
    """Answers change last: a watch that looked at answers alone would end every run of a sure model."""
    before = watching(model).margin_before
    with torch.no_grad():
        logits = model(X[GONE])
        assert before == pytest.approx((logits[:, 0] - logits[:, 1:].logsumexp(1)).mean().item(), abs=1e-3)
    assert before > 3
    shrinking = [{"named": 1.0, "margin": before * (1 - 0.1 * step)} for step in range(10)]
    assert told(monkeypatch, watching(model), model, shrinking) is None
    assert told(monkeypatch, watching(model), model, [{"named": 1.0, "margin": before}] * 10) == watch.PATIENCE


def test_utility_that_comes_back_is_progress_once_the_class_is_gone(model, monkeypatch):
    rising = [{"named": 0.0, "utility": 0.5 + 0.03 * step} for step in range(10)]
    own = watching(model)
    assert told(monkeypatch, own, model, rising) is None and own.best is None
    assert own.cheapest[0] == pytest.approx(0.77), "where a recovery would start"
    assert told(monkeypatch, watching(model), model, [{"named": 0.0, "utility": 0.5}] * 10) == watch.PATIENCE
    assert told(monkeypatch, watching(model), model, [{"named": 0.0, "utility": 0.95}] * 10) == 0
    assert told(monkeypatch, watching(model, content=0.99), model, [{"named": 0.0, "utility": 0.95}] * 10) == watch.PATIENCE


def test_single_images_are_looked_at_after_a_few_steps(model, monkeypatch):
    """They may be gone after one pass over them; a watch that first looks after many has spent utility for nothing."""
    own = watching(model)
    assert own.every == watch.EVERY and watching(model, content=0.99).every == watch.EARLY
    sets = watch.Sets(own.sets["forget"], own.sets["retain"], own.sets["retain"])
    few = watch.Watch(model, sets, choice.Scope("instances", (), ""), 0.9)
    assert few.every == watch.EARLY
    seen = {"finite": 1.0, "classes": 1.0, "utility": 1.0, "forget": 1.0, "unseen": 1.0, "auc": 0.9}
    monkeypatch.setattr(few, "measure", lambda model: dict(seen))
    steps = range(watch.EARLY, 6 * watch.EVERY, watch.EARLY)
    assert next(step for step in steps if few.should_stop(model, step)) == watch.PATIENCE * watch.EVERY
    assert [look["step"] for look in few.seen] == [5, 10, 15, 20, 25, 50, 75, 100]


def test_every_single_image_is_passed_once_before_it_counts_as_forgotten(model, monkeypatch):
    own = watching(model)
    sets = watch.Sets(own.sets["forget"], own.sets["retain"], own.sets["retain"], once=13)
    few = watch.Watch(model, sets, choice.Scope("instances", (), ""), 0.9)
    monkeypatch.setattr(few, "measure", lambda model: {"finite": 1.0, "utility": 1.0, "forget": 1.0, "unseen": 1.0, "auc": 0.5})
    assert [few.should_stop(model, step) for step in (5, 10, 15)] == [False, False, True]
    assert few.best[1]["step"] == 15


def digits_network():
    """A small network whose last hidden layer ends in a ReLU, and scikit-learn's digits: hard to forget in at no cost."""
    images, labels = (torch.tensor(part) for part in load_digits(return_X_y=True))
    torch.manual_seed(0)
    own = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10))
    optimiser = torch.optim.Adam(own.parameters(), 1e-2)
    for _ in range(100):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(own(images.float() / 16), labels).backward()
        optimiser.step()
    return own.eval(), images.float() / 16, labels


@pytest.mark.slow
@pytest.mark.parametrize("removed", [0, 3])
def test_a_head_on_a_relu_forgets_too_by_a_recovery(removed):
    """How much is left hangs on rounding, so on seed and processor, 1 % to half of the class; one of two seeds forgets it, and
    the report of the other says that it did not, or that a closed form took the answer alone."""
    own, images, labels = digits_network()
    gone, accepted = labels == removed, 0
    assert accuracy(own, images[gone], labels[gone]) > 0.95
    for seed in (0, 1):
        unlearned, report = forget(own, images[gone], images[~gone], seed=seed)
        left, kept = accuracy(unlearned, images[gone], labels[gone]), accuracy(unlearned, images[~gone], labels[~gone])
        reasons = " ".join(report.content["reasons"])
        by_form = "answer alone is gone, in closed form" in reasons  # right on every image, and not acceptable
        assert report.acceptable == (left < 0.05 and kept > 0.95 and not by_form)
        why = re.search(r"still answered with a removed class|is below the floor of 95 %", reasons)
        assert report.acceptable or by_form or why
        recoveries = [attempt for attempt in report.content["attempts"] if attempt["ended"].startswith("recovery")]
        accepted += report.acceptable and any(attempt["kept"] for attempt in recoveries)
    assert accepted


def test_weaker_attempts_that_lead_nowhere_end_in_a_strong_one():
    class Seen:
        has_goal, seen = True, [{}]
        left, broken, ended = 1.0, "utility", "its last step"

        def forgotten(self, look):
            return self.left

        def trouble(self, look):
            return self.broken

    watch, tried = Seen(), [1.0]
    while following := attempts._next_strength(tried, watch, {}):
        tried += following
    assert tried == pytest.approx([1.0, 1 / 3, 1 / 9, attempts.STRONGER])
    watch.broken = None  # a dip that was won back
    assert attempts._next_strength([1.0], watch, {}) == [attempts.STRONGER]
    assert attempts._next_strength([1.0, attempts.STRONGER], watch, None) == pytest.approx([attempts.STRONGER / 3])
    watch.left = 0.0
    assert attempts._next_strength([1.0], watch, {}) == [], "forgotten: it will do"
    watch.left = 1.0
    assert attempts._next_strength([1.0, 1 / 3, 1 / 9], watch, None) == [], "weaker attempts that break it too"
    watch.ended = "not finite"
    assert attempts._next_strength([1.0, 1 / 3, 1 / 9], watch, {}) == []


def test_what_stood_in_the_way_is_said(monkeypatch):
    """Without a recovery that network cannot be made to forget above the floor; the report says what it would have cost."""
    own, images, labels = digits_network()
    gone = labels == 3
    monkeypatch.setattr(attempts, "_recovered", lambda laf, work, settings, watch, make_watch, outcome: (None, watch))
    _, report = forget(own, images[gone], images[~gone])
    assert re.search(r"still represent it; where training removed it, utility was \d+\.\d % at best", str(report))
    _, report = forget(own, images[gone], images[~gone], method="laf")
    assert not report.acceptable
    assert re.search(r"still answered with a removed class; where they were not, utility was \d+\.\d % at best", str(report))


def test_stronger_attempts_repel_more_and_weaker_ones_step_less():
    stronger, weaker = (choice.strengthened(LIGHT, factor).unlearning for factor in (5.0, 0.5))
    assert stronger.lr_ra == pytest.approx(5 * LIGHT.unlearning.lr_ra)
    assert stronger.temperature == pytest.approx(LIGHT.unlearning.temperature / 5)
    assert weaker.lr_ue == pytest.approx(0.5 * LIGHT.unlearning.lr_ue) and weaker.temperature == LIGHT.unlearning.temperature


def test_units_that_are_silent_on_the_forget_set_do_not_break_it(model):
    """Half the representation is a ReLU's zeros on D_f; without a least spread their standard scores overflow."""
    own = copy.deepcopy(model)
    own.mix.bias.data[:12] -= 100.0
    _, report = light(own, X[GONE], X[~GONE])
    assert report.content["attempts"][0]["ended"] != "not finite"


def test_every_reason_of_a_refusal_is_documented():
    code = "".join(file.read_text(encoding="utf-8") for file in Path(attempts.__file__).parent.glob("*.py"))
    reasons = set(re.findall(r"(?:Refused|__init__)\(\s*\"([a-z_]+)\"", code))
    assert len(reasons) > 15 and [reason for reason in reasons if f"``{reason}``" not in Refused.__doc__] == []
