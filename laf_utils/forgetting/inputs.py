"""What a command of the shell was given, opened: model, images, transform; and its answer, as JSON or as lines."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..settings.cli import DATA, SETTINGS, Stop
from ..support.devices import resolve
from ..support.reading import device as device_name
from .files import Scaled, build, divided, read_ids, read_weights
from .keeping import Keeper
from .options import Options
from .preparing import open_images
from .soundness import check_takes
from .sources import files_in


def say(options: argparse.Namespace, content: dict[str, Any], lines: Sequence[str]) -> None:
    """Print the content as one JSON object where ``--json`` was given, else the lines."""
    print(json.dumps(content, indent=1, sort_keys=True) if options.json else "\n".join(lines), flush=True)


def given_files(options: argparse.Namespace) -> tuple[list[Path], list[Path], list[Path]]:
    """Files to forget, all others of ``--data``, and those of ``--unseen``.

    Raises:
        Stop: no folder, or no images in it.
        Refused: names that are no images of ``--data``.
    """
    forget, retain = divided(options.data, options.names or read_ids(options.ids))
    if options.unseen is None:
        return forget, retain, []
    if not options.unseen.is_dir():
        raise Stop(f"there is no folder {options.unseen}", DATA)
    unseen = files_in(options.unseen)
    if not unseen:
        raise Stop(f"there are no images in {options.unseen}", DATA)
    return forget, retain, unseen


def given_model(options: argparse.Namespace, weights: Path | None = None) -> Any:
    """The model of ``--arch`` on ``--device``, with weights from ``--model`` or another file.

    Raises:
        Stop: a device that this machine does not have.
        Refused: ``bad_weights``, ``bad_architecture``.
    """
    device, there = resolve(device_name(options.device)), torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= there:
        raise Stop(f"device {options.device!r} is not available on this machine ({there} GPUs)", SETTINGS)
    return build(options.arch, read_weights(weights or options.model), options.classes).to(device)


def given_transform(options: argparse.Namespace) -> Any:
    """What ``--size``, ``--mean`` and ``--std`` say."""
    return Scaled(options.size, options.mean, options.std)


def given_images(options: argparse.Namespace, files: list[Path], model: Any, name: str) -> Any:
    """A set of files as the model takes it.

    Raises:
        Refused: images that cannot be read, or that the model does not take.
    """
    images = open_images(files, Options(transform=given_transform(options)), Keeper(), model, name)
    check_takes(model, images)
    return images


def given_sets(options: argparse.Namespace, sets: Sequence[list[Path]], model: Any) -> None:
    """``given_images`` of D_f, D_r and the unseen ones, for what that refuses; a set without files is none."""
    for files, name in zip(sets, ("forget", "retain", "unseen"), strict=True):
        if files:
            given_images(options, files, model, name)
