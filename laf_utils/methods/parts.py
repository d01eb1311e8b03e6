"""What a view is made of: the sets with their guarded labels, frozen logits computed once, and the count of image passes."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..images import ImageView
from ..representations import FrozenRepresentations
from .access import LabelAccess, LabelAccessError
from .passes import Passes

if TYPE_CHECKING:
    from .view import View

SETS = {"forget": "D_f", "retain": "D_r", "held_out": "the held-out set"}


@dataclass
class Spent:
    """Image passes so far: ``training`` forward and backward, ``frozen`` forward only; and ``ascent``, the steps against D_f.

    A step against D_f climbs a loss on it (SCRUB, NegGrad, NegGrad+; each batch that Unroll takes back) or descends one that
    gives it no target (JiT). How many there are decides how far such a method goes, and the batch of D_f decides how many
    there are: that is why they are counted apart from the passes.
    """

    training: int = 0
    frozen: int = 0
    ascent: int = 0

    def passes(self) -> Passes:
        """As records keep them."""
        return Passes(self.training, self.frozen)


class FrozenLogits:
    """Logits of a frozen network over images: computed once where the transform is deterministic, else for each batch."""

    def __init__(self, model: nn.Module, images: ImageView, spent: Spent) -> None:
        self._model, self._images, self._spent = model, images, spent
        self._frozen = FrozenRepresentations(model, images)
        self._known = False

    def all(self) -> torch.Tensor:
        """float32 [N, classes], of images without crop and flip."""
        if not self._frozen.cached:
            return FrozenLogits(self._model, self._images.for_evaluation(), self._spent).all()
        self._spend_once()
        return self._frozen.prepare().epoch(torch.default_generator)

    def of_batch(self, rows: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Logits [B, classes] of the images ``rows``, whose network inputs are ``inputs``."""
        if self._frozen.cached:
            self._spend_once()
        else:
            self._spent.frozen += len(inputs)
        return self._frozen.of_batch(rows, inputs)

    def _spend_once(self) -> None:
        self._spent.frozen += 0 if self._known else len(self._images)
        self._known = True


class Part:
    """One set of a request as a method may see it.

    Args:
        images: all of the set.
        labels: what may be read, already cut down: ``None``, or labels of the rows ``rows`` (``None``: of all).
    """

    def __init__(
        self, title: str, images: ImageView, view: "View", labels: torch.Tensor | None, rows: torch.Tensor | None = None
    ) -> None:
        self.title, self.images, self._view, self._labels, self._rows = title, images, view, labels, rows

    def __len__(self) -> int:
        return len(self.images)

    @property
    def labels(self) -> torch.Tensor:
        """int64 [N], the labels the original was trained on.

        Raises:
            LabelAccessError: the method does not declare all labels, or the request carries none.
        """
        if self._view.label_access < LabelAccess.ALL:
            raise self._view.label_refusal(f"the labels of {self.title}")
        return self._present()

    def few_labels(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(rows int64 [n], labels int64 [n]): the known labels, of a random share of D_r.

        Raises:
            LabelAccessError: the method declares no labels, the set is not D_r, or the request carries no labels.
        """
        if self._view.label_access < LabelAccess.FEW or self.title != SETS["retain"]:
            raise self._view.label_refusal(f"a few labels of {self.title}")
        labels = self._present()
        return (torch.arange(len(labels)), labels) if self._rows is None else (self._rows, labels)

    def _present(self) -> torch.Tensor:
        if self._labels is None:
            raise LabelAccessError(f"{self._view.name} needs labels of {self.title} and the request carries none")
        return self._labels

    @cached_property
    def logits(self) -> FrozenLogits:
        """The original's, computed once."""
        return FrozenLogits(self._view.original, self.images, self._view.spent)

    @cached_property
    def pseudo_labels(self) -> torch.Tensor:
        """int64 [N], what the original says of each image: argmax, without crop and flip. Reads no label."""
        return self.logits.all().argmax(1)

    @property
    def targets(self) -> torch.Tensor:
        """int64 [N]: the labels where the method declares them all, else pseudo-labels; one function serves both variants."""
        return self.labels if self._view.label_access == LabelAccess.ALL else self.pseudo_labels
