"""A request to forget, as every method receives it (through a ``view.View`` of what the method may read)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import nn

from ..images import Images, ImageView
from ..tasks import ForgetTask

FEW = 1.0  # of D_r: as in the pipeline; no source states how many labels LAF+R may read, so it may read them all


@dataclass(frozen=True, eq=False)
class UnlearningRequest:
    """What is to be forgotten, from which model, and what is at hand for it.

    Args:
        original: the trained model, logits [B, classes]; no method changes it.
        forget, retain: images of D_f and D_r, on the model's device.
        forget_labels, retain_labels: int64 [len(forget)], [len(retain)], the labels the original was trained on. ``None`` where
            there are none: label-free methods run all the same.
        seed: draws order, crops, noise and fresh initialisations.
        held_out, held_out_labels: labelled images that nothing was trained on and that nothing is reported on: never test images.
        label_share: share of D_r whose labels may be read by methods that declare few labels.
        fresh: ``fresh(seed, stage)`` gives a newly initialised network, e.g. ``architecture.build``. Without it a copy of the
            original draws every layer anew by the layer's own rule.
        task: ``data``, ``class`` or ``noisy``; only selects published settings, no method sees it.
        prepared: by method name, what ``prepare`` kept from a method's own original training.

    Raises:
        ValueError: an image in both sets, sets on two devices, or an impossible share.
    """

    original: nn.Module
    forget: ImageView
    retain: ImageView
    forget_labels: torch.Tensor | None = None
    retain_labels: torch.Tensor | None = None
    seed: int = 0
    held_out: ImageView | None = None
    held_out_labels: torch.Tensor | None = None
    label_share: float = FEW
    fresh: Callable[[int, str], nn.Module] | None = None
    task: str | None = None
    prepared: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.label_share <= 1:
            raise ValueError(f"label_share must be above 0 and at most 1, got {self.label_share!r}")
        if self.forget.device != self.retain.device:
            raise ValueError(f"D_f is on {self.forget.device} and D_r on {self.retain.device}")
        if same_pixels(self.forget, self.retain):
            twice = torch.isin(row_ids(self.forget), row_ids(self.retain)).sum().item()
            if twice:
                raise ValueError(f"{twice} images are both in D_f and in D_r")


def request_of(original: nn.Module, images: ImageView, task: ForgetTask, **others: Any) -> UnlearningRequest:
    """The request of a task over the training images; ``others`` are further fields of ``UnlearningRequest``."""
    return UnlearningRequest(
        original, images.subset(task.forget), images.subset(task.retain), task.train_labels[task.forget],
        task.train_labels[task.retain], **{"task": task.name} | others,
    )


def row_ids(images: ImageView) -> torch.Tensor:
    """int64 [N], the rows of the pixel tensor: what identifies an image of a set, whatever view of it is at hand."""
    if not isinstance(images, Images):
        return cast(Any, images).rows
    return torch.arange(len(images), device=images.device) if images.index is None else images.index


def same_pixels(first: ImageView, second: ImageView) -> bool:
    """Whether two views lie on one pixel tensor (or, of images of one's own, in one store)."""
    if not isinstance(first, Images):
        return cast(Any, first).same_set(second)
    assert isinstance(second, Images)
    return first.pixels.data_ptr() == second.pixels.data_ptr() and first.pixels.shape == second.pixels.shape


def joined(first: ImageView, second: ImageView) -> ImageView:
    """Both views as one, ``first`` and then ``second``; no pixel is copied where they share them.

    Raises:
        ValueError: the transforms differ.
    """
    if not isinstance(first, Images):
        return cast(Any, first).joined(second)
    assert isinstance(second, Images)
    if first.transform != second.transform:
        raise ValueError(f"cannot join images with different transforms: {first.transform} and {second.transform}")
    if same_pixels(first, second):
        return Images(first.pixels, first.transform, torch.cat([row_ids(first), row_ids(second)]))
    parts = [part.pixels if part.index is None else part.pixels[part.index] for part in (first, second)]
    return Images(torch.cat(parts), first.transform)
