"""A label-free rule for when to stop unlearning.

It reads only what is at hand without labels: on a fixed sample of each set, the share of images that the unlearned network
classifies as the original does (agreement). Forgetting is done when agreement on the forget set no longer falls; a point
whose agreement on the retain set lies below a floor has gone too far. The best point is kept and put back.
"""

import copy
import math
from typing import Protocol

import torch
from torch import nn

from .images import ImageView
from .models import Network
from .representations import outputs
from .support.seeds import stream

SAMPLE = 500  # images of each set; the standard error of an agreement near 95 % is then about one point
EVERY = 50  # steps between looks: two passes over the samples cost a tenth of the 50 steps between them
FLOOR = 0.9  # agreement on retained images below which utility counts as lost and a point is not kept
GAIN = 0.01  # fall of forget agreement that still counts as progress: half of what the sample's noise could feign
PATIENCE = 2  # looks without progress


class Rule(Protocol):
    """What may watch an unlearning run instead: ``should_stop`` after every ``every`` steps, ``restore_best`` at the end."""

    every: int
    seen: list[dict[str, float]]

    @property
    def images_passed(self) -> int: ...

    def should_stop(self, model: nn.Module, step: int) -> bool: ...

    def restore_best(self, model: nn.Module) -> int | None: ...


class AgreementRule:
    """Watches one unlearning run: ``should_stop`` every ``EVERY`` steps, then ``restore_best``."""

    def __init__(self, original: Network, forget: ImageView, retain: ImageView, seed: int) -> None:
        draw = stream(seed, "stopping")
        self._sets = {
            name: images.for_evaluation().subset(torch.randperm(len(images), generator=draw)[:SAMPLE])
            for name, images in (("forget", forget), ("retain", retain))
        }
        self._before = {name: self._predict(original, name) for name in self._sets}
        self.seen: list[dict[str, float]] = []
        self._best: tuple[tuple[float, float], int, dict[str, torch.Tensor]] | None = None
        self._lowest, self._waited = math.inf, 0

    @property
    def images_passed(self) -> int:
        """Images passed forward so far, the original's pass included."""
        return (1 + len(self.seen)) * sum(len(images) for images in self._sets.values())

    def _predict(self, model: Network, name: str) -> torch.Tensor:
        return outputs(model, self._sets[name], "stopping rule").predictions

    def should_stop(self, model: Network, step: int) -> bool:
        """Record the agreement of ``model`` with the original; whether this step should be the last."""
        now = {name: (self._predict(model, name) == self._before[name]).float().mean().item() for name in self._sets}
        self.seen.append({"step": step, **now})
        progress = now["forget"] < min(self._lowest, 1.0) - GAIN
        # Utility may dip while the representation moves and come back with alignment: a dip is not kept, but does not end
        # the run either.
        if progress:
            self._lowest, self._waited = now["forget"], 0
        elif self._lowest <= 1.0:  # forgetting has begun
            self._waited += 1
        rank = (now["forget"], -now["retain"])  # most forgotten; of equals, the most useful
        if now["retain"] >= FLOOR and (self._best is None or rank < self._best[0]):
            self._best = (rank, step, copy.deepcopy(model.state_dict()))
        return self._waited >= PATIENCE

    def restore_best(self, model: Network) -> int | None:
        """Put the best look's weights back; returns its step, ``None`` where no look was good enough to keep."""
        if self._best is None:
            return None
        model.load_state_dict(self._best[2])
        return self._best[1]
