"""Gradient-free forgetting: Kodge, Saha, Roy, "Deep Unlearning", TMLR 2024 (arXiv 2312.00761).

Each layer's inputs on a sample of D_f and of D_r span a forget space and a retain space. What the forget space does not share
with the retain space is projected out of the layer's weights: no training, no label, evaluation mode. Singular vectors and
squared singular values are taken from the Gram matrix of the inputs, which has the same ones. Layers with groups stay.

The authors choose the two scales by accuracy on training images for each model; these are the values they published.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..support.progress import track
from .method import Sizes
from .parts import Part
from .passes import Passes
from .settings import Settings
from .view import View

BATCH = 100  # images a forward pass


@dataclass(frozen=True)
class SVDSettings(Settings):
    """The released settings of VGG-11 on CIFAR-10."""

    samples: int = 900  # images of each set, at random; the authors take D_r's by class, for which they read labels
    patches: int = 10_000  # of a convolution's input, at least
    retain_scale: float = 100.0  # alpha_r
    forget_scale: float = 3.0  # alpha_f; 0 changes nothing


def layers_of(model: nn.Module) -> dict[str, nn.Linear | nn.Conv2d]:
    """Every linear layer and every convolution without groups, by dotted name."""
    return {
        name: module for name, module in model.named_modules()
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)
    }


def inputs_of(layer: nn.Module, x: torch.Tensor, count: int, draw: torch.Generator) -> torch.Tensor:
    """[rows, inputs] that the layer multiplies with its weights: all of a linear layer's, ``count`` patches of each image of a
    convolution's, at places drawn for the batch."""
    if isinstance(layer, nn.Linear):
        return x.reshape(-1, x.shape[-1])
    assert isinstance(layer, nn.Conv2d)
    x = F.pad(x, layer._reversed_padding_repeated_twice)
    reach = [d * (k - 1) + 1 for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    places = [(size - span) // step + 1 for size, span, step in zip(x.shape[2:], reach, layer.stride, strict=True)]
    found = []
    for _ in range(count):
        starts = [torch.randint(n, (1,), generator=draw).item() * step for n, step in zip(places, layer.stride, strict=True)]
        rows, columns = (slice(a, a + r, d) for a, r, d in zip(starts, reach, layer.dilation, strict=True))
        found.append(x[:, :, rows, columns].flatten(1))
    return torch.cat(found)


def _listener(layer: nn.Module, grams: dict, name: str, count: int, draw: torch.Generator) -> Callable:
    def listen(_: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        rows = inputs_of(layer, given[0].detach(), count, draw).double()
        grams[name] = grams.get(name, 0) + rows.T @ rows

    return listen


@torch.no_grad()
def grams_of(view: View, model: nn.Module, part: Part, settings: SVDSettings, name: str) -> dict[str, torch.Tensor]:
    """Gram matrix float64 [inputs, inputs] of each layer's inputs on a random sample of ``part``."""
    images, draw = part.images.for_evaluation(), view.stream("patches", name)
    sample = torch.randperm(len(images), generator=view.stream("sample", name))[: settings.samples]
    grams: dict[str, torch.Tensor]
    grams, count = {}, -(-settings.patches // len(sample))
    hooks = [
        layer.register_forward_pre_hook(_listener(layer, grams, key, count, draw)) for key, layer in layers_of(model).items()
    ]
    try:
        with track(len(sample), f"{view.name} {name}", unit="image") as bar:
            for rows in sample.split(BATCH):
                model(images.batch(rows))
                view.spent.frozen += len(rows)
                bar.update(len(rows))
    finally:
        for hook in hooks:
            hook.remove()
    return grams


def scaled_space(gram: torch.Tensor, scale: float) -> torch.Tensor:
    """U diag(a s / ((a - 1) s + 1)) U^T [inputs, inputs]: directions U by their share s of the inputs' energy, a the scale.

    A direction that holds all of the energy counts 1 and one that holds none 0; a large scale brings those between near 1.
    """
    values, vectors = torch.linalg.eigh(gram)
    share = values.clamp_min(0) / values.clamp_min(0).sum().clamp_min(torch.finfo(values.dtype).tiny)
    counts = scale * share / (scale * share + 1 - share).clamp_min(torch.finfo(values.dtype).tiny)
    return (vectors * counts) @ vectors.T


def projection(forget: torch.Tensor, retain: torch.Tensor, settings: SVDSettings) -> torch.Tensor:
    """I - (M_f - M_f M_r) [inputs, inputs], from the two Gram matrices: what only D_f uses is taken out."""
    m_f, m_r = scaled_space(forget, settings.forget_scale), scaled_space(retain, settings.retain_scale)
    return torch.eye(len(m_f), dtype=m_f.dtype, device=m_f.device) - (m_f - m_f @ m_r)


def svd(view: View, settings: SVDSettings) -> nn.Module:
    """Project every layer's weights out of what only D_f uses; ``history["removed"]`` is the share of their length that went."""
    student = view.student()
    forget = grams_of(view, student, view.forget, settings, "forget")
    retain = grams_of(view, student, view.retain, settings, "retain")
    kept = whole = 0.0
    with torch.no_grad(), track(len(forget), view.name, unit="layer") as bar:
        for name, layer in layers_of(student).items():
            if name in forget:  # a layer that the forward pass leaves out has no inputs
                weight = layer.weight.flatten(1)
                found = (weight.double() @ projection(forget[name], retain[name], settings).T).to(weight)
                kept, whole = kept + found.square().sum().item(), whole + weight.square().sum().item()
                layer.weight.copy_(found.view_as(layer.weight))
            bar.update()
    view.log("removed", 1 - (kept / whole) ** 0.5)
    return student


def svd_passes(settings: SVDSettings, sizes: Sizes) -> Passes:
    """The two samples, forward."""
    return Passes(0, min(settings.samples, sizes.forget) + min(settings.samples, sizes.retain))
