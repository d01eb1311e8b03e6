"""The representation maps, drawn from their records, with one number per model that the picture can be held to."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from ...experiments.record import MAPS
from ...settings.names import MODEL_NAMES
from ...support import records
from ...support.paths import results_folder
from ...support.sealing import SealError
from ..base import reading, style
from ..base.captions import caveats
from ..base.exhibit import Exhibit

NEIGHBOURS = 10
CHANCE = "images placed at random"
COLUMN = f"forgotten among the {NEIGHBOURS} nearest of a forgotten image (%)"
UNSURE = 5  # points to either side of one half within which a place is nobody's


def everything(folder: Path | None = None) -> reading.Found:
    """All records of maps, and the files that are none, with the reasons."""
    return reading.read_all(folder or results_folder() / "maps", _checked)


def _checked(path: Path) -> dict:
    """A record whose points, classes and marks fit together."""
    record = MAPS.read(path)

    def check() -> None:
        try:
            maps, classes, forgotten = arrays(record)
        except ValueError as error:
            raise SealError(f"its maps are no points in the plane ({error})") from error
        if not maps or any(len(points) != len(classes) or not np.isfinite(points).all() for points in maps.values()):
            raise SealError("its maps are no points in the plane, one for each image")
        if len(forgotten) != len(classes) or record["place"]["dataset"].__class__ is not str:
            raise SealError("its marks of forgotten images are not as many as its images")

    return records.checked(path, check, record)


def arrays(record: dict) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Coordinates [n, 2] by model, true classes [n] and forgotten [n] of a record."""
    points = record["maps"]
    maps = {name: np.asarray(points[name], dtype=float).reshape(-1, 2) for name in MODEL_NAMES if name in points}
    return maps, np.asarray(record["classes"]), np.asarray(record["forgotten"], dtype=bool)


def apart(points: np.ndarray, forgotten: np.ndarray) -> float:
    """Percent of forgotten images among the nearest neighbours in the map of a forgotten image: 100 of a cluster of their own.

    Args:
        points: float [n, 2].
        forgotten: bool [n].
    """
    near = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(points).kneighbors(points[forgotten], return_distance=False)
    return float(100 * forgotten[near[:, 1:]].mean())  # the first is the image itself


def moved(maps: dict[str, np.ndarray], rows: np.ndarray, model: str = "laf") -> float:
    """Percent of the nearest neighbours of a model's images that are the retrained model's, among those and the original's.

    All panels share one projection: 0 of a model whose images lie where the original has them, 100 where the retrained one has.

    Args:
        maps: float [n, 2] by model.
        rows: bool [n], the images that are looked at, in all three.
    """
    both = np.concatenate([maps["original"][rows], maps["retrained"][rows]])
    near = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(both))).fit(both).kneighbors(maps[model][rows], return_distance=False)
    return float(100 * (near >= rows.sum()).mean())


def table(record: dict) -> pd.DataFrame:
    """How much forgotten images lie among themselves, by model."""
    maps, _, forgotten = arrays(record)
    rows = {MODEL_NAMES[name]: f"{apart(points, forgotten):.1f}" for name, points in maps.items()}
    rows[CHANCE] = f"{100 * (forgotten.sum() - 1) / (len(forgotten) - 1):.1f}"
    return pd.DataFrame({COLUMN: rows})


def _whose(share: float) -> str:
    """By the share of neighbours that are the retrained model's: in whose place images lie."""
    if abs(share - 50) <= UNSURE:
        return "as much where the original has them as where the retrained model has them"
    return f"mostly where the {'retrained model' if share > 50 else 'original'} has them"


def finding(record: dict) -> str:
    """In whose place LAF's forgotten images lie, with the share of their neighbours that are the retrained model's."""
    maps, _, forgotten = arrays(record)
    share = moved(maps, forgotten)
    return (
        f"LAF puts the forgotten images **{_whose(share)}**: {share:.0f} % of their neighbours there are the retrained model's, "
        f"the rest the original's (kept images: {moved(maps, ~forgotten):.0f} %)."
    )


def summary(found: list[dict]) -> str:
    """How many maps have LAF's forgotten images in the original's place; one seed each is no claim."""
    if not found:
        return "No record of a map yet."
    shares = {record["headline"].split(";")[0]: moved((parts := arrays(record))[0], parts[2]) for record in found}
    back, there = ([name for name, share in shares.items() if sign * (share - 50) > UNSURE] for sign in (-1, 1))
    ends = f"; where the retrained model has them in {len(there)} ({'; '.join(there)})" if there else ""
    return (
        f"**LAF leaves the forgotten images where the original has them in {len(back)} of {len(shares)} maps**{ends}. Each map "
        "is one seed: a description, no claim."
    )


def exhibit(record: dict) -> Exhibit:
    """The map of one record."""
    place, (maps, classes, forgotten) = record["place"], arrays(record)
    count = f"{int((~forgotten).sum())} kept images, coloured by class, and {int(forgotten.sum())} forgotten ones in black"
    same = [f"{MODEL_NAMES[a]} has the representations of {MODEL_NAMES[b]}." for a, b in record["same"].items()]
    about = " ".join([f"{record['headline']}. {count}; one t-SNE for all models.", *same, *caveats(record)])
    title = f"Representations: {record['headline'].split(';')[0]}"
    alt = f"{len(maps)} panels, one for each model: {count}. How much the forgotten ones lie among themselves is in the table."
    name = f"map-{place['task']}-{place['dataset']}-{place['profile']}-seed{place['seed']}"
    said = (finding(record),) if "laf" in maps else ()
    return Exhibit(
        name, title, about, table(record), said, lambda: style.representation_maps(maps, classes, forgotten), alt
    )
