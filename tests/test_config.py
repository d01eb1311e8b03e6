"""Settings, presets and notebook parameters: the specification's numbers, and one clear error for everything else."""

import dataclasses
import json
import math

import numpy as np
import pytest

from laf_utils.settings.changes import changed, plain
from laf_utils.settings.config import ConfigError, RunConfig, TrainingConfig, UnlearningConfig, VAEConfig
from laf_utils.settings.parameters import PARAMETERS, configuration, fallback_from, from_notebook, parse_classes
from laf_utils.settings.presets import DATASET_PRESETS, adapted, preset
from laf_utils.tasks import TASKS

BASE = preset("mnist", "class")


def get(config, path):
    for name in path.split("."):
        config = getattr(config, name)
    return config


def paths(kind):
    """Dotted settings whose default is of a type."""
    for field in dataclasses.fields(BASE):
        value = getattr(BASE, field.name)
        if dataclasses.is_dataclass(value):
            yield from (f"{field.name}.{f.name}" for f in dataclasses.fields(value) if type(getattr(value, f.name)) is kind)
        elif type(value) is kind:
            yield field.name


# -- presets -----------------------------------------------------------------------------------------------------------

CNN = {"latent_dims": 8, "epochs": 20, "lr_ue": 5e-5}
RESNET = {"latent_dims": 16, "epochs": 40, "lr_ue": 1e-5}


@pytest.mark.parametrize(("datasets", "task", "common", "lr_ra", "temperature"), [
    (("mnist", "fashion", "optdigits"), "data", CNN, 1e-4, 5),
    (("mnist", "fashion", "optdigits"), "class", CNN, 1e-4, 20),
    (("mnist", "fashion", "optdigits"), "noisy", CNN, 1e-4, 20),
    (("cifar10", "svhn"), "data", RESNET, 4e-5, 20),
    (("cifar10", "svhn"), "class", RESNET, 5e-5, 20),
    (("cifar10", "svhn"), "noisy", RESNET, 4e-5, 5),
])
def test_the_published_settings(datasets, task, common, lr_ra, temperature):
    for dataset in datasets:
        config = preset(dataset, task, profile="paper")
        assert config.backbone == ("cnn" if common is CNN else "resnet18")
        assert config.images is None
        assert config.training == TrainingConfig(epochs=20, batch_size=32, learning_rate=1e-4, weight_decay=1e-4)
        assert config.vae == VAEConfig(
            latent_dims=common["latent_dims"], epochs=10, batch_size=32, learning_rate=1e-3, kl_weight=0.025,
            decoder="sigmoid", standardise=False, error="sum", fit_h_on="all",
        )
        assert config.unlearning == UnlearningConfig(
            epochs=common["epochs"], batch_size=32, lr_ue=common["lr_ue"], lr_ra=lr_ra, temperature=temperature,
            schedule="alternate", ra_weight=1.0, reduction="sum", drop_ragged=False, use_ue=True, use_ra="both",
            batchnorm="original", stop="last", retain_ratio=None, precision="float32",
        )
        assert not config.all_wrong_labels


def test_reference_is_the_default():
    assert RunConfig("mnist", "class").mode == preset("mnist", "class").mode == configuration({}).mode == "reference"
    assert configuration({}).forget_classes == (0,)


@pytest.mark.parametrize("dataset", DATASET_PRESETS)
@pytest.mark.parametrize("task", TASKS)
def test_fixed_takes_the_alternative_to_each_published_choice(dataset, task):
    reference, fixed = (preset(dataset, task, profile="paper", mode=mode) for mode in ("reference", "fixed"))
    assert fixed.vae.fit_h_on == "retain"
    assert fixed.vae.decoder == "linear" or fixed.vae.standardise
    assert fixed.unlearning.reduction == "mean" or fixed.unlearning.drop_ragged
    assert fixed.unlearning.batchnorm == "retain"
    assert fixed.unlearning.stop == "agreement"
    assert fixed.all_wrong_labels
    assert not fixed.transforms.augment_everywhere
    assert (reference.repair.pairing, fixed.repair.pairing) == ("forget", "all")
    assert fixed.training == reference.training, "both modes unlearn the same original"
    assert fixed.transforms.augment == reference.transforms.augment


def test_published_transforms():
    published = {name: preset(name, "class", profile="paper").transforms for name in DATASET_PRESETS}
    assert published["cifar10"] == published["svhn"] == type(published["mnist"])(
        resize=224, normalise=True, augment=True, crop="resized", augment_everywhere=True
    )
    assert published["mnist"] == published["fashion"] == type(published["mnist"])()


