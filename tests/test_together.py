"""K models at once against the same models one by one.

In float64 both ways must agree to 1e-9, which shows that the algorithm is the same. In float32 they agree up to rounding: Adam
divides each gradient by its own size, so where a gradient is nearly zero a different rounding moves a weight by up to the
learning rate. The mean difference is therefore held against the mean way the weights went.
"""

import dataclasses
import inspect

import pytest
import torch

from laf_utils import together
from laf_utils.images import Images
from laf_utils.models import Architecture
from laf_utils.representations import FrozenRepresentations
from laf_utils.settings.config import TrainingConfig, VAEConfig
from laf_utils.settings.presets import FIXED_SETTINGS
from laf_utils.together import Stack, StackedNetwork, fit_vaes_together, train_together
from laf_utils.together.members import AT_ONCE
from laf_utils.training import TrainingDiverged, train
from laf_utils.vae import fit_vae

CPU = torch.device("cpu")
TIGHT = 1e-9  # float64 rounds at 1e-16; a dozen steps of Adam magnify that
CNN = Architecture("cnn", 1, 8, 10)
TRAINING = TrainingConfig(epochs=2, batch_size=16, learning_rate=1e-3)
FIXED_VAE = {name.removeprefix("vae."): value for name, value in FIXED_SETTINGS.items() if name.startswith("vae.")}
FIXED = {name.removeprefix("unlearning."): value for name, value in FIXED_SETTINGS.items() if name.startswith("unlearning.")}
SHORT = {"epochs": 2, "batch_size": 8, "lr_ue": 1e-3, "lr_ra": 1e-3}
SEEDS = [3, 1, 7]


@pytest.fixture
def float64(monkeypatch):
    """Everything in float64: initialisation, images, and what the package rounds to float32 on its way."""
    batch = Images.batch
    monkeypatch.setattr(Images, "batch", lambda self, rows, generator=None: batch(self, rows, generator).double())
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def data(make_images):
    """40 images, their labels, and three overlapping index sets of 24: batches of 16 and 8."""
    images = make_images(40)
    draw = torch.Generator().manual_seed(5)
    return images, (images.pixels[:, 0, 0, 0] % 10).long(), [torch.randperm(40, generator=draw)[:24] for _ in SEEDS]


def flat(module):
    return torch.cat([value.detach().flatten() for value in module.state_dict().values()])


def furthest(ours, theirs):
    return max((flat(a) - flat(b)).abs().max().item() for a, b in zip(ours, theirs, strict=True))


def one_by_one(images, labels, rows, seeds, config=TRAINING):
    models, losses = [CNN.build(seed, "original") for seed in seeds], []
    each = labels.expand(len(rows), len(images))
    for model, own, its_labels, seed in zip(models, rows, each, seeds, strict=True):
        losses.append(train(model, images.subset(own), its_labels[own], config, seed=seed, stage="original"))
    return models, losses


def at_once(images, labels, rows, seeds=SEEDS, config=TRAINING, architecture=CNN):
    return train_together(architecture, images, labels, rows, seeds, config, "original")


# -- training ----------------------------------------------------------------------------------------------------------


def test_in_float64_training_together_is_training_one_by_one(data, float64):
    models, losses = at_once(*data)
    expected, expected_losses = one_by_one(*data, SEEDS)
    assert furthest(models, expected) < TIGHT
    for ours, theirs in zip(losses, expected_losses, strict=True):
        assert ours == pytest.approx(theirs, abs=TIGHT)


def test_in_float32_they_agree_up_to_rounding(data, random_state_untouched):
    models, losses = at_once(*data)
    expected, expected_losses = one_by_one(*data, SEEDS)
    for ours, theirs, seed in zip(models, expected, SEEDS, strict=True):
        moved = (flat(theirs) - flat(CNN.build(seed, "original"))).abs().mean()
        assert moved > 1e-4
        assert (flat(ours) - flat(theirs)).abs().mean() < 1e-3 * moved
        assert not ours.training
    assert losses[0] == pytest.approx(expected_losses[0], abs=1e-5)


