"""What a method holds: its view of a request, with exactly the labels and images that it declared.

What was not declared is not stored in the view at all, so it cannot be read by mistake; asking for it raises. The original is a
private copy, so that no method can change the model that was handed in.
"""

import copy
from typing import Any, cast

import torch
from torch import nn

from ..representations import apply_frozen
from ..support.seeds import initialisation, stream
from .access import DataAccess, DataAccessError, LabelAccess, LabelAccessError
from .parts import SETS, Part, Spent
from .request import UnlearningRequest

KINDS = {"forget": DataAccess.FORGET, "retain": DataAccess.RETAIN, "held_out": DataAccess.HELD_OUT}


class View:
    """A request through the eyes of one method.

    Attributes:
        original: a private frozen copy of the original in evaluation mode.
        spent: add the image passes you make (``loops`` does it for you).
        history: what ``log`` collected.
        kept: the state for the next request, where a method has one.
    """

    def __init__(self, request: UnlearningRequest, name: str, labels: LabelAccess, data: DataAccess) -> None:
        self.name, self.label_access, self.data_access, self.seed = name, labels, data, request.seed
        self.original = copy.deepcopy(request.original).eval().requires_grad_(False)
        self.history: dict[str, list[float]]
        self.kept: Any
        self.spent, self.history, self.kept = Spent(), {}, None
        self.device = request.forget.device
        self._fresh = request.fresh
        self._state = request.prepared.get(name) if DataAccess.STATE in data else None
        self._parts = {part: self._part(request, part) for part, kind in KINDS.items() if kind in data}

    def _part(self, request: UnlearningRequest, part: str) -> Part | None:
        """The part with the labels that may be read; labels that may not are not even touched."""
        images, labels, rows = getattr(request, part), None, None
        if images is None:
            return None
        given = getattr(request, f"{part}_labels") if self.label_access > LabelAccess.NONE else None
        few = self.label_access == LabelAccess.FEW
        if given is not None and not (few and part != "retain"):
            if len(given) != len(images):
                raise ValueError(f"{SETS[part]}: {len(images)} images and {len(given)} labels")
            if few:
                count = max(1, round(request.label_share * len(images)))
                rows = torch.randperm(len(images), generator=stream(request.seed, "few labels"))[:count].sort().values
            labels = (given.clone() if rows is None else given[rows]).to(self.device)
        return Part(SETS[part], images, self, labels, rows)

    def label_refusal(self, what: str) -> LabelAccessError:
        """The error for labels that were not declared."""
        return LabelAccessError(
            f"{self.name} asked for {what} but declares label access {self.label_access.words!r}; "
            "use .pseudo_labels, or declare more in its Method"
        )

    def _require(self, part: str) -> Part:
        if part not in self._parts:
            raise DataAccessError(
                f"{self.name} asked for {SETS[part]} but declares data access {self.data_access.words!r}; "
                "declare more in its Method"
            )
        if self._parts[part] is None:
            raise DataAccessError(f"{self.name} needs {SETS[part]} and the request carries none")
        return cast(Part, self._parts[part])

    @property
    def forget(self) -> Part:
        """D_f. Raises ``DataAccessError`` where it was not declared."""
        return self._require("forget")

    @property
    def retain(self) -> Part:
        """D_r. Raises ``DataAccessError`` where it was not declared."""
        return self._require("retain")

    @property
    def held_out(self) -> Part:
        """Images that nothing was trained on. Raises ``DataAccessError`` where it was not declared or is not at hand."""
        return self._require("held_out")

    @property
    def state(self) -> Any:
        """What the method's own original training kept. Raises ``DataAccessError`` without it."""
        if DataAccess.STATE not in self.data_access:
            raise DataAccessError(f"{self.name} asked for state of training but declares data access {self.data_access.words!r}")
        if self._state is None:
            raise DataAccessError(f"{self.name} needs an original of its own: request = prepare({self.name!r}, request)")
        return self._state

    @property
    def classes(self) -> int:
        """Number of classes, from the model's head."""
        return last_linear(self.original)[1].out_features

    def student(self) -> nn.Module:
        """A trainable copy of the original, in evaluation mode, sharing no storage with it."""
        return copy.deepcopy(self.original).requires_grad_(True)

    def fresh(self, stage: str, like: nn.Module | None = None) -> nn.Module:
        """A newly initialised network in evaluation mode, shaped like the original (or ``like``); same seed and stage, same
        weights."""
        if self._fresh is not None:
            return self._fresh(self.seed, stage).to(self.device).eval()
        model = copy.deepcopy(self.original if like is None else like).eval().to("cpu")
        with initialisation(self.seed, stage, "initialisation"):
            for module in model.modules():
                if hasattr(module, "reset_parameters"):
                    cast(Any, module).reset_parameters()
        return model.to(self.device).requires_grad_(True)

    def stream(self, *names: object) -> torch.Generator:
        """A random stream, on the CPU: the same draws on every device, and for every method, so that comparisons are paired."""
        return stream(self.seed, "methods", *names)

    def log(self, name: str, value: float) -> None:
        """Append to ``history[name]``."""
        self.history.setdefault(name, []).append(value)

    def error(self, model: nn.Module, part: Part, rows: torch.Tensor | None = None) -> float:
        """Share of a part's images (or of its ``rows``) that ``model`` gets wrong, without crop and flip."""
        images, labels = part.images.for_evaluation(), part.labels
        if rows is not None:
            images, labels = images.subset(rows), labels[rows]
        self.spent.frozen += len(images)
        return (apply_frozen(model, images, "error").argmax(1) != labels).float().mean().item()


def last_linear(model: nn.Module) -> tuple[str, nn.Linear]:
    """(dotted name, module) of the layer that gives the logits.

    Raises:
        ValueError: the model has no linear layer.
    """
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not found:
        raise ValueError("the model ends in no linear layer: the number of classes cannot be read from it")
    return found[-1]
