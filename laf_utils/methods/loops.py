"""What the methods share: batches, optimisers, one pass over a set, and the distillation loss."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from ..images import ImageView, shuffled
from ..training import TrainingDiverged
from .view import View

# (rows on the images' device, network inputs, logits) -> loss, a mean over the batch
BatchLoss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def batches(count: int, batch_size: int, order: torch.Generator) -> list[torch.Tensor]:
    """Shuffled rows cut into batches; a last batch of one image joins the one before it, BatchNorm cannot train on it."""
    cut = shuffled(count, batch_size, order)
    if len(cut) > 1 and len(cut[-1]) == 1:
        cut[-2:] = [torch.cat(cut[-2:])]
    return cut


def step_count(count: int, batch_size: int) -> int:
    """How many ``batches`` there are; known without drawing their order."""
    full, rest = divmod(count, batch_size)
    return full + (rest > 1 or (rest == 1 and not full))


def cycled(count: int, batch_size: int, order: torch.Generator) -> Iterator[torch.Tensor]:
    """Batches without end, reshuffled whenever the set is through."""
    while True:
        yield from batches(count, batch_size, order)


def cycled_images(count: int, batch_size: int, steps: int) -> int:
    """Images in the first ``steps`` batches of ``cycled``."""
    sizes = [len(rows) for rows in batches(count, batch_size, torch.Generator())]
    rounds, rest = divmod(steps, len(sizes))
    return rounds * count + sum(sizes[:rest])


def sgd(
    model: nn.Module, learning_rate: float, momentum: float = 0.0, weight_decay: float = 0.0
) -> torch.optim.SGD:
    """Stochastic gradient descent on all parameters."""
    return torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=momentum, weight_decay=weight_decay)


def take_step(optimiser: torch.optim.Optimizer, loss: torch.Tensor, *, keep: bool = False) -> None:
    """One step on the gradient of this loss alone; ``keep`` adds it to those of the steps before."""
    if not keep:
        optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def one_pass(
    view: View, model: nn.Module, optimiser: torch.optim.Optimizer, images: ImageView, loss_of: BatchLoss, *, batch_size: int,
    order: torch.Generator, bar: tqdm, against: bool = False,
) -> float:
    """One shuffled pass over ``images``, a step per batch; counts the passes and, where they go ``against`` D_f, the steps.

    Returns:
        The mean of the loss per image, measured before each step.

    Raises:
        TrainingDiverged: it is not finite.
    """
    total = torch.zeros((), device=images.device)
    for rows in batches(len(images), batch_size, order):
        inputs = images.batch(rows, order)
        loss = loss_of(rows.to(images.device), inputs, model(inputs))
        take_step(optimiser, loss)
        view.spent.training += len(rows)
        view.spent.ascent += against
        total += loss.detach() * len(rows)
        bar.update()
    return finite(view, total.item() / max(1, len(images)))


def finite(view: View, value: float) -> float:
    """``value``, or ``TrainingDiverged`` where it is infinite or no number."""
    if abs(value) == float("inf") or value != value:
        raise TrainingDiverged(f"{view.name}: the loss is not finite; lower the learning rate")
    return value


def distillation(student: torch.Tensor, teacher: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """T^2 KL(teacher || student) in nats per image, of logits [B, classes] softened by T.

    The mean runs over the batch: a mean over all elements, as in some toolkits, is smaller by the number of classes.
    """
    log_student = F.log_softmax(student / temperature, dim=1)
    log_teacher = F.log_softmax(teacher / temperature, dim=1)
    return temperature**2 * F.kl_div(log_student, log_teacher, log_target=True, reduction="batchmean")
