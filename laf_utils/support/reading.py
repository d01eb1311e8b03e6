"""The one reading of values that people type: numbers, lists of them, devices, names. Every command line uses it.

A number is ASCII digits. Python's own ``int`` and ``float`` also take ``1_0``, digits of other scripts and full-width ones,
``nan`` and ``infinity``, and whole numbers without an end; none of those is ever meant by who types a seed.
"""

import re
from collections.abc import Sequence

WHOLE = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
NUMBER = re.compile(r"[+-]?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
DEVICE = re.compile(r"auto|mps|(cpu|cuda)(:[0-9]{1,3})?", re.ASCII)
MOST_SEED = 2**63 - 1  # the random generators take no larger one


class ReadingError(ValueError):
    """A text that is not what was asked for. The message names the value and what is allowed, in one line."""


def shown(text: object) -> str:
    """A value as a message shows it: escaped, and no longer than a line."""
    said = ascii(text)
    return said if len(said) <= 60 else f"{said[:57]}..."


def counted(count: int, one: str, more: str = "") -> str:
    """A number with its noun, as a sentence says it: ``1 image``, ``2,000 images``; ``more`` where an s does not do."""
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"


def whole(text: str, name: str, least: int | None = None, most: int | None = None) -> int:
    """A whole number within bounds.

    Raises:
        ReadingError: naming ``name`` and the bounds.
    """
    found = int(text) if WHOLE.fullmatch(text) else None
    if found is None or (least is not None and found < least) or (most is not None and found > most):
        raise ReadingError(f"{name} must be a whole number{_bounds(least, most)}, got {shown(text)}")
    return found


def number(text: str, name: str, least: float | None = None, most: float | None = None) -> float:
    """A finite decimal number within bounds.

    Raises:
        ReadingError: as ``whole``.
    """
    found = float(text) if NUMBER.fullmatch(text) else None
    outside = found is None or (least is not None and found < least) or (most is not None and found > most)
    if found is None or outside or abs(found) == float("inf"):
        raise ReadingError(f"{name} must be a number{_bounds(least, most)}, got {shown(text)}")
    return found


def _bounds(least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    return f", at least {least}" if least is not None else f", at most {most}" if most is not None else ""


def seed(text: str, name: str = "SEED") -> int:
    """A seed: 0 to 2**63 - 1."""
    return whole(text, name, 0, MOST_SEED)


def plain(text: str) -> int | float | str:
    """A whole number or a number where the text is one as written here; otherwise the text itself."""
    if WHOLE.fullmatch(text):
        return int(text)
    return float(text) if NUMBER.fullmatch(text) else text


def items(text: str, name: str) -> list[str]:
    """The items of ``a,b``, each once.

    Raises:
        ReadingError: an empty item, or one that is named twice.
    """
    found = [item.strip() for item in text.split(",")]
    twice = next((item for item in found if found.count(item) > 1), None)
    if "" in found or twice is not None:
        problem = "has an empty item" if "" in found else f"names {shown(twice)} twice"
        raise ReadingError(f"{name} {problem}: {shown(text)}")
    return found


def chosen(text: str, name: str, allowed: Sequence[str]) -> list[str]:
    """``items`` of which each is one of those allowed.

    Raises:
        ReadingError: naming the first that is not.
    """
    found = items(text, name)
    for item in found:
        if item not in allowed:
            raise ReadingError(f"{name} must be of {', '.join(allowed)}, got {shown(item)}")
    return found


def file_name(text: object, what: str) -> str:
    """A name that can be part of a file's: letters, digits, dots, dashes, underscores, a hundred at most.

    Raises:
        ReadingError: any other one; it must not leave its folder.
    """
    if not isinstance(text, str) or not NAME.fullmatch(text):
        raise ReadingError(
            f"{shown(text)} cannot be the name of {what}: use letters, digits, dots, dashes and underscores, 100 at most"
        )
    return text


def device(text: object, name: str = "device") -> str:
    """``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``, as written; whether it is there is another question.

    Raises:
        ReadingError: anything else.
    """
    if not isinstance(text, str) or not DEVICE.fullmatch(text):
        raise ReadingError(f"{name} must be one of auto, cpu, cuda, mps, or cuda:N, got {shown(text)}")
    return text
