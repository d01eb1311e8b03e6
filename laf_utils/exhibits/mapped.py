"""The representation maps, drawn from their records, with one number per model that the picture can be held to."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from .. import figures
from ..paths import results_folder
from ..records import RecordError
from ..wording import MODEL_NAMES
from .exhibit import Exhibit
from .maps import read

NEIGHBOURS = 10
COLUMN = f"forgotten among the {NEIGHBOURS} nearest of a forgotten image (%)"


def found(folder: Path | None = None) -> dict[Path, dict]:
    """All records of maps by their path; a file that is no record is left out."""
    records = {}
    for path in sorted((folder or results_folder() / "maps").rglob("*.json")):
        try:
            records[path] = read(path)
        except RecordError:
            continue
    return records


def arrays(record: dict) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Coordinates [n, 2] by model, true classes [n] and forgotten [n] of a record."""
    maps = {name: np.asarray(points, dtype=float).reshape(-1, 2) for name, points in record["maps"].items()}
    return maps, np.asarray(record["classes"]), np.asarray(record["forgotten"], dtype=bool)


def apart(points: np.ndarray, forgotten: np.ndarray) -> float:
    """Percent of forgotten images among the nearest neighbours in the map of a forgotten image: 100 of a cluster of their own.

    Args:
        points: float [n, 2].
        forgotten: bool [n].
    """
    near = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(points).kneighbors(points[forgotten], return_distance=False)
    return float(100 * forgotten[near[:, 1:]].mean())  # the first is the image itself


def table(record: dict) -> pd.DataFrame:
    """How much forgotten images lie among themselves, by model."""
    maps, _, forgotten = arrays(record)
    return pd.DataFrame.from_dict(
        {MODEL_NAMES[name]: {COLUMN: f"{apart(points, forgotten):.1f}"} for name, points in maps.items()}, orient="index"
    )


def reading(record: dict) -> str:
    """That number of every model, beside what it would be at random."""
    maps, _, forgotten = arrays(record)
    own = {name: apart(points, forgotten) for name, points in maps.items()}
    chance = 100 * (forgotten.sum() - 1) / (len(forgotten) - 1)
    each = ", ".join(f"{value:.1f} % in {MODEL_NAMES[name]}" for name, value in own.items())
    return (
        f"Of the {NEIGHBOURS} nearest neighbours of a forgotten image these are forgotten ones: {each}; {chance:.1f} % where "
        "images lie at random (one seed)."
    )


def exhibit(record: dict) -> Exhibit:
    """The map of one record."""
    place, (maps, classes, forgotten) = record["place"], arrays(record)
    count = f"{int((~forgotten).sum())} kept images, coloured by class, and {int(forgotten.sum())} forgotten ones in black"
    how = "every model's representations turned onto the original's by the rotation that fits best on the kept images"
    about = " ".join([f"{record['headline']}. {count}; {how}, then one t-SNE for all models.", *record["caveats"]])
    title = f"Representations: {record['headline'].split(';')[0]}"
    alt = f"{len(maps)} panels, one for each model: {count}. How much the forgotten ones lie among themselves is in the table."
    name = f"map-{place['task']}-{place['dataset']}-{place['profile']}-seed{place['seed']}"
    return Exhibit(
        name, title, about, table(record), (reading(record),), lambda: figures.representation_maps(maps, classes, forgotten), alt
    )
