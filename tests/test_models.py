"""The two networks, layer by layer."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet18

from laf_utils.models import BACKBONES, Architecture, Whitening, parameter_count
from laf_utils.settings.config import VAEConfig
from laf_utils.vae import RepresentationVAE

CNN = Architecture("cnn", 1, 28, 10)
RESNET = Architecture("resnet18", 3, 32, 10)


class AsPublished(nn.Module):
    """The CNN of the paper, written down plainly: ReLU before pooling."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 5, padding=2), nn.Conv2d(16, 32, 5, padding=2)
        self.representation = nn.Linear(1568, 256)
        self.fc1, self.fc2 = nn.Linear(256, 128), nn.Linear(128, 10)

    def represent(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.representation(x.flatten(1))

    def forward(self, x):
        return self.fc2(self.fc1(self.represent(x)))


def test_the_cnn_equals_the_published_one_bit_for_bit():
    ours, plain = CNN.build(0, "original"), AsPublished()
    plain.load_state_dict(dict(zip(plain.state_dict(), ours.state_dict().values(), strict=True)))
    plain = plain.to(memory_format=torch.channels_last)
    draw = torch.Generator().manual_seed(0)
    x = (torch.rand(16, 1, 28, 28, generator=draw) - 0.3).clamp_min(0).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(16) % 10
    assert torch.equal(ours.extractor(x), plain.represent(x))
    for model in (ours, plain):
        F.cross_entropy(model(x), labels).backward()
    assert torch.equal(ours(x), plain(x))
    for (name, mine), (_, theirs) in zip(ours.named_parameters(), plain.named_parameters(), strict=True):
        assert torch.equal(mine.grad, theirs.grad), name
        assert mine.grad.abs().sum() > 0, name


def test_shapes_of_the_cnn():
    shapes = [tuple(p.shape) for p in CNN.build(0, "x").parameters()]
    assert shapes == [
        (16, 1, 5, 5), (16,), (32, 16, 5, 5), (32,), (256, 1568), (256,), (128, 256), (128,), (10, 128), (10,),
    ]


def test_the_cnn_takes_other_sizes_and_channels():
    model = Architecture("cnn", 3, 33, 7).build(0, "x")
    assert model(torch.rand(2, 3, 33, 33)).shape == (2, 7)


def test_resnet_is_torchvisions_but_for_the_last_layer():
    model = RESNET.build(0, "x")
    theirs = {name: p.shape for name, p in resnet18().named_parameters() if not name.startswith("fc")}
    mine = {name: p.shape for name, p in model.extractor.named_parameters() if not name.startswith("fc")}
    assert mine == theirs
    assert model.extractor.fc.weight.shape == (256, 512)
    assert [tuple(p.shape) for p in model.classifier.parameters()] == [(10, 256), (10,)]


def test_resnet_on_grey_images():
    assert Architecture("resnet18", 1, 32, 10).build(0, "x").eval()(torch.rand(2, 1, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("architecture", [CNN, RESNET])
def test_the_representation_is_256_wide_and_signed(architecture):
    model = architecture.build(0, "x").eval()
    x = torch.rand(8, architecture.channels, architecture.size, architecture.size)
    e = model.extractor(x)
    assert e.shape == (8, 256)
    assert e.min() < 0 < e.max()
    assert torch.equal(model(x), model.classifier(e))


@pytest.mark.parametrize("architecture", [CNN, RESNET])
def test_the_head_is_one_affine_map(architecture):
    head = architecture.build(0, "x").classifier.double()
    a, b = torch.randn(2, 5, 256, generator=torch.Generator().manual_seed(0)).double()
    assert torch.allclose(head(a + b) + head(torch.zeros(5, 256).double()), head(a) + head(b), atol=1e-12)


@pytest.mark.parametrize(("latent", "count"), [(8, 75_088), (16, 75_872)])
def test_the_vae_has_about_75k_parameters(latent, count):
    encoder = 256 * 128 + 128 + 128 * 32 + 32 + 2 * (32 * latent + latent)
    decoder = latent * 32 + 32 + 32 * 128 + 128 + 128 * 256 + 256
    assert parameter_count(RepresentationVAE(VAEConfig(latent_dims=latent))) == encoder + decoder == count


@pytest.mark.usefixtures("random_state_untouched")
@pytest.mark.parametrize("backbone", BACKBONES)
def test_weights_depend_on_seed_and_stage_alone(backbone):
    architecture = Architecture(backbone, 3, 16, 10)

    def head(seed, stage):
        return next(architecture.build(seed, stage).parameters()).detach()

    first = head(0, "original")
    torch.rand(0)
    assert torch.equal(first, head(0, "original"))
    assert not torch.equal(first, head(1, "original"))
    assert not torch.equal(first, head(0, "retrained"))


def test_the_small_residual_network_keeps_the_size_of_small_images_at_first():
    model = Architecture("resnet9", 3, 32, 7).build(0, "x").eval()
    x = torch.rand(2, 3, 32, 32)
    assert model.extractor[0](x).shape == (2, 24, 31, 31), "neither stride nor pooling in its stem"
    assert model.extractor(x).shape == (2, 256) and model(x).shape == (2, 7) and (model.extractor(x) < 0).any()
    assert 2.0e6 < parameter_count(model) < 2.1e6


def test_patches_are_whitened_by_the_first_batch_of_training_alone():
    layer, generator = Whitening(3), torch.Generator().manual_seed(0)
    shade = torch.rand(64, 1, 8, 8, generator=generator)
    x = shade + 0.3 * torch.rand(64, 3, 8, 8, generator=generator)  # channels that are correlated
    assert not layer.eval()(x).any() and not layer.fitted, "evaluation fits nothing"
    first = layer.train()(x)
    half = first[:, :12].transpose(0, 1).flatten(1)
    assert torch.allclose(half.cov(), torch.eye(12), atol=0.1) and torch.equal(first[:, 12:], -first[:, :12])
    kept = layer.filters.clone()
    layer.train()(torch.rand(64, 3, 8, 8))
    assert torch.equal(layer.filters, kept) and not list(layer.parameters()), "no later batch and no step moves it"
    other = Whitening(3)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.train()(x), first), "a network that was read from disk keeps it"


def test_convolutions_of_the_small_network_begin_as_the_identity():
    residual = Architecture("resnet9", 3, 32, 7).build(0, "x").extractor[3].body[0]
    x = torch.rand(2, 64, 5, 5)
    assert torch.allclose(residual(x), x, atol=1e-6)


def test_an_unknown_backbone_is_refused():
    with pytest.raises(ValueError, match="unknown backbone 'vit'.*cnn, resnet18"):
        Architecture("vit", 1, 28, 10).build(0, "x")
