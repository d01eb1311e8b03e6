"""The two networks of the paper, each an extractor, a representation and a classifier.

``model(x) = model.classifier(model.extractor(x))``; the representation is 256 wide, signed, without activation.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from .support.choices import BACKBONES
from .support.seeds import initialisation

REPRESENTATION_WIDTH = 256  # of both networks in the paper


class Network(nn.Module):
    """A classifier in two parts.

    Args:
        extractor: g^e, images [B, C, H, W] to representations [B, 256].
        classifier: g^c, representations [B, 256] to logits [B, classes].
    """

    def __init__(self, extractor: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor
        self.classifier = classifier

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [B, classes] of images [B, C, H, W]."""
        return self.classifier(self.extractor(images))


def cnn(channels: int, size: int, classes: int) -> Network:
    """The CNN of the MNIST and Fashion-MNIST runs; 1x28x28 and ten classes in the paper.

    ReLU stands after the pooling here and before it in the paper. Both give the same numbers, the maximum of rectified
    values being the rectified maximum, and a quarter of the work.
    """
    side = size // 2 // 2
    extractor = nn.Sequential(
        nn.Conv2d(channels, 16, kernel_size=5, padding=2),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(16, 32, kernel_size=5, padding=2),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * side * side, REPRESENTATION_WIDTH),
    )
    # No activation between the two: the published head is one affine map in two factors.
    classifier = nn.Sequential(nn.Linear(REPRESENTATION_WIDTH, 128), nn.Linear(128, classes))
    return Network(extractor, classifier)


def resnet(channels: int, size: int, classes: int) -> Network:
    """ResNet-18 of the CIFAR-10 and SVHN runs: torchvision's, random initialisation, last layer replaced."""
    from torchvision.models import resnet18  # an extra: nothing else in the paper's column needs it

    backbone = resnet18(weights=None)
    if channels != 3:
        backbone.conv1 = nn.Conv2d(channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
    backbone.fc = nn.Linear(backbone.fc.in_features, REPRESENTATION_WIDTH)
    return Network(backbone, nn.Linear(REPRESENTATION_WIDTH, classes))


@dataclass(frozen=True)
class Architecture:
    """Everything needed to build a network of the right shape."""

    backbone: str  # "cnn" or "resnet18"
    channels: int
    size: int  # side of the native image in pixels
    classes: int

    def build(self, seed: int, stage: str, device: torch.device | str = "cpu") -> Network:
        """A freshly initialised network; the same seed and stage give the same weights.

        Raises:
            ValueError: for an unknown backbone.
        """
        builders = {"cnn": cnn, "resnet18": resnet}
        if self.backbone not in builders:
            raise ValueError(f"unknown backbone {self.backbone!r}: one of {', '.join(BACKBONES)}")
        with initialisation(seed, stage, "initialisation"):
            network = builders[self.backbone](self.channels, self.size, self.classes)
        return cast(Any, network).to(device=device, memory_format=torch.channels_last)  # PyTorch's stubs lack the two together


def parameter_count(module: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in module.parameters())
