"""Removing a class in closed form: no image of it and no training, at the price that only the way to the answer goes.

A removed class is given the mean of the other classes' logits: it is never the largest again, and the other classes' logits stay
as they are. In a plain head its weights become the mean of the others' weights. Where classes are texts (CLIP) the image
features are mapped so that all other texts read from them what they read before and the removed text the mean of that: the part
of the features that the removed text alone reads is projected away. This is the null-space projection of Mishra et al., "Erasing
CLIP Memories: Non-Destructive, Data-Free Zero-Shot class Unlearning in CLIP Models", arXiv 2512.14137, with that mean in place of
zero, so that it also holds for logits below zero.

The layers below still represent the class as before. Whoever has its images can teach the answer again quickly; ``forget`` with
retained images changes the layers themselves.
"""

import copy
from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from ..models import Network
from .adapting import adapted, chosen, recorded
from .copying import as_given, working_copy
from .cutting import Rest, layer_of
from .head import device_of, dtype_of, find_head, split, whole
from .refusal import Refused

RIDGE = 1e-6  # of the mean square of the text matrix, where texts are nearly alike


class Features(nn.Module):
    """The image side of a CLIP-like model as a module that maps images to features [B, width].

    Args:
        model: with the image tower.
        method: of ``model`` that gives the features, such as ``encode_image`` (open_clip) or ``get_image_features`` (Hugging
            Face); ``None``: the model itself.
        pick: where the features are in its output, if that is no tensor.
    """

    def __init__(self, model: nn.Module, method: str | None = None, pick: Any = None) -> None:
        super().__init__()
        self.model, self.method, self.pick = model, method, pick

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features [B, width] of images."""
        output = self.model(images) if self.method is None else getattr(self.model, self.method)(images)
        if self.pick is None and not isinstance(output, torch.Tensor):
            output = getattr(output, "image_embeds", None) if hasattr(output, "image_embeds") else output.pooler_output
        return chosen(output, self.pick)


class ZeroShot(nn.Module):
    """A classifier whose classes are texts: logits = scale * cos(features of the image, features of each text).

    Args:
        model: with the image tower; ``method`` and ``pick`` as of ``Features``.
        text: features of the class names [classes, width], of any length.
        scale: exp of CLIP's logit scale.
    """

    def __init__(
        self, model: nn.Module, text: torch.Tensor, scale: float = 100.0, method: str | None = None, pick: Any = None
    ) -> None:
        super().__init__()
        self.features = Features(model, method, pick)
        self.text: torch.Tensor
        self.register_buffer("text", F.normalize(text.detach().clone(), dim=1))
        self.projection = nn.Parameter(torch.eye(text.shape[1], dtype=text.dtype, device=text.device), requires_grad=False)
        self.scale = float(scale)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [B, classes]."""
        return self.scale * F.normalize(self.features(images) @ self.projection.T, dim=1) @ self.text.T


def projection(text: torch.Tensor, removed: Sequence[int]) -> torch.Tensor:
    """Q [width, width], the smallest change of features after which each kept text reads the same and a removed one the mean.

    With T the rows of ``text`` and T' those with removed rows replaced by the mean of the others, T Q = T' in the least squares
    sense: exact where there are no more texts than dimensions.
    """
    rows = text.double()
    wanted = _averaged(rows, removed)
    gram = rows @ rows.T
    gram += RIDGE * gram.diagonal().mean() * torch.eye(len(rows), dtype=rows.dtype, device=rows.device)
    return (torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device)
            + rows.T @ torch.linalg.solve(gram, wanted - rows)).to(text.dtype)


def _averaged(rows: torch.Tensor, removed: Sequence[int]) -> torch.Tensor:
    """A copy in which removed rows are the mean of the others."""
    gone = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    gone[list(removed)] = True
    result = rows.clone()
    result[gone] = rows[~gone].mean(0)
    return result


