"""The two sides of the benchmarks compute the same thing: what is compared is time, not another method.

Same weights and same batches go in; losses and weights have to come out the same up to float32 rounding. No time is asserted.
"""

import pytest
import torch
from torch.utils.data import DataLoader, Subset

from benchmarks import common, log_odds, plain, together_ways
from laf_utils.adaptation import unlearn
from laf_utils.book.chapters import ch6_log_odds
from laf_utils.experiments.problem import Problem
from laf_utils.images import Images, Transform
from laf_utils.losses import Densities, extractor_unlearning_loss
from laf_utils.methods import run_method
from laf_utils.models import Architecture, Network
from laf_utils.representations import FrozenRepresentations, apply_frozen
from laf_utils.settings.config import TrainingConfig, UnlearningConfig, VAEConfig
from laf_utils.support.seeds import derive
from laf_utils.tasks import make_task
from laf_utils.training import train
from laf_utils.vae import RepresentationVAE, fit_vae

SEED, COUNT = 3, 200
FORGET, RETAIN = torch.arange(0, 70), torch.arange(70, 200)  # both end in a smaller batch


def in_order(count, size, generator, drop_last=False):
    """In place of ``laf_utils.images.shuffled``: the batches as the data set has them."""
    return list(torch.arange(count).split(size))


def loader_in_order(dataset, rows=None, shuffle=True):
    """In place of ``plain.loader``: the same batches; a generator of its own keeps it from the global random numbers."""
    part = dataset if rows is None else Subset(dataset, rows)
    return DataLoader(part, batch_size=plain.BATCH, generator=torch.Generator())


@pytest.fixture(autouse=True)
def same_batches(monkeypatch):
    monkeypatch.setattr("laf_utils.training.shuffled", in_order)
    monkeypatch.setattr("laf_utils.vae.shuffled", in_order)
    monkeypatch.setattr("laf_utils.adaptation.shuffled", in_order)
    monkeypatch.setattr("laf_utils.laf.shuffled", in_order)
    monkeypatch.setattr(plain, "loader", loader_in_order)


@pytest.fixture(scope="module")
def data():
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (COUNT, 1, 28, 28), generator=draw, dtype=torch.uint8)
    labels = torch.randint(0, 10, (COUNT,), generator=draw)
    return Images(pixels, Transform()), labels, plain.Digits(pixels, labels)


@pytest.fixture
def networks() -> tuple[Network, plain.CNN]:
    ours, theirs = Architecture("cnn", 1, 28, 10).build(SEED, "original").eval(), plain.CNN().eval()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def same_step(start, ours, theirs, share=0.01):
    """The way from ``start`` differs between the sides by less than ``share`` of its length.

    Adam divides a gradient by its size, so where it is nearly zero rounding decides the direction: single weights may differ.
    """
    way, difference = 0.0, 0.0
    for name, value in ours.items():
        way += (value - start[name]).double().square().sum().item()
        difference += (value - theirs[name]).double().square().sum().item()
    assert way > 0
    assert difference**0.5 < share * way**0.5


