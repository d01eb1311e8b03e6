"""What the equal tuning may change of each method, and between which values: around the published ones, a few powers of ten.

SCRUB's ``forget_batch`` sets its number of ascent steps. SISA and Retrain are exact: nothing of theirs trades
forgetting against utility, so nothing is tuned. Unroll has one strength; its original is trained once, as published.
"""

from .dimension import Dimension
from .label_free import LATER_SPACES


def _boundary() -> tuple[Dimension, ...]:
    return Dimension("learning_rate", 1e-6, 1e-2), Dimension("epochs", 1, 20, "whole")


def _laf() -> tuple[Dimension, ...]:
    return (
        Dimension("unlearning.lr_ue", 1e-5, 1e-3), Dimension("unlearning.lr_ra", 1e-5, 1e-3),
        Dimension("unlearning.temperature", 1, 50), Dimension("unlearning.epochs", 2, 20, "whole"),
    )


def _scrub() -> tuple[Dimension, ...]:
    return (
        Dimension("learning_rate", 1e-5, 5e-3), Dimension("alpha", 1e-3, 1), Dimension("max_steps", 1, 4, "whole"),
        Dimension("epochs", 2, 10, "whole"), Dimension("optimiser", scale="choice", choices=("adam", "sgd")),
        Dimension("forget_batch", scale="choice", choices=(32, 64, 256, 512, 1024, 4096)),
    )


def _neggrad_plus() -> tuple[Dimension, ...]:
    return (
        Dimension("learning_rate", 1e-4, 1e-1), Dimension("alpha", 0.5, 0.999, "linear"), Dimension("epochs", 1, 10, "whole"),
    )


def _jit() -> tuple[Dimension, ...]:
    return Dimension("learning_rate", 1e-5, 1e-1), Dimension("sigma", 0.01, 0.5), Dimension("copies", 10, 25, "whole")


SPACES: dict[str, tuple[Dimension, ...]] = {
    "jit": _jit(),
    "jit_mean": _jit(),
    "boundary_expand": _boundary(),
    "laf": _laf(),
    "lfssd": (Dimension("selection", 1, 100), Dimension("dampening", 0.1, 1)),
    "ts": (
        Dimension("learning_rate", 1e-5, 1e-2), Dimension("retain_share", 0.1, 1, "linear"), Dimension("epochs", 1, 5, "whole"),
    ),
    "scrub_unlabelled": _scrub(),
    "boundary_shrink_pseudo": _boundary(),
    "neggrad_plus_pseudo": _neggrad_plus(),
    "relearn": (
        Dimension("learning_rate", 5e-4, 8e-3), Dimension("start", 0.05, 1, "linear"), Dimension("tail", 0.05, 1, "linear"),
        Dimension("sharpness", scale="choice", choices=("conflict", "soft", "hard")),
    ),
    "laf_r": (*_laf(), Dimension("repair.learning_rate", 1e-4, 1e-2), Dimension("repair.epochs", 1, 3, "whole")),
    "neggrad": (
        Dimension("learning_rate", 1e-6, 1e-2), Dimension("epochs", 1, 10, "whole"),
        Dimension("bounded", scale="choice", choices=(False, True)),
    ),
    "neggrad_plus": _neggrad_plus(),
    "neggrad_plus_bounded": _neggrad_plus(),
    "boundary_shrink": _boundary(),
    "boundary_shrink_other": _boundary(),
    "scrub": (*_scrub(), Dimension("gamma", 0.1, 100)),
    "scrub_r": (*_scrub(), Dimension("gamma", 0.1, 100)),
    "unroll": (Dimension("strength", 1e-4, 1),),
}
SPACES |= LATER_SPACES