@pytest.mark.parametrize("dataset", DATASET_PRESETS)
def test_quick_differs_from_paper_in_size_only(dataset):
    quick, paper = (preset(dataset, "class", profile=profile) for profile in ("quick", "paper"))
    assert quick.images is None or quick.images <= 12_000
    same = dataclasses.replace(
        quick, profile="paper", images=None, training=paper.training, transforms=paper.transforms,
        unlearning=dataclasses.replace(quick.unlearning, epochs=paper.unlearning.epochs),
        vae=dataclasses.replace(quick.vae, epochs=paper.vae.epochs),
    )
    assert same == paper


@pytest.mark.parametrize("dataset", ["cifar10", "svhn"])
def test_small_differs_from_paper_in_images_and_their_size_only(dataset):
    small, paper = (preset(dataset, "data", profile=profile) for profile in ("small", "paper"))
    assert small.images == {"cifar10": 10_000, "svhn": 7_000}[dataset]
    assert dataclasses.replace(small, profile="paper", images=None, transforms=paper.transforms) == paper
    native = dataclasses.replace(paper.transforms, resize=None, crop="pad")
    none = dataclasses.replace(native, augment=False, augment_everywhere=False)  # a mirrored digit is another sign
    assert small.transforms == {"cifar10": native, "svhn": none}[dataset]


@pytest.mark.parametrize("dataset", ["cifar10", "svhn"])
def test_native_differs_from_paper_in_network_training_and_size_and_lafs_settings_stay(dataset):
    native, paper = (preset(dataset, "data", profile=profile) for profile in ("native", "paper"))
    assert (native.backbone, native.images, native.training.rate) == ("resnet9", None, "one_cycle")
    same = {"profile": "paper", "backbone": "resnet18", "training": paper.training, "transforms": paper.transforms}
    assert dataclasses.replace(native, **same) == paper
    assert native.transforms == preset(dataset, "data", profile="small").transforms
    with pytest.raises(ConfigError, match="profile native is for"):
        preset("mnist", "class", profile="native")


def test_the_rate_that_came_later_is_in_no_older_key():
    config = preset("mnist", "class")
    assert "rate" not in config.as_dict()["training"] and "rate" not in plain(config.training)
    assert preset("cifar10", "class", profile="native").as_dict()["training"]["rate"] == "one_cycle"
    assert plain(preset("cifar10", "class", profile="native").training)["rate"] == "one_cycle"


@pytest.mark.parametrize("profile", ["quick", "small", "paper"])
@pytest.mark.parametrize("dataset", ["mnist", "fashion", "cifar10", "svhn"])
def test_settings_that_came_later_leave_older_configurations_equal(dataset, profile):
    if profile == "small" and dataset in ("mnist", "fashion"):
        pytest.skip("no such profile")
    fixed = preset(dataset, "class", profile=profile, mode="fixed").as_dict()
    reference = preset(dataset, "class", profile=profile).as_dict()
    assert "pairing" not in fixed["repair"] and reference["repair"].pop("pairing") == "forget"
    assert set(reference["repair"]) == {"epochs", "batch_size", "learning_rate", "labelled_share"}
    changed = profile == "paper" and dataset in ("cifar10", "svhn")
    for config in (fixed, reference):
        assert ("crop" in config["transforms"]) is changed
        assert config["transforms"]["augment"] is (changed or dataset == "cifar10")


@pytest.mark.parametrize(("name", "wrong"), [
    ("repair.pairing", "retain"), ("transforms.crop", "centre"), ("training.rate", "cosine"),
])
def test_settings_of_words_take_their_words_only(name, wrong):
    with pytest.raises(ConfigError, match="must be one of"):
        changed(BASE, {name: wrong})


def test_there_is_no_small_where_the_paper_is_small_already():
    with pytest.raises(ConfigError, match="take quick or paper"):
        preset("mnist", "class", profile="small")


def test_a_fallback_that_has_no_small_takes_the_papers_setting():
    fallback = adapted(preset("cifar10", "class", profile="small"), "mnist")
    assert fallback == preset("mnist", "class", profile="paper")


def test_changes_win_over_everything():
    config = preset("mnist", "class", mode="fixed", unlearning__epochs=3, vae__decoder="sigmoid", images=500, seed=9)
    assert (config.unlearning.epochs, config.vae.decoder, config.images, config.seed) == (3, "sigmoid", 500, 9)


