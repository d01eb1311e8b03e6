"""What the equal tuning may change of the later rows, and the number that shows what each paper says of its method."""

from collections.abc import Callable, Mapping

from .dimension import Dimension

RATE_AND_EPOCHS = Dimension("learning_rate", 1e-6, 1e-1), Dimension("epochs", 1, 20, "whole")
REAL = Dimension("learning_rate", 1e-5, 1e-2), Dimension("temperature", 0.05, 5), Dimension("epochs", 1, 20, "whole")
MIXED = *REAL, Dimension("real_weight", 0.1, 10)

LATER_SPACES: Mapping[str, tuple[Dimension, ...]] = {
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


def _accuracies(record: dict, original: dict) -> str:
    before, after = original["metrics"], record["metrics"]
    return ", ".join(f"{name.capitalize()} from {before[name]:.2f} to {after[name]:.2f} %" for name in ("train_f", "train_r"))


def _ends(name: str, what: str) -> Callable[[dict, dict], str]:
    def said(record: dict, original: dict) -> str:
        values = record["history"][name]
        return f"{what} {values[0]:.3g} in its first pass, {values[-1]:.3g} in its last"

    return said


def _share(name: str, of: str) -> Callable[[dict, dict], str]:
    return lambda record, original: f"{100 * record['history'][name][0]:.2f} % of {of}"


LATER_CLAIMS: dict[str, tuple[str, Callable[[dict, dict], str]]] = {
    "synthetic": ("forgets a class without one image", _accuracies),
    "delete_pseudo": ("D_f moves to the original's other answers", _ends("kl", "KL")),
    "mixunlearn": ("forgets without labels and keeps D_r", _accuracies),
    "mixunlearn_mixup": ("plain mixtures do less than the generator's", _accuracies),
    "mixunlearn_real": ("the loss on real images does most of it", _accuracies),
    "lotus": ("D_f is answered as unseen images are", _ends("agreement", "agreement")),
    "svd": ("forgets without a gradient", _share("removed", "the weights' length")),
    "null_space": ("a control: one direction less", _accuracies),
    "delete": ("D_f moves to the original's other answers", _ends("kl", "KL")),
    "salun": ("half of the weights suffice", _accuracies),
    "ssd": ("dampens without training", _share("dampened", "the weights")),
    "sparse": ("fewer weights while D_r is learned", _ends("absolute_sum", "sum of |weights|")),
}
