"""Weights, architectures and lists of images as files. Files from strangers are never unpickled.

Weights are safetensors, or PyTorch files read with ``weights_only=True``, which knows tensors and nothing that could run.
"""

import codecs
import csv
import hashlib
import importlib
import io
import math
import pickle
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from ..support.artefacts import tensors_checksum
from ..support.extras import advice
from ..support.paths import plain_bytes, whole_file
from ..support.reading import counted
from .refusal import Refused
from .soundness import SEALED, check_archive, check_kinds, check_weights
from .sources import files_in

ARCHITECTURE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z0-9_.\-/]+", re.ASCII)
CHANNELS = 3  # image files are read as RGB
MOST_SIDE = 4_096  # pixels
MOST_LIST = 1 << 30  # bytes of a list of images
MOST_NAME = 4_096  # characters of a path
NAMES = ("file", "path", "id", "image", "name", "filename")  # of the column of a list of images, where it has a heading
PREFIXES = ("module.", "_orig_mod.")  # of names of weights
WRAPPED = ("state_dict", "model", "model_state_dict")  # under which checkpoints keep their weights


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a weights file by name.

    Raises:
        Refused: ``bad_weights``: no such file, not of these formats, or one that would have to be unpickled.
    """
    if not path.exists():
        raise Refused("bad_weights", f"there is no file {path}")
    if not path.is_file() or not path.stat().st_size:
        raise Refused("bad_weights", f"{path} is {'empty' if path.is_file() else 'no plain file'}")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                found, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
            check_weights(path, found, metadata)
            return found
        check_archive(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Refused:
        raise
    except pickle.UnpicklingError as error:
        raise Refused(
            "bad_weights", f"{path} holds more than tensors and would have to be unpickled, which can run any code: save the "
            "state_dict, best as safetensors",
        ) from error
    except Exception as error:  # what is no such file fails in any way
        raise Refused("bad_weights", f"{path} cannot be read as weights: {' '.join(str(error).split())[:200]}") from error
    for key in WRAPPED:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    named = isinstance(found, dict) and all(isinstance(name, str) for name in found)
    if not named or not found or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise Refused("bad_weights", f"{path} holds no state_dict (names and tensors)")
    check_weights(path, found)
    return {bare_name(name): value for name, value in found.items()}


def bare_name(name: str) -> str:
    """A weight's name without what ``DataParallel``, ``torch.compile`` and Lightning put before it."""
    shorter = name
    for prefix in PREFIXES:
        shorter = shorter.removeprefix(prefix)
    return name if shorter == name else bare_name(shorter)


def write_weights(model: nn.Module, path: Path) -> Path:
    """The model's state as safetensors with a checksum of its tensors, under a temporary name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in model.state_dict().items()}
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata={SEALED: tensors_checksum(tensors)})
    return path


def file_checksum(path: Path) -> str:
    """sha256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def told(error: BaseException, most: int = 200) -> str:
    """What an error says, in one line; its class where that alone tells something."""
    text = " ".join(str(error).split())[:most]
    return text if isinstance(error, ValueError | RuntimeError) and text else f"{type(error).__name__}: {text}"


def builder(name: str) -> Callable[..., nn.Module]:
    """``torchvision:NAME``, ``timm:NAME`` or ``package.module:function`` as a function that makes the untrained model.

    Raises:
        Refused: ``bad_architecture``.
    """
    family, _, own = name.partition(":")
    if not own or not ARCHITECTURE.fullmatch(name):
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
        raise Refused("bad_architecture", advice(error) or f"{error.name} is not installed") from error
    except AttributeError as error:
        raise Refused("bad_architecture", f"{family} has no {own}") from error
    except Exception as error:  # whatever a stranger's module does when it is imported
        raise Refused("bad_architecture", f"{family} cannot be imported: {told(error)}") from error