@pytest.mark.parametrize("mode", ["reference", "fixed"])
@pytest.mark.parametrize(("asked", "had"), [("mnist", "optdigits"), ("cifar10", "mnist"), ("svhn", "svhn")])
def test_a_fallback_set_brings_its_own_preset_and_leaves_what_was_set(mode, asked, had):
    chosen = {"mode": mode, "seed": 5, "device": "cpu", "forget_classes": (2, 3), "unlearning__lr_ue": 1e-9, "images": 444}
    for task in TASKS:
        assert adapted(preset(asked, task, **chosen), had) == preset(had, task, **chosen)


def test_settings_are_frozen_and_plain():
    with pytest.raises(dataclasses.FrozenInstanceError):
        BASE.seed = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        BASE.unlearning.lr_ue = 1
    assert json.loads(json.dumps(BASE.as_dict(), allow_nan=False))["unlearning"]["temperature"] == 20


@pytest.mark.parametrize("name", ["dataset", "task", "profile", "mode"])
@pytest.mark.parametrize("value", ["nonsense", "", 7])
def test_presets_refuse_unknown_names(name, value):
    with pytest.raises(ConfigError, match=f"^{name} must be one of .* got {value!r}"):
        preset(**{"dataset": "mnist", "task": "class"} | {name: value})


# -- every setting, every value it cannot have -------------------------------------------------------------------------

NO_NUMBER = ["1", "", None, [1], True]
REFUSED = [
    (path, value)
    for kind, bad in ((int, [*NO_NUMBER, -1, 1.5, math.nan]), (float, [*NO_NUMBER, -1e-3, math.nan, math.inf, -math.inf]))
    for path in paths(kind)
    for value in bad
    if (path, value) != ("images", None)  # all of them
]


@pytest.mark.parametrize(("path", "value"), REFUSED)
def test_numbers(path, value):
    with pytest.raises(ConfigError, match=path.rpartition(".")[2]):
        changed(BASE, {path: value})


@pytest.mark.parametrize("path", [
    "training.epochs", "training.batch_size", "training.learning_rate", "vae.latent_dims", "vae.epochs", "vae.batch_size",
    "vae.learning_rate", "unlearning.batch_size", "unlearning.lr_ue", "unlearning.lr_ra", "unlearning.temperature",
    "unlearning.retain_ratio",
    "unlearning.ra_weight", "repair.batch_size", "repair.learning_rate", "repair.labelled_share", "images", "transforms.resize",
])
def test_zero_where_it_means_nothing(path):
    with pytest.raises(ConfigError, match=f"{path.rpartition('.')[2]} must"):
        changed(BASE, {path: 0})


@pytest.mark.parametrize("path", ["seed", "unlearning.epochs", "repair.epochs", "training.weight_decay", "vae.kl_weight"])
def test_zero_where_it_means_something(path):
    assert get(changed(BASE, {path: 0}), path) == 0


@pytest.mark.parametrize("path", [
    "task", "profile", "mode", "backbone", "device", "training.precision", "vae.decoder", "vae.error", "vae.fit_h_on",
    "unlearning.schedule", "unlearning.reduction", "unlearning.use_ra", "unlearning.batchnorm", "unlearning.stop",
    "unlearning.precision",
])
def test_words(path):
    for value in ("nonsense", "", "SUM"):
        with pytest.raises(ConfigError, match=f"{path.rpartition('.')[2]} must be one of .*{value!r}"):
            changed(BASE, {path: value})


@pytest.mark.parametrize("path", ["seed.x", "nope", "nope.epochs", "unlearning.nope", "unlearning.epochs.x"])
def test_settings_that_do_not_exist(path):
    with pytest.raises(ConfigError, match="has no setting"):
        changed(BASE, {path: 1})


def test_a_group_is_no_setting():
    with pytest.raises(ConfigError, match="unlearning"):
        changed(BASE, {"unlearning": 1})


def test_labelled_share_is_a_share():
    with pytest.raises(ConfigError, match="labelled_share must be at most 1"):
        changed(BASE, {"repair.labelled_share": 1.01})


@pytest.mark.parametrize("path", sorted(paths(bool)))
@pytest.mark.parametrize("value", ["False", 1, None])
def test_switches(path, value):
    with pytest.raises(ConfigError, match=path.rpartition(".")[2]):
        changed(BASE, {path: value})


# -- parameters of the notebooks ---------------------------------------------------------------------------------------


