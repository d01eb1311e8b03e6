"""The published membership attack: who is learned from, who is attacked, and what its numbers mean."""

import math

import numpy as np
import pytest
import torch

from laf_utils.audit import attack as room
from laf_utils.audit import published_attack
from laf_utils.audit.attack import sorted_probabilities


def marked(count, offset):
    """[count, 2] probabilities that tell which row they are: the larger one is 0.6 + (offset + row) * 1e-6."""
    large = 0.6 + (offset + torch.arange(count, dtype=torch.float64)) * 1e-6
    return torch.stack([large, 1 - large], 1)


def rows_of(features, offset):
    """The rows that marked features came from."""
    return ((features[:, 1] - 0.6) * 1e6).round().astype(int) - offset


class Spy:
    """Stands for the classifier: notes what it is given and always says member."""

    made = None

    def __init__(self, **settings):
        self.settings = settings
        type(self).made = self

    def fit(self, features, member):
        self.learned, self.member = features, member

    def predict_proba(self, features):
        self.attacked = features
        return np.tile([0.2, 0.8], (len(features), 1))


@pytest.fixture
def spy(monkeypatch):
    monkeypatch.setattr(room, "XGBClassifier", Spy)
    return Spy


RETAIN, FORGET, TEST = 0, 100_000, 200_000  # offsets


def attack(retain, forget, test, seed=0):
    return published_attack(marked(retain, RETAIN), marked(forget, FORGET), marked(test, TEST), seed=seed)


@pytest.mark.parametrize(("retain", "forget", "test", "learned", "attacked"), [
    pytest.param(54_077, 5_923, 10_000, (5_024, 5_024), (5_923, 4_976), id="MNIST class 0"),
    pytest.param(48_240, 11_760, 10_000, (5_024, 5_024), (11_760, 4_976), id="MNIST data"),
    pytest.param(41_645, 18_355, 10_000, (5_024, 5_024), (18_355, 4_976), id="MNIST noisy"),
    pytest.param(45_000, 5_000, 10_000, (5_000, 5_024), (5_000, 4_976), id="CIFAR-10 class: all 5,000"),
    pytest.param(68_312, 4_945, 26_032, (4_945, 5_024), (4_945, 4_960), id="SVHN class 0: whole batches until as many"),
    pytest.param(59_000, 1_000, 10_000, (1_000, 5_024), (1_000, 1_024), id="a smaller forget set"),
    pytest.param(300, 5_000, 10_000, (300, 5_024), (5_000, 4_976), id="a smaller retain set"),
])
def test_rows(spy, retain, forget, test, learned, attacked):
    found = attack(retain, forget, test)
    assert (found.learned_members, found.learned_non_members) == learned
    assert (found.members, found.non_members) == attacked
    assert found.as_published
    used = len(spy.made.learned)
    assert used == sum(learned) - math.ceil(0.01 * sum(learned)), "one per cent is split off and never used"
    assert len(spy.made.attacked) == sum(attacked)


def test_who_is_learned_from_and_who_is_attacked(spy):
    attack(20_000, 6_000, 10_000)
    learned, member = spy.made.learned, spy.made.member
    inside, outside = rows_of(learned[member == 1], RETAIN), rows_of(learned[member == 0], TEST)
    assert len(set(inside)) == len(inside)
    assert set(inside) <= set(range(20_000))
    assert inside.max() > 19_000, "drawn from all of the retain set"
    assert set(outside) <= set(range(5_024)), "the first test items in their order"
    assert len(set(outside)) == len(outside) >= 4_900
    assert rows_of(spy.made.attacked[:6_000], FORGET).tolist() == list(range(6_000))
    assert rows_of(spy.made.attacked[6_000:], TEST).tolist() == list(range(5_024, 10_000))


def test_nobody_is_learned_from_and_attacked(spy):
    attack(2_000, 700, 900)
    learned, attacked = (set(np.round(f[:, 1] * 1e6).astype(int)) for f in (spy.made.learned, spy.made.attacked))
    assert not learned & attacked


@pytest.mark.parametrize(("test", "learned"), [(5_024, 2_512), (5_000, 2_500), (449, 224), (2, 1)])
def test_small_test_sets_fall_back_to_half_and_say_so(spy, test, learned):
    found = attack(9_000, 6_000, test)
    assert found.learned_non_members == learned
    assert found.non_members == test - learned
    assert not found.as_published


