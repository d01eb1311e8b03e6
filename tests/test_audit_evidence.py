"""What every audit of the representation rests on: intervals, the null and the power, against closed forms and simulation."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score

from laf_utils.audit.evidence import POWER, SHARES, PerImage, auc_of, compare, findings, mean_of, power_of


def draw(seed=0):
    return np.random.default_rng(seed)


def test_an_auc_is_the_mean_of_either_groups_places():
    first, second = draw().normal(0.5, 1, 70).round(1), draw(1).normal(0, 1, 90).round(1)  # rounded: with ties
    found = auc_of(torch.from_numpy(first), second)
    expected = roc_auc_score(np.repeat([1, 0], [70, 90]), np.concatenate([first, second]))
    assert found.value == pytest.approx(expected)
    assert found.second.mean() == pytest.approx(expected)


def test_the_interval_of_a_difference_is_delongs_with_the_null_added():
    own, goal = auc_of([3.0, 1, 2, 5], [0.0, 4, 1]), auc_of([1.0, 2, 0, 3], [1.0, 2, 2])
    same = compare(own, goal, goal)
    variance = np.var(own.first - goal.first, ddof=1) / 4 + np.var(own.second - goal.second, ddof=1) / 3
    assert same.excess == pytest.approx(own.value - goal.value)
    assert same.high - same.excess == pytest.approx(1.959964 * np.sqrt(variance))
    again = PerImage(goal.first + 0.1, goal.second + 0.1)
    wider = compare(own, goal, again)
    assert wider.floor == pytest.approx(0.1)
    assert wider.high - wider.excess == pytest.approx(1.959964 * np.sqrt(variance + 0.01))


def test_the_interval_covers_the_true_difference_where_training_adds_nothing():
    """Two scores of the same images, AUCs known in closed form: Phi(d / sqrt 2)."""
    g, covered = draw(3), 0
    truth = stats.norm.cdf(1 / np.sqrt(2)) - 0.5
    for _ in range(300):
        blind = auc_of(g.normal(size=80), g.normal(size=60))
        sharp = auc_of(g.normal(1, 1, 80), g.normal(size=60))
        found = compare(sharp, blind, PerImage(blind.first, blind.second))
        covered += found.low <= truth <= found.high
    assert 0.91 < covered / 300 < 0.985


def test_the_second_retrained_model_never_differs():
    g = draw(4)
    for _ in range(50):
        goal, again = (mean_of(g.random(200) + shift) for shift in (0, g.normal()))
        assert not compare(again, goal, again).differs


def test_the_sizes_of_groups_must_agree():
    with pytest.raises(ValueError, match="measures of 3, 4 and 3 images"):
        compare(mean_of([1, 2, 3]), mean_of([1, 2, 3, 4]), mean_of([1, 2, 3]))
    with pytest.raises(ValueError, match="two images"):
        mean_of([1.0])
    with pytest.raises(ValueError, match="two images of each kind"):
        auc_of([1.0, 2], [1.0])


def detected(goal, again, leak, share, seed, repeats=300):
    """How often a leak planted by hand, in another way than ``power_of`` does, is found by ``compare`` on fresh draws."""
    g, found = draw(seed), 0
    for _ in range(repeats):
        a, b = goal(g), again(g)
        planted = np.where(np.arange(len(a)) < share * len(a), leak, b)
        found += compare(PerImage(planted), PerImage(a), PerImage(np.full(len(a), a.mean()))).differs
    return found / repeats


def test_the_power_is_the_share_that_is_found_four_times_in_five():
    """Chances of 30 % to be right in both retrained models; a leak is right for certain."""
    def images(g):
        return (g.random(400) < 0.3).astype(float)

    goal = images(draw(5))
    again = goal[::-1].copy()  # the same mean: no floor
    found = power_of(PerImage(goal), PerImage(again), seed=0)
    assert found.as_original is None
    place = SHARES.index(found.given_away)
    assert detected(images, images, 1.0, found.given_away, 6) > POWER - 0.1
    assert detected(images, images, 1.0, SHARES[place - 1], 7) < POWER


def test_a_measure_on_which_the_original_is_like_the_retrained_model_has_no_power_over_it():
    g = draw(8)
    goal, again, original = (mean_of((g.random(500) < 0.97).astype(float)) for _ in range(3))
    found = power_of(goal, again, original, seed=0)
    assert found.as_original is None
    leaky = power_of(mean_of(np.zeros(500)), mean_of(np.zeros(500)), mean_of(np.ones(500)), seed=0)
    assert leaky.as_original == leaky.given_away <= 0.02


def test_retrained_models_that_differ_more_hide_larger_leaks():
    g = draw(9)
    goal = (g.random(2000) < 0.3).astype(float)
    near, far = goal[::-1].copy(), (g.random(2000) < 0.4).astype(float)
    small, large = (power_of(PerImage(goal), PerImage(again), seed=0).given_away for again in (near, far))
    assert small < large


def test_findings_leave_out_the_retrained_model_and_carry_the_power():
    measured = {name: mean_of(draw(seed).random(50)) for seed, name in enumerate(("retrained", "retrained_again", "own"))}
    found = findings(measured, seed=0)
    assert set(found) == {"retrained_again", "own"}
    assert found["own"].power == found["retrained_again"].power
    assert set(vars(found["own"])) >= {"value", "retrained", "excess", "low", "high", "floor", "differs", "power"}
    assert findings(measured, seed=0) == found, "plantings are drawn from the seed"
