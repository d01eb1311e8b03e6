"""Was it forgotten? Measures of one model, of a model beside the retrained one, of many models, and verdicts."""

from typing import TYPE_CHECKING

from ..support.lazy import face

if TYPE_CHECKING:
    from .accuracy import ModelOutputs, accuracies
    from .attack import AttackResult, published_attack
    from .confidence import log_odds
    from .free import free_measures
    from .gaps import gaps_to_retrained
    from .representation import audit_representation
    from .statistics import interval, paired

if not TYPE_CHECKING:  # else any name would pass
    __getattr__, __dir__ = face(__name__)
__all__ = [
    "AttackResult", "ModelOutputs", "accuracies", "audit_representation", "free_measures", "gaps_to_retrained", "interval",
    "log_odds", "paired", "published_attack",
]
