"""A label-free rule for when to stop unlearning.

It reads only what is at hand without labels: on a fixed sample of each set, the share of images that the unlearned network
classifies as the original does (agreement). Forgetting is done when agreement on the forget set no longer falls; it has gone
too far when agreement on the retain set drops below a floor. The best point is kept and put back.
"""

import copy

import torch

from .images import Images
from .models import Network
from .representations import outputs
from .seeds import stream

SAMPLE = 500  # images of each set; the standard error of an agreement near 95 % is then about one point
FLOOR = 0.97  # agreement on retained images below which utility counts as lost
GAIN = 0.005  # fall of forget agreement that still counts as progress
PATIENCE = 2  # epochs without progress


class AgreementRule:
    """Watches one unlearning run; ``should_stop`` after every epoch, then ``restore_best``."""

    def __init__(self, original: Network, forget: Images, retain: Images, seed: int) -> None:
        draw = stream(seed, "stopping")
        self._sets = {
            name: images.for_evaluation().subset(torch.randperm(len(images), generator=draw)[:SAMPLE])
            for name, images in (("forget", forget), ("retain", retain))
        }
        self._before = {name: self._predict(original, name) for name in self._sets}
        self.seen: list[dict[str, float]] = []
        self._best: tuple[float, int, dict[str, torch.Tensor]] | None = None
        self._waited = 0

    def _predict(self, model: Network, name: str) -> torch.Tensor:
        return outputs(model, self._sets[name], "stopping rule").predictions

    def should_stop(self, model: Network) -> bool:
        """Record the agreement of ``model`` with the original; whether this epoch should be the last."""
        now = {name: (self._predict(model, name) == self._before[name]).float().mean().item() for name in self._sets}
        self.seen.append(now)
        healthy = now["retain"] >= FLOOR
        progress = self._best is None or now["forget"] < self._best[0] - GAIN
        if healthy and progress:
            self._best = (now["forget"], len(self.seen), copy.deepcopy(model.state_dict()))
            self._waited = 0
        else:
            self._waited += 1
        return self._waited >= PATIENCE

    def restore_best(self, model: Network) -> int:
        """Put the best epoch's weights back; returns its number, 0 where no epoch was good enough to keep."""
        if self._best is None:
            return len(self.seen)
        model.load_state_dict(self._best[2])
        return self._best[1]
