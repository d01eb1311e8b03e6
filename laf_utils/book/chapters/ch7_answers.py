"""Two sentences for each question, computed from the records: every claim with its number and its interval."""

import pandas as pd

from ...audit import interval
from ...audit.statistics import Interval
from ...settings.names import TASK_NAMES
from ..base.reading import cka, gap, over
from ..base.training_records import runs as training_records
from ..base.words import points_text, signed, title_of
from .ch7_arms import Board, Place, agreement
from .ch7_questions import PLACES, Arm, Question, of_task
from .ch7_tables import AGAIN_NAME, trajectory

NOTHING = "No record answers this yet."


def _runs_text(found: Interval, unit: str = "points", digits: int = 2) -> str:
    """``1.20 points (95 % interval 0.50 to 1.90, 6 runs)``."""
    return points_text(found, unit, digits, of="run")


def told_apart(found: Interval) -> bool:
    """Whether the interval of a difference leaves zero out."""
    return found.count > 1 and not found.low <= 0 <= found.high


def _short(found: Interval) -> str:
    """``0.84 (0.50 to 1.20)``."""
    ends = f" ({signed(found.low)} to {signed(found.high)})" if found.count > 1 else " (one run)"
    return signed(found.mean) + ends


def in_request(board: Board, question: Question, task: str) -> str | None:
    """A sentence: what each arm changes of the gap to the retrained model in one request; ``None`` without a record."""
    places = of_task(task)
    found = {arm: own for arm in question.arms if (own := board.pooled(arm, places=places))}
    own, again = (board.runs(gap, arm, places) for arm in (None, Arm("retrain_again")))
    if not found or not own:
        return None
    kinds = {"farther from retrained": [], "nearer": [], "not to be told apart": []}
    for arm, one in found.items():
        kind = "not to be told apart" if not told_apart(one) else "farther from retrained" if one.mean > 0 else "nearer"
        kinds[kind].append(f"*{arm.title}* {_short(one)}")
    floor = f" (a second retrained model: {_short(interval(again))})" if again else ""
    said = [f"{kind} {'are' if len(named) > 1 else 'is'} {', '.join(named)}" for kind, named in kinds.items() if named]
    failed = [f"*{arm.title}* in {count}" for arm in question.arms if (count := board.diverged(arm, places))]
    said += [f"diverged: {', '.join(failed)}"] if failed else []
    runs = max(one.count for one in found.values())
    return (
        f"In {TASK_NAMES[task]}, beside LAF's gap of {_short(interval(own))} points{floor}, {'; '.join(said)} "
        f"(differences in points with 95 % intervals, {runs} paired run{'s' if runs > 1 else ''})."
    )


def answer(board: Board, question: Question) -> str:
    """Two sentences, one for each request."""
    return " ".join(filter(None, (in_request(board, question, task) for task in ("class", "data")))) or NOTHING


def _span(board: Board, place: Place, value: object) -> tuple[str, str, str] | None:
    """(after the profile's epochs, after the most, second retrained model) of a measure, as text."""
    rows = trajectory(board, place)
    found = []
    for name in ("10 epochs", next((n for n in ("40 epochs", "20 epochs") if n in rows), ""), AGAIN_NAME):
        values = list(rows[name].values(value).values()) if name in rows else []
        if not values:
            return None
        own = interval(values)
        found.append(f"{own.mean:.2f}" + (f" ({own.low:.2f} to {own.high:.2f})" if own.count > 1 else " (one seed)"))
    return tuple(found)


def goal(board: Board) -> str:
    """Question 7: what a retrained model does with D_f in data removal, and where going on leads."""
    said = []
    for place in (p for p in PLACES if p[1] == "data"):
        answers, shape = _span(board, place, agreement("forget")), _span(board, place, cka("forget"))
        if answers and shape:
            said.append(
                f"{title_of(*place)}: a second retrained model answers {answers[2]} % of $D_f$ as the first does, LAF "
                f"{answers[0]} % after 10 epochs and {answers[1]} % after the most; CKA to the retrained representations "
                f"{shape[2]}, {shape[0]} and {shape[1]}"
            )
    if not said:
        return NOTHING
    known = f"In data removal the goal is a model that still knows most of $D_f$ ({'; '.join(said)})."
    return f"{known} {_where_to_end(board)}".strip()


def _where_to_end(board: Board) -> str:
    """After how many epochs the gap is smallest, and what representations have done until the last of them."""
    ends, most, shapes, away, apart = [], 0, [], 0, 0
    for place in PLACES:
        rows = {n: g for n, g in trajectory(board, place).items() if n.endswith(("epoch", "epochs"))}
        means = {name: own for name, group in rows.items() if (own := over(group))}
        if len(means) < 3:
            continue
        best, last = min(means, key=lambda n: means[n].mean), list(means)[-1]
        ends.append(f"{title_of(*place)}: {best} with {points_text(means[best])}")
        most += best == last
        shape = [over(rows[name], cka("forget")) for name in (next(iter(means)), last)]
        if all(shape):
            shapes.append(f"{title_of(*place)}: {_short(shape[0])} to {_short(shape[1])}".replace(" (one run)", ""))
            lower = shape[1].mean < shape[0].mean
            away, apart = away + lower, apart + (lower and best == last)
    if not ends:
        return ""
    verdict = "accuracies and representations do not agree on how far to go" if apart else "where to end has to be measured"
    return (
        f"The smallest mean gap comes after the most epochs that were tried in {most} of {len(ends)} requests "
        f"({'; '.join(ends)}), while CKA on $D_f$ to the retrained model is lower after the most epochs than after the fewest in "
        f"{away} of {len(shapes)} ({'; '.join(shapes)}): {verdict}."
    )


def costs(table: pd.DataFrame, dataset: str = "mnist", task: str = "class") -> str:
    """Question 1, from ``costmodel.shown.cost_by_stage`` and the training records of mode ``reference``.

    Args:
        table: of the data set and task.
    """
    same = [r for r in training_records() if (r["config"]["dataset"], r["config"]["task"]) == (dataset, task)
            and r["config"]["mode"] == "reference" and r["config"]["profile"] == "paper"]
    if not same or "LAF" not in table.index.get_level_values(0):
        return NOTHING
    shares = {}
    for name in ("vae", "unlearning"):
        shares[name] = interval([100 * r["seconds"][name] / r["seconds"]["retrained"] for r in same])
    laf = table.loc["LAF", "% of retraining"]
    dear, others = laf.sum(), table["% of retraining"].groupby(level=0).sum()
    cheaper = sum(1 for name, share in others.items() if share < dear and name not in ("LAF", "LAF+R"))
    kept = table.loc["LAF", "MB added, counted"]
    return (
        f"On {title_of(dataset, task)} LAF passes {dear:.0f} % of the images that retraining passes ({laf['VAEs']:.1f} % for the "
        f"VAEs' representations, {laf['unlearning']:.0f} % for unlearning and alignment), and its VAEs take "
        f"{_runs_text(shares['vae'], '% of the retraining time', 1)}, its unlearning {_runs_text(shares['unlearning'], '%', 1)}. "
        f"It keeps nothing before the request and {kept.max():.0f} MB while working; {cheaper} of the {len(others) - 2} other "
        "rows of the table pass fewer images."
    )
