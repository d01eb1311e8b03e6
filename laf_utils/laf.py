"""Label-Agnostic Forgetting as one procedure, and the supervised repair that makes it LAF+R (Shen et al., ICLR 2024).

``LAF`` is the only place that says how: represent D_f and D_r once, fit the densities h and h_f, adapt the extractor; ``repair``
afterwards. Everything up to ``repair`` receives images only; labels enter there alone, which is what the R of LAF+R stands for.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
import torch.nn.functional as F

from .adaptation import Adaptation, Teacher, Unlearned, unlearn
from .images import ImageView, shuffled
from .losses import Densities
from .models import Network
from .representations import FrozenRepresentations, Place, apply_frozen
from .settings.config import RepairConfig, UnlearningConfig, VAEConfig
from .stopping import SAMPLE, Rule
from .support.progress import track
from .support.seeds import stream
from .training import adam
from .vae import RepresentationVAE, fit_vae


@dataclass(frozen=True)
class Sets:
    """The images of one request that LAF uses; no label can be reached from them."""

    forget: ImageView  # D_f
    retain: ImageView  # the images of D_r that are used
    # retained images for the stopping rule, such as are not used where enough are left; ``None``: ``retain``
    watched: ImageView | None = None
    everything: ImageView | None = None  # all of D in the order of its rows, where h is fitted on all of it
    forget_rows: torch.Tensor | None = None  # int64, where those images lie in ``everything``
    retain_rows: torch.Tensor | None = None  # likewise
    watched_rows: torch.Tensor | None = None  # likewise

    @classmethod
    def of(
        cls, everything: ImageView, forget_rows: torch.Tensor, retain_rows: torch.Tensor, *, ratio: float | None, seed: int
    ) -> "Sets":
        """Those of all images of D and the rows of D_f and D_r (int64, sorted).

        Args:
            ratio: retained images that are used for each forgotten one; ``None``: all of D_r.
            seed: draws them.
        """
        used = retain_rows[used_of_retain(len(forget_rows), len(retain_rows), ratio, seed).to(retain_rows.device)]
        unused = retain_rows[~torch.isin(retain_rows, used)]
        watched = unused if len(unused) >= SAMPLE else used
        subset = everything.subset
        return cls(subset(forget_rows), subset(used), subset(watched), everything, forget_rows, used, watched)


def used_count(forget: int, retain: int, ratio: float | None) -> int:
    """How many of ``retain`` images of D_r are used beside ``forget`` images of D_f."""
    return retain if ratio is None else min(retain, max(1, round(ratio * forget)))


def used_of_retain(forget: int, retain: int, ratio: float | None, seed: int) -> torch.Tensor:
    """int64, sorted places in D_r of the images that are used: all, or a sample in proportion to D_f."""
    if ratio is None:
        return torch.arange(retain)
    drawn = torch.randperm(retain, generator=stream(seed, "retain sample"))
    return drawn[: used_count(forget, retain, ratio)].sort().values


@dataclass(frozen=True)
class Represented:
    """The original's representations of D_f, of the used part of D_r, and of what h is fitted on."""

    forget: FrozenRepresentations
    retain: FrozenRepresentations
    h: FrozenRepresentations


