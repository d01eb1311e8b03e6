"""The words that tables, figures and notebooks share: names of models and measures, what a result rests on, its caveats."""

from typing import TYPE_CHECKING

from ..support.reading import counted
from .config import RunConfig

if TYPE_CHECKING:
    from ..datasets import Dataset

MODEL_NAMES = {"original": "Original", "retrained": "Retrained", "laf": "LAF", "laf_r": "LAF+R"}
MEASURE_NAMES = {
    "train_r": "Train_r", "train_f": "Train_f", "train_f_true": "Train_f, true labels",
    "test": "Test", "test_r": "Test_r", "test_f": "Test_f", "asr": "ASR",
}
# What each model was told: the ladder from no label to all labels.
LABEL_ACCESS = {"original": "all", "retrained": "all of D_r", "laf": "none", "laf_r": "of D_r, for the classifier"}
TASK_NAMES = {"data": "data removal", "class": "class removal", "noisy": "noisy-label removal"}
DATASET_NAMES = {
    "mnist": "MNIST", "fashion": "Fashion-MNIST", "cifar10": "CIFAR-10", "svhn": "SVHN",
    "optdigits": "scikit-learn digits",
}


def headline(config: RunConfig, dataset: "Dataset") -> str:
    """One line that names a run: data, task, mode, profile, seed."""
    task = TASK_NAMES[config.task]
    if config.task == "class":
        names = ", ".join(dataset.class_names[c] for c in config.forget_classes)
        task += f" of {names}" if set(names) - set("0123456789, ") else f" of class {names}"
    name = DATASET_NAMES.get(dataset.name, dataset.name)
    return f"{name}, {task}; mode {config.mode}, profile {config.profile}, seed {config.seed}"


def caveats(config: RunConfig, dataset: "Dataset") -> list[str]:
    """What a reader must know before believing a number of this run; empty for the specification's own setting."""
    found = []
    if dataset.is_fallback:
        asked = DATASET_NAMES.get(dataset.requested, dataset.requested)
        here = DATASET_NAMES.get(dataset.name, dataset.name)
        found.append(f"FALLBACK: {asked} could not be had, these are {here}. No number here is about {asked}.")
    found += [note for note in dataset.notes if "FALLBACK" not in note]
    if config.task != "class" and config.forget_classes != RunConfig.forget_classes:
        found.append(f"FORGET_CLASS belongs to class removal: it has no effect on {TASK_NAMES[config.task]}.")
    if config.profile == "paper":
        return found
    epochs, images = counted(config.training.epochs, "epoch"), f"{config.images or len(dataset.train.labels):,} training images"
    shown = f"{images}, " if config.images else ""
    of_profile = {
        "quick": f"{shown}{epochs} of training, {config.unlearning.epochs} of unlearning. A demonstration, not the paper's "
                 "setting.",
        "small": f"{images} at their native size; all else is the paper's setting, which has every image enlarged to 224 x 224.",
        "native": f"{images} at their native size, a small residual network trained by SGD with one cycle for {epochs}; LAF's "
                  "settings are the paper's.",
    }
    return [*found, f"Profile {config.profile}: {of_profile[config.profile]}"]
