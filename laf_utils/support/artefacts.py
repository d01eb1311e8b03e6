"""What a stage computed, kept under the name of everything it depends on.

One safetensors file per stage: weights, and beside them as JSON the losses, the seconds and the key's content. The key is
the content: settings, data checksum and the code that computes the stage (``support.definitions``). A changed setting is another
file, so nothing stale can be taken for fresh, and nothing is ever unpickled.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .keys import content_key


@dataclass(frozen=True)
class Artefact:
    """Tensors by name, and what the stage says of itself (losses, seconds)."""

    tensors: dict[str, torch.Tensor]
    facts: dict


def _path(folder: Path, stage: str, content: dict) -> Path:
    return folder / f"{stage}-{content_key(content)}.safetensors"


def exists(folder: Path, stage: str, content: dict) -> bool:
    """Whether ``load`` has a file to look at."""
    return _path(folder, stage, content).exists()


def save(folder: Path, stage: str, content: dict, artefact: Artefact) -> Path:
    """Write under a temporary name and rename: a killed run leaves no half-written artefact under a good name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = _path(folder, stage, content)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in artefact.tensors.items()}
    metadata = {"facts": json.dumps(artefact.facts, sort_keys=True), "content": json.dumps(content, sort_keys=True)}
    try:
        save_file(tensors, temporary, metadata=metadata)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def load(folder: Path, stage: str, content: dict) -> Artefact | None:
    """The artefact of exactly this content, or ``None`` where it is not there or cannot be read."""
    path = _path(folder, stage, content)
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
        return Artefact(tensors, json.loads(metadata["facts"]))
    except (SafetensorError, KeyError, ValueError, OSError):
        return None


def prefixed(prefix: str, state: Iterable[tuple[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """State of a module under a prefix, so that several modules share one file."""
    return {f"{prefix}.{name}": tensor for name, tensor in state}


def unprefixed(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state of one module out of a shared file."""
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
