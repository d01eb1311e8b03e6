"""K networks of one shape as one: every layer holds the weights of all K, every pass computes all K.

A convolution of K networks is one grouped convolution over channels side by side, [B, K*C, H, W]; a linear layer is one batched
product, [K, B, width]. No network's numbers meet another's, so that the gradient of the sum of K losses is the K gradients.
``benchmarks/README.md`` says what this gains over the other ways of doing it, and why it is little for convolutions.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from ..models import Network


class _Linear(nn.Module):
    """K linear layers, [K, B, in] to [K, B, out]."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        # Stored as the product reads it: forward and backward of the CNN's three take 1.6 ms so, and 2.3 ms with [K, out, in].
        self.weight = nn.Parameter(torch.stack([layer.weight.detach().T for layer in layers]))
        self.bias = nn.Parameter(torch.stack([cast(torch.Tensor, layer.bias).detach()[None] for layer in layers]))

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return torch.baddbmm(self.bias, h, self.weight)

    def put_back(self, member: int, layer: nn.Linear) -> None:
        layer.weight.copy_(self.weight[member].T)
        cast(torch.Tensor, layer.bias).copy_(self.bias[member, 0])


class _Conv2d(nn.Module):
    """K convolutions, [B, K*in, H, W] to [B, K*out, H, W]."""

    def __init__(self, layers: Sequence[nn.Conv2d]) -> None:
        super().__init__()
        weight = torch.cat([layer.weight.detach() for layer in layers])
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
        self.bias = nn.Parameter(torch.cat([cast(torch.Tensor, layer.bias).detach() for layer in layers]))
        self.members, self.stride, self.padding = len(layers), layers[0].stride, layers[0].padding

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return F.conv2d(h, self.weight, self.bias, self.stride, self.padding, groups=self.members)

    def put_back(self, member: int, layer: nn.Conv2d) -> None:
        layer.weight.copy_(self.weight.unflatten(0, (self.members, -1))[member])
        cast(torch.Tensor, layer.bias).copy_(self.bias.unflatten(0, (self.members, -1))[member])


class _Flatten(nn.Module):
    """[B, K*C, H, W] to [K, B, C*H*W]."""

    def __init__(self, members: int) -> None:
        super().__init__()
        self.members = members

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return h.reshape(len(h), self.members, -1).transpose(0, 1)


def _stacked(layers: Sequence[nn.Module]) -> nn.Module:
    """One layer for K of the same kind and shape."""
    first = layers[0]
    if isinstance(first, nn.Linear) and first.bias is not None:
        return _Linear(cast(Sequence[nn.Linear], layers))
    plain_convolution = isinstance(first, nn.Conv2d) and first.bias is not None and first.groups == 1
    if plain_convolution and first.dilation == (1, 1) and first.padding_mode == "zeros":
        return _Conv2d(cast(Sequence[nn.Conv2d], layers))
    if isinstance(first, nn.Flatten):
        return _Flatten(len(layers))
    if isinstance(first, nn.MaxPool2d | nn.ReLU | nn.Sigmoid):
        return first  # one image's channel at a time, whosever it is
    raise ValueError(f"networks with a layer {first} cannot be computed together")


class Stack(nn.Module):
    """K ``nn.Sequential`` of one shape as one.

    Args:
        modules: K copies, left untouched; their weights are copied.

    Raises:
        ValueError: none given, a module that is no ``nn.Sequential``, different shapes, or a layer that is not supported.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        if not modules:
            raise ValueError("at least one network")
        if not all(isinstance(module, nn.Sequential) for module in modules):
            raise ValueError(f"only the CNN's layers can be computed together, got {type(modules[0]).__name__}")
        if len({str(module) for module in modules}) > 1:  # the text of a module tells the kinds and shapes of its layers
            raise ValueError("networks of different shapes cannot be computed together")
        self.layers = nn.ModuleList([_stacked(layers) for layers in zip(*cast(Sequence[nn.Sequential], modules), strict=True)])

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Of images [B, K*C, H, W] side by side, or of vectors [K, B, width]: [K, B, width]."""
        for layer in self.layers:
            h = layer(h)
        return h

    @torch.no_grad()
    def put_back(self, member: int, module: nn.Module) -> None:
        """Copy the weights of one member into an ordinary module."""
        for stacked, layer in zip(self.layers, cast(nn.Sequential, module), strict=True):
            if hasattr(stacked, "put_back"):
                cast(Any, stacked).put_back(member, layer)


class StackedNetwork(nn.Module):
    """K networks as one: images [B, K*C, H, W], see ``side_by_side``, to logits [K, B, classes].

    Raises:
        ValueError: as ``Stack``; ResNet-18 is not supported.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        super().__init__()
        self.extractor = Stack([network.extractor for network in networks])
        self.classifier = Stack([network.classifier for network in networks])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.extractor(images))

    def put_back(self, networks: Sequence[Network]) -> None:
        """Copy the weights into the K ordinary networks."""
        for member, network in enumerate(networks):
            self.extractor.put_back(member, network.extractor)
            self.classifier.put_back(member, network.classifier)


def side_by_side(batches: Sequence[torch.Tensor]) -> torch.Tensor:
    """K batches [B, C, H, W] as [B, K*C, H, W], channels last in memory."""
    return torch.cat(list(batches), dim=1).contiguous(memory_format=torch.channels_last)

