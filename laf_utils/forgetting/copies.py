"""Near-copies of forgotten images among the retained ones: forgetting one of two copies is no forgetting.

The original's own representations say what it cannot tell apart: a retained image is a near-copy of a forgotten one where the
two lie closer than a tenth of the distance at which retained images usually have their nearest neighbour. So the measure follows
the model and the data, and needs no label and no notion of pixels. What the model itself tells apart, such as a mirrored copy, it
does not find.
"""

from dataclasses import dataclass, field
from typing import Any

import torch

from ..models import Network
from ..support.seeds import stream
from .refusal import Refused
from .sources import OwnImages, listed
from .workers import frozen_pass

CLOSE = 0.1  # of the usual distance to the nearest neighbour
SEARCHED = 10_000  # retained images that are looked through at most: more would cost as much as unlearning does
ASKED = 5_000  # forgotten images that they are compared with at most
USUAL = 1_000  # retained images whose nearest neighbour says what is usual
CHUNK = 512  # rows of a table of distances
LISTED = 100  # pairs that a report holds
WAYS = ("refuse", "drop", "forget", "keep")  # of ``forget(copies=...)``


class CopiesFound(Refused):
    """Near-copies were found and nobody has said what is to be done with them; ``pairs`` lists them all."""

    def __init__(self, message: str, pairs: list[dict[str, Any]]) -> None:
        super().__init__("copies", message)
        self.pairs = pairs


@dataclass(frozen=True)
class Copies:
    """What was found."""

    # ``forget`` and ``retain``, what their sets call them, and ``distance`` in units of the usual one
    pairs: list[dict[str, Any]] = field(default_factory=list)
    # int64, of the retained images (as looked through) that are near-copies
    rows: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    searched: int = 0  # retained and forgotten images that were compared
    asked: int = 0  # likewise
    way: str = "refuse"  # what was done: of ``WAYS``

    def as_dict(self) -> dict[str, Any]:
        """For the report."""
        return {"found": len(self.rows), "searched": self.searched, "asked": self.asked, "done": self.way,
                "pairs": self.pairs[:LISTED]}

    def note(self) -> list[str]:
        """One sentence for the report where near-copies stayed."""
        if self.way != "keep" or not len(self.rows):
            return []
        count = len(self.rows)
        return [f"{count} retained images are near-copies of forgotten ones and were kept: what they show is not forgotten"]


def _nearest(from_: torch.Tensor, to: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Distance [n] and row [n] of the ``rank``-th nearest (0: the nearest)."""
    found = [torch.cdist(part, to).topk(rank + 1, 1, largest=False) for part in from_.split(CHUNK)]
    return torch.cat([f.values[:, rank] for f in found]), torch.cat([f.indices[:, rank] for f in found])


def near(forget: torch.Tensor, retain: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Near-copies among representations [n, width] and [m, width].

    Returns:
        Rows of the retained ones int64 [k], of the forgotten one nearest to each int64 [k], and their distance in units of the
        usual one [k], nearest first.
    """
    usual = _nearest(retain[torch.linspace(0, len(retain) - 1, min(USUAL, len(retain))).long()], retain, 1)[0].median()
    if not usual > 0:  # half of all images are alike to this model: it cannot say what a copy is
        return (torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64), torch.empty(0))
    distance, of = _nearest(retain, forget, 0)
    rows = (distance <= 2 * CLOSE * usual).nonzero().flatten()  # a table of distances is rounded: look at these again
    exact = (retain[rows] - forget[of[rows]]).norm(dim=1) / usual
    order = exact.argsort()
    order = order[exact[order] <= CLOSE]
    return rows[order].cpu(), of[rows[order]].cpu(), exact[order].cpu()


def search(network: Network, forget: OwnImages, retain: OwnImages, seed: int, way: str) -> Copies:
    """The near-copies among (at most ``SEARCHED``) retained images of (at most ``ASKED``) forgotten ones.

    Raises:
        CopiesFound: there are some, and ``way`` is ``refuse``.
    """
    if len(retain) < 2:
        return Copies(way=way)
    rows, asked = (
        torch.randperm(len(images), generator=stream(seed, "own", "copies", name))[:most].sort().values
        for images, most, name in ((retain, SEARCHED, "retain"), (forget, ASKED, "forget"))
    )
    e_f, e_r = (
        frozen_pass(network.extractor, images.subset(own), "near-copies") for images, own in ((forget, asked), (retain, rows))
    )
    found, of, distance = near(e_f, e_r)
    pairs = [
        {"forget": forget.called(int(asked[f])), "retain": retain.called(int(rows[r])), "distance": round(float(d), 4)}
        for r, f, d in zip(found, of, distance, strict=True)
    ]
    if way == "refuse" and pairs:
        shown = listed([f"{pair['retain']} of {pair['forget']}" for pair in pairs])
        raise CopiesFound(
            f"{len(pairs)} retained images are near-copies of forgotten ones ({shown}): forgetting one of two copies is no "
            "forgetting; say copies='forget' to forget them, too, 'drop' to leave them out, or 'keep'", pairs,
        )
    return Copies(pairs, rows[found].sort().values, len(rows), len(asked), way)
