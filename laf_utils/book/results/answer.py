"""Does it work? One sentence and one table over all requests, from the records of the comparison."""

from collections.abc import Sequence

import pandas as pd

from ...audit import interval
from ...audit.statistics import Interval, holm
from ...experiments.cells import AGAIN, EXACT, ORIGINAL, REFERENCES, RETRAIN
from ...settings.names import DATASET_NAMES, TASK_NAMES
from ...support.reading import counted
from ..base import reading
from ..base.captions import caption
from ..base.exhibit import Exhibit
from ..base.reading import DEFAULTS, Found, Group, collapsed, difference, gap, metric, over, pick, profile_of, ranked
from ..base.words import NOTHING, SPREAD, mark_of, mean_text, name_of, signed, title_of, within_noise
from . import tables
from .sentences import DEAR

LAF = "laf"
COLUMNS = (NOTHING, "LAF", "retrained again", "LAF's cost")
WHAT = {"class": "Where a whole class must go", "data": "Where random images must go", "noisy": "Where wrong labels must go"}
MOST = 3  # rows that a sentence names
LITTLE = 0.1  # of the way from the original to the retrained model: less is next to nothing
ABOUT = caption("answer", spread=SPREAD)
NO_RECORD = "No record of LAF beside doing nothing yet."

Place = tuple[str, str]
Requests = dict[Place, list[Group]]


def requests(found: Found, places: Sequence[Place]) -> Requests:
    """The rows of every request that has LAF and the original on record, by data set and task."""
    rows = {place: tables.rows_of(found, *place) for place in places}
    return {place: own for place, own in rows.items() if difference(pick(own, LAF), pick(own, ORIGINAL))}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _gap_of(rows: list[Group], method: str) -> float | reading.MaybeNone:
    found = over(pick(rows, method))
    return found.mean if found else None


def _cost(rows: list[Group]) -> float | None:
    shares = list(reading.share_of_retraining(rows, pick(rows, LAF)).values())
    return 100 * _mean(shares) if shares else None


def headline(found: Found, places: Sequence[Place]) -> pd.DataFrame:
    """One row for each request: doing nothing, LAF, the model retrained again, and what LAF costs."""
    table = {}
    for place, rows in requests(found, places).items():
        profile = profile_of(found, *place)
        cost, floor = _cost(rows), _gap_of(rows, AGAIN)
        numbers = (f"{_gap_of(rows, ORIGINAL):.2f}", mean_text(pick(rows, LAF).values(gap).values()), mean_text([floor]),
                   mean_text([cost], 0) + ("\u00a0%" if cost is not None else ""))
        table[title_of(*place) + mark_of(profile, pick(rows, LAF))] = dict(zip(COLUMNS, numbers, strict=True))
    return pd.DataFrame.from_dict(table, orient="index")


def _apart(own: Requests) -> Interval:
    """LAF's gap less doing nothing's over the requests, each weighing the same."""
    return interval([difference(pick(rows, LAF), pick(rows, ORIGINAL)).mean for rows in own.values()])


def by_task(own: Requests) -> dict[str, tuple[Interval, float]]:
    """By task, LAF against doing nothing over its requests, and the p of it, corrected for the tasks being several (Holm)."""
    parts = {task: {p: rows for p, rows in own.items() if p[1] == task} for task in WHAT}
    found = {task: _apart(part) for task, part in parts.items() if part}
    ps = holm([each.p for each in found.values()])
    return {task: (each, p) for (task, each), p in zip(found.items(), ps, strict=True)}


def _count(own: Requests, task: str) -> str:
    """``means of 4 requests``."""
    count = sum(each == task for _, each in own)
    return "one request" if count == 1 else f"means of {count} requests"


def of_task(own: Requests, task: str, apart: Interval, p: float, count: str = "") -> str:
    """Whether LAF is nearer than doing nothing in a task, with both means and, where it is given, of how many requests."""
    part = [rows for (_, each), rows in own.items() if each == task]
    mine, nothing = (_mean([_gap_of(rows, method) for rows in part]) for method in (LAF, ORIGINAL))
    if within_noise(apart, p=p):
        word = "is not shown to be nearer than doing nothing"
    else:
        word = "is nearer to the goal than doing nothing" if apart.mean < 0 else "is **farther from the goal than doing nothing**"
    return f"{WHAT[task]}, LAF {word} ({mine:.1f} against {nothing:.1f} points{f', {count}' if count else ''})."


def floor_and_cost(own: Requests) -> str:
    """The noise floor and the cost, counted over requests."""
    floors = [_gap_of(rows, LAF) > _gap_of(rows, AGAIN) for rows in own.values() if _gap_of(rows, AGAIN) is not None]
    costs = [cost for rows in own.values() if (cost := _cost(rows)) is not None]
    said = []
    if floors:
        said.append(f"A second retrained model is nearer than LAF in {sum(floors)} of {len(floors)} requests.")
    if costs:
        dear = sum(cost >= DEAR for cost in costs)
        said.append(f"LAF costs as many image passes as retraining, or more, in {dear} of {len(costs)}.")
    return " ".join(said)


