"""CIFAR-10 in the paper's setting, never run here, by stage: how many images pass, in how many calls, how long it takes.

Counts come from the code that runs count them with (``methods.passes``) and from the presets.
"""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from ...datasets.catalogue import FACTS
from ...laf import used_count
from ...methods.passes import Passes, count_passes, unlearning_passes
from ...representations import PASS_BATCH
from ...settings.changes import plain
from ...settings.config import RunConfig
from ...settings.presets import preset
from ...stopping import EVERY, SAMPLE
from .timings import Alone
from .work import Work, of_extractor_unlearning, work_of

NETWORK = "resnet18-224"  # its name in ``benchmarks/passes.py``
FORGOTTEN = {"class": 0.1, "data": 0.2, "noisy": 0.3}  # share of the images: a class, 40 % of five of them, 60 % of five
LAF = ("VAEs", "unlearning")
MODELS_EVALUATED = 4  # original, retrained, LAF, LAF+R


@dataclass(frozen=True)
class Setting:
    """One request on CIFAR-10."""

    config: RunConfig  # of a run: training, VAEs, unlearning, repair, transforms
    images: int
    test: int
    forget: int

    @property
    def title(self) -> str:
        return f"CIFAR-10, {self.config.task}, mode {self.config.mode}"

    @property
    def retain(self) -> int:
        return self.images - self.forget

    @property
    def crops(self) -> bool:
        """Whether representations are computed anew for every epoch and step, as published for CIFAR-10."""
        return self.config.transforms.augment_everywhere

    @property
    def retain_used(self) -> int:
        return used_count(self.forget, self.retain, self.config.unlearning.retain_ratio)


def cifar10(task: str, mode: str = "reference") -> Setting:
    """CIFAR-10 enlarged to 224 x 224 with a ResNet-18: profile ``paper``."""
    images, test = FACTS["cifar10"].counts
    return Setting(preset("cifar10", task, profile="paper", mode=mode), images, test, round(FORGOTTEN[task] * images))


def stages(setting: Setting) -> dict[str, Work]:
    """The work of every stage of a run: original, retrained, VAEs, unlearning, repair, evaluation of four models."""
    config = setting.config
    unlearning = unlearning_passes(config.unlearning, setting.forget, setting.retain_used)
    laf = work_of("laf", {"vae": plain(config.vae), "unlearning": plain(config.unlearning)}, unlearning, setting.forget,
                  setting.retain, crops=setting.crops)
    task: Any = SimpleNamespace(train_labels=range(setting.images), forget=range(setting.forget), retain=range(setting.retain))
    counted = count_passes(config, task, setting.retain_used, unlearning)
    beside = _beside_unlearning(setting, unlearning)
    steps_of_ue = of_extractor_unlearning(plain(config.unlearning), laf.calls)
    trained = {
        name: Work(counted[name]["training"], calls=counted[name]["training"] / config.training.batch_size)
        for name in ("original", "retrained")
    }
    return trained | {
        "VAEs": _large(counted["vae"]["frozen"]) + Work(vae_steps=laf.vae_steps - steps_of_ue),
        "unlearning": Work(unlearning.training, calls=laf.calls, vae_steps=steps_of_ue) + beside,
        "repair": _large(counted["repair"]["frozen"]),
        "evaluation": _large(MODELS_EVALUATED * (setting.images + setting.test)),
    }


def _large(frozen: float) -> Work:
    """A pass over a set, forward only, in the package's large batches."""
    return Work(frozen=frozen, frozen_calls=frozen / PASS_BATCH)


def _beside_unlearning(setting: Setting, passes: Passes) -> Work:
    """Frozen passes while unlearning: the teacher's where crops make every batch new, and the looks of the label-free rule."""
    config = setting.config.unlearning
    work = Work()
    if setting.crops and config.use_ra != "none":
        taught = passes.training if config.schedule == "joint" or not config.use_ue else passes.training / 2
        work += Work(frozen=taught, frozen_calls=taught / config.batch_size)
    if config.stop == "agreement":
        steps = passes.training / (2 * config.batch_size)
        looks = 1 + steps // EVERY
        work += _large(looks * (min(SAMPLE, setting.forget) + min(SAMPLE, setting.retain_used)))
    return work


def seconds_of_stages(setting: Setting, alone: Alone) -> dict[str, float]:
    """Seconds by stage, in order."""
    return {name: alone.predict(work, NETWORK) for name, work in stages(setting).items()}
