"""Names of rows, and numbers with their intervals, in the words that tables, figures and sentences share."""

import re

from ..audit.statistics import Interval
from ..comparison.shown import TITLES
from ..methods import METHODS
from ..tables import MISSING
from .gather import DEFAULTS, Group

VARIANT_NAMES = {
    "without_ue": "without L_UE", "without_ra": "without L_RA", "ra_retain_only": "L_RA on kept images only",
    "ra_forget_only": "L_RA on forgotten images only",
}
FEW_NAMES = {"retrain_few": "Retrain", "scrub_few": "SCRUB", "neggrad_plus_few": "NegGrad+"}


def method_name(method: str, variant: str = "") -> str:
    """A method in tables, with what its variant changes."""
    known = TITLES.get(method) or FEW_NAMES.get(method) or (METHODS[method].title if method in METHODS else method)
    share = re.fullmatch(r"labels_(\d+)", variant)
    changed = f"{share[1]} % of labels" if share else VARIANT_NAMES.get(variant, variant.replace("_", " "))
    return f"{known}, {changed}" if changed else known


def name_of(group: Group) -> str:
    """The row of a group."""
    return method_name(group.method, group.variant) + (", tuned" if group.choice != DEFAULTS else "")


def signed(value: float, digits: int = 2) -> str:
    """A true minus, and none before zero."""
    text = f"{value:.{digits}f}"
    return text.replace("-", "\u2212") if float(text) else text.lstrip("-")


def gap_text(found: Interval | None, digits: int = 2) -> str:
    """For a cell: ``0.85``, or ``0.85 (0.50 to 1.20)`` of several seeds, without a break."""
    if found is None:
        return MISSING
    ends = f" ({signed(found.low, digits)} to {signed(found.high, digits)})" if found.count > 1 else ""
    return f"{signed(found.mean, digits)}{ends}".replace(" ", "\u00a0")


def points_text(found: Interval, unit: str = "points", digits: int = 2) -> str:
    """For a sentence: ``0.85 points (95 % interval 0.50 to 1.20, 3 seeds)``, or ``0.85 points (one seed)``."""
    spread = "one seed"
    if found.count > 1:
        spread = f"95 % interval {signed(found.low, digits)} to {signed(found.high, digits)}, {found.count} seeds"
    return f"{signed(found.mean, digits)} {unit} ({spread})"


def within_noise(found: Interval) -> bool:
    """Whether the interval of a difference holds zero; of one seed that cannot be said, and is not."""
    return found.count > 1 and found.low <= 0 <= found.high


def verdict_text(found: Interval) -> str:
    """A paired difference of gaps in words: nearer or farther and by how much, or that it cannot be told from zero."""
    way = "farther" if found.mean > 0 else "nearer"
    if within_noise(found):
        return f"cannot be told apart: difference {points_text(found)}"
    size = Interval(abs(found.mean), found.std, *sorted((abs(found.low), abs(found.high))), found.count)
    return f"{way} by {points_text(size)}"
