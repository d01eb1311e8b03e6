"""LAF: the published loop against plain code, and what it must and must not touch."""

import copy
import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from laf_fakes import CONFIG, FULL, STILL, Fixed, flat, same, still_network

from laf_utils import adaptation as room
from laf_utils.adaptation import Teacher, reestimate_batchnorm, unlearn
from laf_utils.images import Images, Transform
from laf_utils.losses import Densities, drift, extractor_unlearning_loss
from laf_utils.models import Architecture
from laf_utils.representations import FrozenRepresentations, apply_frozen
from laf_utils.support.seeds import stream
from laf_utils.training import TrainingDiverged


@pytest.fixture
def sets(make_images):
    """40 images to forget and 70 to retain: batches of 16, 16 and 8 against 16, 16, 16."""
    return make_images(40, seed=1), make_images(70, seed=2)


@pytest.fixture
def densities(network, sets, make_densities):
    return make_densities(network, *sets)


@pytest.fixture
def run_laf(network, sets, densities):
    def run(config=CONFIG, *, seed=0, **changes):
        return unlearn(network, *sets, densities, dataclasses.replace(config, **changes), seed=seed)

    return run


# -- the loop, against plain code --------------------------------------------------------------------------------------


def plain_laf(original, forget, retain, densities, config, epochs):
    """The published algorithm written plainly: a pass for each half, the teacher asked anew in every step.

    ``epochs``: for each one the losses to step on and the pairs of batches (rows of D_f, rows of D_r).
    """
    student, teacher = copy.deepcopy(original).eval(), copy.deepcopy(original).eval()
    adam_ue = torch.optim.Adam(student.extractor.parameters(), lr=config.lr_ue)
    adam_ra = torch.optim.Adam(student.extractor.parameters(), lr=config.lr_ra)
    noise = stream(0, "unlearning", "noise")

    def s(density, e):
        m = ((density(density.standardised(e), noise)[0] - density.standardised(e)) ** 2).sum(1)
        return torch.exp(m / (m + 1))

    def loss_ue(x_r, x_f):
        fit, misfit = s(densities.h, student.extractor(x_r)), s(densities.h_f, student.extractor(x_f))
        return fit.sum() - misfit.sum() if config.reduction == "sum" else fit.mean() - misfit.mean()

    def c(x):
        return 1 - F.cosine_similarity(student.extractor(x), teacher.extractor(x).detach())

    def loss_ra(x_r, x_f):
        scores = (c(x_f) / config.temperature).exp()
        if config.reduction == "sum":
            return (c(x_r).exp() / scores.sum()).log().sum()
        return (c(x_r).exp() / scores.mean()).log().mean()

    losses, history = {"ue": loss_ue, "ra": loss_ra, "ue+ra": lambda *x: loss_ue(*x) + config.ra_weight * loss_ra(*x)}, []
    for names, pairs in epochs:
        sums = dict.fromkeys(names, 0.0)
        for rows_f, rows_r in pairs:
            x_r, x_f = retain.pixels[rows_r].float() / 255, forget.pixels[rows_f].float() / 255
            for name in names:
                loss = losses[name](x_r, x_f)
                student.zero_grad()
                loss.backward()
                (adam_ue if name == "ue" else adam_ra).step()
                sums[name] += loss.item()
        history.append({name: value / len(pairs) for name, value in sums.items()})
    return student, history


SCHEDULES = {
    "alternate": [["ue", "ra"], ["ue", "ra"]],
    "two_stage": [["ue"], ["ue"], ["ra"], ["ra"]],
    "joint": [["ue+ra"], ["ue+ra"]],
}


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_unlearning_is_the_published_loop(monkeypatch, network, sets, make_densities, schedule, reduction):
    drawn = []

    def recording(*arguments):
        drawn.append(shuffled(*arguments))
        return drawn[-1]

    shuffled = room.shuffled
    monkeypatch.setattr(room, "shuffled", recording)
    densities = make_densities(network, *sets, decoder="linear", standardise=True)  # m not saturated, gradients to compare
    config = dataclasses.replace(CONFIG, schedule=schedule, reduction=reduction, ra_weight=3.0)  # a joint step's alone
    found = unlearn(network, *sets, densities, config, seed=0)
    steps = SCHEDULES[schedule]
    drawn = drawn[-2 * len(steps):]  # the batches of each epoch: D_f, then D_r
    pairs = [list(zip(drawn[2 * i], drawn[2 * i + 1], strict=False)) for i in range(len(steps))]
    assert all([len(f) for f, _ in epoch] == [16, 16, 8] and [len(r) for _, r in epoch] == [16] * 3 for epoch in pairs)
    plain, history = plain_laf(network, *sets, densities, config, list(zip(steps, pairs, strict=True)))
    assert found.images_passed == sum(len(names) * (40 + 48) for names in steps)
    assert found.steps == 3 * len(steps)
    moved, ours = flat(plain) - flat(network), flat(found.model) - flat(network)
    assert moved.norm() > 0.1
    assert (ours - moved).norm() < 1e-3 * moved.norm()
    expected = {name: [epoch[name] for epoch in history if name in epoch] for name in ("ue", "ra", "ue+ra")}
    if schedule != "joint":
        assert found.loss_ue == pytest.approx(expected["ue"], abs=1e-3)
        assert found.loss_ra == pytest.approx(expected["ra"], abs=1e-3)


