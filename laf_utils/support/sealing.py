"""Checksums inside records and artefacts, so that a changed file is noticed and never taken for what it was.

They protect against damage and careless hands, not against who can compute a checksum too.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from .reading import shown

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


def numbers(value: object, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of nested dictionaries, with the path to it."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from numbers(part, f"{where}.{name}" if where else str(name))
    else:
        yield where, value


def check_percent(value: object, where: str) -> None:
    """Every leaf below is ``None`` or a finite number from 0 to 100; raises as ``check_not_negative``."""
    check_not_negative(value, where, -1e-6, 100 + 1e-6, "percentage")


def check_not_negative(
    value: object, where: str, least: float = 0, most: float = math.inf, what: str = "number of zero or more"
) -> None:
    """Every leaf below is ``None`` or a finite number, zero or more.

    Raises:
        SealError: naming the first that is not.
    """
    for name, leaf in numbers(value, where):
        if leaf is not None and not (is_number(leaf) and least <= leaf <= most):
            raise SealError(f"{name} is {shown(leaf)}, no {what}")


def is_number(value: Any) -> bool:
    """Whether a value is a finite number and no boolean; whole ones may be too large for a float."""
    return isinstance(value, int) and not isinstance(value, bool) or isinstance(value, float) and math.isfinite(value)