class LAF:
    """LAF of one original and one request.

    Args:
        original: the trained network, left untouched.
        sets: the request's images.
        vae: how h and h_f are fitted, and on what.
        seed: draws order, crops and latent noise.
        place: where representations go, as ``FrozenRepresentations`` takes it.
        flat: as ``vae.fit_vae`` takes it.
    """

    def __init__(
        self, original: Network, sets: Sets, vae: VAEConfig, *, seed: int, place: Place | None = None, flat: float = 0.0
    ) -> None:
        self.original, self.sets, self.vae, self.seed, self.place, self.flat = original, sets, vae, seed, place, flat
        self.losses: dict[str, list[float]] = {}

    @cached_property
    def represented(self) -> Represented:
        """Each image once."""
        if self.vae.fit_h_on == "all":
            everything = self._frozen(cast(ImageView, self.sets.everything))
            return Represented(
                everything.subset(cast(torch.Tensor, self.sets.forget_rows)),
                everything.subset(cast(torch.Tensor, self.sets.retain_rows)), everything,
            )
        forget, retain = self._frozen(self.sets.forget), self._frozen(self.sets.retain)
        return Represented(forget, retain, retain)

    def drop_representations(self) -> None:
        """Free their memory, 60 MB per set of 60,000; they are computed anew if anyone asks."""
        vars(self).pop("represented", None)

    def _frozen(self, images: ImageView) -> FrozenRepresentations:
        return FrozenRepresentations(self.original.extractor, images, place=self.place).prepare()

    @property
    def represented_images(self) -> int:
        """Images passed through the original to represent them, where that is done once and not anew in every epoch."""
        if not self.represented.h.cached:
            return 0
        if self.vae.fit_h_on == "all":
            return len(cast(ImageView, self.sets.everything))
        return len(self.sets.forget) + len(self.sets.retain)

    @cached_property
    def densities(self) -> Densities:
        """h and h_f; ``losses`` holds their losses by epoch, as ``vae_h`` and ``vae_h_f``. What is put here is not fitted.

        Raises:
            TrainingDiverged: a loss is not finite.
        """
        return Densities(self._fitted("vae_h", self.represented.h), self._fitted("vae_h_f", self.represented.forget))

    def _fitted(self, stage: str, known: FrozenRepresentations) -> RepresentationVAE:
        device = self.sets.forget.device
        vae, self.losses[stage] = fit_vae(known, self.vae, seed=self.seed, stage=stage, device=device, flat=self.flat)
        return vae

    def unlearn(
        self, config: UnlearningConfig, *, start: Network | None = None, rule: Rule | None = None,
        kind: type[Adaptation] = Adaptation, after_epoch: Callable[[Adaptation, int], None] | None = None,
    ) -> Unlearned:
        """Extractor unlearning and representation alignment, see ``adaptation.unlearn``.

        Args:
            start: a network to go on from, in place of the original.

        Raises:
            TrainingDiverged: a loss is not finite.
        """
        return unlearn(
            start or self.original, self.sets.forget, self.sets.retain, self.densities, config, seed=self.seed,
            teacher=Teacher(self.represented.forget, self.represented.retain), watched=self.sets.watched, rule=rule, kind=kind,
            after_epoch=after_epoch,
        )


def labelled_rows(count: int, share: float, seed: int) -> torch.Tensor:
    """int64, sorted places of the ``count`` retained images whose labels are known: the same for every method."""
    return torch.randperm(count, generator=stream(seed, "few labels"))[: max(1, round(share * count))].sort().values


def _represented(model: Network, images: ImageView) -> torch.Tensor:
    """The extractor's representations [N, 256], in the classifier's precision."""
    return apply_frozen(model.extractor, images, "representations").to(next(model.classifier.parameters()).dtype)


def repair(
    unlearned: Network, retain: ImageView, labels: torch.Tensor, config: RepairConfig, *, seed: int, forget: int | None = None
) -> tuple[Network, list[float]]:
    """LAF+R: cross-entropy on labelled retained images, updating only the classifier (paper, LAF+R).

    The extractor is frozen, so the head is trained on representations: computed once, or for what each pass takes where the
    passes end with D_f's batches, as the authors' do (``classifier_unlearning`` of their ``VUnlearning.py``).

    Args:
        unlearned: LAF's network, left untouched.
        retain: images of D_r.
        labels: int64 [len(retain)], their labels; a random ``labelled_share`` of them is read.
        forget: images of D_f, which say how long a pass is with ``pairing`` "forget".

    Returns:
        The repaired copy and the mean loss of each epoch in nats.

    Raises:
        ValueError: numbers of images and labels differ, or passes are to end with D_f's batches and nothing says how many.
    """
    model = copy.deepcopy(unlearned).eval()
    order = stream(seed, "repair", "order")
    if len(retain) != len(labels):
        raise ValueError(f"{len(retain)} retained images and {len(labels)} labels")
    known = torch.randperm(len(retain), generator=order)[: max(1, round(config.labelled_share * len(retain)))]
    images = retain.subset(known).for_evaluation()
    size, paired = config.batch_size, config.pairing == "forget"
    if paired and forget is None:
        raise ValueError("passes that end with D_f's batches need the number of its images")
    steps = -(-(min(len(images), cast(int, forget)) if paired else len(images)) // size)
    everything = cast(Any, None if paired else _represented(model, images))
    optimiser, losses = adam(model.classifier.parameters(), config.learning_rate), []
    with track(config.epochs * steps, "repair") as bar:
        for _ in range(config.epochs):
            used = torch.cat(shuffled(len(images), size, order)[:steps])
            e = _represented(model, images.subset(used)) if paired else everything[used.to(everything.device)]
            targets = labels[known[used].to(labels.device)].to(e.device)  # of the images that are used, and of no other
            total = torch.zeros((), device=e.device)
            for batch, wanted in zip(e.split(size), targets.split(size), strict=True):
                loss = F.cross_entropy(model.classifier(batch), wanted)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                total += loss.detach() * len(batch)
                bar.update()
            losses.append(total.item() / len(e))
    return model, losses
