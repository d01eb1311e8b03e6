"""The supervised loop, against the same loop written plainly."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from laf_utils.images import Images, Transform, shuffled
from laf_utils.models import Architecture
from laf_utils.settings.config import TrainingConfig
from laf_utils.support.seeds import stream
from laf_utils.training import TrainingDiverged, adam, optimiser_of, train

CONFIG = TrainingConfig(epochs=2, batch_size=16, learning_rate=1e-3)


def build():
    return Architecture("cnn", 1, 8, 10).build(0, "original")


@pytest.fixture
def data(make_images):
    images = make_images(40)
    return images, (images.pixels[:, 0, 0, 0] % 10).long()


def trained(data, config=CONFIG, **changes):
    model = build()
    losses = train(model, *data, config, **{"seed": 0, "stage": "original"} | changes)
    return torch.cat([p.detach().flatten() for p in model.parameters()]), losses


def test_it_is_adam_on_cross_entropy_and_nothing_else(data):
    images, labels = data
    config = dataclasses.replace(CONFIG, weight_decay=0.1)  # large enough to be seen
    weights, losses = trained(data, config)
    model = build()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)
    order, expected = stream(0, "original", "order"), []
    for _ in range(2):
        total = 0.0
        for rows in shuffled(40, 16, order):
            loss = F.cross_entropy(model(images.pixels[rows].float() / 255), labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(rows)
        expected.append(total / 40)
    plain = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert torch.allclose(weights, plain, atol=1e-6)
    assert losses == pytest.approx(expected, abs=1e-6)


def test_the_reported_loss_is_the_mean_over_images(data):
    images, labels = data
    _, losses = trained(data, dataclasses.replace(CONFIG, epochs=1, learning_rate=1e-12))  # ragged: 16, 16, 8
    assert losses == [pytest.approx(F.cross_entropy(build()(images.pixels.float() / 255), labels).item(), abs=1e-6)]


def test_the_loss_falls(data):
    _, losses = trained(data, TrainingConfig(epochs=15, batch_size=16, learning_rate=3e-3))
    assert len(losses) == 15
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.usefixtures("random_state_untouched")
def test_seed_and_stage_decide(data):
    first = trained(data)[0]
    assert torch.equal(first, trained(data)[0])
    assert not torch.equal(first, trained(data, seed=1)[0])
    assert not torch.equal(first, trained(data, stage="retrained")[0])


def test_crops_are_new_in_every_epoch_and_reproducible(make_images, data):
    crops = make_images(40, augment=True), data[1]
    assert torch.equal(trained(crops)[0], trained(crops)[0])
    assert not torch.equal(trained(crops)[0], trained(data)[0])


def test_batchnorm_learns_while_training_and_rests_afterwards(make_images):
    from laf_utils.models import Architecture

    model = Architecture("resnet18", 3, 16, 10).build(0, "original").eval()
    before = model.extractor.bn1.running_mean.clone()
    train(model, make_images(16, 3, 16), torch.arange(16) % 10, CONFIG, seed=0, stage="original")
    assert not torch.equal(before, model.extractor.bn1.running_mean)
    assert not any(module.training for module in model.modules())


def test_as_many_labels_as_images(data):
    with pytest.raises(ValueError, match="40 images and 39 labels"):
        train(build(), data[0], data[1][:-1], CONFIG, seed=0, stage="original")


def test_a_loss_that_is_no_number_stops_the_run(data):
    model = build()
    with torch.no_grad():
        model.classifier[1].bias[0] = torch.nan
    with pytest.raises(TrainingDiverged, match="original: the loss of epoch 1 is not a number"):
        train(model, *data, CONFIG, seed=0, stage="original")


def test_an_infinite_loss_stops_the_run(data):
    class Infinite(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(1e38))

        def forward(self, x):
            return torch.cat([x.new_zeros(len(x), 9), self.weight.expand(len(x), 1) * 3], 1)

    with pytest.raises(TrainingDiverged):
        train(Infinite(), *data, dataclasses.replace(CONFIG, epochs=1), seed=0, stage="original")


def test_bfloat16_runs_and_is_another_computation(data):
    weights, losses = trained(data, dataclasses.replace(CONFIG, precision="bfloat16"))
    exact, exact_losses = trained(data)
    assert weights.dtype == torch.float32
    assert not torch.equal(weights, exact)
    assert losses == pytest.approx(exact_losses, rel=0.05)


def test_adam_has_the_published_defaults():
    optimiser = adam(build().parameters(), 3e-4)
    (group,) = optimiser.param_groups
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (3e-4, (0.9, 0.999), 1e-8, 0)
    assert type(optimiser) is torch.optim.Adam


@pytest.mark.parametrize("model", ["original", "retrained"])
def test_it_learns_handwritten_digits(optdigits, model):
    _, evaluation, record = optdigits("reference")
    assert evaluation.metrics[model]["test_r"] > 90
    assert record["losses"][model][-1] < record["losses"][model][0] / 4


def test_one_cycle_rises_for_a_fifth_of_the_steps_and_falls_to_zero():
    config = TrainingConfig(rate="one_cycle", learning_rate=0.5)
    sgd, schedule = optimiser_of([nn.Parameter(torch.zeros(1))], config, 10)
    rates = []
    for _ in range(10):
        rates.append(sgd.param_groups[0]["lr"])
        sgd.step()
        schedule.step()
    assert rates[:2] == [0.25, 0.5] and max(rates) == 0.5 and rates[2:] == sorted(rates[2:], reverse=True)
    assert sgd.param_groups[0]["lr"] == 0 and sgd.param_groups[0]["nesterov"]
    adam, constant = optimiser_of([nn.Parameter(torch.zeros(1))], TrainingConfig(), 10)
    assert isinstance(adam, torch.optim.Adam) and constant is None


def test_one_cycle_learns_and_is_the_same_again():
    draw, labels = torch.Generator().manual_seed(0), torch.arange(64) % 2
    pixels = torch.randint(0, 100, (64, 3, 16, 16), dtype=torch.uint8, generator=draw) + 100 * labels[:, None, None, None].byte()
    images = Images(pixels, Transform(augment=True))
    config = TrainingConfig(epochs=8, batch_size=16, rate="one_cycle", learning_rate=0.02)
    found = []
    for _ in range(2):
        model = Architecture("resnet9", 3, 16, 2).build(0, "original")
        found.append((train(model, images, labels, config, seed=0, stage="original"), model.state_dict()))
    assert found[0][0] == found[1][0] and found[0][0][-1] < found[0][0][0]
    assert all(torch.equal(own, found[1][1][name]) for name, own in found[0][1].items())
