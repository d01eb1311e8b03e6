"""From a notebook's parameters cell to a validated configuration.

papermill only warns of a parameter that does not exist and then runs with the default; here a name that is not known, or a
value that cannot be meant, is one clear error before anything is trained.
"""

import difflib
import os
from collections.abc import Mapping
from typing import Any

from ..datasets import DATASETS
from ..support.paths import data_folder
from ..support.reading import ReadingError, file_name, items, whole
from .config import ConfigError, RunConfig
from .presets import DatasetPreset, preset

# Parameter of the notebooks, in the paper's words -> setting. ``None`` keeps the preset's value.
PARAMETERS: Mapping[str, str] = {
    "DATASET": "dataset",
    "TASK": "task",
    "FORGET_CLASS": "forget_classes",
    "SEED": "seed",
    "PROFILE": "profile",
    "MODE": "mode",
    "DEVICE": "device",
    "IMAGES": "images",
    "EPOCHS": "training.epochs",
    "BATCH_SIZE": "training.batch_size",
    "LR": "training.learning_rate",
    "PRECISION": "training.precision",
    "LATENT_DIMS": "vae.latent_dims",
    "VAE_EPOCHS": "vae.epochs",
    "DECODER": "vae.decoder",
    "STANDARDISE": "vae.standardise",
    "FIT_H_ON": "vae.fit_h_on",
    "UNLEARNING_EPOCHS": "unlearning.epochs",
    "LR_UE": "unlearning.lr_ue",
    "LR_RA": "unlearning.lr_ra",
    "TEMPERATURE": "unlearning.temperature",
    "SCHEDULE": "unlearning.schedule",
    "REDUCTION": "unlearning.reduction",
    "STOP": "unlearning.stop",
    "USE_UE": "unlearning.use_ue",
    "USE_RA": "unlearning.use_ra",
    "LR_REPAIR": "repair.learning_rate",
    "REPAIR_EPOCHS": "repair.epochs",
    "LABELLED_SHARE": "repair.labelled_share",
}
NOT_SETTINGS = ("FALLBACK",)  # parameters that say where images come from, not what is computed
HEAD = ("DATASET", "TASK", "PROFILE", "MODE")  # what names a preset
READ = "_parameters_read"  # in a notebook's namespace: its parameters have been found right once
INTERACTIVE = ("In", "Out", "exit", "quit", "open")  # names that IPython puts beside the user's
PLAIN = (bool, int, float, str, list, tuple, type(None))


def check_names(names: Mapping[str, object] | list[str]) -> None:
    """Refuse parameters that do not exist.

    Raises:
        ConfigError: naming the parameter and the nearest known one.
    """
    known = [*PARAMETERS, *NOT_SETTINGS]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
            raise ConfigError(f"unknown parameter {ascii(name)[:60]}; {hint}")


def parse_classes(value: object) -> tuple[int, ...]:
    """Class numbers from ``3``, ``"3"``, ``"3,5"`` or ``[3, 5]``, each once.

    Raises:
        ConfigError: naming the parameter.
    """
    parts = value if isinstance(value, list | tuple) else [value]
    try:
        return tuple(whole(text, "FORGET_CLASS", 0) for text in items(",".join(map(str, parts)), "FORGET_CLASS"))
    except ValueError as error:  # a number of thousands of digits is one too
        raise ConfigError(f"FORGET_CLASS must be one class number or several, each once, got {ascii(value)[:60]}") from error


def _own_preset(dataset: object) -> DatasetPreset | None:
    """The preset for one's own ``NAME.npz`` in the data folder: by its channels, native resolution, everything else plain."""
    from ..datasets import load

    if dataset is None or dataset in DATASETS:
        return None
    try:
        file_name(dataset, "a data set")
    except ReadingError as error:
        raise ConfigError(f"DATASET: {error}") from error
    if not (data_folder() / f"{dataset}.npz").is_file():
        return None
    small = load(str(dataset), download=False).channels == 1
    return DatasetPreset("cnn" if small else "resnet18", None, False, False, 12_000 if small else 2_000, 10 if small else 6)


