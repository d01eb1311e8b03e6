"""The test that chapter 5 sets, in sentences: whether methods that want labels and are told none do as well as LAF."""

from collections.abc import Iterable

from ..base.reading import DEFAULTS, Group, collapsed, difference, over, pick, ranked
from ..base.words import name_of, title_of, within_noise

CONTROLS = ("scrub_unlabelled", "boundary_shrink_pseudo", "neggrad_plus_pseudo", "delete_pseudo", "null_space")


def control_finding(rows: list[Group]) -> str:
    """Whether a label-blind control ends nearer than LAF in one request, over the seeds that both have; empty without one."""
    laf = pick(rows, "laf")
    own = [g for g in rows if g.method in CONTROLS and g.choice == DEFAULTS and not g.variant and ranked(g) and not collapsed(g)]
    apart = [(group, found) for group in own if (found := difference(group, laf))]
    if not apart:
        return ""
    cell = laf.any["cell"]
    where, of = title_of(cell["dataset"], cell["task"]), f"{len(apart)} label-blind control{'s' if len(apart) > 1 else ''}"
    nearer = [(group, found) for group, found in apart if found.mean < 0]
    named = "; ".join(f"{name_of(g)} ({over(g).mean:.2f})" for g, _ in nearer)
    beside = f"than LAF ({over(laf).mean:.2f} points)"
    if not nearer:
        return f"{where}: none of {of} ends nearer {beside}."
    if all(within_noise(found) for _, found in nearer):
        worth = "one seed, no claim" if all(found.count == 1 for _, found in nearer) else "by no more than chance"
        return f"{where}: {len(nearer)} of {of} end nearer {beside}, {worth}: {named}."
    return f"{where}: **LAF fails the test.** {len(nearer)} of {of} end nearer {beside}: {named}."


def control_findings(requests: Iterable[list[Group]]) -> str:
    """The same for several requests, as a Markdown list; a note where no control is on record."""
    said = [line for rows in requests if (line := control_finding(rows))]
    lines = "\n".join(f"- {line}" for line in said)
    return f"The test of this chapter, request by request:\n\n{lines}" if said else "No label-blind control is on record."


def own_method_finding(own: dict, records: list[dict]) -> str:
    """The chapter's own method beside doing nothing and LAF on the same run."""
    gaps = {r["cell"]["method"]: r["gap"]["mean"] for r in (*records, own) if r["gap"]}
    method, title = own["cell"]["method"], own["method"]["title"]
    if not {"original", "laf", method} <= set(gaps):
        return f"{title} has nothing to stand beside on this run."
    way = "**better than LAF**" if gaps[method] < gaps["laf"] else "not better than LAF"
    return (
        f"On this run doing nothing leaves a gap of {gaps['original']:.2f} points, LAF {gaps['laf']:.2f} and {title}, one "
        f"pass and no training, {gaps[method]:.2f}: it is {way}."
    )
