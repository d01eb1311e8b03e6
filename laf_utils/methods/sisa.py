"""SISA: Bourtoule et al., "Machine Unlearning", IEEE S&P 2021: sharded, isolated, sliced, aggregated training.

Exact: the ensemble after a deletion is the one that training without the deleted images would have given, bit for bit. Its
price is paid before: show the ensemble before the deletion beside it. Training mode while a shard trains, evaluation mode for
the vote.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import torch
from torch import nn

from ..images import ImageView
from ..models import Network
from ..settings.config import TrainingConfig
from ..training import train
from .request import joined, row_ids, same_pixels
from .settings import Settings
from .view import View

TIE = 1e-3  # weight of the members' mean probabilities beside the vote: less than any vote of under a thousand shards


@dataclass(frozen=True)
class SISASettings(Settings):
    """Numbers of shards and slices are the user's choice; the paper's experiments go from 1 to 50."""

    shards: int = 5  # S; every deletion of a share of 20-40 % hits all of them
    slices: int = 4  # R, per shard
    training: TrainingConfig = field(default_factory=TrainingConfig)  # of a model without shards; see ``slice_epochs``
    weighted: bool = False  # a member's vote counts by the images it was trained on

    def slice_epochs(self) -> int:
        """Epochs after each slice: 2 E / (R + 1) of them pass as many images as E epochs without slices (paper, on slicing)."""
        return max(1, round(2 * self.training.epochs / (self.slices + 1)))


@dataclass(frozen=True)
class SISAState:
    """What has to be kept to delete cheaply."""

    settings: SISASettings  # of the training; ``seed`` with them draws shards, order and initialisations
    seed: int
    # for each shard, for each slice, int64 image numbers (rows of the pixel tensor), in training order
    shards: tuple[tuple[torch.Tensor, ...], ...]
    checkpoints: Mapping[str, Mapping[str, torch.Tensor]]  # weights after each slice, by ``prefix_keys``
    template: nn.Module  # a network of a member's shape; its weights mean nothing

    def without(self, kept: torch.Tensor) -> "SISAState":
        """The state whose lists hold none but the image numbers ``kept``."""
        lists = tuple(tuple(ids[torch.isin(ids, kept)] for ids in slices) for slices in self.shards)
        return replace(self, shards=lists)


class _Extractors(nn.Module):
    def __init__(self, members: list[Network]) -> None:
        super().__init__()
        self.members = nn.ModuleList(member.extractor for member in members)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([member(images) for member in self.members], dim=1)


class _Vote(nn.Module):
    def __init__(self, members: list[Network], weights: torch.Tensor) -> None:
        super().__init__()
        self.weights: torch.Tensor
        self.members = nn.ModuleList(member.classifier for member in members)
        self.register_buffer("weights", weights / weights.sum())

    def forward(self, representations: torch.Tensor) -> torch.Tensor:
        parts = representations.chunk(len(self.members), dim=1)
        return vote(torch.stack([head(part) for head, part in zip(self.members, parts, strict=True)]), self.weights)


def vote(logits: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """log of the share of votes [B, classes], of the members' logits [S, B, classes] and their weights [S], summing to one.

    The softmax is the share of votes; equal votes are decided by the members' mean probability, which weighs ``TIE``.
    """
    ballots = nn.functional.one_hot(logits.argmax(2), logits.shape[2]).to(logits.dtype)
    shares = (1 - TIE) * ballots + TIE * logits.softmax(2)
    return torch.einsum("s,sbc->bc", weights, shares).clamp_min(torch.finfo(logits.dtype).tiny).log()


def ensemble(members: list[Network], weights: torch.Tensor) -> Network:
    """The members as one network: representations side by side [B, S * 256], logits by vote."""
    return Network(_Extractors(members), _Vote(members, weights)).eval()


def prefix_keys(shard: int, slices: tuple[torch.Tensor, ...]) -> list[str]:
    """For each slice, the SHA-256 of the shard's image numbers up to it: the same key, the same training so far."""
    digest, keys = hashlib.sha256(f"shard {shard}".encode()), []
    for ids in slices:
        digest.update(f"|{len(ids)}|".encode() + ids.cpu().numpy().tobytes())
        keys.append(digest.copy().hexdigest())
    return keys


def _train_shard(
    view: View, state: SISAState, shard: int, images: ImageView, labels: torch.Tensor, kept: dict[str, dict[str, torch.Tensor]]
) -> Network:
    """The shard's model, trained on from its last intact slice; its checkpoints are added to ``kept``."""
    last: Mapping[str, torch.Tensor] | None
    slices, model, last = state.shards[shard], cast(Network, view.fresh(f"sisa shard {shard}", state.template)), None
    keys = prefix_keys(shard, slices)
    place = {identity: row for row, identity in enumerate(row_ids(images).tolist())}
    for number, key in enumerate(keys):
        if key in state.checkpoints:
            kept[key] = last = dict(state.checkpoints[key])
            continue
        if last is not None:
            model.load_state_dict(last)
            last = None
        rows = torch.tensor([place[i] for ids in slices[: number + 1] for i in ids.tolist()], dtype=torch.int64)
        if len(rows):
            config = replace(state.settings.training, epochs=state.settings.slice_epochs())
            stage = f"sisa shard {shard} slice {number}"
            view.history[stage] = train(
                model.train(), images.subset(rows), labels[rows.to(labels.device)], config, seed=state.seed, stage=stage
            )
            view.spent.training += config.epochs * len(rows)
        kept[key] = {name: value.detach().clone() for name, value in model.state_dict().items()}
    if last is not None:
        model.load_state_dict(last)
    return model


def _train_all(view: View, state: SISAState, images: ImageView, labels: torch.Tensor) -> tuple[Network, SISAState]:
    kept: dict[str, dict[str, torch.Tensor]] = {}
    members = [_train_shard(view, state, shard, images, labels, kept) for shard in range(len(state.shards))]
    sizes = [float(sum(map(len, slices))) if state.settings.weighted else 1.0 for slices in state.shards]
    weights = torch.tensor(sizes, device=view.device)
    return ensemble(members, weights), replace(state, checkpoints=kept)


def prepare_sisa(view: View, settings: SISASettings) -> tuple[Network, SISAState]:
    """The original ensemble over all of D, sharded at random and blind to what will be deleted, with its checkpoints."""
    if not same_pixels(view.forget.images, view.retain.images):
        raise ValueError("SISA needs D_f and D_r as views of one pixel tensor: its rows identify the images from then on")
    images = joined(view.forget.images, view.retain.images)
    labels = torch.cat([view.forget.labels, view.retain.labels])
    ids = row_ids(images).sort().values.cpu()
    ids = ids[torch.randperm(len(ids), generator=view.stream("sisa shards"))]
    shards = tuple(tuple(part.tensor_split(settings.slices)) for part in ids.tensor_split(settings.shards))
    return _train_all(view, SISAState(settings, view.seed, shards, {}, view.original), images, labels)


def sisa(view: View, settings: SISASettings) -> Network:
    """Delete D_f: shards that hold deleted images train on from their last intact slice, the others stay as they are.

    Keeps the new state for the next request. Reads D_r alone.

    Raises:
        DataAccessError: the request was not prepared.
        ValueError: it was prepared with other settings.
    """
    state = view.state
    if state.settings != settings:
        raise ValueError(f"the ensemble was trained with {state.settings}, not {settings}")
    retain = view.retain
    remaining = state.without(row_ids(retain.images).cpu())
    model, view.kept = _train_all(view, remaining, retain.images, retain.labels)
    return model
