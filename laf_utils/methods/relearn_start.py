"""Where ``relearn`` starts: weights between the original's and a fresh initialisation's, and which layers are its tail."""

import torch
from torch import nn


def tail_of(model: nn.Module) -> list[str]:
    """Dotted names of the linear layers at the end: those after the last other module that has parameters of its own.

    Modules count in the order in which they were defined. Where a network has linear layers only, its first is not of the tail.
    """
    own = [(name, module) for name, module in model.named_modules() if any(True for _ in module.parameters(recurse=False))]
    names: list[str]
    names = []
    for name, module in reversed(own):
        if not isinstance(module, nn.Linear):
            break
        names.insert(0, name)
    return names[1:] if len(names) == len(own) else names


def head_of(model: nn.Module, classes: int) -> nn.Linear | None:
    """The last linear layer, if it has one row for each class."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    return layers[-1] if layers and layers[-1].out_features == classes else None


@torch.no_grad()
def towards_fresh(
    original: nn.Module, fresh: nn.Module, start: float, tail: float, gone: torch.Tensor | None = None
) -> nn.Module:
    """``fresh``, overwritten by (1 - a) w + a w_fresh with a = ``tail`` in the tail and a = ``start`` everywhere else.

    The rows of the classes ``gone`` (bool [classes]) in the last layer stay fresh: nothing in D_r would undo what they know.
    Running statistics of BatchNorm start afresh, because D_f was among what the original's were taken from. Shrink and
    perturb: Ash and Adams, "On Warm-Starting Neural Network Training", NeurIPS 2020, section 4.

    Raises:
        ValueError: the two networks differ in a parameter's name or shape.
    """
    ends = dict(original.named_parameters())
    if {name: p.shape for name, p in fresh.named_parameters()} != {name: p.shape for name, p in ends.items()}:
        raise ValueError("the fresh network has other parameters than the original")
    head = head_of(fresh, len(gone)) if gone is not None and gone.any() else None
    rows = [(p, p[gone].clone()) for p in head.parameters()] if head is not None else []
    value: torch.Tensor
    last = {f"{name}." for name in tail_of(original)}
    for name, value in fresh.named_parameters():
        share = tail if any(name.startswith(layer) for layer in last) else start
        value.copy_(ends[name].lerp(value.to(ends[name]), share))
    for value, row in rows:
        value[gone] = row
    known = dict(original.named_buffers())
    for name, value in fresh.named_buffers():
        value.copy_(known[name])  # of anything but BatchNorm: constants
    for layer in batch_norms(fresh):
        layer.reset_running_stats()
    return fresh.requires_grad_(True)


def batch_norms(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """The layers that keep running statistics of batches."""
    kinds = nn.modules.batchnorm._BatchNorm
    return [layer for layer in model.modules() if isinstance(layer, kinds) and layer.track_running_stats]


class LateStatistics:
    """Running statistics as the plain mean over the batches after ``begin``: those of (almost) the last weights, at no cost."""

    def __init__(self, model: nn.Module) -> None:
        self._layers = batch_norms(model)
        self._momenta = [layer.momentum for layer in self._layers]

    def begin(self) -> None:
        """Forget what was averaged so far."""
        for layer in self._layers:
            layer.reset_running_stats()
            layer.momentum = None  # PyTorch: cumulative average

    def end(self) -> None:
        """Leave the layers as they were set."""
        for layer, momentum in zip(self._layers, self._momenta, strict=True):
            layer.momentum = momentum
