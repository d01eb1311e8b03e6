"""The two networks of the paper and one for small images, each an extractor, a representation and a classifier.

``model(x) = model.classifier(model.extractor(x))``; the representation is 256 wide, signed, without activation.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from .support.choices import BACKBONES
from .support.seeds import initialisation

REPRESENTATION_WIDTH = 256  # of both networks in the paper
RESNET9_WIDTHS = (64, 256, 256)  # of its three stages
WHITENING_FLOOR = 5e-4  # added to each variance: what hardly varies is not blown up


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


class Whitening(nn.Module):
    """Patches of 2 x 2 pixels in coordinates that are not correlated, and the negatives: the first layer, which learns nothing.

    The coordinates are taken from the first batch in training mode and stay, as buffers. Source: K. Jordan, "94% on CIFAR-10 in
    3.29 Seconds on a Single GPU", arXiv 2404.00498.
    """

    filters: torch.Tensor
    fitted: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filters", torch.zeros(2 * 4 * channels, channels, 2, 2))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] to [B, 8 C, H - 1, W - 1]."""
        if self.training and not self.fitted:
            self._fit(x.detach())
        return F.conv2d(x, self.filters)

    def _fit(self, x: torch.Tensor) -> None:
        patches = F.unfold(x.float(), 2).transpose(1, 2).flatten(0, 1).double()
        values, vectors = torch.linalg.eigh(patches.T.cov())
        scaled = (vectors / (values + WHITENING_FLOOR).sqrt()).T.reshape(-1, x.shape[1], 2, 2).float()
        self.filters.copy_(torch.cat([scaled, -scaled]))
        self.fitted.fill_(True)


def _convolution(inputs: int, width: int, *between: nn.Module) -> nn.Sequential:
    """A convolution that begins as the identity on its first channels (same source), and what follows it."""
    convolution = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
    nn.init.dirac_(convolution.weight[:inputs].data)
    return nn.Sequential(convolution, *between, nn.BatchNorm2d(width), nn.GELU())


class _Residual(nn.Module):
    """x + f(x), f a convolution of one width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = _convolution(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


class _Ninth(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 9  # the source scales its logits: small ones stand the high rate of profile ``native``


def resnet9(channels: int, size: int, classes: int) -> Network:
    """A residual network for images of 32 x 32, quick to train: 2 million weights in eight layers.

    Each of three stages is a convolution, pooled, and one that is added to its input; before them patches are whitened. After
    D. Page, "How to Train Your ResNet" (myrtle.ai, 2018), whose first layer this one whitens, and K. Jordan, arXiv 2404.00498,
    with the representation of the paper's networks before the classifier.
    """
    stages: list[nn.Module] = []
    width = 8 * channels
    for wider in RESNET9_WIDTHS:
        stages += [_convolution(width, wider, nn.MaxPool2d(2)), _Residual(wider)]
        width = wider
    extractor = nn.Sequential(
        Whitening(channels), nn.GELU(), *stages, nn.AdaptiveMaxPool2d(1), nn.Flatten(), _Ninth(),
        nn.Linear(width, REPRESENTATION_WIDTH),
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
