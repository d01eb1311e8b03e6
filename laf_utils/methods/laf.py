"""LAF and LAF+R behind the signature of all methods; what they do is in ``laf_utils.laf`` and ``laf_utils.vae``.

Shen et al., "Label-Agnostic Forgetting", ICLR 2024. BatchNorm stays in evaluation mode, as published.
"""

from dataclasses import dataclass, field, replace
from typing import Any, cast

from torch import nn

from ..adaptation import Adaptation
from ..laf import LAF, Sets, repair, used_count
from ..models import Network
from ..settings.config import RepairConfig, UnlearningConfig, VAEConfig
from ..settings.presets import reference_settings
from .method import Sizes
from .passes import Passes, repair_images, unlearning_passes
from .request import joined, row_ids
from .view import View


@dataclass(frozen=True)
class LAFSettings:
    """The paper's, for the CNN and class removal; ``published_settings`` gives the others."""

    vae: VAEConfig = field(default_factory=VAEConfig)
    unlearning: UnlearningConfig = field(default_factory=UnlearningConfig)


@dataclass(frozen=True)
class LAFRSettings(LAFSettings):
    """LAF and the repair; the labels that are known come from the request, so ``labelled_share`` is a share of those."""

    repair: RepairConfig = field(default_factory=lambda: RepairConfig(pairing="forget"))


def published_settings(backbone: str, task: str, kind: type = LAFSettings) -> LAFSettings:
    """The paper's settings of a backbone (``cnn``, ``resnet18``) and task, of LAF or of LAF+R (``kind``)."""
    groups: dict[str, dict[str, Any]] = {"vae": {}, "unlearning": {}}
    for name, value in reference_settings(backbone, task).items():
        group, leaf = name.split(".")
        groups[group][leaf] = value
    return kind(VAEConfig(**groups["vae"]), UnlearningConfig(**groups["unlearning"]))


def procedure(view: View, settings: LAFSettings) -> LAF:
    """LAF of a request: all of D stands in the order of its rows, so that h sees it as a run's own h does."""
    both = joined(view.forget.images, view.retain.images)
    order = row_ids(both).argsort()
    place = order.argsort()  # where each image of ``both`` lies in ``everything``
    count, ratio = len(view.forget), settings.unlearning.retain_ratio
    sets = Sets.of(both.subset(order), place[:count].cpu(), place[count:].cpu(), ratio=ratio, seed=view.seed)
    found = LAF(cast(Network, view.original), sets, settings.vae, seed=view.seed)
    view.spent.frozen += found.represented_images
    return found


def fitted(view: View, found: LAF) -> LAF:
    """With its densities fitted, their losses and passes noted."""
    _ = found.densities
    view.history |= found.losses
    for known in (found.represented.h, found.represented.forget):
        view.spent.frozen += 0 if known.cached else found.vae.epochs * len(known)  # new crops in every epoch
    return found


def unlearned(view: View, settings: LAFSettings, found: LAF, kind: type[Adaptation] = Adaptation) -> nn.Module:
    """The unlearned network, its losses and passes noted; ``kind`` exchanges a part of the losses."""
    result = found.unlearn(settings.unlearning, kind=kind)
    view.history |= {"loss_ue": result.loss_ue, "loss_ra": result.loss_ra}
    view.spent.training += result.images_passed
    view.spent.frozen += result.images_watched  # by the stopping rule, and by the teacher where crops change
    return result.model


def laf(view: View, settings: LAFSettings) -> nn.Module:
    """LAF: two VAEs over the original's representations, then extractor unlearning and alignment. Reads no label."""
    return unlearned(view, settings, fitted(view, procedure(view, settings)))


def laf_passes(settings: LAFSettings, sizes: Sizes) -> Passes:
    """Every image of D once for its representation; then the paired batches of each loss.

    Holds for deterministic transforms and without the label-free stopping rule, whose end depends on what it sees.
    """
    retain = used_count(sizes.forget, sizes.retain, settings.unlearning.retain_ratio)
    seen = sizes.forget + (sizes.retain if settings.vae.fit_h_on == "all" else retain)
    return replace(unlearning_passes(settings.unlearning, sizes.forget, retain), frozen=seen)


def laf_r(view: View, settings: LAFRSettings) -> nn.Module:
    """LAF+R: LAF, then cross-entropy on the known labels of D_r, classifier only."""
    rows, labels = view.retain.few_labels()
    model, config = laf(view, settings), settings.repair
    if not config.epochs:
        return model
    images, forget = view.retain.images.subset(rows), len(view.forget)
    model, view.history["repair"] = repair(cast(Network, model), images, labels, config, seed=view.seed, forget=forget)
    view.spent.frozen += repair_images(config, len(rows), forget)
    return model


def laf_r_passes(settings: LAFRSettings, sizes: Sizes) -> Passes:
    """LAF's, and the representations of the images that the repair takes."""
    base = laf_passes(settings, sizes)
    return replace(base, frozen=base.frozen + repair_images(settings.repair, sizes.few, sizes.forget))
