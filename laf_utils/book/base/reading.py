"""Every record of the comparison, by what it is about, over training seeds; and whether a cell was scored against the retrained
model that its table shows, told from the two records alone.

A row of a table is a ``Group``: the records of one method at one choice of settings that differ in their seed only.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from ...audit import interval, paired
from ...audit.statistics import Interval
from ...experiments.cells import ORIGINAL, REFERENCES, RETRAIN, read
from ...methods.catalogue import LISTED
from ...support.paths import results_folder
from ...support.records import RecordError

LEVELS = ("none", "few", "all")
# In the order in which a table takes them; quick is a demonstration and fills no table.
PROFILES = ("native", "paper", "small")
DEFAULTS = "defaults"
OTHER, UNKNOWN = "\u2020", "\u2021"  # of gaps: measured from another retrained model than the row Retrained, or it is not known

COLLAPSED = 20.0  # percent of Train_r: twice what one answer to everything scores on ten classes

Value = Callable[[dict], float | None]
MaybeNone: TypeAlias = Any  # ``X | MaybeNone``: ``None`` where no record has it; who knows that one has it need not ask


K = TypeVar("K")
T = TypeVar("T")


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Items by what they have in common, both in their order."""
    found: dict[K, list[T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


@dataclass(frozen=True)
class Found:
    """All records by their path, and the files below ``comparison`` that are none."""

    records: dict[Path, dict]
    unreadable: tuple[Path, ...] = ()
    reasons: tuple[str, ...] = ()  # why, each in one line with the file's name


def everything(folder: Path | None = None) -> Found:
    """Every record below ``results/comparison``, those of variants included; a file that is no record is named, not raised."""
    return read_all(folder or results_folder() / "comparison", read)


def read_all(folder: Path, read: Callable[[Path], dict]) -> Found:
    """Every record below a folder, as ``read`` takes it; a file that is no record is named, not raised."""
    records, reasons = {}, {}
    for path in sorted(folder.rglob("*.json")):
        try:
            records[path] = read(path)
        except RecordError as error:
            reasons[path] = " ".join(str(error).split())[:500]
    return Found(records, tuple(reasons), tuple(reasons.values()))


@dataclass(frozen=True)
class Group:
    """The records of one row by training seed. A record whose method diverged has no numbers and counts as that."""

    method: str
    variant: str
    choice: str
    records: dict[int, dict]

    @property
    def any(self) -> dict:
        """One of the records: what does not depend on the seed is the same in all."""
        return next(iter(self.records.values()))

    @property
    def good(self) -> dict[int, dict]:
        """Those that have numbers."""
        return {seed: record for seed, record in self.records.items() if not record["failure"] and record["metrics"]}

    @property
    def level(self) -> str:
        """``none``, ``few`` or ``all``: which labels the method may read."""
        return self.any["label_access"]["level"]

    def values(self, value: Value) -> dict[int, float]:
        """A measure by seed; seeds that diverged or to which it does not apply are left out."""
        own = {seed: value(record) for seed, record in self.good.items()}
        return {seed: number for seed, number in own.items() if number is not None}


def measure(*names: str) -> Value:
    """What stands in a record under these names, one below the other; ``None`` where it has none of it."""
    def value(record: dict) -> float | None:
        found: Any = record
        for name in names:
            found = found.get(name) if found else None
        return found

    return value


gap = measure("gap", "mean")  # mean distance to the retrained model of the same seed, points
tow = measure("gap", "tow")  # 1 for the retrained model itself
chance = measure("attack", "chance")  # what always answering "member" scores in the published attack, percent
passes = measure("passes", "equivalent")  # of a method, in training passes


def metric(name: str) -> Value:
    """An accuracy or ``asr``, percent."""
    return measure("metrics", name)


def cka(part: str) -> Value:
    """CKA of the representations of ``forget`` or ``retain`` to the retrained model's; older records have none."""
    return measure("representation", part, "cka")


def divergence(part: str) -> Value:
    """Jensen-Shannon divergence of the answers on ``forget`` or ``retain`` to the retrained model's, nats; likewise."""
    return measure("representation", part, "divergence")


def ranked(group: Group) -> bool:
    """Whether a row stands beside the others: not what is asked beyond its own claim, or works on an original of its own."""
    return not (group.method in LISTED and LISTED[group.method].outside_claim)


def collapsed(group: Group) -> bool:
    """Whether a row answers what it should keep hardly better than one answer to everything would, on the mean of its seeds."""
    kept = list(group.values(metric("train_r")).values())
    return bool(kept) and sum(kept) / len(kept) < COLLAPSED


def _order(group: Group) -> tuple:
    names = list(LISTED)
    reference = REFERENCES.index(group.method) if group.method in REFERENCES and not group.variant else len(REFERENCES)
    place = names.index(group.method) if group.method in names else len(names)
    return reference, LEVELS.index(group.level), place, group.method, group.choice != DEFAULTS, group.variant


def groups(found: Found, dataset: str, task: str, profile: str, variants: tuple[str, ...] = ("",)) -> list[Group]:
    """The rows of a table: references first, then up the ladder of label access."""
    here = [record for record in found.records.values() if (cell := record["cell"]).get("variant", "") in variants
            and (cell["dataset"], cell["task"], cell["profile"]) == (dataset, task, profile)]
    rows = grouped(here, lambda r: (r["cell"]["method"], r["cell"].get("variant", ""), r["cell"]["choice"]))
    by_seed = {row: {record["cell"]["seed"]: record for record in own} for row, own in rows.items()}
    return sorted((Group(*row, dict(sorted(own.items()))) for row, own in by_seed.items()), key=_order)


def with_variants(found: Found, dataset: str, task: str, variants: Collection[str], methods: Collection[str] = ()) -> list[Group]:
    """The plain rows of a request at published settings and those of its variants; none where no variant is on record.

    All with those training seeds alone that a row of a variant has: what stands side by side rests on the same.

    Args:
        methods: whose rows they are; of all methods by default.
    """
    profile = profile_of(found, dataset, task, variants)
    rows = groups(found, dataset, task, profile, ("", *variants)) if profile else []
    rows = [group for group in rows if group.choice == DEFAULTS and (not methods or group.method in methods)]
    wanted = {seed for group in rows if group.variant for seed in group.records}
    kept = [replace(group, records={seed: r for seed, r in group.records.items() if seed in wanted}) for group in rows]
    return [group for group in kept if group.records]


def profile_of(found: Found, dataset: str, task: str, variants: Collection[str] = ("",)) -> str | None:
    """The profile that a table of this data set and task shows: the first that has LAF on record, else the first that has any.

    Records of these variants count; else plain ones alone, and not a variant's, as of a smoke test.
    """
    own = [(cell["method"] != "laf", PROFILES.index(cell["profile"])) for record in found.records.values()
           if ((cell := record["cell"])["dataset"], cell["task"]) == (dataset, task)
           and cell.get("variant", "") in variants and cell["profile"] in PROFILES]
    return PROFILES[min(own)[1]] if own else None


def pick(rows: list[Group], method: str, variant: str = "") -> Group | MaybeNone:
    """The row of a method at published settings."""
    return next((g for g in rows if (g.method, g.variant, g.choice) == (method, variant, DEFAULTS)), None)


def reference_mark(rows: list[Group], group: Group) -> str:
    """``OTHER`` of a row scored against another retrained model than the row Retrained, ``UNKNOWN`` where it is not known."""
    goal = pick(rows, RETRAIN)
    known = goal.records if goal and group is not goal else {}
    found = {same_reference(own, known[seed]) for seed, own in group.good.items() if seed in known}
    return OTHER if False in found else UNKNOWN if None in found else ""


def share_of_retraining(rows: list[Group], group: Group | None) -> float | MaybeNone:
    """A row's image passes as a share of retraining's of the same seed, mean over seeds, 1 for as many; doing nothing takes none.

    ``None`` where no seed has both on record.
    """
    if group and group.method == ORIGINAL:
        return 0.0
    own, goal = (each.values(passes) if each else {} for each in (group, pick(rows, RETRAIN)))
    shares = [own[seed] / goal[seed] for seed in own if seed in goal]
    return sum(shares) / len(shares) if shares else None


def over(group: Group | None, value: Value = gap) -> Interval | MaybeNone:
    """A measure over seeds, or ``None`` where no record has it."""
    own = group.values(value) if group else {}
    return interval(list(own.values())) if own else None


def difference(first: Group | None, second: Group | None, value: Value = gap) -> Interval | MaybeNone:
    """first - second over the seeds that both have, or ``None`` where they share none."""
    if first is None or second is None:
        return None
    own, other = first.values(value), second.values(value)
    return paired(own, other) if own.keys() & other.keys() else None


FINGERPRINT = "scored_against"  # of a record: SHA-256 of the weights of the original and the retrained model behind it
TOLERANCE = 1e-4  # points: accuracies are stored in full, and went through float32
# Not the published attack's: its attacker differs by the threads and the build that trained it, the models being the same.
MEASURES = ("train_r", "train_f", "test", "test_r", "test_f")
ENOUGH = 3  # measures that agree by arithmetic: two retrained models do not share all of them by chance


def same_reference(record: Mapping[str, Any], retrain_record: Mapping[str, Any]) -> bool | None:
    """Whether a cell was scored against the very model of a ``retrain`` record of its request and seed.

    Records with a fingerprint say it. Older ones have none, but their arithmetic does: the gap of every measure is its distance
    to the retrained model's, and where it is not the distance to this one's, the cell was scored against another.

    Args:
        record: any cell's.
        retrain_record: of the cell ``retrain`` of the same data set, request, seed and profile.

    Returns:
        ``None`` where the records do not tell: one of them diverged, the cell's test accuracies leave held-out images out, or too
        few measures are on record.
    """
    own, goal = record.get(FINGERPRINT), retrain_record.get(FINGERPRINT)
    if own is not None and goal is not None:
        # The retrained model's part of a fingerprint that names both models; the fingerprint itself where it is one text.
        own, goal = (each.get("retrained") if isinstance(each, Mapping) else each for each in (own, goal))
        return own == goal
    metrics, goals, gaps = record.get("metrics"), retrain_record.get("metrics"), record.get("gap")
    if not metrics or not goals or not gaps:
        return None
    held_out = ("test", "test_r", "test_f") if record.get("test_without_held_out") else ()
    names = [
        name for name in MEASURES
        if name not in held_out and all(own.get(name) is not None for own in (metrics, goals, gaps))
    ]
    if any(abs(abs(metrics[name] - goals[name]) - gaps[name]) > TOLERANCE for name in names):
        return False
    return True if len(names) >= ENOUGH else None