def configuration(values: Mapping[str, object]) -> RunConfig:
    """The configuration that parameters ask for.

    Args:
        values: parameter names to values; ``None`` keeps the preset's value.

    Raises:
        ConfigError: unknown name or value; the message names the parameter.
    """
    check_names(values)
    given = {name: value for name, value in values.items() if value is not None and name in PARAMETERS}
    if "FORGET_CLASS" in given:
        given["FORGET_CLASS"] = parse_classes(given["FORGET_CLASS"])
    named: dict[str, object] = {}
    own = _own_preset(given.get("DATASET"))
    # One after the other, those that name a preset first: the one that fails is the one at fault.
    for name in sorted(given, key=lambda name: name not in HEAD):
        named[name] = given[name]
        try:
            _preset(named, own)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from error
    config = _preset(named, own)
    if "FORGET_CLASS" in given and config.task != "class":
        raise ConfigError(f"FORGET_CLASS is of TASK=class alone: the {config.task} task chooses its classes itself; leave it out")
    if config.dataset in DATASETS:
        check_classes(config, 10)
    return config


def check_classes(config: RunConfig, classes: int) -> None:
    """Refuse classes that a data set of so many does not have, and the removal of all of them.

    Raises:
        ConfigError: naming the class.
    """
    if config.task != "class":
        return
    if max(config.forget_classes) >= classes:
        raise ConfigError(f"FORGET_CLASS: class {max(config.forget_classes)} does not exist: classes are 0 to {classes - 1}")
    if len(set(config.forget_classes)) == classes:
        raise ConfigError(f"FORGET_CLASS: all {classes} classes at once leave nothing to retain")


def _preset(given: Mapping[str, Any], own: DatasetPreset | None) -> RunConfig:
    """The preset of the parameters that name one, with the other parameters set."""
    head = {PARAMETERS[name]: given[name] for name in HEAD if name in given}
    dataset, task = head.pop("dataset", "mnist"), head.pop("task", "class")
    changes = {PARAMETERS[name].replace(".", "__"): value for name, value in given.items() if name not in HEAD}
    return preset(dataset, task, own=own, **head, **changes)


def from_notebook(namespace: Mapping[str, object]) -> RunConfig:
    """The configuration of a notebook: call it with ``globals()`` right after the parameters cell.

    Every plain value in the namespace counts as a parameter, so a misspelt one is found wherever it was set: papermill's
    injected cell, the command line, or the cell itself. Once that was found right the notebook's own cells fill the namespace,
    so that from then on (``READ`` is set) only names in capitals count: the cell may be changed and all cells run again.
    """
    known, again = (*PARAMETERS, *NOT_SETTINGS), READ in namespace
    values = {
        name: value
        for name, value in namespace.items()
        if name in known
        or (isinstance(value, PLAIN) and not name.startswith("_") and name not in INTERACTIVE and (name.isupper() or not again))
    }
    if values.get("TASK") in ("data", "noisy") and values.get("FORGET_CLASS") == 0:
        values.pop("FORGET_CLASS")  # the cell's own default stands there whatever the task
    config = configuration(values)
    if isinstance(namespace, dict):
        namespace[READ] = True
    return config


def fallback_from(namespace: Mapping[str, object]) -> str | None:
    """The data set to use, loudly, where the one asked for cannot be had: the notebook's ``FALLBACK``.

    ``LAF_FALLBACK`` stands in for it where nobody can set a parameter: when the book is built or notebooks are tested.
    """
    fallback = namespace.get("FALLBACK") or os.environ.get("LAF_FALLBACK") or None
    if fallback is not None and (not isinstance(fallback, str) or fallback not in DATASETS):
        raise ConfigError(f"FALLBACK must be None or one of {', '.join(DATASETS)}, got {ascii(fallback)[:60]}")
    return fallback
