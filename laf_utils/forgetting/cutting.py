"""A model cut at its representation: what is at the cut is seen, and put back in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import nn

from .adapting import inner

ROWS = 500  # representations that go through the rest of a model at once
WIDTH = 4_096  # of a representation made from maps, where one cell is not wider already
SIDES = ("input", "output")  # of a layer: where its representation is


def layer_of(head: str) -> tuple[str, str]:
    """``classifier.1:input`` as name and side; a plain name means the input."""
    name, _, side = head.rpartition(":")
    return (name, side) if name and side in SIDES else (head, "input")


def grid(shape: tuple[int, ...]) -> int:
    """Cells a side into which maps [C, H, W] are averaged: as many as keep the representation within ``WIDTH``, of equal size."""
    return max(side for side in range(1, min(shape[1:]) + 1) if side == 1 or (
        shape[0] * side * side <= WIDTH and not shape[1] % side and not shape[2] % side
    ))


def pooled(found: torch.Tensor) -> torch.Tensor:
    """Maps [B, C, H, W] as the means of their cells [B, C cells cells]; what is [B, width] as it is."""
    if found.ndim != 4:
        return found
    return F.adaptive_avg_pool2d(found, grid(tuple(found.shape[1:]))).flatten(1)


@contextmanager
def hooked(module: nn.Module, side: str, see: Callable[[torch.Tensor], torch.Tensor | None]) -> Iterator[None]:
    """Within it ``see`` gets the layer's input or output, and puts something else in its place where it returns that."""

    def before(_: nn.Module, inputs: tuple, named: dict) -> tuple | None:
        key = next(iter(named), None)
        other = see(inputs[0] if inputs else named[key])
        if other is None:
            return None
        return ((other, *inputs[1:]), named) if inputs else (inputs, {**named, key: other})

    after = module.register_forward_hook(lambda _, inputs, output: see(output)) if side == "output" else None
    handle = after or module.register_forward_pre_hook(before, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()  # nothing is left in the model, so that copies of it stay copies


class Rest(nn.Module):
    """What a model makes of its representation [B, width]: its own forward pass, with the representation put in at the cut.

    Maps stand for the means of their cells (``pooled``): exact for a convolution that is only averaged after, else near.

    Args:
        model: its own module.
        head: the cut, as in ``Extractor``.
        example: one network input [1, ...], of which shape and format are kept.
        shape: of what is at the cut, without the batch.
    """

    def __init__(self, model: nn.Module, head: str, example: torch.Tensor, shape: tuple[int, ...]) -> None:
        self.blank: torch.Tensor
        super().__init__()
        self._model, self.head, self.shape = [model], head, shape  # in a list: its parameters are the extractor's already
        self.register_buffer("blank", torch.zeros_like(example[:1]), persistent=False)
        self._alone = self._batch_of_one()
        for number, parameter in enumerate(self._used()):
            self.register_parameter(f"own_{number}", parameter)

    def _batch_of_one(self) -> bool:
        """Whether the part before the cut may run on one input only, whatever the number of representations."""
        self._alone, two = True, self.blank.new_zeros(2, *self.shape)
        try:
            return len(self.put_in(two)) == 2
        except (RuntimeError, ValueError, IndexError, AssertionError):
            return False

    def _used(self) -> list[nn.Parameter]:
        """The parameters that the logits depend on beyond the cut, the widest first."""
        known = [p for p in self._model[0].parameters() if p.is_floating_point()]
        wanted = [p.requires_grad for p in known]
        for parameter in known:
            parameter.requires_grad_(True)
        with torch.enable_grad():
            draw = torch.Generator(self.blank.device).manual_seed(0)
            one = self.put_in(self.blank.new_zeros(1, *self.shape).normal_(generator=draw))
            grads: tuple = (None,) * len(known)
            if one.requires_grad:
                grads = torch.autograd.grad(one.square().sum(), known, allow_unused=True)
        for parameter, own in zip(known, wanted, strict=True):
            parameter.requires_grad_(own)
        return sorted((p for p, g in zip(known, grads, strict=True) if g is not None), key=lambda p: -p.numel())

    def put_in(self, found: torch.Tensor) -> torch.Tensor:
        """Logits of what is at the cut, [B, ...] of the cut's shape."""
        name, side = layer_of(self.head)
        model = self._model[0]
        blank = self.blank if self._alone else self.blank.expand(len(found), *self.blank.shape[1:])
        with hooked(inner(model).get_submodule(name), side, lambda _: found):
            return model(blank)

    def forward(self, representations: torch.Tensor) -> torch.Tensor:
        e = representations
        if len(self.shape) == 3:
            side = grid(self.shape)
            e = F.interpolate(e.view(len(e), self.shape[0], side, side), size=self.shape[1:], mode="nearest")
        return torch.cat([self.put_in(part) for part in e.split(ROWS)])
