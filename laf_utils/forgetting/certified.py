"""A certified step of the head: one Newton step away from D_f, under noise that hides what the step leaves behind.

The head is a convex one on frozen representations: one logistic regression for each class against the others, L2-regularised,
taught the original's own answers. Its objective holds a random linear term (objective perturbation), so that the small gradient
which the step leaves on D_r cannot be told from the noise. After Guo, Goldstein, Hannun and van der Maaten, "Certified Data
Removal from Machine Learning Models", ICML 2020, arXiv 1911.03030: the Newton update, its residual's budget and Theorem 3; the
bound is their Corollary 1 without its condition on the length of representations::

    L_b(W; D) = sum_k [ sum_i l(w_k . x_i, y_ik) + penalty n / 2 |w_k|^2 + b_k . w_k ],   b ~ N(0, noise^2)
    W- = W + S,   S = -H^-1 grad L_b(W; D_r),   |grad L_b(W-; D_r)| <= RATE / 2 |X| |(X s_k)^2|, its squares summed over classes
    (epsilon, delta) holds where that is at most noise epsilon / c,   delta = 1.5 exp(-c^2 / 2),   0 < epsilon <= 1

Certified is the head, with respect to its training on these representations and answers, given that bound: whoever sees it can
tell it from a head that was fitted without D_f no better than (epsilon, delta) allows. Not certified are the extractor, which saw
the images, and the answers that the original gives to D_r. The noise comes from the system and is not kept: no seed repeats it,
or it would hide nothing. Representations are centred and scaled by D_r's own mean and spread, which depend on no image of D_f.

A head that is taught anew on D_r alone holds nothing of D_f and needs no certificate. The step is for a ``ConvexHead`` that one
keeps: it forgets request after request without its training set being passed again.
"""

import copy
import math
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from ..models import Network
from ..representations import apply_frozen
from ..support.reading import counted
from .refusal import Refused
from .sources import OwnImages

RATE = math.sqrt(3) / 18  # the steepest that the logistic function's slope changes
LARGEST = 10_000  # images of D_r that the head is taught
NOISE = 0.003  # of the default, for each image
ITERATIONS = 300
WHAT = (
    "certified: the head, ({epsilon:g}, {delta:g}) with respect to its training on these representations and the original's "
    "answers to them, given the bound on its residual; only audited: the extractor, which saw the images, and those answers"
)


@dataclass(frozen=True)
class CertifiedHead:
    """Settings of the method ``certified_head``.

    Args:
        epsilon, delta: what the guarantee holds for; epsilon at most 1.
        penalty: of the squared weights, for each image.
        noise: standard deviation of the random term; ``None``: ``NOISE`` times the number of images.
    """

    epsilon: float = 1.0
    delta: float = 1e-5
    penalty: float = 3e-3
    noise: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.epsilon <= 1:
            raise ValueError(f"epsilon must be above 0 and at most 1, got {self.epsilon!r}")
        if not 0 < self.delta < 1:
            raise ValueError(f"delta must be between 0 and 1, got {self.delta!r}")
        for name in ("penalty", "noise"):
            value = getattr(self, name)
            if not (value is None and name == "noise") and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be above 0, got {value!r}")


def hides(noise: float, epsilon: float, delta: float) -> float:
    """The norm of a gradient that noise of this standard deviation hides: noise epsilon / c, delta = 1.5 exp(-c^2 / 2)."""
    return noise * epsilon / math.sqrt(2 * math.log(1.5 / delta))


def newton(
    inputs: torch.Tensor, weights: torch.Tensor, gradient: torch.Tensor, penalty: float, slope: torch.Tensor
) -> torch.Tensor:
    """The Newton step [K, p] of K regressions.

    Args:
        inputs: [n, p]; ``slope`` [n, K]: the second derivative of each loss by its score.
        weights, gradient: [K, p]; ``penalty``: for all images together.
    """
    own = penalty * torch.eye(inputs.shape[1], dtype=inputs.dtype)
    return torch.stack([
        -torch.linalg.solve(inputs.T @ (slope[:, k, None] * inputs) + own, gradient[k]) for k in range(len(weights))
    ])


