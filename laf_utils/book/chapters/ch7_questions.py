"""The questions, which cells of ``workflow/grid.toml`` answer each (an arm is LAF with one thing changed), and their records."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...audit import interval
from ...audit.statistics import Interval
from ...experiments.cells import AGAIN
from ...experiments.variants import VARIANTS
from ...methods import FURTHER
from ..base.reading import Found, Group, MaybeNone, Value, gap, groups, measure, pick
from ..base.words import method_name

PLACES = (("mnist", "class"), ("mnist", "data"), ("fashion", "class"), ("fashion", "data"))
PROFILE = "quick"
EPOCHS = (1, 2, 5, 10, 20, 40)  # of question 7; 10 are the profile's own


def of_task(task: str) -> tuple[tuple[str, str], ...]:
    """The places of one request."""
    return tuple(place for place in PLACES if place[1] == task)


@dataclass(frozen=True)
class Arm:
    """LAF with one thing changed: another method of ``FURTHER``, or a variant of its settings."""

    method: str = "laf"
    variant: str = ""

    @property
    def title(self) -> str:
        """In tables and figures: what is changed."""
        if self.variant:
            return VARIANTS[self.variant].title
        return FURTHER[self.method].title if self.method in FURTHER else method_name(self.method)


LAF = Arm()  # as published
SECOND = Arm(AGAIN)  # the second retrained model: the noise floor
Question = tuple[Arm, ...]


def _variants(*names: str) -> Question:
    return tuple(Arm(variant=name) for name in names)


# By the numbers of the questions as readers asked them (chapter 7 has their words): what is set beside LAF as published.
SCHEDULE = _variants("two_stage", "joint")  # 4
SIMILARITY = Arm("laf_l2"), Arm("laf_dot")  # 5
LOSSES = _variants("without_ue", "without_ra", "ra_retain_only", "ra_forget_only")  # 5
DENSITIES = (  # 6
    *_variants("h_on_retain", "no_kl", "linear_decoder"), Arm("laf_autoencoder"), Arm("laf_pca"), Arm("laf_gaussian"),
    Arm("laf_frozen"),
)
GOAL = _variants(*(f"epochs_{n}" for n in EPOCHS if n != 10))  # 7
QUESTIONS = (SCHEDULE, SIMILARITY, LOSSES, DENSITIES, GOAL)
Place = tuple[str, str]  # data set, task


@dataclass(frozen=True)
class Board:
    """All rows of every place: what a question picks its arms from."""

    rows: dict[Place, list[Group]]

    def row(self, place: Place, arm: Arm) -> Group | None:
        """The records of an arm at a place by seed, ``None`` where there are none."""
        return pick(self.rows[place], arm.method, arm.variant)

    def differences(self, arm: Arm, value: Value = gap, places: Sequence[Place] = PLACES) -> dict[tuple[str, str, int], float]:
        """arm - LAF by (data set, task, seed), wherever both have the measure."""
        found: dict[tuple[str, str, int], float] = {}
        for place in places:
            own, base = (row.values(value) if (row := self.row(place, each)) else {} for each in (arm, LAF))
            found |= {(*place, seed): own[seed] - base[seed] for seed in own.keys() & base.keys()}
        return found

    def pooled(self, arm: Arm, value: Value = gap, places: Sequence[Place] = PLACES) -> Interval | MaybeNone:
        """Mean difference to LAF over all places and seeds, each run paired with LAF of its own place and seed."""
        own = self.differences(arm, value, places)
        return interval(list(own.values())) if own else None

    def runs(self, value: Value, arm: Arm = LAF, places: Sequence[Place] = PLACES) -> list[float]:
        """A measure of an arm over places and seeds."""
        rows = filter(None, (self.row(place, arm) for place in places))
        return [number for group in rows for number in group.values(value).values()]

    def diverged(self, arm: Arm, places: Sequence[Place] = PLACES) -> int:
        """How many runs of an arm ended without numbers."""
        return sum(len(g.records) - len(g.good) for place in places if (g := self.row(place, arm)))


def board(found: Found) -> Board:
    """The rows of the questions' places."""
    names = tuple({record["cell"].get("variant", "") for record in found.records.values()})
    return Board({place: groups(found, *place, PROFILE, names) for place in PLACES})


def agreement(part: str) -> Value:
    """Percent of ``forget`` or ``retain`` images answered as the retrained model answers; older records have none."""
    return measure("representation", part, "agreement")
