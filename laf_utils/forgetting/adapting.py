"""A user's model behind one interface: network inputs as one tensor in, logits [B, classes] as one tensor out.

Models give logits as a tensor, in a tuple, under a key or as an attribute (as Hugging Face's do); some have one logit for two
classes; some take a dictionary of tensors. ``adapted`` finds out which, once; where a model already does what is wanted it is
left as it is.
"""

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import nn

from .packing import Packing
from .refusal import Refused

NAMES = ("logits", "out", "output", "outputs", "scores", "prediction", "predictions")  # of logits among several outputs
WRAP = "wrap the model in one that returns logits [images, classes]"


class Adapted(nn.Module):
    """A model that gives its logits in another form, or takes other inputs than one tensor.

    Args:
        model: the user's own module, not a copy.
        pick: where the logits are: an index of a tuple, a key of a mapping, the name of an attribute; ``None``: the output.
        binary: there is one logit z [B] or [B, 1]: classes "no" and "yes" with logits 0 and z, so that softmax is sigmoid.
        packing: of inputs that are not one floating point tensor.
    """

    def __init__(self, model: nn.Module, pick: Any = None, binary: bool = False, packing: Packing | None = None) -> None:
        super().__init__()
        self.model, self.pick, self.binary, self.packing = model, pick, binary, packing

    def raw(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the model itself gives as logits."""
        return chosen(called(self.model, inputs, self.packing), self.pick)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits [B, classes]."""
        raw = self.raw(inputs)
        return torch.stack([torch.zeros_like(raw.reshape(-1)), raw.reshape(-1)], 1) if self.binary else raw


class OneLabel(nn.Module):
    """One label of a multi-label classifier as a yes-or-no classifier: what ``forget`` can work with.

    Only this label's answers are watched and reported on; the other labels are answered by the same, changed network. The whole
    unlearned network is ``forget(OneLabel(model, 3), ...).model.model``.

    Args:
        model: gives logits [B, labels], in any form that ``forget`` reads.
        label: whose column.
    """

    def __init__(self, model: nn.Module, label: int) -> None:
        super().__init__()
        self.model, self.label = model, label

    def forward(self, inputs: Any = None, **named: Any) -> torch.Tensor:
        """The label's logit [B]."""
        output = self.model(**named) if inputs is None else self.model(inputs)
        pairs = _parts(output)
        logits = output if isinstance(output, torch.Tensor) else next((x for key, x in pairs if key in NAMES), None)
        return (pairs[0][1] if logits is None else logits)[:, self.label]


def inner(model: nn.Module) -> nn.Module:
    """The user's own module."""
    return model.model if isinstance(model, Adapted) else model


def called(model: nn.Module, inputs: torch.Tensor, packing: Packing | None) -> Any:
    """The model's own output for network inputs, unpacked where they are packed."""
    return model(inputs) if packing is None else packing.call(model, inputs)


def chosen(output: Any, pick: Any) -> torch.Tensor:
    """The part of an output that ``adapted`` chose."""
    if pick is None:
        return output
    return output[pick] if isinstance(output, Mapping) or isinstance(pick, int) else getattr(output, pick)


def _parts(output: Any) -> list[tuple[Any, torch.Tensor]]:
    """Tensors of an output that is none, with where they are: tuples, mappings, data classes and other plain objects."""
    if isinstance(output, Mapping):
        found = list(output.items())
    elif isinstance(output, list | tuple):
        named = "logits" in getattr(output, "_fields", ())
        found = [("logits", cast(Any, output).logits)] if named else list(enumerate(output))
    else:
        found = list(getattr(output, "__dict__", {}).items())
        if not any(name == "logits" for name, _ in found):
            found.append(("logits", getattr(output, "logits", None)))
    return [(name, value) for name, value in found if isinstance(value, torch.Tensor)]


@contextmanager
def recorded(modules: Mapping[str, nn.Module], calls: list):
    """Within it, every call of the modules is appended to ``calls``: name, first input, output."""

    def record(name: str) -> Callable:
        def note(_: nn.Module, inputs: tuple, named: dict, output: Any) -> None:
            calls.append((name, inputs[0] if inputs else next(iter(named.values()), None), output))

        return note

    handles = [module.register_forward_hook(record(name), with_kwargs=True) for name, module in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _pick(output: Any, count: int, calls: list) -> Any:
    """Where the logits are among several tensors: under a known name, else what was computed last by a layer.

    Auxiliary classifiers and returned representations come before the head that is computed from all of them.
    """
    fit = [(key, x) for key, x in _parts(output) if x.is_floating_point() and x.ndim in (1, 2) and len(x) == count]
    for name in NAMES:
        if any(key == name for key, _ in fit):
            return name
    if len(fit) == 1:
        return fit[0][0]
    for _, _, made in reversed(calls):
        for key, x in fit:
            if isinstance(made, torch.Tensor) and made.shape == x.shape and torch.equal(made, x):
                return key
    what = f"{type(output).__name__} with {len(fit)} tensors [images, ...]" if fit else type(output).__name__
    raise Refused(
        "no_linear_head", "the model must give logits [images, classes] as one tensor or under a name that says so, it gives "
        f"{what}: {WRAP}",
    )


def _check_meaning(model: nn.Module, raw: torch.Tensor, calls: list) -> None:
    config = getattr(model, "config", None)
    if getattr(config, "problem_type", None) == "multi_label_classification":
        raise Refused(
            "no_linear_head", "the model's configuration says that it gives several labels to an image; forget(OneLabel(model, "
            "label), ...) works on one of them (from laf_utils.forgetting import OneLabel)",
        )
    if raw.min() < 0 or raw.max() > 1:
        return
    layers = [out for _, _, out in calls if isinstance(out, torch.Tensor) and out.numel() == raw.numel()]
    sigmoid = any(torch.allclose(out.reshape(raw.shape).sigmoid(), raw, atol=1e-6) for out in layers)
    if sigmoid and raw.ndim == 2 and raw.shape[1] > 1:
        raise Refused(
            "no_linear_head", "the model gives probabilities of several labels (a sigmoid comes last): give one that returns "
            "logits; forget(OneLabel(model, label), ...) then works on one label",
        )
    several = raw.ndim == 2 and raw.shape[1] > 1
    if sigmoid or (several and torch.allclose(raw.float().sum(1), torch.ones(len(raw), device=raw.device), atol=2e-2)):
        raise Refused(
            "no_linear_head", "the model gives probabilities (a softmax or a sigmoid comes last): give one that returns logits, "
            "for example without its last layer",
        )


@torch.no_grad()
def adapted(model: nn.Module, images: torch.Tensor, packing: Packing | None = None) -> nn.Module:
    """The model itself where it maps one tensor to logits [B, classes], else an ``Adapted`` around it.

    Args:
        model: in evaluation mode.
        images: network inputs [B, ...], B at least 1, packed where ``packing`` says so.

    Raises:
        Refused: ``no_linear_head``: no logits in the output, or probabilities, or several labels; ``unstable_model``: not finite;
            ``bad_images``: the model does not take these inputs.
    """
    calls: list = []
    layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    with recorded(layers, calls):
        try:
            output = called(model, images, packing)
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            told = " ".join(str(error).split())[:200]
            raise Refused("bad_images", f"the model does not take inputs {tuple(images.shape[1:])}: {told}") from error
    pick = None if isinstance(output, torch.Tensor) else _pick(output, len(images), calls)
    raw = chosen(output, pick)
    if raw.ndim not in (1, 2) or len(raw) != len(images) or not raw.is_floating_point():
        maps = ": one answer for each pixel is no image classifier" if raw.ndim == 4 else ""
        shape = tuple(raw.shape)
        raise Refused("no_linear_head", f"the model must give logits [images, classes], it gives {shape}{maps}; {WRAP}")
    if not raw.isfinite().all():
        raise Refused("unstable_model", "the model's outputs are not finite on these images (a missing transform?)")
    _check_meaning(model, raw, calls)
    binary = raw.ndim == 1 or raw.shape[1] == 1
    return Adapted(model, pick, binary, packing) if pick is not None or binary or packing is not None else model
