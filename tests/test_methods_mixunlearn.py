"""MixUnlearn, its parts alone, and its generator: what each is by definition."""

import dataclasses
import math

import pytest
import torch
from methods_fakes import tiny_request
from torch import nn

from laf_utils.methods import METHODS, DataAccess, LabelAccess, View, mixing, mixunlearn, run_method
from laf_utils.methods.method import fingerprint
from laf_utils.models import Architecture, Network


@pytest.fixture(scope="module")
def request_():
    return tiny_request()


def test_published_numbers():
    s = METHODS["mixunlearn"].settings
    assert (s.sharpening, s.mixing, s.interval) == (0.3, 0.75, 4)


def test_sharpening_is_a_power_of_the_probabilities():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    p = logits.softmax(1) ** (1 / 0.3)
    torch.testing.assert_close(mixunlearn.sharpened(logits, 0.3), p / p.sum(1, keepdim=True))


def test_unlike_is_one_minus_the_cosine():
    logits = torch.tensor([[0.0, 0.0], [50.0, -50.0]])
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    torch.testing.assert_close(mixunlearn.unlike(logits, target), torch.tensor([1 - 1 / math.sqrt(2), 1.0]))


def test_the_contrast_is_that_of_equation_6():
    retain, forget, tau = torch.tensor([0.1, 0.3]), torch.tensor([0.2, 0.7, 0.4]), 0.5
    terms = [math.log(math.exp(r) / sum(math.exp(f / tau) for f in forget.tolist())) for r in retain.tolist()]
    assert mixunlearn.contrast(retain, forget, tau).item() == pytest.approx(sum(terms) / 2, rel=1e-6)


def test_the_contrast_falls_as_retained_images_are_kept_and_forgotten_ones_left():
    near, far = torch.zeros(3), torch.ones(3)
    best, worst = mixunlearn.contrast(near, far, 1.0), mixunlearn.contrast(far, near, 1.0)
    assert best < mixunlearn.contrast(near, near, 1.0) < worst and best < mixunlearn.contrast(far, far, 1.0) < worst


def test_a_mixture_takes_the_share_of_the_forgotten_image():
    forget, retain = torch.ones(2, 1, 2, 2), torch.zeros(2, 1, 2, 2)
    assert mixing.mixed(forget, retain, 0.3).unique().tolist() == pytest.approx([0.3])
    share = torch.rand(2, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mixing.mixed(forget, retain, share), share)


def test_the_generator_has_the_papers_size_and_gives_shares_of_pixels():
    block = mixing.MixBlock(256)
    assert sum(p.numel() for p in block.parameters()) == pytest.approx(66_000, rel=0.01)
    draw = torch.Generator().manual_seed(0)
    maps = [torch.randn(2, 256, 4, 4, generator=draw) for _ in range(2)]
    share = block(*maps, 0.8, (32, 32))
    assert share.shape == (2, 1, 32, 32) and share.min() > 0 and share.max() < 1
    with torch.no_grad():
        for layer in (block.query, block.key, block.value):
            layer.weight.mul_(30)
    away = block(*maps, 0.8, (32, 32)) + block(maps[1], maps[0], 0.2, (32, 32))
    torch.testing.assert_close(away, torch.ones_like(away))  # exchange the images and the ratio: the other one's share


@pytest.mark.parametrize("backbone, channels, size, shape", [
    ("cnn", 1, 28, (32, 7, 7)), ("resnet18", 3, 224, (256, 14, 14)), ("resnet18", 3, 32, (256, 2, 2)),
])
def test_features_are_those_of_the_deepest_map_of_a_sixteenth(backbone, channels, size, shape):
    model = Architecture(backbone, channels, size, 10).build(0, "original").eval()
    with mixing.FeatureTap(model) as tap, torch.no_grad():
        model(torch.zeros(1, channels, size, size))
        assert tap.features.shape[1:] == shape
    assert not any(module._forward_hooks for module in model.modules())


