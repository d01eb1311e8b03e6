"""Any classifier as extractor -> representation -> head, without changing it.

The representation is the input of the last linear layer, found by running the model once on real images and looking at which
linear layer's output *is* the model's output. Nothing is assumed about names, so that torchvision's ``fc``, ``heads.head`` and
``classifier.2``, timm's ``head.fc`` and one's own are all the same.

Other heads are cut where it can be shown that nothing passes beside the cut: with the representation put back in, the model
answers as before whatever its input (``Rest``). So a scaled or clipped linear layer, a 1x1 convolution with pooling
(``classifier.1:input``), and functional heads such as cosine ones and CLIP's class names (``encoder:output``) work, too.
"""

from typing import Any, cast

import torch
from torch import nn

from ..models import Network
from .adapting import Adapted, inner, recorded
from .cutting import Rest, hooked, layer_of, pooled
from .refusal import Refused

TOLERANCE = 1e-3  # of logits, relative to their spread: what a different batch size may change by rounding


class Extractor(nn.Module):
    """The model up to its head: images [B, ...] to float representations [B, width].

    Args:
        model: a classifier; its own module, not a copy.
        head: dotted name of the layer whose input is the representation, or ``name:output``. Maps are averaged in cells.
    """

    def __init__(self, model: nn.Module, head: str) -> None:
        super().__init__()
        self.model = model
        self.head = head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        seen: list[torch.Tensor] = []
        name, side = layer_of(self.head)
        with hooked(inner(self.model).get_submodule(name), side, seen.append):
            self.model(images)
        return pooled(seen[-1])


class Whole(Network):
    """The two parts of a model of one's own; as a whole it is the model itself."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [B, classes] of network inputs [B, ...]."""
        return cast(Extractor, self.extractor).model(images)


@torch.no_grad()
def split(model: nn.Module, head: str, example: torch.Tensor | None = None) -> Network:
    """The model in two parts that share its parameters; a deep copy of the result is a deep copy of the model.

    Args:
        model: as it is, or ``adapted``.
        head: as ``find_head`` names it; where that has a side (``name:input``) an ``example`` is needed.
        example: one network input or several [B, ...].
    """
    name, side = layer_of(head)
    if head == name:
        return Whole(Extractor(model, head), inner(model).get_submodule(head))
    seen: list[torch.Tensor] = []
    with hooked(inner(model).get_submodule(name), side, seen.append):
        model(cast(torch.Tensor, example)[:1])
    return Whole(Extractor(model, head), Rest(model, head, cast(torch.Tensor, example), tuple(seen[-1].shape[1:])))


def whole(network: Network) -> nn.Module:
    """The model that ``split`` was given, or its unlearned copy; without what was put around it to read its outputs."""
    return inner(cast(Extractor, network.extractor).model)


def _cut_here(model: nn.Module, name: str, side: str, images: torch.Tensor, value: Any, logits: torch.Tensor) -> bool:
    """Whether all that the logits depend on passes through one input or output of a layer."""
    fits = isinstance(value, torch.Tensor) and value.ndim in (2, 4) and value.is_floating_point() and len(value) == len(images)
    if not fits:
        return False
    other = torch.zeros_like(images)
    try:
        with hooked(inner(model).get_submodule(name), side, lambda _: value):
            again = model(other)
    except (RuntimeError, ValueError, IndexError, AssertionError):
        return False
    plain = model(other)  # where the input says nothing either way the cut is not shown
    limit = TOLERANCE * logits.float().std().clamp_min(1e-6)
    return (again - logits).abs().max() <= limit and (len(images) == 1 or (plain - logits).abs().max() > limit)


def _scores(module: nn.Module, output: object, raw: torch.Tensor) -> bool:
    """Whether a layer gives one number for each class, or one logit as a column of its output."""
    if raw.ndim == 1 or raw.shape[1] == 1:
        column = raw.reshape(-1, 1)
        if isinstance(output, torch.Tensor) and output.ndim == 2 and (output == column).all(0).any():
            return True
    classes = raw.shape[1] if raw.ndim == 2 else 1
    kernel = isinstance(module, nn.Conv2d) and module.out_channels == classes
    return kernel or getattr(module, "out_features", None) == classes


def _other_head(model: nn.Module, images: torch.Tensor, logits: torch.Tensor, raw: torch.Tensor) -> str | None:
    """A head that is no plain linear layer at the end: ``name:input`` of a layer of scores, else ``name:output`` of the last
    layer that gives a representation which the rest is computed from."""
    calls: list[tuple[str, torch.Tensor, torch.Tensor]] = []
    known = dict(inner(model).named_modules())
    with recorded({name: module for name, module in known.items() if name}, calls):
        model(images)
    classes = raw.shape[1] if raw.ndim == 2 else 1
    for key, inputs, output in reversed(calls):
        if _scores(known[key], output, raw) and _cut_here(model, key, "input", images, inputs, logits):
            return f"{key}:input"
    for key, _, output in reversed(calls):
        wide = isinstance(output, torch.Tensor) and output.ndim == 2 and output.shape[1] != classes
        if wide and _cut_here(model, key, "output", images, output, logits):
            return f"{key}:output"
    return None


