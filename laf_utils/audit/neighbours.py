"""Class removal: what the probabilities of the classes that are left say about images of the class that is gone.

A model that was retrained spreads an image of the removed class over the classes that look like it. A model that only shuts the
class's own output need not, and may be told by that, though its accuracy on the class is the same.

Source: Ebrahimpour-Boroojeny, Wang, Sundaram, arXiv 2506.20893 (the attack is called MIA-NN there, CMIA at ICML 2026), of
which we could read the abstracts: an attack on the probabilities of neighbouring classes, and the total variation distance
between predicted probabilities. Which classes are neighbours, the attacker and the comparison with the retrained model are this
project's.
"""

from collections.abc import Sequence

import torch

from .attackers import cross_fitted, log_probabilities
from .evidence import PerImage, auc_of

NEIGHBOURS = 3  # classes that take most of the removed class's probability in the retrained model


def over_kept(probabilities: torch.Tensor, forget_classes: Sequence[int]) -> torch.Tensor:
    """Probabilities [n, kept classes] given that the class is none of the removed ones; float64.

    Raises:
        ValueError: no class is removed, or none is kept.
    """
    kept = [c for c in range(probabilities.shape[1]) if c not in set(forget_classes)]
    if not kept or len(kept) == probabilities.shape[1]:
        raise ValueError("there must be removed classes and kept ones")
    rest = probabilities.double()[:, kept].clamp(min=torch.finfo(torch.float64).tiny)
    return rest / rest.sum(1, keepdim=True)


def neighbours_of(probabilities: torch.Tensor, forget_classes: Sequence[int], count: int = NEIGHBOURS) -> list[int]:
    """The kept classes with most probability on images of the removed ones, the nearest first.

    Args:
        probabilities: [n, classes] of the retrained model on images of the removed classes.
    """
    kept = torch.tensor([c for c in range(probabilities.shape[1]) if c not in set(forget_classes)])
    return kept[over_kept(probabilities, forget_classes).mean(0).argsort(descending=True)[:count].cpu()].tolist()


def neighbour_attack(
    removed: torch.Tensor, near: torch.Tensor, forget_classes: Sequence[int], *, seed: int
) -> PerImage:
    """AUC of telling images of the removed class from images of its neighbours by the kept classes' probabilities alone.

    The retrained model has a value of its own, well above 0.5: strange images look strange. What counts is the difference.

    Args:
        removed, near: probabilities [n, classes] of one model, on test images of the removed and of the neighbouring classes.
        seed: draws the attacker's halves.
    """
    groups = [log_probabilities(over_kept(part, forget_classes)) for part in (removed, near)]
    first, second = cross_fitted(groups, seed=seed)
    return auc_of(first[:, 0] - first[:, 1], second[:, 0] - second[:, 1])


def total_variation(first: torch.Tensor, second: torch.Tensor, forget_classes: Sequence[int]) -> torch.Tensor:
    """Total variation distance [n] of two models' probabilities [n, classes] over the kept classes; 0 equal, 1 disjoint."""
    a, b = (over_kept(part, forget_classes) for part in (first, second))
    return (a - b).abs().sum(1) / 2
