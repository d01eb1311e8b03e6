"""relearn: what it is by definition."""

import copy
import dataclasses

import pytest
import torch
from methods_fakes import Tripwire, tiny_network, tiny_request
from torch import nn

import laf_utils.methods.relearn as relearn_module
from laf_utils.audit import log_odds
from laf_utils.images import Images, Transform
from laf_utils.methods import run_method
from laf_utils.methods.method import fingerprint
from laf_utils.methods.relearn import COOLED, RISE, RelearnSettings, lesson_loss, one_cycle, plan_of
from laf_utils.methods.relearn_lessons import Lessons, lessons_of, vanishing
from laf_utils.methods.relearn_start import tail_of, towards_fresh
from laf_utils.settings.config import TrainingConfig

SETTINGS = RelearnSettings(share=0.5, learning_rate=5e-3, batch_size=16)
KEPT = dataclasses.replace(SETTINGS, mask=False, sharpness="soft", prior=False)  # nothing of D_f's answers is used


@pytest.fixture(scope="module")
def request_():
    return tiny_request()


def inputs_of(images):
    return images.batch(torch.arange(len(images)))


def test_no_label_is_read(request_):
    wires = dict.fromkeys(("forget_labels", "retain_labels", "held_out_labels"), Tripwire())
    guarded = run_method("relearn", dataclasses.replace(request_, **wires), SETTINGS)
    assert fingerprint(guarded.model) == fingerprint(run_method("relearn", request_, SETTINGS).model)


def test_no_image_of_d_f_passes_through_the_student(request_):
    seen = []

    def watched(seed, stage):
        student = tiny_network(seed, stage)
        student.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
        return student

    run_method("relearn", dataclasses.replace(request_, fresh=watched), SETTINGS)
    known = {row.numpy().tobytes() for row in inputs_of(request_.retain)}
    passed = {row.numpy().tobytes() for batch in seen for row in batch}
    assert passed and passed <= known and not passed & {row.numpy().tobytes() for row in inputs_of(request_.forget)}


def test_d_f_counts_only_through_the_originals_answers_on_it(request_):
    pixels = torch.randint(0, 256, (30, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    other = dataclasses.replace(
        request_, forget=Images(pixels[: len(request_.forget)], Transform()),
        retain=Images(request_.retain.pixels[request_.retain.index], Transform()),
    )
    assert fingerprint(run_method("relearn", other, KEPT).model) == fingerprint(run_method("relearn", request_, KEPT).model)


def test_a_fresh_start_is_knowledge_distillation(request_):
    """Nothing of the original's weights is left: another network that answers alike gives the same student."""
    twin = copy.deepcopy(request_.original)
    with torch.no_grad():  # hidden units in another order: the same function in other weights
        for value in (twin.extractor[4].weight, twin.extractor[4].bias):
            value.copy_(value.flip(0))
        twin.classifier.weight.copy_(twin.classifier.weight.flip(1))
    states = {}
    for start in (1.0, 0.4):
        settings = dataclasses.replace(KEPT, share=0.05, start=start, tail=start)  # few steps: rounding has no time to grow
        requests = [dataclasses.replace(request_, original=model) for model in (request_.original, twin)]
        found = [run_method("relearn", request, settings).model for request in requests]
        states[start] = max((a - b).abs().max().item() for a, b in zip(*(m.parameters() for m in found), strict=True))
    assert states[1.0] < 1e-2 < 0.1 < states[0.4]


def test_the_start_lies_on_the_straight_line(request_):
    original, fresh = request_.original, tiny_network(3, "other")
    ends = dict(fresh.named_parameters())
    mixed = dict(towards_fresh(original, copy.deepcopy(fresh), 0.25, 1.0).named_parameters())
    tail = tail_of(original)
    assert tail == ["extractor.4", "classifier"]
    for name, value in original.named_parameters():
        share = 1.0 if name.rsplit(".", 1)[0] in tail else 0.25
        torch.testing.assert_close(mixed[name], (1 - share) * value + share * ends[name])
    with pytest.raises(ValueError, match="other parameters than the original"):
        towards_fresh(original, nn.Linear(2, 2), 0.5, 0.5)


def test_the_row_of_a_vanished_class_starts_fresh(request_):
    original, fresh = request_.original, tiny_network(3, "other")
    gone = torch.tensor([True, False, False, False])
    mixed = towards_fresh(original, copy.deepcopy(fresh), 0.25, 0.5, gone).classifier
    for name in ("weight", "bias"):
        old, new, value = (getattr(layer, name) for layer in (original.classifier, fresh.classifier, mixed))
        assert torch.equal(value[gone], new[gone])
        torch.testing.assert_close(value[~gone], (old[~gone] + new[~gone]) / 2)


def test_of_a_network_of_linear_layers_the_first_is_not_the_tail():
    assert tail_of(nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3), nn.Linear(3, 2))) == ["3", "4"]


