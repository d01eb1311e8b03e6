"""What a request has done, in numbers and words: utility before and after, the audit, the worst remaining images, the verdict."""

from collections.abc import Callable
from typing import cast

import torch

from ..audit.unseen import auc_error, audit
from ..support.reading import counted
from .anew import APART
from .attempts import Outcome
from .evidence import CRITICAL, LEAST_COMPARED, Evidence, weigh, weigh_removed
from .preparing import Answers, Prepared
from .reference import Reference
from .watch import ERRORS, FORGOTTEN, Watch, agreement_gap, utility

WORST = 10  # remaining images that are listed
STILL_NAMED = 0.04  # share of D_f that may still be answered with a removed class: the points that the verdict study allows

ACCEPTABLE, RETRAIN, CANNOT_TELL = "acceptable", "retraining advised", "cannot tell"


def _percent(share: torch.Tensor | float) -> float:
    return round(100 * float(share), 3)


def _kept_classes(prepared: Prepared, before: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
    """bool [n]: unseen images whose class stays, by label where there are labels, else by the original's answer."""
    said = before.argmax(1) if labels is None else labels
    return ~torch.isin(said, torch.tensor(prepared.scope.classes, dtype=said.dtype))


def unseen_kept(prepared: Prepared) -> torch.Tensor:
    """bool [n]: unseen images whose class stays."""
    before = prepared.before.unseen
    return torch.ones(0, dtype=torch.bool) if before is None else _kept_classes(prepared, before, prepared.unseen_labels)


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
        pair = (cast(torch.Tensor, model.unseen)[prepared.alike].argmax(1) for model in (prepared.before, after))
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
        when: audit(found.forget, cast(torch.Tensor, found.unseen)[prepared.alike])
        for when, found in (("before", prepared.before), ("after", after))
    }
    return {when: found.as_dict() for when, found in pair.items() if found} if pair["before"] else None


def told_apart(audits: dict[str, dict] | None) -> bool:
    """Whether sureness alone tells D_f from unseen images, at the level of the audit behind the verdict; without images enough on
    both sides it might."""
    if not audits or "after" not in audits:
        return True
    after = audits["after"]
    return abs(after["auc"] / 100 - 0.5) > CRITICAL * auc_error(after["forget"], after["unseen"])


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
    gap, error = agreement_gap(own / 100, found["images"], other / 100, len(cast(torch.Tensor, prepared.alike)))
    if gap <= ERRORS * error:
        return []
    return [f"over-forgotten: {own:.1f} % of the forget images have kept their answer, of unseen images like them {other:.1f} %"]


def broken(logits: torch.Tensor) -> str | None:
    """Why answers [n, classes] are those of no classifier, whatever an audit says; ``None`` where they may be."""
    if not logits.isfinite().all():
        return "the model's answers are not finite"
    if len(logits) > 1 and (logits - logits[:1]).abs().max() <= 1e-6 * logits.abs().max():
        return "the model gives every image the same answer: it has learned nothing, or its weights were lost (a cast?)"
    return None


def learned_nothing(prepared: Prepared) -> str | None:
    """A reason where the original itself gives all images one answer: whatever is measured against it, it has no meaning."""
    before = prepared.before
    everything = torch.cat([logits for logits in (before.forget, before.retain, before.unseen) if logits is not None])
    return broken(everything)


def weighed(prepared: Prepared, after: Answers, reference: Callable[[], Reference]) -> Evidence | None:
    """The audit behind the verdict; ``None`` without enough unseen images. Single images are held against students of this
    request, which needs retained ones; classes that vanish need no students."""
    rows = prepared.audited
    if rows is None:
        return None
    assert prepared.unseen is not None
    before, now = ((model.forget, cast(torch.Tensor, model.unseen)[rows]) for model in (prepared.before, after))
    if prepared.scope.name == "class":
        return weigh_removed(before, now)
    if prepared.retain is None or len(rows) < LEAST_COMPARED:
        return None
    unseen = prepared.unseen.subset(rows)
    return weigh(before, now, (reference().logits(prepared.forget), reference().logits(unseen)))


