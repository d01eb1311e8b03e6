"""Checksums inside records and artefacts, so that a changed file is noticed and never taken for what it was.

They protect against damage and careless hands, not against who can compute a checksum too.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

SEAL = "checksum"  # the part of a record that holds it


class SealError(ValueError):
    """Content that is not what its checksum or its own description says. The message says which, without the file's name."""


def canonical(value: object) -> bytes:
    """The one spelling of a JSON value: sorted keys, no spaces, ASCII; no NaN and no infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def checksum(record: Mapping) -> str:
    """sha256 (hex) over all of a record but its own seal."""
    return hashlib.sha256(canonical({name: part for name, part in record.items() if name != SEAL})).hexdigest()


def sealed(record: Mapping) -> dict:
    """The record with its checksum, in place of one that it may have had."""
    plain = {name: part for name, part in record.items() if name != SEAL}
    return plain | {SEAL: checksum(plain)}


def check(record: Mapping) -> dict:
    """The record without its seal, verified; one that has none (written before there were any) is taken as it is.

    Raises:
        SealError: the content does not have the checksum that stands in it.
    """
    if SEAL in record and record[SEAL] != checksum(record):
        raise SealError("its content is not what its checksum says: it was changed or damaged")
    return {name: part for name, part in record.items() if name != SEAL}


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


def numbers(value: object, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of nested dictionaries, with the path to it."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from numbers(part, f"{where}.{name}" if where else str(name))
    else:
        yield where, value


def check_percent(value: object, where: str) -> None:
    """Every leaf below is ``None`` or a finite number from 0 to 100.

    Raises:
        SealError: naming the first that is not.
    """
    for name, leaf in numbers(value, where):
        if leaf is None:
            continue
        if not is_number(leaf) or not -1e-6 <= leaf <= 100 + 1e-6:
            raise SealError(f"{name} is {_shown(leaf)}, no percentage")


def check_not_negative(value: object, where: str) -> None:
    """Every leaf below is ``None`` or a finite number, zero or more.

    Raises:
        SealError: naming the first that is not.
    """
    for name, leaf in numbers(value, where):
        if leaf is not None and (not is_number(leaf) or leaf < 0):
            raise SealError(f"{name} is {_shown(leaf)}, no number of zero or more")


def is_number(value: Any) -> bool:
    """Whether a value is a finite number and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
