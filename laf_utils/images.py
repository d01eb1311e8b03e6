"""Images on a device and the transforms that turn them into batches.

``Images`` carries no labels, and everything that must not read labels (the VAEs, LAF) takes ``Images``: the types make a
label impossible to reach. The whole set lies in memory as uint8 and a batch is an index: no workers, no copies, and any
order of any subset costs the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of ImageNet's training images, scaled to [0, 1]
IMAGENET_STD = (0.229, 0.224, 0.225)
CROP_PADDING = 4  # pixels, at native resolution


@dataclass(frozen=True)
class Transform:
    """uint8 pixels to network input: crop and flip (``augment``), then resize, scale to [0, 1], normalise.

    Args:
        resize: side of the output in pixels, or ``None`` for the native size.
        normalise: subtract ImageNet's mean and divide by its standard deviation (three channels only).
        augment: random crop after padding by 4 pixels, and a horizontal flip with probability one half.
    """

    resize: int | None = None
    normalise: bool = False
    augment: bool = False

    @property
    def deterministic(self) -> bool:
        """Whether the same image always gives the same input, so that what is computed from it may be kept."""
        return not self.augment

    def __call__(self, pixels: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """[B, C, H, W] uint8 to [B, C, h, w] float32, channels last in memory."""
        if self.augment:
            if generator is None:
                raise ValueError("random crops and flips need a generator")
            pixels = _crop_and_flip(pixels, generator)
        x = pixels.to(torch.float32).div_(255.0)
        if self.resize is not None and self.resize != x.shape[-1]:
            x = F.interpolate(x, size=(self.resize, self.resize), mode="bilinear", antialias=True)
        if self.normalise:
            mean = x.new_tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
            x = (x - mean) / x.new_tensor(IMAGENET_STD).view(1, 3, 1, 1)
        return x.contiguous(memory_format=torch.channels_last)

    def for_evaluation(self) -> "Transform":
        """The same transform without crop and flip."""
        return replace(self, augment=False)


def _crop_and_flip(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A random window of the zero-padded image and a random flip, each image its own, as one gather."""
    count, _, height, width = pixels.shape
    padded = F.pad(pixels, (CROP_PADDING,) * 4)
    offsets = torch.randint(0, 2 * CROP_PADDING + 1, (2, count), generator=generator).to(pixels.device)
    flip = (torch.rand(count, generator=generator) < 0.5).to(pixels.device)
    columns = torch.arange(width, device=pixels.device).expand(count, width)
    columns = torch.where(flip[:, None], width - 1 - columns, columns) + offsets[1][:, None]
    rows = torch.arange(height, device=pixels.device) + offsets[0][:, None]
    image = torch.arange(count, device=pixels.device)[:, None, None]
    # Advanced indices around the channel slice come first: [B, H, W, C].
    return padded[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Images:
    """A view of a set of images, without labels.

    Args:
        pixels: uint8 [M, C, H, W], the whole set, shared by all views.
        transform: how a batch becomes network input.
        index: int64 [N] rows of ``pixels`` that this view holds, or ``None`` for all.
    """

    pixels: torch.Tensor
    transform: Transform
    index: torch.Tensor | None = None

    def __post_init__(self) -> None:
        if self.pixels.dtype != torch.uint8 or self.pixels.ndim != 4:
            raise TypeError(f"images must be uint8 [N, C, H, W], got {self.pixels.dtype} {tuple(self.pixels.shape)}")

    def __len__(self) -> int:
        return len(self.pixels) if self.index is None else len(self.index)

    @property
    def device(self) -> torch.device:
        return self.pixels.device

    def subset(self, rows: torch.Tensor) -> "Images":
        """The view of some rows of this view (int64 [n]); no pixel is copied."""
        rows = rows.to(self.device)
        return replace(self, index=rows if self.index is None else self.index[rows])

    def batch(self, rows: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Network input [B, C, h, w] float32 of some rows of this view."""
        rows = rows.to(self.device)
        return self.transform(self.pixels[rows if self.index is None else self.index[rows]], generator)

    def for_evaluation(self) -> "Images":
        """The same images without crop and flip."""
        return replace(self, transform=self.transform.for_evaluation())

    def in_order(self, batch_size: int, generator: torch.Generator | None = None) -> Iterator[torch.Tensor]:
        """Network inputs of all rows, in order."""
        for rows in torch.arange(len(self)).split(batch_size):
            yield self.batch(rows, generator)


def shuffled(count: int, batch_size: int, generator: torch.Generator, drop_last: bool = False) -> list[torch.Tensor]:
    """Row numbers 0..count-1 in random order, cut into batches; the last one may be smaller unless dropped."""
    batches = list(torch.randperm(count, generator=generator).split(batch_size))
    if drop_last and len(batches) > 1 and len(batches[-1]) < batch_size:
        batches.pop()
    return batches
