"""Was it forgotten?

``accuracy``     accuracy on the parts of the data, and gaps to the retrained model
``attack``       the published membership attack with what makes it interpretable
``confidence``   phi, the signal that the other measures read
``membership``   U-MIA and RMIA, which need no shadow models
``distance``     to the retrained model: KS of phi, CKA, distance of representations, relearn time
``verdict``      two-sided, with the power of the test
``free``         all of these that cost no further model, in one call
``many_models``  forget score, KLoM and U-LiRA, over many models
``statistics``   intervals over training seeds
"""

from .accuracy import ModelOutputs, accuracies, gaps_to_retrained
from .attack import AttackResult, published_attack
from .confidence import log_odds
from .free import free_measures
from .statistics import interval, paired
from .verdict import verdict

__all__ = [
    "AttackResult", "ModelOutputs", "accuracies", "free_measures", "gaps_to_retrained", "interval", "log_odds", "paired",
    "published_attack", "verdict",
]
