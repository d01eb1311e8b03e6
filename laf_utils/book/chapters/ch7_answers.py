"""The answer to each question in words, computed from the records; intervals stand in the tables."""

from ...audit.statistics import Interval
from ...settings.names import TASK_NAMES
from ...support.reading import counted
from ..base.reading import Value, cka, gap, over
from ..base.words import title_of
from .ch7_questions import DENSITIES, PLACES, SCHEDULE, SIMILARITY, Arm, Board, Place, Question, agreement, of_task, passes
from .ch7_tables import AGAIN_NAME, LEAST, trajectory

NOTHING = "No record answers this yet."


def told_apart(found: Interval) -> bool:
    """Whether the interval of a difference leaves zero out; of fewer than three runs never."""
    return found.count >= LEAST and not found.low <= 0 <= found.high


def kinds_of(board: Board, question: Question, task: str) -> dict[str, dict[str, Interval]]:
    """The arms of a question that end farther from retrained than LAF, nearer, or cannot be told apart: title to difference."""
    kinds: dict[str, dict[str, Interval]] = {"farther": {}, "nearer": {}, "alike": {}}
    for arm in question:
        if one := board.pooled(arm, places=of_task(task)):
            kinds["alike" if not told_apart(one) else "farther" if one.mean > 0 else "nearer"][arm.title] = one
    return kinds


def in_request(board: Board, question: Question, task: str) -> str | None:
    """A sentence: which arms change the gap to the retrained model in one request; ``None`` without a record.

    The numbers of what cannot be told apart stand in the table alone.
    """
    places, kinds = of_task(task), kinds_of(board, question, task)
    if not any(kinds.values()) or not board.runs(gap, None, places):
        return None
    said = [
        ", ".join(f"*{name}* (by {abs(one.mean):.2f} points)" for name, one in kinds[way].items())
        + f" end{'s' * (len(kinds[way]) == 1)} {way} than LAF"
        for way in ("farther", "nearer") if kinds[way]
    ]
    if kinds["alike"]:
        said.append(f"{', '.join(f'*{name}*' for name in kinds['alike'])} cannot be told from LAF")
    failed = [f"*{arm.title}* in {count}" for arm in question if (count := board.diverged(arm, places))]
    said += [f"diverged: {', '.join(failed)}"] if failed else []
    runs = max(one.count for own in kinds.values() for one in own.values())
    few = f" {counted(runs, 'paired run is', 'paired runs are')} too few to tell." if runs < LEAST else ""
    return f"In {TASK_NAMES[task]}, {'; '.join(said)}.{few}"


def answer(board: Board, question: Question) -> str:
    """Two sentences, one for each request."""
    return " ".join(filter(None, (in_request(board, question, task) for task in ("class", "data")))) or NOTHING


def parts_verdict(board: Board, question: Question, part: str) -> str:
    """What follows for a part of LAF: whether any exchange of it was seen to matter, over both requests.

    Args:
        part: what the arms exchange, as the subject of a sentence.
    """
    kinds = [kinds_of(board, question, task) for task in ("class", "data")]
    arms = {name for own in kinds for named in own.values() for name in named}
    if not arms:
        return NOTHING
    seen = {name for own in kinds for way in ("farther", "nearer") for name in own[way]}
    if not seen:
        return (
            f"**{part} are not seen to matter.** None of {len(arms)} exchanges can be told from LAF as published in either "
            "request. That is no proof that they never matter, but nothing here speaks for them."
        )
    return f"**{part} matter in {len(seen)} of {len(arms)} exchanges:** {', '.join(f'*{name}*' for name in sorted(seen))}."


def alignment_alone(board: Board) -> str:
    """L_RA alone beside both losses, run by run: whether L_UE is worth its step."""
    own = board.differences(Arm(variant="without_ue"))
    if not own:
        return NOTHING
    nearer, pooled = sum(value < 0 for value in own.values()), board.pooled(Arm(variant="without_ue"))
    whole = board.runs(passes, Arm(variant="without_ue")), board.runs(passes)
    share = (sum(whole[0]) / len(whole[0])) / (sum(whole[1]) / len(whole[1])) if all(whole) else None
    cost = f", for {100 * share:.0f} % of the image passes" if share else ""
    sure = "" if told_apart(pooled) else "; the mean difference cannot be told from zero"
    better = "does at least as well as both losses" if pooled.mean <= 0 else "does not do as well as both losses"
    return f"**$L_{{RA}}$ alone {better}:** it ends nearer in {nearer} of {len(own)} paired runs{cost}{sure}."


def summary(board: Board) -> str:
    """What the grid says of each part of LAF, as a Markdown list: the gaps, the losses, their order, the densities."""
    nothing, laf = board.runs(gap, Arm("original")), board.runs(gap)
    said = [
        f"Over these runs doing nothing leaves a gap of {sum(nothing) / len(nothing):.2f} points, LAF {sum(laf) / len(laf):.2f}."
        if nothing and laf else NOTHING,
        alignment_alone(board),
        parts_verdict(board, SCHEDULE, "Other schedules"), parts_verdict(board, SIMILARITY, "Other similarities"),
        parts_verdict(board, DENSITIES, "The densities"),
    ]
    return "\n".join(f"- {line}" for line in dict.fromkeys(said))


def _mean_of(board: Board, place: Place, row: str, value: Value) -> float | None:
    group = trajectory(board, place).get(row)
    values = list(group.values(value).values()) if group else []
    return sum(values) / len(values) if values else None


def goal(board: Board) -> str:
    """Question 7: what a retrained model does with D_f in data removal, and where going on leads."""
    said = []
    for place in (p for p in PLACES if p[1] == "data"):
        rows = [_mean_of(board, place, row, agreement("forget")) for row in (AGAIN_NAME, "10 epochs")]
        if None not in rows:
            said.append(
                f"{title_of(*place)}: a second retrained model answers {rows[0]:.1f} % of $D_f$ as the first does, "
                f"LAF {rows[1]:.1f} %"
            )
    if not said:
        return NOTHING
    known = "In data removal the goal is a model that still knows most of $D_f$."
    return f"{known} {'. '.join(said)}. {_where_to_end(board)}".strip()


def _where_to_end(board: Board) -> str:
    """After how many epochs the gap is smallest, and what representations have done until the last of them."""
    ends, most, away, apart, shapes = [], 0, 0, 0, 0
    for place in PLACES:
        rows = {n: g for n, g in trajectory(board, place).items() if n.endswith(("epoch", "epochs"))}
        means = {name: own for name, group in rows.items() if (own := over(group))}
        if len(means) < 3:
            continue
        best, last = min(means, key=lambda n: means[n].mean), list(means)[-1]
        ends.append(f"{title_of(*place)} {best}")
        most += best == last
        shape = [over(rows[name], cka("forget")) for name in (next(iter(means)), last)]
        if all(shape):
            lower = shape[1].mean < shape[0].mean
            shapes, away, apart = shapes + 1, away + lower, apart + (lower and best == last)
    if not ends:
        return ""
    verdict = "accuracies and representations do not agree on how far to go" if apart else "where to end has to be measured"
    return (
        f"The gap is smallest after the most epochs tried in {most} of {len(ends)} requests ({', '.join(ends)}). CKA on $D_f$ "
        f"to the retrained model falls meanwhile in {away} of {shapes}: {verdict}."
    )
