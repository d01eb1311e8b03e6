"""The tables of the questions."""

from dataclasses import replace

import pandas as pd
from pandas.io.formats.style import Styler

from ...experiments.cells import AGAIN
from ...settings.names import TASK_NAMES
from ..base.captions import rests_on, seeds_text
from ..base.reading import Group, cka, gap, metric, over
from ..base.tables import MISSING
from ..base.words import NOTHING, SPREAD, TITLES, signed, spread_text, title_of
from .aligned import aligned
from .ch7_questions import EPOCHS, PLACES, Arm, Board, Place, Question, agreement, of_task, passes

BASE, AGAIN_NAME = "LAF as published", TITLES[AGAIN]
LEAST = 3  # runs from which an interval is said: that of two is hundreds of points wide


def rows_of(board: Board, question: Question, place: Place) -> dict[str, Group]:
    """Rows of one place: doing nothing, the second retrained model, LAF, then each arm that has records."""
    rows = {NOTHING: board.row(place, Arm("original")), AGAIN_NAME: board.again(place), BASE: board.base(place)}
    rows |= {arm.title: board.row(place, arm) for arm in question}
    return {name: group for name, group in rows.items() if group}


def by_place(board: Board, question: Question) -> pd.DataFrame:
    """Mean gap to the retrained model over seeds: an arm each row, a place each column; points."""
    columns = {}
    for place in PLACES:
        rows = rows_of(board, question, place)
        columns[title_of(*place)] = {
            name: spread_text(over(group)) if group.good else "diverged" for name, group in rows.items()
        }
    order = [NOTHING, AGAIN_NAME, BASE, *(arm.title for arm in question)]
    table = pd.DataFrame(columns, dtype=object)
    return table.reindex([name for name in order if name in table.index]).fillna(MISSING)


def pooled(board: Board, question: Question, task: str) -> pd.DataFrame:
    """What an arm changes, over both data sets and all seeds of a request: differences to LAF of the same data set and seed,
    with Student's 95 % interval of the gap's.
    """
    places = of_task(task)
    measures = {"gap (points)": gap, "Train_f (points)": metric("train_f"), "Train_r (points)": metric("train_r"),
                "CKA on D_f": cka("forget")}
    rows = {}
    for arm in question:
        own, failed = board.differences(arm, places=places), board.diverged(arm, places)
        if not own and not failed:
            continue
        row = {}
        for name, value in measures.items():
            found = board.pooled(arm, value, places)
            row[name] = signed(found.mean) if found else MISSING
            if value is gap:
                known = found and found.count >= LEAST
                row["95 % interval"] = f"{signed(found.low)} to {signed(found.high)}" if known else MISSING
        row["runs"] = str(len(own)) + (f", {failed} diverged" if failed else "")
        row["passes, LAF = 1"] = _share(board.runs(passes, arm, places), board.runs(passes, places=places))
        rows[arm.title] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def of_question(board: Board, question: Question) -> list[Styler]:
    """The tables of a question, each under its title: gaps by place, then what each arm changes in either request."""
    found = [aligned(by_place(board, question), f"Gap to the retrained model in points, over training seeds; {SPREAD}.")]
    for task in dict.fromkeys(task for _, task in PLACES):
        table = pooled(board, question, task)
        if len(table):
            rest = "differences to LAF as published, over both data sets and all seeds; the interval is of the gap."
            found.append(aligned(table, f"{TASK_NAMES[task].capitalize()}: {rest}"))
    return found


def of_epochs(board: Board) -> list[Styler]:
    """LAF after more and more epochs, a table for each place that has records, data removal first."""
    places = sorted(PLACES, key=lambda place: place[1] != "data")
    found = []
    for place in places:
        if rows := trajectory(board, place):
            said = f"{title_of(*place)}: {seeds_text(list(rows.values()))}; {SPREAD}."
            found.append(aligned(by_epochs(board, place), said))
    return found


def _share(own: list[float], base: list[float]) -> str:
    """Mean over mean."""
    return f"{(sum(own) / len(own)) / (sum(base) / len(base)):.2f}" if own and base else MISSING


def by_epochs(board: Board, place: Place) -> pd.DataFrame:
    """LAF after more and more epochs, beside the second retrained model."""
    rows = {}
    for name, group in trajectory(board, place).items():
        rows[name] = {
            "gap": spread_text(over(group)),
            "Train_f": spread_text(over(group, metric("train_f"))),
            "Test": spread_text(over(group, metric("test"))),
            "agreement on D_f (%)": spread_text(over(group, agreement("forget"))),
            "CKA on D_f": spread_text(over(group, cka("forget")), 3),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def trajectory(board: Board, place: Place) -> dict[str, Group]:
    """By name: the original, LAF by rising epochs, and the second retrained model, those that are on record.

    Of the seeds that all of them have: else what a seed does would pass for what epochs do.
    """
    rows = {"0 epochs: the original": board.row(place, Arm("original"))}
    for epochs in EPOCHS:
        arm = Arm() if epochs == 10 else Arm(variant=f"epochs_{epochs}")
        rows[f"{epochs} epoch{'s' if epochs > 1 else ''}"] = board.row(place, arm)
    rows[AGAIN_NAME] = board.again(place)
    found = {name: group for name, group in rows.items() if group and group.good}
    shared = set.intersection(*(set(group.good) for group in found.values())) if found else set()
    return {name: replace(group, records={seed: group.records[seed] for seed in sorted(shared)}) for name, group in found.items()
            if shared}


def about(board: Board) -> str:
    """What the tables rest on, from the records of every place."""
    said = [rests_on(plain) for rows in board.rows.values() if (plain := [group for group in rows if not group.variant])]
    if not said:
        return "No record of profile quick yet."
    return "\n\n".join(["<details><summary>The runs behind the numbers of this page</summary>", *said, "</details>"])
