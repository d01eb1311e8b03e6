"""Densities over representations: the VAEs h (data to keep) and h_f (data to forget).

Paper, section on estimating the representation distributions; the architecture is the authors' (about 75k parameters).
"""

import torch
import torch.nn.functional as F
from torch import nn

from .images import shuffled
from .models import REPRESENTATION_WIDTH
from .representations import FrozenRepresentations
from .settings.config import VAEConfig
from .support.beside import one_thread
from .support.progress import track
from .support.seeds import initialisation, stream
from .training import adam, check_finite


class RepresentationVAE(nn.Module):
    """Encoder 256 -> 128 -> 32 -> (mu, log variance), decoder d -> 32 -> 128 -> 256.

    The published decoder ends in a sigmoid, so reconstructions lie in (0, 1) while representations are signed and
    unbounded: most of them cannot be reconstructed. ``decoder="linear"`` leaves the sigmoid out. ``centre`` and ``scale``
    ([256], set by ``standardise_to``) put representations on a common scale first; as published they do nothing.
    """

    def __init__(self, config: VAEConfig, width: int = REPRESENTATION_WIDTH) -> None:
        super().__init__()
        latent = config.latent_dims
        self.encoder = nn.Sequential(nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 32), nn.ReLU())
        self.mean = nn.Linear(32, latent)
        self.log_variance = nn.Linear(32, latent)
        layers = [nn.Linear(latent, 32), nn.ReLU(), nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, width)]
        self.decoder = nn.Sequential(*layers, *([nn.Sigmoid()] if config.decoder == "sigmoid" else []))
        self.mean_error = config.error == "mean"
        self.standardises = config.standardise
        self.centre: torch.Tensor
        self.scale: torch.Tensor
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def standardise_to(self, representations: torch.Tensor, flat: float = 0.0) -> None:
        """Work on (e - mean) / std, with mean and std of each dimension of these representations [N, 256].

        Args:
            flat: share of the mean std that is each dimension's least, so that a unit (ReLU) that is silent on this set and not
                on the next is not divided by almost nothing.
        """
        self.centre.copy_(representations.mean(0))
        if len(representations) > 1:  # one image has no spread
            spread = representations.std(0)
            self.scale.copy_(spread.clamp_min((flat * spread.mean()).clamp_min(1e-6)))

    def standardised(self, representations: torch.Tensor) -> torch.Tensor:
        """[B, 256], what the encoder reads and the decoder should give back."""
        if not self.standardises:
            return representations
        return (representations - self.centre) / self.scale

    def forward(
        self, standardised: torch.Tensor, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Reconstruction [B, 256], mean and log variance [B, d] of the latent; without a generator no noise is drawn."""
        hidden = self.encoder(standardised)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        latent = mean
        if generator is not None:
            noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
            latent = mean + noise * (log_variance / 2).exp()
        return self.decoder(latent), mean, log_variance

    def squared_error(self, representations: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        """m(e, v) = ||v(e) - e||^2 [B], the term inside L_UE, summed over the dimensions (or their mean, where so set)."""
        target = self.standardised(representations)
        error = (self.forward(target, generator)[0] - target).square()
        return error.mean(1) if self.mean_error else error.sum(1)


def vae_loss(
    reconstruction: torch.Tensor, target: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor, kl_weight: float
) -> torch.Tensor:
    """The negative ELBO per image: squared error + kl_weight * KL(q(z|e) || N(0, 1)), summed over the batch, over B."""
    error = F.mse_loss(reconstruction, target, reduction="sum")
    kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
    return (error + kl_weight * kl) / len(target)


def fit_vae(
    representations: FrozenRepresentations, config: VAEConfig, *, seed: int, stage: str, device: torch.device, flat: float = 0.0
) -> tuple[RepresentationVAE, list[float]]:
    """A VAE fitted on frozen representations.

    Args:
        representations: what to model, N rows of width 256.
        seed: with ``stage``, draws initialisation, order and latent noise.
        stage: ``vae_h`` or ``vae_h_f``.
        flat: least spread of a dimension, as in ``standardise_to``.

    Returns:
        The frozen VAE in evaluation mode, and the mean loss of each epoch.

    Raises:
        TrainingDiverged: the loss is not finite.
    """
    order, noise = stream(seed, stage, "order"), stream(seed, stage, "noise", device=device)
    e = representations.epoch(order)
    with initialisation(seed, stage, "initialisation"):
        vae = RepresentationVAE(config, e.shape[1]).to(device)
    if config.standardise:
        vae.standardise_to(e, flat)
    optimiser, losses = adam(vae.parameters(), config.learning_rate), []
    with track(config.epochs * -(-len(e) // config.batch_size), stage) as bar:
        for epoch in range(config.epochs):
            e = representations.epoch(order) if epoch else e
            with one_thread():  # a step is some hundred operations of microseconds each: a second thread makes them slower
                total = torch.zeros((), device=device)
                for rows in shuffled(len(e), config.batch_size, order):
                    # Batch by batch: representations that are mapped to a file never lie in memory as a whole.
                    batch = vae.standardised(e[rows.to(e.device)].to(device))
                    loss = vae_loss(*_interleave(vae(batch, noise), batch), config.kl_weight)
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
                    total += loss.detach() * len(rows)
                    bar.update()
            losses.append(total.item() / len(e))
            check_finite(stage, losses)
    return vae.eval().requires_grad_(False), losses


def _interleave(
    passed: tuple[torch.Tensor, torch.Tensor, torch.Tensor], target: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The arguments of ``vae_loss`` in its order."""
    reconstruction, mean, log_variance = passed
    return reconstruction, target, mean, log_variance
