"""Linear probes: what of the forgotten classes and images can be read from a layer.

A probe is a ridge regression on the layer's standardised outputs: closed form, the same on every machine, no setting to tune.
Nothing about a probe's success is meaningful by itself. A network that never saw a class separates it too, so that every value
is read beside the retrained model's.

Sources: Gao et al., "An Illusion of Unlearning?", arXiv 2604.08271, and "Mirage", arXiv 2605.20282, of which we could read the
abstracts: both recover forgotten classes by linear probes, and compare with retraining. Layers, ridge, few-image probes, the
probe for membership and every number here are this project's.
"""

import numpy as np
import torch
from sklearn.linear_model import Ridge
from sklearn.model_selection import PredefinedSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ..support.seeds import stream
from .evidence import PerImage, auc_of, mean_of

RIDGE = 1e-2  # of the mean variance of the (standardised) inputs
FEW, DRAWS = 10, 20  # images of each class that a few-image probe learns from; how many of them are averaged
FOLDS = 5  # of the probe for membership


def probe(images: int, ridge: float = RIDGE) -> Pipeline:
    """A probe that is to be fitted on so many images: least squares with a penalty; a constant column has no weight."""
    return make_pipeline(StandardScaler(), Ridge(ridge * images))


def _right(
    learn: torch.Tensor, learn_labels: torch.Tensor, asked: torch.Tensor, labels: torch.Tensor, classes: int
) -> np.ndarray:
    """float64 [n], 1 for the asked images that a probe over all classes, fitted on the others, puts into their class."""
    targets = torch.nn.functional.one_hot(learn_labels, classes).double().numpy()
    scores = probe(len(learn)).fit(learn.double().numpy(), targets).predict(asked.double().numpy())
    return (scores.argmax(1) == labels.numpy()).astype(np.float64)


def class_recovery(
    learn: torch.Tensor, learn_labels: torch.Tensor, forget: torch.Tensor, forget_labels: torch.Tensor, classes: int
) -> PerImage:
    """Recall of the forgotten classes: share of their test images that a probe over all classes gets right.

    Args:
        learn, forget: features [n, width] of training images of all classes, and of test images of the forgotten ones.
        learn_labels, forget_labels: int64, true labels.
        classes: number of classes.
    """
    return mean_of(_right(learn, learn_labels, forget, forget_labels, classes))


def few_image_recovery(
    learn: torch.Tensor, learn_labels: torch.Tensor, forget: torch.Tensor, forget_labels: torch.Tensor, classes: int, *,
    seed: int,
) -> PerImage:
    """As ``class_recovery`` with ten training images of each class, averaged over twenty draws that all models share.

    With all images a probe is near 100 % in any layer, a random network's too; with few it shows how ready the class is.
    """
    draw, hits = stream(seed, "few-image probe"), np.zeros(len(forget))
    for _ in range(DRAWS):
        order = torch.randperm(len(learn), generator=draw)
        rows = torch.cat([order[learn_labels[order] == label][:FEW] for label in range(classes)])
        hits += _right(learn[rows], learn_labels[rows], forget, forget_labels, classes)
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
    sign = np.repeat([1.0, -1.0], [len(forget), len(test)])
    images = torch.cat([forget, test]).double().numpy()
    scores = np.empty(len(images))
    for learned, asked in PredefinedSplit(torch.cat(folds).numpy()).split():
        scores[asked] = probe(len(learned)).fit(images[learned], sign[learned]).predict(images[asked])
    return auc_of(scores[: len(forget)], scores[len(forget) :])