def test_joint_steps_report_both_losses(make_images):
    found = unlearn(
        still_network(), make_images(64, size=2), make_images(200, size=2), Densities(Fixed(1e30), Fixed(1e30)),
        dataclasses.replace(STILL, schedule="joint"), seed=0,
    )
    assert found.loss_ue == [pytest.approx(0, abs=1e-3)]
    assert found.loss_ra == [pytest.approx(FULL, abs=1e-3)]


def test_every_epoch_is_reshuffled(monkeypatch, run_laf):
    drawn, shuffled = [], room.shuffled
    monkeypatch.setattr(room, "shuffled", lambda *a: drawn.append(torch.cat(shuffled(*a))) or shuffled(*a))
    run_laf(epochs=4)
    for count in (40, 70):
        orders = {tuple(rows.tolist()) for rows in drawn if len(rows) == count}
        assert len(orders) >= 4


def test_the_latent_noise_stays_on(monkeypatch, run_laf, densities):
    asked, error = [], type(densities.h).squared_error
    monkeypatch.setattr(type(densities.h), "squared_error", lambda self, e, g: asked.append(g) or error(self, e, g))
    run_laf()
    assert asked
    assert all(isinstance(noise, torch.Generator) for noise in asked)


@pytest.mark.parametrize("backbone", ["cnn", "resnet18"])
def test_one_pass_for_both_halves_equals_two(make_images, backbone):
    model = Architecture(backbone, 3, 16, 10).build(0, "x").eval()
    a, b = make_images(9, 3, 16).batch(torch.arange(9)), make_images(5, 3, 16, seed=1).batch(torch.arange(5))
    together = model.extractor(torch.cat([a, b]))
    assert torch.allclose(together[:9], model.extractor(a), atol=1e-5)
    assert torch.allclose(together[9:], model.extractor(b), atol=1e-5)


def test_a_teacher_that_is_known_is_the_one_that_is_computed(network, sets, densities):
    forget, retain = sets

    class Anew(FrozenRepresentations):
        cached = False  # asks the frozen original in every step, as published

        def prepare(self):
            return self

    everything = Images(torch.cat([forget.pixels, retain.pixels]), Transform())
    known = FrozenRepresentations(network.extractor, everything).prepare()
    teachers = [
        None,
        Teacher(known.subset(torch.arange(40)), known.subset(torch.arange(40, 110))),
        Teacher(Anew(network.extractor, forget), Anew(network.extractor, retain)),
    ]
    computed, given, anew = (unlearn(network, *sets, densities, CONFIG, seed=0, teacher=t) for t in teachers)
    moved = (flat(computed.model) - flat(network)).norm()
    for other in (given, anew):
        assert (flat(other.model) - flat(computed.model)).norm() < 2e-3 * moved
        assert other.loss_ra == pytest.approx(computed.loss_ra, abs=1e-3)


# -- what unlearning must and must not touch ---------------------------------------------------------------------------


def test_the_original_is_untouched_and_shares_nothing(network, densities, run_laf):
    before = copy.deepcopy(network)
    frozen = [copy.deepcopy(densities.h), copy.deepcopy(densities.h_f)]
    for vae in (densities.h, densities.h_f):
        vae.zero_grad()
    found = run_laf()
    assert same(network, before)
    assert same(densities.h, frozen[0])
    assert same(densities.h_f, frozen[1])
    own = {t.untyped_storage().data_ptr() for t in found.model.state_dict().values()}
    assert not own & {t.untyped_storage().data_ptr() for t in network.state_dict().values()}
    assert all(p.requires_grad for p in network.parameters())
    assert all(p.grad is None for p in [*network.parameters(), *densities.h.parameters(), *densities.h_f.parameters()])