def copied(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def plain_vae(ours):
    vae = plain.VAE(ours.mean.out_features)
    vae.load_state_dict({name: value for name, value in ours.state_dict().items() if name not in ("centre", "scale")})
    return vae.requires_grad_(False)


def two_vaes():
    """h and h_f with weights drawn at random, on both sides."""
    torch.manual_seed(1)
    ours = [RepresentationVAE(VAEConfig()).eval().requires_grad_(False) for _ in range(2)]
    return Densities(*ours), tuple(plain_vae(vae) for vae in ours)


def test_one_image_is_the_same_input(data):
    images, labels, digits = data
    inputs, label = digits[5]
    torch.testing.assert_close(inputs, images.batch(torch.tensor([5]))[0])
    assert label == labels[5]


def test_class_index_sets_are_the_same(data):
    _, labels, digits = data
    task = make_task("class", labels, classes=10, seed=0, forget_classes=(4,))
    assert plain.class_index_sets(digits, 4) == (task.forget.tolist(), task.retain.tolist())


def test_data_index_sets_have_the_same_sizes_and_divide_the_set(data):
    _, labels, digits = data
    task = make_task("data", labels, classes=10, seed=0)
    forget, retain = plain.data_index_sets(digits)
    assert sorted([*forget, *retain]) == list(range(COUNT))
    assert torch.equal(labels[forget].bincount(minlength=10), labels[task.forget].bincount(minlength=10))


def test_networks_give_the_same_logits(data, networks):
    ours, theirs = networks
    batch = data[0].batch(torch.arange(32))
    torch.testing.assert_close(ours(batch), theirs(batch.contiguous()), atol=1e-5, rtol=1e-5)


def test_training_takes_the_same_steps(data, networks):
    images, labels, digits = data
    ours, theirs = networks
    start = copied(ours)
    losses = train(ours, images, labels, TrainingConfig(epochs=2), seed=SEED, stage="original")
    steps = plain.train(theirs, digits, None, epochs=2)
    sizes = torch.tensor([len(rows) for rows in in_order(COUNT, plain.BATCH, None)]).double()
    means = (torch.tensor(steps).double().view(2, -1) * sizes).sum(1) / COUNT
    torch.testing.assert_close(torch.tensor(losses).double(), means, atol=1e-5, rtol=1e-5)
    same_step(start, ours.state_dict(), theirs.state_dict())


def test_vaes_take_the_same_steps(data, networks, monkeypatch):
    images, _, digits = data
    ours, theirs = networks
    frozen = FrozenRepresentations(ours.extractor, images)
    config = VAEConfig(epochs=2)
    # Steps of no length: what is left are the weights that this seed and stage start from.
    first, _ = fit_vae(frozen, VAEConfig(epochs=1, learning_rate=1e-30), seed=SEED, stage="vae_h", device=torch.device("cpu"))
    start, made = copied(first), plain_vae(first).requires_grad_(True)
    monkeypatch.setattr(plain, "VAE", lambda: made)
    vae, _ = fit_vae(frozen, config, seed=SEED, stage="vae_h", device=torch.device("cpu"))
    torch.manual_seed(derive(SEED, "vae_h", "noise"))
    fitted = plain.fit_vae(theirs, digits, None, epochs=2)
    same_step(start, vae.state_dict(), fitted.state_dict() | {"centre": vae.centre, "scale": vae.scale})


def test_losses_of_one_pair_of_batches_are_the_same(data, networks):
    images = data[0]
    ours, theirs = networks
    densities, vaes = two_vaes()
    retain, forget = images.batch(RETAIN[:32]), images.batch(FORGET[:20])
    with torch.no_grad():
        e = ours.extractor(retain), ours.extractor(forget)
        loss = extractor_unlearning_loss(*e, densities, torch.Generator().manual_seed(7))
        torch.manual_seed(7)
        torch.testing.assert_close(loss, plain.extractor_unlearning(theirs, retain, forget, *vaes), atol=1e-3, rtol=1e-5)
        # With the student still equal to its teacher the alignment loss is -|B_r| ln |B_f|.
        aligned = plain.representation_alignment(theirs, theirs, retain, forget, tau=20.0)
    torch.testing.assert_close(aligned, -32 * torch.tensor(20.0).log(), atol=1e-3, rtol=1e-5)


def test_unlearning_takes_the_same_steps(data, networks):
    images, _, digits = data
    ours, theirs = networks
    densities, vaes = two_vaes()
    config = UnlearningConfig(epochs=2)
    result = unlearn(ours, images.subset(FORGET), images.subset(RETAIN), densities, config, seed=SEED)
    torch.manual_seed(derive(SEED, "unlearning", "noise"))
    student, ue, ra = plain.unlearn(theirs, digits, FORGET.tolist(), RETAIN.tolist(), vaes, epochs=2)
    for mean, steps in ((result.loss_ue, ue), (result.loss_ra, ra)):
        torch.testing.assert_close(torch.tensor(mean), torch.tensor(steps).view(2, -1).mean(1), atol=2e-3, rtol=1e-4)
    same_step(copied(ours), result.model.state_dict(), student.state_dict(), share=0.05)
    assert all(torch.equal(a, b) for a, b in zip(ours.classifier.parameters(), student.classifier.parameters(), strict=True))


def test_evaluation_counts_the_same_hits(data, networks):
    images, labels, digits = data
    ours, theirs = networks
    hits = ours.classifier(apply_frozen(ours.extractor, images)).argmax(1) == labels
    assert plain.accuracy(theirs, digits) == pytest.approx(100 * hits.float().mean().item(), abs=1e-4)
    assert plain.accuracy(theirs, digits, FORGET.tolist()) == pytest.approx(100 * hits[FORGET].float().mean().item(), abs=1e-4)


def test_plain_evaluation_gives_every_measure_of_class_removal(data, networks):
    _, labels, digits = data
    forget, retain = plain.class_index_sets(digits, 0)
    measures = plain.evaluate(networks[1], digits, digits, forget, retain, 0)
    assert set(measures) == {"train_r", "train_f", "test", "test_r", "test_f", "asr"}


def test_ratios_are_taken_round_by_round():
    slow, fast = common.Times([4.0, 9.0, 2.0], [1.0, 1.0, 1.0]), common.Times([2.0, 3.0, 2.0], [1.0, 0.5, 1.0])
    expected = {"wall": {"median": 2.0, "min": 1.0, "max": 3.0}, "cpu": {"median": 1.0, "min": 1.0, "max": 2.0}}
    assert common.ratio(slow, fast) == expected


def test_sides_take_turns():
    order = []
    times = common.in_turn({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=3)
    assert order == ["a", "b"] * 3
    assert {name: len(taken.wall) for name, taken in times.items()} == {"a": 3, "b": 3}


def test_a_slice_is_balanced():
    small = common.cut(common.datasets.load("optdigits", download=False), 500, 100)
    assert small.train.labels.bincount().tolist() == [50] * 10
    assert small.test.labels.bincount().tolist() == [10] * 10


def test_all_ways_of_stepping_many_networks_take_the_same_step(monkeypatch):
    stepped = []

    def remembering(parameters, *settings):
        weights = list(parameters)
        stepped.append(weights)
        return torch.optim.SGD(weights, lr=0.1)  # proportional to the gradient: Adam's first step hides its size

    monkeypatch.setattr(together_ways, "adam", remembering)
    found = {}
    for name, step in together_ways.steps(2).items():
        stepped_by_this = stepped[:2] if name == "separate" else stepped[len(found) + 1 : len(found) + 2]
        weights = [weight for group in stepped_by_this for weight in group]
        before = sum(weight.detach().double().square().sum().item() for weight in weights)
        step()
        found[name] = before, sum(weight.detach().double().square().sum().item() for weight in weights)
    before, after = found["separate"]
    assert abs(after - before) > 1e-3 and set(found) == set(together_ways.WAYS)
    for values in found.values():
        assert values == pytest.approx((before, after), rel=1e-7)
        assert values[1] - values[0] == pytest.approx(after - before, rel=1e-3)


def test_log_odds_are_held_against_the_retrained_models(make_run, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(log_odds, "run_method", lambda *given: asked.append(given[2].as_sure) or run_method(*given))
    line = log_odds.line_of(Problem(make_run("data")))
    assert asked == [False, True]
    models = {"original", "retrain_again", "relearn", "relearn-as_sure"}
    assert set(line["auc"]) == set(line["gap"]) == models == set(line["median"]) - {"retrained"}
    assert all(0 <= value <= 100 for value in line["auc"].values()) and all(gap >= 0 for gap in line["gap"].values())
    same = log_odds.line_of(Problem(make_run("data", training__epochs=1)))
    assert same["median"] != line["median"], "it reads the models that the settings name"
    twice = ("retrained", "relearn")
    monkeypatch.setattr(log_odds, "models_of", lambda problem, laf: dict.fromkeys(twice, problem.run.retrained))
    assert log_odds.line_of(Problem(make_run("data")))["auc"] == {"relearn": 50.0}, "of one and the same model"


def test_log_odds_of_a_seed_are_computed_once(tmp_path, monkeypatch):
    monkeypatch.setattr(ch6_log_odds, "results_folder", lambda: tmp_path)
    monkeypatch.setattr(log_odds.Problem, "asked", lambda dataset, task, seed, **_: (dataset, task, seed))
    asked = []

    def line_of(problem, laf):
        asked.append((*problem, laf))
        auc = {"relearn": 1.0} | ({"laf": 2.0} if laf else {})
        return dict(zip(("dataset", "task", "seed"), problem, strict=True)) | {"auc": auc}

    monkeypatch.setattr(log_odds, "line_of", line_of)
    for more in (["0"], ["0", "1"], ["1", "--laf"], ["1"]):
        monkeypatch.setattr("sys.argv", ["log_odds", "mnist", "data", *more])
        log_odds.main()
    assert [(place[2], place[3]) for place in asked] == [(0, False), (1, False), (1, True)]
    assert [(line["seed"], "laf" in line["auc"]) for line in log_odds.lines()] == [(0, False), (1, True)]
