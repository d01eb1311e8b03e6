"""The supervised loop, against the same loop written plainly."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from laf_utils.images import shuffled
from laf_utils.settings.config import TrainingConfig
from laf_utils.support.seeds import stream
from laf_utils.training import TrainingDiverged, adam, train

CONFIG = TrainingConfig(epochs=2, batch_size=16, learning_rate=1e-3)


def build():
    from laf_utils.models import Architecture

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