def test_more_models_than_one_group_holds(data, float64):
    images, labels, rows = data
    seeds, many = list(range(AT_ONCE + 2)), [rows[k % 3] for k in range(AT_ONCE + 2)]
    models, losses = at_once(images, labels, many, seeds)
    assert furthest(models, one_by_one(images, labels, many, seeds)[0]) < TIGHT
    assert len(losses) == AT_ONCE + 2 and {len(own) for own in losses} == {2}


def test_crops_come_from_the_same_streams(make_images, data, float64):
    _, labels, rows = data
    images = make_images(40, augment=True)
    assert furthest(at_once(images, labels, rows)[0], one_by_one(images, labels, rows, SEEDS)[0]) < TIGHT


def test_each_model_may_have_labels_of_its_own(data, float64):
    images, labels, rows = data
    wrong = torch.stack([labels, (labels + 1) % 10, (labels + 2) % 10])
    models, _ = at_once(images, wrong, rows)
    assert furthest(models, one_by_one(images, wrong, rows, SEEDS)[0]) < TIGHT
    assert furthest(models[1:2], at_once(images, labels, rows)[0][1:2]) > 1e-4


def test_a_model_sees_its_own_rows_only(data):
    images, labels, rows = data
    seen = torch.stack([torch.isin(torch.arange(40), own) for own in rows])
    image = int((seen[0] & ~seen[1]).nonzero()[0])
    pixels = images.pixels.clone()
    pixels[image] = 255 - pixels[image]
    before, after = at_once(*data)[0], at_once(dataclasses.replace(images, pixels=pixels), labels, rows)[0]
    assert torch.equal(flat(before[1]), flat(after[1]))
    assert not torch.equal(flat(before[0]), flat(after[0]))


def test_the_seed_makes_the_model_and_not_its_place(data, float64):
    images, labels, rows = data
    models, losses = at_once(*data)
    turned, turned_losses = at_once(images, labels, rows[::-1], SEEDS[::-1])
    assert furthest(models, turned[::-1]) < TIGHT
    assert losses[0] == pytest.approx(turned_losses[2], abs=TIGHT)
    same_rows = at_once(images, labels, [rows[0]] * 3, [0, 1, 0])[0]
    assert furthest(same_rows[:1], same_rows[2:]) < TIGHT
    assert furthest(same_rows[:1], same_rows[1:2]) > 1e-3


@pytest.mark.parametrize(("changes", "message"), [
    ({"rows": [torch.arange(24), torch.arange(23), torch.arange(24)]}, "rows must be of one length for all models, got 23, 24"),
    ({"rows": [torch.arange(24)] * 2}, "3 seeds and 2 rows"),
    ({"seeds": [], "rows": []}, "at least one seed"),
    ({"labels": torch.zeros(39, dtype=torch.int64)}, r"labels must be \[40\] or \[3, 40\], got \[39\]"),
    ({"labels": torch.zeros(2, 40, dtype=torch.int64)}, r"got \[2, 40\]"),
    ({"config": dataclasses.replace(TRAINING, precision="bfloat16")}, "float32"),
    ({"config": dataclasses.replace(TRAINING, compile=True)}, "without compile"),
    ({"architecture": Architecture("resnet18", 1, 8, 10)}, "only the CNN"),
])
def test_what_cannot_be_trained_together_is_refused(data, changes, message):
    images, labels, rows = data
    with pytest.raises(ValueError, match=message):
        at_once(images, **{"labels": labels, "rows": rows} | changes)


def test_a_diverged_model_is_named(data):
    images, labels, rows = data
    with pytest.raises(TrainingDiverged, match="original, model 1 of 3: the loss of epoch"):
        config = dataclasses.replace(TRAINING)
        object.__setattr__(config, "learning_rate", 1e30)  # beyond what settings allow
        at_once(images, labels, rows, config=config)


