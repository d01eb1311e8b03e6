"""The settings of the paper by data set and task, the profiles, and the recommended (``fixed``) settings.

The reference numbers transcribe the authors' published hyper-parameter list; ``hyperparameter.md`` prints them and a test
holds the two together.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .changes import changed
from .config import RULES, ConfigError, RunConfig


@dataclass(frozen=True)
class DatasetPreset:
    """What a data set asks of the network and of the transforms."""

    backbone: str
    resize: int | None  # in profile ``paper``
    normalise: bool
    augment: bool  # crop by padding and flip, in profiles ``quick``, ``small`` and ``native``
    quick_images: int | None  # training images of profile ``quick``
    quick_unlearning_epochs: int  # few images make short epochs
    quick_vae_epochs: int = 10
    small_images: int | None = None  # training images of profile ``small``, where there is one
    paper_crop: str | None = None  # of profile ``paper``, with a flip; ``None``: as the other profiles


DATASET_PRESETS: Mapping[str, DatasetPreset] = {
    "mnist": DatasetPreset("cnn", None, False, False, 12_000, 10),
    "fashion": DatasetPreset("cnn", None, False, False, 12_000, 10),
    "optdigits": DatasetPreset("cnn", None, False, False, None, 60, quick_vae_epochs=50),
    # The authors resize to 224, crop 8 to 100 % of the area, resize that to 224 and flip, both data sets. At native resolution we
    # pad, crop and flip CIFAR-10, and leave SVHN's digits as they are.
    "cifar10": DatasetPreset("resnet18", 224, True, True, 2_000, 6, small_images=10_000, paper_crop="resized"),
    "svhn": DatasetPreset("resnet18", 224, True, False, 2_000, 6, small_images=7_000, paper_crop="resized"),
}

# tau of L_RA by backbone and task; learning rates of ResNet-18's L_RA by task.
TEMPERATURE = {
    "cnn": {"data": 5.0, "class": 20.0, "noisy": 20.0},
    "resnet18": {"data": 20.0, "class": 20.0, "noisy": 5.0},
}
FOR_RESNET = ("small", "native")  # profiles of the data sets whose network is ResNet-18
RESNET_LR_RA = {"data": 4e-5, "class": 5e-5, "noisy": 4e-5}


def reference_settings(backbone: str, task: str) -> dict[str, object]:
    """The published settings of a backbone and task, as dotted settings."""
    resnet = backbone != "cnn"  # the small one takes the settings of ResNet-18: as many steps, as wide a representation
    return {
        "vae.latent_dims": 16 if resnet else 8,
        "unlearning.epochs": 40 if resnet else 20,
        "unlearning.lr_ue": 1e-5 if resnet else 5e-5,
        "unlearning.lr_ra": RESNET_LR_RA[task] if resnet else 1e-4,
        "unlearning.temperature": TEMPERATURE["resnet18" if resnet else "cnn"][task],
    }


# What this project recommends; measured against ``reference`` in Training/README.md.
FIXED_SETTINGS: Mapping[str, object] = {
    "repair.pairing": "all",
    "vae.fit_h_on": "retain",
    "vae.decoder": "linear",
    "vae.standardise": True,
    "vae.error": "mean",
    "unlearning.epochs": 2,  # at most: the rule below ends it earlier
    "unlearning.stop": "agreement",
    "unlearning.schedule": "joint",  # one pass for both losses
    "unlearning.lr_ra": 3e-4,  # of the joint step; three times the published alignment rate, for a tenth of the steps
    "unlearning.ra_weight": 5.0,  # means weigh the alignment less than the published sums and separate steps do
    "unlearning.reduction": "mean",
    "unlearning.drop_ragged": True,
    "unlearning.retain_ratio": 1.0,  # as many retained images as forgotten ones: the cost follows the forget set
    "unlearning.batchnorm": "retain",
    "all_wrong_labels": True,
}

# ``quick`` shows the method at work in a few minutes on two cores: fewer images, native resolution, shorter training.
# Its numbers are not the paper's setting, and every output says so.
QUICK_SETTINGS: Mapping[str, Mapping[str, object]] = {  # by network
    "cnn": {"training.epochs": 4, "training.learning_rate": 5e-4},  # a quarter of the epochs on a fifth of the images
    "resnet18": {"training.epochs": 3, "training.learning_rate": 1e-3},
}
# ``native``: originals of an accuracy that the field compares at, on all images at their own size. Of the method nothing changes:
# D_f has as many images as in profile ``paper``, and batches of 32 for 40 epochs are as many steps.
NATIVE_SETTINGS: Mapping[str, object] = {
    "training.epochs": 40,
    "training.batch_size": 512,
    "training.rate": "one_cycle",
    "training.learning_rate": 0.4,
    "training.weight_decay": 5e-4,
    "training.precision": "bfloat16",  # of training alone: twice as fast on a processor that multiplies it
}


def backbone_of(known: DatasetPreset, profile: str) -> str:
    """The network that a profile of a data set trains."""
    return "resnet9" if profile == "native" else known.backbone


def preset(
    dataset: str, task: str, *, profile: str = "quick", mode: str = "reference", own: DatasetPreset | None = None,
    **changes: Any,
) -> RunConfig:
    """The configuration of a run.

    Args:
        dataset: a name of ``DATASET_PRESETS``, or any name when ``own`` describes it.
        task: ``data``, ``class`` or ``noisy``.
        profile: ``paper`` is the specification, ``quick`` a demonstration, ``small`` the specification on fewer images at native
            resolution, for the data sets whose networks want a GPU otherwise; ``native`` all images at native resolution,
            trained to an accuracy of today.
        mode: ``reference`` is the published behaviour, ``fixed`` the recommended one.
        own: what one's own data set asks for.
        changes: dotted settings with ``__`` for the dot, e.g. ``unlearning__lr_ue=1e-5``.

    Raises:
        ConfigError: unknown data set, task, profile, mode or setting, or a value that a setting cannot have.
    """
    known = DATASET_PRESETS.get(dataset, own) if isinstance(dataset, str) else None
    if known is None:
        names = ", ".join(DATASET_PRESETS)
        raise ConfigError(f"dataset must be one of {names} (or NAME for NAME.npz in the data folder), got {dataset!r}")
    for name, value in (("task", task), ("profile", profile), ("mode", mode)):
        RULES[name](name, value)
    if profile in FOR_RESNET and known.small_images is None:
        raise ConfigError(f"profile {profile} is for the data sets of ResNet-18; {dataset} needs none, take quick or paper")
    crop = known.paper_crop if profile == "paper" else None
    augment = known.augment or crop is not None
    settings: dict[str, object] = {
        **reference_settings(known.backbone, task),
        "repair.pairing": "forget",
        "transforms.normalise": known.normalise,
        "transforms.augment": augment,
        "transforms.crop": crop or "pad",
        "transforms.augment_everywhere": augment and mode == "reference",
        "transforms.resize": known.resize,
    }
    if profile == "quick":
        settings |= {"images": known.quick_images, "transforms.resize": None, "vae.epochs": known.quick_vae_epochs}
        settings["unlearning.epochs"] = known.quick_unlearning_epochs
        settings |= QUICK_SETTINGS[known.backbone]
    if profile in FOR_RESNET:
        settings |= {"transforms.resize": None, **({"images": known.small_images} if profile == "small" else NATIVE_SETTINGS)}
    if mode == "fixed":
        quick_epochs = {"unlearning.epochs": known.quick_unlearning_epochs} if profile == "quick" else {}
        settings |= {**FIXED_SETTINGS, **quick_epochs}
    settings |= {name.replace("__", "."): value for name, value in changes.items()}
    base = RunConfig(dataset=dataset, task=task, profile=profile, mode=mode, backbone=backbone_of(known, profile))
    return changed(base, settings)


def adapted(config: RunConfig, dataset: str) -> RunConfig:
    """The configuration for another data set: what was the first one's preset becomes the other's, what was set stays."""
    lacks = config.profile in FOR_RESNET and DATASET_PRESETS[dataset].small_images is None  # then the other one's is the paper's
    before = every_setting(preset(config.dataset, config.task, profile=config.profile, mode=config.mode))
    after = every_setting(preset(dataset, config.task, profile="paper" if lacks else config.profile, mode=config.mode))
    now = every_setting(config)
    changes = {name: after[name] if now[name] == before[name] else now[name] for name in now}
    return changed(config, changes | {"forget_classes": config.forget_classes, "dataset": dataset})


def every_setting(config: RunConfig) -> dict[str, object]:
    """The dotted settings of a configuration, those included that ``as_dict`` leaves out."""
    return leaves(asdict(config))


def leaves(nested: dict, prefix: str = "") -> dict[str, object]:
    """Nested settings as dotted ones: ``{"vae": {"decoder": "linear"}}`` is ``{"vae.decoder": "linear"}``."""
    flat: dict[str, object] = {}
    for name, value in nested.items():
        flat |= leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
