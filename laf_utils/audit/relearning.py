"""How fast a model learns again what it forgot, and whether forgotten images come back by themselves.

``distance.relearn_time`` counts epochs until an accuracy is reached. Here every step counts: a copy of the model is fine-tuned
for 64 steps, and its confidence in *other* forgotten images, which the fine-tuning does not show, is read on the way. Two
fine-tunings: on a few forgotten images among retained ones, and on retained images alone, which is what an owner does who goes on
using the model. Two readings: how confident the model is on the way, and how much more so of forgotten images than of test
images of the same classes, which generalisation alone cannot explain.

Sources: Golatkar et al., CVPR 2020 (relearn time); Gao et al., arXiv 2604.08271, of which we could read the abstract (fine-tuning
brings erased concepts back). Steps, mixture and readings are this project's.
"""

import copy

import torch
import torch.nn.functional as F

from ..images import Images, shuffled
from ..models import Network
from ..representations import apply_frozen
from ..settings.config import TrainingConfig
from ..support.seeds import stream
from ..training import TrainingDiverged, adam
from .confidence import label_probability, log_odds
from .evidence import PerImage, auc_of, mean_of

STEPS = (1, 2, 4, 8, 16, 32, 64)  # after which the model is read: equal distances in the logarithm


def fine_tuned_logits(
    model: Network, images: Images, labels: torch.Tensor, watched: Images, config: TrainingConfig, *, seed: int, stage: str,
    steps: tuple[int, ...] = STEPS,
) -> torch.Tensor:
    """Logits [steps, n, classes] of the watched images on the way of a fine-tuning of all weights.

    Args:
        model: left untouched.
        images, labels: what is shown; int64 [N]. They are shown again in a new order where the steps need more.
        watched: n images that are not shown.
        config: gives batch size, learning rate and weight decay of Adam.
        seed: with ``stage``, draws the order.
        steps: after which the model is read, rising.

    Raises:
        ValueError: numbers of images and labels that differ, or none.
        TrainingDiverged: the loss is not finite.
    """
    if len(images) != len(labels) or not len(images):
        raise ValueError(f"{len(images)} images and {len(labels)} labels to fine-tune on")
    batches: list[torch.Tensor]
    student, draw, labels = copy.deepcopy(model), stream(seed, stage, "order"), labels.to(images.device)
    optimiser, read, batches = adam(student.parameters(), config.learning_rate, config.weight_decay), [], []
    for step in range(1, max(steps) + 1):
        batches = batches or shuffled(len(images), config.batch_size, draw, drop_last=True)
        rows = batches.pop()
        student.train()
        loss = F.cross_entropy(student(images.batch(rows, draw)), labels[rows.to(labels.device)])
        if not torch.isfinite(loss):
            raise TrainingDiverged(f"{stage}: the loss of step {step} is not a number; lower the learning rate")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step in steps:
            read.append(apply_frozen(student, watched.for_evaluation(), stage).cpu())
    return torch.stack(read)


def confidence_on_the_way(logits: torch.Tensor, labels: torch.Tensor) -> PerImage:
    """Probability of the label, averaged over the steps; logits [steps, n, classes], labels int64 [n]."""
    return mean_of(torch.stack([label_probability(step, labels) for step in logits]).mean(0))


def return_of_forgotten(
    forget: torch.Tensor, forget_labels: torch.Tensor, test: torch.Tensor, test_labels: torch.Tensor
) -> PerImage:
    """AUC of phi, averaged over the steps, of forgotten against test images of the same classes; 0.5: no memory comes back.

    Args:
        forget, test: logits [steps, n, classes] on the way.
        forget_labels, test_labels: int64 [n].
    """
    pair = ((forget, forget_labels), (test, test_labels))
    return auc_of(*(torch.stack([log_odds(step, labels) for step in logits]).mean(0) for logits, labels in pair))
