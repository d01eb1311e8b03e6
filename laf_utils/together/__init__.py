"""Many small models as one: K networks trained and K VAEs fitted at once.

``members``   what K models must have in common, and how many are computed at once
``stacked``   layers that hold the weights of all K
``training``  K originals or retrained models
``vaes``      K representation VAEs

Every function takes the random numbers from the streams that its counterpart for one model takes them from, so that the k-th
result agrees with that one up to rounding. Unlearning goes model by model: as one it gained nothing (``benchmarks/README.md``).
"""

from .stacked import Stack, StackedNetwork
from .training import train_together
from .vaes import StackedVAE, fit_vaes_together

__all__ = ["Stack", "StackedNetwork", "StackedVAE", "fit_vaes_together", "train_together"]
