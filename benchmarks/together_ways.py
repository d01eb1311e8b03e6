"""Ways of taking one training step of K CNNs, batch 32 each, batches ready in memory. ``benchmarks.together`` times them."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch.func import functional_call, grad, stack_module_state, vmap

from benchmarks.common import BATCH
from laf_utils.models import Architecture, Network
from laf_utils.together.stacked import StackedNetwork, side_by_side
from laf_utils.training import adam

Step = Callable[[], None]
RATE, DECAY = 1e-4, 1e-4


def separate(networks: list[Network], x: torch.Tensor, y: torch.Tensor) -> Step:
    """One network after the other, each with its own Adam."""
    optimisers = [adam(network.parameters(), RATE, DECAY) for network in networks]

    def step() -> None:
        for network, optimiser, images, labels in zip(networks, optimisers, x, y, strict=True):
            loss = F.cross_entropy(network(images), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return step


def one_adam(networks: list[Network], x: torch.Tensor, y: torch.Tensor) -> Step:
    """One network after the other, one fused Adam over all weights."""
    optimiser = adam((p for network in networks for p in network.parameters()), RATE, DECAY)

    def step() -> None:
        optimiser.zero_grad()
        for network, images, labels in zip(networks, x, y, strict=True):
            F.cross_entropy(network(images), labels).backward()
        optimiser.step()

    return step


def mapped(networks: list[Network], x: torch.Tensor, y: torch.Tensor) -> Step:
    """``torch.func``: stacked weights, the gradient of one network mapped over all."""
    weights, _ = stack_module_state(networks)
    optimiser = adam(weights.values(), RATE, DECAY)
    gradients = vmap(grad(lambda own, images, labels: F.cross_entropy(functional_call(networks[0], own, (images,)), labels)))

    def step() -> None:
        for name, found in gradients({name: value.detach() for name, value in weights.items()}, x, y).items():
            weights[name].grad = found
        optimiser.step()

    return step


def _stacked_step(network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> Step:
    optimiser, inputs = adam(network.parameters(), RATE, DECAY), side_by_side(list(x))

    def step() -> None:
        loss = F.cross_entropy(network(inputs).flatten(0, 1), y.flatten()) * len(y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def grouped(networks: list[Network], x: torch.Tensor, y: torch.Tensor) -> Step:
    """The package's: grouped convolutions, channels last, and batched products."""
    return _stacked_step(StackedNetwork(networks), x, y)


class _Unfolded(torch.nn.Module):
    """A stacked convolution as columns times weights, one batched product for all networks."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        members, (height, width) = self.layer.members, h.shape[-2:]
        columns = F.unfold(h.reshape(len(h) * members, -1, height, width), 5, padding=2).unflatten(0, (len(h), members))
        columns = columns.permute(1, 2, 0, 3).flatten(2)  # [K, C*25, B*H*W]
        weight = self.layer.weight.contiguous().unflatten(0, (members, -1)).flatten(2)
        out = torch.baddbmm(self.layer.bias.view(members, -1, 1), weight, columns)
        return out.unflatten(2, (len(h), height, width)).permute(2, 0, 1, 3, 4).flatten(1, 2)


def unfolded(networks: list[Network], x: torch.Tensor, y: torch.Tensor) -> Step:
    """Convolutions by unfolding and one batched product."""
    stacked = StackedNetwork(networks)
    for place in (0, 3):
        stacked.extractor.layers[place] = _Unfolded(stacked.extractor.layers[place])
    return _stacked_step(stacked, x, y)


WAYS = {"separate": separate, "one Adam": one_adam, "torch.func": mapped, "grouped": grouped, "unfolded": unfolded}


def steps(members: int) -> dict[str, Step]:
    """A step of every way for so many fresh networks, all on the same random batches."""
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(members, BATCH, 1, 28, 28, generator=draw)
    y = torch.randint(0, 10, (members, BATCH), generator=draw)
    made = {}
    for name, way in WAYS.items():
        networks = [Architecture("cnn", 1, 28, 10).build(seed, "original").train() for seed in range(members)]
        made[name] = way(networks, x, y)
    return made