def findings(found: Evidence | None, class_removed: bool, unseen: int) -> tuple[list[str], list[str]]:
    """Reasons against the model, and reasons why nobody can tell, of the audit against the reference."""
    if found is None:
        few = f"{counted(unseen, 'unseen image')} to hold single images against, of {LEAST_COMPARED} needed: nobody can tell"
        return [], [] if class_removed else [few]
    sure = f"surer of them than of unseen images as hard by {found.sureness:.1f} standard errors"
    points = "" if found.expected is None else (
        f"{found.agreement:.1f} % of the forget images are answered as by the original, models that never saw them have about "
        f"{found.expected:.1f} %"
    )
    against = f"{points}; {sure}" if points else sure
    if found.finding == "leak":
        return [f"leak: {against}"], []
    if found.finding == "over-forgotten":
        return [f"over-forgotten: {against}"], []
    if found.finding == "apart":
        return [f"apart: the forget images are told from unseen ones as hard (Kolmogorov-Smirnov p {found.apart:.1g})"], []
    if found.finding == "unclear":
        return [], [
            f"the smallest leak the audit would have seen is {found.detectable:.1f} points of accuracy on the forget images; "
            f"{found.tolerance:.1f} are allowed; {points} (+- {found.error:.1f}), {found.beyond:+.1f} points "
            f"beyond students of the retained images, of {found.allowed:g} allowed"
        ]
    return [], []


def conclusion(failed: list[str], unknown: list[str]) -> tuple[str, list[str]]:
    """The verdict and its reasons: what is shown goes before what is not known."""
    return (RETRAIN, [*failed, *unknown]) if failed else (CANNOT_TELL, unknown) if unknown else (ACCEPTABLE, [])


def verdict(
    prepared: Prepared, watch: Watch, outcome: Outcome, numbers: dict, together: float | None, found: Evidence | None = None
) -> tuple[str, list[str]]:
    """``acceptable``, ``retraining advised`` or ``cannot tell``, and every reason against the first.

    Args:
        outcome: what was kept, if anything, and the attempts.
        numbers: ``utility``, ``forgetting``, and ``audit`` of the report.
        together: utility left by all requests of the ledger, this one included.
        found: the audit behind the verdict, see ``weighed``.
    """
    nothing = learned_nothing(prepared)
    if nothing:
        return CANNOT_TELL, [nothing]
    if outcome.look is None:
        return RETRAIN, ["no point of any attempt could be kept: every one was not finite, collapsed or below the utility floor; "
                         "the copy given back is the original"]
    failed, unknown = [], []
    if outcome.closed_form:
        cost = too_costly(outcome.attempts[:-1], watch.floor, "training removed it") if len(outcome.attempts) > 1 else ""
        failed.append(f"the removed class's answer alone is gone, in closed form: the layers below still represent it{cost}")
    floors = {name: 100 * (watch.floor - (APART if outcome.anew and name == "unseen" else 0)) for name in numbers["utility"]}
    if not floors:
        unknown.append("utility could not be measured: neither retained nor unseen images are at hand")
    else:
        kept = {name: entry["utility"] for name, entry in numbers["utility"].items()}
        least, floor = min(((kept[name], floors[name]) for name in floors), key=lambda pair: pair[0] - pair[1])
        if least < floor:
            failed.append(f"utility {least:.1f} % is below the floor of {floor:.0f} %")
    named = numbers["forgetting"].get("named")
    if named is not None and named > 100 * STILL_NAMED:
        cost = too_costly(outcome.attempts, watch.floor)
        failed.append(f"{named:.1f} % of the forget images are still answered with a removed class{cost}")
    if found is None and not outcome.anew:  # else the audit says it, and knows what a model without the images would have kept
        failed += driven_out(prepared, numbers)
    removed = prepared.scope.name == "class"
    if not removed and (prepared.unseen is None or prepared.retain is None):
        lacking = "unseen" if prepared.unseen is None else "retained"
        unknown.append(f"single images leave their class in place: without {lacking} images nobody can tell if they are gone")
    elif found is not None or not outcome.anew:
        shown, open_ = findings(found, removed, 0 if prepared.audited is None else len(prepared.audited))
        failed, unknown = failed + shown, unknown + ([] if outcome.anew else open_)
    if together is not None and together < watch.floor:
        failed.append(
            f"all requests of the ledger together left {100 * together:.1f} % of the first model's utility, the floor is "
            f"{100 * watch.floor:.0f} %"
        )
    return conclusion(failed, unknown)
