"""Outputs, heads and inputs of every form, wrappers and number formats, looked at without training; refusals with a way out."""

import copy
import types
import warnings

import pytest
import torch
from forgetting_fakes import X, own_model
from forgetting_models_fakes import CLASSES, KINDS, WIDTH, Cosine, Net, Table, Text, TwoTokens
from torch import nn
from torchvision import models

from laf_utils.forgetting import OneLabel, Refused, ZeroShot, remove_classes
from laf_utils.forgetting.adapting import adapted
from laf_utils.forgetting.copying import as_given, bare, working_copy
from laf_utils.forgetting.cutting import grid, pooled
from laf_utils.forgetting.head import check_below, check_stable, find_head, split, whole
from laf_utils.forgetting.packing import packed
from laf_utils.methods.method import fingerprint, shares_storage

FEW = X[:4]


def opened(model, inputs=FEW, packing=None, head=None):
    """Model, head and network as ``forget`` has them."""
    own = adapted(working_copy(model), inputs, packing)
    found = find_head(own, inputs, head)
    check_stable(own, inputs)
    return own, found, split(own, found, inputs)


def refused(model, *arguments, **options):
    with pytest.raises(Refused) as caught:
        opened(model, *arguments, **options)
    assert caught.value.reason == "no_linear_head" and "\n" not in str(caught.value)
    return str(caught.value)


# -- heads --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_of_any_kind_is_found_and_the_two_parts_are_the_model(kind):
    torch.manual_seed(0)
    build, head, width = KINDS[kind]
    model = build().eval()
    own, found, network = opened(model)
    assert found == head
    with torch.no_grad():
        logits, e = own(FEW), network.extractor(FEW)
        assert logits.shape == (4, 2 if "one logit" in kind else CLASSES) and e.shape == (4, width)
        assert torch.equal(network(FEW), logits)
        assert torch.allclose(network.classifier(e), logits, atol=1e-5)
    check_below(network)


@pytest.mark.parametrize("kind", ["object", "cosine", "convolution", "temperature"])
def test_a_copy_is_whole_and_its_extractor_trains_what_lies_below_the_head(kind):
    torch.manual_seed(0)
    _, head, network = opened(KINDS[kind][0]().eval())
    twin = copy.deepcopy(network)
    assert not shares_storage(twin, network)
    own = {id(p) for p in twin.classifier.parameters()}
    assert own and own <= {id(p) for p in twin.extractor.parameters()}, "the head is part of the model, once"
    twin.extractor(FEW).square().sum().backward()
    below = [p for p in twin.extractor.parameters() if id(p) not in own]
    assert all(p.grad is not None for p in below) and all(p.grad is None for p in twin.classifier.parameters())
    with torch.no_grad():
        before, e = twin.classifier(network.extractor(FEW)), network.extractor(FEW)
        for p in below:
            p.zero_()
        assert torch.equal(twin.classifier(e), before), "it reads nothing but the representation"
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in whole(twin).modules())
    assert torch.is_grad_enabled() and all(p.requires_grad for p in whole(network).parameters())


@pytest.mark.parametrize(("name", "side", "head"), [
    ("squeezenet1_1", 64, "classifier.1:input"), ("inception_v3", 96, "fc"), ("densenet121", 32, "classifier"),
    ("swin_v2_t", 32, "head"), ("efficientnet_b0", 32, "classifier.1"),
])
def test_heads_of_torchvision(name, side, head):
    torch.manual_seed(0)
    options = {"aux_logits": True, "init_weights": False} if name == "inception_v3" else {}
    model = getattr(models, name)(num_classes=CLASSES, **options).eval()
    _, found, network = opened(model, torch.randn(3, 3, side, side))
    assert found == head
    with torch.no_grad():
        assert network.extractor(torch.randn(3, 3, side, side)).shape[0] == 3


def test_a_model_of_transformers():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        image_size=8, patch_size=4, hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        num_labels=4,
    )
    model = transformers.ViTForImageClassification(config).eval()
    own, found, network = opened(model)
    assert found == "classifier" and network.extractor(FEW).shape == (4, WIDTH)
    assert torch.equal(own(FEW), model(FEW).logits)


