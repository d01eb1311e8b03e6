"""Boundary Shrink and Boundary Expand: what each is by definition."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from methods_fakes import CLASSES, CountedExtractor, tiny_request, with_transform
from torch import nn

from laf_utils.images import IMAGENET_MEAN, IMAGENET_STD, Transform
from laf_utils.methods import METHODS, boundary, run_method
from laf_utils.methods.passes import Passes
from laf_utils.methods.view import last_linear
from laf_utils.models import Network


@pytest.fixture(scope="module")
def request_():
    return tiny_request()


def linear_model(weight):
    """Logits are linear in the pixels: everything about the adversarial neighbour can be said by hand."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    with torch.no_grad():
        layer.weight.copy_(weight)
    return Network(nn.Flatten(), layer).requires_grad_(False)


def test_published_numbers():
    s = METHODS["boundary_shrink"].settings
    assert (s.step, s.learning_rate, s.momentum, s.batch_size, s.epochs) == (0.1, 1e-5, 0.9, 64, 10)
    assert s.rounded and not s.exclude_own
    for name in ("boundary_shrink_other", "boundary_shrink_pseudo"):
        ours = METHODS[name]
        assert ours.settings == boundary.OTHER and ours.reference.startswith("this project") and "(ours)" in ours.title


def test_the_neighbour_is_one_signed_step_clipped_to_the_pixel_range():
    x = torch.tensor([0.02, 0.5, 0.98]).view(1, 3, 1, 1)
    model = linear_model(torch.tensor([[1.0, -1.0, -1.0], [0.0, 0.0, 0.0]]))
    moved = boundary.adversarial(model, x, torch.tensor([0]), Transform(), 0.1)
    # The loss of class 0 rises against its weights: down, up, up; the first and the last meet the range.
    torch.testing.assert_close(moved.flatten(), torch.tensor([0.0, 0.6, 1.0]))


def test_the_neighbour_is_rounded_to_the_levels_of_a_pixel():
    x = torch.tensor([0.41, 0.5, 0.61]).view(1, 3, 1, 1)
    model = linear_model(torch.tensor([[1.0, -1.0, -1.0], [0.0, 0.0, 0.0]]))
    for transform, mean, std in ((Transform(), (0,) * 3, (1,) * 3), (Transform(normalise=True), IMAGENET_MEAN, IMAGENET_STD)):
        mean, std = (torch.tensor(v, dtype=torch.float32).view(1, 3, 1, 1) for v in (mean, std))
        moved = boundary.adversarial(model, (x - mean) / std, torch.tensor([0]), transform, 0.1, rounded=True) * std + mean
        torch.testing.assert_close(moved.flatten() * 255, torch.tensor([79.0, 153.0, 181.0]), atol=1e-3, rtol=0)


def test_with_normalisation_the_step_and_the_range_are_those_of_pixels():
    pixels = torch.tensor([0.02, 0.5, 0.98]).view(1, 3, 1, 1)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    model = linear_model(torch.tensor([[1.0, -1.0, -1.0], [0.0, 0.0, 0.0]]))
    moved = boundary.adversarial(model, (pixels - mean) / std, torch.tensor([0]), Transform(normalise=True), 0.1)
    torch.testing.assert_close((moved * std + mean).flatten(), torch.tensor([0.0, 0.6, 1.0]), atol=1e-6, rtol=0)


def test_the_nearest_class_is_the_argmax_without_the_label():
    model = linear_model(torch.eye(3))
    x = torch.tensor([[0.9, 0.5, 0.1], [0.1, 0.2, 0.9]]).view(2, 3, 1, 1)
    assert boundary.nearest_other_class(model, x, torch.tensor([0, 0])).tolist() == [1, 2]
    assert boundary.nearest_class(model, x).tolist() == [0, 2]