# -- lessons -------------------------------------------------------------------------------------------------------------------


def test_a_class_vanishes_where_nearly_all_that_is_answered_with_it_lies_in_d_f():
    forget, retain = torch.tensor([0] * 9 + [1]), torch.tensor([0] + [1] * 20 + [2] * 9)
    assert vanishing(forget, retain, 3).tolist() == [True, False, False]
    assert not vanishing(forget, torch.tensor([0] * 9 + [1] * 20), 3).any()  # half of it stays
    scattered = torch.tensor([0] * 5 + [1] * 5)  # half of D_f lies elsewhere: no removal of a class
    assert not vanishing(scattered, retain, 3).any()


def test_a_vanishing_class_has_no_part_in_any_lesson():
    forget, retain = torch.tensor([[9.0, 0, 0]]).repeat(20, 1), torch.tensor([[2.0, 3, 1], [1, 0, 2]]).repeat(10, 1)
    masked = lessons_of(forget, retain, mask=True, sharpness="soft", prior=False)
    assert masked.gone.tolist() == [True, False, False] and not masked.targets[:, 0].any()
    torch.testing.assert_close(masked.targets[:, 1:], retain[:, 1:].softmax(1))
    plain = lessons_of(forget, retain, mask=False, sharpness="soft", prior=False)
    torch.testing.assert_close(plain.targets, retain.softmax(1))


def test_the_mask_keeps_a_vanished_class_from_being_taught_back(request_):
    """A network with a soft answer everywhere would teach a fresh one the class that D_f holds."""
    original = copy.deepcopy(request_.original)
    with torch.no_grad():
        original.classifier.weight.mul_(0.15)
        original.classifier.bias.mul_(0.15)
    request = dataclasses.replace(request_, original=original)
    told = {}
    for mask, prior in ((True, False), (False, True), (False, False)):
        settings = dataclasses.replace(SETTINGS, start=1.0, tail=1.0, sharpness="soft", mask=mask, prior=prior, share=1.0)
        model = run_method("relearn", request, settings).model
        with torch.no_grad():
            told[mask, prior] = model(inputs_of(request.forget)).softmax(1)[:, 0].mean().item()
    assert max(told[True, False], told[False, True]) < 0.02 < 0.1 < told[False, False]


def answers(probabilities):
    return torch.tensor(probabilities).log()


def test_noise_that_d_f_put_into_the_answers_is_taken_out():
    """Six of ten like images lie in D_f with labels spread over the other classes, so that the surest answer is 0.4."""
    noisy, own = [0.4, 0.2, 0.2, 0.2], [0.001, 0.001, 0.001, 0.997]
    forget, retain = answers([noisy] * 60), answers([noisy] * 40 + [own] * 40)
    found = lessons_of(forget, retain, mask=True, sharpness="conflict")
    assert found.contradicted.tolist() == [True] * 40 + [False] * 40 and found.noisy
    assert found.targets[:40, 0].min() > 0.99
    torch.testing.assert_close(found.targets[40:], retain[40:].softmax(1))  # a class without contradiction keeps its answers


