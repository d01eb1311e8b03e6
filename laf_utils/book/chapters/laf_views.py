"""What the figures of a run show, computed from its outputs."""

from functools import partial

import numpy as np
import torch

from ...audit.projection import shared_projection
from ...evaluation import Evaluation
from ...run import Run


def touched_classes(run: Run) -> tuple[int, ...]:
    """The true classes of the forget set."""
    return tuple(run.task.true_labels[run.task.forget].unique().tolist())


def class_accuracy(run: Run, evaluation: Evaluation) -> dict[str, np.ndarray]:
    """Test accuracy by class in percent, [classes] per model."""
    labels, count = run.data.test.labels, partial(torch.bincount, minlength=run.data.num_classes)
    hits = {name: labels[output.test.predictions.cpu() == labels] for name, output in evaluation.outputs.items()}
    return {name: (100 * count(own) / count(labels).clamp_min(1)).numpy() for name, own in hits.items()}


def forget_predictions(run: Run, evaluation: Evaluation) -> dict[str, np.ndarray]:
    """What each model calls the forgotten images: percent [touched classes, classes]."""
    true, result = run.task.true_labels[run.task.forget], {}
    for name, output in evaluation.outputs.items():
        predicted = output.train.predictions.cpu()[run.task.forget]
        rows = [torch.bincount(predicted[true == c], minlength=run.data.num_classes).float() for c in touched_classes(run)]
        result[name] = torch.stack([100 * row / row.sum() for row in rows]).numpy()
    return result


def confidence(run: Run, evaluation: Evaluation) -> dict[str, dict[str, np.ndarray]]:
    """The largest softmax probability of every forgotten and every test image, per model."""
    return {
        name: {
            "forget": output.train.probabilities.max(1).values.cpu()[run.task.forget].numpy(),
            "test": output.test.probabilities.max(1).values.cpu().numpy(),
        }
        for name, output in evaluation.outputs.items()
    }


def representation_maps(
    run: Run, evaluation: Evaluation, models: tuple[str, ...] = ("original", "retrained", "laf")
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Maps [n, 2] of the evaluation's sample in several models (``audit.projection``), true classes [n], forgotten [n]."""
    rows = evaluation.sample
    forgotten = torch.isin(rows, run.task.forget).numpy()
    found = {name: evaluation.outputs[name].train.representations.cpu().numpy() for name in models}
    return shared_projection(found, forgotten, run.config.seed), run.task.true_labels[rows].numpy(), forgotten
