"""``judge``: the verdict on a model that somebody hands in, however it was made: retrained, unlearned elsewhere, or untouched."""

from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import nn

from ..representations import apply_frozen
from ..support.seeds import stream
from .choice import ranked, scope_of
from .copying import working_copy
from .evidence import Evidence, Pair, weigh, weigh_removed
from .head import device_of, dtype_of
from .keeping import Keeper
from .options import Options
from .preparing import open_images
from .reference import Reference, taught
from .report import ACCEPTABLE, CANNOT_TELL, RETRAIN, STILL_NAMED, broken, conclusion, findings
from .retained import LOOKED, without_overlap
from .sources import OwnImages
from .watch import utility


@dataclass(frozen=True)
class Judgement:
    """``acceptable``, ``retraining advised`` or ``cannot tell``, every reason, and the evidence where there is any."""

    verdict: str
    reasons: tuple[str, ...]
    evidence: Evidence | None
    utility: float | None

    @property
    def acceptable(self) -> bool:
        return self.verdict == ACCEPTABLE

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"evidence": None if self.evidence is None else self.evidence.as_dict()}


def _logits(model: nn.Module, images: OwnImages) -> torch.Tensor:
    return apply_frozen(model, images, "audit").cpu()


def judge(
    original: nn.Module, model: nn.Module, forget: Any, retain: Any, *, unseen: Any, removed: tuple[int, ...] | None = (),
    scope: str = Options.scope, transform: Any = None, seed: int = Options.seed, floor: float = Options.floor,
    reference: Reference | None = None,
) -> Judgement:
    """Has ``model`` forgotten D_f, as far as anybody can tell from its answers?

    Args:
        original: the model that was trained on D_f and D_r.
        model: the one that is handed in; same classes, any weights.
        forget, retain, unseen: images in any form that ``forget`` takes; nothing may have been trained on the unseen ones, nor
            chosen by them.
        removed: classes that vanish with D_f; none: single images of classes that stay. ``None``: found as ``forget`` finds them.
        scope: where they are to be found: ``class``, ``instances`` or ``auto``.
        seed: draws the students.
        floor: least share of the utility on unseen images that the least of the students has.
        reference: from ``reference.taught``, where several models of one request are judged.

    Raises:
        Refused: images that cannot be read, or that are in both sets.
    """
    keeper, options = Keeper(), Options(transform=transform, seed=seed)
    with keeper:
        before, after = working_copy(original), working_copy(model)
        own, rest, new = (
            cast(OwnImages, open_images(given, options, keeper, before, name))
            for given, name in ((forget, "forget"), (retain, "retain"), (unseen, "unseen"))
        )
        if reference is None or removed is None:
            rest = rest.subset(without_overlap(own.digests(), rest, "refuse", None)[0])
        if removed is None:
            looked = rest.subset(torch.randperm(len(rest), generator=stream(seed, "own", "retain"))[:LOOKED])
            said = [_logits(before, images) for images in (own, looked)]
            removed = scope_of(ranked(said[0]), said[1].argmax(1), len(rest), scope).classes
        if reference is None:
            reference = taught(before, rest, removed, seed=seed)
        after = after.to(device_of(before), dtype_of(before))
        pair = [(_logits(network, own), _logits(network, new)) for network in (before, after)]
        return judged(pair[0], pair[1], (reference.logits(own), reference.logits(new)), removed, floor)


def judged(before: Pair, after: Pair, students: Pair, removed: tuple[int, ...] = (), floor: float = Options.floor) -> Judgement:
    """The same from logits on D_f and on unseen images; of the students [k, n, c] each."""
    trouble = next((said for logits in ((*before,), (*after,)) if (said := broken(torch.cat(logits)))), None)
    if trouble:
        return Judgement(RETRAIN if not broken(torch.cat(before)) else CANNOT_TELL, (trouble,), None, None)
    gone = torch.tensor(removed, dtype=torch.long)
    stays = ~torch.isin(before[1].argmax(1), gone)
    kept = utility(before[1][stays].softmax(1), after[1][stays].argmax(1))
    usual = min(utility(before[1][stays].softmax(1), own[stays].argmax(1)) for own in students[1])
    failed: list[str] = []
    if kept < floor * usual:
        least = f"the least of the models taught on the retained ones has {100 * usual:.1f} %"
        failed.append(f"utility {100 * kept:.1f} % on unseen images, {least}")
    if removed:
        named = 100 * torch.isin(after[0].argmax(1), gone).float().mean().item()
        if named > 100 * STILL_NAMED:
            failed.append(f"{named:.1f} % of the forget images are still answered with a removed class")
        found = weigh_removed((before[0], before[1][~stays]), (after[0], after[1][~stays]))
    else:
        found = weigh(before, after, students)
    more = findings(found, bool(removed), len(stays))
    said, reasons = conclusion([*failed, *more[0]], more[1])
    return Judgement(said, tuple(reasons), found, kept)
