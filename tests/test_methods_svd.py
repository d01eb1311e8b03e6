"""Gradient-free forgetting (SVD): what it is by definition, and its authors' demonstration."""

import dataclasses

import pytest
import torch
from torch import nn

from laf_utils.images import Images, Transform
from laf_utils.methods import METHODS, UnlearningRequest, run_method, svd
from laf_utils.methods.passes import Passes
from laf_utils.models import Network
from laf_utils.settings.config import TrainingConfig
from laf_utils.support.seeds import initialisation
from laf_utils.training import train


def with_settings(name, **changes):
    return dataclasses.replace(METHODS[name].settings, **changes)


def logits_of(model, images):
    with torch.no_grad():
        return model(images.batch(torch.arange(len(images))))


def accuracy(model, images, labels):
    return (logits_of(model, images).argmax(1) == labels).float().mean().item()


def test_svds_published_numbers():
    s = METHODS["svd"].settings
    assert (s.samples, s.patches, s.retain_scale, s.forget_scale) == (900, 10_000, 100.0, 3.0)


def test_a_space_counts_directions_by_their_share_of_the_energy():
    inputs = torch.diag(torch.tensor([3.0, 1.0, 0.0], dtype=torch.float64))
    space = svd.scaled_space(inputs.T @ inputs, 5.0)
    share = torch.tensor([0.9, 0.1, 0.0], dtype=torch.float64)
    torch.testing.assert_close(space, torch.diag(5 * share / (4 * share + 1)))


def test_what_only_the_forgotten_images_use_is_projected_out():
    """With large scales: a direction of D_f alone goes, one of D_r stays, one of both stays."""
    forget = torch.diag(torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64))
    retain = torch.diag(torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64))
    kept = svd.projection(forget, retain, svd.SVDSettings(retain_scale=1e6, forget_scale=1e6))
    torch.testing.assert_close(kept, torch.diag(torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64)), atol=1e-5, rtol=0)


def test_patches_are_what_a_convolution_multiplies():
    layer = nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), bias=False)
    x = torch.randn(4, 2, 7, 6, generator=torch.Generator().manual_seed(0))
    rows = svd.inputs_of(layer, x, 200, torch.Generator().manual_seed(1))
    outputs = (rows @ layer.weight.flatten(1).T).view(200, 4, 3)
    places = layer(x).flatten(2).permute(2, 0, 1)  # [places, images, channels]
    distance = torch.cdist(outputs.flatten(1), places.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    assert distance.min(1).values.max() < 1e-4  # each patch is a place
    assert distance.min(0).values.max() < 1e-4  # no place is missed


def test_svd_takes_the_class_out_of_a_linear_model():
    """Class 0's images light a pixel of their own: its weights go, the others' logits stay."""
    layer = nn.Linear(4, 3, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[4.0, 0, 0, 0], [0, 4.0, 0, 1.0], [0, 0, 4.0, 1.0]]))
    forget = torch.tensor([[255, 0, 0, 0]] * 6, dtype=torch.uint8).view(-1, 1, 2, 2)
    retain = torch.tensor([[0, 255, 0, 99], [0, 0, 255, 99]] * 6, dtype=torch.uint8).view(-1, 1, 2, 2)
    request = UnlearningRequest(Network(nn.Flatten(), layer).eval(), Images(forget, Transform()), Images(retain, Transform()))
    result = run_method("svd", request, with_settings("svd", retain_scale=1000.0, forget_scale=100.0))
    assert logits_of(result.model, request.forget).abs().max() < 1e-4
    torch.testing.assert_close(logits_of(result.model, request.retain), logits_of(request.original, request.retain))
    assert 0 < result.history["removed"][0] < 1 and result.passes == Passes(0, 18)


class Plane(nn.Module):
    """Images of two pixels as points of the plane, -3.2 to 3.2."""

    def forward(self, images):
        return 6.4 * images.flatten(1) - 3.2


def gaussians(count, seed):
    """Four classes of ``count`` points around (+-1, +-1), as images of two pixels, and their labels."""
    labels, means = torch.arange(4).repeat_interleave(count), torch.tensor([[1.0, 1], [-1, 1], [-1, -1], [1, -1]])
    points = means[labels] + 0.5 * torch.randn(4 * count, 2, generator=torch.Generator().manual_seed(seed))
    return ((points + 3.2) / 6.4 * 255).round().clamp(0, 255).to(torch.uint8).view(-1, 1, 1, 2), labels


@pytest.mark.slow
def test_svd_does_what_its_authors_demonstration_shows():
    """Four classes in the plane, five layers with BatchNorm: of their grid of scales some forget a class and keep the others."""
    pixels, labels = gaussians(3_000, seed=0)
    with initialisation(0, "demonstration"):
        layers = [[nn.Linear(wide, 5), nn.BatchNorm1d(5), nn.ReLU()] for wide in (2, 5, 5, 5)]
        model = Network(nn.Sequential(Plane(), *(layer for group in layers for layer in group)), nn.Linear(5, 4))
    everything = Images(pixels, Transform())
    train(model, everything, labels, TrainingConfig(epochs=4, learning_rate=1e-2, batch_size=256), seed=0, stage="original")
    parts = [(labels == 0).nonzero().squeeze(1), (labels != 0).nonzero().squeeze(1)]
    request = UnlearningRequest(model, *(everything.subset(rows) for rows in parts))
    test, test_labels = gaussians(1_000, seed=1)
    asked = [(Images(test[test_labels == c], Transform()), c) for c in range(4)]

    def scores(network):
        per_class = [accuracy(network, images, torch.full((1_000,), c)) for images, c in asked]
        return sum(per_class[1:]) / 3, per_class[0]

    pairs = [(r, f) for r in (10.0, 30.0, 100.0) for f in (0.25, 0.5, 1.0, 30.0, 1000.0)]
    found = [scores(run_method("svd", request, svd.SVDSettings(retain_scale=r, forget_scale=f)).model) for r, f in pairs]
    kept, left = max(found, key=lambda one: one[0] * (1 - one[1]))
    assert scores(model)[1] > 0.85 and kept > scores(model)[0] - 0.05 and left < 0.1
