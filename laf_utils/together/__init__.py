"""Many small models as one: K networks trained, K VAEs fitted and K models unlearned at once.

``members``     what K models must have in common, and how many walk at once
``stacked``     layers that hold the weights of all K
``training``    K originals or retrained models
``vaes``        K representation VAEs
``unlearning``  LAF's extractor unlearning and representation alignment for K models
``shadows``     K models of one forget request and what the measures over many models say of them; ``spread`` their error bars
``record``      the record of such models
``stages``      originals and retrained models of several runs, kept as the stages of those runs

Every function takes the random numbers from the streams that its counterpart for one model takes them from, so that the k-th
result agrees with that one up to rounding. For the measures over many models of ``audit.many_models``.
"""

from .stacked import Stack, StackedNetwork
from .training import train_together
from .unlearning import unlearn_together
from .vaes import StackedVAE, fit_vaes_together

__all__ = ["Stack", "StackedNetwork", "StackedVAE", "fit_vaes_together", "train_together", "unlearn_together"]
