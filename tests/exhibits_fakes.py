"""Records as the exhibits read them, without a run behind them."""

import torch

from laf_utils.book.base import reading
from laf_utils.experiments.cells import COMPARISON
from laf_utils.experiments.record import MAPS
from laf_utils.methods import METHODS

CPU = {"device": "cpu", "name": "x86_64", "threads": 1}
LEVELS = {"laf_r": "few", "retrain_few": "few", "scrub_few": "few", "neggrad_plus_few": "few"}


def fake(method, seed=0, gap=1.0, *, dataset="mnist", task="class", failure=None, machine=CPU, clock=10.0, **cell):
    """What the exhibits read of a record of the comparison."""
    level = LEVELS.get(method) or (METHODS[method].label_access.name.lower() if method in METHODS else "all")
    share = 1.0 if level == "few" and not failure else None
    own = {"train_r": 98.0 + seed, "train_f": gap, "test": 90.0, "test_r": 98.0, "test_f": 0.0, "asr": 30.0 + seed}
    own |= {"train_f_true": 97.0} if task == "noisy" else {}
    settings = {"unlearning": {"epochs": 20}} if method in ("laf", "laf_r") else {"epochs": 5}
    place = {"dataset": dataset, "task": task, "method": method, "seed": seed, "profile": "paper", "choice": "defaults"}
    on_the_wall = failure or method in ("original", "laf")
    return dict.fromkeys(COMPARISON.parts, None) | {
        "schema": 1, "key": "k", "failure": failure, "headline": f"MNIST, {task} removal; mode reference", "caveats": [],
        "cell": place | cell, "method": {"title": None}, "settings": settings,
        "label_access": {"level": level, "share_of_retain": share},
        "metrics": None if failure else own, "attack": None if failure else {"chance": 54.25},
        "gap": None if failure else {"mean": gap, "tow": 0.9}, "test_without_held_out": method == "scrub_r",
        "seconds": None if failure else 3 * clock, "processor_seconds": None if on_the_wall else clock,
        "scored_against": {"original": "o", "retrained": f"r{seed}"},
        "machine": machine, "versions": {"torch": "2.14.1+cpu"}, "task": {"forget": 100 + seed, "retain": 900 - seed},
    }


def seeds(method, *gaps, **cell):
    return [fake(method, seed, gap, **cell) for seed, gap in enumerate(gaps)]


def found(*records):
    return reading.Found(dict(enumerate(records)))


def rows_of(*records):
    cell = records[0]["cell"]
    return reading.groups(found(*records), cell["dataset"], cell["task"], "paper")


REFERENCES = [fake("original", gap=30.0), fake("retrain", gap=0.0), fake("retrain_again", gap=0.1)]


def labelled():
    few = [
        fake(method, seed, base / share + 0.01 * seed, variant=f"labels_{share}")
        for method, base in (("laf_r", 2.0), ("retrain_few", 20.0), ("scrub_few", 60.0)) for share in (1, 10) for seed in (0, 1)
    ]
    pseudo = [fake("neggrad_plus_pseudo", seed, 0.01) for seed in (0, 1)]
    return [*few, *pseudo, *seeds("laf_r", 0.4, 0.5), *seeds("scrub", 5.0, 6.0), *seeds("laf", 0.9, 1.1), *REFERENCES]


def ablated():
    parts = {"without_ue": (30.0, 31.0, 29.5), "without_ra": (0.9, 1.2, 0.95), "ra_retain_only": (0.5, 0.62, 0.4)}
    rest = [record for variant, gaps in parts.items() for record in seeds("laf", *gaps, variant=variant)]
    failed = fake("laf", failure="no number", variant="ra_forget_only")
    others = [fake("laf", variant="labels_5"), fake("laf", variant="joint")]
    return [*REFERENCES, *seeds("laf", 1.0, 1.1, 0.9), *rest, failed, *others]


def drawn_map():
    draw = torch.Generator().manual_seed(0)
    kept, cluster = torch.randn(100, 2, generator=draw), 50 + torch.randn(100, 2, generator=draw)
    mixed = torch.randn(200, 2, generator=draw)
    points = {"retrained": mixed, "laf": torch.cat([kept, cluster]), "original": torch.cat([kept, cluster])}
    return dict.fromkeys(MAPS.parts, {}) | {
        "schema": 1, "place": {"dataset": "mnist", "task": "class", "seed": 0, "profile": "quick"}, "caveats": ["Profile quick."],
        "headline": "MNIST, class removal; mode reference", "maps": {name: p.ravel().tolist() for name, p in points.items()},
        "same": {"laf_r": "laf"}, "classes": [0] * 200, "forgotten": [0] * 100 + [1] * 100,
    }
