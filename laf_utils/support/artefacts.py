"""What a stage computed, kept under the name of everything it depends on.

One safetensors file per stage: weights, and beside them as JSON the losses, the seconds and the key's content. The key is
the content: settings, data checksum and the code that computes the stage (``support.definitions``), or code that is proven to
give the same bits (``keys.equivalents``). A changed setting is another file, so nothing stale can be taken for fresh, and
nothing is ever unpickled.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .keys import content_key, equivalent_to
from .paths import whole_file
from .sealing import SealError, check_not_negative

CODES = ("code", "method_code", "repair_code")  # of a content: names of code, which may have equivalents


@dataclass(frozen=True)
class Artefact:
    """Tensors by name, and what the stage says of itself (losses, seconds)."""

    tensors: dict[str, torch.Tensor]
    facts: dict


def _path(folder: Path, stage: str, content: dict) -> Path:
    return folder / f"{stage}-{content_key(content)}.safetensors"


def _there(folder: Path, stage: str, content: dict) -> tuple[Path, dict] | None:
    """The file of this content and what it is the file of: the same, or with equivalent code."""
    named = [name for name in CODES if isinstance(content.get(name), str)]
    for codes in product(*(equivalent_to(content[name]) for name in named)):
        own = content | dict(zip(named, codes, strict=True))
        if (path := _path(folder, stage, own)).exists():
            return path, own
    return None


def exists(folder: Path, stage: str, content: dict) -> bool:
    """Whether ``load`` has a file to look at."""
    return _there(folder, stage, content) is not None


def save(folder: Path, stage: str, content: dict, artefact: Artefact) -> Path:
    """Write under a temporary name and rename: a killed run leaves no half-written artefact under a good name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = _path(folder, stage, content)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in artefact.tensors.items()}
    texts = {"facts": json.dumps(artefact.facts, sort_keys=True), "content": json.dumps(content, sort_keys=True)}
    if path.is_dir():  # what stands in the way is not ours to delete
        path.rename(path.with_name(f"{path.name}.{os.getpid()}.in-the-way"))
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata=texts | {"checksum": _checksum(texts, tensors)})
    return path


def _checksum(texts: Mapping[str, str], tensors: Mapping[str, torch.Tensor]) -> str:
    whole = "\n".join([texts["facts"], texts["content"], tensors_checksum(tensors)])
    return hashlib.sha256(whole.encode()).hexdigest()


def _verified(
    metadata: Mapping[str, str], tensors: dict[str, torch.Tensor], content: dict, like: Mapping[str, torch.Tensor] | None
) -> Artefact:
    """The artefact, if it is what its name says. One without a checksum, from before there were any, passes that check."""
    if not {"facts", "content"} <= metadata.keys():
        raise SealError("says nothing of itself")
    if json.loads(metadata["content"]) != json.loads(json.dumps(content)):
        raise SealError("holds what belongs to another key")
    if metadata.get("checksum", "") not in ("", _checksum(metadata, tensors)):
        raise SealError("is not what its checksum says: it was changed or damaged")
    if (name := not_finite(tensors)) is not None:
        raise SealError(f"has NaN or infinity in {name}")
    if like is not None and (difference := unlike(tensors, like)):
        raise SealError(difference)
    facts = json.loads(metadata["facts"])
    if not isinstance(facts, dict):
        raise SealError("has facts that are no table of names and values")
    check_not_negative(facts.get("seconds"), "seconds")
    return Artefact(tensors, facts)


def load(
    folder: Path, stage: str, content: dict, *, like: Mapping[str, torch.Tensor] | None = None, needs: Iterable[str] = (),
    say: Callable[[str], None] = print,
) -> Artefact | None:
    """The artefact of this content, by this code or an equivalent one; ``None`` where it is not there or not what it should be.

    Args:
        like: tensors whose names, shapes and types it must have.
        needs: facts that it must have.
        say: is told which file is broken, and how.
    """
    if (there := _there(folder, stage, content)) is None:
        return None
    path, content = there
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
        found = _verified(metadata, tensors, content, like)
        if missing := [name for name in needs if name not in found.facts]:
            raise SealError(f"lacks the fact {missing[0]}")
    except (SafetensorError, SealError, KeyError, TypeError, ValueError, OSError, RecursionError) as error:
        said = str(error) if isinstance(error, SealError) else f"cannot be read ({' '.join(str(error).split())[:120]})"
        say(f"{stage}: {path.name} {said}; it is made anew")
        return None
    return found


def prefixed(prefix: str, state: Iterable[tuple[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """State of a module under a prefix, so that several modules share one file."""
    return {f"{prefix}.{name}": tensor for name, tensor in state}


def unprefixed(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state of one module out of a shared file."""
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def tensors_checksum(tensors: Mapping[str, torch.Tensor]) -> str:
    """sha256 (hex) over names, types, shapes and bytes of tensors on the CPU, in order of name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(memoryview(tensor.reshape(-1).view(torch.uint8).numpy()))  # type: ignore[arg-type]
    return digest.hexdigest()


def not_finite(tensors: Mapping[str, torch.Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or infinity."""
    floating = (name for name, tensor in tensors.items() if tensor.is_floating_point() or tensor.is_complex())
    return next((name for name in floating if not torch.isfinite(tensors[name]).all()), None)


def unlike(tensors: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> str | None:
    """How tensors differ in names, shapes or types from those wanted, in words; ``None`` where they do not."""
    missing, more = sorted(wanted.keys() - tensors.keys()), sorted(tensors.keys() - wanted.keys())
    if missing or more:
        return f"lacks {missing[0]}" if missing else f"holds {more[0]}, which nothing asks for"
    for name, one in wanted.items():
        found = tensors[name]
        if found.shape != one.shape or found.dtype != one.dtype:
            return f"has {name} as {found.dtype} {tuple(found.shape)}, not {one.dtype} {tuple(one.shape)}"
    return None
