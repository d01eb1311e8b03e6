"""The forget score by the competition's rules: hand counts, its caps, and a search over its grid of thresholds."""

import math

import numpy as np
import pytest
import torch

from laf_utils.audit.forget_score import CAP, DELTA, example_epsilon, forget_score, points


def column(*values):
    return torch.tensor(values)[:, None]


def test_one_threshold_is_a_hand_count():
    # Ranges alike, so that two thresholds see no more; above 2.5 lie 3 of 4 unlearned and 1 of 4 retrained.
    unlearned, retrained = column(3.0, 3.1, 3.2, 1.0), column(0.0, 0.1, 0.2, 3.05)
    both = math.log((1 - DELTA - 1 / 4) / (1 / 4))
    one_side = math.log((1 - DELTA - 1 / 4) / (2 / 4))  # any other threshold with two errors
    assert example_epsilon(unlearned, retrained).item() == pytest.approx(max(both, one_side))


def test_two_thresholds_find_what_lies_in_the_middle():
    unlearned, retrained = column(-1.0, -0.5, 0.5, 1.0, 1.6), column(-2.0, -1.9, 1.5, 1.9, 2.0)
    # Between -1 and 1.55 lie 4 of 5 unlearned and 1 of 5 retrained; no single threshold does so well.
    assert example_epsilon(unlearned, retrained).item() == pytest.approx(math.log((1 - DELTA - 1 / 5) / (1 / 5)))


def test_errors_of_one_kind_alone_do_not_count_and_no_error_at_all_is_the_cap():
    # From 1 on: no false positive, one of two missed, which so few models cannot show.
    assert example_epsilon(column(0.0, 1.0), column(0.0, 0.5)).item() < CAP
    assert example_epsilon(column(5.0, 6.0), column(0.0, 1.0)).item() == CAP
    assert example_epsilon(column(0.5, 0.501), column(0.0, 1.0)).item() == CAP, "a range of less than 1 % of the other's"
    assert example_epsilon(column(1.0, 1.0), column(1.0, 1.0)).item() == 0


def test_points_halve_and_end_at_what_so_many_models_can_show():
    epsilon = torch.tensor([0.0, 0.49, 0.5, 1.7, 2.4, 2.9, 3.0, 50.0])
    assert points(epsilon, 16).tolist() == [1, 1, 0.5, 0.125, 2**-4, 2**-5, 0, 0]  # ceil(log 15) = 3
    assert points(epsilon, 8).tolist()[3:6] == [0.125, 0, 0]  # ceil(log 7) = 2


def test_models_that_share_nothing_score_nothing_and_equal_ones_everything():
    phi = torch.randn(16, 30, generator=torch.Generator().manual_seed(0))
    assert forget_score(phi + 50, phi) == 0 and forget_score(phi, phi) == 1
    with pytest.raises(ValueError, match="as many"):
        forget_score(phi, phi[:8])


def grid(unlearned, retrained):
    """Epsilon of one image by the rules of the competition's code, on its grid of 100 thresholds per nat."""
    positive, negative = sorted((unlearned, retrained), key=np.median, reverse=True)
    rates = []
    both = np.r_[positive, negative]
    edges = np.linspace(both.min(), both.max(), int(np.ceil(np.ptp(both) * 100)))
    rates.append(((negative[None] >= edges[:, None]).mean(1), (positive[None] < edges[:, None]).mean(1)))
    inner, outer = sorted((positive, negative), key=np.ptp)
    for right in np.linspace(inner.max() - 2, inner.max() + 2, 400):
        left = np.linspace(right - np.ptp(inner) - 2, right - np.ptp(inner) + 2, 400)[:, None]
        inside = [((left <= group[None]) & (group[None] <= right)).mean(1) for group in (outer, inner)]
        rates.append((inside[0], 1 - inside[1]))
    fpr, fnr = (np.concatenate(side) for side in zip(*rates, strict=True))
    if ((fpr == 0) & (fnr == 0)).any():
        return CAP
    fpr, fnr = fpr[keep := (fpr > 0) & (fnr > 0)], fnr[keep]
    with np.errstate(invalid="ignore", divide="ignore"):
        return max(np.nanmax([np.log(1 - DELTA - fpr) - np.log(fnr), np.log(1 - DELTA - fnr) - np.log(fpr)]), 0)


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_every_place_between_models_is_what_a_fine_grid_finds(scale):
    draw = torch.Generator().manual_seed(1)
    unlearned, retrained = (scale * torch.randn(2, 8, 8, generator=draw, dtype=torch.float64)).unbind()
    exact = example_epsilon(unlearned, retrained).numpy()
    searched = np.array([grid(unlearned[:, image].numpy(), retrained[:, image].numpy()) for image in range(8)])
    assert (exact >= searched - 1e-9).all(), "the grid may miss a place, never find another"
    assert (np.abs(exact - searched) < 1e-9).mean() > 0.7
