"""The audit behind the verdict: every forget image against unseen images that models without D_f find as hard.

A model that never saw D_f treats it as it treats other unseen images, of the same difficulty. How hard an image is, students say
that learned from D_r alone (``reference``): their mean log-odds of an answer. Each forget image is held against the unseen images
nearest to it in that. What is left of a model's sureness is then standard noise, unless the model has seen the image.

Where whole classes vanish, D_f and unseen images of these classes are hard alike: no reference is needed, each forget image is
held against all of them.

The untouched original is audited first. What the audit does not find there it cannot find in any model. Then one thing is left to
say: whether the model answers hardly more of D_f as the original does than the students, who never saw D_f, answer so. Leaks are
given in points of accuracy on D_f, so that one knows what a finding, or none, is worth.
"""

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist

import torch

from ..audit.confidence import log_odds
from ..audit.unseen import LEAST
from .options import STUDENTS

LEVEL = 0.02  # of the whole audit: the share of models that never saw D_f which it would call out
TESTS = 5  # sureness up and down, agreement up and down, the distribution: each has its share of the level (Bonferroni)
CRITICAL = NormalDist().inv_cdf(1 - LEVEL / TESTS)
POWER = NormalDist().inv_cdf(0.8)
NEIGHBOURS = 25
LEAST_COMPARED = 60  # unseen images
LEAST_SPREAD = 0.3  # nats
TOLERANCE = 5.0  # points of accuracy on D_f: a leak that small may be missed by an audit that does see the untouched original
BLIND_TOLERANCE = 0.2  # images that could leak at most where the audit would not even see that
FEW = 5  # images below which a mean has no distribution
# Chosen on seeds 0 to 9 of benchmarks/verdict_study.py, whose seeds 25 to 34 are the judged ones.
BEYOND = 4.0  # points of D_f that may be answered as by the original beyond what the students answer so
# The same where these points are less than an image: images by answers, or, of ``FEW`` and more, by probabilities and one by
# answers at most.
BEYOND_IMAGES, BEYOND_PROBABILITY, MOST_IMAGES = 0.5, 0.8, 1.0
# A model that says of unseen images what the original says, by so many standard errors more than the students do, may have been
# made from it, and holds what it holds: it is allowed fewer points, or, where they are less than an image, so many images by
# probabilities, and standard errors of sureness.
NEAR, NEAR_BEYOND, NEAR_PROBABILITY, NEAR_SURENESS = 3.0, 2.0, 0.2, 1.0
LIMIT = 100.0  # nats
SKEWED = 150  # forget images up to which the mean of their residuals is held against drawn means: these are not yet normal
DRAWS = 20_000


@dataclass(frozen=True)
class Evidence:
    """What the audit of one model found. Points are percentage points of accuracy on D_f, by the original's answers.

    Args:
        finding: ``leak``, ``over-forgotten``, ``apart`` (neither on average, but another distribution), ``none`` or ``unclear``
            (what it would have missed is too much to call it none).
        sureness: by how many standard errors the model is surer of D_f than of unseen images as hard; hard ones weigh more.
        original: the same of the untouched original.
        agreement, expected, error: percent of D_f answered as by the original, and what a model without D_f would have; the last
            two, and what follows from them, are ``None`` where classes vanish.
        beyond: percent of D_f answered as by the original, less what the students answer so on average.
        nearer: by how many standard errors more of the unseen images than the students' it answers as the original does; above
            ``NEAR`` it may have been made from the original, and less is allowed.
        apart: p value of the Kolmogorov-Smirnov test of both sets' residuals; 1 of fewer than 20 images.
        whole: points that could leak at most: all that the original knows of D_f and the reference does not.
        detectable: the smallest leak that would have been seen in four cases of five, in points.
        tolerance: the points that ``detectable`` may have for a finding of ``none``.
        forget, unseen: images.
    """

    finding: str
    sureness: float
    original: float
    agreement: float
    expected: float | None
    error: float | None
    beyond: float | None
    nearer: float | None
    apart: float
    whole: float | None
    detectable: float | None
    tolerance: float | None
    forget: int
    unseen: int

    def as_dict(self) -> dict[str, float | int | str | None]:
        return {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(self).items()}

    @property
    def allowed(self) -> float:
        """The points of D_f that the model may answer as the original beyond what the students answer so."""
        return NEAR_BEYOND if self.nearer is not None and self.nearer > NEAR else BEYOND


Pair = tuple[torch.Tensor, torch.Tensor]  # logits on D_f and on unseen images


def _phi(logits: torch.Tensor, said: torch.Tensor) -> torch.Tensor:
    return log_odds(logits.float(), said).clamp(-LIMIT, LIMIT)


@dataclass(frozen=True)
class _Residuals:
    """Of one model's own answers."""

    forget: torch.Tensor  # standard residuals
    unseen: torch.Tensor  # likewise
    place: torch.Tensor  # where D_f's images would lie without memory, in nats, and ``spread`` around it
    spread: torch.Tensor
    used: torch.Tensor  # [n, m], the share that each unseen image has in a forget image's comparison


