"""Frozen passes: representations and logits, computed once and without gradients.

The published code recomputes the frozen original's representations in every epoch and step, with gradients. Nothing that is
frozen is computed twice here, unless random crops make the same image a new input each time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from .images import ImageView
from .models import Network
from .support.progress import track

PASS_BATCH = 500  # images; larger batches gain nothing on a CPU and cost memory

Place = Callable[[tuple[int, ...]], torch.Tensor]  # an empty float32 tensor of a shape, in memory or mapped to a file


def _batches(images: ImageView, label: str, generator: torch.Generator | None) -> Iterator[torch.Tensor]:
    with track(len(images), label, unit="image") as bar:
        for x in images.in_order(PASS_BATCH, generator):
            yield x
            bar.update(len(x))


@torch.no_grad()
def apply_frozen(
    module: nn.Module, images: ImageView, label: str = "frozen pass", generator: torch.Generator | None = None,
    place: Place | None = None,
) -> torch.Tensor:
    """``module`` in evaluation mode over all images: float32 [N, width]. The module's mode is put back afterwards.

    Args:
        place: where the result goes; beside the images by default.
    """
    training, result, start = module.training, torch.empty(0, device=images.device), 0
    module.eval()
    try:
        for x in _batches(images, label, generator):
            batch = module(x).float()
            if not start:  # one allocation: a list that is joined at the end would need twice the memory
                shape = (len(images), *batch.shape[1:])
                result = batch.new_empty(shape) if place is None else place(shape)
            result[start : start + len(batch)] = batch
            start += len(batch)
    finally:
        module.train(training)
    return result


@dataclass(frozen=True)
class Outputs:
    """What one pass over a set gives."""

    representations: torch.Tensor  # float32 [n, 256] of the rows that were asked for, by default of all N
    logits: torch.Tensor  # float32 [N, classes]

    @property
    def predictions(self) -> torch.Tensor:
        """int64 [N], the most likely class."""
        return self.logits.argmax(1)

    @property
    def probabilities(self) -> torch.Tensor:
        """float32 [N, classes], softmax."""
        return self.logits.softmax(1)


@torch.no_grad()
def outputs(
    model: Network, images: ImageView, label: str = "evaluation", generator: torch.Generator | None = None,
    keep: torch.Tensor | None = None,
) -> Outputs:
    """Logits of all images, and representations of the rows ``keep`` (all by default), in one pass over the network."""
    representations = apply_frozen(model.extractor, images, label, generator)
    logits = model.classifier(representations).float()
    return Outputs(representations if keep is None else representations[keep.to(representations.device)], logits)


class FrozenRepresentations:
    """A frozen extractor's representations of a set: computed once where the transform is deterministic.

    With random crops the same image is a new input in every epoch, so those are recomputed, as published.
    """

    def __init__(
        self, extractor: nn.Module, images: ImageView, known: torch.Tensor | None = None, place: Place | None = None
    ) -> None:
        self._extractor = extractor
        self._images = images
        self._cache = known
        self._place = place  # of the cache: what does not fit in memory is mapped to a file

    def __len__(self) -> int:
        return len(self._images)

    @property
    def cached(self) -> bool:
        return self._images.transform.deterministic

    def subset(self, rows: torch.Tensor) -> "FrozenRepresentations":
        """The representations of some rows; what is known already is not computed again."""
        known = None if self._cache is None else self._cache[rows.to(self._cache.device)]
        return FrozenRepresentations(self._extractor, self._images.subset(rows), known)

    def prepare(self) -> "FrozenRepresentations":
        """Compute now what can be kept."""
        if self.cached:
            self.epoch(torch.default_generator)
        return self

    def epoch(self, generator: torch.Generator) -> torch.Tensor:
        """All representations [N, 256] as one epoch sees them."""
        if not self.cached:
            return apply_frozen(self._extractor, self._images, "representations", generator)
        if self._cache is None:
            self._cache = apply_frozen(self._extractor, self._images, "representations", place=self._place)
        return self._cache

    @torch.no_grad()
    def of_batch(self, rows: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Representations [B, 256] of the images ``rows``, whose network inputs (this epoch's crops) are ``inputs``."""
        if self.cached:
            known = self.epoch(torch.default_generator)
            return known[rows.to(known.device)].to(self._images.device)
        return self._extractor(inputs)
