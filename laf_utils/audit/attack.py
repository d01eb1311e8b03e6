"""The membership attack of the paper, exactly as published, and beside it the numbers that make it interpretable.

Convention: *member* is the positive class. The attacker learns to tell retained training images (members) from test images
(non-members) by the sorted softmax probabilities, and is then shown the forget set, labelled member, and unseen test images.
ASR is its accuracy on those, in percent. The two groups differ in size, so an attacker who always says "member" scores
``chance`` percent, and 50 means nothing by itself: compare with the retrained model's ASR, or read the balanced accuracy and
the AUC, where 50 is blind.
"""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from sklearn.metrics import balanced_accuracy_score, roc_auc_score, roc_curve
from sklearn.model_selection import train_test_split
from xgboost import XGBClassifier

from ..support.seeds import derive, stream

BATCH = 32  # rows are counted in whole batches, as published
ROWS = 5_000  # rows of each kind the attacker learns from, reached by whole batches: 5,024
UNUSED_SHARE = 0.01  # split off and never used, as published


@dataclass(frozen=True)
class AttackResult:
    """What one attack on one model gives; percentages.

    Args:
        asr: accuracy on the attacked rows, the published number.
        chance: what "always member" scores on the same rows.
        balanced_accuracy, auc: 50 is blind; above, forgotten images look like members.
        tpr_at_1_fpr: share of the forget set found when one test image in a hundred is called a member.
        members, non_members: attacked rows.
        learned_members, learned_non_members: rows the attacker learned from.
        as_published: False where the test set is too small for 5,024 rows and half of it is used.
    """

    asr: float
    chance: float
    balanced_accuracy: float
    auc: float
    tpr_at_1_fpr: float
    members: int
    non_members: int
    learned_members: int
    learned_non_members: int
    as_published: bool

    def as_dict(self) -> dict[str, float | int | bool]:
        return asdict(self)


def whole_batches(rows: int, available: int) -> int:
    """The attack counts in batches of 32: the rows of the batches needed to reach ``rows``, at most what is ``available``."""
    return min(-(-rows // BATCH) * BATCH, available)


def sorted_probabilities(probabilities: torch.Tensor) -> np.ndarray:
    """The attacker's features: each row of the softmax [n, classes] sorted ascending, which hides the class."""
    return probabilities.sort(dim=1).values.cpu().numpy()


def published_attack(retain: torch.Tensor, forget: torch.Tensor, test: torch.Tensor, *, seed: int) -> AttackResult:
    """Train and score the attacker on one model's softmax probabilities.

    Args:
        retain, forget, test: float32 [n, classes] of D_r, D_f and the test set in its order.
        seed: draws the members the attacker learns from and the unused rows. XGBoost itself draws nothing.

    Raises:
        ValueError: fewer than two test images.
    """
    return attack_scores(retain, forget, test, seed=seed).result


@dataclass(frozen=True)
class AttackScores:
    """One attack on one model with what it read and what it said."""

    # kind to sorted probabilities [n, classes]: ``members`` and ``non_members`` are what the attacker learns from, ``forget``
    # what it is asked about
    features: dict[str, np.ndarray]
    truth: np.ndarray  # int [m], 1 for the rows of D_f and 0 for the attacked test images
    score: np.ndarray  # float [m], the attacker's probability of "member" for those rows
    result: AttackResult  # as ``published_attack`` gives it


def attack_scores(retain: torch.Tensor, forget: torch.Tensor, test: torch.Tensor, *, seed: int) -> AttackScores:
    """``published_attack`` with its rows and scores kept; arguments and errors are the same."""
    if len(test) < 2:
        raise ValueError("the attack needs test images to learn from and others to attack")
    published = whole_batches(ROWS, len(test)) < len(test)
    learned_out = whole_batches(ROWS, len(test)) if published else len(test) // 2
    learned_in = whole_batches(ROWS, min(len(forget), len(retain)))
    chosen = torch.randperm(len(retain), generator=stream(seed, "attack", "members"))[:learned_in]
    members, non_members = sorted_probabilities(retain[chosen.to(retain.device)]), sorted_probabilities(test[:learned_out])
    outside = sorted_probabilities(test[learned_out:][: whole_batches(len(forget), len(test) - learned_out)])
    split = train_test_split(
        np.concatenate([members, non_members]), np.repeat([1, 0], [learned_in, learned_out]), test_size=UNUSED_SHARE,
        random_state=derive(seed, "attack", "split") % 2**32,
    )
    attacker = XGBClassifier(n_estimators=100, objective="binary:logistic", n_jobs=torch.get_num_threads())
    attacker.fit(split[0], split[2])
    inside = sorted_probabilities(forget)
    score = attacker.predict_proba(np.concatenate([inside, outside]))[:, 1]
    truth = np.repeat([1, 0], [len(inside), len(outside)])
    kinds = {"members": members, "non_members": non_members, "forget": inside}
    return AttackScores(kinds, truth, score, _scored(truth, score, learned_in, learned_out, published))


def _scored(truth: np.ndarray, score: np.ndarray, learned_in: int, learned_out: int, published: bool) -> AttackResult:
    guess = (score > 0.5).astype(int)
    false_positive, true_positive, _ = roc_curve(truth, score, drop_intermediate=False)
    return AttackResult(
        asr=100.0 * float((guess == truth).mean()), chance=100.0 * float(truth.mean()),
        balanced_accuracy=100.0 * float(balanced_accuracy_score(truth, guess)), auc=100.0 * float(roc_auc_score(truth, score)),
        tpr_at_1_fpr=100.0 * float(true_positive[false_positive <= 0.01].max()),
        members=int(truth.sum()), non_members=int((1 - truth).sum()),
        learned_members=learned_in, learned_non_members=learned_out, as_published=published,
    )
