"""How near a model is to the retrained one where accuracies do not look: in its representations and its answers."""

from functools import lru_cache

import torch

from ..audit.distance import jensen_shannon, linear_cka, mean_distance
from ..losses import drift
from ..models import Network
from ..representations import Outputs, outputs
from ..support.seeds import stream
from .problem import Problem

PARTS = ("forget", "retain")
SAMPLE = 2_000  # images of each set: CKA of a few hundred would be biased upwards


def _sample(problem: Problem, part: str) -> torch.Tensor:
    """int64, sorted rows of at most ``SAMPLE`` images of D_f or D_r, the same for every model of a request."""
    rows = getattr(problem.run.task, part)
    drawn = torch.randperm(len(rows), generator=stream(problem.config.seed, "comparison", "distances", part))[:SAMPLE]
    return rows[drawn].sort().values


def _passed(problem: Problem, model: Network, part: str) -> Outputs:
    images = problem.run.frozen_images.for_evaluation().subset(_sample(problem, part))
    found = outputs(model, images, f"{part}, distances")
    return Outputs(found.representations.cpu(), found.logits.cpu())


@lru_cache(maxsize=1)
def _references(problem: Problem) -> dict[str, tuple[Outputs, Outputs]]:
    """Of the original and of the retrained model, by set: the same for all cells of a request, and those follow each other."""
    run = problem.run
    return {part: (_passed(problem, run.original, part), _passed(problem, run.retrained, part)) for part in PARTS}


def to_retrained(problem: Problem, model: torch.nn.Module) -> dict[str, dict[str, float | None]] | None:
    """By set (``forget``, ``retain``), of a sample of it; ``None`` for a model without an extractor or with one of another
    width, such as SISA's, in which the members' representations stand in a row.

    ``cka`` and ``distance``: linear CKA and mean distance to the retrained representations (``audit.distance``); ``drift``: mean
    c(x) = 1 - cos to the *original's* representation; ``agreement``: percent of images answered as the retrained model answers;
    ``divergence``: Jensen-Shannon to its probabilities, in nats.
    """
    if not isinstance(model, Network):
        return None
    found = {}
    for part, (start, goal) in _references(problem).items():
        own = _passed(problem, model, part)
        if own.representations.shape != goal.representations.shape:
            return None
        same = (own.predictions == goal.predictions).float().mean().item()
        found[part] = {
            "cka": linear_cka(own.representations, goal.representations),
            "distance": mean_distance(own.representations, goal.representations),
            "drift": drift(own.representations, start.representations).mean().item(),
            "agreement": 100 * same,
            "divergence": jensen_shannon(own.probabilities, goal.probabilities),
        }
    return {part: {name: value if value == value else None for name, value in own.items()} for part, own in found.items()}