@pytest.mark.parametrize("noisy", [True, False])
def test_where_labels_contradict_the_student_shall_be_surer_than_its_lessons(request_, monkeypatch, noisy):
    """Of every image, those of other classes too; its entropy counts once it has an answer of its own."""
    asked = []

    def lessons(forget, retain, **_):
        contradicted = torch.arange(len(retain)) < (1 if noisy else 0)
        return Lessons(retain.softmax(1), torch.zeros(retain.shape[1], dtype=torch.bool), contradicted)

    def loss(logits, targets, certainty, temperature):
        asked.append((certainty, temperature))
        return lesson_loss(logits, targets, certainty, temperature)

    monkeypatch.setattr(relearn_module, "lessons_of", lessons)
    monkeypatch.setattr(relearn_module, "lesson_loss", loss)
    run_method("relearn", request_, dataclasses.replace(SETTINGS, share=1.0, certainty=0.6))
    rise = [step >= RISE * len(asked) for step in range(len(asked))]
    assert asked == [(0.6 * (late and noisy), COOLED if noisy else 1.0) for late in rise] and len(asked) > 5


def test_doubt_of_ones_own_is_kept():
    """Where the original is sure of many images of a class, its doubt about others is no contradiction."""
    sure, doubtful = [0.98, 0.01, 0.01], [0.5, 0.45, 0.05]
    forget, retain = answers([sure, doubtful] * 30), answers([sure, doubtful] * 30)
    found = lessons_of(forget, retain, mask=True, sharpness="conflict")
    assert not found.contradicted.any()
    torch.testing.assert_close(found.targets, retain.softmax(1))


@pytest.mark.parametrize("doubtful", [10, 40])
def test_a_class_that_is_hard_to_tell_is_contradicted_only_where_d_f_lies_in_it(doubtful):
    """A network that has learned little is unsure of all its shirts, whatever their labels were."""
    shirt, other = [0.55, 0.25, 0.2], [0.01, 0.01, 0.98]
    forget, retain = answers([shirt] * 30 + [other] * doubtful), answers([shirt] * 40 + [other] * 40)
    most = doubtful < 30
    found = lessons_of(forget, retain, mask=True, sharpness="conflict", prior=False)
    assert found.noisy == most
    assert most or torch.allclose(found.targets, retain.softmax(1))


def test_doubt_between_two_classes_stays_where_noise_is_taken_out():
    noisy, between = [0.4, 0.2, 0.2, 0.2], [0.32, 0.3, 0.19, 0.19]
    found = lessons_of(answers([noisy] * 60), answers([noisy] * 38 + [between] * 2), mask=True, sharpness="conflict")
    hard, soft = found.targets[0], found.targets[-1]
    assert hard[0] > 0.99 and 0.5 < soft[0] < 0.9 and soft[1] > 2 * soft[2:].max()


def test_certainty_is_the_students_entropy_where_answers_were_noisy():
    logits, targets = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.5, 0.5], [0.5, 0.5]])
    p = logits[0].softmax(0)
    kl, entropy = (0.5 * (0.5 / p).log()).sum().item(), -(p * p.log()).sum().item()
    assert lesson_loss(logits, targets, 0.0).item() == pytest.approx(kl)
    assert lesson_loss(logits, targets, 0.6).item() == pytest.approx(kl + 0.6 * entropy)
    assert lesson_loss(3 * logits, targets, 0.6, 3.0).item() == pytest.approx(kl + 0.6 * entropy)


def test_a_student_of_contradicted_lessons_ends_surer_of_d_r(request_, monkeypatch):
    """Of the same soft lessons: three quarters of each on its class."""
    sure = {}
    for noisy in (True, False):

        def lessons(forget, retain, noisy=noisy, **_):
            soft = 0.75 * nn.functional.one_hot(retain.argmax(1), retain.shape[1]) + 0.25 / retain.shape[1]
            return Lessons(soft, torch.zeros(retain.shape[1], dtype=torch.bool), torch.full((len(retain),), noisy))

        monkeypatch.setattr(relearn_module, "lessons_of", lessons)
        model = run_method("relearn", request_, dataclasses.replace(SETTINGS, share=2.0)).model
        with torch.no_grad():
            logits = model(inputs_of(request_.retain))
        sure[noisy] = log_odds(logits, logits.argmax(1)).median().item()
    assert sure[True] > 1.5 * sure[False] > 0


