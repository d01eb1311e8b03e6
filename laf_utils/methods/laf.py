"""LAF and LAF+R behind the signature of all methods; what they do is in ``laf_utils.laf`` and ``laf_utils.vae``.

Shen et al., "Label-Agnostic Forgetting", ICLR 2024. BatchNorm stays in evaluation mode, as published.
"""

from dataclasses import dataclass, field, replace

import torch
from torch import nn

from ..config import RepairConfig, UnlearningConfig, VAEConfig
from ..cost import Passes, unlearning_passes
from ..images import Images
from ..laf import Adaptation, Densities, Teacher, repair, unlearn
from ..presets import reference_settings
from ..representations import FrozenRepresentations
from ..seeds import stream
from ..vae import RepresentationVAE, fit_vae
from .method import Sizes
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

    repair: RepairConfig = field(default_factory=RepairConfig)


def published_settings(backbone: str, task: str, kind: type = LAFSettings) -> LAFSettings:
    """The paper's settings of a backbone (``cnn``, ``resnet18``) and task, of LAF or of LAF+R (``kind``)."""
    groups: dict[str, dict[str, object]] = {"vae": {}, "unlearning": {}}
    for name, value in reference_settings(backbone, task).items():
        group, leaf = name.split(".")
        groups[group][leaf] = value
    return kind(VAEConfig(**groups["vae"]), UnlearningConfig(**groups["unlearning"]))


@dataclass(frozen=True)
class Known:
    """The sets that are used, and the original's representations of them and of what h is fitted on."""

    forget_images: Images
    retain_images: Images
    h: FrozenRepresentations
    forget: FrozenRepresentations
    retain: FrozenRepresentations


def _used_of_retain(view: View, ratio: float | None) -> torch.Tensor:
    """int64, sorted rows of D_r that unlearning uses: all, or ``ratio`` for each forgotten image, as the pipeline draws them."""
    count = len(view.retain)
    if ratio is None:
        return torch.arange(count)
    drawn = torch.randperm(count, generator=stream(view.seed, "retain sample"))
    return drawn[: max(1, round(ratio * len(view.forget)))].sort().values


def represent(view: View, settings: LAFSettings) -> Known:
    """Each image once; h sees all of D in the order of its rows, or the part of D_r that is used."""
    extractor, forget = view.original.extractor, view.forget.images
    used = _used_of_retain(view, settings.unlearning.retain_ratio)
    retain = view.retain.images.subset(used)
    if settings.vae.fit_h_on == "retain":
        of_retain = FrozenRepresentations(extractor, retain).prepare()
        known = Known(forget, retain, of_retain, FrozenRepresentations(extractor, forget).prepare(), of_retain)
        images = len(forget) + len(retain)
    else:
        both = joined(forget, view.retain.images)
        order = row_ids(both).argsort()
        place = order.argsort()  # where each image of ``both`` lies in ``everything``
        everything = FrozenRepresentations(extractor, both.subset(order)).prepare()
        of_forget = everything.subset(place[: len(forget)])
        of_retain = everything.subset(place[len(forget) :][used.to(place.device)])
        known, images = Known(forget, retain, everything, of_forget, of_retain), len(both)
    view.spent.frozen += images if known.h.cached else 0
    return known


def _fit(view: View, config: VAEConfig, known: FrozenRepresentations, stage: str) -> RepresentationVAE:
    vae, view.history[stage] = fit_vae(known, config, seed=view.seed, stage=stage, device=view.device)
    view.spent.frozen += 0 if known.cached else config.epochs * len(known)  # new crops in every epoch
    return vae


def fit_densities(view: View, settings: LAFSettings, known: Known) -> Densities:
    """The two VAEs."""
    return Densities(_fit(view, settings.vae, known.h, "vae_h"), _fit(view, settings.vae, known.forget, "vae_h_f"))


def adapt(
    view: View, settings: LAFSettings, known: Known, densities: Densities, kind: type[Adaptation] = Adaptation
) -> nn.Module:
    """Extractor unlearning and alignment, with these densities; ``kind`` exchanges a part of the losses."""
    result = unlearn(
        view.original, known.forget_images, known.retain_images, densities, settings.unlearning, seed=view.seed,
        teacher=Teacher(known.forget, known.retain), kind=kind,
    )
    view.history |= {"loss_ue": result.loss_ue, "loss_ra": result.loss_ra}
    view.spent.training += result.images_passed
    view.spent.frozen += result.images_watched  # by the stopping rule, and by the teacher where crops change
    return result.model


def laf(view: View, settings: LAFSettings) -> nn.Module:
    """LAF: two VAEs over the original's representations, then extractor unlearning and alignment. Reads no label."""
    known = represent(view, settings)
    return adapt(view, settings, known, fit_densities(view, settings, known))


def laf_passes(settings: LAFSettings, sizes: Sizes) -> Passes:
    """Every image of D once for its representation; then the paired batches of each loss.

    Holds for deterministic transforms and without the label-free stopping rule, whose end depends on what it sees.
    """
    ratio = settings.unlearning.retain_ratio
    retain = sizes.retain if ratio is None else min(sizes.retain, max(1, round(ratio * sizes.forget)))
    seen = sizes.forget + (sizes.retain if settings.vae.fit_h_on == "all" else retain)
    return replace(unlearning_passes(settings.unlearning, sizes.forget, retain), frozen=seen)


def laf_r(view: View, settings: LAFRSettings) -> nn.Module:
    """LAF+R: LAF, then cross-entropy on the known labels of D_r, classifier only."""
    rows, labels = view.retain.few_labels()
    unlearned, config = laf(view, settings), settings.repair
    if not config.epochs:
        return unlearned
    model, view.history["repair"] = repair(unlearned, view.retain.images.subset(rows), labels, config, seed=view.seed)
    view.spent.frozen += max(1, round(config.labelled_share * len(rows)))
    return model


def laf_r_passes(settings: LAFRSettings, sizes: Sizes) -> Passes:
    """LAF's, and the representations of the images whose labels are known."""
    known = max(1, round(settings.repair.labelled_share * sizes.few)) if settings.repair.epochs else 0
    base = laf_passes(settings, sizes)
    return replace(base, frozen=base.frozen + known)
