"""SCRUB, SCRUB+R and T-S: what each is by definition."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from methods_fakes import CLASSES, Tripwire, tiny_network, tiny_request

from laf_utils.methods import METHODS, DataAccess, LabelAccess, View, bad_teacher, run_method, scrub
from laf_utils.methods.loops import distillation
from laf_utils.methods.method import fingerprint
from laf_utils.methods.parts import FrozenLogits, Spent
from laf_utils.methods.passes import Passes
from laf_utils.methods.request import joined
from laf_utils.representations import apply_frozen

QUICK = dataclasses.replace(
    METHODS["scrub"].settings, epochs=4, max_steps=2, learning_rate=5e-3, forget_batch=16, retain_batch=16
)


@pytest.fixture(scope="module")
def request_():
    return tiny_request()


def test_distillation_is_t_squared_kl_averaged_over_the_batch():
    draw = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(5, CLASSES, generator=draw), torch.randn(5, CLASSES, generator=draw)
    by_hand, temperature = 0.0, 3.0
    for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
        p = [math.exp(v / temperature) for v in t]
        q = [math.exp(v / temperature) for v in s]
        by_hand += sum(a / sum(p) * math.log(a / sum(p) / (b / sum(q))) for a, b in zip(p, q, strict=True))
    value = distillation(student, teacher, temperature).item()
    assert value == pytest.approx(temperature**2 * by_hand / 5, rel=1e-5)  # over 5 images, not over 5 * 4 elements


def test_the_published_numbers():
    small, large, confusion = (METHODS["scrub"].published(task) for task in (None, "class", "noisy"))
    for settings, expected in (
        (small, ("adam", 5e-4, 1.0, 0.5, 2.0, 3, 10, 64, 32, (5, 8, 9), 0.1)),
        (large, ("sgd", 5e-4, 0.99, 0.001, 4.0, 2, 3, 512, 256, (3, 5, 9), 5e-4)),
        (confusion, ("adam", 5e-4, 99.0, 0.01, 2.0, 2, 10, 32, 32, (5, 6, 9), 0.1)),
    ):
        s = settings
        found = (s.optimiser, s.learning_rate, s.gamma, s.alpha, s.temperature, s.max_steps, s.epochs, s.forget_batch,
                 s.retain_batch, s.decay_after, s.weight_decay)
        assert found == expected


def test_each_set_passes_in_batches_of_its_own(request_):
    settings = dataclasses.replace(QUICK, forget_batch=13, retain_batch=26)  # of 26 and 78 images
    result = run_method("scrub", request_, settings)
    assert result.ascent_steps == 2 * 2
    joint = run_method("scrub", request_, dataclasses.replace(settings, forget_batch=26))
    assert joint.ascent_steps == 2 and joint.passes == result.passes
    assert fingerprint(joint.model) != fingerprint(result.model)


def test_both_passes_happen_and_the_forget_kl_rises(request_):
    history = run_method("scrub", request_, QUICK).history
    assert len(history["forget_kl"]) == 2 and len(history["retain_loss"]) == 4  # max_steps and epochs
    assert history["forget_kl"][1] > history["forget_kl"][0] > 0
    assert history["retain_loss"][3] < history["retain_loss"][1]  # after the last maximising pass it mends


@pytest.mark.parametrize("max_steps, maximised", [(0, 0), (1, 1), (9, 4)])
def test_max_steps_are_respected(max_steps, maximised, request_):
    result = run_method("scrub", request_, dataclasses.replace(QUICK, max_steps=max_steps))
    assert len(result.history.get("forget_kl", [])) == maximised
    forget, retain = len(request_.forget), len(request_.retain)
    once = (forget if maximised else 0) + retain  # the teacher
    assert result.passes == Passes(maximised * forget + 4 * retain, once)


def test_the_learning_rate_falls_after_epochs_5_8_and_9(request_):
    published = METHODS["scrub"].settings
    rates = run_method("scrub", request_, published).history["learning_rate"]
    assert rates == pytest.approx([5e-4] * 5 + [5e-5] * 3 + [5e-6, 5e-7])


def test_the_passes_step_the_way_the_definition_says(request_, monkeypatch):
    """One batch each: the maximising step by hand, then the minimising one."""
    request = dataclasses.replace(request_, fresh=None)
    settings = scrub.ScrubSettings(epochs=1, max_steps=1, optimiser="sgd", momentum=0.0, weight_decay=0.0, learning_rate=0.05,
                                   gamma=0.7, alpha=0.3, temperature=2.0, forget_batch=1000, retain_batch=1000)
    got = run_method("scrub", request, settings)
    student = View(request, "mine", LabelAccess.NONE, DataAccess.BOTH).student().train()
    for part, sign in (("forget", -1), ("retain", 1)):
        images = getattr(request, part)
        x = images.batch(torch.arange(len(images)))
        kl = distillation(student(x), request.original(x).detach(), 2.0)
        loss = -kl if sign < 0 else 0.3 * kl + 0.7 * F.cross_entropy(student(x), request.retain_labels)
        gradients = torch.autograd.grad(loss, list(student.parameters()))
        with torch.no_grad():
            for p, g in zip(student.parameters(), gradients, strict=True):
                p -= 0.05 * g
    for name, value in student.named_parameters():
        torch.testing.assert_close(got.model.get_parameter(name), value, rtol=1e-4, atol=1e-5)


def test_without_batchnorm_scrub_starts_where_its_gradient_is_zero(network, make_images):
    """KL(teacher || student) has its minimum at student = teacher: rounding and weight decay alone decide where the first step
    of the maximising pass goes. With BatchNorm the student's batch statistics do."""
    x = make_images(16).batch(torch.arange(16))
    teacher = network(x).detach()
    gradients = torch.autograd.grad(distillation(network(x), teacher, 2.0), list(network.parameters()))
    assert max(g.abs().max().item() for g in gradients) < 1e-5


