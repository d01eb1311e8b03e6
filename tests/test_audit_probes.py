"""Layers and linear probes against closed forms."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import Ridge

from laf_utils.audit.layers import LOGITS, REPRESENTATION, flat, layer_features, layers_of
from laf_utils.audit.probes import RIDGE, class_recovery, few_image_recovery, membership, probe
from laf_utils.models import Architecture
from laf_utils.representations import outputs


def normal(*shape, seed=0, shift=0.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) + shift


# -- layers ----------------------------------------------------------------------------------------------------------------


def test_both_networks_are_probed_from_input_to_output(network):
    assert list(layers_of(network)) == ["extractor 2", "extractor 5", REPRESENTATION, "classifier 0", LOGITS]
    resnet = Architecture("resnet18", 3, 32, 10).build(0, "original")
    assert list(layers_of(resnet)) == [
        "extractor relu", *(f"extractor layer{number}" for number in (1, 2, 3, 4)), REPRESENTATION, LOGITS
    ]


def test_features_are_what_the_network_computes(network, make_images):
    images, network = make_images(7), network.train()
    found, given = layer_features(network, images), outputs(network, images)
    assert torch.allclose(found[REPRESENTATION], given.representations, atol=1e-6)
    assert torch.allclose(found[LOGITS], given.logits, atol=1e-6)
    assert network.training, "the mode is put back"
    assert not any(module._forward_hooks for module in network.modules()), "nothing is left behind"


def test_maps_are_averaged_to_four_by_four():
    maps = normal(2, 3, 8, 8)
    assert torch.allclose(flat(maps)[:, 0], maps[:, 0, :2, :2].mean((1, 2)))
    assert flat(maps).shape == (2, 48)
    assert flat(normal(2, 3, 1, 2)).shape == (2, 6)


# -- the probe -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [5, 60])
def test_a_probe_is_ridge_regression_in_either_dimension(width):
    x, y = normal(40, width, shift=2), normal(40, 3, seed=1)
    standard = ((x - x.mean(0)) / x.std(0, correction=0)).double().numpy()
    expected = Ridge(alpha=RIDGE * 40).fit(standard, y.double().numpy()).predict(standard)
    assert np.allclose(probe(40).fit(x.numpy(), y.numpy()).predict(x.numpy()), expected, atol=1e-4)


def test_a_constant_column_has_no_weight_and_shifts_nothing():
    x, y = normal(30, 4), normal(30, 1, seed=1)
    wider = torch.cat([x, torch.full((30, 1), 7.0)], 1)
    other = torch.cat([x, torch.full((30, 1), -9.0)], 1)
    found, plain = (probe(30).fit(own.numpy(), y.numpy()).predict(asked.numpy()) for own, asked in ((wider, other), (x, x)))
    assert np.allclose(found, plain)


def classes(count=200, width=6, apart=6.0, seed=0):
    labels = torch.arange(count) % 3
    return normal(count, width, seed=seed) + apart * torch.eye(width)[labels], labels


def test_a_class_that_lies_apart_is_recovered_and_one_that_is_noise_is_not():
    (x, y), (z, t) = classes(), classes(seed=1)
    forget = t == 0
    assert class_recovery(x, y, z[forget], t[forget], 3).value > 0.98
    assert few_image_recovery(x, y, z[forget], t[forget], 3, seed=0).value > 0.95
    blind = class_recovery(normal(3000, 4), torch.arange(3000) % 3, normal(600, 4, seed=1), torch.zeros(600).long(), 3)
    assert abs(blind.value - 1 / 3) < 0.15


def test_few_images_recover_less_and_the_draws_are_the_seeds():
    (x, y), (z, t) = classes(2000, 40, 2.5), classes(900, 40, 2.5, seed=1)
    forget = t == 0
    few = few_image_recovery(x, y, z[forget], t[forget], 3, seed=0)
    assert few.value < class_recovery(x, y, z[forget], t[forget], 3).value - 0.03
    assert np.array_equal(few.first, few_image_recovery(x, y, z[forget], t[forget], 3, seed=0).first)


def test_the_probe_for_membership_has_the_auc_of_two_gaussians():
    blind = membership(normal(1500, 3), normal(1200, 3, seed=1), seed=0)
    shifted = normal(1500, 3)
    shifted[:, 1] += 1
    sharp = membership(shifted, normal(1200, 3, seed=1), seed=0)
    assert abs(blind.value - 0.5) < 0.035
    assert sharp.value == pytest.approx(stats.norm.cdf(1 / np.sqrt(2)), abs=0.03)


def test_the_probe_for_membership_does_not_find_what_it_was_fitted_to():
    """As many inputs as images: a probe scored on its own images would be perfect."""
    assert abs(membership(normal(80, 160), normal(80, 160, seed=1), seed=0).value - 0.5) < 0.15
    with pytest.raises(ValueError, match="5 images of each kind"):
        membership(normal(4, 2), normal(9, 2), seed=0)
