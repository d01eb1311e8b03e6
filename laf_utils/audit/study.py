"""Do the verdicts keep what they promise? Simulated levels and powers, the record of ``KIND=verdict``.

Nothing is trained: phi of a model on D_f is drawn as a shift of the whole model (its training) and noise of each image in that
model. Every function is seeded and counts how often the verdict of the package says what.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np
import torch

from . import power
from .many_models import u_lira
from .membership import ranking
from .verdict import BY_IMAGE, CANNOT, SHIFT, verdict, verdict_over_seeds

IMAGES = 60
SHAPES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda draw, count: draw.standard_normal(count),
    "t with 3 degrees": lambda draw, count: draw.standard_t(3, count),
    "uniform": lambda draw, count: draw.uniform(-1, 1, count),
    "exponential": lambda draw, count: draw.exponential(size=count),
}


def false_alarms_of_one_run(retrained: int, shape: str, runs: int, seed: int = 0) -> float:
    """Percent of exact models, exchangeable with ``retrained`` other ones, that ``verdict`` calls different."""
    draw = np.random.default_rng(seed)
    wrong = 0
    for _ in range(runs):
        models = torch.tensor(SHAPES[shape](draw, retrained + 1))[:, None].expand(-1, 3)
        wrong += verdict(models[0], models[1], models[2:] if retrained > 1 else None).verdict != CANNOT
    return 100 * wrong / runs


def _seeds(draw: np.random.Generator, seeds: int, moved: np.ndarray, spread: float) -> tuple[list, list, list]:
    """Shifts, null and distances by image of ``seeds`` trainings whose unlearned models are retrained ones moved by [IMAGES]."""
    whole, own = draw.standard_normal((seeds, 3, 1)), draw.standard_normal((seeds, 3, IMAGES))
    whole[:, 2] *= spread
    retrained, again, unlearned = np.moveaxis(whole + own, 1, 0)
    unlearned = unlearned + moved
    pairs = zip(np.abs(unlearned - retrained).mean(1).tolist(), np.abs(again - retrained).mean(1).tolist(), strict=True)
    return (unlearned - retrained).mean(1).tolist(), (again - retrained).mean(1).tolist(), list(pairs)


def outcomes(
    seeds: int, runs: int, *, shift: float = 0.0, halves: float = 0.0, spread: float = 1.0, seed: int = 0
) -> dict[str, float]:
    """Percent of verdicts over seeds by outcome.

    Args:
        shift: of all images, in standard deviations of the shift between two retrained models.
        halves: by which half of the images move up and half down, in nats; a retrained model's noise per image is 1.
        spread: of the unlearned models' shifts over that of retrained ones.
    """
    found: Counter
    draw, found = np.random.default_rng(seed), Counter()
    deviation = np.sqrt(2 + 2 / IMAGES)
    moved = shift * deviation + halves * np.where(np.arange(IMAGES) % 2, 1.0, -1.0)
    for _ in range(runs):
        shifts, null, pairs = _seeds(draw, seeds, moved, spread)
        found[verdict_over_seeds(shifts, null, {BY_IMAGE: pairs}).outcome] += 1
    return {outcome: 100 * count / runs for outcome, count in sorted(found.items())}


def power_at_the_printed_shift(seeds: int, runs: int, seed: int = 0) -> float:
    """Percent of audits that find the shift of the mean that the audit before them said would be found four times in five."""
    draw, hits, nothing = np.random.default_rng(seed), 0, np.zeros(IMAGES)
    for _ in range(runs):
        shifts, null, pairs = _seeds(draw, seeds, nothing, 1.0)
        printed = verdict_over_seeds(shifts, null, {BY_IMAGE: pairs}).detectable
        hits += SHIFT in verdict_over_seeds(*_moved(draw, seeds, printed)).found_by
    return 100 * hits / runs


def _moved(draw: np.random.Generator, seeds: int, by: float) -> tuple[list, list, dict]:
    """A next audit whose mean is moved; its distance by image is held at the null's, so that the mean alone is asked."""
    shifts, null, pairs = _seeds(draw, seeds, np.zeros(IMAGES), 1.0)
    return [shift + by for shift in shifts], null, {BY_IMAGE: pairs}


def null_of_the_attack(models: int, correlation: float, runs: int, seed: int = 0) -> dict[str, float]:
    """Mean AUC of U-LiRA between models of one kind, in percent, as it is and with the scores of all pairs pooled.

    Args:
        correlation: between the images of one model, 0 to 1.
    """
    draw = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(runs):
        whole, own = torch.randn(2, models, 1, generator=draw), torch.randn(2, models, IMAGES, generator=draw)
        phi = correlation**0.5 * whole + (1 - correlation) ** 0.5 * own
        found.append((u_lira(*phi).auc, _pooled(*phi.double())))
    within, pooled = torch.tensor(found).T
    return {
        "within the pair": within.mean().item(), "pooled": pooled.mean().item(),
        "standard error": within.std().item() / runs**0.5,
    }


def _pooled(unlearned: torch.Tensor, retrained: torch.Tensor) -> float:
    """The AUC of all pairs' scores in one ranking, which is biased below 50; kept to show by how much."""
    scores = []
    for group in (unlearned, retrained):
        rows = []
        for row, phi in enumerate(group):
            fits = [torch.cat([kind[:row], kind[row + 1 :]]) for kind in (unlearned, retrained)]
            own, other = (-((phi - fit.mean(0)) / fit.std(0)) ** 2 / 2 - fit.std(0).log() for fit in fits)
            rows.append(own - other)
        scores.append(torch.stack(rows).flatten().numpy())
    return ranking(*scores).auc


def study(runs: int = 1_500) -> dict:
    """Everything above at the settings that the book uses; percent."""
    counts = (3, 5, 8, 10)
    return {
        "runs": runs, "images": IMAGES,
        "false alarms of one run": {
            shape: {str(k): false_alarms_of_one_run(k, shape, runs) for k in (1, 2, 3, 5, 10)} for shape in SHAPES
        },
        "exact method": {str(n): outcomes(n, runs) for n in (2, *counts)},
        "at the margin": {
            f"{n} seeds, spread {spread:g}": outcomes(n, runs, shift=2.0, spread=spread) for n in counts for spread in (0.0, 1.0)
        },
        "half of the images 5 up, half 5 down": {str(n): outcomes(n, runs, halves=5.0) for n in counts},
        "power at the printed shift": {str(n): power_at_the_printed_shift(n, runs) for n in counts},
        "exact methods within the margin, by the mean": {str(n): 100 * power.exact_passes(n) for n in counts},
        "U-LiRA between models of one kind": {
            f"{models} models, correlation {rho:g}": null_of_the_attack(models, rho, runs // 4)
            for models in (8, 16) for rho in (0.0, 0.9)
        },
    }
