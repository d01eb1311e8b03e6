"""Names of rows, and numbers with their intervals, in the words that tables, figures and sentences share."""

from collections.abc import Iterable

from ...audit.statistics import Interval, interval
from ...experiments.cells import AGAIN, ORIGINAL, RETRAIN
from ...experiments.variants import VARIANTS
from ...methods.catalogue import FURTHER, find
from ...settings.names import DATASET_NAMES, MODEL_NAMES, TASK_NAMES
from .reading import DEFAULTS, Group, gap
from .tables import MISSING

TITLES = {ORIGINAL: "Original", RETRAIN: MODEL_NAMES["retrained"], AGAIN: "Retrained, another seed"}
NOTHING = "Doing nothing"  # the untouched original, where methods are compared
SPREAD = "± is one standard deviation over training seeds"

LEVELS_SAID = {"none": "none", "few": "of D_r", "all": "all"}
LEVEL = 0.05  # below which a p counts, after correction
FEW_NAMES = {"retrain_few": "Retrain", "scrub_few": "SCRUB", "neggrad_plus_few": "NegGrad+, bounded (ours)"}


def method_name(method: str, variant: str = "") -> str:
    """A method in tables, with what its variant changes."""
    known = NOTHING if method == ORIGINAL else TITLES.get(method) or FEW_NAMES.get(method) or _title(method)
    changed = VARIANTS[variant].title if variant in VARIANTS else variant
    return f"{known}, {changed}" if changed else known


def _title(method: str) -> str:
    """Of the table of methods; a record may be of one that is not in it any more."""
    try:
        title = find(method).title
    except KeyError:
        return method
    return f"LAF, {title}" if method in FURTHER and method.startswith("laf_") else title  # a part of LAF exchanged


def detail_of(choice: str, profile: str = "paper") -> str:
    """``, tuned, quick`` behind a method's name: settings and a profile that are not the published ones."""
    return (", tuned" if choice != DEFAULTS else "") + ("" if profile == "paper" else f", {profile}")


def name_of(group: Group) -> str:
    """The row of a group."""
    return method_name(group.method, group.variant) + detail_of(group.choice)


def signed(value: float, digits: int = 2) -> str:
    """A true minus, and none before zero."""
    text = f"{value:.{digits}f}"
    return text.replace("-", "\u2212") if float(text) else text.lstrip("-")


def in_time(seconds: float) -> str:
    """Hours from an hour on, else minutes or seconds."""
    if seconds >= 3600:
        return f"{seconds / 3600:,.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.2g} s"


def gap_text(found: Interval | None) -> str:
    """For a cell: ``0.85``, or ``0.85 (0.50 to 1.20)`` of several seeds, without a break.

    The interval of two seeds may be wider than all there can be: from 100 points on its ends are whole numbers.
    """
    if found is None:
        return MISSING
    digits = 0 if max(abs(found.low), abs(found.high)) >= 100 else 2
    ends = f" ({signed(found.low, digits)} to {signed(found.high, digits)})" if found.count > 1 else ""
    return f"{signed(found.mean)}{ends}".replace(" ", "\u00a0")


def short_points(found: Interval) -> str:
    """For a sentence whose numbers stand in the table beside it: ``0.85 points``, without the interval."""
    return f"{signed(found.mean)} points"


def breakable(cell: str) -> str:
    """A cell that may break before its interval and inside it, in tables of many columns."""
    return cell.replace("\u00a0(", " (").replace("\u00a0to\u00a0", " to\u00a0")


def points_text(found: Interval) -> str:
    """For a sentence: ``0.85 points (95 % interval 0.50 to 1.20, 3 seeds)``, or ``0.85 points (one seed)``."""
    spread = "one seed"
    if found.count > 1:
        spread = f"95 % interval {signed(found.low)} to {signed(found.high)}, {found.count} seeds"
    return f"{signed(found.mean)} points ({spread})"


def within_noise(found: Interval, p: float | None = None) -> bool:
    """Whether a paired difference of gaps claims nothing.

    Of several seeds: its interval holds zero, or its p, corrected for the comparisons beside it, is 0.05 or more. Of one seed,
    always: one run has no error rate.
    """
    if found.count == 1:
        return True
    return found.low <= 0 <= found.high or (p is not None and p >= LEVEL)


def verdict_text(
    found: Interval, floor: Interval | None = None, than: str = "", p: float | None = None
) -> str:
    """A paired difference of gaps in words: nearer or farther (``than`` what) and by how much, or that it says nothing.

    Args:
        p: of the difference, corrected for the comparisons beside it.
    """
    small = floor if floor is not None and abs(found.mean) <= floor.mean else None
    noise = f"no more than the noise floor of {points_text(small)}" if small else ""
    if found.count == 1:
        return f"are not compared: one seed, no claim (difference {signed(found.mean)} points{f', {noise}' if noise else ''})"
    if within_noise(found, p):
        beside = p is not None and not within_noise(found)
        once = f", and p = {p:.2f} once corrected for the other comparisons" if beside else ""
        return f"cannot be told apart: difference {points_text(found)}{once}"
    way = "farther" if found.mean > 0 else "nearer"
    low, high = sorted((abs(found.low), abs(found.high)))
    size = Interval(abs(found.mean), found.std, low, high, found.count)
    return f"{way}{f' than {than}' if than else ''} by {points_text(size)}" + (f", though {noise}" if small else "")


def exploratory(count: int) -> str | None:
    """What is said under sentences whose comparisons are several and not corrected for it."""
    chance = 100 * (1 - (1 - LEVEL) ** count)
    return (
        f"These {count} comparisons are exploratory, not corrected for being several: by chance alone about {chance:.0f} % of "
        "such tables would show a difference."
    ) if count > 1 else None


def labels_read(record: dict) -> str:
    """Which labels the method was told."""
    if record["cell"]["method"] in (RETRAIN, AGAIN):
        return "all of D_r"
    access = record["label_access"]
    if access["level"] == "few":
        share, variant = access["share_of_retain"], record["cell"].get("variant")
        if share is None:  # it diverged, and the record holds no share; its settings do
            share = VARIANTS[variant].changes.get("repair.labelled_share", 1.0) if variant else 1.0
        return f"{100 * share:.0f} % of D_r"
    return access["level"]


def title_of(dataset: str, task: str) -> str:
    """The heading of a table."""
    return f"{DATASET_NAMES[dataset]}, {TASK_NAMES[task]}"


def mark_of(profile: str | None, group: Group | None) -> str:
    """`` (small, one seed)`` behind a request's title: what a table's row must say of itself."""
    marks = [profile] if profile not in ("paper", None) else []
    marks += ["one seed"] if group is not None and len(group.values(gap)) == 1 else []
    return f" ({', '.join(map(str, marks))})" if marks else ""


def percent(share: float | None) -> str:
    """``46 %``, without a break."""
    return MISSING if share is None else f"{100 * share:.0f}\u00a0%"


def spread_text(found: Interval | None, digits: int = 2) -> str:
    """``0.19``, or ``0.19 ± 0.02`` of several: see ``SPREAD``."""
    if found is None:
        return MISSING
    spread = f"\u00a0±\u00a0{found.std:.{digits}f}" if found.count > 1 else ""
    return f"{signed(found.mean, digits)}{spread}"


def mean_text(values: Iterable[float | None], digits: int = 2) -> str:
    """``spread_text`` of some values; those that do not apply are left out."""
    numbers = [value for value in values if value is not None]
    return spread_text(interval(numbers) if numbers else None, digits)