def test_scrub_r_rewinds_to_the_epoch_closest_to_the_held_out_error(request_):
    result = run_method("scrub_r", request_, QUICK)
    errors, (reference,), (chosen,) = (result.history[name] for name in ("forget_error", "held_out_error", "chosen_epoch"))
    assert len(errors) == 4
    assert abs(errors[chosen - 1] - reference) == min(abs(error - reference) for error in errors)
    error = (apply_frozen(result.model, request_.forget).argmax(1) != request_.forget_labels).float().mean().item()
    assert error == errors[chosen - 1]  # the weights are that epoch's


def test_the_reference_is_the_last_models_error_on_the_forgotten_classes(request_):
    last = run_method("scrub", request_, QUICK).model
    same = request_.held_out_labels == 0
    wrong = apply_frozen(last, request_.held_out.subset(same.nonzero().squeeze(1))).argmax(1) != 0
    assert run_method("scrub_r", request_, QUICK).history["held_out_error"] == [wrong.float().mean().item()]


def test_scrub_r_takes_another_epoch_for_another_reference(request_, monkeypatch):
    models = {}
    for wanted in (1, 3):
        monkeypatch.setattr(scrub, "closest", lambda errors, reference, wanted=wanted: wanted)
        models[wanted] = fingerprint(run_method("scrub_r", request_, QUICK).model)
    assert models[1] != models[3] == fingerprint(run_method("scrub", request_, QUICK).model)


def test_closest_takes_the_first_of_equals():
    assert scrub.closest([0.0, 0.5, 1.0, 0.5], 0.6) == 1
    assert scrub.closest([0.25, 0.75], 0.5) == 0


def test_scrub_r_without_images_of_the_forgotten_classes_says_so(request_):
    others = (request_.held_out_labels != 0).nonzero().squeeze(1)
    request = dataclasses.replace(
        request_, held_out=request_.held_out.subset(others), held_out_labels=request_.held_out_labels[others]
    )
    with pytest.raises(ValueError, match="held-out images of the classes in D_f"):
        run_method("scrub_r", request, QUICK)


# -- T-S ------------------------------------------------------------------------------------------------------------------------


def test_targets_mix_the_two_teachers_by_the_flag(request_):
    bad, spent = tiny_network(seed=5), Spent()
    part = request_.retain.subset(torch.arange(10))
    images, count = joined(request_.forget, part), len(request_.forget)
    teacher = bad_teacher.MixedTeacher(
        FrozenLogits(bad, request_.forget, spent), FrozenLogits(request_.original, part, spent), count
    )
    rows = torch.tensor([count + 3, 0, 5, count + 9])  # D_r, D_f, D_f, D_r
    x = images.batch(rows)
    flag = torch.tensor([0.0, 1.0, 1.0, 0.0])[:, None]
    expected = flag * bad(x).softmax(1) + (1 - flag) * request_.original(x).softmax(1)
    torch.testing.assert_close(teacher.logits(rows, x).softmax(1), expected.detach(), rtol=1e-5, atol=1e-6)
    assert spent.passes() == Passes(0, count + 10)  # each image once, by its own teacher
    only_forgotten = teacher.logits(rows[1:3], x[1:3]).softmax(1)
    torch.testing.assert_close(only_forgotten, expected[1:3].detach(), rtol=1e-5, atol=1e-6)


def test_the_bad_teacher_is_fresh_frozen_and_in_evaluation_mode(request_):
    seen = []

    def fresh(seed, stage):
        network = tiny_network(seed, stage)
        network.extractor.register_forward_pre_hook(lambda *_: seen.append((network.training, torch.is_grad_enabled())))
        return network.train()

    request = dataclasses.replace(request_, fresh=fresh, retain_labels=Tripwire(), forget_labels=Tripwire())
    run_method("ts", request)
    assert seen and set(seen) == {(False, False)}


def test_ts_uses_thirty_percent_of_the_retained_images_and_forgets_towards_chance(request_):
    settings = dataclasses.replace(METHODS["ts"].settings, epochs=15, learning_rate=5e-3, batch_size=16)
    assert (METHODS["ts"].settings.learning_rate, METHODS["ts"].settings.batch_size) == (1e-4, 256)
    result = run_method("ts", request_, settings)
    used = len(request_.forget) + round(0.3 * len(request_.retain))
    assert result.passes == Passes(15 * used, used)
    assert result.history["kl"][-1] < result.history["kl"][0]
    bad = View(request_, "ts", LabelAccess.NONE, DataAccess.BOTH).fresh("bad teacher")
    goal = apply_frozen(bad, request_.forget).softmax(1)
    before, after = (apply_frozen(m, request_.forget).softmax(1) for m in (request_.original, result.model))
    assert (after - goal).abs().mean() < 0.5 * (before - goal).abs().mean()
