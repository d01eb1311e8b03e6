"""Every measure on cases whose answer is known: what it says of equal models, of a leak that cannot be missed, of nothing."""

import math

import pandas as pd
import torch

from ...audit import gaps_to_retrained
from ...audit.distance import debiased_cka, distance_by_image, jensen_shannon, ks_distance, wasserstein
from ...audit.forget_score import forget_score
from ...audit.many_models import klom, u_lira
from ...audit.membership import rmia, u_mia
from ...audit.verdict import verdict

IMAGES, COPIES = 2_000, 8


def _normal(*shape: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) + shift


def _cases() -> list[tuple[str, float, str, str]]:
    """(measure, value, of what, answer) of the measures that compare two models, then of those over many."""
    same, other = _normal(IMAGES, seed=0), _normal(IMAGES, seed=1)
    turn = torch.linalg.qr(_normal(16, 16, seed=2))[0]
    e, p = _normal(IMAGES, 16, seed=3), torch.eye(2)
    accuracy = {"train_r": 99.0, "train_f": 3.0, "test": 98.0, "test_r": None, "test_f": None, "asr": 40.0}
    tow = gaps_to_retrained({"retrained": accuracy, "own": accuracy})["own"]["tow"]
    halves = torch.tensor([5.0, -5.0]).repeat(IMAGES // 2)
    one, others = _normal(COPIES, IMAGES, seed=4), _normal(COPIES, IMAGES, seed=5)
    moved = _normal(COPIES, IMAGES, seed=6, shift=20.0)
    return [
        ("ToW", tow, "a copy of the retrained model", "1"),
        ("KS, D", ks_distance(same, same), "equal confidence", "0"),
        ("KS, D", ks_distance(same, same + 50), "confidence that shares no value", "1"),
        ("φ by image", distance_by_image(same + halves, same), "half of the images 5 up, half 5 down", "5"),
        ("shift of φ", verdict(same + halves, same).shift, "the same", "0"),
        ("W1 of φ", wasserstein(same + 2, same), "all images 2 up", "2"),
        ("CKA", debiased_cka(e, 3 * e @ turn), "a representation turned and scaled", "1"),
        ("CKA", debiased_cka(_normal(300, 256, seed=7), _normal(300, 256, seed=8)), "unrelated ones, wide", "about 0"),
        ("Jensen-Shannon", jensen_shannon(p, p), "equal outputs", "0"),
        ("Jensen-Shannon", jensen_shannon(p, p.flip(0)), "outputs that share no class", f"ln 2 = {math.log(2):.3f}"),
        ("shift of φ", verdict(same, same).shift, "a copy of the retrained model", "0"),
        ("U-MIA", u_mia(same.abs(), other.abs(), seed=0).accuracy, "losses of one kind", "about 50"),
        ("U-MIA", u_mia(torch.zeros(IMAGES), other.abs() + 1, seed=0).accuracy, "an over-fitted model", "100"),
        ("RMIA AUC", _rmia(0.0), "a model that saw neither", "about 50"),
        ("RMIA AUC", _rmia(8.0), "an over-fitted model", "near 100"),
        ("forget score", forget_score(one, one), "the same models twice", "1"),
        ("forget score", forget_score(one, moved), f"{COPIES} and {COPIES} models, nothing alike", "0"),
        ("KLoM", klom(one, one).mean, "the same models twice", "0"),
        ("U-LiRA AUC", u_lira(one, others).auc, "models of one kind", "about 50"),
        ("U-LiRA AUC", u_lira(moved, one).auc, "models that share nothing", "100"),
    ]


def _rmia(gain: float) -> float:
    """AUC where the audited model is surer of forgotten images by ``gain`` nats than two others that did not see them."""
    phi = [_normal(IMAGES, seed=seed) for seed in range(10, 16)]
    forget, test = (phi[0] + gain).sigmoid(), phi[1].sigmoid()
    return rmia(forget, torch.stack(phi[2:4]).sigmoid(), test, torch.stack(phi[4:6]).sigmoid()).auc


ROUGH = {"about 50": (50.0, 1.5), "near 100": (98.0, 2.1), "about 0": (0.0, 0.03)}  # answers that chance moves, and how far
EXACT = 1e-3


def _within(value: float, answer: str) -> bool:
    """Whether a value is the known answer, as far as chance allows."""
    goal, room = ROUGH.get(answer) or (float(answer.split("=")[-1]), EXACT)
    return abs(value - goal) <= room


def closed_forms() -> pd.DataFrame:
    """Every measure on its known cases: a row for each, with what it says and what it should say."""
    rows = [(name, what, f"{abs(value):.3f}", answer, _within(value, answer)) for name, value, what, answer in _cases()]
    return pd.DataFrame(rows, columns=["measure", "of", "says", "should say", "right"]).set_index("measure").rename_axis(None)


def count_right(table: pd.DataFrame) -> str:
    """How many of the known answers are given."""
    return f"{table['right'].sum()} of {len(table)} known answers are given."
