"""The records of a question, read from ``results/comparison``: each arm beside LAF, on every place that has both."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...audit import interval
from ...audit.statistics import Interval
from ...experiments.cells import AGAIN
from ..base.reading import Found, Group, MaybeNone, Value, gap, groups, pick
from .ch7_questions import PLACES, PROFILE, Arm

Place = tuple[str, str]  # data set, task


@dataclass(frozen=True)
class Board:
    """All rows of every place: what a question picks its arms from."""

    rows: dict[Place, list[Group]]

    def row(self, place: Place, arm: Arm) -> Group | None:
        """The records of an arm at a place by seed, ``None`` where there are none."""
        return pick(self.rows[place], arm.method, arm.variant)

    def base(self, place: Place) -> Group | None:
        """LAF as published."""
        return pick(self.rows[place], "laf")

    def again(self, place: Place) -> Group | None:
        """The second retrained model: the noise floor."""
        return pick(self.rows[place], AGAIN)

    def differences(self, arm: Arm, value: Value = gap, places: Sequence[Place] = PLACES) -> dict[tuple[str, str, int], float]:
        """arm - LAF by (data set, task, seed), wherever both have the measure."""
        found: dict[tuple[str, str, int], float] = {}
        for place in places:
            own, base = self.row(place, arm), self.base(place)
            if own and base:
                first, second = own.values(value), base.values(value)
                found |= {(*place, seed): first[seed] - second[seed] for seed in first.keys() & second.keys()}
        return found

    def pooled(self, arm: Arm, value: Value = gap, places: Sequence[Place] = PLACES) -> Interval | MaybeNone:
        """Mean difference to LAF over all places and seeds, each run paired with LAF of its own place and seed."""
        own = self.differences(arm, value, places)
        return interval(list(own.values())) if own else None

    def runs(self, value: Value, arm: Arm | None = None, places: Sequence[Place] = PLACES) -> list[float]:
        """A measure of an arm (LAF by default) over places and seeds."""
        found = []
        for place in places:
            group = self.base(place) if arm is None else self.row(place, arm)
            found += list(group.values(value).values()) if group else []
        return found

    def diverged(self, arm: Arm, places: Sequence[Place] = PLACES) -> int:
        """How many runs of an arm ended without numbers."""
        return sum(len(g.records) - len(g.good) for place in places if (g := self.row(place, arm)))


def board(found: Found) -> Board:
    """The rows of the questions' places."""
    names = tuple({record["cell"].get("variant", "") for record in found.records.values()})
    return Board({place: groups(found, *place, PROFILE, names) for place in PLACES})


def agreement(part: str) -> Value:
    """Percent of ``forget`` or ``retain`` images answered as the retrained model answers; older records have none."""
    return lambda record: (record.get("representation") or {}).get(part, {}).get("agreement")


def passes(record: dict) -> float | None:
    """Image passes of unlearning, in training passes."""
    return record["passes"] and record["passes"]["equivalent"]
