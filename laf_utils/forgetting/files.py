"""Weights, architectures and lists of images as files. Files from strangers are never unpickled.

Weights are safetensors, or PyTorch files read with ``weights_only=True``, which knows tensors and nothing that could run.
"""

import csv
import importlib
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision.transforms import functional as TF

from .refusal import Refused
from .sources import files_in

NAMES = ("file", "path", "id", "image", "name", "filename")  # of the column of a list of images, where it has a heading
WRAPPED = ("state_dict", "model", "model_state_dict")  # under which checkpoints keep their weights


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a weights file by name.

    Raises:
        Refused: ``bad_weights``: no such file, not of these formats, or one that would have to be unpickled.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise Refused("bad_weights", f"there is no file {path}") from error
    except pickle.UnpicklingError as error:
        raise Refused(
            "bad_weights", f"{path} holds more than tensors and would have to be unpickled, which can run any code: save the "
            "state_dict, best as safetensors",
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise Refused("bad_weights", f"{path} cannot be read as weights: {' '.join(str(error).split())[:200]}") from error
    for key in WRAPPED:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not found or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise Refused("bad_weights", f"{path} holds no state_dict (names and tensors)")
    return {name.removeprefix("module."): value for name, value in found.items()}


def write_weights(model: nn.Module, path: Path) -> Path:
    """The model's state as safetensors, under a temporary name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    save_file({name: value.detach().cpu().clone().contiguous() for name, value in model.state_dict().items()}, temporary)
    temporary.replace(path)
    return path


def builder(name: str) -> Callable[..., nn.Module]:
    """``torchvision:NAME``, ``timm:NAME`` or ``package.module:function`` as a function that makes the untrained model.

    Raises:
        Refused: ``bad_architecture``.
    """
    family, _, own = name.partition(":")
    if not own:
        raise Refused("bad_architecture", f"expected torchvision:NAME, timm:NAME or module:function, got {name!r}")
    try:
        if family == "torchvision":
            from torchvision.models import get_model

            return lambda **options: get_model(own, weights=None, **options)
        if family == "timm":
            create = importlib.import_module("timm").create_model
            return lambda **options: create(own, pretrained=False, **options)
        return getattr(importlib.import_module(family), own)
    except ModuleNotFoundError as error:
        raise Refused("bad_architecture", f"{error.name} is not installed") from error
    except AttributeError as error:
        raise Refused("bad_architecture", f"{family} has no {own}") from error


def build(name: str, weights: dict[str, torch.Tensor], classes: int | None = None) -> nn.Module:
    """The model with its weights, in evaluation mode.

    Args:
        classes: of the head; ``None``: read from the weights, of torchvision's and timm's models.

    Raises:
        Refused: ``bad_architecture``, ``bad_weights``: the names or shapes do not fit.
    """
    make = builder(name)
    try:
        model = make() if classes is None else make(num_classes=classes)
        if classes is None and name.partition(":")[0] in ("torchvision", "timm"):
            last = [key for key, module in model.named_modules() if isinstance(module, nn.Linear)][-1:]
            head = weights.get(f"{last[0]}.weight") if last else None
            if head is not None and head.shape[0] != model.get_submodule(last[0]).out_features:
                model = make(num_classes=head.shape[0])
    except (ValueError, TypeError, RuntimeError) as error:
        raise Refused("bad_architecture", f"{name}: {' '.join(str(error).split())[:200]}") from error
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        told = " ".join(str(error).split())[:300]
        raise Refused("bad_weights", f"the weights do not fit {name}: {told}") from error
    return model.eval()


@dataclass(frozen=True)
class Scaled:
    """RGB image to network input: resize to ``size`` (``None``: as it is), scale to [0, 1], subtract ``mean``, divide by
    ``std``."""

    size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __call__(self, image: Image.Image) -> torch.Tensor:
        x = TF.pil_to_tensor(image).float().div_(255)
        if self.size is not None and tuple(x.shape[-2:]) != (self.size, self.size):
            x = F.interpolate(x[None], size=(self.size, self.size), mode="bilinear", antialias=True)[0]
        return x if self.mean is None else TF.normalize(x, list(self.mean), list(self.std or (1.0,) * len(self.mean)))


def read_ids(path: Path) -> list[str]:
    """The first column (or the one called file, path, id, image, name) of a CSV file, or the lines of a text file.

    Raises:
        Refused: ``bad_ids``: no such file, or nothing in it.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row and row[0].strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise Refused("bad_ids", f"{path} cannot be read: {error}") from error
    heading = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = next((heading.index(name) for name in NAMES if name in heading), None)
    found = [row[column or 0].strip() for row in rows[column is not None :]]
    if not found:
        raise Refused("nothing_to_forget", f"{path} names no image")
    return found


def divided(folder: Path, ids: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """The files of a folder that a list names, and the others.

    A name is a path relative to the folder, or the name of a file (with or without its suffix) that occurs once.

    Raises:
        Refused: ``bad_images``: no folder, no images; ``bad_ids``: names of no file or of several.
    """
    if not folder.is_dir():
        raise Refused("bad_images", f"there is no folder {folder}")
    files = files_in(folder)
    if not files:
        raise Refused("bad_images", f"there are no images in {folder}")
    places: dict[str, list[Path]] = {}
    for path in files:
        for name in {path.relative_to(folder).as_posix(), path.name, path.stem}:
            places.setdefault(name, []).append(path)
    missing = [name for name in ids if name not in places]
    unclear = [name for name in ids if len(places.get(name, ())) > 1]
    if missing:
        raise Refused("bad_ids", f"{len(missing)} of {len(ids)} names are of no image in {folder}, the first: {missing[0]!r}")
    if unclear:
        raise Refused("bad_ids", f"{len(unclear)} names are of several images, the first: {unclear[0]!r}; give paths")
    chosen = {places[name][0] for name in ids}
    return [path for path in files if path in chosen], [path for path in files if path not in chosen]
