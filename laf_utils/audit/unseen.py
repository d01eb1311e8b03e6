"""Was it forgotten? A two-sided audit of the forget set against unseen images, with the power it had.

The score of an image is how sure the audited model is of its own answer (log-odds), so that no label is needed. A model that
never saw D_f is as sure of it as of unseen images of the same kind: AUC 50 %. Above: D_f still looks learned. Below: D_f stands
out as less sure than anything unseen, which tells an onlooker as much. An audit that could not have seen a leak says nothing, so
the smallest one that it would have seen is stated beside it.
"""

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist

import torch

from .confidence import log_odds

LEVEL = 0.05  # two-sided
POWER = 0.8
LEAST = 20  # images on each side
QUANTILE = NormalDist().inv_cdf  # of the normal distribution


@dataclass(frozen=True)
class Audit:
    """Percentages."""

    auc: float  # 50 is blind
    low: float  # its 95 % interval
    high: float  # likewise
    detectable: float  # distance from 50 that an audit of this size finds in four cases of five
    tpr_at_1_fpr: float  # share of D_f that stands out among unseen images where one in a hundred of these does
    forget: int  # images
    unseen: int  # likewise

    @property
    def side(self) -> str:
        """``leak``, ``over-forgotten`` or ``none``, of what the interval shows."""
        return "leak" if self.low > 50 else "over-forgotten" if self.high < 50 else "none"

    def as_dict(self) -> dict[str, float | int | str]:
        return asdict(self) | {"side": self.side}


def sureness(logits: torch.Tensor) -> torch.Tensor:
    """phi [n]: the largest logit minus the log-sum-exp of the others, the log-odds of the model's own answer."""
    return log_odds(logits.float(), logits.argmax(1)).clamp(-100, 100)


def separation(forget: torch.Tensor, unseen: torch.Tensor) -> float:
    """AUC in 0..1 of telling D_f from unseen images by sureness, from logits [n, classes]."""
    from scipy.stats import rankdata  # a second of importing

    count, others = len(forget), len(unseen)
    ranks = rankdata(torch.cat([sureness(forget), sureness(unseen)]).cpu().numpy())  # ties share their rank
    return float((ranks[:count].sum() - count * (count + 1) / 2) / (count * others))  # Mann and Whitney's U, as a share


def auc_error(forget: int, unseen: int, auc: float = 0.5) -> float:
    """Standard error of an AUC (Hanley and McNeil 1982), in 0..1."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (forget - 1) * (q1 - auc**2) + (unseen - 1) * (q2 - auc**2)
    return math.sqrt(max(variance, 0.0) / (forget * unseen))


def detectable_difference(forget: int, unseen: int) -> float:
    """|AUC - 1/2| in 0..1 that is found with probability ``POWER`` at ``LEVEL``, two-sided."""
    return (QUANTILE(1 - LEVEL / 2) + QUANTILE(POWER)) * auc_error(forget, unseen)


def audit(forget: torch.Tensor, unseen: torch.Tensor) -> Audit | None:
    """The audit of one model, from its logits [n, classes] on both sets; ``None`` of fewer than 20 images on a side."""
    if min(len(forget), len(unseen)) < LEAST:
        return None
    auc, (n, m) = separation(forget, unseen), (len(forget), len(unseen))
    half = QUANTILE(1 - LEVEL / 2) * auc_error(n, m, auc)
    threshold = sureness(unseen).sort(descending=True).values[math.ceil(0.01 * m) - 1]
    return Audit(
        100 * auc, 100 * max(0.0, auc - half), 100 * min(1.0, auc + half), 100 * detectable_difference(n, m),
        100 * (sureness(forget) > threshold).float().mean().item(), n, m,
    )
