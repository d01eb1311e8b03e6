"""Whether what stands in a record of the comparison can be meant: its names, its types, its numbers."""

from pathlib import Path

from ..support import records
from ..support.reading import MOST_SEED, ReadingError, file_name
from ..support.sealing import SealError, check_not_negative, check_percent, is_number

LEVELS = ("none", "few", "all")
TABLES = ("metrics", "attack", "gap", "passes")  # null where the method diverged
PERCENT = ("asr", "auc", "balanced_accuracy", "chance", "tpr_at_1_fpr")  # of the attack; the rest are counts


def checked(path: Path, record: dict, kind: type) -> dict:
    """The record as it is.

    Raises:
        RecordError: naming the file, and what in it cannot be meant.
    """
    return records.checked(path, lambda: _check(path, record, kind), record)


def _check(path: Path, record: dict, kind: type) -> None:
    cell, failure = record["cell"], record["failure"]
    if not isinstance(cell, dict):
        raise SealError("its cell is no table of names and values")
    if type(cell["seed"]) is not int or not 0 <= cell["seed"] <= MOST_SEED:
        raise SealError(f"its seed is {ascii(cell['seed'])[:40]}, no whole number from 0")
    try:
        file_name(cell["dataset"], "a data set")
        named = kind(**cell).path
    except (ReadingError, ValueError, TypeError) as error:
        raise SealError(f"its cell does not exist ({' '.join(str(error).split())[:200]})") from error
    if named.name != path.name:
        raise SealError(f"it is the record of another cell ({named.name})")
    if not isinstance(record["key"], str) or not isinstance(failure, str | None):
        raise SealError("its key and its failure are texts")
    level = record["label_access"]["level"]
    if level not in LEVELS:
        raise SealError(f"its level of label access is {ascii(level)[:40]}, none of {', '.join(LEVELS)}")
    _check_numbers(record, failure)


def _check_numbers(record: dict, failure: str | None) -> None:
    for part in TABLES:
        if not isinstance(record[part], dict | None):
            raise SealError(f"its {part} are no table of names and values")
    if not failure and not record["metrics"]:
        raise SealError("it has no metrics, though the method did not fail")
    check_percent(record["metrics"], "metrics")
    check_percent(record.get("before"), "before")
    attack, gap = record["attack"] or {}, record["gap"] or {}
    check_percent({name: attack[name] for name in PERCENT if name in attack}, "attack")
    check_percent({name: value for name, value in gap.items() if name != "tow"}, "gap")
    for name, value in {"seconds": record["seconds"], "passes": record["passes"], "memory": record["peak_memory_mb"]}.items():
        check_not_negative(value, name)
    tow = gap.get("tow")
    if tow is not None and not (is_number(tow) and abs(tow) <= 1 + 1e-6):
        raise SealError(f"gap.tow is {ascii(tow)[:40]}, not within -1 and 1")
