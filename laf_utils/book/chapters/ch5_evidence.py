"""Chapter 5: a number for each method that shows it does what its paper says; and the test that the chapter sets: whether methods
that want labels and are told none do as well as LAF.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import pandas as pd

from ...audit.statistics import Interval
from ...experiments.cells import ORIGINAL
from ...settings.names import TASK_NAMES
from ...support.reading import counted
from ..base.reading import DEFAULTS, Group, collapsed, difference, over, pick, ranked
from ..base.words import name_of, title_of, within_noise
from .ch5_tables import record_name


def _accuracies(record: dict, original: dict, names: tuple[str, ...] = ("train_f", "train_r")) -> str:
    before, after = original["metrics"], record["metrics"]
    return ", ".join(f"{name.capitalize()} from {before[name]:.2f} to {after[name]:.2f} %" for name in names)


_accuracy = partial(_accuracies, names=("train_f",))


def _ends(name: str, what: str = "", rises: bool = False) -> Callable[[dict, dict], str]:
    """First and last value, and whether it went the other way than the paper says."""
    def said(record: dict, original: dict) -> str:
        first, last = record["history"][name][0], record["history"][name][-1]
        seen = "" if (last > first if rises else last < first) else ": **not seen**"
        return f"{what} {first:.3g} in its first pass, {last:.3g} in its last{seen}".lstrip()

    return said


def _share(name: str, of: str) -> Callable[[dict, dict], str]:
    return lambda record, original: f"{100 * record['history'][name][0]:.2f} % of {of}"


def _bounded(record: dict, original: dict) -> str:
    return f"at most {max(record['history']['forget_loss']):.3f} of {math.log(10):.3f} nats, ln 10"


def _rewound(record: dict, original: dict) -> str:
    history = record["history"]
    (chosen,), (goal,) = history["chosen_epoch"], history["held_out_error"]
    return f"epoch {chosen} of {len(history['forget_error'])}: {history['forget_error'][chosen - 1]:.3f} beside {goal:.3f}"


def _trained_again(record: dict, original: dict) -> str:
    return f"{100 * record['passes']['training'] / original['passes']['training']:.0f} % of the original's image passes"


# Method -> (what its paper says of it, the number that shows it).
CLAIMS: dict[str, tuple[str, Callable[[dict, dict], str]]] = {
    "retrain": ("never saw D_f", _accuracy),
    "jit": ("forgets from D_f alone", _accuracy),
    "jit_mean": ("forgets from D_f alone", _accuracy),
    "boundary_expand": ("D_f's loss into the added class falls", _ends("loss")),
    "laf": ("forgets without labels", _accuracy),
    "laf_r": ("the repair brings it nearer", lambda r, o: f"mean gap {r['gap']['mean']:.2f} points"),
    "relearn": ("learns D_r anew without labels", _accuracy),
    "lfssd": ("dampens without training", _share("dampened", "the weights")),
    "ts": ("D_f is answered like a fresh network: a guess", _accuracy),
    "scrub_unlabelled": ("KL to the teacher on D_f rises", _ends("forget_kl", rises=True)),
    "boundary_shrink_pseudo": ("loss to the nearest other class falls", _ends("loss")),
    "neggrad_plus_pseudo": ("forget loss stays bounded", _bounded),
    "neggrad": ("forget loss rises", _ends("forget_loss", rises=True)),
    "neggrad_plus": ("forget loss rises", _ends("forget_loss", rises=True)),
    "neggrad_plus_bounded": ("forget loss stays bounded", _bounded),
    "boundary_shrink": ("loss to the adversarial neighbour's class falls", _ends("loss")),
    "boundary_shrink_other": ("loss to the nearest other class falls", _ends("loss")),
    "scrub": ("KL to the teacher on D_f rises", _ends("forget_kl", rises=True)),
    "scrub_r": ("rewinds to the held-out error", _rewound),
    "unroll": ("takes back D_f's first gradients in one pass", _accuracy),
    "sisa": ("trains again only what held D_f", _trained_again),
    "synthetic": ("forgets a class without one image", _accuracies),
    "delete_pseudo": ("D_f moves to the original's other answers", _ends("kl", "KL")),
    "mixunlearn": ("forgets without labels and keeps D_r", _accuracies),
    "mixunlearn_mixup": ("plain mixtures do less than the generator's", _accuracies),
    "mixunlearn_real": ("the loss on real images does most of it", _accuracies),
    "lotus": ("D_f is answered as unseen images are", _ends("agreement", "agreement")),
    "svd": ("forgets without a gradient", _share("removed", "the weights' length")),
    "null_space": ("a control: one direction less", _accuracies),
    "delete": ("D_f moves to the original's other answers", _ends("kl", "KL")),
    "salun": ("half of the weights suffice", _accuracies),
    "ssd": ("dampens without training", _share("dampened", "the weights")),
    "sparse": ("fewer weights while D_r is learned", _ends("absolute_sum", "sum of |weights|")),
}


def evidence(records: list[dict]) -> pd.DataFrame:
    """What each method's paper says and the number that shows it: at published settings, or tuned where those diverge.

    Args:
        records: of one request, its original among them; those of profile ``quick`` speak where there is no other.
    """
    originals = {r["cell"]["profile"]: r for r in records if r["cell"]["method"] == ORIGINAL}
    rows, told = {}, set()
    for record in sorted(records, key=lambda r: (r["cell"]["profile"] == "quick", r["cell"]["choice"] == "tuned")):
        method, original = record["cell"]["method"], originals.get(record["cell"]["profile"])
        if original is None or record["failure"] or method not in CLAIMS or method in told:
            continue
        told.add(method)
        claim, number = CLAIMS[method]
        start = record["before"] and {"metrics": record["before"], "passes": original["passes"]}
        rows[record_name(record)] = {"its paper": claim, "here": number(record, start or original)}
    return pd.DataFrame.from_dict(rows, orient="index")


CONTROLS = ("scrub_unlabelled", "boundary_shrink_pseudo", "neggrad_plus_pseudo", "delete_pseudo", "null_space")


def _controls(rows: list[Group]) -> list[tuple[Group, Interval]]:
    """The label-blind controls of a request, each with its gap less LAF's over the seeds that both have."""
    own = [g for g in rows if g.method in CONTROLS and g.choice == DEFAULTS and not g.variant and ranked(g) and not collapsed(g)]
    return [(group, found) for group in own if (found := difference(group, pick(rows, "laf")))]


