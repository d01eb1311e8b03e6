"""SMI: which share of the forgotten images still lies where members lie? Nothing is trained.

The features of the forgotten images under a model are taken as a mixture of the features of members (retained training images)
and of non-members (test images), class by class. The share of members is what brings the mixture nearest to them in maximum mean
discrepancy, which has a closed form: with mu the mean embedding of a group in the kernel's space,
``share = 1 - <mu_forget - mu_member, d> / <d, d>`` and ``d = mu_other - mu_member``.

It can only be known where the model tells members from non-members at all. ``separation`` says by how much, and a share is
given only where that is positive; what a share is worth elsewhere, its interval says.

Source: Sun et al., "SMI: Statistical Membership Inference for Reliable Unlearned Model Auditing", arXiv 2602.01150, of which we
could read the abstract: training-free, a mixture proportion of non-members in feature space, bootstrap ranges. Kernel, estimator
and the comparison with the retrained model are this project's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..support.seeds import derive
from .evidence import PerImage

RANGES = 200  # bootstrap draws
SIGNIFICANT = 5.0  # standard errors that the separation must lie above zero


@dataclass(frozen=True)
class Mixture:
    """What SMI says of one model."""

    share: float | None  # of members among the forgotten images, 0 to 1 but for noise; ``None`` where it cannot be known
    low: float | None  # its 95 % bootstrap range over images, or ``None``
    high: float | None  # likewise
    # squared maximum mean discrepancy of members and non-members, without bias; 0 where the model does not tell
    separation: float
    error: float  # standard error of ``separation``
    by_image: PerImage | None  # the share as a mean over forgotten images, or ``None``


def _kernel(groups: Sequence[torch.Tensor]) -> list[list[np.ndarray]]:
    """Gaussian kernel between all groups [n, width], with the median distance of all images as its width."""
    every = torch.cat(list(groups)).double()
    scale = every.std(0, correction=0)
    every = (every - every.mean(0)) / torch.where(scale > 1e-8, scale, torch.inf)
    square = torch.cdist(every, every).square()
    off = square[~torch.eye(len(every), dtype=torch.bool)]
    kernel = (-square / off.median().clamp(min=1e-12)).exp()
    sizes = [len(group) for group in groups]
    return [[block.numpy() for block in row.split(sizes, 1)] for row in kernel.split(sizes, 0)]


def _weighted(block: np.ndarray, left: np.ndarray, right: np.ndarray, same: bool) -> float:
    """Mean of a kernel block over pairs of images drawn with these counts; of one group, over pairs of different images."""
    total, pairs = left @ block @ right, left.sum() * right.sum()
    if same:
        own = (left * right * np.diag(block)).sum()
        total, pairs = total - own, pairs - (left * right).sum()
    return float(total / pairs)


class _Class:
    """One class: the kernel's blocks of forgotten images (0), members (1) and non-members (2)."""

    def __init__(self, forget: torch.Tensor, members: torch.Tensor, others: torch.Tensor) -> None:
        self.blocks = _kernel((forget, members, others))
        self.sizes = [len(forget), len(members), len(others)]

    def moments(self, counts: Sequence[np.ndarray]) -> tuple[float, float]:
        """<mu_f - mu_m, d> and <d, d>."""
        def mean(a: int, b: int) -> float:
            return _weighted(self.blocks[a][b], counts[a], counts[b], a == b)

        members, cross = mean(1, 1), mean(1, 2)
        return mean(0, 2) - mean(0, 1) - cross + members, mean(2, 2) - 2 * cross + members

    def by_image(self) -> np.ndarray:
        """<phi(x) - mu_m, d> of each forgotten image."""
        _, m, o = (np.ones(size) for size in self.sizes)
        members, cross = _weighted(self.blocks[1][1], m, m, True), _weighted(self.blocks[1][2], m, o, False)
        return self.blocks[0][2].mean(1) - self.blocks[0][1].mean(1) - cross + members


def member_share(
    forget: Sequence[torch.Tensor], members: Sequence[torch.Tensor], others: Sequence[torch.Tensor], *, seed: int
) -> Mixture:
    """The share of members among the forgotten images, over all classes together.

    Args:
        forget, members, others: features [n, width] by class, in the same order of classes.
        seed: draws the bootstrap.

    Raises:
        ValueError: numbers of classes that differ, or fewer than three images of a kind in a class.
    """
    if not len(forget) == len(members) == len(others) or not forget:
        raise ValueError(f"groups of {len(forget)}, {len(members)} and {len(others)} classes")
    if min(len(group) for kind in (forget, members, others) for group in kind) < 3:
        raise ValueError("the share of members needs three images of each kind in each class")
    classes = [_Class(*groups) for groups in zip(forget, members, others, strict=True)]
    draw = np.random.default_rng(derive(seed, "mixture"))
    shares, separations = [], []
    for _ in range(RANGES):
        counts = [[draw.multinomial(size, np.full(size, 1 / size)).astype(float) for size in c.sizes] for c in classes]
        share, separation = _pooled([c.moments(count) for c, count in zip(classes, counts, strict=True)], classes)
        shares.append(share)
        separations.append(separation)
    share, separation = _pooled([c.moments([np.ones(size) for size in c.sizes]) for c in classes], classes)
    error = float(np.std(separations, ddof=1))
    if separation <= SIGNIFICANT * error:
        return Mixture(None, None, None, separation, error, None)
    values = np.concatenate([1 - c.by_image() / separation for c in classes])
    low, high = np.nanpercentile(shares, (2.5, 97.5))
    return Mixture(share, float(low), float(high), separation, error, PerImage(values))


def _pooled(moments: Sequence[tuple[float, float]], classes: Sequence[_Class]) -> tuple[float, float]:
    """The share and the separation over classes, each weighing as many as it has forgotten images."""
    weights = np.array([c.sizes[0] for c in classes], dtype=float)
    above, below = (float(np.average([m[place] for m in moments], weights=weights)) for place in (0, 1))
    return (1 - above / below if below > 0 else float("nan")), below