def test_only_the_extractor_moves(network, run_laf):
    found = run_laf().model
    assert same(found.classifier, network.classifier)
    assert all(p.grad is None for p in found.classifier.parameters())
    for (name, mine), theirs in zip(found.extractor.named_parameters(), network.extractor.parameters(), strict=True):
        assert not torch.equal(mine, theirs), name
    assert not found.training


def test_the_loss_reaches_the_representation_and_no_vae(densities):
    for vae in (densities.h, densities.h_f):
        vae.zero_grad()
    e = [torch.randn(4, 256, generator=torch.Generator().manual_seed(i), requires_grad=True) for i in range(2)]
    extractor_unlearning_loss(*e, densities, torch.Generator().manual_seed(0)).backward()
    assert all(part.grad.abs().sum() > 0 for part in e)
    assert all(p.grad is None for vae in (densities.h, densities.h_f) for p in vae.parameters())


@pytest.mark.parametrize("settings", [{"epochs": 0}, {"use_ue": False, "use_ra": "none"}])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_nothing_to_do_is_the_identity(network, run_laf, settings, schedule):
    found = run_laf(schedule=schedule, **settings)
    assert same(found.model, network)
    assert found.model is not network
    assert (found.loss_ue, found.loss_ra, found.steps, found.images_passed) == ([], [], 0, 0)


@pytest.mark.usefixtures("random_state_untouched")
def test_a_seed_is_a_result(run_laf):
    first = run_laf()
    again, other = run_laf(), run_laf(seed=1)
    assert same(first.model, again.model)
    assert (first.loss_ue, first.loss_ra) == (again.loss_ue, again.loss_ra)
    assert not torch.equal(flat(first.model), flat(other.model))


def test_ablations_switch_one_loss_off(run_laf):
    both, no_ue, no_ra = run_laf(), run_laf(use_ue=False), run_laf(use_ra="none")
    assert (len(both.loss_ue), len(both.loss_ra), both.steps) == (2, 2, 6)
    assert (len(no_ue.loss_ue), len(no_ue.loss_ra)) == (0, 2)
    assert (len(no_ra.loss_ue), len(no_ra.loss_ra)) == (2, 0)
    results = [flat(run.model) for run in (both, no_ue, no_ra, run_laf(use_ra="retain"), run_laf(use_ra="forget"))]
    assert all(not torch.equal(a, b) for i, a in enumerate(results) for b in results[:i])


def test_one_loss_alone_is_the_same_in_every_schedule(run_laf):
    for settings in ({"use_ue": False}, {"use_ra": "none"}):
        results = [flat(run_laf(schedule=schedule, **settings).model) for schedule in SCHEDULES]
        assert torch.equal(results[0], results[1])
        assert torch.equal(results[0], results[2])


def test_forgotten_images_move_and_retained_ones_stay(make_run):
    run = make_run("class", training__epochs=10, unlearning__epochs=20, unlearning__batch_size=8)
    before, after = (apply_frozen(model.extractor, run.frozen_images) for model in (run.original, run.laf))
    moved = drift(after, before)
    forget, retain = moved[run.task.forget].mean(), moved[run.task.retain].mean()
    assert forget > 0.2
    assert forget > 3 * retain


def test_each_half_of_alignment_does_its_own_work(network, sets, densities):
    forget, retain = sets
    noisy = copy.deepcopy(network)

    def measure(model):
        pairs = [(apply_frozen(model.extractor, part), apply_frozen(network.extractor, part)) for part in (forget, retain)]
        return [drift(*pair).mean().item() for pair in pairs]

    def drifts(half, start):
        config = dataclasses.replace(CONFIG, use_ue=False, use_ra=half, epochs=5)
        teacher = Teacher(FrozenRepresentations(network.extractor, forget), FrozenRepresentations(network.extractor, retain))
        return measure(unlearn(start, forget, retain, densities, config, seed=0, teacher=teacher).model)

    with torch.no_grad():
        for p in noisy.extractor.parameters():
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(1)) * 0.03)
    start = measure(noisy)
    assert drifts("retain", noisy)[1] < 0.5 * start[1], "retained images must come back to the original's"
    assert drifts("forget", noisy)[0] > 1.5 * start[0], "forgotten images must leave it"