def test_every_parameter_is_a_setting():
    for name, path in PARAMETERS.items():
        get(BASE, path)
        assert name == name.upper()


@pytest.mark.parametrize(("name", "value"), [
    ("SEED", 3), ("EPOCHS", 2), ("BATCH_SIZE", 64), ("LR", 0.5), ("LATENT_DIMS", 4), ("VAE_EPOCHS", 1), ("DECODER", "linear"),
    ("STANDARDISE", True), ("FIT_H_ON", "retain"), ("UNLEARNING_EPOCHS", 0), ("LR_UE", 1.5), ("LR_RA", 1.5), ("TEMPERATURE", 3),
    ("SCHEDULE", "joint"), ("REDUCTION", "mean"), ("STOP", "agreement"), ("USE_UE", False), ("USE_RA", "none"),
    ("LR_REPAIR", 1.5), ("REPAIR_EPOCHS", 0), ("LABELLED_SHARE", 0.5), ("IMAGES", 200), ("DEVICE", "cpu"),
    ("PRECISION", "bfloat16"),
    ("TASK", "noisy"), ("DATASET", "svhn"), ("MODE", "fixed"), ("PROFILE", "paper"),
])
def test_a_parameter_reaches_its_setting(name, value):
    assert get(configuration({name: value}), PARAMETERS[name]) == value
    assert get(configuration({}), PARAMETERS[name]) != value


def test_none_keeps_the_preset():
    assert configuration(dict.fromkeys(PARAMETERS)) == configuration({})


@pytest.mark.parametrize(("name", "nearest"), [
    ("EPOCH", "EPOCHS"), ("TEMPRATURE", "TEMPERATURE"), ("lr_ue", "LR_UE"), ("FORGET_CLASSES", "FORGET_CLASS"), ("Seed", "SEED"),
])
def test_an_unknown_parameter_is_named_with_the_nearest_known_one(name, nearest):
    with pytest.raises(ConfigError, match=f"unknown parameter '{name}'; did you mean {nearest}\\?"):
        configuration({name: 1})


def test_an_unknown_parameter_without_a_near_one_lists_all():
    with pytest.raises(ConfigError, match="unknown parameter 'QQQQ'; known are DATASET, TASK"):
        configuration({"QQQQ": 1})


@pytest.mark.parametrize(("values", "named"), [
    ({"DATASET": "mnits"}, "DATASET: .*'mnits'"),
    ({"TASK": "classes"}, "TASK: .*data, class, noisy.*'classes'"),
    ({"PROFILE": "fast"}, "PROFILE: .*quick, small, native, paper"),
    ({"MODE": "best"}, "MODE: .*reference, fixed"),
    ({"DEVICE": "tpu"}, "DEVICE: .*auto, cpu, cuda, mps.*'tpu'"),
    ({"SEED": -1}, "SEED: .*-1"),
    ({"SEED": "zero"}, "SEED: .*'zero'"),
    ({"SEED": 1.0}, "SEED: .*1.0"),
    ({"SEED": True}, "SEED: .*True"),
    ({"IMAGES": 10}, "IMAGES: .*at least 100, got 10"),
    ({"LATENT_DIMS": 0}, "LATENT_DIMS: "),
    ({"TEMPERATURE": 0}, "TEMPERATURE: .*above zero, got 0"),
    ({"TEMPERATURE": -5}, "TEMPERATURE: .*-5"),
    ({"TEMPERATURE": math.nan}, "TEMPERATURE: .*nan"),
    ({"TEMPERATURE": True}, "TEMPERATURE: .*True"),
    ({"LR_UE": "1e-5"}, "LR_UE: .*'1e-5'"),
    ({"LR_RA": -1e-4}, "LR_RA: "),
    ({"LABELLED_SHARE": 2}, "LABELLED_SHARE: "),
    ({"DECODER": "relu"}, "DECODER: .*sigmoid, linear"),
    ({"EPOCHS": -1}, "EPOCHS.*: .*-1"),
    ({"UNLEARNING_EPOCHS": -1}, "UNLEARNING_EPOCHS.*: .*-1"),
    ({"UNLEARNING_EPOCHS": 1.5}, "UNLEARNING_EPOCHS.*: .*1.5"),
    ({"UNLEARNING_EPOCHS": "5"}, "UNLEARNING_EPOCHS.*: .*'5'"),
    ({"LR": 0}, "LR.*: .*got 0"),
    ({"FORGET_CLASS": 10}, "FORGET_CLASS: class 10 does not exist: classes are 0 to 9"),
    ({"FORGET_CLASS": "0,11"}, "FORGET_CLASS: class 11"),
    ({"FORGET_CLASS": 1.5}, "FORGET_CLASS .*1.5"),
    ({"FORGET_CLASS": "zero"}, "FORGET_CLASS .*'zero'"),
    ({"FORGET_CLASS": True}, "FORGET_CLASS .*True"),
    ({"FORGET_CLASS": ""}, "FORGET_CLASS"),
    ({"DATASET": "tiny.npz"}, "DATASET"),
])
def test_a_value_that_cannot_be_meant_is_named(values, named):
    with pytest.raises(ConfigError, match=named):
        configuration(values)


