"""The paper's tables: one exhibit for each data set and task.

Blocks stand apart: published settings, references, settings of the equal search, rows that are not ranked, rows of the authors.
Where every method was searched, the equal search stands first. Each begins with doing nothing. What is shown fits a page; every
column is folded below it and in the CSV.
"""

from pathlib import Path

import pandas as pd

from ...audit import gaps_to_retrained
from ...experiments.cells import EXACT, ORIGINAL, REFERENCES, RETRAIN, Cell
from ...experiments.tuning_spaces import SPACES
from ...experiments.tuning_winners import published_stay, searched_methods
from ...methods.catalogue import LISTED
from ...settings.names import LABEL_ACCESS, MEASURE_NAMES, MODEL_NAMES
from ..base import reading
from ..base.captions import chance_text, headline, machine_of, rests_on
from ..base.exhibit import Exhibit
from ..base.reading import DEFAULTS, Found, Group, groups, metric, over, pick, ranked, tow
from ..base.tables import MISSING, number, with_values
from ..base.training_records import authors
from ..base.words import NOTHING, SPREAD, gap_text, labels_read, mean_text, name_of, percent, short_points, spread_text, title_of
from .sentences import readings

UNSHOWN = ("test_f",)  # of a page's columns: it says what Train_f says
OWN = ("relearn",)  # methods of this project's that are shown as soon as there is a record
MEASURES = {
    "class": ("train_r", "train_f", "test_r", "test_f"), "data": ("train_r", "train_f", "test"),
    "noisy": ("train_r", "train_f", "train_f_true", "test"),
}
GAP = "gap (95 % interval)"  # the deciding column: right after the name
LABELS, COST, SEEDS = "labels", "cost", "seeds"
PUBLISHED, REFERENCE, TUNED = "Published settings", "References", "Settings of the equal search"
APART, THEIR_BLOCK = "Not ranked: outside the claim of their papers, or on an original of their own", "Rows of the authors"
# The authors' full sets of numbers, by what they are about: (group of authors.json, its name in rows).
THEIRS = {
    ("mnist", "class"): ("authors_code_measured", "authors' code run by us"),
    ("cifar10", "class"): ("published_notebook", "authors' notebook"),
}
THEIR_MODELS = {"original": NOTHING, "retrained": MODEL_NAMES["retrained"], "laf": "LAF"}
READING = "Percent, means over seeds; *gap* in points, with its 95 % interval; *cost*: passes as a share of retraining's."
FIRST_TUNED = (
    "The first table has the settings that an equal search chose for each method; below it stand the published ones, which were "
    "made for another scale."
)
EVERY_COLUMN = f"Below, with every column: {SPREAD}; ToW is 1 for the retrained model."


def seconds_of(group: Group) -> tuple[list[float], bool, str] | None:
    """Seconds by seed, whether they are processor seconds, and on what: of one machine and PyTorch, a CPU where there is one.

    Records of different machines are not averaged; where some of a machine's were measured on the processor's clock and others
    on the wall's, the former.
    """
    machines = reading.grouped(group.good.values(), lambda r: (r["machine"]["device"] != "cpu", machine_of(r)))
    for (_, name), same in sorted(machines.items(), key=lambda item: (item[0][0], -len(item[1]))):
        for clock in ("processor_seconds", "seconds"):
            values = [record[clock] for record in same if record[clock] is not None]
            if values:
                return values, clock == "processor_seconds", name
    return None


def seconds_text(group: Group) -> str:
    """``10.2 ± 0.3`` processor seconds, or ``~147`` on the wall clock of a machine that did other work."""
    found = seconds_of(group)
    if found is None:
        return MISSING
    values, processor, _ = found
    return mean_text(values, 1) if processor else f"~{sum(values) / len(values):,.0f}"


def seeds_text(group: Group) -> str:
    """``3``, ``2 of 3, the others diverged``, ``diverged``."""
    good, all_ = len(group.good), len(group.records)
    return "diverged" if not good else str(good) if good == all_ else f"{good}, {all_ - good} diverged"


def _row(rows: list[Group], group: Group, measures: dict[str, str]) -> dict[str, str]:
    """A row of a table: gap, cost and labels of a group among the rows of its request, its measures, its seeds."""
    goal = group.method == RETRAIN and not group.variant
    return {
        # A gap to another retrained model than the table shows is marked.
        GAP: ("the goal" if goal else gap_text(over(group))) + reading.reference_mark(rows, group),
        COST: percent(reading.share_of_retraining(rows, group)),
        LABELS: MISSING if group.method == ORIGINAL else labels_read(group.any),  # who does nothing asks for none
        **measures, SEEDS: seeds_text(group),
    }


