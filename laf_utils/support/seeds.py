"""Named random streams derived from one seed.

Every stage draws from a stream of its own, so that computing a stage or loading it from disk, or adding a stage, leaves all
other random numbers as they were. Initialisations, orders and crops are drawn on the CPU, the same on every device; the latent
noise of the VAEs is drawn where it is used.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, *names: object) -> int:
    """A 63-bit seed that depends on ``seed`` and on the names, e.g. ``derive(0, "original", "shuffle")``."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(seed: int, *names: object, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator for the named stream."""
    return torch.Generator(device=device).manual_seed(derive(seed, *names))


@contextmanager
def initialisation(seed: int, *names: object) -> Iterator[None]:
    """Draw layer initialisations from the named stream and leave the global random state untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, *names))  # torch.manual_seed would reseed GPUs too
        yield
