"""Was a cell scored against the retrained model that its table's row "Retrained" shows? Told from the two records alone."""

from collections.abc import Mapping
from typing import Any

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
        return _retrained(own) == _retrained(goal)
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


def _retrained(fingerprint: Any) -> Any:
    """The retrained model's part of a fingerprint that names both models; the fingerprint itself where it is one text."""
    return fingerprint.get("retrained") if isinstance(fingerprint, Mapping) else fingerprint
