"""Linear probes: what of the forgotten classes and images can be read from a layer.

A probe is a ridge regression on the layer's standardised outputs: closed form, the same on every machine, no setting to tune.
Nothing about a probe's success is meaningful by itself. A network that never saw a class separates it too, so that every value
is read beside the retrained model's.

Sources: Gao et al., "An Illusion of Unlearning?", arXiv 2604.08271, and "Mirage", arXiv 2605.20282, of which we could read the
abstracts: both recover forgotten classes by linear probes, and compare with retraining. Layers, ridge, few-image probes, the
probe for membership and every number here are this project's.
"""

from dataclasses import dataclass

import torch

from ..support.seeds import stream
from .evidence import PerImage, auc_of, mean_of

RIDGE = 1e-2  # of the mean variance of the (standardised) inputs
FEW, DRAWS = 10, 20  # images of each class that a few-image probe learns from; how many of them are averaged
FOLDS = 5  # of the probe for membership


@dataclass(frozen=True)
class Probe:
    """A fitted ridge regression: ``scores = ((x - mean) / std) @ weight + bias``."""

    mean: torch.Tensor
    std: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor

    def scores(self, features: torch.Tensor) -> torch.Tensor:
        """float64 [n, outputs] of features [n, width]."""
        return (features.double() - self.mean) / self.std @ self.weight + self.bias


def fit_probe(features: torch.Tensor, targets: torch.Tensor, ridge: float = RIDGE) -> Probe:
    """Least squares with a penalty, of targets [n, outputs] on features [n, width]; a constant column has no weight.

    Solved in the smaller of both dimensions; the result is the same.

    Raises:
        ValueError: numbers that differ, or no image.
    """
    if len(features) != len(targets) or not len(features):
        raise ValueError(f"a probe needs as many targets as images, and at least one; got {len(features)} and {len(targets)}")
    x, y = features.double(), targets.double()
    mean, std = x.mean(0), x.std(0, correction=0)
    std = torch.where(std > 1e-8, std, torch.inf)
    x, bias = (x - mean) / std, y.mean(0)
    penalty = ridge * len(x)
    if x.shape[1] <= len(x):
        weight = torch.linalg.solve(x.T @ x + penalty * torch.eye(x.shape[1]), x.T @ (y - bias))
    else:
        weight = x.T @ torch.linalg.solve(x @ x.T + penalty * torch.eye(len(x)), y - bias)
    return Probe(mean, std, weight, bias)


def _one_hot(labels: torch.Tensor, classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(labels, classes).double()


def class_recovery(
    learn: torch.Tensor, learn_labels: torch.Tensor, forget: torch.Tensor, forget_labels: torch.Tensor, classes: int
) -> PerImage:
    """Recall of the forgotten classes: share of their test images that a probe over all classes gets right.

    Args:
        learn, forget: features [n, width] of training images of all classes, and of test images of the forgotten ones.
        learn_labels, forget_labels: int64, true labels.
        classes: number of classes.
    """
    probe = fit_probe(learn, _one_hot(learn_labels, classes))
    return mean_of((probe.scores(forget).argmax(1) == forget_labels).double())


def few_image_recovery(
    learn: torch.Tensor, learn_labels: torch.Tensor, forget: torch.Tensor, forget_labels: torch.Tensor, classes: int, *,
    seed: int,
) -> PerImage:
    """As ``class_recovery`` with ten training images of each class, averaged over twenty draws that all models share.

    With all images a probe is near 100 % in any layer, a random network's too; with few it shows how ready the class is.
    """
    draw, hits = stream(seed, "few-image probe"), torch.zeros(len(forget), dtype=torch.float64)
    for _ in range(DRAWS):
        order = torch.randperm(len(learn), generator=draw)
        rows = torch.cat([order[learn_labels[order] == label][:FEW] for label in range(classes)])
        probe = fit_probe(learn[rows], _one_hot(learn_labels[rows], classes))
        hits += (probe.scores(forget).argmax(1) == forget_labels).double()
    return mean_of(hits / DRAWS)


def membership(forget: torch.Tensor, test: torch.Tensor, *, seed: int) -> PerImage:
    """AUC of probes that tell forgotten training images from test images of the same classes; 0.5 is blind.

    Each image is scored by a probe that was fitted without it (five folds, the same for all models).

    Args:
        forget, test: features [n_f, width], [n_t, width].

    Raises:
        ValueError: fewer than five images of a kind.
    """
    if min(len(forget), len(test)) < FOLDS:
        raise ValueError(f"the probe for membership needs {FOLDS} images of each kind, got {len(forget)} and {len(test)}")
    draw = stream(seed, "membership probe")
    folds = [torch.arange(len(part))[torch.randperm(len(part), generator=draw)] % FOLDS for part in (forget, test)]
    scores = [torch.empty(len(part), dtype=torch.float64) for part in (forget, test)]
    for fold in range(FOLDS):
        kept = [part[which != fold] for part, which in zip((forget, test), folds, strict=True)]
        target = torch.cat([torch.full((len(part), 1), sign) for part, sign in zip(kept, (1.0, -1.0), strict=True)])
        probe = fit_probe(torch.cat(kept), target)
        for part, which, score in zip((forget, test), folds, scores, strict=True):
            score[which == fold] = probe.scores(part[which == fold]).squeeze(1)
    return auc_of(*scores)
