"""Whether files from outside are what they say, before anything is made of them: weights, archives, images, whole models."""

import zipfile
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from ..support.artefacts import not_finite, tensors_checksum
from .refusal import Refused

MOST_UNPACKED = 64 << 30  # bytes of tensors in one weights file
MOST_PIXELS = 100_000_000  # of one image file: 300 MB once it is unpacked
SEALED = "checksum"  # of the tensors, in the head of weights that this project wrote


def check_archive(path: Path) -> None:
    """A PyTorch file as the zip archive that it is: its size once unpacked, and the checksum of each part.

    Raises:
        Refused: ``bad_weights``.
    """
    if not zipfile.is_zipfile(path):
        return  # the format of before PyTorch 1.6, which has no checksums
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > max(MOST_UNPACKED, 2 * path.stat().st_size):
                raise Refused("bad_weights", f"{path} unpacks to more than {MOST_UNPACKED >> 30} GB")
            broken = archive.testzip()
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise Refused("bad_weights", f"{path} cannot be read as weights: {' '.join(str(error).split())[:200]}") from error
    if broken is not None:
        raise Refused("bad_weights", f"{path} is damaged: {broken} has not the checksum that stands beside it")


def check_weights(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> None:
    """Weights that are numbers, and those that were written.

    Raises:
        Refused: ``bad_weights``: NaN or infinity, nothing but zeros, or not the checksum that stands in the file.
    """
    sealed = (metadata or {}).get(SEALED)
    if sealed is not None and sealed != tensors_checksum(tensors):
        raise Refused("bad_weights", f"{path} is damaged: its weights are not those of the checksum in it")
    if (name := not_finite(tensors)) is not None:
        raise Refused("bad_weights", f"{path} holds NaN or infinity in {name}")
    floating = [tensor for tensor in tensors.values() if tensor.is_floating_point() and tensor.numel()]
    if floating and not any(bool(tensor.any()) for tensor in floating):
        raise Refused("bad_weights", f"{path} holds nothing but zeros")


def check_kinds(path_or_name: object, model: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Each tensor of the kind that the model has in its place: floating point, whole or complex; none is cast.

    Raises:
        Refused: ``bad_weights``.
    """
    for name, own in model.state_dict().items():
        found = tensors.get(name)
        if found is None or not isinstance(own, torch.Tensor):
            continue
        if (own.is_floating_point(), own.is_complex()) != (found.is_floating_point(), found.is_complex()):
            raise Refused("bad_weights", f"{name} is {found.dtype} in the weights and {own.dtype} in {path_or_name}: not cast")


def check_takes(model: nn.Module, images: Any) -> None:
    """One image through the model: it takes images of this size and gives finite logits.

    Args:
        images: an ``OwnImages``.

    Raises:
        Refused: ``bad_images``: what the model says of the image; ``bad_weights``: logits that are no numbers.
    """
    one = images.batch(torch.arange(min(2, len(images))))
    try:
        with torch.no_grad():
            found = model(one)
    except Exception as error:  # whatever a stranger's forward pass raises of an image that does not fit
        told = " ".join(str(error).split())[:200]
        raise Refused("bad_images", f"the model takes no images of {tuple(one.shape[1:])}: {told}") from error
    if not isinstance(found, torch.Tensor) or found.ndim != 2 or found.shape[1] < 2:
        raise Refused("bad_architecture", "the model gives no logits [images, classes] of two classes or more")
    if not torch.isfinite(found).all():
        raise Refused("bad_weights", "the model answers the first images with NaN or infinity")


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of an image file that can be read to its end.

    Raises:
        ValueError: it cannot, or it has more than ``MOST_PIXELS``; in one line.
    """
    try:
        with Image.open(path) as file:
            if file.width * file.height > MOST_PIXELS:
                raise ValueError(f"{file.width}x{file.height} pixels, more than {MOST_PIXELS:,}")
            file.load()
            return file.width, file.height
    except ValueError:
        raise
    except Exception as error:  # a broken file fails in any way, a decompression bomb in one of its own
        raise ValueError(" ".join(str(error).split())[:200] or type(error).__name__) from error
