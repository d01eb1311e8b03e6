"""Chapter 4: the published attack row by row, what its number is worth, and how much of it is the attack's own luck.

Convention, as in ``audit.attack``: *member* is the positive class, all numbers in percent.
"""

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_curve

from ...audit import published_attack
from ...audit.attack import AttackResult, AttackScores, attack_scores
from ...evaluation import Evaluation
from ...run import Run
from ...settings.names import MEASURE_NAMES, MODEL_NAMES
from ...support.seeds import derive

RERUNS = 10
RANKS = {"largest": -1, "second": -2, "third": -3}
KINDS = {"members": "members (D_r)", "non_members": "non-members (test)", "forget": "attacked: D_f"}


def attack_views(run: Run, evaluation: Evaluation) -> dict[str, AttackScores]:
    """The published attack on each model, with its rows and scores."""
    return {name: attack_scores(*sets, seed=run.config.seed) for name, sets in attacked_sets(run, evaluation).items()}


def attacked_sets(run: Run, evaluation: Evaluation) -> dict[str, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """By model, its probabilities [n, classes] on D_r, on D_f and on the test images."""
    passed = {name: (out.train.probabilities.cpu(), out.test.probabilities.cpu()) for name, out in evaluation.outputs.items()}
    return {name: (train[run.task.retain], train[run.task.forget], test) for name, (train, test) in passed.items()}


def row_counts(result: AttackResult) -> str:
    """Which rows the attacker learns from and which it is asked about, as lines of plain text."""
    rule = "as published" if result.as_published else "half of the test set, which is too small for the published 5,024"
    return "\n".join([
        f"learns from  {result.learned_members:6,} members (D_r)   {result.learned_non_members:6,} non-members (test, {rule})",
        f"is asked of  {result.members:6,} members (D_f)   {result.non_members:6,} non-members (other test images)",
        f"always answering member scores {result.chance:.2f} %, always answering non-member {100 - result.chance:.2f} %",
    ])


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """ln(p / (1 - p)) in nats, within -18 and 18: where probabilities near 0 and 1 can still be told apart."""
    p = np.clip(probabilities.astype(np.float64), 1e-8, 1 - 1e-8)
    return np.log(p / (1 - p))


def rank_odds(views: dict[str, AttackScores]) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Model to rank to kind to log-odds [n] in nats of the largest, second and third probability of each image."""
    return {
        model: {rank: {kind: log_odds(view.features[kind][:, place]) for kind in KINDS} for rank, place in RANKS.items()}
        for model, view in views.items()
    }


def blind_attackers(chance: float) -> dict[str, dict[str, float]]:
    """What attackers score who look at nothing; ``member_forget`` and ``member_test``: how often they say "member"."""
    blind = {"always “member”": (chance, 100.0), "always “non-member”": (100 - chance, 0.0), "tosses a coin": (50.0, 50.0)}
    return {
        name: {"balanced_accuracy": 50.0, "auc": 50.0, "asr": asr, "member_forget": member, "member_test": member}
        for name, (asr, member) in blind.items()
    }


def chance_table(evaluation: Evaluation, views: dict[str, AttackScores]) -> pd.DataFrame:
    """Blind attackers beside the real one on each model; percent."""
    rows = blind_attackers(evaluation.attacks["original"].chance)
    for model, view in views.items():
        said = {f"member_{kind}": 100 * (view.score > 0.5)[view.truth == k].mean() for k, kind in ((1, "forget"), (0, "test"))}
        rows[f"the attack on {MODEL_NAMES[model]}"] = evaluation.attacks[model].as_dict() | said
    columns = {
        "asr": "ASR", "auc": "AUC", "balanced_accuracy": "balanced accuracy", "member_forget": "D_f called member",
        "member_test": "test called member", "tpr_at_1_fpr": "TPR at 1 % FPR",
    }
    table = {n: {c: f"{r[k]:.2f}" if k in r else "1.00" for k, c in columns.items()} for n, r in rows.items()}
    return pd.DataFrame.from_dict(table, orient="index")


def roc_points(views: dict[str, AttackScores]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """False and true positive rates in percent, by model."""
    curves = {name: roc_curve(view.truth, view.score) for name, view in views.items()}
    return {name: (100 * false, 100 * true) for name, (false, true, _) in curves.items()}


def reruns(run: Run, evaluation: Evaluation, count: int = RERUNS) -> dict[str, list[AttackResult]]:
    """The attack again with other seeds of its own: other members to learn from, other rows left out. The models stay."""
    seeds = [derive(run.config.seed, "rerun", k) for k in range(count)]
    sets = attacked_sets(run, evaluation)
    return {name: [published_attack(*own, seed=seed) for seed in seeds] for name, own in sets.items()}


def rerun_table(found: dict[str, list[AttackResult]]) -> pd.DataFrame:
    """Mean and standard deviation of ASR over the attack's seeds, and first the distance of its mean to the retrained model's."""
    asr = _asr(found)
    return pd.DataFrame.from_dict({
        MODEL_NAMES[name]: {
            "distance to Retrained": f"{values.mean() - asr['retrained'].mean():+.2f}",
            "ASR, mean": f"{values.mean():.2f}", "standard deviation": f"{values.std(ddof=1):.2f}",
            "lowest": f"{values.min():.2f}", "highest": f"{values.max():.2f}",
        } for name, values in asr.items()
    }, orient="index")


def _asr(found: dict[str, list[AttackResult]]) -> dict[str, np.ndarray]:
    return {name: np.array([result.asr for result in results]) for name, results in found.items()}


def noise_finding(found: dict[str, list[AttackResult]]) -> str:
    """Whether the differences between models are larger than the attack's own noise."""
    asr = _asr(found)
    noise = np.sqrt(np.mean([values.var(ddof=1) for values in asr.values()]))
    distance = abs(asr["laf"].mean() - asr["retrained"].mean())
    verdict = "more than" if distance > 2 * np.sqrt(2) * noise else "within"
    return (
        f"**Seen:** over {len(asr['laf'])} seeds of the attack LAF is {distance:.2f} points from the retrained model, {verdict} "
        f"the {2 * np.sqrt(2) * noise:.2f} points that two attacks on equal models may differ by. Seeds of training add "
        "their own."
    )


def gap_table(record: dict) -> pd.DataFrame:
    """|difference| to the retrained model of every measure, the mean of the accuracies' first, in points; ToW is 1 at best."""
    columns = {"mean": "gap", **MEASURE_NAMES, "tow": "ToW"}
    return pd.DataFrame.from_dict({
        MODEL_NAMES[model]: {name: f"{gap[key]:.{3 if key == 'tow' else 2}f}" for key, name in columns.items() if key in gap}
        for model, gap in record["gaps"].items()
    }, orient="index")