def test_a_stack_gives_back_what_it_took_and_computes_the_same(data, float64):
    images = data[0]
    models, copies = ([CNN.build(seed, "original") for seed in seeds] for seeds in (SEEDS, (0, 0, 0)))
    stacked, x = StackedNetwork(models), images.batch(torch.arange(5))
    expected = torch.stack([model(x) for model in models])
    assert torch.allclose(stacked(x.repeat(1, 3, 1, 1)), expected, rtol=0, atol=1e-12)
    stacked.put_back(copies)
    assert furthest(models, copies) == 0


@pytest.mark.parametrize("layers", [
    (torch.nn.Linear(2, 3), torch.nn.Linear(2, 4)), (torch.nn.Dropout(), torch.nn.Dropout()),
    (torch.nn.Linear(2, 3, bias=False),), (torch.nn.Conv2d(2, 2, 1, groups=2),),
])
def test_layers_that_do_not_stack_are_refused(layers):
    with pytest.raises(ValueError, match="cannot be computed together"):
        Stack([torch.nn.Sequential(layer) for layer in layers])


# -- VAEs --------------------------------------------------------------------------------------------------------------


def frozen(models, images, rows):
    return [
        FrozenRepresentations(model.extractor, images.subset(own)).prepare() for model, own in zip(models, rows, strict=True)
    ]


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("settings", [{}, FIXED_VAE])
def test_in_float64_vaes_fitted_together_are_vaes_fitted_one_by_one(make_images, data, float64, settings, augment):
    images, config = make_images(40, augment=augment), VAEConfig(**{"epochs": 2, "batch_size": 16} | settings)
    parts = frozen([CNN.build(seed, "original") for seed in SEEDS], images, data[2])
    vaes, losses = fit_vaes_together(parts, config, seeds=SEEDS, stage="vae_h", device=CPU, flat=0.1)
    expected = [
        fit_vae(part, config, seed=seed, stage="vae_h", device=CPU, flat=0.1) for part, seed in zip(parts, SEEDS, strict=True)
    ]
    assert furthest(vaes, [vae for vae, _ in expected]) < TIGHT
    assert losses == [pytest.approx(own, rel=TIGHT) for _, own in expected]
    assert not any(vae.training or p.requires_grad for vae in vaes for p in vae.parameters())


def test_in_float32_vaes_agree_up_to_rounding(data, random_state_untouched):
    images, _, rows = data
    config = VAEConfig(epochs=2, batch_size=16)
    parts = frozen([CNN.build(seed, "original") for seed in SEEDS], images, rows)
    vaes, _ = fit_vaes_together(parts, config, seeds=SEEDS, stage="vae_h", device=CPU)
    for vae, part, seed in zip(vaes, parts, SEEDS, strict=True):
        expected, _ = fit_vae(part, config, seed=seed, stage="vae_h", device=CPU)
        assert (flat(vae) - flat(expected)).abs().mean() < 1e-6  # four steps of Adam at 1e-3


def test_vaes_of_sets_of_different_sizes_are_refused(data):
    images, _, rows = data
    parts = frozen([CNN.build(seed, "original") for seed in SEEDS], images, [rows[0], rows[1], rows[2][:20]])
    with pytest.raises(ValueError, match="representations must be of one length"):
        fit_vaes_together(parts, VAEConfig(epochs=1), seeds=SEEDS, stage="vae_h", device=CPU)
    with pytest.raises(ValueError, match="2 seeds and 3 representations"):
        fit_vaes_together(parts, VAEConfig(epochs=1), seeds=[0, 1], stage="vae_h", device=CPU)


def test_labels_reach_the_training_alone():
    assert not [name for name in inspect.signature(fit_vaes_together).parameters if "label" in name or "target" in name]
    assert "labels" in inspect.signature(together.train_together).parameters
