"""What K models that are trained as one must have in common, and how many of them step at once."""

from collections.abc import Iterator, Sequence

from ..training import check_finite

# Networks in one group: of 4, 8 and 16, four took the least time per network (benchmarks/README.md). What lies between two layers
# of more networks probably no longer fits the processor's cache.
AT_ONCE = 4


def groups(members: int, at_once: int = AT_ONCE) -> Iterator[slice]:
    """The members in groups of at most ``at_once``."""
    for start in range(0, members, at_once):
        yield slice(start, start + at_once)


def same_length(what: str, parts: Sequence) -> int:
    """The one length of all parts.

    Raises:
        ValueError: lengths differ. Models of sets of different sizes take different numbers of steps and cannot step together.
    """
    lengths = {len(part) for part in parts}
    if len(lengths) != 1:
        raise ValueError(f"{what} must be of one length for all models, got {', '.join(map(str, sorted(lengths)))}")
    return lengths.pop()


def one_each(seeds: Sequence[int], **others: Sequence) -> None:
    """Refuse anything but at least one seed and one of everything for each seed.

    Raises:
        ValueError: naming what does not fit.
    """
    if not seeds:
        raise ValueError("at least one seed")
    for name, values in others.items():
        if len(values) != len(seeds):
            raise ValueError(f"{len(seeds)} seeds and {len(values)} {name}")


def check_each(stage: str, losses: list[list[float]]) -> None:
    """``training.check_finite`` of every member; losses are [epochs][K].

    Raises:
        TrainingDiverged: naming the member, the stage and the epoch.
    """
    for member, own in enumerate(zip(*losses, strict=True)):
        check_finite(f"{stage}, model {member + 1} of {len(losses[-1])}", list(own))
