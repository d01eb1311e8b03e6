"""LAF with a part exchanged: each part against numbers worked out by hand or by numpy, and LAF itself as it was."""

import dataclasses
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from methods_fakes import tiny_request

from laf_utils.adaptation import Adaptation
from laf_utils.experiments.problem import Problem
from laf_utils.losses import Densities, drift
from laf_utils.methods import FURTHER, DataAccess, LabelAccess, View, run_method
from laf_utils.methods import laf_variants as room
from laf_utils.methods.laf import LAFSettings
from laf_utils.methods.laf_variants import (
    RIDGE,
    DotProduct,
    FrozenReference,
    SquaredDistance,
    autoencoder,
    gaussian,
    principal_components,
    with_density,
)
from laf_utils.methods.method import fingerprint
from laf_utils.settings.config import UnlearningConfig, VAEConfig
from laf_utils.vae import RepresentationVAE, fit_vae

SETTINGS = LAFSettings(VAEConfig(epochs=1, latent_dims=3), UnlearningConfig(epochs=1, lr_ue=1e-3, lr_ra=1e-3))
EXCHANGED = [name for name in FURTHER if name.startswith("laf_")]


@pytest.fixture(scope="module")
def request_():
    return tiny_request()


@pytest.fixture
def view(request_):
    return View(request_, "mine", LabelAccess.NONE, DataAccess.BOTH)


def bare(kind, **config):
    """An adaptation that was never started: what its losses are made of does not depend on it."""
    adaptation = kind.__new__(kind)
    adaptation.config = dataclasses.replace(UnlearningConfig(), **config)
    return adaptation


def representations(count=200, width=6, seed=0):
    """Correlated representations [count, width] whose variances differ; the last dimension hardly varies."""
    draw = torch.Generator().manual_seed(seed)
    spread = torch.tensor([5.0, 3.0, 2.0, 1.0, 0.5, 1e-6])[:width]
    turn = torch.linalg.qr(torch.randn(width, width, generator=draw)).Q
    return torch.randn(count, width, generator=draw) * spread @ turn + torch.arange(width)


# -- another similarity -------------------------------------------------------------------------------------------------------

ORIGINAL = torch.tensor([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]])
MOVED = torch.tensor([[3.0, 4.0], [0.0, 1.0], [0.0, 3.0]])  # stayed; half as long; turned, and three times as long


@pytest.mark.parametrize(("kind", "expected"), [
    (SquaredDistance, [0.0, 1 / 4, 10.0]),
    (DotProduct, [0.0, 1 / 2, 1.0]),
    (Adaptation, [0.0, 0.0, 1.0]),  # the cosine does not see lengths
])
def test_drifts_worked_out_by_hand(kind, expected):
    torch.testing.assert_close(bare(kind).drift(MOVED, ORIGINAL), torch.tensor(expected))


def test_a_dot_product_rewards_length_without_bound():
    assert bare(DotProduct).drift(100 * ORIGINAL, ORIGINAL).tolist() == pytest.approx([-99.0] * 3)
    assert drift(100 * ORIGINAL, ORIGINAL).tolist() == pytest.approx([0.0] * 3, abs=1e-6)


@pytest.mark.parametrize("kind", [SquaredDistance, DotProduct])
def test_the_alignment_loss_is_made_of_that_drift(kind):
    adaptation = bare(kind, temperature=2.0)
    adaptation.of_teacher = lambda inputs, rows: (ORIGINAL[:2], ORIGINAL[2:])
    kept, left = adaptation.drift(MOVED[:2], ORIGINAL[:2]), adaptation.drift(MOVED[2:], ORIGINAL[2:])
    expected = kept.sum().item() - 2 * left.item() / 2  # sum_r c - |B_r| log exp(c / tau) of one forgotten image
    assert adaptation.loss("ra", (MOVED[:2], MOVED[2:]), None, None).item() == pytest.approx(expected)


# -- no density ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reduction", "expected"), [
    # m of the retained: 0 and 1, of the forgotten: 10; s(m) = exp(m / (m + 1))
    ("sum", 1 + math.exp(1 / 2) - math.exp(10 / 11)),
    ("mean", (1 + math.exp(1 / 2)) / 2 - math.exp(10 / 11)),
])
def test_the_frozen_reference_asks_how_far_the_original_is(reduction, expected):
    adaptation = bare(FrozenReference, reduction=reduction)
    adaptation.of_teacher = lambda inputs, rows: (ORIGINAL[:2], ORIGINAL[2:])
    assert adaptation.loss("ue", (MOVED[:2], MOVED[2:]), None, None).item() == pytest.approx(expected, abs=1e-6)


def test_the_frozen_reference_fits_nothing(request_, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a density was fitted")

    monkeypatch.setattr("laf_utils.laf.fit_vae", refuse)
    result = run_method("laf_frozen", request_, SETTINGS)
    assert set(result.history) == {"loss_ue", "loss_ra"}


# -- other densities ----------------------------------------------------------------------------------------------------------


def test_principal_components_leave_what_lies_off_the_plane(view):
    e = representations()
    density = principal_components(e, SETTINGS.vae, view, "vae_h")
    assert density.axes.shape == (6, 3) and torch.allclose(density.axes.T @ density.axes, torch.eye(3), atol=1e-5)
    on_the_plane = density.centre + torch.tensor([[2.0, -1.0, 7.0], [0.0, 0.0, 0.0]]) @ density.axes.T
    assert density.squared_error(on_the_plane, None).tolist() == pytest.approx([0, 0], abs=1e-8)
    off = torch.linalg.svd(density.axes).U[:, 3:]  # what is at right angles to the plane
    there = on_the_plane + torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]]) @ off.T
    assert density.squared_error(there, None).tolist() == pytest.approx([5.0, 9.0], rel=1e-4)


