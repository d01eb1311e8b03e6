"""Inputs that are not one floating point tensor, as rows of one: token numbers, masks, tables, dictionaries of those.

Everything between a user's data and a user's model then handles one kind of thing, a tensor [n, ...]. Whole numbers are exact up
to 2^24 in float32, far beyond any vocabulary.
"""

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from .refusal import Refused

EXACT = 1 << 24  # whole numbers below it are exact in float32
TOKENS = (torch.int32, torch.int64)  # number formats of token numbers; uint8 are pixels, which want a transform
LABELS = ("label", "labels", "label_ids", "target", "targets", "y", "class", "classes")  # never read, wherever they are found


@dataclass(frozen=True)
class Packing:
    """How a row [width] is cut into the inputs of one example."""

    # name, shape without the batch, and number format of each input; the name of a single unnamed one is empty
    parts: tuple[tuple[str, tuple[int, ...], torch.dtype], ...]

    @property
    def whole_numbers(self) -> bool:
        """Whether some input is no quantity: noise on token numbers has no meaning."""
        return any(not kind.is_floating_point for _, _, kind in self.parts)

    def unpacked(self, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """The inputs by name, each [n, ...] in its number format, quantities in that of ``rows``."""
        found, start = {}, 0
        for name, shape, kind in self.parts:
            width = math.prod(shape)
            part = rows[:, start : start + width].reshape(len(rows), *shape)
            found[name], start = part if kind.is_floating_point else part.to(kind), start + width
        return found

    def call(self, model: nn.Module, rows: torch.Tensor) -> Any:
        """The model's output for packed rows: by keyword where it takes these names, else as one dictionary."""
        inputs = self.unpacked(rows)
        if list(inputs) == [""]:
            return model(inputs[""])
        try:
            inspect.signature(model.forward).bind(**inputs)
        except TypeError:
            return model(inputs)
        return model(**inputs)


def packed(inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, Packing]:
    """Rows float32 [n, width] of inputs [n, ...], and how they are cut.

    Raises:
        Refused: ``bad_images``: inputs of different numbers, no tensors, labels among them, or numbers too large to be exact.
    """
    given = [name for name in inputs if name.lower() in LABELS]
    if given:
        raise Refused("bad_images", f"labels are among the inputs ({', '.join(given)}): leave them out")
    for name, value in inputs.items():
        if not isinstance(value, torch.Tensor) or not value.ndim:
            raise Refused("bad_images", f"input {name!r} is {type(value).__name__}: give a tensor [n, ...]")
        if not value.is_floating_point() and value.numel() and value.abs().max() >= EXACT:
            raise Refused("bad_images", f"input {name!r} holds whole numbers beyond {EXACT}")
    if len({len(value) for value in inputs.values()}) > 1:
        raise Refused("bad_images", f"inputs of different numbers: { {name: len(value) for name, value in inputs.items()} }")
    parts = tuple((name, tuple(value.shape[1:]), value.dtype) for name, value in inputs.items())
    kinds = [value.dtype if value.dtype == torch.float64 else torch.float32 for value in inputs.values()]
    wide = [
        value.reshape(len(value), math.prod(value.shape[1:])).to(kind) for value, kind in zip(inputs.values(), kinds, strict=True)
    ]
    return torch.cat(wide, 1), Packing(parts)


def as_rows(value: Any) -> tuple[Any, Packing | None]:
    """A batch as rows, and how they are cut: of dictionaries and of token numbers [n, length]; anything else as it is, uncut."""
    if isinstance(value, Mapping):
        return packed(value)
    tokens = isinstance(value, torch.Tensor) and value.dtype in TOKENS and value.ndim < 3
    return packed({"": value}) if tokens else (value, None)
