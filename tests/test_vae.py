"""The representation VAEs: the loss by hand, the latent, and what the sigmoid does."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from laf_utils.images import shuffled
from laf_utils.representations import FrozenRepresentations
from laf_utils.settings.config import VAEConfig
from laf_utils.support.seeds import initialisation, stream
from laf_utils.vae import RepresentationVAE, fit_vae, vae_loss

CPU = torch.device("cpu")


class Given:
    """Stands for frozen representations that are known."""

    def __init__(self, e):
        self.e = e

    def epoch(self, generator):
        return self.e


@pytest.fixture
def e():
    """Signed, unbounded representations on a plane, 60 x 256."""
    draw = torch.Generator().manual_seed(0)
    return 3 * torch.randn(60, 2, generator=draw) @ torch.randn(2, 256, generator=draw)


def fit(e, seed=0, stage="vae_h", **settings):
    return fit_vae(Given(e), VAEConfig(**settings), seed=seed, stage=stage, device=CPU)


def flat(vae):
    return torch.cat([p.flatten() for p in vae.parameters()])


def test_the_loss_by_hand():
    reconstruction, target = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 3.0]])
    mean, log_variance = torch.tensor([[2.0], [0.0]]), torch.tensor([[0.0], [math.log(4)]])
    # errors 1 + 4 + 9; KL of N(2, 1) is 2, of N(0, 4) is -ln 2 + 2 - 1/2
    expected = (14 + 0.025 * (2 + 1.5 - math.log(2))) / 2
    assert vae_loss(reconstruction, target, mean, log_variance, 0.025).item() == pytest.approx(expected)
    assert vae_loss(target, target, mean * 0, log_variance * 0, 0.025).item() == 0


def test_the_kl_term_is_torchs():
    mean, log_variance = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    zero = torch.zeros(5, 256)
    kl = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum() / 5
    assert torch.allclose(vae_loss(zero, zero, mean, log_variance, 1.0), kl)


def test_steps_take_one_thread_and_frozen_passes_all(e):
    before, seen = torch.get_num_threads(), []

    class Watched(Given):
        def epoch(self, generator):
            seen.append(torch.get_num_threads())
            return self.e

    torch.set_num_threads(3)
    try:
        hook = torch.nn.modules.module.register_module_forward_pre_hook(lambda *_: seen.append(-torch.get_num_threads()))
        fit_vae(Watched(e), VAEConfig(epochs=2), seed=0, stage="vae_h", device=CPU)
    finally:
        hook.remove()
        torch.set_num_threads(before)
    assert set(seen) == {3, -1}


def test_layers_as_published():
    vae = RepresentationVAE(VAEConfig(latent_dims=8))
    kinds = [type(layer).__name__ for layer in (*vae.encoder, vae.mean, vae.log_variance, *vae.decoder)]
    assert kinds == [*["Linear", "ReLU"] * 2, "Linear", "Linear", *["Linear", "ReLU"] * 2, "Linear", "Sigmoid"]
    shapes = [tuple(m.weight.shape) for m in vae.modules() if isinstance(m, torch.nn.Linear)]
    assert shapes == [(128, 256), (32, 128), (8, 32), (8, 32), (32, 8), (128, 32), (256, 128)]


def test_m_is_the_squared_error_summed_over_the_dimensions(e):
    vae, _ = fit(e, epochs=1)
    reconstruction = vae(e, None)[0]
    assert torch.allclose(vae.squared_error(e, None), ((reconstruction - e) ** 2).sum(1))
    assert vae.squared_error(e, None).shape == (60,)
    mean, _ = fit(e, epochs=1, error="mean")
    assert torch.allclose(mean.squared_error(e, None), vae.squared_error(e, None) / 256), "the fitting must stay the same"


def test_the_latent_noise_has_the_encoders_deviation():
    vae = RepresentationVAE(VAEConfig(latent_dims=256)).requires_grad_(False)
    vae.decoder = torch.nn.Identity()
    for layer in (vae.mean, vae.log_variance):
        layer.weight.zero_()
    vae.mean.bias.fill_(5.0)
    vae.log_variance.bias.fill_(math.log(4))
    draw = torch.Generator().manual_seed(0)
    latent = vae(torch.zeros(400, 256), draw)[0]
    assert latent.mean().item() == pytest.approx(5, abs=0.03)
    assert latent.std().item() == pytest.approx(2, rel=0.01)  # sigma = exp(log variance / 2)
    assert torch.equal(vae(torch.zeros(4, 256), None)[0], torch.full((4, 256), 5.0))


def test_noise_comes_from_the_generator(e):
    vae, _ = fit(e, epochs=1)
    draw = torch.Generator().manual_seed(0)
    first, second = vae.squared_error(e, draw), vae.squared_error(e, draw)
    assert not torch.equal(first, second), "the latent noise must be new in every pass"
    assert torch.equal(first, vae.squared_error(e, torch.Generator().manual_seed(0)))
    assert torch.equal(vae.squared_error(e, None), vae.squared_error(e, None))


def test_the_sigmoid_cannot_reach_signed_representations(e):
    sigmoid, linear = (fit(e, epochs=60, decoder=decoder)[0] for decoder in ("sigmoid", "linear"))
    reached = sigmoid(e, None)[0]
    assert reached.min() >= 0
    assert reached.max() <= 1
    assert linear(e, None)[0].min() < 0
    # What no value in [0, 1] can make good is left over for every image.
    least = ((e - e.clamp(0, 1)) ** 2).sum(1)
    assert (sigmoid.squared_error(e, None) >= least).all()
    assert linear.squared_error(e, None).mean() < 0.5 * sigmoid.squared_error(e, None).mean()


def test_standardised_representations(e):
    shifted = 7 * e + 100
    vae, _ = fit(shifted, epochs=1, standardise=True)
    z = vae.standardised(shifted)
    assert torch.allclose(z.mean(0), torch.zeros(256), atol=1e-4)
    assert torch.allclose(z.std(0), torch.ones(256), atol=1e-4)
    assert torch.allclose(vae.squared_error(shifted, None), ((vae(z, None)[0] - z) ** 2).sum(1))


def test_a_dead_dimension_can_be_standardised(e):
    e[:, 3] = 0.5
    vae, losses = fit(e, epochs=1, standardise=True)
    assert math.isfinite(losses[0])
    assert vae.standardised(e).isfinite().all()


def test_as_published_nothing_is_standardised(e):
    vae, _ = fit(e, epochs=1)
    assert torch.equal(vae.standardised(e), e)


@pytest.mark.parametrize("settings", [{}, {"decoder": "linear"}, {"decoder": "linear", "standardise": True}])
def test_the_loss_falls(e, settings):
    _, losses = fit(e, epochs=30, **settings)
    assert len(losses) == 30
    assert losses[-1] < 0.9 * losses[0]


def test_fitting_is_adam_on_that_loss(e):
    vae, losses = fit(e, epochs=2, latent_dims=4, kl_weight=0.5)
    with initialisation(0, "vae_h", "initialisation"):
        plain = RepresentationVAE(VAEConfig(latent_dims=4))
    order, noise = stream(0, "vae_h", "order"), stream(0, "vae_h", "noise")
    optimiser, expected = torch.optim.Adam(plain.parameters(), lr=1e-3), []
    for _ in range(2):
        total = 0.0
        for rows in shuffled(60, 32, order):
            reconstruction, mean, log_variance = plain(e[rows], noise)
            kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
            loss = (((reconstruction - e[rows]) ** 2).sum() + 0.5 * kl) / len(rows)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(rows)
        expected.append(total / 60)
    assert losses == pytest.approx(expected, rel=1e-5)
    assert torch.allclose(flat(vae), flat(plain), atol=1e-5)


def test_the_result_is_frozen(e):
    vae, _ = fit(e, epochs=1)
    assert not vae.training
    assert not any(p.requires_grad for p in vae.parameters())


@pytest.mark.usefixtures("random_state_untouched")
def test_seed_and_stage_decide(e):
    first = flat(fit(e, epochs=1)[0])
    assert torch.equal(first, flat(fit(e, epochs=1)[0]))
    assert not torch.equal(first, flat(fit(e, epochs=1, seed=1)[0]))
    assert not torch.equal(first, flat(fit(e, epochs=1, stage="vae_h_f")[0]))


def test_crops_are_new_in_every_epoch(make_images, network):
    class Recording(FrozenRepresentations):
        def epoch(self, generator):
            seen.append(super().epoch(generator))
            return seen[-1]

    seen = []
    fit_vae(
        Recording(network.extractor, make_images(10, augment=True)), VAEConfig(epochs=3), seed=0, stage="vae_h", device=CPU
    )
    assert len(seen) == 3
    assert not torch.equal(seen[0], seen[1])


def test_the_extractor_is_left_alone(make_images, network):
    before = [p.detach().clone() for p in network.parameters()]
    fit_vae(FrozenRepresentations(network.extractor, make_images(10)), VAEConfig(epochs=2), seed=0, stage="vae_h", device=CPU)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert all(p.grad is None for p in network.parameters())


def test_a_vae_that_diverged_is_an_error(e):
    e[0, 0] = torch.nan
    with pytest.raises(RuntimeError, match="not a number"):
        fit(e, epochs=1)
