"""What the equal tuning may change of each method, and between which values: around the published ones, a few powers of ten.

SCRUB's ``forget_batch`` sets its number of ascent steps. SISA and Retrain are exact: nothing of theirs trades
forgetting against utility, so nothing is tuned. Unroll has one strength; its original is trained once, as published.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dimension:
    """One setting, by dotted name, between ``low`` and ``high``, both included."""

    name: str
    low: float = 0
    high: float = 1
    scale: str = "log"  # ``log`` or ``linear`` for numbers, ``whole`` for whole numbers, ``choice`` for one of ``choices``
    choices: tuple[object, ...] = ()

    def words(self) -> str:
        """As the stored trials and the book say it."""
        if self.scale == "choice":
            return " or ".join(map(str, self.choices))
        return f"{self.low:g} to {self.high:g}, {self.scale}"


BOUNDARY = Dimension("learning_rate", 1e-6, 1e-2), Dimension("epochs", 1, 20, "whole")
LAF = (
    Dimension("unlearning.lr_ue", 1e-5, 1e-3), Dimension("unlearning.lr_ra", 1e-5, 1e-3),
    Dimension("unlearning.temperature", 1, 50), Dimension("unlearning.epochs", 2, 20, "whole"),
)
SCRUB = (
    Dimension("learning_rate", 1e-5, 5e-3), Dimension("alpha", 1e-3, 1), Dimension("max_steps", 1, 4, "whole"),
    Dimension("epochs", 2, 10, "whole"), Dimension("optimiser", scale="choice", choices=("adam", "sgd")),
    Dimension("forget_batch", scale="choice", choices=(32, 64, 256, 512, 1024, 4096)),
)
NEGGRAD_PLUS = (
    Dimension("learning_rate", 1e-4, 1e-1), Dimension("alpha", 0.5, 0.999, "linear"), Dimension("epochs", 1, 10, "whole"),
)
JIT = Dimension("learning_rate", 1e-5, 1e-1), Dimension("sigma", 0.01, 0.5), Dimension("copies", 10, 25, "whole")
RATE_AND_EPOCHS = Dimension("learning_rate", 1e-6, 1e-1), Dimension("epochs", 1, 20, "whole")
REAL = Dimension("learning_rate", 1e-5, 1e-2), Dimension("temperature", 0.05, 5), Dimension("epochs", 1, 20, "whole")
MIXED = *REAL, Dimension("real_weight", 0.1, 10)

SPACES: dict[str, tuple[Dimension, ...]] = {
    "jit": JIT,
    "jit_mean": JIT,
    "boundary_expand": BOUNDARY,
    "laf": LAF,
    "lfssd": (Dimension("selection", 1, 100), Dimension("dampening", 0.1, 1)),
    "ts": (
        Dimension("learning_rate", 1e-5, 1e-2), Dimension("retain_share", 0.1, 1, "linear"), Dimension("epochs", 1, 5, "whole"),
    ),
    "scrub_unlabelled": SCRUB,
    "boundary_shrink_pseudo": BOUNDARY,
    "neggrad_plus_pseudo": NEGGRAD_PLUS,
    "relearn": (
        Dimension("learning_rate", 5e-4, 8e-3), Dimension("start", 0.05, 1, "linear"), Dimension("tail", 0.05, 1, "linear"),
        Dimension("sharpness", scale="choice", choices=("conflict", "soft", "hard")),
    ),
    "laf_r": (*LAF, Dimension("repair.learning_rate", 1e-4, 1e-2), Dimension("repair.epochs", 1, 3, "whole")),
    "neggrad": (
        Dimension("learning_rate", 1e-6, 1e-2), Dimension("epochs", 1, 10, "whole"),
        Dimension("bounded", scale="choice", choices=(False, True)),
    ),
    "neggrad_plus": NEGGRAD_PLUS,
    "neggrad_plus_bounded": NEGGRAD_PLUS,
    "boundary_shrink": BOUNDARY,
    "boundary_shrink_other": BOUNDARY,
    "scrub": (*SCRUB, Dimension("gamma", 0.1, 100)),
    "scrub_r": (*SCRUB, Dimension("gamma", 0.1, 100)),
    "unroll": (Dimension("strength", 1e-4, 1),),
    "synthetic": (Dimension("learning_rate", 1e-4, 1), Dimension("epochs", 1, 200, "whole")),
    "delete_pseudo": RATE_AND_EPOCHS,
    "mixunlearn": (*MIXED, Dimension("generator_rate", 1e-4, 1e-1)),
    "mixunlearn_mixup": MIXED,
    "mixunlearn_real": REAL,
    "lotus": (
        Dimension("learning_rate", 1e-5, 1e-2), Dimension("alpha", 1, 64), Dimension("retain_share", 0.1, 1, "linear"),
        Dimension("epochs", 1, 10, "whole"),
    ),
    "svd": (Dimension("retain_scale", 1, 1000), Dimension("forget_scale", 0.25, 1000)),  # the authors' own grid
    "null_space": (Dimension("strength", 0.1, 4),),
    "delete": RATE_AND_EPOCHS,
    "salun": (
        Dimension("learning_rate", 1e-4, 1e-1), Dimension("mask_share", 0.1, 1, "linear"), Dimension("epochs", 1, 10, "whole"),
    ),
    "ssd": (Dimension("selection", 1, 100), Dimension("dampening", 0.1, 1)),
    "sparse": (Dimension("learning_rate", 1e-4, 1e-1), Dimension("penalty", 1e-6, 1e-2), Dimension("epochs", 1, 10, "whole")),
}
