"""LAF with one part exchanged, for readers' questions: another similarity in L_RA, another density in L_UE, or none.

Everything else, the settings included, is LAF's as published. No variant reads a label.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from ..adaptation import Adaptation
from ..images import shuffled
from ..losses import Densities, saturating
from ..representations import FrozenRepresentations
from ..settings.config import VAEConfig
from ..support.seeds import initialisation, stream
from ..training import adam, check_finite
from ..vae import RepresentationVAE
from .laf import LAFSettings, fitted, procedure, unlearned
from .view import View

RIDGE = 1e-3  # of the mean variance, added to each direction's: a representation of 256 dimensions has flat ones


class SquaredDistance(Adaptation):
    """c(x) = ||g_U(x) - g_D(x)||^2 / ||g_D(x)||^2: direction and length, in units of the original's length, unbounded."""

    def drift(self, unlearned: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
        """[B], 0 where nothing has moved."""
        return (unlearned - original).square().sum(1) / original.square().sum(1)


class DotProduct(Adaptation):
    """c(x) = 1 - <g_U(x), g_D(x)> / ||g_D(x)||^2: the cosine without the length of g_U(x), unbounded on both sides."""

    def drift(self, unlearned: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
        """[B], 0 where nothing has moved."""
        return 1 - (unlearned * original).sum(1) / original.square().sum(1)


class FrozenReference(Adaptation):
    """No density: m is the squared distance to the frozen original's representation of the same image, for both sets."""

    def of_extractor(self, e: tuple[torch.Tensor, torch.Tensor], inputs: torch.Tensor, rows: tuple) -> torch.Tensor:
        """L_UE with m(x) = ||g_U(x) - g_D(x)||^2."""
        keep, drop = (
            saturating((own - original).square().sum(1)) for own, original in zip(e, self.of_teacher(inputs, rows), strict=True)
        )
        return keep.sum() - drop.sum() if self.config.reduction == "sum" else keep.mean() - drop.mean()


@dataclass(frozen=True)
class PrincipalComponents:
    """m is the squared distance to the plane of largest variance through the mean."""

    centre: torch.Tensor  # [256]; axes: [256, d], orthonormal
    axes: torch.Tensor

    def squared_error(self, representations: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        """m [B]; nothing is drawn."""
        centred = representations - self.centre
        return (centred - centred @ self.axes @ self.axes.T).square().sum(1)


@dataclass(frozen=True)
class Gaussian:
    """m is the squared Mahalanobis distance: twice the negative log density, up to a constant."""

    centre: torch.Tensor  # [256]; whitening: [256, 256], of the covariance
    whitening: torch.Tensor

    def squared_error(self, representations: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        """m [B]; nothing is drawn."""
        return ((representations - self.centre) @ self.whitening).square().sum(1)


@dataclass(frozen=True)
class Autoencoder:
    """The VAE's network without its noise."""

    network: RepresentationVAE

    def squared_error(self, representations: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        """m [B]; nothing is drawn."""
        return self.network.squared_error(representations, None)


def _spectrum(e: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean [256], variances [256] rising, and their directions [256, 256] of representations [N, 256]."""
    e = e.double()
    centre = e.mean(0)
    covariance = (e - centre).T @ (e - centre) / max(1, len(e) - 1)
    return centre, *torch.linalg.eigh(covariance)


def principal_components(e: torch.Tensor, config: VAEConfig, view: View, stage: str) -> PrincipalComponents:
    """As many directions as the VAE's latent has dimensions."""
    centre, _, directions = _spectrum(e)
    return PrincipalComponents(centre.float(), directions[:, -config.latent_dims :].float())


def gaussian(e: torch.Tensor, config: VAEConfig, view: View, stage: str) -> Gaussian:
    """One normal density with full covariance."""
    centre, variances, directions = _spectrum(e)
    scale = (variances.clamp_min(0) + RIDGE * variances.mean()).rsqrt()
    return Gaussian(centre.float(), (directions * scale).float())


def autoencoder(e: torch.Tensor, config: VAEConfig, view: View, stage: str) -> Autoencoder:
    """The VAE's network, epochs and optimiser; the loss is the squared error alone."""
    order = stream(view.seed, stage, "order")
    with initialisation(view.seed, stage, "initialisation"):
        network = RepresentationVAE(config, e.shape[1]).to(e.device)
    optimiser, losses = adam(network.parameters(), config.learning_rate), []
    for _ in range(config.epochs):
        total = torch.zeros((), device=e.device)
        for rows in shuffled(len(e), config.batch_size, order):
            batch = e[rows.to(e.device)]
            loss = F.mse_loss(network(batch, None)[0], batch, reduction="sum") / len(batch)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.detach() * len(rows)
        losses.append(total.item() / len(e))
        check_finite(stage, losses)
    view.history[stage] = losses
    return Autoencoder(network.eval().requires_grad_(False))


def with_similarity(kind: type[Adaptation]) -> Callable[[View, LAFSettings], nn.Module]:
    """LAF with both VAEs and another kind of adaptation."""

    def function(view: View, settings: LAFSettings) -> nn.Module:
        return unlearned(view, settings, fitted(view, procedure(view, settings)), kind)

    return function


def with_density(fit: Callable[[torch.Tensor, VAEConfig, View, str], Any]) -> Callable[[View, LAFSettings], nn.Module]:
    """LAF whose h and h_f are what ``fit`` makes of the same representations."""

    def of(known: FrozenRepresentations, view: View, settings: LAFSettings, stage: str) -> Any:
        e = known.epoch(stream(view.seed, stage, "representations"))
        view.spent.frozen += 0 if known.cached else len(known)
        return fit(e, settings.vae, view, stage)

    def function(view: View, settings: LAFSettings) -> nn.Module:
        found = procedure(view, settings)
        known = found.represented
        found.densities = Densities(of(known.h, view, settings, "vae_h"), of(known.forget, view, settings, "vae_h_f"))
        return unlearned(view, settings, found)

    return function


def without_density(view: View, settings: LAFSettings) -> nn.Module:
    """LAF that asks the frozen original instead of a density."""
    found = procedure(view, settings)
    found.densities = Densities(cast(Any, None), cast(Any, None))
    return unlearned(view, settings, found, FrozenReference)
