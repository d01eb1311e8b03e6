"""The record of a representation map: the same 600 images in each model, in the plane.

A PCA or t-SNE of each model alone would give pictures that cannot be compared: the axes of a retrained network are its own, and
t-SNE turns and folds as it likes. So every model's representations are first turned onto the original's by the rotation that fits
best on the *kept* images (orthogonal Procrustes), and then all models share one t-SNE: a place of one panel means what it means
in the next. What was forgotten takes no part in the rotation, so that its moving away is seen and not undone. LAF+R trains the
classifier alone: where its representations are LAF's to the bit, the record says so in place of a second copy of the same points.
"""

import time
from dataclasses import asdict

import numpy as np
import torch

from ..audit.projection import shared_projection
from ..representations import outputs
from ..run import TRAINED, Run
from ..settings.names import caveats, headline
from ..support.definitions import code_version
from ..support.devices import describe
from ..support.keys import content_key
from ..support.seeds import stream
from . import training_run
from .record import Place

EACH = 300  # images of D_r, and as many of D_f, where there are as many
DIGITS = 3  # significant ones of a coordinate


def inputs_of(run: Run) -> dict[str, str]:
    """Everything the coordinates depend on, 16 hex digits for each part."""
    config = run.config.as_dict()
    config["repair"].pop("pairing", None)  # came later, and the repair moves no representation
    measuring = code_version(_MEASURING, TRAINED | {"run.Run.laf", "run.Run.laf_r"})
    return training_run.inputs_of(run) | {"settings": content_key(config), "measuring": measuring}


def sample_of(run: Run) -> torch.Tensor:
    """int64 [n], training rows that are drawn: retained ones, then forgotten ones, ``EACH`` of both where there are as many."""
    draw, parts = stream(run.config.seed, "exhibits", "maps"), []
    for rows in (run.task.retain, run.task.forget):
        parts.append(rows[torch.randperm(len(rows), generator=draw)[:EACH]].sort().values)
    return torch.cat(parts)


def rounded(points: np.ndarray) -> list[float]:
    """Float [n, 2] as ``x, y, x, y, ...`` with three significant digits: short enough to be kept as text."""
    return [float(f"{value:.{DIGITS}g}") for value in points.ravel().tolist()]


def mapped(run: Run) -> dict[str, object]:
    """Coordinates by model, which model has another's (``same``), true classes, and which images were forgotten (1).

    Trains what is not there yet.
    """
    rows = sample_of(run)
    images = run.frozen_images.subset(rows)
    found = {  # the same crops for every model, where training transforms are used for measuring
        name: outputs(model, images, f"{name}: map", stream(run.config.seed, "exhibits", "maps", "crops"))
        for name, model in run.models().items()
    }
    same = {}
    if torch.equal(found["laf_r"].representations, found["laf"].representations):
        same, _ = {"laf_r": "laf"}, found.pop("laf_r")
    forgotten = torch.isin(rows, run.task.forget).numpy()
    maps = shared_projection({name: own.representations.cpu().numpy() for name, own in found.items()}, forgotten, run.config.seed)
    return {
        "maps": {name: rounded(points) for name, points in maps.items()},
        "same": same, "classes": run.task.true_labels[rows].tolist(), "forgotten": forgotten.astype(int).tolist(),
    }


_MEASURING = (mapped,)


def made(run: Run, place: Place) -> dict:
    """The record of a run's map, without its head."""
    start = time.perf_counter()
    return {
        "place": asdict(place), "headline": headline(run.config, run.data), "caveats": caveats(run.config, run.data),
        **mapped(run),
        "task": {"forget": len(run.task.forget), "retain": len(run.task.retain), "checksum": run.task.checksum()},
        "seconds": time.perf_counter() - start, "machine": describe(run.device),
    }
