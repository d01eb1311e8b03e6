"""Every setting of a run: frozen, validated, with the reason or the unit after each number.

``reference`` is the published behaviour, ``fixed`` is what this project recommends; each published choice with a side effect
is a field here. ``presets.preset`` gives the published numbers.
"""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..support.choices import BACKBONES, CROPS, PRECISIONS, RATES, TASKS
from ..support.reading import MOST_SEED, ReadingError
from ..support.reading import device as device_name

PROFILES = ("quick", "small", "native", "paper")
MODES = ("reference", "fixed")
# Settings that came later: what a dictionary without them means. ``as_dict`` leaves them out where they still mean that, so that
# the configurations of older records stay equal to those of today.
MEANT = {"repair.pairing": "all", "transforms.crop": "pad", "training.rate": "constant"}

# Beyond these a value is a slip of the keyboard: a run that would end in no lifetime, or a tensor that no machine holds.
MOST_EPOCHS = 10_000
MOST_BATCH = 1 << 20  # images or representations in a step
MOST_DIMS = 4_096  # latent dimensions
MOST_IMAGES = 100_000_000
MOST_SIDE = 4_096  # pixels
MOST_CLASSES = 100_000
MOST_RATE = 1e6  # of learning rates, weights and temperatures


class ConfigError(ValueError):
    """A setting that cannot be meant. The message names the setting, the value and what is allowed."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _positive(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        _require(_is_number(value) and value > 0, f"{name} must be a number above zero, got {_shown(value)}")
        _require(value <= MOST_RATE, f"{name} must be at most {MOST_RATE:g}, got {_shown(value)}")


def _not_negative(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        _require(_is_number(value) and value >= 0, f"{name} must be a number, zero or more, got {_shown(value)}")
        _require(value <= MOST_RATE, f"{name} must be at most {MOST_RATE:g}, got {_shown(value)}")


def _switches(settings: Any) -> None:
    """Every field that is a switch by its default must be True or False: "False" would count as true."""
    for setting in fields(settings):
        value = getattr(settings, setting.name)
        if isinstance(setting.default, bool):
            _require(isinstance(value, bool), f"{setting.name} must be True or False, got {value!r}")


def _whole(settings: object, *names: str, least: int = 0, most: int) -> None:
    for name in names:
        value = getattr(settings, name)
        valid = isinstance(value, int) and not isinstance(value, bool) and value >= least
        _require(valid, f"{name} must be a whole number, at least {least}, got {_shown(value)}")
        _require(value <= most, f"{name} must be at most {most}, got {_shown(value)}")


def _shown(value: object) -> str:
    """A value in a message, on one line of bounded length."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**40 else "a number of more than 40 digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _choice(settings: object, name: str, allowed: tuple) -> None:
    value = getattr(settings, name)
    _require(value in allowed, f"{name} must be one of {', '.join(map(str, allowed))}, got {_shown(value)}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value and abs(value) != float("inf")


@dataclass(frozen=True)
class TrainingConfig:
    """Supervised training of the original and the retrained model (paper, experimental settings)."""

    epochs: int = 20
    batch_size: int = 32  # images
    learning_rate: float = 1e-4  # Adam; with ``one_cycle`` the highest that SGD reaches
    weight_decay: float = 1e-4  # Adam's L2 term
    precision: str = "float32"  # bfloat16 pays on CPUs with AVX512-BF16 and on GPUs
    compile: bool = False  # torch.compile: did not pay on the CPU it was measured on (benchmarks/README.md)
    rate: str = "constant"  # published; "one_cycle": SGD whose rate rises and falls once, for accuracies of today in few epochs

    def __post_init__(self) -> None:
        _switches(self)
        _whole(self, "epochs", least=1, most=MOST_EPOCHS)
        _whole(self, "batch_size", least=1, most=MOST_BATCH)
        _positive(self, "learning_rate")
        _not_negative(self, "weight_decay")
        _choice(self, "precision", PRECISIONS)
        _choice(self, "rate", RATES)


@dataclass(frozen=True)
class VAEConfig:
    """The two representation VAEs h and h_f."""

    latent_dims: int = 8  # 8 for the CNN, 16 for ResNet-18
    epochs: int = 10
    batch_size: int = 32  # representations
    learning_rate: float = 1e-3  # Adam
    kl_weight: float = 0.025  # of the KL term in the loss per batch
    decoder: str = "sigmoid"  # published; "linear" can reach signed, unbounded representations
    standardise: bool = False  # fit on (e - mean) / std of each dimension, published: no
    error: str = "sum"  # published: m sums over the 256 dimensions; "mean": m near 1, where s(m) still has a slope
    fit_h_on: str = "all"  # published: h sees all of D; "retain": only D_r

    def __post_init__(self) -> None:
        _switches(self)
        _whole(self, "latent_dims", least=1, most=MOST_DIMS)
        _whole(self, "epochs", least=1, most=MOST_EPOCHS)
        _whole(self, "batch_size", least=1, most=MOST_BATCH)
        _positive(self, "learning_rate")
        _not_negative(self, "kl_weight")
        _choice(self, "decoder", ("sigmoid", "linear"))
        _choice(self, "error", ("sum", "mean"))
        _choice(self, "fit_h_on", ("all", "retain"))


@dataclass(frozen=True)
class UnlearningConfig:
    """Representation adaptation: extractor unlearning L_UE and representation alignment L_RA."""

    epochs: int = 20  # 20 for the CNN, 40 for ResNet-18
    batch_size: int = 32  # images of each of D_f and D_r in a step
    lr_ue: float = 5e-5  # Adam of L_UE
    lr_ra: float = 1e-4  # Adam of L_RA
    temperature: float = 20.0  # tau in L_RA
    schedule: str = "alternate"  # published; "two_stage": all of L_UE, then all of L_RA; "joint": one step on the sum
    ra_weight: float = 1.0  # of L_RA beside L_UE in a joint step; published: separate steps, so no weight
    reduction: str = "sum"  # published; "mean": batches of unequal size weigh the same per image
    drop_ragged: bool = False  # published: the last, smaller batch of D_f takes a step of its own
    use_ue: bool = True  # False: ablation without L_UE
    use_ra: str = "both"  # "retain", "forget": one half of L_RA only; "none": without L_RA
    batchnorm: str = "original"  # published: statistics stay the original's; "retain": re-estimated on D_r
    stop: str = "last"  # published: last epoch; "agreement": the label-free rule of ``stopping``
    retain_ratio: float | None = None  # retained images used, per forgotten image; None: all of D_r (published)
    precision: str = "float32"

    def __post_init__(self) -> None:
        _switches(self)
        _whole(self, "epochs", most=MOST_EPOCHS)
        _whole(self, "batch_size", least=1, most=MOST_BATCH)
        _positive(self, "lr_ue", "lr_ra", "temperature", "ra_weight")
        _choice(self, "schedule", ("alternate", "two_stage", "joint"))
        _choice(self, "reduction", ("sum", "mean"))
        _choice(self, "use_ra", ("both", "retain", "forget", "none"))
        _choice(self, "batchnorm", ("original", "retain"))
        _choice(self, "stop", ("last", "agreement"))
        _choice(self, "precision", PRECISIONS)
        if self.retain_ratio is not None:
            _positive(self, "retain_ratio")


@dataclass(frozen=True)
class RepairConfig:
    """LAF+R: cross-entropy on labelled retained images, classifier only. The authors publish the loop and no numbers.

    Their loop takes batches of D_f and D_r side by side and ends with the shorter set, although it reads nothing of D_f: a pass
    takes as many batches of D_r as D_f has (``pairing``, mode ``reference``). Mode ``fixed`` reads all labels that are known.

    The extractor is frozen, so the representations are computed once and the repair costs next to nothing; one pass at the
    original's batch size, with ten times its learning rate because only two small layers move.
    """

    epochs: int = 1
    batch_size: int = 32  # representations
    learning_rate: float = 1e-3  # Adam
    labelled_share: float = 1.0  # of D_r, at random, whose labels may be read
    pairing: str = "all"  # a pass takes all of those; "forget" (published): as many batches as D_f has

    def __post_init__(self) -> None:
        _switches(self)
        _choice(self, "pairing", ("all", "forget"))
        _whole(self, "epochs", most=MOST_EPOCHS)
        _whole(self, "batch_size", least=1, most=MOST_BATCH)
        _positive(self, "learning_rate", "labelled_share")
        _require(self.labelled_share <= 1, f"labelled_share must be at most 1, got {self.labelled_share!r}")


@dataclass(frozen=True)
class TransformConfig:
    """What happens to an image before the network sees it."""

    resize: int | None = None  # side in pixels; published for CIFAR-10 and SVHN: 224; None: native
    normalise: bool = False  # ImageNet statistics; published for CIFAR-10 and SVHN
    augment: bool = False  # random crop and flip in training; published for CIFAR-10 and SVHN
    crop: str = "pad"  # a window of the image padded by 4 pixels; "resized" (published): of 8 to 100 % of its area, resized
    augment_everywhere: bool = False  # published: also when fitting, unlearning, measuring Train_r and Train_f, attacking

    def __post_init__(self) -> None:
        _switches(self)
        _choice(self, "crop", CROPS)
        if self.resize is not None:
            _whole(self, "resize", least=8, most=MOST_SIDE)


@dataclass(frozen=True)
class RunConfig:
    """One run: an original, a retrained model, LAF and LAF+R on one forget request."""

    dataset: str
    task: str
    forget_classes: tuple[int, ...] = (0,)  # the class task only
    seed: int = 0
    profile: str = "quick"
    mode: str = "reference"
    device: str = "auto"
    backbone: str = "cnn"
    images: int | None = None  # training images used, the same number of each class; None: all
    all_wrong_labels: bool = False  # noisy labels: published code draws from 0-8 only
    training: TrainingConfig = field(default_factory=TrainingConfig)
    vae: VAEConfig = field(default_factory=VAEConfig)
    unlearning: UnlearningConfig = field(default_factory=UnlearningConfig)
    repair: RepairConfig = field(default_factory=RepairConfig)
    transforms: TransformConfig = field(default_factory=TransformConfig)

    def __post_init__(self) -> None:
        _switches(self)
        _choice(self, "task", TASKS)
        _choice(self, "profile", PROFILES)
        _choice(self, "mode", MODES)
        _choice(self, "backbone", BACKBONES)
        _whole(self, "seed", most=MOST_SEED)
        try:
            device_name(self.device)
        except ReadingError as error:
            raise ConfigError(str(error)) from error
        self._check_classes()
        if self.images is not None:
            _whole(self, "images", least=100, most=MOST_IMAGES)

    def _check_classes(self) -> None:
        classes = self.forget_classes
        numbers = isinstance(classes, tuple | list) and all(type(c) is int and 0 <= c < MOST_CLASSES for c in classes)
        _require(
            bool(classes) and numbers and len(set(classes)) == len(classes),
            f"forget_classes must be one class number or several, each once, got {_shown(classes)}",
        )

    def as_dict(self) -> dict:
        """Nested plain values, as records keep them; see ``MEANT`` for what is left out."""
        kept = asdict(self)
        for name, meant in MEANT.items():
            group, _, leaf = name.partition(".")
            if kept[group][leaf] == meant:
                del kept[group][leaf]
        return kept
