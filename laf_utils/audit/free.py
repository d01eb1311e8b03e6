"""Every measure that costs no further model, from the outputs that a run has anyway."""

from dataclasses import asdict

import torch

from ..tasks import ForgetTask
from .accuracy import ModelOutputs
from .confidence import label_loss, label_probability, log_odds
from .distance import debiased_cka, distance_by_image, jensen_shannon, ks_distance, mean_distance, wasserstein
from .membership import rmia, u_mia
from .verdict import verdict

LEAST = 4  # images of each kind that the attacks need
# Of the measures. 1, which older records hold without saying so: U-MIA on the loss (``u_mia``), the p of KS (``ks_log10_p``),
# biased CKA (``cka_forget``), a verdict without a level. What changed its meaning changed its name: no old number is read as new.
DEFINITION = 2


def free_measures(
    outputs: dict[str, ModelOutputs], task: ForgetTask, test_labels: torch.Tensor, sample: torch.Tensor, *, seed: int
) -> dict[str, dict]:
    """By model: U-MIA, RMIA, distances of phi and Jensen-Shannon divergence on D_f, debiased CKA and distance to the retrained
    representation on D_r and D_f, and the verdict; ``definition`` numbers what is meant by them.

    A measure that compares with the retrained model is ``None`` for that model itself. Labels are those the original was
    trained on, for noisy labels the wrong ones.

    Args:
        outputs: of every model, one of them ``retrained``, with the representations of the rows ``sample`` of the training set.
        test_labels: int64 [n].
        sample: int64, training rows.
        seed: draws what U-MIA samples.
    """
    goal = outputs["retrained"]
    of_forget = torch.isin(sample, task.forget)
    return {
        name: {"definition": DEFINITION} | _attacks(own, goal, task, test_labels.cpu(), seed, own is goal)
        | _representations(own, goal, of_forget, own is goal)
        for name, own in outputs.items()
    }


def _of(values: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return values[rows.to(values.device)]


def _attacks(
    own: ModelOutputs, goal: ModelOutputs, task: ForgetTask, test_labels: torch.Tensor, seed: int, is_goal: bool
) -> dict[str, object]:
    labels, rows = task.train_labels[task.forget], task.forget
    alike = torch.isin(test_labels, task.true_labels[rows].unique()).nonzero().squeeze(1)
    enough = min(len(rows), len(alike)) >= LEAST
    found: dict[str, object] = dict.fromkeys(
        ("u_mia_log", "rmia", "ks_distance", "distance_by_image", "wasserstein", "js_forget", "verdict")
    )
    logits = {
        kind: (_of(outputs.train.logits, rows), _of(outputs.test.logits, alike))
        for kind, outputs in (("own", own), ("goal", goal))
    }
    if enough:
        found["u_mia_log"] = asdict(u_mia(
            label_loss(logits["own"][0], labels), label_loss(logits["own"][1], test_labels[alike]), seed=seed
        ))
    if is_goal:
        return found
    if enough:
        p = {
            kind: (label_probability(pair[0], labels), label_probability(pair[1], test_labels[alike]))
            for kind, pair in logits.items()
        }
        found["rmia"] = rmia(p["own"][0], p["goal"][0][None], p["own"][1], p["goal"][1][None]).as_dict()
    phi = {kind: log_odds(pair[0], labels) for kind, pair in logits.items()}
    for name, measure in (
        ("ks_distance", ks_distance), ("distance_by_image", distance_by_image), ("wasserstein", wasserstein),
    ):
        found[name] = measure(phi["own"], phi["goal"])
    found["js_forget"] = jensen_shannon(logits["own"][0].softmax(1), logits["goal"][0].softmax(1))
    if len(rows) >= LEAST:
        found["verdict"] = asdict(verdict(phi["own"], phi["goal"]))
    return found


def _representations(own: ModelOutputs, goal: ModelOutputs, of_forget: torch.Tensor, is_goal: bool) -> dict[str, float | None]:
    names = ("debiased_cka_retain", "debiased_cka_forget", "distance_retain", "distance_forget")
    if is_goal:
        return dict.fromkeys(names)
    found = []
    for measure in (debiased_cka, mean_distance):
        for part in (~of_forget, of_forget):
            pair = [_of(outputs.train.representations, part) for outputs in (own, goal)]
            value = measure(*pair) if len(pair[0]) > 1 else float("nan")
            found.append(value if value == value else None)  # a record holds no nan
    return dict(zip(names, found, strict=True))
