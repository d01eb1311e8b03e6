"""Accuracy on the parts of the data, and the distance to the retrained model. Everything in percent."""

from dataclasses import dataclass

import torch

from ..representations import Outputs
from ..tasks import ForgetTask


@dataclass(frozen=True)
class ModelOutputs:
    """One pass of one model over the training and the test images."""

    train: Outputs
    test: Outputs


def _percent(correct: torch.Tensor) -> float | None:
    """Share of true values in percent, ``None`` of no image."""
    return 100.0 * correct.float().mean().item() if len(correct) else None


def accuracies(outputs: ModelOutputs, task: ForgetTask, test_labels: torch.Tensor) -> dict[str, float | None]:
    """Accuracies of one model in percent.

    ``train_r`` and ``train_f`` on D_r and D_f, against the labels the original was trained on: for noisy labels ``train_f``
    is the accuracy on the *wrong* labels (lower is better), and ``train_f_true`` that on the true ones. ``test`` on the test
    set; for class removal ``test_r`` and ``test_f`` on its kept and forgotten classes, else ``None``.

    Args:
        outputs: of the model over all training images and all test images.
        test_labels: int64 [n].
    """
    predictions = outputs.train.predictions.cpu()
    hit, true_hit = predictions == task.train_labels, predictions == task.true_labels
    test_hit = outputs.test.predictions.cpu() == test_labels.cpu()
    result: dict[str, float | None] = {
        "train_r": _percent(hit[task.retain]), "train_f": _percent(hit[task.forget]),
        "test": _percent(test_hit), "test_r": None, "test_f": None,
    }
    if task.forget_classes:
        kept = task.is_kept_class(test_labels.cpu())
        result |= {"test_r": _percent(test_hit[kept]), "test_f": _percent(test_hit[~kept])}
    if task.name == "noisy":
        result["train_f_true"] = _percent(true_hit[task.forget])
    return result