def _nearest(hardness: torch.Tensor, among: torch.Tensor, itself: bool) -> torch.Tensor:
    count = min(NEIGHBOURS, len(among) - 1)
    far = (hardness[:, None] - among[None]).abs()
    if itself:
        far.fill_diagonal_(math.inf)
    return far.topk(count, 1, largest=False).indices


def _hardness(said: Pair, students: Pair) -> list[torch.Tensor]:
    """Mean log-odds [n] and [m] of answers int64 [n] and [m] by the reference, [students, n, c] and [students, m, c]."""
    return [torch.stack([_phi(own, answers) for own in logits]).mean(0) for answers, logits in zip(said, students, strict=True)]


def _residuals(model: Pair, students: Pair) -> _Residuals:
    """Args: logits [n, c] and [m, c] of the model, [students, n, c] and [students, m, c] of the reference."""
    said = model[0].argmax(1), model[1].argmax(1)
    hard_f, hard_u = _hardness(said, students)
    own_f, own_u = map(_phi, model, said)
    near_f, near_u = _nearest(hard_f, hard_u, False), _nearest(hard_u, hard_u, True)
    place, spread = own_u[near_f].mean(1), own_u[near_f].std(1).clamp_min(LEAST_SPREAD)
    rest = (own_u - own_u[near_u].mean(1)) / own_u[near_u].std(1).clamp_min(LEAST_SPREAD)
    used = torch.zeros(len(own_f), len(own_u)).scatter_(1, near_f, 1 / near_f.shape[1])
    return _Residuals((own_f - place) / spread, rest, place, spread, used)


def _unmatched(forget: torch.Tensor, unseen: torch.Tensor) -> _Residuals:
    """The same without a reference: every forget image against all unseen ones. Args: logits [n, c] and [m, c]."""
    own_f, own_u = (_phi(logits, logits.argmax(1)) for logits in (forget, unseen))
    (n, m), place, spread = (len(own_f), len(own_u)), own_u.mean(), own_u.std().clamp_min(LEAST_SPREAD)
    return _Residuals(
        (own_f - place) / spread, (own_u - place) / spread, place.expand(n), spread.expand(n), torch.full((n, m), 1 / m),
    )


def _apart(own: _Residuals) -> float:
    from scipy.stats import ks_2samp  # takes a second to import

    return float(ks_2samp(own.forget.numpy(), own.unseen.numpy()).pvalue) if len(own.forget) >= 20 else 1.0


def weigh_removed(before: Pair, after: Pair) -> Evidence | None:
    """The evidence on one model whose classes of D_f vanish; ``None`` of fewer than ``audit.unseen.LEAST`` images on a side.

    Args:
        before, after: logits [n, c] on D_f and [m, c] on unseen images of the same classes, of the original and of the model.
    """
    n, m = len(before[0]), len(before[1])
    if min(n, m) < LEAST:
        return None
    there, own = _unmatched(*before), _unmatched(*after)
    level, apart = _standing(own, torch.ones(n)), _apart(own)
    side = "leak" if level > CRITICAL else "over-forgotten" if level < -CRITICAL else None
    finding = side or ("apart" if apart < LEVEL / TESTS else "none")
    share = 100 * (before[0].argmax(1) == after[0].argmax(1)).float().mean().item()
    before_too = _standing(there, torch.ones(n))
    return Evidence(finding, level, before_too, share, None, None, None, None, apart, None, None, None, n, m)


def _standing(found: _Residuals, weights: torch.Tensor) -> float:
    """The weighted mean residual of D_f in standard errors, those of the unseen images' own noise included.

    Few residuals have no normal mean, as hard images lie far below: theirs is held against means of as many unseen residuals, and
    the share of these that lie beyond it is said in the standard errors of a normal mean.
    """
    weights = weights / weights.sum()
    noise = ((weights[:, None] * found.used).sum(0) ** 2).sum()  # of the unseen images behind the places
    mean = (weights * found.forget).sum()
    normal = (mean / ((weights**2).sum() + noise).sqrt()).item()
    if len(weights) > SKEWED:
        return normal
    draw = torch.Generator().manual_seed(0)
    rows = torch.randint(len(found.unseen), (DRAWS, len(weights)), generator=draw)
    means = (found.unseen[rows] * weights).sum(1) + noise.sqrt() * torch.randn(DRAWS, generator=draw)
    side = 1 if normal > 0 else -1
    beyond = 1 + int((side * means >= side * mean).sum())
    drawn = -NormalDist().inv_cdf(min(0.5, beyond / (DRAWS + 1)))
    return side * (max(drawn, abs(normal)) if beyond <= 2 else drawn)  # the draws end there


def _weights(found: _Residuals, sure: float) -> torch.Tensor:
    """What memory would add to an image in its spread: most to hard ones, nothing to those that anybody is sure of."""
    weights = (sure - found.place).clamp_min(0) / found.spread
    return weights if weights.sum() > 0 else torch.ones_like(weights)