def test_a_network_without_maps_is_refused(request_):
    flat = Network(nn.Flatten(), nn.Linear(3 * 8 * 8, 4)).eval()
    with pytest.raises(ValueError, match="needs a feature map"):
        run_method("mixunlearn", dataclasses.replace(request_, original=flat))
    gentle = dataclasses.replace(METHODS["mixunlearn_mixup"].settings, epochs=1)
    assert run_method("mixunlearn_mixup", dataclasses.replace(request_, original=flat), gentle).history["mixed_loss"]


def view_of(request):
    return View(request, "mine", LabelAccess.NONE, DataAccess.BOTH)


def test_the_generator_climbs_what_the_student_descends(request_):
    """After many steps of the generator alone, the student's loss on its mixtures is higher than at the start."""
    view = view_of(request_)
    settings = mixunlearn.MixUnlearnSettings(interval=1, generator_rate=0.05)
    student, rows = view.student(), torch.arange(16)
    before = fingerprint(student)
    with mixing.FeatureTap(view.original) as tap:
        generated = mixunlearn._Generated(view, settings, tap)
        x_f, x_r = view.forget.images.batch(rows), view.retain.images.batch(rows)
        targets = [
            mixunlearn.sharpened(generated.answers(part, rows, x), 0.3) for part, x in (("forget", x_f), ("retain", x_r))
        ]
        step, pairs = mixunlearn._Step(x_f, x_r, *targets), mixunlearn._Pairs(torch.arange(16), 0.5)

        def loss():
            with torch.no_grad():
                return generated.loss(student, generated.make(step, pairs), step, pairs).item()

        start = loss()
        for _ in range(30):
            generated.before(student, step)
        assert loss() > start + 0.01
    assert fingerprint(student) == before and all(p.requires_grad for p in student.parameters())


def test_the_generator_steps_once_in_an_interval(request_):
    s = dataclasses.replace(METHODS["mixunlearn"].settings, epochs=2, forget_batch=8, retain_batch=8)
    passes = {
        interval: run_method("mixunlearn", request_, dataclasses.replace(s, interval=interval)).passes.training
        for interval in (1, 4)
    }
    plain = run_method("mixunlearn_mixup", request_, mixunlearn.MixupSettings(2, forget_batch=8, retain_batch=8))
    steps = 2 * 4  # 26 images in batches of 8: four, the last of two
    assert passes[1] - plain.passes.training == 8 * steps and passes[4] - plain.passes.training == 8 * 2


def test_the_loss_on_real_images_alone_is_mixup_without_mixtures(request_, monkeypatch):
    """Where L_mix counts nothing, plain mixup takes the same steps as the loss on real images alone."""
    monkeypatch.setattr(mixunlearn._Mixtures, "loss", lambda self, student, images, step, pairs: torch.zeros(()))
    shared = {"epochs": 2, "learning_rate": 1e-3}
    alone = run_method("mixunlearn_real", request_, mixunlearn.RealSettings(**shared))
    both = run_method("mixunlearn_mixup", request_, mixunlearn.MixupSettings(**shared))
    assert fingerprint(alone.model) == fingerprint(both.model) and alone.history["real_loss"] == both.history["real_loss"]


@pytest.mark.parametrize("name", ["mixunlearn_real", "mixunlearn_mixup", "mixunlearn"])
def test_the_forgotten_class_goes_and_the_others_stay(name, request_):
    shared = {"epochs": 10, "learning_rate": 3e-3, "forget_batch": 8, "retain_batch": 24}
    model = run_method(name, request_, dataclasses.replace(METHODS[name].settings, **shared)).model
    right = {
        part: (model(images.batch(torch.arange(len(images)))).argmax(1) == labels).float().mean().item()
        for part, images, labels in (("forget", request_.forget, request_.forget_labels),
                                     ("retain", request_.retain, request_.retain_labels))
    }
    assert right["forget"] < 0.3 and right["retain"] > 0.8
