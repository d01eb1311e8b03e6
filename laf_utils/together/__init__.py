"""Many small models as one: K networks trained and K VAEs fitted at once.

Every function takes the random numbers from the streams that its counterpart for one model takes them from, so that the k-th
result agrees with that one up to rounding. Unlearning goes model by model: as one it gained nothing (``benchmarks/README.md``).
"""

from .stacked import Stack, StackedNetwork
from .training import train_together
from .vaes import StackedVAE, fit_vaes_together

__all__ = ["Stack", "StackedNetwork", "StackedVAE", "fit_vaes_together", "train_together"]
