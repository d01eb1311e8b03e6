"""Membership measures that need no shadow models: U-MIA and RMIA.

Both are read beside the retrained model's value: an attack that finds forgotten images *less* often than it finds images the
retrained model never saw has found something too.
"""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import StratifiedShuffleSplit, cross_val_score

from ..support.seeds import derive, stream

CLIP = 100.0  # nats: losses beyond it count as it
LEAST_LOSS = 1e-30  # nats: what a loss of zero counts as
SPLITS = 10
RMIA_A = 0.3  # how much the retrained models' confidence counts for the models that saw the image (offline RMIA)


@dataclass(frozen=True)
class UMIA:
    """U-MIA on one model; percent."""

    accuracy: float  # mean over the splits; 50 is blind
    std: float  # over the splits
    images: int  # how many of each kind were compared


@dataclass(frozen=True)
class Ranking:
    """How well a score tells members from others; percent. AUC 50 is blind."""

    auc: float
    tpr_at_1_fpr: float
    tpr_at_01_fpr: float
    members: int
    non_members: int

    def as_dict(self) -> dict[str, float | int]:
        return asdict(self)


def ranking(members: np.ndarray, others: np.ndarray) -> Ranking:
    """AUC and true positive rates of a score that is meant to be higher for members.

    Raises:
        ValueError: a group is empty.
    """
    if not len(members) or not len(others):
        raise ValueError("a ranking needs members and others")
    truth, score = np.repeat([1, 0], [len(members), len(others)]), np.concatenate([members, others])
    false_positive, true_positive, _ = roc_curve(truth, score, drop_intermediate=False)

    def at(rate: float) -> float:
        return 100.0 * float(true_positive[false_positive <= rate].max())

    return Ranking(100.0 * float(roc_auc_score(truth, score)), at(0.01), at(0.001), len(members), len(others))


def log_loss(losses: torch.Tensor) -> torch.Tensor:
    """log of losses in nats, float64; a loss that is no number or beyond 100 counts as 100, zero and below as 1e-30."""
    return losses.double().nan_to_num(CLIP, CLIP, LEAST_LOSS).clamp(LEAST_LOSS, CLIP).log()


def u_mia(forget: torch.Tensor, test: torch.Tensor, *, seed: int) -> UMIA:
    """Logistic regression that tells forgotten from test images by one number, the logarithm of the label's loss.

    The published attack reads the loss itself. A network that is sure of nearly all images has losses over many orders of
    magnitude, of which a line on the loss sees the largest alone: of two log-normal groups that the best threshold tells apart
    in 94 % it finds 78 %, on their logarithm 93 %.

    Args:
        forget, test: losses [n_f], [n_t] in nats of D_f and of test images of the same classes; the larger group is sampled.
        seed: draws the sample and the ten stratified splits, half of the images in each test part.

    Raises:
        ValueError: fewer than four images in a group.

    Source: Kurmanji et al., "Towards Unbounded Machine Unlearning", NeurIPS 2023, section 4 (MIA), there on the loss.
    """
    count = min(len(forget), len(test))
    if count < 4:
        raise ValueError(f"U-MIA needs at least four images of each kind, got {len(forget)} and {len(test)}")
    draw = stream(seed, "u-mia")
    groups = [part.cpu()[torch.randperm(len(part), generator=draw)[:count]] for part in (forget, test)]
    losses = log_loss(torch.cat(groups)).numpy()[:, None]
    splits = StratifiedShuffleSplit(n_splits=SPLITS, test_size=0.5, random_state=derive(seed, "u-mia", "splits") % 2**32)
    scores = cross_val_score(LogisticRegression(), losses, np.repeat([1, 0], count), cv=splits, scoring="accuracy")
    return UMIA(100.0 * float(scores.mean()), 100.0 * float(scores.std(ddof=1)), count)


def relative_confidence(model: torch.Tensor, out: torch.Tensor, a: float = RMIA_A) -> torch.Tensor:
    """r(x) = p_model(x) / p(x) with p(x) = ((1 + a) mean_OUT p(x) + (1 - a)) / 2, [n].

    Args:
        model: p(y | x) [n] of the audited model.
        out: p(y | x) [K, n] of K models that did not see the images.
    """
    return model / (((1 + a) * out.mean(0) + (1 - a)) / 2)


def rmia(
    forget: torch.Tensor, forget_out: torch.Tensor, test: torch.Tensor, test_out: torch.Tensor, *, a: float = RMIA_A
) -> Ranking:
    """Offline RMIA in its population form, with retrained models as the models that did not see the images.

    An image's score is the share of held-out images z with r(x) / r(z) > 1. Half of the test images (every second one) are
    held out to compare with, the others are the non-members that are attacked.

    Its limits here: with K = 1 the one reference model is also the model that the result is read beside, so that a chance of its
    training counts twice; and a rate of 0.1 % cannot be resolved by fewer than 1,000 non-members: with 490, as on class removal
    of MNIST, the TPR at 0.1 % FPR is the TPR at no false positive at all.

    Args:
        forget, test: p(y | x) [n_f], [n_t] of the audited model.
        forget_out, test_out: [K, n_f], [K, n_t] of the retrained models.

    Source: Zarifzadeh, Liu, Shokri, "Low-Cost High-Power Membership Inference Attacks", ICML 2024.
    """
    forgotten = relative_confidence(forget, forget_out, a).double().cpu()
    tested = relative_confidence(test, test_out, a).double().cpu()
    held, attacked = tested[::2].sort().values, tested[1::2]

    def share(r: torch.Tensor) -> np.ndarray:
        return (torch.searchsorted(held, r.contiguous()).double() / len(held)).numpy()

    return ranking(share(forgotten), share(attacked))
