"""Was it forgotten?

``accuracy``     accuracy on the parts of the data; ``gaps`` to the retrained model
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
