"""NegGrad, NegGrad+ and Retrain: what each is by definition."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from methods_fakes import CLASSES, tiny_request

from laf_utils.methods import METHODS, DataAccess, LabelAccess, View, find, neggrad, request_of, run_method
from laf_utils.methods.loops import batches, cycled, cycled_images, step_count
from laf_utils.methods.method import fingerprint
from laf_utils.settings.config import TrainingConfig
from laf_utils.training import TrainingDiverged


@pytest.fixture(scope="module")
def request_():
    return tiny_request()


def test_published_numbers():
    plain, plus = METHODS["neggrad"].settings, METHODS["neggrad_plus"].settings
    assert (plain.learning_rate, plain.momentum, plain.epochs, plain.batch_size) == (1e-4, 0.9, 5, 256)
    assert (plus.learning_rate, plus.alpha, plus.epochs, plus.bounded) == (0.01, 0.95, 10, False)
    assert (plus.forget_batch, plus.retain_batch, plus.weight_decay) == (64, 128, 0.1)
    assert METHODS["neggrad_plus"].published("noisy") == dataclasses.replace(plus, forget_batch=32)


def test_the_bounded_one_and_its_controls_are_one_method_of_ours():
    names = ("neggrad_plus_bounded", "neggrad_plus_pseudo", "neggrad_plus_few")
    assert {find(name).settings for name in names} == {neggrad.BOUNDED}
    for name in names:
        assert "bounded (ours)" in find(name).title and find(name).reference.startswith("this project")
        assert find(name).published("noisy") == neggrad.BOUNDED


def test_the_bounded_loss_stops_at_ln_classes_for_each_image():
    logits = torch.tensor([[50.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0]], requires_grad=True)
    labels = torch.tensor([1, 0])  # hopelessly wrong, and still right
    loss = neggrad.forget_loss(logits, labels, bounded=True)
    assert loss.item() == pytest.approx((math.log(4) + F.cross_entropy(logits[1:], labels[1:]).item()) / 2)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient[0].eq(0).all() and gradient[1].ne(0).all()  # ascent leaves alone what is forgotten
    assert neggrad.forget_loss(logits, labels, bounded=False) > 24


def test_one_step_of_neggrad_climbs_the_loss(request_):
    settings = neggrad.NegGradSettings(epochs=1, learning_rate=0.1, momentum=0.0, weight_decay=0.0, batch_size=1000)
    got = run_method("neggrad", request_, settings).model
    student = View(request_, "mine", LabelAccess.NONE, DataAccess.FORGET).student().train()
    x = request_.forget.batch(torch.arange(len(request_.forget)))
    loss = F.cross_entropy(student(x), request_.forget_labels)
    for (name, p), g in zip(student.named_parameters(), torch.autograd.grad(loss, list(student.parameters())), strict=True):
        torch.testing.assert_close(got.get_parameter(name), p.detach() + 0.1 * g, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("bounded", [False, True])
def test_one_step_of_neggrad_plus_is_the_stated_sum(bounded, request_):
    settings = dataclasses.replace(
        neggrad.BOUNDED, bounded=bounded, epochs=1, learning_rate=0.1, alpha=0.6, forget_batch=1000, retain_batch=1000
    )
    got = run_method("neggrad_plus", request_, settings).model
    student = View(request_, "mine", LabelAccess.NONE, DataAccess.BOTH).student().train()
    x_r, x_f = (part.batch(torch.arange(len(part))) for part in (request_.retain, request_.forget))
    loss = 0.6 * F.cross_entropy(student(x_r), request_.retain_labels)  # at theta_0 the penalty has no gradient
    of_each = F.cross_entropy(student(x_f), request_.forget_labels, reduction="none")
    loss = loss - 0.4 * (of_each.clamp(max=math.log(CLASSES)) if bounded else of_each).mean()
    for (name, p), g in zip(student.named_parameters(), torch.autograd.grad(loss, list(student.parameters())), strict=True):
        torch.testing.assert_close(got.get_parameter(name), p.detach() - 0.1 * g, rtol=1e-4, atol=1e-6)


def test_the_penalty_is_the_squared_distance_and_keeps_the_student_near(request_):
    model = View(request_, "mine", LabelAccess.NONE, DataAccess.BOTH).student()
    start = [p.detach() - 2 for p in model.parameters()]
    values = sum(p.numel() for p in model.parameters())
    assert neggrad.distance_squared(model, start).item() == pytest.approx(4 * values, rel=1e-5)
    settings = dataclasses.replace(neggrad.BOUNDED, epochs=5, learning_rate=0.1, alpha=0.5)
    free, tied = (
        run_method("neggrad_plus", request_, dataclasses.replace(settings, weight_decay=decay)).model for decay in (0.0, 5.0)
    )
    origin = list(request_.original.parameters())
    assert neggrad.distance_squared(tied, origin) < 0.5 * neggrad.distance_squared(free, origin)


def test_neggrad_plus_runs_away_as_published_and_not_with_our_bound(request_):
    settings = dataclasses.replace(
        neggrad.BOUNDED, epochs=8, alpha=0.2, learning_rate=0.2, forget_batch=8, retain_batch=8, weight_decay=0.0
    )
    bounded = run_method("neggrad_plus_bounded", request_, settings).history["forget_loss"]
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
    for count in range(14):
        assert step_count(count, 4) == (len(batches(count, 4, order)) if count else 0)


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
