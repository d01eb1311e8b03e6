"""The two networks of the paper and one for small images, each an extractor, a representation and a classifier.

``model(x) = model.classifier(model.extractor(x))``; the representation is 256 wide, signed, without activation.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from .support.choices import BACKBONES
from .support.seeds import initialisation

REPRESENTATION_WIDTH = 256  # of both networks in the paper
RESNET9_WIDTH = 32  # of its first layer


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


def _convolution(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())


class _Residual(nn.Module):
    """x + f(x), f two convolutions of one width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_convolution(width, width), _convolution(width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


class _Eighth(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 8  # as the source scales its logits: without it SGD diverges at the rate of profile ``native``


def resnet9(channels: int, size: int, classes: int) -> Network:
    """A residual network for images of 32 x 32: no stride before the first pooling, eight convolutions of 3 x 3, 1.7 million
    weights.

    The network of D. Page, "How to Train Your ResNet" (myrtle.ai, 2018), at half its width, with the representation of the
    paper's networks before the classifier.
    """
    w = RESNET9_WIDTH
    extractor = nn.Sequential(
        _convolution(channels, w), _convolution(w, 2 * w), nn.MaxPool2d(2), _Residual(2 * w), _convolution(2 * w, 4 * w),
        nn.MaxPool2d(2), _convolution(4 * w, 8 * w), nn.MaxPool2d(2), _Residual(8 * w), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
        _Eighth(), nn.Linear(8 * w, REPRESENTATION_WIDTH),
    )
    return Network(extractor, nn.Linear(REPRESENTATION_WIDTH, classes))


@dataclass(frozen=True)
class Architecture:
    """Everything needed to build a network of the right shape."""

    backbone: str  # one of ``BACKBONES``
    channels: int
    size: int  # side of the native image in pixels
    classes: int

    def build(self, seed: int, stage: str, device: torch.device | str = "cpu") -> Network:
        """A freshly initialised network; the same seed and stage give the same weights.

        Raises:
            ValueError: for an unknown backbone.
        """
        builders = {"cnn": cnn, "resnet18": resnet, "resnet9": resnet9}
        if self.backbone not in builders:
            raise ValueError(f"unknown backbone {self.backbone!r}: one of {', '.join(BACKBONES)}")
        with initialisation(seed, stage, "initialisation"):
            network = builders[self.backbone](self.channels, self.size, self.classes)
        return cast(Any, network).to(device=device, memory_format=torch.channels_last)  # PyTorch's stubs lack the two together


def parameter_count(module: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in module.parameters())