def check(network: Network, head: str, classes: Sequence[int]) -> None:
    """Refuse what ``removed`` cannot do.

    Raises:
        Refused: ``method``: the head is neither a layer with a row of weights for each class nor a ``ZeroShot``; or too few
            classes stay. ``nothing_to_forget``: classes that the model does not have.
    """
    model, layer = whole(network), whole(network).get_submodule(layer_of(head)[0])
    rows = len(model.text) if isinstance(model, ZeroShot) else getattr(
        layer, "out_features", getattr(layer, "out_channels", None))
    plain = layer_of(head)[1] != "output" and rows is not None and hasattr(layer, "bias")
    binary = isinstance(network.classifier, Rest) and getattr(network.extractor.model, "binary", False)
    if not isinstance(model, ZeroShot) and (not plain or binary):
        raise Refused(
            "method", "in closed form a class can be removed from a linear or convolutional head of several classes, or from a "
            "ZeroShot; with retained images LAF removes it from any",
        )
    count = cast(int, rows)
    if not classes or not all(0 <= c < count for c in classes):
        raise Refused("nothing_to_forget", f"classes to remove must be among 0 to {count - 1}, got {list(classes)}")
    if len(set(classes)) >= count - 1:
        raise Refused("method", f"at least two of {count} classes must stay: a classifier with one answer says nothing")


@torch.no_grad()
def _average_head(layer: Any, classes: Sequence[int]) -> None:
    for hook in list(layer._forward_pre_hooks.values()):  # of torch.nn.utils.weight_norm: the weight is made of these two
        if hasattr(hook, "compute_weight"):
            wanted = _averaged(hook.compute_weight(layer), classes)
            getattr(layer, f"{hook.name}_v").copy_(wanted)
            getattr(layer, f"{hook.name}_g").copy_(torch.norm_except_dim(wanted, 2, hook.dim))
    if parametrize.is_parametrized(layer, "weight"):
        layer.weight = _averaged(layer.weight, classes)
    elif isinstance(getattr(layer, "weight", None), nn.Parameter):
        layer.weight.copy_(_averaged(layer.weight, classes))
    if layer.bias is not None:
        layer.bias.copy_(_averaged(layer.bias, classes))


@torch.no_grad()
def _project(model: ZeroShot, classes: Sequence[int], example: torch.Tensor) -> None:
    """Into the last linear layer of the image tower where that gives the features, else into ``ZeroShot.projection``."""
    calls: list[tuple[str, torch.Tensor, torch.Tensor]] = []
    change = projection(model.text @ model.projection, classes)
    plain = torch.equal(model.projection, torch.eye(len(model.projection)).to(model.projection))
    with recorded({name: m for name, m in model.named_modules() if isinstance(m, nn.Linear)}, calls):
        features = model.features(example)
    layers = dict(model.named_modules())
    same = (name for name, _, out in reversed(calls) if out.shape == features.shape and torch.equal(out, features))
    last = layers.get(next(same, ""))
    if not isinstance(last, nn.Linear) or not plain or parametrize.is_parametrized(last):
        model.projection.copy_(model.projection @ change)
        return
    last.weight.copy_(change @ last.weight)
    if last.bias is not None:
        last.bias.copy_(change @ last.bias)


def removed(network: Network, head: str, classes: Sequence[int], example: torch.Tensor) -> Network:
    """A copy of the network that no longer answers with some classes.

    Args:
        head: as ``find_head`` named it.
        example: a network input or several, of any content.

    Raises:
        Refused: what ``check`` refuses.
    """
    check(network, head, classes)
    own = copy.deepcopy(network)
    model = whole(own)
    if isinstance(model, ZeroShot):
        _project(model, classes, example)
    else:
        _average_head(model.get_submodule(layer_of(head)[0]), classes)
    return own


def remove_classes(model: nn.Module, classes: Sequence[int], example: torch.Tensor, head: str | None = None) -> nn.Module:
    """A copy of a classifier that never answers with some classes again; needs no image of them and takes no training.

    Args:
        model: any classifier with a linear or 1x1 convolutional head, or a ``ZeroShot``; left as it is.
        classes: numbers of the logits to remove; at least two others must stay.
        example: any network inputs [B, ...], B at least 2, to find the head with; noise will do.
        head: as of ``forget``.

    Raises:
        Refused: as ``find_head``; ``method``: another kind of head.
    """
    own = working_copy(model)
    inputs = example.to(device_of(own), dtype_of(own))
    own = adapted(own, inputs)
    found = find_head(own, inputs, head)
    return as_given(whole(removed(split(own, found, inputs), found, list(classes), inputs)), model)
