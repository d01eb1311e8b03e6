"""K representation VAEs at once. A step of one is some hundred operations of microseconds: here K share each of them."""

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from ..images import shuffled
from ..representations import FrozenRepresentations
from ..settings.config import VAEConfig
from ..support.beside import one_thread
from ..support.progress import track
from ..support.seeds import initialisation, stream
from ..training import adam
from ..vae import RepresentationVAE
from .members import check_each, one_each, same_length
from .stacked import Stack


class StackedVAE(nn.Module):
    """K representation VAEs of one configuration as one, over representations [K, B, 256].

    Raises:
        ValueError: VAEs of different configurations.
    """

    def __init__(self, vaes: Sequence[RepresentationVAE]) -> None:
        super().__init__()
        if len({(vae.mean_error, vae.standardises) for vae in vaes}) > 1:
            raise ValueError("VAEs of different configurations cannot be computed together")
        self.centre: torch.Tensor
        self.scale: torch.Tensor
        self.encoder = Stack([vae.encoder for vae in vaes])
        self.mean = Stack([nn.Sequential(vae.mean) for vae in vaes])
        self.log_variance = Stack([nn.Sequential(vae.log_variance) for vae in vaes])
        self.decoder = Stack([vae.decoder for vae in vaes])
        self.mean_error, self.standardises = vaes[0].mean_error, vaes[0].standardises
        self.register_buffer("centre", torch.stack([vae.centre[None] for vae in vaes]))
        self.register_buffer("scale", torch.stack([vae.scale[None] for vae in vaes]))

    def standardised(self, representations: torch.Tensor) -> torch.Tensor:
        """[K, B, 256], what the encoders read and the decoders should give back."""
        return (representations - self.centre) / self.scale if self.standardises else representations

    def forward(
        self, standardised: torch.Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Reconstruction [K, B, 256], mean and log variance [K, B, d]; each member's noise is from its own generator."""
        hidden = self.encoder(standardised)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        drawn = [torch.randn(mean.shape[1:], generator=own, device=mean.device, dtype=mean.dtype) for own in generators]
        return self.decoder(mean + torch.stack(drawn) * (log_variance / 2).exp()), mean, log_variance

    def squared_error(self, representations: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """m(e, v) [K, B], as ``RepresentationVAE.squared_error``."""
        target = self.standardised(representations)
        error = (self.forward(target, generators)[0] - target).square()
        return error.mean(2) if self.mean_error else error.sum(2)

    def put_back(self, vaes: Sequence[RepresentationVAE]) -> None:
        """Copy the weights into the K ordinary VAEs."""
        for member, vae in enumerate(vaes):
            self.encoder.put_back(member, vae.encoder)
            self.mean.put_back(member, nn.Sequential(vae.mean))
            self.log_variance.put_back(member, nn.Sequential(vae.log_variance))
            self.decoder.put_back(member, vae.decoder)


def _loss(passed: tuple[torch.Tensor, ...], target: torch.Tensor, kl_weight: float) -> torch.Tensor:
    """``vae.vae_loss`` [K] of each member."""
    reconstruction, mean, log_variance = passed
    error = (reconstruction - target).square().sum((1, 2))
    kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum((1, 2))
    return (error + kl_weight * kl) / target.shape[1]


def fit_vaes_together(
    representations: Sequence[FrozenRepresentations], config: VAEConfig, *, seeds: Sequence[int], stage: str,
    device: torch.device, flat: float = 0.0,
) -> tuple[list[RepresentationVAE], list[list[float]]]:
    """K VAEs, the k-th as ``vae.fit_vae`` fits it to ``representations[k]`` with seed ``seeds[k]``, up to rounding.

    Args:
        representations: K sets of one size N, width 256.
        seeds: K seeds; with ``stage``, each draws initialisation, order and latent noise from the same streams as there.
        stage: ``vae_h`` or ``vae_h_f``.
        flat: of ``RepresentationVAE.standardise_to``.

    Returns:
        The K frozen VAEs in evaluation mode, and for each the mean loss of every epoch.

    Raises:
        ValueError: sets of different sizes, or not one for each seed.
        TrainingDiverged: a loss is not finite.
    """
    one_each(seeds, representations=representations)
    count = same_length("representations", representations)
    orders = [stream(seed, stage, "order") for seed in seeds]
    e = _epoch(representations, orders)
    vaes = [_fresh(config, own, seed, stage, device, flat) for own, seed in zip(e, seeds, strict=True)]
    noises = [stream(seed, stage, "noise", device=device) for seed in seeds]
    stacked, losses = StackedVAE(vaes), []
    optimiser = adam(stacked.parameters(), config.learning_rate)
    with track(config.epochs, stage, unit="epoch") as bar:
        for epoch in range(config.epochs):
            e = _epoch(representations, orders) if epoch and not representations[0].cached else e
            batches = zip(*(shuffled(count, config.batch_size, order) for order in orders), strict=True)
            losses.append((_one_epoch(stacked, optimiser, e, batches, noises, config.kl_weight) / count).tolist())
            bar.update()
            check_each(stage, losses)
    stacked.put_back(vaes)
    return [vae.eval().requires_grad_(False) for vae in vaes], [list(own) for own in zip(*losses, strict=True)]


def _one_epoch(
    stacked: StackedVAE, optimiser: torch.optim.Optimizer, e: torch.Tensor, batches: Iterable[tuple[torch.Tensor, ...]],
    noises: list[torch.Generator], kl_weight: float,
) -> torch.Tensor:
    """The summed loss [K] of an epoch over representations [K, N, 256]."""
    device, every = stacked.centre.device, torch.arange(len(e))[:, None]
    total = torch.zeros(len(e), device=device)
    with one_thread():  # see ``vae.fit_vae``
        for picked in batches:
            batch = stacked.standardised(e[every, torch.stack(picked)].to(device))
            loss = _loss(stacked(batch, noises), batch, kl_weight)
            optimiser.zero_grad()
            loss.sum().backward()
            optimiser.step()
            total += loss.detach() * len(picked[0])
    return total


def _epoch(representations: Sequence[FrozenRepresentations], orders: Sequence[torch.Generator]) -> torch.Tensor:
    """[K, N, 256] as one epoch sees them."""
    return torch.stack([own.epoch(order) for own, order in zip(representations, orders, strict=True)])


def _fresh(
    config: VAEConfig, e: torch.Tensor, seed: int, stage: str, device: torch.device, flat: float
) -> RepresentationVAE:
    with initialisation(seed, stage, "initialisation"):
        vae = RepresentationVAE(config, e.shape[1]).to(device)
    if config.standardise:
        vae.standardise_to(e, flat)
    return vae

