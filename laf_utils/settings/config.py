"""Every setting of a run: frozen, validated, with the reason or the unit after each number.

``reference`` is the published behaviour, ``fixed`` is what this project recommends; each published choice with a side effect
is a field here. ``presets.preset`` gives the published numbers.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, cast

from ..support.choices import BACKBONES, CROPS, PRECISIONS, RATES, TASKS
from ..support.reading import MOST_SEED, ReadingError
from ..support.reading import device as device_name
from ..support.sealing import is_number

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


def _shown(value: object) -> str:
    """A value in a message, on one line of bounded length."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**40 else "a number of more than 40 digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


Rule = Callable[[str, Any], None]  # refuses a value of a setting


def _rate(zero: bool = False) -> Rule:
    """A number above zero, or zero too."""
    def check(name: str, value: Any) -> None:
        what = "a number, zero or more" if zero else "a number above zero"
        _require(is_number(value) and (value > 0 or (zero and value == 0)), f"{name} must be {what}, got {_shown(value)}")
        _require(value <= MOST_RATE, f"{name} must be at most {MOST_RATE:g}, got {_shown(value)}")

    return check


def _whole(least: int, most: int) -> Rule:
    def check(name: str, value: Any) -> None:
        valid = isinstance(value, int) and not isinstance(value, bool) and value >= least
        _require(valid, f"{name} must be a whole number, at least {least}, got {_shown(value)}")
        _require(value <= most, f"{name} must be at most {most}, got {_shown(value)}")

    return check


def _choice(*allowed: str) -> Rule:
    def check(name: str, value: Any) -> None:
        _require(value in allowed, f"{name} must be one of {', '.join(allowed)}, got {_shown(value)}")

    return check


def _device(name: str, value: Any) -> None:
    try:
        device_name(value, name)
    except ReadingError as error:
        raise ConfigError(str(error)) from error


def _classes(name: str, value: Any) -> None:
    numbers = isinstance(value, tuple | list) and all(type(c) is int and 0 <= c < MOST_CLASSES for c in value)
    valid = bool(value) and numbers and len(set(value)) == len(value)
    _require(valid, f"{name} must be one class number or several, each once, got {_shown(value)}")


# By setting; what only one kind of settings has otherwise is under its name, too.
RULES: dict[str, Rule] = {name: rule for names, rule in (
    ("epochs", _whole(0, MOST_EPOCHS)), ("TrainingConfig.epochs VAEConfig.epochs", _whole(1, MOST_EPOCHS)),
    ("batch_size", _whole(1, MOST_BATCH)), ("latent_dims", _whole(1, MOST_DIMS)), ("resize", _whole(8, MOST_SIDE)),
    ("seed", _whole(0, MOST_SEED)), ("images", _whole(100, MOST_IMAGES)),
    ("learning_rate lr_ue lr_ra temperature ra_weight retain_ratio labelled_share", _rate()),
    ("weight_decay kl_weight", _rate(zero=True)),
    ("precision", _choice(*PRECISIONS)), ("rate", _choice(*RATES)), ("decoder", _choice("sigmoid", "linear")),
    ("error reduction", _choice("sum", "mean")), ("fit_h_on", _choice("all", "retain")),
    ("schedule", _choice("alternate", "two_stage", "joint")), ("use_ra", _choice("both", "retain", "forget", "none")),
    ("batchnorm", _choice("original", "retain")), ("stop", _choice("last", "agreement")), ("pairing", _choice("all", "forget")),
    ("crop", _choice(*CROPS)), ("task", _choice(*TASKS)), ("profile", _choice(*PROFILES)), ("mode", _choice(*MODES)),
    ("backbone", _choice(*BACKBONES)), ("device", _device), ("forget_classes", _classes),
) for name in names.split()}


class Checked:
    """Settings whose fields keep to ``RULES``, or are ``None`` where that is the default; switches are True or False.

    Raises:
        ConfigError: a value that a setting cannot have.
    """

    def __post_init__(self) -> None:
        for setting in fields(cast(Any, self)):
            name, value = setting.name, getattr(self, setting.name)
            if isinstance(setting.default, bool):  # "False" would count as true
                _require(isinstance(value, bool), f"{name} must be True or False, got {value!r}")
            rule = RULES.get(f"{type(self).__name__}.{name}") or RULES.get(name)
            if rule and not (value is None and setting.default is None):
                rule(name, value)


@dataclass(frozen=True)
class TrainingConfig(Checked):
    """Supervised training of the original and the retrained model (paper, experimental settings)."""

    epochs: int = 20
    batch_size: int = 32  # images
    learning_rate: float = 1e-4  # Adam; with ``one_cycle`` the highest that SGD reaches
    weight_decay: float = 1e-4  # Adam's L2 term
    precision: str = "float32"  # bfloat16 pays on CPUs with AVX512-BF16 and on GPUs
    compile: bool = False  # torch.compile: did not pay on the CPU it was measured on (benchmarks/README.md)
    rate: str = "constant"  # published; "one_cycle": SGD whose rate rises and falls once, for accuracies of today in few epochs


@dataclass(frozen=True)
class VAEConfig(Checked):
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


@dataclass(frozen=True)
class UnlearningConfig(Checked):
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


@dataclass(frozen=True)
class RepairConfig(Checked):
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
        super().__post_init__()
        _require(self.labelled_share <= 1, f"labelled_share must be at most 1, got {self.labelled_share!r}")


@dataclass(frozen=True)
class TransformConfig(Checked):
    """What happens to an image before the network sees it."""

    resize: int | None = None  # side in pixels; published for CIFAR-10 and SVHN: 224; None: native
    normalise: bool = False  # ImageNet statistics; published for CIFAR-10 and SVHN
    augment: bool = False  # random crop and flip in training; published for CIFAR-10 and SVHN
    crop: str = "pad"  # a window of the image padded by 4 pixels; "resized" (published): of 8 to 100 % of its area, resized
    augment_everywhere: bool = False  # published: also when fitting, unlearning, measuring Train_r and Train_f, attacking


@dataclass(frozen=True)
class RunConfig(Checked):
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

    def as_dict(self) -> dict:
        """Nested plain values, as records keep them; see ``MEANT`` for what is left out."""
        kept = asdict(self)
        for name, meant in MEANT.items():
            group, _, leaf = name.partition(".")
            if kept[group][leaf] == meant:
                del kept[group][leaf]
        return kept