def test_any_layer_can_be_named_by_its_side():
    model = Net().eval()
    _, head, network = opened(model, head="body.stem.3:input")
    assert head == "body.stem.3:input" and network.extractor(FEW).shape == (4, 768)
    assert torch.allclose(network.classifier(network.extractor(FEW)), model(FEW), atol=1e-5)
    assert "layer:output" in refused(model, head="body.stem.3")
    assert "no representation" in refused(model, head="body.stem.1:input")


def test_what_cannot_be_worked_with_is_refused_with_a_way_out():
    assert "layer:output" in refused(TwoTokens().eval())
    assert "logits" in refused(Net(say=lambda z, e: z.softmax(1)).eval())
    assert "logits" in refused(Net(nn.Linear(WIDTH, 1), lambda z, e: z.sigmoid()).eval())
    assert "OneLabel" in refused(Net(say=lambda z, e: z.sigmoid()).eval())
    assert "pixel" in refused(nn.Sequential(nn.Conv2d(3, 4, 1)).eval())
    several = Net().eval()
    several.config = types.SimpleNamespace(problem_type="multi_label_classification")
    assert "OneLabel" in refused(several)
    assert "wrap" in refused(Net(say=lambda z, e: {"a": e.abs(), "b": z.abs()}).eval())
    _, _, network = opened(nn.Sequential(nn.Flatten(), nn.Linear(192, 4)).eval())
    with pytest.raises(Refused, match="nothing below"):
        check_below(network)
    with pytest.raises(Refused, match="does not take inputs"):
        adapted(Net().eval(), torch.randn(2, 5, 8, 8))


def test_one_label_of_several():
    model = Net(say=lambda z, e: {"logits": z}).eval()
    own, head, network = opened(OneLabel(model, 2))
    assert head == "model.head:input" and own(FEW).shape == (4, 2)
    assert torch.allclose(own(FEW)[:, 1], model(FEW)["logits"][:, 2])
    assert whole(network).model is not model and fingerprint(whole(network).model) == fingerprint(model)


def test_wide_maps_are_averaged_in_cells():
    assert (grid((512, 13, 13)), grid((24, 8, 8)), grid((512, 4, 4)), grid((5_000, 8, 8))) == (1, 8, 2, 1)
    assert grid((32, 12, 8)) == 4, "cells of equal size both ways"
    maps = torch.randn(2, 512, 4, 4)
    assert torch.allclose(pooled(maps).view(2, 512, 4).mean(2), maps.mean((2, 3)), atol=1e-6)


# -- inputs -------------------------------------------------------------------------------------------------------------------


def test_texts_and_tables():
    torch.manual_seed(0)
    ids = torch.randint(0, 50, (6, 7))
    text = {"input_ids": ids, "attention_mask": (torch.arange(7) < 5).long().expand(6, 7)}
    rows, packing = packed(text)
    model = Text().eval()
    own, head, network = opened(model, rows, packing)
    assert head == "classifier" and torch.equal(own(rows), model(**text).logits) and rows.dtype == torch.float32
    rows, packing = packed({"": ids})
    assert torch.equal(opened(model, rows, packing)[0](rows), model(ids).logits)
    columns = {"numbers": torch.randn(6, 6), "kind": torch.randint(0, 5, (6,))}
    rows, packing = packed(columns)
    own, head, _ = opened(Table().eval(), rows, packing)
    assert head == "out" and torch.equal(own(rows), own.model(columns))


@pytest.mark.parametrize(("inputs", "told"), [
    ({"input_ids": torch.zeros(3, 2).long(), "labels": torch.zeros(3)}, "labels"),
    ({"a": torch.zeros(3, 2), "b": torch.zeros(4, 2)}, "different numbers"),
    ({"a": "text"}, "tensor"), ({"a": torch.tensor([1 << 25])}, "beyond"),
])
def test_inputs_that_cannot_be_packed(inputs, told):
    with pytest.raises(Refused, match=told):
        packed(inputs)


# -- wrappers and formats -----------------------------------------------------------------------------------------------------


def test_wrappers_are_taken_off():
    model = own_model().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = torch.compile(nn.DataParallel(torch.compile(model)))
    assert bare(wrapped) is model
    own = working_copy(wrapped)
    assert type(own) is type(model) and fingerprint(own) == fingerprint(model)
    assert [name for name, _ in as_given(own, wrapped).named_parameters()] == [name for name, _ in model.named_parameters()]


