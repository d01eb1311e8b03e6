"""What a request has done, in numbers and words: utility before and after, the audit, the worst remaining images, the verdict."""

import torch

from ..audit.unseen import audit
from .engine import Outcome
from .preparing import Answers, Prepared
from .watch import ERRORS, FORGOTTEN, Watch, agreement_gap, utility

WORST = 10  # remaining images that are listed
STILL_NAMED = 0.05  # share of D_f that may still be answered with a removed class

ACCEPTABLE, RETRAIN = "acceptable", "retraining advised"


def _percent(share: torch.Tensor | float) -> float:
    return round(100 * float(share), 3)


def _kept_classes(prepared: Prepared, before: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
    """bool [n]: unseen images whose class stays, by label where there are labels, else by the original's answer."""
    said = before.argmax(1) if labels is None else labels
    return ~torch.isin(said, torch.tensor(prepared.scope.classes, dtype=said.dtype))


def measured_utility(prepared: Prepared, after: Answers) -> dict[str, dict[str, float | int]]:
    """By set: agreement with the original, kept utility, and where there are labels accuracy before and after; percent."""
    found: dict[str, dict[str, float | int]] = {}
    for name in ("retain", "unseen"):
        old, new = getattr(prepared.before, name), getattr(after, name)
        if old is None:
            continue
        labels = prepared.unseen_labels if name == "unseen" else None
        keep = _kept_classes(prepared, old, labels) if name == "unseen" else torch.ones(len(old), dtype=torch.bool)
        if not keep.any():
            continue
        old, new = old[keep], new[keep]
        entry: dict[str, float | int] = {
            "images": len(old), "agreement": _percent((old.argmax(1) == new.argmax(1)).float().mean()),
            "utility": _percent(utility(old.softmax(1), new.argmax(1))),
        }
        if labels is not None:
            for when, logits in (("before", old), ("after", new)):
                entry[f"accuracy_{when}"] = _percent((logits.argmax(1) == labels[keep]).float().mean())
        found[name] = entry
    return found


def forgetting(prepared: Prepared, after: Answers) -> dict[str, object]:
    """What is left of D_f: agreement with the original, share answered with removed classes, and the worst rows; percent."""
    said, now = prepared.before.forget.argmax(1), after.forget
    left = now.softmax(1).gather(1, said[:, None]).flatten()
    order = left.argsort(descending=True)[:WORST]
    found: dict[str, object] = {
        "images": len(said), "agreement": _percent((now.argmax(1) == said).float().mean()),
        "worst": [
            {"row": row, "original_answer": int(said[row]), "probability_left": _percent(left[row])} for row in order.tolist()
        ],
    }
    if prepared.alike is not None:
        pair = (model.unseen[prepared.alike].argmax(1) for model in (prepared.before, after))
        found["agreement_unseen"] = _percent(torch.eq(*pair).float().mean())
    if prepared.scope.classes:
        removed = torch.tensor(prepared.scope.classes)
        found["named_before"] = _percent(torch.isin(said, removed).float().mean())
        found["named"] = _percent(torch.isin(now.argmax(1), removed).float().mean())
    return found


def audits(prepared: Prepared, after: Answers) -> dict[str, dict] | None:
    """The two-sided audit of the original and of the unlearned model; ``None`` without enough unseen images like D_f."""
    if prepared.alike is None:
        return None
    pair = {
        when: audit(found.forget, found.unseen[prepared.alike]) for when, found in (("before", prepared.before), ("after", after))
    }
    return {when: found.as_dict() for when, found in pair.items()} if pair["before"] else None


def too_costly(attempts: list[dict], floor: float, where: str = "they were not") -> str:
    """What stood in the way of a removed class, from the looks of all attempts: the price, or that nothing moved."""
    gone = [look["utility"] for attempt in attempts for look in attempt["looks"] if look.get("named", 1.0) <= FORGOTTEN
            and "utility" in look]
    if not gone:
        return "; no attempt came further"
    return f"; where {where}, utility was {100 * max(gone):.1f} % at best, and the floor is {100 * floor:.0f} %"


def driven_out(prepared: Prepared, numbers: dict) -> list[str]:
    """A reason where single images have lost far more answers than unseen ones, however sure the model is of the new ones."""
    found = numbers["forgetting"]
    if prepared.scope.name != "instances" or "agreement_unseen" not in found:
        return []
    own, other = found["agreement"], found["agreement_unseen"]
    gap, error = agreement_gap(own / 100, found["images"], other / 100, len(prepared.alike))
    if gap <= ERRORS * error:
        return []
    return [f"over-forgotten: {own:.1f} % of the forget images have kept their answer, of unseen images like them {other:.1f} %"]


def verdict(
    prepared: Prepared, watch: Watch, outcome: Outcome, numbers: dict, together: float | None
) -> tuple[str, list[str]]:
    """``acceptable`` or ``retraining advised``, and every reason for the latter.

    Args:
        outcome: what was kept, if anything, and the attempts.
        numbers: ``utility``, ``forgetting`` and ``audit`` of the report.
        together: utility left by all requests of the ledger, this one included.
    """
    if outcome.look is None:
        return RETRAIN, ["no point of any attempt could be kept: every one was not finite, collapsed or below the utility floor; "
                         "the copy given back is the original"]
    reasons = []
    if outcome.closed_form:
        cost = too_costly(outcome.attempts[:-1], watch.floor, "training removed it") if len(outcome.attempts) > 1 else ""
        reasons.append(f"the removed class's answer alone is gone, in closed form: the layers below still represent it{cost}")
    least = min((entry["utility"] for entry in numbers["utility"].values()), default=None)
    if least is None:
        reasons.append("utility could not be measured: neither retained nor unseen images are at hand")
    elif least < 100 * watch.floor:
        reasons.append(f"utility {least:.1f} % is below the floor of {100 * watch.floor:.0f} %")
    named = numbers["forgetting"].get("named")
    found = numbers["audit"]
    if named is not None and named > 100 * STILL_NAMED:
        cost = too_costly(outcome.attempts, watch.floor)
        reasons.append(f"{named:.1f} % of the forget images are still answered with a removed class{cost}")
    reasons += driven_out(prepared, numbers)
    if found is None and prepared.scope.name == "instances":
        reasons.append("single images leave their class in place: without unseen images nobody can tell if they are gone")
    if found is not None and found["after"]["side"] != "none":
        after = found["after"]
        reasons.append(f"the audit tells the forget images from unseen ones: {after['side']}, AUC {after['auc']:.1f} %")
    elif found is not None and prepared.scope.name == "instances" and found["after"]["detectable"] > 10:
        reasons.append(f"the audit is too small: it would have missed an AUC of {50 + found['after']['detectable']:.0f} %")
    if together is not None and together < watch.floor:
        reasons.append(
            f"all requests of the ledger together left {100 * together:.1f} % of the first model's utility, the floor is "
            f"{100 * watch.floor:.0f} %"
        )
    return (RETRAIN if reasons else ACCEPTABLE), reasons