def test_hard_lessons_are_the_likeliest_class():
    retain = answers([[0.4, 0.6], [0.9, 0.1]])
    assert lessons_of(retain, retain, mask=False, sharpness="hard").targets.tolist() == [[0, 1], [1, 0]]


# -- cost, statistics ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("retain_share", [1.0, 0.25])
def test_the_budget_is_met_within_a_batch(share, retain_share):
    settings = RelearnSettings(share=share, retain_share=retain_share, training=TrainingConfig(epochs=20))
    plan = plan_of(settings, 1000, 4010)
    spent, budget = plan.images + plan.frozen / 3, share * 20 * 4010
    assert budget - settings.batch_size < spent <= budget


def test_a_run_costs_what_was_planned_and_at_least_one_step(request_):
    for share in (0.3, 1e-6):
        settings = dataclasses.replace(SETTINGS, share=share)
        plan = plan_of(settings, len(request_.forget), len(request_.retain))
        spent = run_method("relearn", request_, settings).passes
        assert plan.steps >= 1 and (spent.training, spent.frozen) == (plan.images, plan.frozen)


def test_the_rate_rises_and_falls_once():
    rates = [one_cycle(step, 100) for step in range(100)]
    top = rates.index(max(rates))
    assert rates[top] == 1 and rates[: top + 1] == sorted(rates[: top + 1]) and rates[top:] == sorted(rates[top:], reverse=True)
    assert 0 <= rates[-1] < 0.01 and one_cycle(0, 1) == 1


def test_batchnorm_statistics_are_those_of_d_r(request_):
    settings = dataclasses.replace(SETTINGS, share=2.0)
    student = run_method("relearn", request_, settings).model
    convolution, norm = student.extractor[0], student.extractor[1]
    with torch.no_grad():
        of_retain, of_forget = (convolution(inputs_of(part)).mean((0, 2, 3)) for part in (request_.retain, request_.forget))
    near, far = (norm.running_mean - of_retain).abs().max(), (norm.running_mean - of_forget).abs().max()
    assert near < 0.01 and near < far / 3
    assert norm.momentum == request_.original.extractor[1].momentum


def test_answers_move_to_the_frequencies_that_a_retrained_model_would_have_learned():
    """Two overlapping classes whose posterior is known: without half of one, the moved answers are the posterior of the rest."""
    x = torch.linspace(-4, 4, 4001)
    density = torch.stack([(-((x - centre) ** 2) / 2).exp() for centre in (-1.0, 1.0)], 1)  # equal in D
    both = density.log()
    kept = density @ torch.tensor([1.0, 0.5])
    rest = torch.multinomial(kept, 120_000, replacement=True, generator=torch.Generator().manual_seed(1))
    rows = torch.multinomial(density[:, 1], 40_000, replacement=True, generator=torch.Generator().manual_seed(0))
    wanted = (density * torch.tensor([1.0, 0.5])).clamp_min(1e-30)
    wanted = (wanted / wanted.sum(1, keepdim=True))[rest]
    errors = [
        (lessons_of(both[rows], both[rest], mask=False, sharpness="soft", prior=prior).targets - wanted).abs().mean()
        for prior in (True, False)
    ]
    assert errors[0] < 0.02 and errors[0] < 0.3 * errors[1]


def test_without_loss_of_any_class_the_answers_stay():
    logits = torch.randn(600, 3, generator=torch.Generator().manual_seed(0))
    soft = lessons_of(logits[:300], logits[:300], mask=False, sharpness="soft").targets
    assert torch.allclose(soft, logits[:300].softmax(1), atol=5e-3)