@dataclass(frozen=True)
class _Agreement:
    """Shares in 0..1: of D_f answered as by the original, what is expected, its standard error, the smallest expected, what the
    students answer so; by how much the probability of the original's answers exceeds theirs, on average over D_f; and by how many
    standard errors the model answers more of the unseen images so than they do."""

    share: float
    expected: float
    error: float
    least: float
    taught: float
    probability: float
    nearer: float


def _agreement(before: Pair, after: Pair, students: Pair) -> _Agreement:
    """What a model without D_f would agree on, estimated twice: from the students' answers on D_f, moved by what the model
    differs from them on unseen images, and from the model's own agreement on unseen images as hard."""
    said = before[0].argmax(1), before[1].argmax(1)
    own_f, own_u = ((logits.argmax(1) == answers).float() for logits, answers in zip(after, said, strict=True))
    by_f, by_u = ((logits.argmax(2) == answers).float().mean(0) for logits, answers in zip(students, said, strict=True))
    hard_f, hard_u = _hardness(said, students)
    near = own_u[_nearest(hard_f, hard_u, False)]
    chance = (near.sum(1) + 0.1) / (near.shape[1] + 0.2)
    moved, taught = own_u - by_u, by_f.mean().item()
    first = min(1.0, max(0.0, taught + moved.mean().item()))
    second, n = chance.mean().item(), len(own_f)
    variance = (chance * (1 - chance)).sum().item() / n**2 + moved.var().item() / len(moved)
    # A model made from the original agrees with it on everything, so that what could leak is not read off such a model alone.
    probability = _chance(after[0], said[0]).mean().item() - _chance(students[0], said[0]).mean().item()
    nearer = (moved.mean() / (moved.var() / len(moved)).sqrt().clamp_min(1e-6)).item()
    return _Agreement(
        own_f.mean().item(), (first + second) / 2, math.sqrt(variance), min(first, second, taught), taught, probability, nearer,
    )


def _chance(logits: torch.Tensor, said: torch.Tensor) -> torch.Tensor:
    """The probabilities [..., n] of given answers [n]. Args: logits [..., n, c]."""
    return logits.float().softmax(-1)[..., torch.arange(len(said)), said]


def _as_taught(answers: _Agreement, images: int, sureness: float) -> bool:
    """Does the model answer hardly more of D_f as the original does than models that never saw D_f?

    What could have leaked is bounded by that, whether or not the audit of sureness sees the untouched original.
    """
    near, at_most = answers.nearer > NEAR, MOST_IMAGES if images >= FEW else BEYOND_IMAGES
    beyond, most = round(images * (answers.share - answers.taught), 4), images * (NEAR_BEYOND if near else BEYOND) / 100
    surer = images * answers.probability
    if most >= 1:
        return beyond <= most
    if near:
        return beyond <= at_most and surer <= NEAR_PROBABILITY and sureness <= NEAR_SURENESS
    return beyond <= BEYOND_IMAGES or (beyond <= at_most and surer <= BEYOND_PROBABILITY)


def weigh(before: Pair, after: Pair, students: Pair) -> Evidence | None:
    """The evidence on single images, whose classes stay; ``None`` of fewer than ``LEAST_COMPARED`` unseen images.

    Args:
        before, after: logits [n, c] on D_f and [m, c] on unseen images, of the original and of the model. No look of the
            unlearning may have used these unseen images.
        students: logits [k, n, c] and [k, m, c] of the reference.
    """

    n, m = len(before[0]), len(before[1])
    if m < LEAST_COMPARED:
        return None
    original, own = _residuals(before, students), _residuals(after, students)
    sure = _phi(before[0], before[0].argmax(1)).median().item()
    there, here = (_standing(found, _weights(found, sure)) for found in (original, own))
    level, apart = _standing(own, torch.ones(n)), _apart(own)
    answers = _agreement(before, after, students)
    excess = (answers.share - answers.expected) / answers.error
    whole = 100 * (1 - answers.least)
    blind = 100 * BLIND_TOLERANCE / n
    sees = there >= CRITICAL + POWER
    detectable = whole * (CRITICAL + POWER) / there if sees else whole
    tolerance = max(TOLERANCE, blind) if sees else blind
    finding = "none"
    if excess < -CRITICAL:  # first: a model may be sure of the wrong answers that it was driven to
        finding = "over-forgotten"
    elif max(here, excess) > CRITICAL:
        finding = "leak"
    elif level < -CRITICAL:
        finding = "over-forgotten"
    elif apart < LEVEL / TESTS:
        finding = "apart"
    elif len(students[0]) < STUDENTS or not _as_taught(answers, n, here):  # what is allowed beyond them was chosen with as many
        most = max(TOLERANCE, 100 * answers.error) if n >= FEW else blind
        if 100 * (answers.share - answers.expected) > most or detectable > tolerance:
            finding = "unclear"
    return Evidence(
        finding, here, there, 100 * answers.share, 100 * answers.expected, 100 * answers.error,
        100 * (answers.share - answers.taught), answers.nearer, apart, whole, detectable, tolerance, n, m,
    )
