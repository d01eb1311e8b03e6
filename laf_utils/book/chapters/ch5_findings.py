"""The test that chapter 5 sets, in sentences: whether methods that want labels and are told none do as well as LAF."""

from collections.abc import Iterable, Mapping

from ...audit.statistics import Interval
from ...settings.names import TASK_NAMES
from ...support.reading import counted
from ..base.reading import DEFAULTS, Group, collapsed, difference, over, pick, ranked
from ..base.words import name_of, title_of, within_noise

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
    cell = laf.any["cell"]
    where, of = title_of(cell["dataset"], cell["task"]), counted(len(apart), "label-blind control")
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
    way = "**better than LAF**" if gaps[method] < gaps["laf"] else "not better than LAF"
    return (
        f"On this run doing nothing leaves a gap of {gaps['original']:.2f} points, LAF {gaps['laf']:.2f} and {title}, one "
        f"pass and no training, {gaps[method]:.2f}: it is {way}."
    )
