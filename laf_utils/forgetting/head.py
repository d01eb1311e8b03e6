"""Any classifier as extractor -> representation -> head, without changing it.

The representation is the input of the last linear layer, found by running the model once on real images and looking at which
linear layer's output *is* the model's output. Nothing is assumed about names, so that torchvision's ``fc``, ``heads.head`` and
``classifier.2``, timm's ``head.fc`` and one's own are all the same.
"""

import copy
from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch import nn

from ..models import Network
from .refusal import Refused

TOLERANCE = 1e-3  # of logits, relative to their spread: what a different batch size may change by rounding


class Extractor(nn.Module):
    """The model up to the input of its head: images [B, ...] to float representations [B, width].

    Args:
        model: a classifier; its own module, not a copy.
        head: dotted name of the layer whose input is the representation.
    """

    def __init__(self, model: nn.Module, head: str) -> None:
        super().__init__()
        self.model = model
        self.head = head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # A hook of one call: nothing is left in the model, so that copies of it stay copies.
        seen: list[torch.Tensor] = []
        handle = self.model.get_submodule(self.head).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            self.model(images)
        finally:
            handle.remove()
        return seen[-1]


def split(model: nn.Module, head: str) -> Network:
    """The model in two parts that share its parameters; a deep copy of the result is a deep copy of the model."""
    return Network(Extractor(model, head), model.get_submodule(head))


def whole(network: Network) -> nn.Module:
    """The model that ``split`` was given, or its unlearned copy."""
    return network.extractor.model


@contextmanager
def _recorded(modules: dict[str, nn.Module], calls: list):
    def record(name: str) -> Callable:
        return lambda _, inputs, output: calls.append((name, inputs[0], output))

    handles = [module.register_forward_hook(record(name)) for name, module in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def find_head(model: nn.Module, images: torch.Tensor, name: str | None = None) -> str:
    """The dotted name of the head: the linear layer that gives the logits, or the named layer if that is what it is.

    Args:
        model: in evaluation mode.
        images: network inputs [B, ...], B at least 1.
        name: a layer of one's own choice (any module) whose input is the representation.

    Raises:
        Refused: ``no_linear_head``: the output is no tensor [B, classes] of logits, or comes from no such layer;
            ``unstable_model``: it is not finite.
    """
    known = dict(model.named_modules())
    if name is not None and name not in known:
        ends = ", ".join(list(known)[-3:])
        raise Refused("no_linear_head", f"the model has no layer {name!r}; its last ones are: {ends}")
    modules = {name: known[name]} if name else {key: m for key, m in known.items() if isinstance(m, nn.Linear)}
    calls: list[tuple[str, torch.Tensor, torch.Tensor]] = []
    with _recorded(modules, calls):
        logits = model(images)
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(images):
        what = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise Refused("no_linear_head", f"the model must give logits [images, classes] as one tensor, it gives {what}")
    if not logits.isfinite().all():
        raise Refused("unstable_model", "the model's outputs are not finite on these images (a missing transform?)")
    for key, inputs, output in reversed(calls):
        if isinstance(output, torch.Tensor) and output.shape == logits.shape and torch.equal(output, logits):
            if isinstance(inputs, torch.Tensor) and inputs.ndim == 2:
                return key
            raise Refused("no_linear_head", f"the input of {key!r} is no representation [images, width]: name a later layer")
    if name:
        raise Refused("no_linear_head", f"the model's output is not the output of {name!r}: name the layer that gives the logits")
    raise Refused(
        "no_linear_head", "the model's output is that of no linear layer (a softmax or a convolution comes last?); give a "
        "model that returns logits, or name the layer that gives them (head=...)",
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
    others = torch.cat([images, images.flip(0) * 0.5, torch.zeros_like(images[:1])])
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


def working_copy(model: nn.Module) -> nn.Module:
    """A copy to work on, in evaluation mode: half-precision weights as float32, in which unlearning computes."""
    copied = copy.deepcopy(model).eval()
    return copied.float() if dtype_of(model) in (torch.float16, torch.bfloat16) else copied


def dtype_of(model: nn.Module) -> torch.dtype:
    """The number format of the model's weights (the first floating one)."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)


def device_of(model: nn.Module) -> torch.device:
    """Where the model's weights lie."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def has_batch_statistics(model: nn.Module) -> bool:
    """Whether running statistics of the training images are part of the model."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) and m.running_mean is not None for m in model.modules())