def test_mixed_formats_and_memory_layouts_come_back_as_they_were():
    model = own_model().to(memory_format=torch.channels_last).bfloat16().eval()
    model.stem[1].float()  # as mixed-precision training leaves normalisation
    own = working_copy(model)
    assert {p.dtype for p in own.parameters()} == {torch.float32}
    back = as_given(own, model)
    assert [p.dtype for p in back.parameters()] == [p.dtype for p in model.parameters()]
    assert fingerprint(back) == fingerprint(model) and not shares_storage(back, model)
    assert back.stem[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_a_weight_that_is_made_before_each_call_can_be_copied():
    model = KINDS["weight norm"][0]()
    model(FEW).sum().backward()  # its weight now belongs to a graph, which deepcopy alone refuses
    assert torch.equal(working_copy(model)(FEW), model.eval()(FEW))


# -- closed form --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["object", "behind dropout", "temperature", "weight norm", "weight norm, parametrised",
                                  "convolution", "rectified convolution", "log-probabilities"])
def test_a_class_leaves_a_head_in_closed_form(kind):
    torch.manual_seed(0)
    model = KINDS[kind][0]().eval()
    noise = torch.randn(200, 3, 8, 8)
    said = getattr(model(noise), "logits", model(noise)).argmax(1)
    out = int(said.bincount().argmax())
    gone = remove_classes(model, [out], noise[:4])
    with torch.no_grad():
        before, after = (getattr(m(noise), "logits", m(noise)) for m in (model, gone))
    kept = [c for c in range(CLASSES) if c != out]
    assert not (after.argmax(1) == out).any()
    assert torch.equal(after[:, kept].argmax(1), before[:, kept].argmax(1)), "the others are told apart as before"
    if "log" not in kind:
        assert torch.allclose(after[:, kept], before[:, kept], atol=1e-5)
    assert type(gone) is type(model) and not shares_storage(gone, model)


@pytest.mark.parametrize("linear", [True, False])
def test_a_text_leaves_a_zero_shot_classifier_without_an_image(linear):
    """The features change, not the texts: in the tower's last layer where that is a linear one."""
    torch.manual_seed(0)
    tower = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 16), *([] if linear else [nn.Tanh()]))
    text = torch.randn(6, 16) + 2  # as CLIP's, nearer to each other than chance
    model = ZeroShot(tower, text).eval()
    noise = torch.randn(300, 3, 8, 8)
    gone = remove_classes(model, [2], noise[:2])
    with torch.no_grad():
        before, after = model(noise), gone(noise)
    kept = [0, 1, 3, 4, 5]
    assert (before.argmax(1) == 2).any() and not (after.argmax(1) == 2).any()
    assert torch.equal(before[:, kept].argmax(1), after[:, kept].argmax(1))
    assert torch.equal(gone.text, model.text)
    assert torch.equal(gone.projection, torch.eye(16)) == linear
    again = remove_classes(gone, [4], noise[:2])
    with torch.no_grad():
        assert not torch.isin(again(noise).argmax(1), torch.tensor([2, 4])).any(), "one after the other"


def test_more_texts_than_dimensions():
    torch.manual_seed(0)
    model = ZeroShot(nn.Sequential(nn.Flatten(), nn.Linear(192, 16)), torch.randn(40, 16)).eval()
    noise = torch.randn(2_000, 3, 8, 8)
    with torch.no_grad():
        before, after = model(noise).argmax(1), remove_classes(model, [7], noise[:2])(noise).argmax(1)
    rest = before != 7
    assert (after == 7).float().mean() < 0.5 * (before == 7).float().mean(), "least squares: less, not never"
    assert (after[rest] == before[rest]).float().mean() > 0.8


def test_what_the_closed_form_cannot_do():
    with pytest.raises(Refused, match="linear or convolutional"):
        remove_classes(Net(Cosine()).eval(), [0], FEW)
    with pytest.raises(Refused, match="linear or convolutional"):
        remove_classes(KINDS["one logit"][0]().eval(), [0], FEW)
    with pytest.raises(Refused, match="must stay"):
        remove_classes(Net().eval(), [0, 1, 2], FEW)
    with pytest.raises(Refused, match="among 0 to 3"):
        remove_classes(Net().eval(), [4], FEW)
