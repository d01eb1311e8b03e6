"""A method's entry in the table, and the one way to run it.

``run_method`` also holds every method, those of other packages included, to the contract: the request's model is left bit for bit
as it was, and the result shares no storage with it.
"""

import hashlib
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from ..support.devices import synchronise
from ..training import TrainingDiverged
from .access import DataAccess, LabelAccess
from .catalogue import find as entry
from .passes import Passes
from .request import UnlearningRequest
from .view import View


class ContractError(RuntimeError):
    """A method changed the model it was given, or gave back (parts of) it."""


@dataclass(frozen=True)
class Sizes:
    """Numbers of images, from which a definition implies its passes."""

    forget: int
    retain: int
    few: int = 0  # retained images with known labels
    held_out: int = 0  # of the forgotten classes


Implied = Callable[[Any, Sizes], Passes]
ImpliedSteps = Callable[[Any, Sizes], int]


@dataclass(frozen=True)
class Method:
    """One line of the table.

    Args:
        name: key of the table, and in records.
        reference: where it was published.
        label_access, data_access: what ``function`` may read; reading more raises.
        settings: published defaults.
        function: ``function(view, settings)`` gives the unlearned model; it may ``view.log`` and counts passes in ``view.spent``.
        title: what tables print; the name where empty.
        by_task: published settings where they differ by task (``data``, ``class``, ``noisy``).
        mode: of BatchNorm while the method works: ``train``, ``eval`` or ``none`` (no forward pass).
        implied: passes that the definition implies, ``None`` where they depend on more than numbers of images.
        ascent: steps against D_f that the definition implies (``parts.Spent``), ``None`` where it takes none.
        outside_claim: why the row is not ranked beside the others: what its publication claims is not what is asked here, or
            it works on an original of its own. Empty for every row that is ranked.
        identity: changes of the settings at which the model must come back unchanged, ``None`` where there are none.
        raises_forget_loss: whether the definition aims at a higher loss on D_f.
        prepare: ``prepare(view, settings)`` trains the method's own original and gives (model, state).
    """

    name: str
    reference: str
    label_access: LabelAccess
    data_access: DataAccess
    settings: Any
    function: Callable[[View, Any], nn.Module]
    title: str = ""
    by_task: Mapping[str, Any] = field(default_factory=dict)
    mode: str = "train"
    implied: Implied | None = None
    ascent: ImpliedSteps | None = None
    outside_claim: str = ""
    identity: Mapping[str, object] | None = None
    raises_forget_loss: bool = False
    prepare: Callable[[View, Any], tuple[nn.Module, object]] | None = None

    def published(self, task: str | None = None) -> Any:
        """The published settings for a task, or the defaults where the publication makes no difference."""
        return self.by_task.get(task or "", self.settings)

    def ascent_steps(self, settings: Any, sizes: Sizes) -> int:
        """Steps against D_f that the definition implies at these settings and sizes."""
        return self.ascent(settings, sizes) if self.ascent else 0


def row(name: str, settings: Any, function: Callable[[View, Any], nn.Module], by_task: Mapping[str, Any] | None = None,
        **more: Any) -> Method:
    """The catalogue's entry of that name with what runs it; ``more`` as in ``Method``.

    ``implied`` and ``ascent`` are by default what stands beside the function as ``FUNCTION_passes`` and ``FUNCTION_ascent``.
    """
    beside, own = vars(sys.modules[function.__module__]), function.__name__
    more = {"implied": beside.get(f"{own}_passes"), "ascent": beside.get(f"{own}_ascent")} | more
    return Method(settings=settings, function=function, by_task=by_task or {}, **vars(entry(name)), **more)


@dataclass(frozen=True)
class MethodResult:
    """What a method gives.

    Args:
        model: the unlearned network in evaluation mode, sharing no storage with the original.
        settings: those it ran with.
        history: by name, one value per epoch (or per run).
        passes: images forward and backward, and forward only.
        ascent_steps: optimiser steps against D_f (``parts.Spent``); 0 where the method takes none.
        seconds: wall-clock time of the method alone, the original's training and checks not counted.
        prepared: ``prepared`` of the next request, where the method keeps state from one to the next.
    """

    method: str
    model: nn.Module
    settings: Any
    history: dict[str, list[float]]
    passes: Passes
    ascent_steps: int
    seconds: float
    prepared: Mapping[str, object]


def fingerprint(model: nn.Module) -> str:
    """SHA-256 over every parameter and buffer: equal sums, equal bits."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def shares_storage(first: nn.Module, second: nn.Module) -> bool:
    """Whether any parameter or buffer of the two lies in the same memory."""
    places = [{t.untyped_storage().data_ptr() for t in (*m.parameters(), *m.buffers()) if t.numel()} for m in (first, second)]
    return bool(places[0] & places[1])


def run(method: Method, request: UnlearningRequest, settings: Any = None) -> MethodResult:
    """Run ``method`` on ``request``.

    Args:
        settings: the published ones for the request's task where ``None``.

    Raises:
        LabelAccessError, DataAccessError: the method read more than it declares, or the request lacks what it needs.
        ContractError: it changed the request's model or gave back a part of it.
        TypeError: settings of another method.
        TrainingDiverged: a loss or a weight is not finite.
    """
    settings = method.published(request.task) if settings is None else settings
    if not isinstance(settings, type(method.settings)):
        raise TypeError(f"{method.name} takes {type(method.settings).__name__}, got {type(settings).__name__}")
    before = fingerprint(request.original)
    view = View(request, method.name, method.label_access, method.data_access)
    synchronise(view.device)
    start = time.perf_counter()
    model = method.function(view, settings).eval().requires_grad_(True)
    synchronise(view.device)
    seconds = time.perf_counter() - start
    if fingerprint(request.original) != before:
        raise ContractError(f"{method.name} changed the model that it was given")
    if not all(value.isfinite().all() for value in model.parameters()):
        raise TrainingDiverged(f"{method.name}: a weight is not finite; lower the learning rate")
    if shares_storage(model, request.original):
        raise ContractError(f"{method.name} gave back memory of the model that it was given")
    prepared = {**request.prepared, **({method.name: view.kept} if view.kept is not None else {})}
    spent = view.spent
    return MethodResult(method.name, model, settings, view.history, spent.passes(), spent.ascent, seconds, prepared)


def prepare_with(method: Method, request: UnlearningRequest, settings: Any = None) -> UnlearningRequest:
    """The request with the method's own original and its state; unchanged for a method that takes any original.

    Training an original is not unlearning: it reads all data and labels, whatever the method declares.
    """
    if method.prepare is None:
        return request
    view = View(request, method.name, LabelAccess.ALL, DataAccess.BOTH)
    original, state = method.prepare(view, method.published(request.task) if settings is None else settings)
    return replace(request, original=original.eval(), prepared={**request.prepared, method.name: state})


def with_pseudo_labels(implied: Implied, *, retain: bool) -> Implied:
    """The count of a variant on pseudo-labels: the original passes D_f once more and, where ``retain``, D_r."""

    def passes(settings: Any, sizes: Sizes) -> Passes:
        base = implied(settings, sizes)
        return Passes(base.training, base.frozen + sizes.forget + (sizes.retain if retain else 0))

    return passes
