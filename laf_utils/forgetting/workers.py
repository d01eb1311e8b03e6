"""Data parallel: one request carried out by several processes that ``torchrun`` or ``accelerate launch`` started.

Nothing is asked for: every process makes the same call. PyTorch's own engine does the work: ``torch.distributed`` passes the
tensors, ``DistributedDataParallel`` the gradients. Each process computes its part of every batch, frozen or trained, and knows
all results, so that the losses are those of the whole batch and every process decides alike; the audit's students are shared
out one by one. Reading is not shared out: every process reads every image of a batch. Only the first process writes, prints and
keeps the ledger.

Tried with gloo on CPUs: ``torchrun``, ``accelerate launch --multi_gpu``, which is ``torchrun``, and ``accelerate launch --cpu
--mpirun_hostfile``, where MPI numbers the processes. Several GPUs (NCCL) never were.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from ..images import ImageView
from ..representations import apply_frozen
from ..support.progress import silent_thread

LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what every launcher sets, the first two also by MPI's names
MPI = {
    "RANK": ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK"),
    "WORLD_SIZE": ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"),
}
LOST = ("gloo", "Connection closed", "Connection reset", "Broken pipe", "NCCL", "Socket", "store")  # in what the engine says


class WorkerLostError(RuntimeError):
    """Another process of the same call has ended; the message is one line."""


def _told(name: str) -> str:
    """What a launcher says; empty where none does."""
    return next((os.environ[own] for own in (name, *MPI.get(name, ())) if os.environ.get(own)), "")


def launched() -> bool:
    """Whether a launcher started this process as one of several."""
    return all(map(_told, LAUNCHED)) and _told("WORLD_SIZE") not in ("0", "1")


def several() -> bool:
    """Whether this process works with others now."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def first() -> bool:
    """Whether this process is the one that writes: the only one, or the first of several, also before and after their work."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank() == 0
    return not launched() or _told("RANK") == "0"


@contextlib.contextmanager
def working_together() -> Iterator[None]:
    """The processes of one launch as one; nothing where there is a single one.

    Raises:
        WorkerLostError: another process has ended.
    """
    ours = launched() and dist.is_available() and not dist.is_initialized()
    if ours:
        engines = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(engines, rank=int(_told("RANK")), world_size=int(_told("WORLD_SIZE")))
    try:
        with contextlib.nullcontext() if first() else silent_thread():
            yield
    except RuntimeError as error:
        if not several() or not any(word in str(error) for word in LOST):
            raise
        raise WorkerLostError(
            f"another of the {dist.get_world_size()} processes has ended: the request was not finished, and is in no ledger"
        ) from error
    finally:
        if ours:
            dist.destroy_process_group()


def from_first(make: Callable[[], Any]) -> Any:
    """What the first process makes, in every process. Objects travel pickled, within one call's own processes alone."""
    if not several():
        return make()
    made = [make() if first() else None]
    dist.broadcast_object_list(made)
    return made[0]


def from_each(number: int, make: Callable[[int], Any]) -> list[Any]:
    """``make(0)`` to ``make(number - 1)``, each made by one process and known to all."""
    if not several():
        return [make(place) for place in range(number)]
    own = {place: make(place) for place in range(dist.get_rank(), number, dist.get_world_size())}
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, own)
    return [found[place % dist.get_world_size()][place] for place in range(number)]


class Shared(nn.Module):
    """A module of which each process computes its part of a batch; the result is the whole one, in the order of its rows.

    With gradients ``module`` must be a ``DistributedDataParallel``, which takes the mean of what the processes find. Each finds
    the derivatives by its own part of the result, so that their sum is wanted: they are scaled by the number of processes.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.training = module.training

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        world = dist.get_world_size()
        if len(inputs) < world:  # every process computes all of so few
            return self.module(inputs)
        own = self.module(inputs.tensor_split(world)[dist.get_rank()])
        if own.requires_grad:
            own.register_hook(lambda gradient: gradient * world)
        most = -(-len(inputs) // world)
        padded = own.new_zeros(most, *own.shape[1:])
        padded[: len(own)] = own.detach()
        parts = [torch.empty_like(padded) for _ in range(world)]
        dist.all_gather(parts, padded)
        sizes = [len(rows) for rows in torch.arange(len(inputs)).tensor_split(world)]
        parts = [part[:size] for part, size in zip(parts, sizes, strict=True)]
        parts[dist.get_rank()] = own
        return torch.cat(parts)


def shared(module: nn.Module, *, trained: bool = False) -> nn.Module:
    """The module itself, or where several processes work together one whose batches they share out.

    Args:
        trained: its parameters get gradients.
    """
    if not several():
        return module
    if trained:  # a head above the representation gets no gradient, which has to be looked for
        module = nn.parallel.DistributedDataParallel(module, find_unused_parameters=True)
    return Shared(module)


def frozen_pass(module: nn.Module, images: ImageView, label: str) -> torch.Tensor:
    """``representations.apply_frozen``, shared out."""
    return apply_frozen(shared(module), images, label)
