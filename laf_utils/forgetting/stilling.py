"""Data sets that augment, without their random transforms: forgetting looks at the same image more than once.

Known random transforms of torchvision and timm are taken out or replaced by what evaluation uses in their place; a set whose
transforms are not known stays as it is, and is refused later if the same image comes out differently.
"""

import copy
import warnings
from typing import Any

from torch import nn

# Dropped in evaluation: they change an image and not its size.
DROPPED = (
    "RandomHorizontalFlip", "RandomVerticalFlip", "RandomRotation", "RandomAffine", "RandomPerspective", "RandomGrayscale",
    "RandomPhotometricDistort", "RandomInvert", "RandomPosterize", "RandomSolarize", "RandomAdjustSharpness",
    "RandomAutocontrast", "RandomEqualize", "RandomErasing", "ColorJitter", "ElasticTransform", "GaussianBlur", "GaussianNoise",
    "AutoAugment", "RandAugment", "TrivialAugmentWide", "AugMix", "RandomApply", "RandomChoice", "RandomOrder", "JPEG",
    "RandomChannelPermutation", "AugMixAugment",
)
CROPPED = ("RandomCrop", "RandomResizedCrop", "RandomResizedCropAndInterpolation")
RESIZED = 256 / 224  # of the shorter side, before the central crop that stands for a random resized one


def _known(kind: type) -> bool:
    """Told by its name: who has torchvision's or timm's transforms has torchvision, and nobody else needs it."""
    return kind.__module__.startswith(("torchvision.transforms", "timm.data"))


def _kept(step: Any, said: list[str]) -> list[Any]:
    """What stands for a transform in evaluation, and in ``said`` how it differs."""
    name, own = type(step).__name__, _known(type(step))
    composed = any(kind.__name__ == "Compose" and _known(kind) for kind in type(step).__mro__)
    if composed or isinstance(step, nn.Sequential):
        inner = list(step.transforms if hasattr(step, "transforms") else step)
        return [part for each in inner for part in _kept(each, said)]
    if not own:
        return [step]
    if name in DROPPED:
        said.append(f"without {name}")
        return []
    if name not in CROPPED:
        return [step]
    from torchvision.transforms import v2

    if name == "RandomCrop":
        said.append("CenterCrop for RandomCrop")
        return [v2.CenterCrop(step.size)]
    said.append(f"Resize and CenterCrop for {name}")
    return [v2.Resize(round(RESIZED * min(step.size)), antialias=True), v2.CenterCrop(step.size)]


def still(dataset: Any) -> Any:
    """The data set itself, or where it augments a shallow copy that does not, with a warning that says what was changed.

    Looks at the attributes ``transform`` of the set and ``dataset`` of a ``Subset``.
    """
    inner = getattr(dataset, "dataset", None)
    if inner is not None and hasattr(dataset, "indices"):
        found = still(inner)
        if found is inner:
            return dataset
        own = copy.copy(dataset)
        own.dataset = found
        return own
    said: list[str] = []
    transform = getattr(dataset, "transform", None)
    if transform is None:
        return dataset
    steps = _kept(transform, said)
    if not said:
        return dataset
    warnings.warn(f"the data set augments; it is read {', '.join(dict.fromkeys(said))}", stacklevel=4)
    from torchvision.transforms import v2

    own = copy.copy(dataset)
    own.transform = v2.Compose(steps) if steps else v2.Identity()
    if getattr(own, "transforms", None) is not None:  # of torchvision's sets, which apply this one
        own.transforms = copy.copy(own.transforms)
        own.transforms.transform = own.transform
    return own