def table(rows: list[Group], task: str, among: list[Group] | None = None) -> pd.DataFrame:
    """One row for each group, in their order, as a page shows it: those that have numbers; empty without any.

    Args:
        among: all rows of the request, where ``rows`` are one block of them.
    """
    shown = [name for name in MEASURES[task] if name not in UNSHOWN]
    found = {}
    for group in filter(lambda group: group.good, rows):
        means = {MEASURE_NAMES[name]: over(group, metric(name)) for name in shown}
        texts = {name: number(own.mean if own else None) for name, own in means.items()}
        found[name_of(group)] = _row(rows if among is None else among, group, texts)
    return with_values(pd.DataFrame.from_dict(found, orient="index"))


def full(rows: list[Group], task: str) -> pd.DataFrame:
    """Every column of every row, those that diverged included."""
    found = {}
    for group in rows:
        texts = {MEASURE_NAMES[name]: spread_text(over(group, metric(name))) for name in (*MEASURES[task], "asr")}
        goal = group.method == RETRAIN and not group.variant
        texts |= {"ToW": MISSING if goal else spread_text(over(group, tow), 3), "seconds": seconds_text(group)}
        found[name_of(group)] = _row(rows, group, texts)
    return with_values(pd.DataFrame.from_dict(found, orient="index"))


def blocks(rows: list[Group]) -> dict[str, list[Group]]:
    """The rows by block, doing nothing first in each; a block of nothing else is left out. Published settings that the search
    left as they are stand in both blocks. The first is the table to read: that of the search, where it has been made for every
    method and LAF has numbers in it."""
    reference = [g for g in rows if g.method in REFERENCES and not g.variant]
    nothing = [g for g in reference if g.method == ORIGINAL]
    rest = [g for g in rows if g not in reference]
    parts = {
        PUBLISHED: [g for g in rest if ranked(g) and g.choice == DEFAULTS],
        REFERENCE: [g for g in reference if g not in nothing],
        TUNED: [g for g in rest if ranked(g) and (g.choice != DEFAULTS or _published_won(g))],
        APART: [g for g in rest if not ranked(g)],
    }
    if any(group.method == "laf" and _all_searched(group) for group in parts[TUNED]):
        parts = {TUNED: parts.pop(TUNED), **parts}
    return {name: nothing + own for name, own in parts.items() if any(group.good for group in own)}


def _first(parts: dict[str, pd.DataFrame]) -> tuple[pd.DataFrame, str]:
    """The table to read first, taken out of ``parts``, and what is said of it where it is not that of the published settings."""
    if TUNED in parts and next(iter(parts)) == TUNED:
        return parts.pop(TUNED), FIRST_TUNED
    return parts.pop(PUBLISHED, pd.DataFrame()), ""


def _published_won(group: Group) -> bool:
    """Whether the search left the method's published settings, so that they are the tuned ones."""
    return not group.variant and group.method not in EXACT and published_stay(Cell(**group.any["cell"] | {"choice": "tuned"}))


def _all_searched(group: Group) -> bool:
    """Whether the equal search of a group's request has been made for every method."""
    cell = group.any["cell"]
    return set(SPACES) <= set(searched_methods(cell["dataset"], cell["task"]))


def _not_run(rows: list[Group], dataset: str, task: str) -> str:
    """Which winners of the equal search the table lacks, as they have no run of full size; empty where it lacks none."""
    run = {group.method for group in rows if group.choice != DEFAULTS}
    won = [name for name, changed in searched_methods(dataset, task).items() if changed and name in LISTED]
    lacking = [name for name in won if name not in run] if run else []
    names = ", ".join(LISTED[name].title for name in lacking)
    return f"Settings that the equal search chose, and that were not run at full size yet: {names}." if lacking else ""


def their_gaps(dataset: str, task: str) -> dict[str, dict[str, float]]:
    """The distance of the authors' models to their own retrained one, as ours is computed."""
    known = authors()[THEIRS[dataset, task][0]]
    return gaps_to_retrained({model: {name: known[model][name] for name in MEASURES[task]} for model in THEIR_MODELS})


