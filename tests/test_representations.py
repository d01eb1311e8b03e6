"""Frozen passes."""

import pytest
import torch

from laf_utils.models import Architecture
from laf_utils.representations import PASS_BATCH, FrozenRepresentations, Outputs, apply_frozen, outputs


class Counting(torch.nn.Module):
    """Wraps a module and counts the images that pass."""

    def __init__(self, module):
        super().__init__()
        self.module, self.images = module, 0

    def forward(self, x):
        self.images += len(x)
        return self.module(x)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def counted(network):
    return Counting(network.extractor)


def test_all_images_in_order_across_batches(make_images, network):
    images = make_images(PASS_BATCH + 7)
    e = apply_frozen(network.extractor, images)
    assert e.shape == (PASS_BATCH + 7, 256)
    assert not e.requires_grad
    assert torch.allclose(e, network.extractor(images.pixels.float() / 255), atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_the_pass_leaves_the_module_as_it_was(make_images, training):
    model = Architecture("resnet18", 3, 16, 10).build(0, "x").train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = make_images(6, 3, 16)
    passed = apply_frozen(model, images)
    assert model.training is training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.allclose(passed, model.eval()(images.batch(torch.arange(6))), atol=1e-5), "not in evaluation mode"


def test_the_mode_is_put_back_after_an_error(make_images):
    class Broken(torch.nn.Module):
        def forward(self, x):
            raise RuntimeError("broken")

    model = Broken()
    with pytest.raises(RuntimeError, match="broken"):
        apply_frozen(model, make_images(2))
    assert model.training


def test_outputs_are_the_models(make_images, network):
    images = make_images(20)
    found = outputs(network, images)
    expected = network(images.pixels.float() / 255)
    assert torch.allclose(found.logits, expected, atol=1e-5)
    assert torch.equal(found.predictions, found.logits.argmax(1))
    assert torch.allclose(found.probabilities.sum(1), torch.ones(20))
    assert torch.allclose(found.probabilities.log(), found.logits.log_softmax(1), atol=1e-4)
    rows = torch.tensor([3, 19, 3])
    part = outputs(network, images, keep=rows)
    assert isinstance(part, Outputs)
    assert torch.equal(part.logits, found.logits)
    assert torch.equal(part.representations, found.representations[rows])
    assert outputs(network, images, keep=rows[:0]).representations.shape == (0, 256)


def test_what_is_frozen_is_computed_once(make_images, counted):
    frozen = FrozenRepresentations(counted, make_images(30)).prepare()
    first = frozen.epoch(generator(0))
    assert frozen.epoch(generator(1)) is first
    part = frozen.subset(torch.tensor([4, 2])).prepare()
    assert torch.equal(part.epoch(generator()), first[[4, 2]])
    assert torch.equal(part.subset(torch.tensor([1])).epoch(generator()), first[[2]])
    assert torch.equal(frozen.of_batch(torch.tensor([7, 7, 0]), torch.empty(0)), first[[7, 7, 0]])
    assert counted.images == 30
    assert not first.requires_grad
    assert (len(frozen), len(part)) == (30, 2)


def test_a_subset_made_before_computing_sees_its_own_rows(make_images, counted):
    images = make_images(30)
    part = FrozenRepresentations(counted, images).subset(torch.tensor([4, 2]))
    assert torch.allclose(part.epoch(generator()), counted(images.batch(torch.tensor([4, 2]))), atol=1e-5)


def test_crops_are_computed_anew(make_images, counted):
    images = make_images(30, augment=True)
    frozen = FrozenRepresentations(counted, images).prepare()
    assert counted.images == 0
    draw = generator()
    assert not torch.equal(frozen.epoch(draw), frozen.epoch(draw))
    assert torch.equal(frozen.epoch(generator(5)), frozen.epoch(generator(5)))
    crops = images.batch(torch.arange(3), generator(9))
    taught = frozen.of_batch(torch.arange(3), crops)
    assert torch.equal(taught, counted(crops)), "teacher and student must see the same crop"
    assert not taught.requires_grad


@pytest.mark.usefixtures("random_state_untouched")
def test_no_global_random_number_is_drawn(make_images, network):
    FrozenRepresentations(network.extractor, make_images(30)).prepare()
    outputs(network, make_images(30, augment=True), generator=generator())
