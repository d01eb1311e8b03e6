"""What unlearning says about the images that stay: an attacker who sees a model before and after it.

Forgetting some images moves the model on the others, on those it keeps otherwise than on those it never saw. The attacker tells
three kinds apart, forgotten, retained and unseen, by the probabilities of the original and of the unlearned model. Retraining
moves the model as well, so that the pair (original, retrained) is the reference, and the pair with a second retrained model the
null. A model that has not changed at all gives away what the original alone does.

Source: Fu et al., "Revisiting Privacy Leakage in Machine Unlearning", arXiv 2605.01129 (TC-UMIA), of which we could read the
abstract: three kinds, predictions before and after. Features, attacker and reference are this project's.
"""

from collections.abc import Sequence

import numpy as np
import torch

from .attackers import cross_fitted, log_probabilities
from .evidence import PerImage, auc_of, mean_of

FORGOTTEN, RETAINED, UNSEEN = range(3)


def before_and_after(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """The attacker's features [n, 3 classes] of probabilities [n, classes]: both, sorted by the original's, and their difference.

    Sorting by the original hides which class an image is of, and keeps what became of each class.
    """
    order = before.argsort(dim=1, descending=True)
    first, second = (log_probabilities(part.gather(1, order)) for part in (before, after.to(before.device)))
    return torch.cat([first, second, second - first], 1)


def three_way(features: Sequence[torch.Tensor], *, seed: int) -> dict[str, PerImage]:
    """The attack on forgotten, retained and unseen images.

    ``retained``: AUC of retained against unseen images; ``forgotten``: of forgotten against unseen ones; ``right``: share of all
    images whose kind is found, each kind weighing the same; 1/3 is blind.

    Args:
        features: of the three kinds, in this order, [n, width] each.
        seed: draws the attacker's halves.

    Raises:
        ValueError: not three kinds.
    """
    if len(features) != 3:
        raise ValueError(f"three kinds of images, got {len(features)}")
    scores = cross_fitted(features, seed=seed)

    def against_unseen(kind: int) -> PerImage:
        return auc_of(*(scores[k][:, kind] - scores[k][:, UNSEEN] for k in (kind, UNSEEN)))

    total = sum(map(len, scores))
    right = [(part.argmax(1) == kind) * total / (3 * len(part)) for kind, part in enumerate(scores)]
    return {
        "retained": against_unseen(RETAINED), "forgotten": against_unseen(FORGOTTEN), "right": mean_of(np.concatenate(right)),
    }
