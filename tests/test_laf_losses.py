"""LAF's losses: their arithmetic by hand, the paper's formula, and what any implementation must meet."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from laf_fakes import FULL, STILL, Fixed, still_network

from laf_utils.adaptation import unlearn
from laf_utils.losses import Densities, drift, extractor_unlearning_loss, representation_alignment_loss, saturating

# -- s, L_UE and L_RA by hand ------------------------------------------------------------------------------------------


def test_s_goes_from_one_to_e():
    values = saturating(torch.tensor([0.0, 1.0, 3.0, 160.0, 1e30]))
    assert values.tolist() == pytest.approx([1, math.exp(1 / 2), math.exp(3 / 4), math.exp(160 / 161), math.e])


def test_s_is_flat_where_the_sigmoid_decoder_leaves_m():
    m = torch.tensor([0.0, 1.0, 160.0], requires_grad=True)
    saturating(m).sum().backward()
    assert m.grad.tolist() == pytest.approx([1, math.exp(0.5) / 4, math.exp(160 / 161) / 161**2], rel=1e-4)
    assert m.grad[2] / m.grad[0] == pytest.approx(1e-4, rel=0.1)


@pytest.mark.parametrize(("reduction", "expected"), [
    ("sum", 1 + math.exp(1 / 2) - math.exp(3 / 4)),
    ("mean", (1 + math.exp(1 / 2)) / 2 - math.exp(3 / 4)),
])
def test_extractor_unlearning_by_hand(reduction, expected):
    densities = Densities(Fixed(0.0, 1.0), Fixed(3.0))
    loss = extractor_unlearning_loss(torch.zeros(2, 4), torch.zeros(1, 4), densities, None, reduction)
    assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize(("reduction", "halves", "expected"), [
    ("sum", "both", 1.5 - 2 * math.log(1 + math.e)),
    ("sum", "retain", 1.5),
    ("sum", "forget", -2 * math.log(1 + math.e)),
    ("mean", "both", 0.75 - math.log((1 + math.e) / 2)),
    ("mean", "retain", 0.75),
    ("mean", "forget", -math.log((1 + math.e) / 2)),
])
def test_representation_alignment_by_hand(reduction, halves, expected):
    retain, forget = torch.tensor([0.5, 1.0]), torch.tensor([0.0, 2.0])
    loss = representation_alignment_loss(retain, forget, 2.0, reduction, halves)
    assert loss.item() == pytest.approx(expected)


drifts = st.lists(st.floats(0, 2, width=32), min_size=1, max_size=40).map(torch.tensor)


@given(drifts, drifts, st.floats(0.5, 50))
def test_representation_alignment_is_the_papers_formula(retain, forget, tau):
    retain, forget = retain.double(), forget.double()
    paper = sum(torch.log(c.exp() / sum((d / tau).exp() for d in forget)) for c in retain)
    assert torch.allclose(representation_alignment_loss(retain, forget, tau), paper)
    halves = [representation_alignment_loss(retain, forget, tau, "sum", half) for half in ("retain", "forget")]
    assert torch.allclose(sum(halves), paper)


def test_a_small_temperature_overflows_nothing():
    forget = torch.tensor([0.0, 2.0], requires_grad=True)
    loss = representation_alignment_loss(torch.tensor([0.0]), forget, 1e-3)
    loss.backward()
    assert loss.item() == pytest.approx(-2000)
    assert forget.grad.isfinite().all()


def test_drift_is_one_minus_the_cosine():
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [3.0, 4.0]])
    b = torch.tensor([[5.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [4.0, 3.0]])
    assert drift(a, b).tolist() == pytest.approx([0, 1, 2, 1 - 24 / 25])


# -- what any implementation must meet ---------------------------------------------------------------------------------


@given(st.floats(0.1, 100))
def test_alignment_starts_at_minus_32_ln_32(tau):
    start = representation_alignment_loss(torch.zeros(32), torch.zeros(32), tau)
    assert start.item() == pytest.approx(FULL, abs=1e-3)
    assert pytest.approx(-110.904, abs=1e-3) == FULL
    assert representation_alignment_loss(torch.zeros(32), torch.zeros(32), tau, "mean").item() == pytest.approx(0, abs=1e-5)


@given(st.lists(st.floats(0, 2), min_size=64, max_size=64), st.floats(1, 50))
def test_alignment_falls_by_at_most_64_over_tau(values, tau):
    retain, forget = torch.tensor(values).split(32)
    least = FULL - 64 / tau
    assert representation_alignment_loss(retain, forget, tau).item() >= least - 1e-3
    opposite = representation_alignment_loss(torch.zeros(32), torch.full((32,), 2.0), tau)
    assert opposite.item() == pytest.approx(least, abs=1e-3)


@given(st.lists(st.floats(0, 1e6), min_size=64, max_size=64))
def test_extractor_unlearning_is_bounded(errors):
    densities = Densities(Fixed(*errors[:32]), Fixed(*errors[32:]))
    loss = extractor_unlearning_loss(torch.zeros(32, 4), torch.zeros(32, 4), densities, None)
    assert abs(loss.item()) <= 32 * (math.e - 1) + 1e-3
    assert 32 * (math.e - 1) == pytest.approx(54.98, abs=0.01)


def test_the_ragged_batch_of_cifar10_class_removal(make_images):
    """5,000 images are 156 batches of 32 and one of 8; m about 160 as with the published decoder."""
    forget, retain = make_images(5_000, size=2), make_images(45_000, size=2, seed=1)
    found = unlearn(still_network(), forget, retain, Densities(Fixed(160.0), Fixed(160.0)), STILL, seed=0)
    assert found.loss_ue == [pytest.approx(24 * math.exp(160 / 161) / 157, abs=1e-4)]
    assert found.loss_ue == [pytest.approx(0.413, abs=5e-4)]
    assert found.loss_ra == [pytest.approx((156 * FULL - 32 * math.log(8)) / 157, abs=1e-3)]
    assert -111.4 < found.loss_ra[0] < -110.4


@pytest.mark.parametrize(("settings", "alignment", "unlearning"), [
    ({}, (FULL - 32 * math.log(8)) / 2, 24 * math.e / 2),
    ({"drop_ragged": True}, FULL, 0),
    ({"reduction": "mean"}, 0, 0),
    ({"use_ra": "retain"}, 0, 24 * math.e / 2),
])
def test_switches_against_the_ragged_batch(make_images, settings, alignment, unlearning):
    config = dataclasses.replace(STILL, **settings)
    densities = Densities(Fixed(1e30), Fixed(1e30))
    found = unlearn(still_network(), make_images(40, size=2), make_images(200, size=2), densities, config, seed=0)
    assert found.loss_ra == [pytest.approx(alignment, abs=1e-3)]
    assert found.loss_ue == [pytest.approx(unlearning, abs=1e-3)]


def test_fewer_images_than_a_batch_are_never_dropped(make_images):
    densities = Densities(Fixed(1.0), Fixed(1.0))
    found = unlearn(
        still_network(), make_images(20, size=2), make_images(200, size=2), densities,
        dataclasses.replace(STILL, drop_ragged=True), seed=0,
    )
    assert found.loss_ra == [pytest.approx(-32 * math.log(20), abs=1e-3)]