def test_a_loss_that_is_no_number_stops_the_run(network, sets, densities):
    with torch.no_grad():
        network.extractor[0].bias[0] = torch.nan
    with pytest.raises(TrainingDiverged, match="unlearning: a loss is not a number"):
        unlearn(network, *sets, densities, CONFIG, seed=0)


def test_bfloat16_runs_and_is_another_computation(run_laf):
    exact, rough = run_laf(), run_laf(precision="bfloat16")
    assert flat(rough.model).isfinite().all()
    assert not torch.equal(flat(exact.model), flat(rough.model))
    assert rough.loss_ra == pytest.approx(exact.loss_ra, rel=0.02)
    assert next(rough.model.parameters()).dtype == torch.float32


def test_crops_run_and_are_reproducible(make_images, network, densities):
    crops = make_images(40, seed=1, augment=True), make_images(70, seed=2, augment=True)
    first, again = (unlearn(network, *crops, densities, CONFIG, seed=0) for _ in range(2))
    assert same(first.model, again.model)
    start = unlearn(network, *crops, densities, dataclasses.replace(CONFIG, epochs=1, lr_ue=1e-30, lr_ra=1e-30), seed=0)
    # Teacher and student see the same crop, or L_RA could not start where it must.
    assert start.loss_ra == [pytest.approx(-16 * (2 * math.log(16) + math.log(8)) / 3, abs=1e-3)]


@pytest.mark.parametrize("half", ["retain", "forget"])
def test_with_crops_the_teacher_is_still_the_original(make_images, network, densities, half):
    crops = make_images(40, seed=1, augment=True), make_images(70, seed=2, augment=True)
    config = dataclasses.replace(CONFIG, epochs=3, reduction="mean", use_ra=half)
    found = unlearn(network, *crops, densities, config, seed=0)
    assert abs(found.loss_ra[-1]) > 1e-3, "against a teacher that moves along every drift is zero"


# -- BatchNorm ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def resnet(make_images, make_densities):
    model = Architecture("resnet18", 3, 16, 10).build(0, "original")
    model.extractor.train()
    with torch.no_grad():  # statistics of something
        model.extractor(make_images(32, 3, 16, seed=9).batch(torch.arange(32)))
    model.eval()
    sets = make_images(16, 3, 16, seed=1), make_images(16, 3, 16, seed=2)
    return model, *sets, make_densities(model, *sets, latent_dims=16)


def statistics(model):
    return {name: value.clone() for name, value in model.state_dict().items() if "running" in name or "num_batches" in name}


def test_published_unlearning_leaves_batchnorm_statistics_alone(resnet):
    model, *rest = resnet
    before = statistics(model)
    found = unlearn(model, *rest, dataclasses.replace(CONFIG, epochs=1), seed=0)
    after = statistics(found.model)
    assert len(after) == 60
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.equal(flat(found.model.extractor.conv1), flat(model.extractor.conv1))


def test_statistics_can_be_taken_from_the_retained_images(resnet):
    model, forget, retain, densities = resnet
    before = statistics(model)
    found = unlearn(model, forget, retain, densities, dataclasses.replace(CONFIG, epochs=0, batchnorm="retain"), seed=0).model
    first = model.extractor.conv1(retain.batch(torch.arange(16))).detach()
    layer = found.extractor.bn1
    assert torch.allclose(layer.running_mean, first.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(layer.running_var, first.var((0, 2, 3)), rtol=1e-4)
    assert layer.momentum == 0.1
    assert not any(module.training for module in found.modules())
    assert all(torch.equal(before[name], value) for name, value in statistics(model).items()), "the original's were replaced"
    assert all(torch.equal(a, b) for a, b in zip(found.parameters(), model.parameters(), strict=True))


def test_every_retained_image_weighs_the_same(make_images):
    model, images = Architecture("resnet18", 3, 16, 10).build(0, "original").eval(), make_images(12, 3, 16)
    images.pixels[10:] //= 4  # the last batch differs
    reestimate_batchnorm(model, images, batch_size=10)
    expected = model.extractor.conv1(images.batch(torch.arange(12))).mean((0, 2, 3))
    assert torch.allclose(model.extractor.bn1.running_mean, expected, rtol=1e-3, atol=1e-5)


def test_a_network_without_batchnorm_needs_no_pass(network, sets):
    before = flat(network)
    reestimate_batchnorm(network, sets[1])
    assert torch.equal(before, flat(network))
