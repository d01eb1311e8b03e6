"""Copies to work on and copies to give back, whatever the model is wrapped in and whatever its number formats are."""

import copy
from typing import cast

import torch
from torch import nn

HALF = (torch.float16, torch.bfloat16)
WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def bare(model: nn.Module) -> nn.Module:
    """The model inside ``DataParallel``, ``DistributedDataParallel`` and ``torch.compile``."""
    while True:
        if isinstance(model, WRAPPERS):
            model = cast(nn.Module, model.module)
        elif isinstance(inside := getattr(model, "_orig_mod", None), nn.Module):
            model = inside
        else:
            return model


@torch.no_grad()
def copied(model: nn.Module) -> nn.Module:
    """A deep copy, also where a layer's weight is computed from others before each call (``torch.nn.utils.weight_norm``).

    Such a weight still belongs to the last backward pass; it is computed anew, so that it can be copied.
    """
    for module in model.modules():
        for hook in module._forward_pre_hooks.values():
            if hasattr(hook, "compute_weight") and hasattr(hook, "name"):
                setattr(module, hook.name, hook.compute_weight(module))
    return copy.deepcopy(model)


def working_copy(model: nn.Module) -> nn.Module:
    """A copy to work on, without wrappers, in evaluation mode: half precision as float32, in which unlearning computes."""
    own = copied(bare(model)).eval()
    return own.float() if any(p.dtype in HALF for p in own.parameters()) else own


@torch.no_grad()
def as_given(unlearned: nn.Module, model: nn.Module) -> nn.Module:
    """A copy of an unlearned working copy where and as the model was: device, number formats, memory layout, ``requires_grad``.

    A wrapper is not put around it again: the copy is what the wrapper held.
    """
    given, own = bare(model), copied(unlearned)
    for parts in ("parameters", "buffers"):
        for was, now in zip(getattr(given, parts)(), getattr(own, parts)(), strict=True):
            now.data = now.data.to(was.device, was.dtype)
            if parts == "parameters":
                now.requires_grad_(was.requires_grad)
    return own.eval()