def build(name: str, weights: dict[str, torch.Tensor], classes: int | None = None) -> nn.Module:
    """The model with its weights, in evaluation mode.

    Args:
        classes: of the head; ``None``: read from the weights, of torchvision's and timm's models.

    Raises:
        Refused: ``bad_architecture``, ``bad_weights``: the names or shapes do not fit.
    """
    make = builder(name)
    if not callable(make):
        raise Refused("bad_architecture", f"{name} is no function that makes a model")
    try:
        model = make() if classes is None else make(num_classes=classes)
        if classes is None and name.partition(":")[0] in ("torchvision", "timm"):
            last = [key for key, module in model.named_modules() if isinstance(module, nn.Linear)][-1:]
            head = weights.get(f"{last[0]}.weight") if last else None
            if head is not None and head.ndim == 2 and head.shape[0] != model.get_submodule(last[0]).out_features:
                model = make(num_classes=head.shape[0])
    except Exception as error:  # whatever a stranger's function raises
        raise Refused("bad_architecture", f"{name}: {told(error)}") from error
    if not isinstance(model, nn.Module):
        raise Refused("bad_architecture", f"{name} makes {type(model).__name__}, no model of PyTorch")
    check_kinds(name, model, weights)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise Refused("bad_weights", f"the weights do not fit {name}: {told(error, 300)}") from error
    return model.eval()


@dataclass(frozen=True)
class Scaled:
    """RGB image to network input: resize to ``size`` (``None``: as it is), scale to [0, 1], subtract ``mean``, divide by
    ``std``."""

    size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.size is not None and not 1 <= self.size <= MOST_SIDE:
            raise ValueError(f"size must be from 1 to {MOST_SIDE}, got {self.size}")
        if self.std is not None and self.mean is None:
            raise ValueError("std needs mean: both or neither")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and (len(values) != CHANNELS or not all(map(math.isfinite, values))):
                raise ValueError(f"{name} must be {CHANNELS} finite numbers, one for each channel, got {len(values)}")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError(f"std must be above zero, got {min(self.std)}")

    def __call__(self, image: Image.Image) -> torch.Tensor:
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div_(255)
        if self.size is not None and tuple(x.shape[-2:]) != (self.size, self.size):
            x = F.interpolate(x[None], size=(self.size, self.size), mode="bilinear", antialias=True)[0]
        if self.mean is None:
            return x
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std or (1.0,) * len(self.mean)))
        return x.sub_(mean).div_(std)


def read_ids(path: Path) -> list[str]:
    """The first column (or the one called file, path, id, image, name) of a CSV file, or the lines of a text file.

    Raises:
        Refused: ``bad_ids``: no such file, or nothing in it.
    """
    try:
        content = plain_bytes(path, MOST_LIST)  # as a spreadsheet wrote it: UTF-16 where it says so, else UTF-8
        encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
        rows = [row for row in csv.reader(io.StringIO(content.decode(encoding), newline="")) if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Refused("bad_ids", f"{path} cannot be read: {told(error)}") from error
    heading = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = next((heading.index(name) for name in NAMES if name in heading), None)
    rows = rows[column is not None :]
    for number, row in enumerate(rows, 1 + (column is not None)):
        if len(row) <= (column or 0) or not row[column or 0].strip():
            raise Refused("bad_ids", f"{path}: row {number} names no image in column {(column or 0) + 1}")
        if len(row[column or 0]) > MOST_NAME:
            raise Refused("bad_ids", f"{path}: row {number} has a name of more than {MOST_NAME} characters")
    found = [row[column or 0].strip() for row in rows]
    if not found:
        raise Refused("nothing_to_forget", f"{path} names no image")
    return found


def relative_name(name: str, folder: Path) -> str:
    """A listed path as ``divided`` knows it: relative to the folder, with forward slashes."""
    path = Path(name.replace("\\", "/"))
    for place in (folder, folder.resolve()):
        if path.is_relative_to(place):
            path = path.relative_to(place)
    return path.as_posix()


def divided(folder: Path, ids: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """The files of a folder that a list names, and the others.

    A name is a path relative to the folder (also with backslashes or a leading ``./``), an absolute path into it, or the name of
    a file, with or without its suffix, that occurs once. Naming an image twice is naming it.

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
    ids = [name if name in places else relative_name(name, folder) for name in ids]
    missing = [name for name in ids if name not in places]
    unclear = [name for name in ids if len(places.get(name, ())) > 1]
    if missing:
        share = f"{len(missing)} of {counted(len(ids), 'name')}"
        raise Refused("bad_ids", f"no image in {folder} for {share}, the first: {missing[0]!r}")
    if unclear:
        share = counted(len(unclear), "name is", "names are")
        raise Refused("bad_ids", f"{share} of several images, the first: {unclear[0]!r}; give paths")
    chosen = {places[name][0] for name in ids}
    return [path for path in files if path in chosen], [path for path in files if path not in chosen]
