"""Images on a device and the transforms that turn them into batches.

``Images`` carries no labels, and everything that must not read labels (the VAEs, LAF) takes ``Images``: the types make a
label impossible to reach. The whole set lies in memory as uint8 and a batch is an index: no workers, no copies, and any
order of any subset costs the same.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import torch
import torch.nn.functional as F

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of ImageNet's training images, scaled to [0, 1]
IMAGENET_STD = (0.229, 0.224, 0.225)
CROP_PADDING = 4  # pixels, at native resolution
CROP_AREA = (0.08, 1.0)  # of a resized crop, as shares of the image
CROP_RATIO = (3 / 4, 4 / 3)  # width over height
CROP_TRIES = 10  # draws of area and ratio until a window fits; else the whole of a square image, as torchvision does


@dataclass(frozen=True)
class Transform:
    """uint8 pixels to network input: crop and flip (``augment``), then resize, scale to [0, 1], normalise.

    A ``resized`` crop comes after the resize and keeps its size, as the authors' pipeline for CIFAR-10 and SVHN has it.
    """

    resize: int | None = None  # side of the output in pixels, or ``None`` for the native size
    normalise: bool = False  # subtract ImageNet's mean and divide by its standard deviation (three channels only)
    augment: bool = False  # random crop, and a horizontal flip with probability one half
    # ``pad``: a window of the image padded by 4 pixels; ``resized``: a window of 8 to 100 % of the area, three quarters to four
    # thirds as wide as high, resized to the whole
    crop: str = "pad"

    @property
    def deterministic(self) -> bool:
        """Whether the same image always gives the same input, so that what is computed from it may be kept."""
        return not self.augment

    def __call__(self, pixels: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """[B, C, H, W] uint8 to [B, C, h, w] float32, channels last in memory."""
        if self.augment:
            if generator is None:
                raise ValueError("random crops and flips need a generator")
            pixels = _crop_and_flip(pixels, generator) if self.crop == "pad" else pixels
        x = pixels.to(torch.float32).div_(255.0)
        if self.resize is not None and self.resize != x.shape[-1]:
            x = F.interpolate(x, size=(self.resize, self.resize), mode="bilinear", antialias=True)
        if self.augment and self.crop == "resized":
            assert generator is not None
            x = _resized_crop_and_flip(x, generator)
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


def _windows(count: int, size: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """(height and width, top and left) of a window for each image, int64 [2, count] each, as torchvision's resized crop draws
    them: the first of ten draws that fits, else the whole image."""
    low, high = CROP_AREA
    area = size**2 * (low + (high - low) * torch.rand(count, CROP_TRIES, generator=generator))
    bounds = [math.log(ratio) for ratio in CROP_RATIO]
    ratio = (bounds[0] + (bounds[1] - bounds[0]) * torch.rand(count, CROP_TRIES, generator=generator)).exp()
    sides = torch.stack([(area / ratio).sqrt().round(), (area * ratio).sqrt().round()]).long()
    fits = (sides <= size).all(0) & (sides > 0).all(0)
    first = fits.long().argmax(1)  # 0 where none fits
    sides = sides.gather(2, first.expand(2, count)[..., None]).squeeze(2)
    sides = torch.where(fits.any(1), sides, size)
    corners = (torch.rand(2, count, generator=generator) * (size - sides + 1)).long().minimum(size - sides)
    return sides, corners


def _resized_crop_and_flip(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A random window of each (square) image, resized to the whole, and a random flip: one bilinear sampling.

    A window is never larger than the image, so nothing is averaged away and sampling needs no antialiasing.
    """
    count, size = len(x), x.shape[-1]
    sides, corners = _windows(count, size, generator)
    flip = torch.rand(count, generator=generator) < 0.5
    middle = (torch.arange(size) + 0.5) / size  # of each output pixel, in windows
    across = torch.where(flip[:, None], middle.flip(0), middle)
    places = []
    for along, side, corner in zip((middle.expand(count, size), across), sides[..., None], corners[..., None], strict=True):
        inside = (along * side - 0.5).clamp(min=0).minimum(side - 1.0)  # the window's own border pixels go on
        places.append((2 * (corner + inside) + 1) / size - 1)  # as ``grid_sample`` counts: -1 to 1 between the outer edges
    grid = torch.stack([places[1][:, None, :].expand(count, size, size), places[0][:, :, None].expand(count, size, size)], dim=3)
    return F.grid_sample(x, grid.to(x.device), mode="bilinear", padding_mode="border", align_corners=False)


class ImageView(Protocol):
    """A view of a set of images without labels: what everything that computes with images asks of them.

    ``Images`` is one over uint8 pixels in memory, ``forgetting.sources.OwnImages`` one over whatever a user hands in.
    """

    @property
    def transform(self) -> Any:
        """Its ``deterministic`` says whether the same image always gives the same network input."""
        ...

    @property
    def device(self) -> torch.device: ...

    def __len__(self) -> int: ...

    def subset(self, rows: torch.Tensor) -> Self:
        """The view of some rows of this view (int64 [n])."""
        ...

    def batch(self, rows: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Network input [B, ...] of some rows of this view."""
        ...

    def for_evaluation(self) -> Self:
        """The same images without anything random."""
        ...

    def in_order(self, batch_size: int, generator: torch.Generator | None = None) -> Iterator[torch.Tensor]:
        """Network inputs of all rows, in order."""
        ...


@dataclass(frozen=True)
class Images:
    """A view of a set of images, without labels."""

    pixels: torch.Tensor  # uint8 [M, C, H, W], the whole set, shared by all views
    transform: Transform  # how a batch becomes network input
    index: torch.Tensor | None = None  # int64 [N] rows of ``pixels`` that this view holds, or ``None`` for all

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