def their_rows(dataset: str, task: str) -> dict[str, dict[str, str]]:
    """The authors' rows of a table. Their gap is computed here from their accuracies; nothing else is."""
    if (dataset, task) not in THEIRS:
        return {}
    key, who = THEIRS[dataset, task]
    known, gaps = authors()[key], their_gaps(dataset, task)
    return {
        f"{name}, {who}": {
            GAP: mean_text([gaps[model]["mean"]]) if model in gaps else "the goal", LABELS: LABEL_ACCESS[model],
            **{MEASURE_NAMES[name]: mean_text([known[model].get(name)]) for name in (*MEASURES[task], "asr")},
            "ToW": mean_text([gaps[model]["tow"]], 3) if model in gaps else MISSING, SEEDS: "1",
        } for model, name in THEIR_MODELS.items()
    }


def clocks_text(rows: list[Group]) -> str:
    """What the seconds of a table are."""
    found = [own for group in rows if (own := seconds_of(group))]
    if not found:
        return ""
    names = " and ".join(sorted({name for _, _, name in found}))
    said = f"Seconds on {names}: of one thread on the processor's clock"
    return said + (", or (~) on the wall clock of a machine that did other work." if not all(p for _, p, _ in found) else ".")


def rows_of(found: Found, dataset: str, task: str) -> list[Group]:
    """References and methods; rows of single experiments have exhibits of their own. None where nothing is on record."""
    profile, listed = reading.profile_of(found, dataset, task), (*REFERENCES, *LISTED)
    return [group for group in groups(found, dataset, task, profile) if group.method in listed] if profile else []


def exhibit(found: Found, dataset: str, task: str) -> Exhibit:
    """The tables of a data set and task with caption and readings; a note where nothing is on record."""
    title, rows = title_of(dataset, task), rows_of(found, dataset, task)
    theirs = pd.DataFrame.from_dict(their_rows(dataset, task), orient="index")
    parts = {name: table(own, task, rows) for name, own in blocks(rows).items()}
    whole = [full(rows, task)] if rows else []
    detail = [rests_on(rows), chance_text(rows), clocks_text(rows), EVERY_COLUMN] if rows else []
    if len(theirs):
        parts[THEIR_BLOCK] = theirs.drop(columns=["ToW", *(MEASURE_NAMES[name] for name in UNSHOWN)], errors="ignore")
        whole.append(theirs)
        key, who = THEIRS[dataset, task]
        detail.append(f"Rows “{who}”: {authors()[key]['origin']}; their gap is computed here from their accuracies.")
    if any(record["test_without_held_out"] for group in rows for record in group.good.values()):
        detail.append("SCRUB+R reads a fifth of the test images; its test accuracies and its goal's leave those out.")
    detail.append(_not_run(rows, dataset, task))
    apart = [g for g in rows if not ranked(g)]
    detail += [f"{name_of(g)} is not ranked: {LISTED[g.method].outside_claim}." for g in apart if g.choice == DEFAULTS]
    said = readings(rows, f"On {title}") + _beside_theirs(rows, dataset, task) if rows else ()
    first, which = _first(parts)
    about = " ".join(filter(None, [headline(rows), READING, which])) if rows else "No record of ours yet."
    together = pd.concat(whole).fillna(MISSING) if whole else None
    return Exhibit(
        f"{task}-{dataset}", title, about, first, said, blocks=parts, detail=" ".join(filter(None, detail)), full=together
    )


def of_records(records: list[dict]) -> Exhibit:
    """The same tables and sentences for records that a notebook has just made, of one request and seed."""
    cell = records[0]["cell"]
    found = Found({Path(f"{row}.json"): record for row, record in enumerate(records)})
    rows = groups(found, cell["dataset"], cell["task"], cell["profile"])
    parts = {name: table(own, cell["task"], rows) for name, own in blocks(rows).items()}
    first, _ = _first(parts)
    return Exhibit("run", "This run", READING, first, readings(rows, "On this run"), blocks=parts)


def _beside_theirs(rows: list[Group], dataset: str, task: str) -> tuple[str, ...]:
    """A sentence that holds our LAF beside theirs, in distance to the retrained model of the same hands, where that may be."""
    own = pick(rows, "laf")
    if (dataset, task) not in THEIRS or over(own) is None:
        return ()
    _, who = THEIRS[dataset, task]
    size, profile = their_gaps(dataset, task)["laf"]["mean"], own.any["cell"]["profile"]
    said = f"LAF of the {who} is {size:.2f} points from its own retrained model (one seed), ours {short_points(over(own))}"
    if profile == "paper":
        return (f"{said}.",)
    return (f"{said}; the two are **not comparable**: theirs saw every image at 224 × 224, ours is profile `{profile}`.",)