@pytest.mark.parametrize("values", [
    pytest.param({"EPOCHS": -1}, id="EPOCHS"),
    pytest.param({"VAE_EPOCHS": 0}, id="VAE_EPOCHS"),
    pytest.param({"LR": 0}, id="LR"),
    pytest.param({"LR_REPAIR": 0}, id="LR_REPAIR"),
])
def test_only_the_parameter_at_fault_is_named(values):
    (name,) = values
    with pytest.raises(ConfigError, match=f"^{name}: "):
        configuration(values)


@pytest.mark.parametrize("value", [-1, [], "-3,2"])
def test_a_negative_class_or_none_is_named(value):
    with pytest.raises(ConfigError, match="FORGET_CLASS"):
        configuration({"FORGET_CLASS": value})


@pytest.mark.parametrize("values", [
    {"DEVICE": 0}, {"DATASET": ["mnist"]},
    {"USE_UE": "no"}, {"STANDARDISE": "False"},
])
def test_values_of_another_type(values):
    (name,) = values
    with pytest.raises(ConfigError, match=name):
        configuration(values)


@pytest.mark.parametrize(("value", "classes"), [
    (3, (3,)), ("3", (3,)), ("3,5", (3, 5)), (" 3 , 5 ", (3, 5)), ([3, 5], (3, 5)), ((3,), (3,)), (["3"], (3,)),
])
def test_forms_of_forget_class(value, classes):
    assert parse_classes(value) == classes
    assert configuration({"FORGET_CLASS": value}).forget_classes == classes


def test_a_notebooks_namespace():
    namespace = {
        "np": np, "configuration": configuration, "_private": 3, "In": [""], "Out": {}, "exit": "x", "quit": "x", "open": "x",
        "__name__": "__main__", "SEED": 4, "EPOCHS": None, "FALLBACK": "optdigits",
    }
    assert from_notebook(namespace) == configuration({"SEED": 4})
    with pytest.raises(ConfigError, match="unknown parameter 'SEDE'; did you mean SEED"):
        from_notebook(namespace | {"SEDE": 5})
    namespace |= {"scope": "class", "maps": (1, 2), "title": "x"}  # what the notebook's own cells have named since
    assert from_notebook(namespace | {"SEED": 5}) == configuration({"SEED": 5}), "Run All, a second time in one kernel"
    with pytest.raises(ConfigError, match="TAU"):
        from_notebook(namespace | {"TAU": 5})


@pytest.mark.parametrize("value", [np.int64(4), {"a": 1}, {4}])
def test_a_parameter_of_an_odd_type_is_not_passed_over(value):
    try:
        used = from_notebook({"SEED": value}).seed
    except ConfigError as error:
        used = value if "SEED" in str(error) else error
    assert used == value


def test_fallback(monkeypatch):
    monkeypatch.delenv("LAF_FALLBACK", raising=False)
    assert fallback_from({}) is None
    monkeypatch.setenv("LAF_FALLBACK", "optdigits")
    assert fallback_from({"FALLBACK": None}) == "optdigits"
    assert fallback_from({"FALLBACK": "svhn"}) == "svhn", "what a notebook says comes first"
    monkeypatch.delenv("LAF_FALLBACK")
    assert fallback_from({"FALLBACK": "optdigits"}) == "optdigits"
    with pytest.raises(ConfigError, match="FALLBACK must be None or one of"):
        fallback_from({"FALLBACK": "nothing"})


def test_ones_own_data_gets_a_preset(tiny_data, monkeypatch):
    monkeypatch.setenv("LAF_DATA", str(tiny_data))
    config = configuration({"DATASET": "tiny", "TASK": "data"})
    assert (config.dataset, config.backbone, config.unlearning.temperature) == ("tiny", "cnn", 5)
    with pytest.raises(ConfigError, match="DATASET"):
        configuration({"DATASET": "other"})
