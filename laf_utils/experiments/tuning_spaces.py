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


def _space(*choices: Dimension, **ranges: tuple) -> tuple[Dimension, ...]:
    """By setting (``__`` for a dot) low, high and, where it is not ``log``, the scale; then what is one of several."""
    return (*(Dimension(name.replace("__", "."), *limits) for name, limits in ranges.items()), *choices)


def _choice(name: str, *choices: object) -> Dimension:
    return Dimension(name, scale="choice", choices=choices)


BOUNDARY = _space(learning_rate=(1e-6, 1e-2), epochs=(1, 20, "whole"))
LAF = _space(
    unlearning__lr_ue=(1e-5, 1e-3), unlearning__lr_ra=(1e-5, 1e-3), unlearning__temperature=(1, 50),
    unlearning__epochs=(2, 20, "whole"),
)
SCRUB = _space(
    _choice("optimiser", "adam", "sgd"), _choice("forget_batch", 32, 64, 256, 512, 1024, 4096), learning_rate=(1e-5, 5e-3),
    alpha=(1e-3, 1), max_steps=(1, 4, "whole"), epochs=(2, 10, "whole"),
)
NEGGRAD_PLUS = _space(learning_rate=(1e-4, 1e-1), alpha=(0.5, 0.999, "linear"), epochs=(1, 10, "whole"))
JIT = _space(learning_rate=(1e-5, 1e-1), sigma=(0.01, 0.5), copies=(10, 25, "whole"))
RATE_AND_EPOCHS = _space(learning_rate=(1e-6, 1e-1), epochs=(1, 20, "whole"))
REAL = _space(learning_rate=(1e-5, 1e-2), temperature=(0.05, 5), epochs=(1, 20, "whole"))
MIXED = *REAL, *_space(real_weight=(0.1, 10))

SPACES: dict[str, tuple[Dimension, ...]] = {
    "jit": JIT,
    "jit_mean": JIT,
    "boundary_expand": BOUNDARY,
    "laf": LAF,
    "lfssd": _space(selection=(1, 100), dampening=(0.1, 1)),
    "ts": _space(learning_rate=(1e-5, 1e-2), retain_share=(0.1, 1, "linear"), epochs=(1, 5, "whole")),
    "scrub_unlabelled": SCRUB,
    "boundary_shrink_pseudo": BOUNDARY,
    "neggrad_plus_pseudo": NEGGRAD_PLUS,
    "relearn": _space(
        _choice("sharpness", "conflict", "soft", "hard"), learning_rate=(5e-4, 8e-3), start=(0.05, 1, "linear"),
        tail=(0.05, 1, "linear"),
    ),
    "laf_r": (*LAF, *_space(repair__learning_rate=(1e-4, 1e-2), repair__epochs=(1, 3, "whole"))),
    "neggrad": _space(_choice("bounded", False, True), learning_rate=(1e-6, 1e-2), epochs=(1, 10, "whole")),
    "neggrad_plus": NEGGRAD_PLUS,
    "neggrad_plus_bounded": NEGGRAD_PLUS,
    "boundary_shrink": BOUNDARY,
    "boundary_shrink_other": BOUNDARY,
    "scrub": (*SCRUB, *_space(gamma=(0.1, 100))),
    "scrub_r": (*SCRUB, *_space(gamma=(0.1, 100))),
    "unroll": _space(strength=(1e-4, 1)),
    "synthetic": _space(learning_rate=(1e-4, 1), epochs=(1, 200, "whole")),
    "delete_pseudo": RATE_AND_EPOCHS,
    "mixunlearn": (*MIXED, *_space(generator_rate=(1e-4, 1e-1))),
    "mixunlearn_mixup": MIXED,
    "mixunlearn_real": REAL,
    "lotus": _space(learning_rate=(1e-5, 1e-2), alpha=(1, 64), retain_share=(0.1, 1, "linear"), epochs=(1, 10, "whole")),
    "svd": _space(retain_scale=(1, 1000), forget_scale=(0.25, 1000)),  # the authors' own grid
    "null_space": _space(strength=(0.1, 4)),
    "delete": RATE_AND_EPOCHS,
    "salun": _space(learning_rate=(1e-4, 1e-1), mask_share=(0.1, 1, "linear"), epochs=(1, 10, "whole")),
    "ssd": _space(selection=(1, 100), dampening=(0.1, 1)),
    "sparse": _space(learning_rate=(1e-4, 1e-1), penalty=(1e-6, 1e-2), epochs=(1, 10, "whole")),
}
