"""Attacks on probabilities: neighbouring classes, and what unlearning says about the images that stay."""

import numpy as np
import pytest
import torch
from scipy import stats

from laf_utils.audit.attackers import cross_fitted, log_probabilities
from laf_utils.audit.neighbours import neighbour_attack, neighbours_of, over_kept, total_variation
from laf_utils.audit.retained import FORGOTTEN, RETAINED, UNSEEN, before_and_after, three_way


def normal(*shape, seed=0, shift=0.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) + shift


# -- the attacker ----------------------------------------------------------------------------------------------------------


def test_the_attacker_is_blind_on_equal_groups_and_finds_a_shift_as_far_as_it_can():
    blind = cross_fitted([normal(1500, 2), normal(1500, 2, seed=1)], seed=0)
    sharp = cross_fitted([normal(1500, 2, shift=1), normal(1500, 2, seed=1)], seed=0)

    def right(scores):
        return np.mean([(part.argmax(1) == kind).mean() for kind, part in enumerate(scores)])

    assert abs(right(blind) - 0.5) < 0.04
    assert right(sharp) == pytest.approx(stats.norm.cdf(np.sqrt(2) / 2), abs=0.03)  # best threshold between two Gaussians


def test_no_image_is_scored_by_a_fit_that_saw_it():
    """With an input of its own for every image, a fit that saw it would know its kind."""
    x = torch.eye(200, dtype=torch.float64)
    scores = cross_fitted([x[:100], x[100:]], seed=0)
    assert abs(np.mean([(part.argmax(1) == kind).mean() for kind, part in enumerate(scores)]) - 0.5) < 0.15


def test_an_unequal_number_does_not_make_the_attacker_guess():
    scores = cross_fitted([normal(60, 1), normal(3000, 1, seed=1)], seed=0)
    assert 0.3 < (scores[0].argmax(1) == 0).mean() < 0.7
    with pytest.raises(ValueError, match="at least 4 images"):
        cross_fitted([normal(3, 1), normal(9, 1)], seed=0)


def test_a_probability_of_zero_has_a_logarithm():
    assert torch.isfinite(log_probabilities(torch.tensor([[1.0, 0.0]]))).all()


# -- neighbours ------------------------------------------------------------------------------------------------------------


def test_probabilities_over_kept_classes_are_conditional():
    p = normal(50, 5).softmax(1)
    found = over_kept(p, (1, 3))
    assert torch.allclose(found, (p[:, [0, 2, 4]] / (1 - p[:, [1, 3]].sum(1, keepdim=True))).double(), atol=1e-6)
    assert torch.isfinite(over_kept(torch.tensor([[1.0, 0.0, 0.0]]), (0,))).all()
    for wrong in ((), (0, 1, 2, 3, 4)):
        with pytest.raises(ValueError, match="removed classes and kept ones"):
            over_kept(p, wrong)


def test_neighbours_are_where_the_probability_goes():
    p = torch.tensor([[0.5, 0.1, 0.3, 0.1], [0.6, 0.0, 0.3, 0.1]])
    assert neighbours_of(p, (0,), 2) == [2, 3]
    assert neighbours_of(p, (2,), 1) == [0]


def test_total_variation_is_a_hand_count_and_blind_to_the_removed_class():
    a, b = torch.tensor([[0.2, 0.4, 0.4]]), torch.tensor([[0.9, 0.1, 0.0]])
    assert total_variation(a, b, (0,)).item() == pytest.approx(0.5, abs=1e-6)
    logits = normal(20, 6)
    shut = logits.clone()
    shut[:, 2] = -1e3
    assert total_variation(logits.softmax(1), shut.softmax(1), (2,)).max() < 1e-6


def test_shutting_the_class_changes_nothing_for_the_attack_on_neighbours():
    """The attack reads the kept classes alone: what an output that is shut hides, it finds as before."""
    removed, near = normal(300, 4), normal(300, 4, seed=1)
    removed[:, 1] += 2
    open_ = neighbour_attack(removed.softmax(1), near.softmax(1), (0,), seed=0)
    shut = [torch.cat([torch.full((300, 1), -1e3), part[:, 1:]], 1).softmax(1) for part in (removed, near)]
    assert open_.value > 0.8
    assert neighbour_attack(*shut, (0,), seed=0).value == pytest.approx(open_.value, abs=1e-3)
    assert abs(neighbour_attack(near.softmax(1), normal(300, 4, seed=2).softmax(1), (0,), seed=0).value - 0.5) < 0.08


# -- retained --------------------------------------------------------------------------------------------------------------


def pairs(count=700, classes=4, seed=0):
    """Logits of an original on three kinds of images, drawn alike, and of what came after: noise of the same size for all."""
    before = [normal(count, classes, seed=10 * seed + kind) * 2 for kind in range(3)]
    return before, [part + 0.3 * normal(count, classes, seed=10 * seed + 5 + kind) for kind, part in enumerate(before)]


def attacked(before, after, seed=0):
    return three_way([before_and_after(a.softmax(1), b.softmax(1)) for a, b in zip(before, after, strict=True)], seed=seed)


def test_a_change_that_is_the_same_for_all_gives_nothing_away():
    found = attacked(*pairs())
    assert abs(found["retained"].value - 0.5) < 0.05
    assert abs(found["forgotten"].value - 0.5) < 0.05
    assert abs(found["right"].value - 1 / 3) < 0.05


def test_a_change_that_spares_retained_images_gives_them_away():
    before, after = pairs()
    after[FORGOTTEN] = after[FORGOTTEN].roll(1, 1)
    after[RETAINED] = before[RETAINED] * 1.3
    found = attacked(before, after)
    assert found["retained"].value > 0.65
    assert found["forgotten"].value > 0.85
    assert found["right"].value > 0.5
    assert before[UNSEEN].shape == after[UNSEEN].shape


def test_features_hide_the_class_and_keep_what_became_of_it():
    before, after = torch.tensor([[0.7, 0.1, 0.2]]), torch.tensor([[0.1, 0.6, 0.3]])
    order, turned = [2, 0, 1], before_and_after(before, after)
    assert torch.equal(turned, before_and_after(before[:, order], after[:, order]))
    assert torch.allclose(turned[0, :3].exp(), torch.tensor([0.7, 0.2, 0.1]).double(), atol=1e-6)
    assert torch.allclose(turned[0, 3:6].exp(), torch.tensor([0.1, 0.3, 0.6]).double(), atol=1e-6)
    assert torch.allclose(turned[0, 6:], turned[0, 3:6] - turned[0, :3])


def test_every_kind_weighs_the_same_and_three_are_needed():
    groups = [normal(30, 1, shift=-50), normal(300, 1), normal(100, 1, shift=50)]
    assert three_way(groups, seed=0)["right"].value == pytest.approx(1)
    wrong_small = [normal(300, 1, seed=3), normal(300, 1), normal(600, 1, shift=50)]
    assert three_way(wrong_small, seed=0)["right"].value == pytest.approx(2 / 3, abs=0.06)
    with pytest.raises(ValueError, match="three kinds"):
        three_way(groups[:2], seed=0)