def control_finding(rows: list[Group]) -> str:
    """Whether a label-blind control ends nearer than LAF in one request, over the seeds that both have; empty without one."""
    laf, apart = pick(rows, "laf"), _controls(rows)
    if not apart:
        return ""
    nearer = {name_of(group): (over(group).mean, found) for group, found in apart if found.mean < 0}
    where, of = title_of(laf.any["cell"]["dataset"], laf.any["cell"]["task"]), counted(len(apart), "label-blind control")
    beside = f"than LAF ({over(laf).mean:.2f} points)"
    if not nearer:
        return f"{where}: none of {of} ends nearer {beside}."
    fails, worth = "**LAF fails the test.** ", ""
    if all(within_noise(found) for _, found in nearer.values()):
        once = all(found.count == 1 for _, found in nearer.values())
        fails, worth = "", f", {'one seed, no claim' if once else 'by no more than chance'}"
    named = "; ".join(f"{name} ({gap:.2f})" for name, (gap, _) in nearer.items())
    return f"{where}: {fails}{len(nearer)} of {of} end nearer {beside}{worth}: {named}."


def control_findings(requests: Iterable[list[Group]]) -> str:
    """The same for several requests, as a Markdown list; a note where no control is on record."""
    said = "\n".join(f"- {line}" for line in map(control_finding, requests) if line)
    return f"The test of this chapter, request by request:\n\n{said}" if said else "No label-blind control is on record."


def control_summary(requests: Mapping[str, Iterable[list[Group]]]) -> str:
    """In how many requests of each task some label-blind control ends nearer than LAF, in one sentence."""
    found = {task: [[each for _, each in own] for rows in part if (own := _controls(rows))] for task, part in requests.items()}
    said = [f"{sum(any(one.mean < 0 for one in own) for own in part)} of {counted(len(part), 'request')} of {TASK_NAMES[task]}"
            for task, part in found.items() if part]
    few = any(one.count == 1 for part in found.values() for own in part for one in own)
    once = " Some of these rows have one seed: a hint, no claim." if few else ""
    return f"Some label-blind control ends nearer than LAF in {', '.join(said)}.{once}" if said else ""


def own_method_finding(own: dict, records: list[dict]) -> str:
    """The chapter's own method beside doing nothing and LAF on the same run."""
    gaps = {r["cell"]["method"]: r["gap"]["mean"] for r in (*records, own) if r["gap"]}
    method, title = own["cell"]["method"], own["method"]["title"]
    if not {"original", "laf", method} <= set(gaps):
        return f"{title} has nothing to stand beside on this run."
    way = "nearer" if gaps[method] < gaps["laf"] else "no nearer"
    return (
        f"On this run doing nothing leaves a gap of {gaps['original']:.2f} points, LAF {gaps['laf']:.2f} and {title}, one "
        f"pass and no training, {gaps[method]:.2f}: it is {way} than LAF here. One seed makes no claim."
    )
