"""How a trial of the equal tuning is watched on its way, and what makes it cheaper without changing what it asks."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any, cast
from unittest.mock import patch

import torch
from torch import nn

from ..laf import LAF
from ..losses import Densities
from ..methods import UnlearningRequest
from ..methods import laf as laf_rows
from ..models import Network
from ..settings.config import VAEConfig

LOOK_AFTER = 4_000  # images passed forward and backward, from one look to the next
Fits = dict[VAEConfig, tuple[Densities, dict[str, list[float]]]]


def percent(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> float:
    """Accuracy in percent, in evaluation mode; the modes of the modules are put back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with torch.no_grad():
        right = 100 * (model(inputs).argmax(1) == labels).float().mean().item()
    for module, mode in modes:
        module.training = mode
    return right


@contextmanager
def watched(request: UnlearningRequest, look: Callable[[nn.Module, int], None]) -> Iterator[UnlearningRequest]:
    """The request with an original whose trained copies are looked at as they pass images; what forgets otherwise is not.

    Hooks of a module go with its copies, so that no method has to know that it is watched. LAF passes images through the
    extractor alone: such a copy is looked at with the original's classifier, which LAF leaves as it is.
    """
    original = cast(Network, deepcopy(request.original))
    passed, looks, whole = 0, 0, False

    def count(model: nn.Module, given: torch.Tensor) -> None:
        nonlocal passed, looks
        if not (torch.is_grad_enabled() and given.requires_grad):
            return
        passed += len(given)
        if passed >= (looks + 1) * LOOK_AFTER:
            looks += 1
            look(model, looks)

    def enter(model: nn.Module, inputs: Any) -> None:
        nonlocal whole
        whole = True

    def leave(model: nn.Module, inputs: Any, logits: torch.Tensor) -> None:
        nonlocal whole
        whole = False
        count(model, logits)

    def represent(extractor: nn.Module, inputs: Any, representations: torch.Tensor) -> None:
        if not whole:
            count(nn.Sequential(extractor, original.classifier), representations)

    original.register_forward_pre_hook(enter)
    original.register_forward_hook(leave)
    original.extractor.register_forward_hook(represent)
    yield replace(request, original=original)


@contextmanager
def fused() -> Iterator[None]:
    """Adam and SGD take a step in one pass over the weights, rounded otherwise: on a processor the step itself is what costs."""
    with ExitStack() as stack:
        for kind in (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD):
            stack.enter_context(patch.dict(kind.__init__.__kwdefaults__, fused=True))
        yield


@contextmanager
def fitted_once(kept: Fits) -> Iterator[None]:
    """LAF's densities of a request and seed, fitted by the first trial that needs them; no trial changes how they are fitted."""
    fit = laf_rows.fitted

    def fitted(view: Any, found: LAF) -> LAF:
        if found.vae in kept:
            found.densities, losses = deepcopy(kept[found.vae])
            found.losses |= losses
        done = fit(view, found)
        kept.setdefault(found.vae, deepcopy((found.densities, found.losses)))
        return done

    with patch.object(laf_rows, "fitted", fitted):
        yield
