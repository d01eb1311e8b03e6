"""Was it forgotten?

``accuracy``     accuracy on the parts of the data, and gaps to the retrained model
``attack``       the published membership attack with what makes it interpretable
``confidence``   phi, the signal that the other measures read
``membership``   U-MIA and RMIA, which need no shadow models
``distance``     to the retrained model: of phi, of probabilities, CKA, distance of representations, relearn time
``verdict``      different, equivalent, cannot tell or no power
``power``        what the verdicts could have seen, and the margin of equivalence
``study``        the levels and powers of the verdicts, simulated
``free``         all of these that cost no further model, in one call
``many_models``  KLoM and U-LiRA, over many models
``forget_score`` that of the NeurIPS 2023 competition, likewise
``statistics``   intervals over training seeds
``representation``  audits of the representation of one request: probes, SMI, neighbours, retained images, relearning
"""

from typing import TYPE_CHECKING

from ..support.face import on_demand
from .verdict import verdict  # at once: a module of the same name would take its place

if TYPE_CHECKING:
    from .accuracy import ModelOutputs as ModelOutputs
    from .accuracy import accuracies as accuracies
    from .accuracy import gaps_to_retrained as gaps_to_retrained
    from .attack import AttackResult as AttackResult
    from .attack import published_attack as published_attack
    from .confidence import log_odds as log_odds
    from .free import free_measures as free_measures
    from .representation import audit_representation as audit_representation
    from .statistics import interval as interval
    from .statistics import paired as paired

# One by one, so that who reads one measure does not need what another rests on (scikit-learn, XGBoost).
_HOMES = {
    "AttackResult": "attack", "ModelOutputs": "accuracy", "accuracies": "accuracy", "audit_representation": "representation",
    "free_measures": "free", "gaps_to_retrained": "accuracy", "interval": "statistics", "log_odds": "confidence",
    "paired": "statistics", "published_attack": "attack",
}
__all__ = [
    "AttackResult", "ModelOutputs", "accuracies", "audit_representation", "free_measures", "gaps_to_retrained", "interval",
    "log_odds", "paired", "published_attack", "verdict",
]
if not TYPE_CHECKING:  # else any name would pass
    __getattr__, __dir__ = on_demand(__name__, _HOMES)
