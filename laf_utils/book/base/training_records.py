"""The records of training runs in ``Training/``, and the numbers of others that stand beside them."""

import json
from collections.abc import Iterable, Mapping

from ...settings.config import MEANT, MODES, RunConfig
from ...settings.presets import DATASET_PRESETS, every_setting, leaves, preset
from ...support import records
from ...support.choices import TASKS
from ...support.paths import training_folder
from .reading import grouped

LATER = "repair.pairing"  # of LAF+R alone: the other models of a record are the same with either value

PAPER_DATASETS = ("mnist", "fashion", "cifar10", "svhn")


def runs() -> list[dict]:
    """The records of profiles ``paper`` and ``small`` in ``Training/``, by data set, task, mode and seed; no fallbacks."""
    found = []
    for name in DATASET_PRESETS:
        folder = training_folder() / name
        found += records.read_all(folder) if folder.is_dir() else []
    own = [r for r in found if r["dataset"]["name"] == r["dataset"]["requested"]]
    kept = [r for r in own if r["config"]["profile"] in ("paper", "small")]
    return sorted(kept, key=lambda r: (*_place(r), r["config"]["mode"] != "reference", r["config"]["seed"]))


def authors() -> dict:
    """The numbers of others, each group with its origin."""
    return json.loads((training_folder() / "authors.json").read_text(encoding="utf-8"))


def settings(config: Mapping) -> dict[str, object]:
    """Dotted settings of a record's configuration; what an older record lacks is as ``config.MEANT`` says, else as published."""
    found = every_setting(RunConfig(config["dataset"], config["task"])) | MEANT | leaves(dict(config))
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def _place(record: dict) -> tuple[int, int]:
    names = list(DATASET_PRESETS)
    return names.index(record["config"]["dataset"]), TASKS.index(record["config"]["task"])


def _is_preset(record: dict) -> bool:
    """Whether a record is of its mode's own settings and not of an ablation."""
    config = record["config"]
    same = {name: config[name] for name in ("profile", "mode", "seed", "device")}
    own, meant = settings(config), settings(preset(config["dataset"], config["task"], **same).as_dict())
    computed_alike = ("forget_classes", "training.precision", "unlearning.precision", "training.compile", LATER)
    return all(own[name] == value for name, value in meant.items() if name not in computed_alike)


def groups(found: Iterable[dict]) -> dict[tuple[str, str, str], list[dict]]:
    """Records by (data set, task, mode), one entry per seed; ablations are left out, and ``small`` where there is ``paper``.

    Records whose LAF+R read all labels, as all did before there was ``repair.pairing``, stand in where there are no others.
    """
    result = grouped(filter(_is_preset, found), lambda r: (r["config"]["dataset"], r["config"]["task"], r["config"]["mode"]))
    for same in result.values():
        if any(r["config"]["profile"] == "paper" for r in same):
            same[:] = [r for r in same if r["config"]["profile"] == "paper"]
        published = {mode: every_setting(preset("mnist", "class", mode=mode))[LATER] for mode in MODES}
        present = [r for r in same if settings(r["config"])[LATER] == published[r["config"]["mode"]]]
        same[:] = present or same
    return result


def images_text(same: list[dict]) -> str:
    """``10,000 images at 32 x 32`` of runs on fewer images than the paper's, else nothing."""
    config = same[0]["config"]
    return f"{config['images']:,} images at 32 × 32" if config["profile"] == "small" else ""
