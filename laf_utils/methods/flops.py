"""Floating-point operations of any method, counted while it runs.

Passes count images through the whole network and nothing else. What they leave out is here: a generator, a VAE, one layer trained
alone, an eigendecomposition. A multiplication and an addition are two operations. Counted are matrix products, convolutions,
attention and eigendecompositions; element-wise work (activations, normalisation, optimisers) is not, as usual.
"""

import math
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from .method import Method, MethodResult, run
from .request import UnlearningRequest

OF_EIGH = 9  # n^3: a symmetric matrix with its eigenvectors, Golub and Van Loan, Matrix Computations, section 8.3


def _eigh(shape: torch.Size, *args: object, **others: object) -> int:
    return math.prod(shape[:-2]) * OF_EIGH * shape[-1] ** 3


def counter() -> FlopCounterMode:
    """A context that counts what runs in it; ``get_total_flops()`` gives the sum."""
    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten._linalg_eigh: _eigh})


def counted(method: Method, request: UnlearningRequest, settings: Any = None) -> tuple[MethodResult, int]:
    """(the method's result, its floating-point operations); the same weights as ``method.run`` gives, some time later.

    The counter looks at every operation, so seconds of this result are no measure of the method. Raises what ``run`` raises.
    """
    with counter() as count:
        result = run(method, request, settings)
    return result, count.get_total_flops()


def per_image(model: nn.Module, images: torch.Tensor) -> tuple[float, float]:
    """Operations of one frozen and of one training pass, per image.

    Args:
        model: gives logits [B, classes]; neither its weights nor its buffers change.
        images: network inputs [B, C, h, w].
    """
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), counter() as frozen:
            model(images)
        with torch.enable_grad(), counter() as trained:
            parameters = [p for p in model.parameters() if p.requires_grad]
            torch.autograd.grad(model(images).square().sum(), parameters, allow_unused=True)
    finally:
        model.train(training)
    return frozen.get_total_flops() / len(images), trained.get_total_flops() / len(images)