class ConvexHead:
    """The head, its images and its noise: it can forget images again and again, as long as the noise hides what that leaves.

    Args:
        inputs: float64 [n, p].
        answers: int64 [n], in 0..classes - 1.
        noise: float64 [classes, p], a draw of the random term with the standard deviation of ``settings``.
    """

    def __init__(self, inputs: torch.Tensor, answers: torch.Tensor, settings: CertifiedHead, noise: torch.Tensor) -> None:
        self.inputs, self.wanted = inputs, nn.functional.one_hot(answers, len(noise)).to(inputs)
        self.settings, self.noise, self.residual = settings, noise, 0.0
        self.weights = self._fitted()

    @property
    def budget(self) -> float:
        """The norm of all that steps may leave."""
        return hides(cast(float, self.settings.noise), self.settings.epsilon, self.settings.delta)

    def _fitted(self) -> torch.Tensor:
        weights = torch.zeros_like(self.noise).requires_grad_()
        optimiser = torch.optim.LBFGS(
            [weights], max_iter=ITERATIONS, tolerance_grad=1e-9, tolerance_change=1e-15, line_search_fn="strong_wolfe"
        )
        count = len(self.inputs)

        def loss() -> torch.Tensor:
            optimiser.zero_grad()
            fit = nn.functional.binary_cross_entropy_with_logits(self.inputs @ weights.T, self.wanted, reduction="sum")
            whole = fit / count + self.settings.penalty / 2 * (weights**2).sum() + (self.noise * weights).sum() / count
            whole.backward()
            return whole

        optimiser.step(loss)
        return weights.detach()

    def gradient(self, weights: torch.Tensor) -> torch.Tensor:
        """Of L_b over the images that are left, [classes, p]."""
        miss = (self.inputs @ weights.T).sigmoid() - self.wanted
        return miss.T @ self.inputs + self.settings.penalty * len(self.inputs) * weights + self.noise

    def remove(self, rows: torch.Tensor) -> None:
        """Forget these rows in one Newton step; ``residual`` grows by the bound on what it leaves.

        Args:
            rows: bool [n], of the images that are left now.

        Raises:
            Refused: ``budget``: the noise does not hide that; the head is as it was.
        """
        before, noise = (self.inputs, self.wanted), cast(float, self.settings.noise)
        self.inputs, self.wanted = self.inputs[~rows], self.wanted[~rows]
        slope = (self.inputs @ self.weights.T).sigmoid()
        step = newton(
            self.inputs, self.weights, self.gradient(self.weights), self.settings.penalty * len(self.inputs), slope * (1 - slope)
        )
        length = torch.linalg.matrix_norm(self.inputs, 2)
        left = (RATE / 2 * length * ((self.inputs @ step.T) ** 2).norm(dim=0)).norm().item()
        if self.residual + left > self.budget:
            self.inputs, self.wanted = before
            raise Refused(
                "budget", f"the step away from {int(rows.sum())} of {counted(len(rows), 'image')} leaves a gradient of up to "
                f"{self.residual + left:.3g}, and the noise hides {self.budget:.3g}: forget fewer images at once; or say "
                f"settings=CertifiedHead(penalty={3 * self.settings.penalty:.3g}, noise={2 * noise:.3g}), which "
                "costs utility; or teach a new head on the retained images alone, which needs no certificate",
            )
        self.residual, self.weights = self.residual + left, self.weights + step


def drawn(noise: float, shape: tuple[int, int]) -> torch.Tensor:
    """The random term, from the system's own entropy."""
    return torch.from_numpy(np.random.default_rng().normal(0, noise, shape))


def plain_head(network: Network) -> bool:
    """Whether the head is a linear layer whose weights can be put in its place."""
    return type(network.classifier) is nn.Linear and not network.classifier._forward_pre_hooks


def check(network: Network) -> None:
    """Refuse a head that no certified step can be taken from.

    Raises:
        Refused: ``method``.
    """
    if not plain_head(network):
        raise Refused("method", "certified_head needs a plain linear layer as head; LAF works on any")


def frozen(network: Network) -> bool:
    """Whether nothing below a plain head is to be trained, by ``requires_grad``, while the head is, or there is nothing."""
    own = {id(p) for p in network.classifier.parameters()}
    below = [p for p in network.extractor.parameters() if id(p) not in own]
    trained = any(p.requires_grad for p in network.classifier.parameters())
    return plain_head(network) and (not below or (trained and not any(p.requires_grad for p in below)))


def removed(
    network: Network, forget: OwnImages, retain: OwnImages, settings: CertifiedHead
) -> tuple[Network, CertifiedHead, dict[str, Any]]:
    """A copy of the network with a head that D_f was removed from, the settings with their noise, and what is certified.

    Raises:
        Refused: ``budget``; ``method``: the head is no plain linear layer.
    """
    check(network)
    own = copy.deepcopy(network)
    last = cast(nn.Linear, own.classifier)
    e_f, e_r = (
        apply_frozen(network.extractor, images, "representations").cpu().double() for images in (forget, retain)
    )
    said = last(torch.cat([e_f, e_r]).to(last.weight)).argmax(1).cpu()
    bias = last.bias is not None
    centre = e_r.mean(0) if bias else torch.zeros_like(e_r[0])
    scale = (e_r - centre).pow(2).sum(1).mean().sqrt().clamp_min(1e-12)
    inputs = (torch.cat([e_f, e_r]) - centre) / scale
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1).double()], 1) if bias else inputs
    noise = NOISE * len(inputs) if settings.noise is None else settings.noise
    settings = CertifiedHead(**asdict(settings) | {"noise": noise})
    head = ConvexHead(inputs, said, settings, drawn(noise, (last.out_features, inputs.shape[1])))
    head.remove(torch.arange(len(inputs)) < len(e_f))
    with torch.no_grad():
        weights = head.weights[:, : e_r.shape[1]] / scale
        last.weight.copy_(weights)
        if bias:
            last.bias.copy_(head.weights[:, -1] - weights @ centre)
    certified = {
        "what": WHAT.format(**asdict(settings)), **asdict(settings), "residual_bound": head.residual, "budget": head.budget,
        "images": len(inputs),
    }
    return own, settings, certified