@pytest.mark.parametrize("name", ["boundary_shrink", "boundary_shrink_other"])
def test_shrink_moves_each_image_to_the_class_of_its_neighbour(name, request_, monkeypatch):
    seen = {}
    known = boundary.F.cross_entropy

    def spy(logits, targets, **kwargs):
        seen.setdefault("targets", []).append(targets.clone())
        return known(logits, targets, **kwargs)

    published = name == "boundary_shrink"
    settings = dataclasses.replace(METHODS[name].settings, epochs=1, learning_rate=0.0, batch_size=1000)
    monkeypatch.setattr(boundary.F, "cross_entropy", spy)
    run_method(name, request_, settings)
    monkeypatch.undo()
    x = request_.forget.batch(torch.arange(len(request_.forget)))
    frozen = request_.original
    moved = boundary.adversarial(frozen, x, request_.forget_labels, Transform(), 0.1, rounded=published)
    logits = frozen(moved).detach()
    expected = (logits if published else logits.index_fill(1, torch.tensor([0]), float("-inf"))).argmax(1)
    labels, targets = seen["targets"]  # first the step against the labels, then the descent on the neighbours
    assert labels.eq(0).all() and targets.eq(0).any().item() is expected.eq(0).any().item()
    assert published or not targets.eq(0).any()
    assert targets.bincount(minlength=CLASSES).tolist() == expected.bincount(minlength=CLASSES).tolist()


def test_shrinks_targets_are_found_once_and_again_where_crops_change(request_):
    settings = dataclasses.replace(METHODS["boundary_shrink"].settings, epochs=3)
    count = len(request_.forget)
    assert run_method("boundary_shrink", request_, settings).passes == Passes(4 * count, count)
    cropped = with_transform(request_, augment=True)
    assert run_method("boundary_shrink", cropped, settings).passes == Passes(6 * count, 3 * count)


def test_shrink_on_pseudo_labels_is_shrink_where_the_original_is_right(request_):
    right = torch.equal(request_.original(request_.forget.batch(torch.arange(26))).argmax(1), request_.forget_labels)
    assert right
    settings = dataclasses.replace(boundary.OTHER, epochs=2, learning_rate=0.01)
    models = [run_method(name, request_, settings).model for name in ("boundary_shrink_other", "boundary_shrink_pseudo")]
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(one, other)
    # On wrong labels they part.
    wrong = dataclasses.replace(request_, forget_labels=torch.ones_like(request_.forget_labels))
    assert not torch.equal(
        next(run_method("boundary_shrink_other", wrong, settings).model.parameters()), next(models[0].parameters())
    )


@pytest.mark.parametrize("bias", [True, False])
def test_a_row_is_added_and_dropped_without_touching_the_others(bias, random_state_untouched):
    draw = torch.Generator().manual_seed(0)
    head = nn.utils.skip_init(nn.Linear, 5, 3, bias=bias)
    fresh = nn.utils.skip_init(nn.Linear, 5, 1, bias=bias)
    with torch.no_grad():
        for p in (*head.parameters(), *fresh.parameters()):
            p.copy_(torch.randn(p.shape, generator=draw))
    model = Network(nn.Flatten(), nn.Sequential(nn.Identity(), head))
    weight = head.weight.clone()
    boundary.with_classes(model, 4, fresh)
    wide = last_linear(model)[1]
    assert torch.equal(wide.weight, torch.cat([weight, fresh.weight])) and wide.out_features == 4
    assert bias is (wide.bias is not None)
    boundary.with_classes(model, 3)
    assert torch.equal(last_linear(model)[1].weight, weight)


def test_expand_trains_the_forget_set_into_a_new_class_and_drops_it(request_, monkeypatch):
    widths, known = [], CountedExtractor.forward
    monkeypatch.setattr(CountedExtractor, "forward", lambda self, images: widths.append(len(images)) or known(self, images))
    targets, cross_entropy = [], F.cross_entropy

    def spy(logits, labels, **kwargs):
        targets.append((logits.shape[1], labels.unique().tolist()))
        return cross_entropy(logits, labels, **kwargs)

    monkeypatch.setattr(boundary.F, "cross_entropy", spy)
    settings = dataclasses.replace(METHODS["boundary_expand"].settings, epochs=6, learning_rate=0.02, batch_size=8)
    result = run_method("boundary_expand", request_, settings)
    assert set(map(str, targets)) == {str((CLASSES + 1, [CLASSES]))}  # five logits, all of D_f is the fifth class
    assert result.history["loss"][-1] < result.history["loss"][0]
    assert sum(widths) == 6 * len(request_.forget)  # D_r is never seen
    logits = result.model(request_.forget.batch(torch.arange(26)))
    assert logits.shape[1] == CLASSES and last_linear(result.model)[1].out_features == CLASSES
    assert {k: v.shape for k, v in result.model.state_dict().items()} == {
        k: v.shape for k, v in request_.original.state_dict().items()
    }
