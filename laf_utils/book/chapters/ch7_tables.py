"""The tables of the questions."""

from dataclasses import replace

import pandas as pd
from pandas.io.formats.style import Styler

from ...settings.names import TASK_NAMES
from ..base.captions import rests_on, seeds_text
from ..base.reading import Group, cka, gap, metric, over
from ..base.tables import MISSING, titled
from ..base.words import gap_text, mean_text, title_of
from .ch7_arms import Board, Place, agreement, passes
from .ch7_questions import EPOCHS, PLACES, Arm, Question, of_task

BASE, AGAIN_NAME = "LAF as published", "Retrain, another seed"


def named(board: Board, question: Question, place: Place) -> dict[str, Group]:
    """Rows of one place: the second retrained model, LAF, then each arm that has records."""
    rows = {AGAIN_NAME: board.again(place), BASE: board.base(place)}
    rows |= {arm.title: board.row(place, arm) for arm in question.arms}
    return {name: group for name, group in rows.items() if group}


def by_place(board: Board, question: Question) -> pd.DataFrame:
    """Mean gap to the retrained model with its 95 % interval over seeds: an arm each row, a place each column; points."""
    columns = {}
    for place in PLACES:
        rows = named(board, question, place)
        columns[title_of(*place)] = {
            name: gap_text(over(group)) if group.good else "diverged" for name, group in rows.items()
        }
    order = [AGAIN_NAME, BASE, *(arm.title for arm in question.arms)]
    table = pd.DataFrame(columns, dtype=object)
    return table.reindex([name for name in order if name in table.index]).fillna(MISSING)


def pooled(board: Board, question: Question, task: str) -> pd.DataFrame:
    """What an arm changes, over both data sets and all seeds of a request: differences to LAF of the same data set and seed, with
    95 % intervals.
    """
    places = of_task(task)
    measures = {"gap (points)": gap, "Train_f (points)": metric("train_f"), "Train_r (points)": metric("train_r"),
                "CKA on D_f": cka("forget"), "CKA on D_r": cka("retain")}
    rows = {}
    for arm in question.arms:
        own, failed = board.differences(arm, places=places), board.diverged(arm, places)
        if not own and not failed:
            continue
        row = {"runs": str(len(own)) + (f", {failed} diverged" if failed else "")}
        for name, value in measures.items():
            row[name] = gap_text(board.pooled(arm, value, places), 3 if name.startswith("CKA") else 2)
        row["passes, LAF = 1"] = _share(board.runs(passes, arm, places), board.runs(passes, places=places))
        rows[arm.title] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def of_question(board: Board, question: Question) -> list[Styler]:
    """The tables of a question, each under its title: gaps by place, then what each arm changes in either request."""
    found = [titled(by_place(board, question), "Gap to the retrained model, points (95 % interval over training seeds).")]
    for task in dict.fromkeys(task for _, task in PLACES):
        table = pooled(board, question, task)
        if len(table):
            rest = "differences to LAF as published, over both data sets and all seeds (95 % interval)."
            found.append(titled(table, f"{TASK_NAMES[task].capitalize()}: {rest}"))
    return found


def of_epochs(board: Board) -> list[Styler]:
    """LAF after more and more epochs, a table for each place that has records, data removal first."""
    places = sorted(PLACES, key=lambda place: place[1] != "data")
    found = []
    for place in places:
        if rows := trajectory(board, place):
            said = f"{title_of(*place)}: {seeds_text(list(rows.values()))}, mean ± standard deviation."
            found.append(titled(by_epochs(board, place), said))
    return found


def _share(own: list[float], base: list[float]) -> str:
    """Mean over mean."""
    return f"{(sum(own) / len(own)) / (sum(base) / len(base)):.2f}" if own and base else MISSING


def by_epochs(board: Board, place: Place) -> pd.DataFrame:
    """LAF after more and more epochs, beside the second retrained model; mean ± std over seeds."""
    rows = {}
    for name, group in trajectory(board, place).items():
        rows[name] = {
            "Train_f": mean_text(group.values(metric("train_f")).values()),
            "Test": mean_text(group.values(metric("test")).values()),
            "gap": mean_text(group.values(gap).values()),
            "agreement on D_f (%)": mean_text(group.values(agreement("forget")).values()),
            "CKA on D_f": mean_text(group.values(cka("forget")).values(), 3),
            "CKA on D_r": mean_text(group.values(cka("retain")).values(), 3),
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
    return "\n\n".join(said) or "No record of profile quick yet."
