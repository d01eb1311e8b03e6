"""Boundary Shrink and Boundary Expand: Chen, Gao, Liu, Peng, Wang, "Boundary Unlearning", CVPR 2023.

Both read D_f only and train in training mode. Both are very sensitive to the learning rate.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..images import IMAGENET_MEAN, IMAGENET_STD, Transform
from ..support.progress import track
from ..support.seeds import initialisation
from .loops import BatchLoss, one_pass, sgd
from .method import Sizes
from .passes import Passes
from .settings import Settings
from .view import View, last_linear


@dataclass(frozen=True)
class BoundarySettings(Settings):
    """Shared by both; the published settings of Shrink, which Expand takes over (none of its own are described)."""

    epochs: int = 10  # passes over D_f
    learning_rate: float = 1e-5  # SGD
    momentum: float = 0.9
    batch_size: int = 64  # images


@dataclass(frozen=True)
class ShrinkSettings(BoundarySettings):
    """Boundary Shrink as released: the target is what the original says of the adversarial image, the image's own label or not.

    The own label is the target of most of a class that the original knows well, and then nothing moves it. The paper's words
    ("nearest but incorrect") may mean what ``OTHER`` does.
    """

    step: float = 0.1  # of the adversarial step, in pixel units of [0, 1]
    rounded: bool = True  # the adversarial image, to whole steps of 1 / 255
    exclude_own: bool = False  # published: the own label may be the target; True takes the likeliest other class


OTHER = ShrinkSettings(rounded=False, exclude_own=True)  # ours: the own label is left out of the target


def adversarial(
    model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, transform: Transform, step: float, rounded: bool = False
) -> torch.Tensor:
    """clip(x + step sign grad_x CE(model(x), y)) in pixel space, as network inputs [B, C, h, w].

    Where the transform normalises, the step and the range 0..1 of a pixel are carried over to network inputs; a positive
    scale leaves the gradient's sign as it is. ``rounded`` takes the nearest of the 256 levels of a pixel.
    """
    x = inputs.detach().clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(x), labels), x)
    mean, scale = x.new_zeros(1), x.new_ones(1)
    if transform.normalise:
        mean, scale = x.new_tensor(IMAGENET_MEAN).view(1, 3, 1, 1), x.new_tensor(IMAGENET_STD).view(1, 3, 1, 1)
    moved = inputs + step / scale * gradient.sign()
    moved = torch.minimum(torch.maximum(moved, (0 - mean) / scale), (1 - mean) / scale)
    return ((moved * scale + mean) * 255).round().div(255).sub(mean).div(scale) if rounded else moved


@torch.no_grad()
def nearest_class(model: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """int64 [B]: argmax of the logits."""
    return model(inputs).argmax(1)


@torch.no_grad()
def nearest_other_class(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """int64 [B]: argmax of the logits, the labels themselves left out."""
    return model(inputs).scatter(1, labels[:, None], float("-inf")).argmax(1)


class _Neighbours:
    """The target of each image: the class its adversarial neighbour falls into, in the frozen original.

    Nothing in it changes during unlearning, so each image's is found once unless crops make it a new input every time.
    """

    def __init__(self, view: View, settings: ShrinkSettings) -> None:
        self.view, self.settings, self.labels = view, settings, view.forget.targets
        self.keep = view.forget.images.transform.deterministic
        self.known = torch.full((len(view.forget),), -1, device=view.device)

    def __call__(self, rows: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """int64 [B] of the images ``rows``, whose network inputs are ``inputs``."""
        if not self.keep or (self.known[rows] < 0).any():
            view, labels, s = self.view, self.labels[rows], self.settings
            moved = adversarial(view.original, inputs, labels, view.forget.images.transform, s.step, s.rounded)
            found = nearest_other_class(view.original, moved, labels) if s.exclude_own else nearest_class(view.original, moved)
            self.known[rows] = found
            view.spent.training += len(rows)  # the gradient of the input: forward and backward
            view.spent.frozen += len(rows)
        return self.known[rows]


def _descend(view: View, student: nn.Module, settings: BoundarySettings, loss_of: BatchLoss) -> nn.Module:
    """The shared loop: SGD on D_f only."""
    optimiser = sgd(student.train(), settings.learning_rate, settings.momentum)
    order, images = view.stream("order"), view.forget.images
    with track(settings.epochs * -(-len(images) // settings.batch_size), view.name) as bar:
        for _ in range(settings.epochs):
            loss = one_pass(
                view, student, optimiser, images, loss_of, batch_size=settings.batch_size, order=order, bar=bar
            )
            view.log("loss", loss)
    return student


def shrink(view: View, settings: ShrinkSettings) -> nn.Module:
    """Boundary Shrink: move D_f to where its adversarial neighbours lie for the original."""
    target = _Neighbours(view, settings)
    return _descend(
        view, view.student(), settings, lambda rows, inputs, logits: F.cross_entropy(logits, target(rows, inputs))
    )


def shrink_passes(settings: ShrinkSettings, sizes: Sizes) -> Passes:
    """D_f once for the neighbours (an input gradient and a look at what it gave), then every epoch."""
    once = sizes.forget if settings.epochs else 0
    return Passes(once + settings.epochs * sizes.forget, once)


def with_classes(model: nn.Module, rows: int, fresh: nn.Linear | None = None) -> nn.Module:
    """``model`` with its last linear layer cut to ``rows`` classes, or widened to them by the rows of ``fresh``, in place."""
    name, old = last_linear(model)
    weight, bias = old.weight.detach(), None if old.bias is None else old.bias.detach()
    if fresh is not None:
        weight = torch.cat([weight, fresh.weight.detach()])
        bias = None if bias is None else torch.cat([bias, fresh.bias.detach()])
    new = nn.utils.skip_init(  # no draw: the global random state stays as it was
        nn.Linear, old.in_features, rows, bias=bias is not None, device=weight.device, dtype=weight.dtype
    )
    with torch.no_grad():
        new.weight.copy_(weight[:rows])
        if bias is not None:
            new.bias.copy_(bias[:rows])
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, new)
    return model


def expand(view: View, settings: BoundarySettings) -> nn.Module:
    """Boundary Expand: a class row more, D_f trained into it, the row dropped. Reads no label."""
    student, classes = view.student(), view.classes
    old = last_linear(student)[1]
    with initialisation(view.seed, "methods", "expand"):
        fresh = nn.Linear(old.in_features, 1, bias=old.bias is not None).to(view.device)
    with_classes(student, classes + 1, fresh)
    _descend(
        view, student, settings,
        lambda rows, _, logits: F.cross_entropy(logits, torch.full_like(rows, classes)),
    )
    return with_classes(student, classes)


def expand_passes(settings: BoundarySettings, sizes: Sizes) -> Passes:
    """Every epoch passes D_f."""
    return Passes(settings.epochs * sizes.forget)
