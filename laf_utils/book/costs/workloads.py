"""Settings that were never run here, stage by stage: how many images pass, how often the network is called, how long it takes.

Counts come from the code that runs count them with (``methods.passes``, each method's ``implied``) and from the presets; what
is assumed beyond those stands in ``ASSUMED`` and on the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

import torch
from torchvision.models import resnet50

from ...datasets.catalogue import FACTS
from ...experiments.cells import listed
from ...experiments.problem import HELD_OUT_SHARE
from ...laf import used_count
from ...methods import METHODS
from ...methods.method import Implied, Sizes
from ...methods.passes import Passes, count_passes, unlearning_passes
from ...models import Architecture, parameter_count
from ...representations import PASS_BATCH
from ...settings.changes import plain
from ...settings.config import RunConfig
from ...settings.presets import preset
from ...stopping import EVERY, SAMPLE
from .memory import Shape
from .timings import Alone
from .work import Work, family_of, of_extractor_unlearning, work_of

IMAGENET = {"train": 1_281_167, "test": 50_000, "classes": 1_000}  # ILSVRC 2012
ASSUMED = {"epochs": 90, "batch": 256, "side": 256, "width": 2_048}  # the usual recipe of ResNet-50; images kept at 256 x 256
CLASSES = {"data": 5, "noisy": 5}  # that the request touches, of ten
SHARES = {"data": 0.4, "noisy": 0.6}  # of their images
SHARED = ("original", "retrained")  # trained once for all cells of a request and seed
LAF = ("VAEs", "unlearning")
REFERENCE_CELLS = ("original", "retrain", "retrain_again", "laf", "laf_r")
MODELS_EVALUATED = 4  # original, retrained, LAF, LAF+R


@dataclass(frozen=True)
class Setting:
    """One request on one data set with one network."""

    title: str
    network: str  # its name in ``benchmarks/passes.py``
    config: RunConfig  # of a run: training, VAEs, unlearning, repair, transforms
    images: int
    test: int
    forget: int
    classes: int
    width: int
    side: int  # of the stored uint8 images, three channels
    number_format: str = "float32"  # in which training and unlearning pass images
    channels: int = 3

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

    @property
    def sizes(self) -> Sizes:
        few = max(1, round(self.config.repair.labelled_share * self.retain))
        return Sizes(self.forget, self.retain, few, round(HELD_OUT_SHARE * self.test))

    @property
    def image_bytes(self) -> int:
        """Of all training images as uint8."""
        return self.images * self.channels * self.side**2

    def shape(self, parameters: int) -> Shape:
        """What bytes depend on."""
        seen = self.config.transforms.resize or self.side
        return Shape(
            self.forget, self.retain, parameters, self.classes, self.width, self.channels * seen**2, crops=self.crops
        )


def cifar10(task: str, mode: str = "reference") -> Setting:
    """CIFAR-10 enlarged to 224 x 224 with a ResNet-18: profile ``paper``."""
    facts = FACTS["cifar10"]
    images, test = facts.counts
    per_class = facts.per_class[0][0]
    forget = per_class if task == "class" else round(CLASSES[task] * SHARES[task] * per_class)
    return Setting(
        f"CIFAR-10, {task}, mode {mode}", "resnet18-224", preset("cifar10", task, profile="paper", mode=mode), images, test,
        forget, len(facts.class_names), 256, facts.shape[1],
    )


def imagenet(forget: int, mode: str = "reference") -> Setting:
    """ImageNet-1k with a ResNet-50 of torchvision, in bfloat16; evaluation transforms after training, so that what is frozen is
    computed once; unlearning settings are those of ResNet-18."""
    config = preset("cifar10", "class", profile="paper", mode=mode, training__epochs=ASSUMED["epochs"],
                    training__batch_size=ASSUMED["batch"], transforms__augment_everywhere=False)
    return Setting(
        f"ImageNet-1k, {forget:,} images, mode {mode}", "resnet50-224", config, IMAGENET["train"], IMAGENET["test"], forget,
        IMAGENET["classes"], ASSUMED["width"], ASSUMED["side"], "bfloat16",
    )


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


def with_crops(method: str, settings: Mapping, sizes: Sizes, passes: Passes) -> Passes:
    """The passes of a method where every crop is new: teachers and neighbours are asked again in every step."""
    family = family_of(method)
    if family == "scrub":
        return replace(passes, frozen=passes.frozen - sizes.forget - sizes.retain + passes.training)
    if method.startswith("boundary_shrink"):
        again = (settings["epochs"] - 1) * sizes.forget
        return Passes(passes.training + again, passes.frozen + again)
    if family == "ts":
        return replace(passes, frozen=passes.training)
    return passes


def baseline(method: str, setting: Setting) -> tuple[Passes, Passes]:
    """(passes of unlearning, passes of the method's own original) at the published settings."""
    entry, config, sizes = METHODS[method], setting.config, setting.sizes
    if method == "sisa":  # a class or a tenth of all images hits the first slice of every shard
        return Passes(config.training.epochs * setting.retain), Passes(config.training.epochs * setting.images)
    settings = config.training if method == "retrain" else entry.published(config.task)
    passes = cast(Implied, entry.implied)(settings, sizes)
    if setting.crops:
        passes = with_crops(method, plain(settings), sizes, passes)
    own = Passes(settings.epochs * setting.images) if entry.prepare else Passes(0)
    return passes, own


def baseline_work(method: str, setting: Setting) -> tuple[Work, Work]:
    """As ``baseline``, as work."""
    after, before = baseline(method, setting)
    config = setting.config
    settings = plain(config.training if method in ("retrain", "sisa") else METHODS[method].published(config.task))
    own = Work(before.training, calls=before.training / config.training.batch_size)
    return work_of(method, settings, after, setting.forget, setting.retain, crops=setting.crops), own


def seconds_of_stages(setting: Setting, alone: Alone) -> dict[str, float]:
    """Seconds by stage, in order."""
    return {
        name: alone.predict(work, setting.network, setting.number_format) for name, work in stages(setting).items()
    }


def seconds_of_baselines(setting: Setting, alone: Alone, methods: Sequence[str] | None = None) -> dict[str, tuple[float, float]]:
    """(seconds of unlearning, seconds of its own original) of every method of the comparison that is no stage of a run."""
    names = [name for name in listed("defaults") if name not in REFERENCE_CELLS] if methods is None else methods
    found = {}
    for name in names:
        after, before = (
            alone.predict(work, setting.network, setting.number_format) for work in baseline_work(name, setting)
        )
        found[name] = after, before
    return found


@dataclass(frozen=True)
class Grid:
    """Hours of all cells of one request over several seeds."""

    cells: int
    alone: float  # every cell by itself: it trains the original it starts from and the retrained model it is compared with
    shared: float  # original and retrained once per seed, each cell its own work
    chain: float  # the longest chain of work that no number of devices shortens

    def hours(self, devices: int) -> float:
        """At least so long on so many devices."""
        return max(self.chain, self.shared / devices)


def grid(setting: Setting, alone: Alone, seeds: int = 3) -> Grid:
    """All cells of the comparison for one request: those that are stages, the baselines, and retraining from another seed."""
    own = seconds_of_stages(setting, alone)
    evaluation = own["evaluation"] / 4
    baselines = seconds_of_baselines(setting, alone)
    laf = sum(own[name] for name in LAF)
    work = {"original": 0.0, "retrain": 0.0, "retrain_again": own["retrained"], "laf": laf, "laf_r": own["repair"]}
    work |= {name: sum(both) for name, both in baselines.items()}
    start = sum(own[name] for name in SHARED)
    separate = {name: start + seconds + evaluation for name, seconds in work.items()}
    separate["laf_r"] += laf
    shared = start + sum(work.values()) + evaluation * len(work)
    chain = max(own[n] for n in SHARED) + max(work.values()) + evaluation
    hour = 3600
    return Grid(len(work) * seeds, seeds * sum(separate.values()) / hour, seeds * shared / hour, chain / hour)


def parameters() -> dict[str, int]:
    """Trainable values of the networks of both settings, by their names in ``benchmarks/passes.py``."""
    small = Architecture("resnet18", 3, FACTS["cifar10"].shape[1], len(FACTS["cifar10"].class_names)).build(0, "original")
    with torch.device("meta"):  # counted, never held
        large = resnet50(weights=None, num_classes=IMAGENET["classes"])
    return {"resnet18-224": parameter_count(small), "resnet50-224": parameter_count(large)}