def test_one_test_image_more_is_as_published(spy):
    found = attack(9_000, 6_000, 5_025)
    assert (found.as_published, found.learned_non_members, found.non_members) == (True, 5_024, 1)


def test_no_test_set_no_attack():
    with pytest.raises(ValueError, match="needs test images"):
        attack(100, 100, 1)


def test_always_member_scores_the_chance_level(spy):
    found = attack(54_077, 5_923, 10_000)
    assert found.asr == found.chance == pytest.approx(100 * 5_923 / (5_923 + 4_976))
    assert found.balanced_accuracy == 50
    assert found.auc == 50
    assert (attack(48_240, 11_760, 10_000).chance, attack(41_645, 18_355, 10_000).chance) == (
        pytest.approx(70.27, abs=0.01), pytest.approx(78.67, abs=0.01),
    )


def test_the_classifier_is_the_published_one(spy):
    attack(100, 100, 100)
    assert spy.made.settings["n_estimators"] == 100
    assert spy.made.settings["objective"] == "binary:logistic"
    assert set(spy.made.settings) <= {"n_estimators", "objective", "n_jobs"}, "otherwise defaults"


def test_features_are_sorted_ascending():
    p = torch.tensor([[0.7, 0.1, 0.2], [0.0, 0.5, 0.5]])
    assert sorted_probabilities(p) == pytest.approx(np.array([[0.1, 0.2, 0.7], [0.0, 0.5, 0.5]]))


def test_the_seed_draws_members_and_unused_rows(spy):
    def learned(seed):
        attack(3_000, 500, 900, seed)
        return {tuple(row) for row in spy.made.learned.round(7)}

    assert learned(0) == learned(0)
    assert len(learned(0) & learned(1)) < 0.7 * len(learned(0))


# -- the real classifier -----------------------------------------------------------------------------------------------


def probabilities(count, sharpness, seed, classes=10):
    draw = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(count, classes, generator=draw)).softmax(1)


def test_an_overfitted_model_is_seen_through():
    found = published_attack(probabilities(2_000, 8, 0), probabilities(800, 8, 1), probabilities(1_600, 1, 2), seed=0)
    assert found.auc > 97
    assert found.balanced_accuracy > 90
    assert found.tpr_at_1_fpr > 50
    assert found.asr > 90


def test_forgotten_images_that_look_like_test_images_are_not_found():
    found = published_attack(probabilities(2_000, 8, 0), probabilities(800, 1, 1), probabilities(1_600, 1, 2), seed=0)
    assert found.asr == pytest.approx(50, abs=5)  # 800 against 800: called non-members, as the attacked test images are
    assert found.auc == pytest.approx(50, abs=5)
    assert found.balanced_accuracy == pytest.approx(50, abs=5)


def test_identical_distributions_are_blind():
    found = published_attack(probabilities(3_000, 2, 0), probabilities(1_500, 2, 1), probabilities(3_000, 2, 2), seed=0)
    assert found.chance == pytest.approx(50)
    for value in (found.asr, found.balanced_accuracy, found.auc):
        assert value == pytest.approx(50, abs=3.5)
    assert found.tpr_at_1_fpr < 5


@pytest.mark.usefixtures("random_state_untouched")
def test_the_attack_is_deterministic_and_blind_to_class_names():
    sets = probabilities(600, 3, 0), probabilities(300, 2, 1), probabilities(600, 1, 2)
    first = published_attack(*sets, seed=0)
    assert published_attack(*sets, seed=0) == first
    order = torch.randperm(10, generator=torch.Generator().manual_seed(1))
    assert published_attack(*(p[:, order] for p in sets), seed=0) == first


def test_scores_by_hand():
    truth, score = np.array([1, 1, 1, 0, 0]), np.array([0.9, 0.6, 0.4, 0.7, 0.5])  # 0.5 is not "more likely than not"
    found = room._scored(truth, score, 10, 20, True)
    assert found.asr == pytest.approx(60)
    assert found.chance == pytest.approx(60)
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2) * 50)
    assert found.auc == pytest.approx(100 * (2 + 1 + 0) / 6)
    assert found.tpr_at_1_fpr == pytest.approx(100 / 3)
    assert found.as_dict()["learned_non_members"] == 20


def test_tpr_at_one_per_cent_with_ties():
    score = np.repeat(np.linspace(0, 1, 200), 2)  # each value once in each group
    found = room._scored(np.tile([1, 0], 200), score, 1, 1, True)
    assert found.tpr_at_1_fpr == pytest.approx(1.0)
