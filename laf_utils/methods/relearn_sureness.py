"""How sure ``relearn`` may leave its student: as sure of D_r as the original was. No answer changes, and no label is read.

A retrained model learns D_r as long as the original did, and ends as sure of it. A student that learns it in a tenth of the
passes ends less sure of everything, D_f too, which an attack on log-odds sees. Scaling the logits mends that (temperature
scaling: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2, there fitted to labels).
"""

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from ..images import ImageView
from ..representations import apply_frozen

MOST = 4.0  # of the factor and of its inverse: beyond it the two networks have nothing in common


def sureness(logits: torch.Tensor) -> float:
    """Median of the log-odds of the likeliest class, in nats, of logits [n, classes]."""
    first = logits.argmax(1, keepdim=True)
    others = logits.scatter(1, first, -torch.inf).logsumexp(1)
    return float((logits.gather(1, first).squeeze(1) - others).median())


@torch.no_grad()
def make_as_sure(student: nn.Module, images: ImageView, answers: torch.Tensor) -> float:
    """Scale the student's last linear layer until it is as sure of the images as the original is; returns the factor.

    It is 1, and nothing changes, where one of the two is unsure of most images (log-odds of 0 and less), or where no linear
    layer's output is the network's.

    Args:
        student: in evaluation mode.
        images: a sample of D_r, at least one.
        answers: the original's logits on them, [n, classes].
    """
    logits, layer = _answered(student, images, answers.shape[1])
    own, wanted = sureness(logits), sureness(answers)
    if layer is None or min(own, wanted) <= 0:
        return 1.0
    factor = min(max(wanted / own, 1 / MOST), MOST)
    for value in layer.parameters():
        value.mul_(factor)
    return factor


def _answered(student: nn.Module, images: ImageView, classes: int) -> tuple[torch.Tensor, nn.Linear | None]:
    """The logits [n, classes], and the linear layer that gives them, wherever in the network it was defined."""
    layers = [own for own in student.modules() if isinstance(own, nn.Linear) and own.out_features == classes]
    layers = [own for own in layers if not is_parametrized(own)]  # its weight may not scale with its parameters
    given: dict[nn.Linear, list[torch.Tensor]] = {layer: [] for layer in layers}
    hooks = [layer.register_forward_hook(lambda own, _, out: given[own].append(out.float())) for layer in layers]
    try:
        logits = apply_frozen(student, images, "sureness")
    finally:
        for hook in hooks:
            hook.remove()
    same = (layer for layer, outs in given.items() if outs and torch.equal(torch.cat(outs), logits))
    return logits, next(same, None)
