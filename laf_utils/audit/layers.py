"""What every layer of a network makes of images: the places that probes look at."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import nn

from ..images import Images
from ..models import Network
from ..representations import PASS_BATCH

REPRESENTATION, LOGITS = "representation", "logits"
SIDE = 4  # feature maps are averaged to at most 4x4, so that a probe has hundreds of inputs, not thousands


def layers_of(model: Network) -> dict[str, nn.Module]:
    """The layers that are probed, by name, from the input to the output.

    Of the extractor every activation and every block of several modules that is a direct part of it, then ``representation``;
    of the classifier every hidden linear layer, then ``logits``.
    """
    found: dict[str, nn.Module] = {}
    for name, module in model.extractor.named_children():
        if isinstance(module, nn.ReLU) or next(module.children(), None) is not None:
            found[f"extractor {name}"] = module
    found[REPRESENTATION] = model.extractor
    hidden = [
        (name, module) for name, module in model.classifier.named_children() if isinstance(module, nn.Linear)
    ][:-1]
    found |= {f"classifier {name}": module for name, module in hidden}
    return found | {LOGITS: model.classifier}


@contextmanager
def _watched(layers: dict[str, nn.Module], seen: dict[str, torch.Tensor]) -> Iterator[None]:
    def keep(name: str):
        def hook(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
            seen[name] = flat(output)
        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in layers.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def flat(output: torch.Tensor) -> torch.Tensor:
    """A layer's output [B, ...] as float32 [B, width]; maps [B, C, H, W] are averaged to at most 4x4 first."""
    if output.ndim == 4:
        height, width = (min(side, SIDE) for side in output.shape[2:])
        output = F.adaptive_avg_pool2d(output, (height, width))
    return output.detach().flatten(1).float()


@torch.no_grad()
def layer_features(model: Network, images: Images) -> dict[str, torch.Tensor]:
    """float32 [N, width] of every layer of ``layers_of`` over all images, in evaluation mode, without random crops.

    The model's mode is put back afterwards.
    """
    training, parts, images = model.training, [], images.for_evaluation()
    model.eval()
    try:
        seen: dict[str, torch.Tensor] = {}
        with _watched(layers_of(model), seen):
            for batch in images.in_order(PASS_BATCH):
                model(batch)
                parts.append({name: value.cpu() for name, value in seen.items()})
    finally:
        model.train(training)
    return {name: torch.cat([part[name] for part in parts]) for name in layers_of(model)}
