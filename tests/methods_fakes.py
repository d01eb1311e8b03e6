"""A small problem for the tests of the methods: four classes of 3x8x8 images and a network that counts what passes through it."""

from dataclasses import replace

import torch
from torch import nn

from laf_utils.images import Images, Transform
from laf_utils.methods import UnlearningRequest
from laf_utils.models import Network
from laf_utils.settings.config import TrainingConfig
from laf_utils.support.seeds import initialisation
from laf_utils.training import train

CLASSES, CHANNELS, WIDTH = 4, 3, 12
PER_CLASS = 26  # not a multiple of a batch


class CountedExtractor(nn.Sequential):
    """An extractor that counts images passed with and without a backward pass in sight, over all its copies."""

    training_passes = frozen_passes = 0

    def forward(self, images):
        kind = CountedExtractor
        if torch.is_grad_enabled() and (images.requires_grad or any(p.requires_grad for p in self.parameters())):
            kind.training_passes += len(images)
        else:
            kind.frozen_passes += len(images)
        return super().forward(images)


def tiny_network(seed=0, stage="original", device="cpu"):
    """A convolution with BatchNorm and two linear layers."""
    with initialisation(seed, stage):
        extractor = CountedExtractor(
            nn.Conv2d(CHANNELS, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, WIDTH)
        )
        return Network(extractor, nn.Linear(WIDTH, CLASSES)).to(device).eval()


def tiny_data(device="cpu", seed=0, count=CLASSES * PER_CLASS):
    """Images and labels: a pattern per class, and noise."""
    draw = torch.Generator().manual_seed(7)
    patterns = torch.randint(0, 256, (CLASSES, CHANNELS, 8, 8), generator=draw).float()
    labels = torch.arange(count) % CLASSES
    noise = torch.randn(count, CHANNELS, 8, 8, generator=torch.Generator().manual_seed(100 + seed)) * 70
    pixels = (patterns[labels] + noise).clamp(0, 255).to(torch.uint8)
    return Images(pixels.to(device), Transform()), labels.to(device)


def tiny_request(device="cpu", **changes):
    """Class 0 is to be forgotten by a network trained for this."""
    images, labels = tiny_data(device)
    original = tiny_network(device=device)
    train(original, images, labels, TrainingConfig(epochs=15, learning_rate=3e-3), seed=0, stage="original")
    held_out, held_out_labels = tiny_data(device, seed=1, count=40)
    forget, retain = (labels == 0).nonzero().squeeze(1), (labels != 0).nonzero().squeeze(1)
    fields = {
        "forget": images.subset(forget), "retain": images.subset(retain), "forget_labels": labels[forget],
        "retain_labels": labels[retain], "held_out": held_out, "held_out_labels": held_out_labels, "fresh": tiny_network,
    }
    return UnlearningRequest(original, **fields | changes)


def with_transform(request, **transform):
    """The same request, its images under another transform."""
    parts = {part: replace(getattr(request, part), transform=Transform(**transform)) for part in ("forget", "retain")}
    return replace(request, **parts)


class Tripwire:
    """Labels that must not be read: whatever is done with them raises."""

    def __getattr__(self, name):
        raise AssertionError(f"a label was read ({name})")

    def _refuse(self, *args):
        raise AssertionError("a label was read")

    __len__ = __getitem__ = __iter__ = __eq__ = __bool__ = __array__ = _refuse
    __hash__ = None


class CountingLabels:
    """Labels that remember which rows were read."""

    def __init__(self, labels):
        self.labels, self.read = labels, []

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, rows):
        self.read += rows.tolist()
        return self.labels[rows]