def test_principal_components_are_those_of_largest_variance(view):
    e = representations()
    centred = (e - e.mean(0)).double().numpy()
    rest = np.linalg.svd(centred, compute_uv=False)[3:]
    mean = principal_components(e, SETTINGS.vae, view, "vae_h").squared_error(e, None).mean().item()
    assert mean == pytest.approx((rest**2).sum() / len(e), rel=1e-3)


def test_the_gaussian_is_the_mahalanobis_distance(view):
    e = representations()
    values = e.double().numpy()
    covariance = np.cov(values, rowvar=False)
    ridge = RIDGE * np.trace(covariance) / covariance.shape[0]
    inverse = np.linalg.inv(covariance + ridge * np.eye(6))
    points = values[:7] * 1.3 - 2
    away = points - values.mean(0)
    expected = np.einsum("ni,ij,nj->n", away, inverse, away)
    found = gaussian(e, SETTINGS.vae, view, "vae_h").squared_error(torch.from_numpy(points).float(), None)
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-3)


def test_over_what_it_was_fitted_on_m_counts_the_dimensions_that_vary(view):
    e = representations(2000)  # five dimensions vary, the sixth is flat
    assert gaussian(e, SETTINGS.vae, view, "vae_h").squared_error(e, None).mean().item() == pytest.approx(5, rel=0.02)


def test_the_autoencoder_draws_no_noise_and_learns(view):
    e, draw = representations(width=6), torch.Generator().manual_seed(3)
    before = draw.get_state()
    longer = dataclasses.replace(SETTINGS.vae, epochs=8, learning_rate=1e-2, decoder="linear")
    density = autoencoder(e, longer, view, "vae_h")
    first, second = density.squared_error(e, draw), density.squared_error(e, draw)
    assert torch.equal(first, second) and torch.equal(draw.get_state(), before)
    losses = view.history["vae_h"]
    assert len(losses) == 8 and losses[-1] < losses[0] / 2
    own = F.mse_loss(density.network(e, None)[0], e, reduction="sum").item() / len(e)
    assert first.mean().item() == pytest.approx(own, rel=1e-5) and own < losses[0]
    assert not density.network.training and not any(p.requires_grad for p in density.network.parameters())


def test_the_autoencoder_is_fitted_by_the_squared_error_of_the_latents_mean(view):
    e, still = representations(), dataclasses.replace(SETTINGS.vae, learning_rate=1e-12, decoder="linear")
    density = autoencoder(e, still, view, "vae_h")  # at the weights it started from: neither noise nor KL is in the loss
    assert view.history["vae_h"] == [pytest.approx(density.squared_error(e, None).mean().item(), rel=1e-4)]


def test_the_autoencoder_starts_where_the_vae_starts(view, monkeypatch, request_):
    started = []
    init = RepresentationVAE.__init__

    def spy(self, *values):
        init(self, *values)
        started.append(fingerprint(self))

    monkeypatch.setattr(RepresentationVAE, "__init__", spy)
    e = representations(40)
    autoencoder(e, SETTINGS.vae, view, "vae_h")
    known = type("Known", (), {"epoch": lambda self, order: e, "__len__": lambda self: len(e)})()
    fit_vae(known, SETTINGS.vae, seed=view.seed, stage="vae_h", device=view.device)
    assert len(started) == 2 and started[0] == started[1]


# -- the methods --------------------------------------------------------------------------------------------------------------


def test_every_exchange_gives_another_network_than_laf(request_):
    marks = {name: fingerprint(run_method(name, request_, SETTINGS).model) for name in ["laf", *EXCHANGED]}
    assert len(EXCHANGED) == 6 and len(set(marks.values())) == 7


def test_h_sees_all_of_d_and_h_f_the_forgotten(request_):
    seen = {}

    def fit(e, config, view, stage):
        seen[stage] = e
        return principal_components(e, config, view, stage)

    view = View(request_, "mine", LabelAccess.NONE, DataAccess.BOTH)
    with_density(fit)(view, SETTINGS)
    assert len(seen["vae_h"]) == len(request_.forget) + len(request_.retain) and len(seen["vae_h_f"]) == len(request_.forget)
    inputs = request_.forget.batch(torch.arange(len(request_.forget)))
    torch.testing.assert_close(seen["vae_h_f"], view.original.extractor(inputs).detach())


def test_the_right_density_stands_on_each_side(request_, monkeypatch):
    handed, unlearned = [], room.unlearned
    monkeypatch.setattr(room, "unlearned", lambda *given: handed.append(given[2].densities) or unlearned(*given))
    with_density(principal_components)(View(request_, "mine", LabelAccess.NONE, DataAccess.BOTH), SETTINGS)
    (densities,) = handed
    inputs = request_.forget.batch(torch.arange(len(request_.forget)))
    centre = request_.original.extractor(inputs).detach().mean(0)
    assert isinstance(densities, Densities)
    torch.testing.assert_close(densities.h_f.centre, centre, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(densities.h.centre, centre, atol=1e-3)


def test_laf_itself_is_the_pipelines(make_run):
    problem = Problem(make_run())
    settings = LAFSettings(problem.config.vae, problem.config.unlearning)
    assert fingerprint(run_method("laf", problem.request, settings).model) == fingerprint(problem.run.laf)
