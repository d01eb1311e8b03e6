"""What the comparison found, in sentences: doing nothing first, then the methods, with the numbers of the records."""

from ...experiments.cells import AGAIN, ORIGINAL, RETRAIN
from ...settings.names import MEASURE_NAMES
from .ch5_tables import cost_share, is_ranked, kept_test, name_of

CONTROLS = ("scrub_unlabelled", "boundary_shrink_pseudo", "neggrad_plus_pseudo", "delete_pseudo", "null_space")
NOTHING = "No method is on record for this request."


def _mean(record: dict) -> float:
    return record["gap"]["mean"]


def _pick(records: list[dict], method: str, choice: str = "defaults") -> dict | None:
    return next((r for r in records if (r["cell"]["method"], r["cell"]["choice"]) == (method, choice) and r["gap"]), None)


def gap_finding(records: list[dict]) -> str:
    """How far doing nothing, LAF and the nearest methods are from the retrained model; settings of one choice at a time."""
    ranked = [r for r in records if is_ranked(r) and r["gap"]]
    if not ranked:
        return NOTHING
    said, nothing, again = [], _pick(records, ORIGINAL), _pick(records, AGAIN)
    if nothing:
        floor = f"; a second retraining is {_mean(again):.2f} away, and no smaller gap means anything" if again else ""
        said.append(f"Doing nothing leaves a gap of {_mean(nothing):.2f} points{floor}.")
    for choice, where in (("defaults", "At published settings"), ("tuned", "At tuned settings")):
        own = [r for r in ranked if r["cell"]["choice"] == choice]
        if own:
            said.append(f"{where} {_standing(own)}")
    seeds = {r["cell"]["seed"] for r in records}
    if len(seeds) == 1:
        said.append("One seed each: orders within the gap of the second retraining are chance.")
    return " ".join(said)


def _standing(own: list[dict]) -> str:
    """Where LAF stands among methods of one choice of settings."""
    best, laf = min(own, key=_mean), next((r for r in own if r["cell"]["method"] == "laf"), None)
    if laf is None:
        return f"the nearest is {name_of(best)} with {_mean(best):.2f}."
    others = [r for r in own if r["label_access"]["level"] == "none" and r is not laf]
    nearer = sorted((r for r in others if _mean(r) < _mean(laf)), key=_mean)
    said = f"LAF leaves {_mean(laf):.2f}; {len(nearer)} of {len(others)} other methods without labels end nearer"
    if nearer:
        said += f", first {name_of(nearer[0])} with {_mean(nearer[0]):.2f}"
    return f"{said}. Nearest of all is {name_of(best)} with {_mean(best):.2f}."


def control_finding(records: list[dict]) -> str:
    """Whether a label-blind control does as well as LAF: the test that this chapter sets; empty without such a row."""
    laf = _pick(records, "laf")
    controls = [r for r in records if r["cell"]["method"] in CONTROLS and r["cell"]["choice"] == "defaults" and r["gap"]]
    if laf is None or not controls:
        return ""
    better = sorted((r for r in controls if _mean(r) < _mean(laf)), key=_mean)
    if not better:
        return "No label-blind control ends nearer than LAF here."
    names = " and ".join(f"{name_of(r)} ({_mean(r):.2f})" for r in better)
    return (
        f"**The test of this chapter fails here.** {len(better)} of {len(controls)} label-blind controls end nearer than LAF "
        f"({_mean(laf):.2f}): {names}. Forgetting without labels is no achievement of LAF's alone."
    )


def movement_finding(records: list[dict]) -> str:
    """How far LAF moved Train_f on the way from the original to the retrained model, and what it paid on kept test images."""
    laf, nothing, goal = _pick(records, "laf"), _pick(records, ORIGINAL), next(
        (r for r in records if r["cell"]["method"] == RETRAIN and r["metrics"]), None
    )
    if laf is None or nothing is None or goal is None:
        return ""
    (test,), f = kept_test(laf), [r["metrics"]["train_f"] for r in (nothing, laf, goal)]
    t = [r["metrics"][test] for r in (nothing, laf, goal)]
    share = cost_share(laf, records)
    dear = ": as much as what it is meant to save, or more" if share and share >= 99 else ""
    cost = "" if share is None else f" LAF costs {share:.0f} % of the image passes of retraining{dear}."
    return (
        f"Train_f: original {f[0]:.2f} %, LAF {f[1]:.2f} %, retrained {f[2]:.2f} %. "
        f"{MEASURE_NAMES[test]}: {t[0]:.2f}, {t[1]:.2f} and {t[2]:.2f} %.{cost}"
    )


def findings(records: list[dict]) -> str:
    """Everything that is said of one request, as Markdown."""
    return "\n\n".join(filter(None, (gap_finding(records), control_finding(records), movement_finding(records))))


def own_method_finding(own: dict, records: list[dict]) -> str:
    """The chapter's own method beside LAF and doing nothing on the same run."""
    laf, nothing = _pick(records, "laf"), _pick(records, ORIGINAL)
    if laf is None or nothing is None or not own["gap"]:
        return f"{name_of(own)} has nothing to stand beside on this run."
    way = "**better than LAF**" if _mean(own) < _mean(laf) else "not better than LAF"
    return (
        f"On this run {name_of(own)}, one pass and no training, is {way}: its gap is {_mean(own):.2f} points, LAF's "
        f"{_mean(laf):.2f}, that of doing nothing {_mean(nothing):.2f}."
    )
