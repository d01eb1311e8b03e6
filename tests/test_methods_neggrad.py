"""NegGrad, NegGrad+ and Retrain: what each is by definition."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from methods_fakes import CLASSES, tiny_request

from laf_utils.methods import METHODS, DataAccess, LabelAccess, View, neggrad, request_of, run_method
from laf_utils.methods.loops import batches, cycled, cycled_images
from laf_utils.methods.method import fingerprint
from laf_utils.settings.config import TrainingConfig
from laf_utils.training import TrainingDiverged


@pytest.fixture(scope="module")
def request_():
    return tiny_request()


def test_published_numbers():
    plain, plus = METHODS["neggrad"].settings, METHODS["neggrad_plus"].settings
    assert (plain.learning_rate, plain.momentum, plain.epochs) == (1e-4, 0.9, 5)
    assert (plus.learning_rate, plus.alpha, plus.epochs, plus.bounded) == (0.01, 0.95, 10, True)


def test_the_bounded_loss_stops_at_ln_classes_for_each_image():
    logits = torch.tensor([[50.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0]], requires_grad=True)
    labels = torch.tensor([1, 0])  # hopelessly wrong, and still right
    loss = neggrad.forget_loss(logits, labels, bounded=True)
    assert loss.item() == pytest.approx((math.log(4) + F.cross_entropy(logits[1:], labels[1:]).item()) / 2)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient[0].eq(0).all() and gradient[1].ne(0).all()  # ascent leaves alone what is forgotten
    assert neggrad.forget_loss(logits, labels, bounded=False) > 24


def test_one_step_of_neggrad_climbs_the_loss(request_):
    settings = neggrad.NegGradSettings(epochs=1, learning_rate=0.1, momentum=0.0, batch_size=1000)
    got = run_method("neggrad", request_, settings).model
    student = View(request_, "mine", LabelAccess.NONE, DataAccess.FORGET).student().train()
    x = request_.forget.batch(torch.arange(len(request_.forget)))
    loss = F.cross_entropy(student(x), request_.forget_labels)
    for (name, p), g in zip(student.named_parameters(), torch.autograd.grad(loss, list(student.parameters())), strict=True):
        torch.testing.assert_close(got.get_parameter(name), p.detach() + 0.1 * g, rtol=1e-4, atol=1e-6)


def test_one_step_of_neggrad_plus_is_the_stated_sum(request_):
    settings = neggrad.NegGradPlusSettings(epochs=1, learning_rate=0.1, alpha=0.6, batch_size=1000)
    got = run_method("neggrad_plus", request_, settings).model
    student = View(request_, "mine", LabelAccess.NONE, DataAccess.BOTH).student().train()
    x_r, x_f = (part.batch(torch.arange(len(part))) for part in (request_.retain, request_.forget))
    loss = 0.6 * F.cross_entropy(student(x_r), request_.retain_labels)  # at theta_0 the penalty has no gradient
    of_each = F.cross_entropy(student(x_f), request_.forget_labels, reduction="none")
    loss = loss - 0.4 * of_each.clamp(max=math.log(CLASSES)).mean()
    for (name, p), g in zip(student.named_parameters(), torch.autograd.grad(loss, list(student.parameters())), strict=True):
        torch.testing.assert_close(got.get_parameter(name), p.detach() - 0.1 * g, rtol=1e-4, atol=1e-6)


def test_the_penalty_is_the_squared_distance_and_keeps_the_student_near(request_):
    model = View(request_, "mine", LabelAccess.NONE, DataAccess.BOTH).student()
    start = [p.detach() - 2 for p in model.parameters()]
    values = sum(p.numel() for p in model.parameters())
    assert neggrad.distance_squared(model, start).item() == pytest.approx(4 * values, rel=1e-5)
    settings = neggrad.NegGradPlusSettings(epochs=5, learning_rate=0.1, alpha=0.5)
    free, tied = (
        run_method("neggrad_plus", request_, dataclasses.replace(settings, weight_decay=decay)).model for decay in (0.0, 5.0)
    )
    origin = list(request_.original.parameters())
    assert neggrad.distance_squared(tied, origin) < 0.5 * neggrad.distance_squared(free, origin)


def test_neggrad_plus_stays_bounded_and_without_the_clip_does_not(request_):
    settings = neggrad.NegGradPlusSettings(epochs=8, alpha=0.2, learning_rate=0.2, batch_size=8, weight_decay=0.0)
    bounded = run_method("neggrad_plus", request_, settings).history["forget_loss"]
    assert max(bounded) <= math.log(CLASSES) + 1e-6
    with pytest.raises(TrainingDiverged, match="neggrad_plus: the loss is not finite"):
        run_method("neggrad_plus", request_, dataclasses.replace(settings, bounded=False))


def test_the_forget_batches_cycle_reshuffled():
    walk, order = [], torch.Generator().manual_seed(0)
    for _, rows in zip(range(7), cycled(10, 4, order), strict=False):
        walk.append(rows)
    for start in (0, 3):
        assert sorted(torch.cat(walk[start : start + 3]).tolist()) == list(range(10))
    assert torch.cat(walk[:3]).tolist() != torch.cat(walk[3:6]).tolist()
    assert cycled_images(10, 4, 7) == sum(map(len, walk)) == 24


def test_a_last_batch_of_one_image_joins_the_one_before():
    order = torch.Generator().manual_seed(0)
    assert [len(rows) for rows in batches(9, 4, order)] == [4, 5]
    assert [len(rows) for rows in batches(1, 4, order)] == [1]


def test_retrain_is_the_pipelines_retrained_model_bit_for_bit(make_run):
    run = make_run()
    request = request_of(run.original, run.train_images, run.task, fresh=run.architecture.build, seed=run.config.seed)
    result = run_method("retrain", request, run.config.training)
    assert fingerprint(result.model) == fingerprint(run.retrained)
    assert result.history == {"retrained": run.losses["retrained"]}


def test_retrain_takes_no_weight_from_the_original_and_another_seed_gives_another_model(request_):
    settings = TrainingConfig(epochs=1)
    other = dataclasses.replace(request_, original=tiny_request().original.requires_grad_(False))
    with torch.no_grad():
        for p in other.original.parameters():
            p.zero_()
    first = fingerprint(run_method("retrain", request_, settings).model)
    assert first == fingerprint(run_method("retrain", other, settings).model)
    assert first != fingerprint(run_method("retrain", dataclasses.replace(request_, seed=1), settings).model)
