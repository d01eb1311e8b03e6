"""D_r after its checks: without what is in D_f, was forgotten before or is a near-copy; and its two parts, used and watched."""

from dataclasses import dataclass

import torch

from ..models import Network
from ..support.progress import track
from ..support.seeds import stream
from .certified import LARGEST, frozen
from .choice import CERTIFIED, retained_used
from .copies import Copies, search
from .first_model import FirstModel
from .ledger import Ledger
from .options import Options
from .refusal import Refused
from .sources import OwnImages

LOOKED = 1_000  # retained and unseen images whose class under the original is asked for
LEAST_RETAINED = 64  # images of D_r: as many for the watch as for training, and a batch at least


def hashed(images: OwnImages, label: str) -> list[bytes]:
    """The digest of every image, one at a time."""
    found = []
    with track(len(images), label, unit="image") as bar:
        for rows in torch.arange(len(images)).split(256):
            found += images.digests(rows)
            bar.update(len(rows))
    return found


def without_overlap(
    digests: list[bytes], retain: OwnImages, overlap: str, ledger: Ledger | None
) -> tuple[torch.Tensor, list[bytes]]:
    """int64, the rows of D_r that are kept, and the digests of all rows.

    Raises:
        Refused: ``overlap``: images of D_f are in D_r, and would be learned again; ``forgotten_before``: those of an earlier
        request.
    """
    own, marks = set(digests), hashed(retain, "comparing the sets")
    back = ledger.forgotten_before(marks) if ledger else []
    if back:
        raise Refused(
            "forgotten_before", f"{len(back)} retained images were forgotten by an earlier request of this ledger (rows "
            f"{', '.join(map(str, back[:5]))}): take them out of the retained images",
        )
    twice = torch.tensor([mark in own for mark in marks])
    if twice.any() and overlap == "refuse":
        rows = ", ".join(map(str, twice.nonzero().flatten()[:5].tolist()))
        raise Refused(
            "overlap", f"{int(twice.sum())} images are in both sets, the first at rows {rows} of the retained ones: take them "
            "out, or say overlap='drop'",
        )
    return (~twice).nonzero().flatten(), marks


@dataclass(frozen=True)
class Retained:
    """D_r after the checks, and its two disjoint parts."""

    images: OwnImages | None = None
    used: OwnImages | None = None
    watched: OwnImages | None = None
    labels: torch.Tensor | None = None
    dropped: int = 0
    copies: Copies = Copies()
    also: OwnImages | None = None  # near-copies that are to be forgotten, too
    known: tuple[bytes, ...] = ()  # digests of ``watched``


def retained_parts(
    given: OwnImages | None, labels: torch.Tensor | None, digests: list[bytes], options: Options, ledger: Ledger | None,
    most: int, network: Network, forget: OwnImages,
) -> Retained:
    """What is left of D_r, and which of it is trained on and which watched.

    Args:
        digests: one for each image of D_f.
        most: bytes that each part may take in memory.

    Raises:
        Refused: ``overlap``, ``forgotten_before``, ``copies``, ``too_few_images``.
    """
    if given is None:
        return Retained()
    kept, marks = without_overlap(digests, given, options.overlap, ledger)
    found = search(network, forget, given.subset(kept), options.seed, options.copies)
    also = given.subset(kept[found.rows]) if options.copies == "forget" and len(found.rows) else None
    if options.copies in ("drop", "forget"):
        kept = kept[~torch.isin(torch.arange(len(kept)), found.rows)]
    if len(kept) < LEAST_RETAINED:
        raise Refused(
            "too_few_images", f"{len(kept)} retained images are at hand, {LEAST_RETAINED} at least are needed; leave retain out "
            "to go on without any",
        )
    images, labels = given.subset(kept), None if labels is None else labels[kept]
    order = torch.randperm(len(images), generator=stream(options.seed, "own", "retain"))
    looked, marks = min(LOOKED, len(images) // 2), [marks[row] for row in kept.tolist()]
    if ledger is not None:  # in a row of requests the same images are watched, and none of them is ever trained on
        before = FirstModel(ledger).places(marks)
        order = torch.cat([before[:looked], order[~torch.isin(order, before)]])
    wanted = LARGEST if options.method == CERTIFIED or frozen(network) else retained_used(len(digests), len(images) - looked)
    rows = order[looked : looked + wanted].sort().values
    return Retained(
        images, images.subset(rows).held(most), images.subset(order[:looked]).held(most), None if labels is None else
        labels[rows], len(given) - len(kept), found, also, tuple(marks[row] for row in order[:looked].tolist()),
    )