def answer(found: Found, places: Sequence[Place]) -> str:
    """Does LAF as published work? By task against doing nothing, then the noise floor and the cost."""
    own = requests(found, places)
    if not own:
        return NO_RECORD
    tested = by_task(own)
    won = [not within_noise(apart, p=p) and apart.mean < 0 for apart, p in tested.values()]
    word = "**Yes.**" if all(won) else "**In part.**" if any(won) else "**Not that one could tell.**"
    counts = [_count(own, task) for task in tested]
    shown = counts if len(set(counts)) > 1 else [*counts[:1], *[""] * (len(counts) - 1)]  # said once where all have as many
    tasks = " ".join(of_task(own, task, *each, count) for (task, each), count in zip(tested.items(), shown, strict=True))
    return f"{word} {tasks} {floor_and_cost(own)}".rstrip()


def _nearer(own: Requests) -> str | None:
    """Label-free rows at published settings that are nearer than LAF on the requests that both have, with both means."""
    gaps: dict[str, list[tuple[float, float]]] = {}
    once: dict[str, list[bool]] = {}
    for rows in own.values():
        mine = _gap_of(rows, LAF)
        for group in rows:
            asked = group.choice == DEFAULTS and group.level == "none" and not group.variant and over(group)
            if asked and group.method not in (LAF, *REFERENCES, *EXACT) and ranked(group) and not collapsed(group):
                gaps.setdefault(name_of(group), []).append((over(group).mean, mine))
                once.setdefault(name_of(group), []).append(over(group).count == 1)
    means = {name: tuple(map(_mean, zip(*pairs, strict=True))) for name, pairs in gaps.items()}
    counts = {name: f"{counted(len(pairs), 'request')}{', one seed' if any(once[name]) else ''}"
              for name, pairs in gaps.items()}
    better = [f"{name} ({theirs:.2f} against {mine:.2f} points, {counts[name]})"
              for name, (theirs, mine) in sorted(means.items(), key=lambda item: item[1][0] - item[1][1]) if theirs < mine]
    if not means:
        return None
    if not better:
        return "No other row without labels is nearer than LAF on average."
    first = "most of all" if len(better) > MOST else "namely"
    return (
        f"{len(better)} of {len(means)} other rows without labels {'is' if len(better) == 1 else 'are'} nearer than LAF on the "
        f"requests that both have, {first} {'; '.join(better[:MOST])}. That describes these runs; it is no test."
    )


def _moved(own: Requests) -> str | None:
    """Accuracy on the forgotten images: where doing nothing leaves it, where LAF does, and where a retrained model has it."""
    rows = [[over(pick(group, name), metric("train_f")) for name in (ORIGINAL, LAF, RETRAIN)] for group in own.values()]
    rows = [each for each in rows if all(each)]
    if not rows:
        return None
    start, mine, goal = (_mean([each.mean for each in column]) for column in zip(*rows, strict=True))
    word = ". **LAF moves it by next to nothing**" if abs(start - mine) < LITTLE * abs(start - goal) else ""
    return f"Train_f is {start:.1f} % after doing nothing, {mine:.1f} % after LAF and {goal:.1f} % in the retrained model{word}."


def task_exhibit(found: Found, task: str, places: Sequence[Place]) -> Exhibit:
    """What the tables of a task say together: LAF against doing nothing, the floor and the cost, and who else is near."""
    own = requests(found, [place for place in places if place[1] == task])
    title, name = f"{TASK_NAMES[task][0].upper()}{TASK_NAMES[task][1:]}, all data sets", f"task-{task}"
    if not own:
        return Exhibit(name, title, NO_RECORD, pd.DataFrame())
    apart = _apart(own)
    first = of_task(own, task, apart, 0.0, _count(own, task))
    span = f" The difference is {signed(apart.mean)} points (95 % interval {signed(apart.low)} to {signed(apart.high)})."
    worth = f"So LAF is **not shown to be worth its cost** {WHAT[task].lower()}." if within_noise(apart) else None
    said = (first + (span if apart.count > 1 else ""), _moved(own), floor_and_cost(own), worth, _nearer(own))
    sets = ", ".join(dict.fromkeys(DATASET_NAMES[dataset] for dataset, _ in own))
    about = f"On {sets}. {ABOUT}"
    return Exhibit(name, title, about, headline(found, list(own)), tuple(filter(None, said)))


def exhibit(found: Found, places: Sequence[Place]) -> Exhibit:
    """The headline table with its answer."""
    return Exhibit("answer", "Does it work?", ABOUT, headline(found, places), (answer(found, places),))