def _named(model: nn.Module, head: str, images: torch.Tensor, logits: torch.Tensor) -> str:
    """A head that was asked for with its side."""
    name, side = layer_of(head)
    calls: list = []
    with recorded({name: inner(model).get_submodule(name)}, calls):
        model(images)
    value = calls[-1][1 if side == "input" else 2] if calls else None
    if isinstance(value, torch.Tensor) and value.ndim == 4 and not isinstance(inner(model).get_submodule(name), nn.Conv2d):
        value = None  # maps stand for their means, which only a convolution before a mean reads alone
    if not _cut_here(model, name, side, images, value, logits):
        raise Refused("no_linear_head", f"the {side} of {name!r} is no representation [images, width] that all logits come from")
    return head


@torch.no_grad()
def find_head(model: nn.Module, images: torch.Tensor, name: str | None = None) -> str:
    """The dotted name of the head: the linear layer that gives the logits, or the named layer if that is what it is.

    Args:
        model: ``adapted``, which has looked at its output on these images.
        images: network inputs [B, ...], B at least 1.
        name: a layer of one's own choice (any module) whose input is the representation and whose output the logits, or
            ``layer:input``, ``layer:output`` for a representation anywhere.

    Returns:
        The name; with ``:input`` or ``:output`` where the layer's output is not the logits themselves.

    Raises:
        Refused: ``no_linear_head``: the output comes from no such layer.
    """
    known = dict(inner(model).named_modules())
    if name is not None and layer_of(name)[0] not in known:
        ends = ", ".join(list(known)[-3:])
        raise Refused("no_linear_head", f"the model has no layer {name!r}; its last ones are: {ends}")
    modules: dict[str, nn.Module] = {key: m for key, m in known.items() if isinstance(m, nn.Linear)}
    if name is not None and name in known:
        modules = {name: known[name]}
    calls: list[tuple[str, torch.Tensor, torch.Tensor]] = []
    with recorded(modules, calls):
        logits = model(images)
    if name is not None and name not in known:
        return _named(model, name, images, logits)
    raw = model.raw(images) if isinstance(model, Adapted) else logits
    for key, inputs, output in reversed(calls):
        if isinstance(output, torch.Tensor) and output.shape == raw.shape and torch.equal(output, raw):
            if isinstance(inputs, torch.Tensor) and inputs.ndim == 2:
                return key if raw.shape == logits.shape else f"{key}:input"
            raise Refused("no_linear_head", f"the input of {key!r} is no representation [images, width]: name a later layer")
    found = _other_head(model, images, logits, raw)
    if found is None or name not in (None, layer_of(found)[0]):
        asked = f"the model's output is not the output of {name!r}" if name else "no layer was found that all logits pass through"
        raise Refused(
            "no_linear_head", f"{asked}: name the layer that gives the logits (head='layer'), or one whose output [images, "
            "width] they are made from (head='layer:output')",
        )
    return found


def check_below(network: Network) -> None:
    """Refuse a head with nothing below it to change: there, what is to be forgotten lies in the head alone.

    Raises:
        Refused: ``no_linear_head``.
    """
    own = {id(p) for p in network.classifier.parameters()}
    if all(id(p) in own for p in network.extractor.parameters()):
        raise Refused(
            "no_linear_head", "nothing below the model's head can be changed: its inputs are the representations; forget in the "
            "network that made them, or retrain the head, which is quick",
        )


@torch.no_grad()
def check_stable(model: nn.Module, images: torch.Tensor) -> None:
    """Refuse a model whose answer for an image depends on chance or on the other images of its batch.

    Batch statistics in evaluation mode would carry the forgotten images into every answer about the others.

    Args:
        model: in evaluation mode.
        images: network inputs [B, ...].

    Raises:
        Refused: ``unstable_model``, ``batch_statistics``.
    """
    packed = isinstance(model, Adapted) and model.packing is not None  # half a token number is another token
    others = torch.cat([images, images.flip(0)] if packed else [images, images.flip(0) * 0.5, torch.zeros_like(images[:1])])
    together, again, alone = model(others), model(others), model(images[:1])
    limit = TOLERANCE * together.float().std().clamp_min(1e-6)
    if together.dtype in (torch.float16, torch.bfloat16):
        limit = 50 * limit
    if (together - again).abs().max() > limit:
        raise Refused("unstable_model", "the model answers the same image differently from call to call in evaluation mode")
    if (together[:1] - alone).abs().max() > limit:
        raise Refused(
            "batch_statistics", "the model's answer for an image depends on the other images of its batch, also in evaluation "
            "mode (BatchNorm without running statistics?): forgotten images would leak through their neighbours",
        )


def dtype_of(model: nn.Module) -> torch.dtype:
    """The number format of the model's weights (the first floating one)."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)


def device_of(model: nn.Module) -> torch.device:
    """Where the model's weights lie."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def has_batch_statistics(model: nn.Module) -> bool:
    """Whether running statistics of the training images are part of the model."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) and m.running_mean is not None for m in model.modules())
