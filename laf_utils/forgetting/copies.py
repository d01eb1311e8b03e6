"""Near-copies of forgotten images among the retained ones: forgetting one of two copies is no forgetting.

The original's own representations say what it cannot tell apart: a retained image is a near-copy of a forgotten one where the
two lie closer than a tenth of the distance at which retained images usually have their nearest neighbour. So the measure follows
the model and the data, and needs no label and no notion of pixels. What the model itself tells apart, such as a mirrored copy, it
does not find.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

from ..models import Network
from ..support.reading import counted
from ..support.seeds import stream
from .refusal import Refused
from .sources import OwnImages, listed
from .workers import frozen_pass

CLOSE = 0.1  # of the usual distance to the nearest neighbour
NEAR = ("retained image is a near-copy of a forgotten one", "retained images are near-copies of forgotten ones")
SEARCHED = 10_000  # retained images that are looked through at most: more would cost as much as unlearning does
ASKED = 5_000  # forgotten images that they are compared with at most
USUAL = 1_000  # retained images whose nearest neighbour says what is usual
PART = 2_000  # retained images whose representations lie in memory together
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
        return [f"{counted(count, *NEAR)}; kept, so what they show is not forgotten"]


def near(
    forget: torch.Tensor, retain: Iterable[torch.Tensor], sample: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Near-copies among representations.

    Args:
        forget: [n, width].
        retain: [m, width], part by part: they need not lie in memory together.
        sample: [s, width], some of the retained ones: the median distance to their nearest neighbours is the usual one.

    Returns:
        Rows of the retained ones int64 [k], of the forgotten one nearest to each int64 [k], and their distance in units of the
        usual one [k], nearest first.
    """
    own = sample.new_full((len(sample), 2), torch.inf)  # distances to the nearest two, of which the first is itself
    distances, ofs = [], []
    for part in retain:
        own = torch.cat([own, torch.cdist(sample, part).topk(min(2, len(part)), 1, largest=False).values], 1)
        own = own.topk(2, 1, largest=False).values
        for few in part.split(CHUNK):
            of = torch.cdist(few, forget).argmin(1)
            distances.append((few - forget[of]).norm(dim=1))  # exact: a table of distances is rounded
            ofs.append(of)
    usual = own[:, 1].median()
    if not usual > 0:  # half of all images are alike to this model: it cannot say what a copy is
        return (torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64), torch.empty(0))
    exact = torch.cat(distances) / usual
    order = exact.argsort()
    order = order[exact[order] <= CLOSE]
    return order.cpu(), torch.cat(ofs)[order].cpu(), exact[order].cpu()


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
    few = rows[torch.linspace(0, len(rows) - 1, min(USUAL, len(rows))).long()]
    e_f, sample = (
        frozen_pass(network.extractor, images.subset(own), "near-copies") for images, own in ((forget, asked), (retain, few))
    )
    parts = (frozen_pass(network.extractor, retain.subset(own), "near-copies") for own in rows.split(PART))
    found, of, distance = near(e_f, parts, sample)
    pairs = [
        {"forget": forget.called(int(asked[f])), "retain": retain.called(int(rows[r])), "distance": round(float(d), 4)}
        for r, f, d in zip(found, of, distance, strict=True)
    ]
    if way == "refuse" and pairs:
        shown = listed([f"{pair['retain']} of {pair['forget']}" for pair in pairs])
        raise CopiesFound(
            f"{counted(len(pairs), *NEAR)} ({shown}): forgetting one of two copies is no "
            "forgetting; say copies='forget' to forget them, too, 'drop' to leave them out, or 'keep'", pairs,
        )
    return Copies(pairs, rows[found].sort().values, len(rows), len(asked), way)
