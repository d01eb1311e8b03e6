"""What the records of many models say: tables, sentences and a picture of the likelihood-ratio attack on one image."""

import re
from functools import reduce
from operator import getitem
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ...audit.many_models import SIGMA_FLOOR
from ...experiments.record import SHADOWS
from ...experiments.variants import VARIANTS
from ...support.paths import results_folder
from ..base import style
from ..base.captions import caveats
from ..base.tables import MISSING, markdown
from ..base.words import method_name
from . import ch6_tables
from .ch6_tables import TITLES, heading

ROWS = {"original": TITLES["original"], "null": "Retrained, other seeds", "laf": TITLES["laf"], "laf_r": TITLES["laf_r"]}
COLOURS = style.COLOURS | {"null": "#555555"}
ATTACK = "u_lira_by_pair"
COLUMNS = {
    "U-LiRA AUC": ((ATTACK, "auc"), 1), "of the most exposed": (("u_lira_of_exposed", "auc"), 1),
    "forget score": (("neurips_forget_score",), 3), "without utility": (("neurips_forgetting_alone",), 3),
    "KLoM on D_f (nats)": (("klom", "forget", "mean"), 1), "KLoM on D_r (nats)": (("klom", "retain", "mean"), 1),
    "KLoM on test (nats)": (("klom", "test", "mean"), 1),
}

SCORES = tuple(COLUMNS)[:4]  # a table of these, and one of the histograms' distances: seven columns are wider than a page
HISTOGRAMS = tuple(COLUMNS)[4:]
NEAR = 5.0  # points of AUC beside that of two groups of retrained models


def found(dataset: str, task: str, folder: Path | None = None) -> dict | None:
    """The committed record with the most models of a data set and task; ``None`` where there is none.

    Raises:
        RecordError: a file that is no record.
    """
    paths = ((folder or results_folder() / "shadows") / dataset).glob(f"{task}-models*.json")
    models = {int(name[1]): path for path in paths if (name := re.fullmatch(rf"{task}-models(\d+)", path.stem))}  # all images
    return SHADOWS.read(models[max(models)]) if models else None


def rests_on(record: dict) -> str:
    """What a record's tables rest on."""
    images, forget, models = record["settings"]["train_images"], record["settings"]["forget"], record["place"]["models"]
    said = f"{models} models of each kind, {images:,} training images, {forget:,} of them to forget."
    return " ".join([said, *caveats(record)])


def title_of(kind: str) -> str:
    """The row of a kind of model; methods beside LAF by the names of the table."""
    method, _, choice = kind.partition("-")
    variant = choice if choice in VARIANTS else ""
    return ROWS.get(kind) or method_name(method, variant) + (", tuned" if choice and not variant else "")


def table(record: dict) -> pd.DataFrame:
    """Every measure over many models with one jackknife standard error, by kind of model."""
    titles = {kind: title_of(kind) for kind in (*ROWS, *(kind for kind in record["measures"] if kind not in ROWS))}

    def cell(kind: str, where: tuple[str, ...], digits: int) -> str:
        value, error = (reduce(getitem, where, record[part][kind]) for part in ("measures", "error"))
        return f"{value:.{digits}f} (SE {error:.{digits}f})".replace(" ", "\u00a0")

    return pd.DataFrame({
        name: {title: cell(kind, where, digits) for kind, title in titles.items()}
        for name, (where, digits) in COLUMNS.items()
    })


def told_apart(record: dict, kind: str) -> bool:
    """Whether the likelihood-ratio attack tells a kind from retrained models: AUC less the null's, against twice the error."""
    own, null = record["measures"][kind][ATTACK]["auc"], record["measures"]["null"][ATTACK]["auc"]
    spread = np.hypot(record["error"][kind][ATTACK]["auc"], record["error"]["null"][ATTACK]["auc"])
    return bool(own - null > 2 * spread)


def many_models_finding(groups: list[dict], kinds: tuple[str, ...] = ("laf", "laf_r", "relearn", "relearn-as_sure")) -> str:
    """What U-LiRA says, in a sentence and a table by request; empty without a record."""
    if not groups:
        return ""
    near = [
        f"{title_of(kind)} in {sum(_near(group, kind) for group in own)} of {len(own)}"
        for kind in kinds if (own := [group for group in groups if kind in group["measures"]])
    ]
    first = f"**U-LiRA within {NEAR:g} points of two groups of retrained models:** {'; '.join(near)} requests."
    last = (
        "AUC of U-LiRA in percent, *retrained* between two groups of them; **bold**: told from retrained models, at two standard "
        "errors; 50 is blind."
    )
    power = "" if all(told_apart(group, "original") for group in groups) else " Where the untouched original is not: *no power*."
    return "\n\n".join([first, markdown(_attacked(groups, kinds), "request"), last + power])


def _attacked(groups: list[dict], kinds: tuple[str, ...]) -> pd.DataFrame:
    """The AUC of U-LiRA by request and kind, told ones in bold; first what it is between two groups of retrained models."""
    def cell(group: dict, kind: str) -> str:
        if kind not in group["measures"]:
            return MISSING
        said = f"{group['measures'][kind][ATTACK]['auc']:.1f}"
        return f"**{said}**" if kind != "null" and told_apart(group, kind) else said

    rows = {heading(group["place"]["dataset"], group["place"]["task"]):
            {"retrained": cell(group, "null")} | {title_of(kind): cell(group, kind) for kind in ("original", *kinds)}
            for group in groups}
    return pd.DataFrame.from_dict(rows, orient="index")


def _near(record: dict, kind: str) -> bool:
    own, null = (record["measures"][name][ATTACK]["auc"] for name in (kind, "null"))
    return bool(own - null <= NEAR)


def verdict_sentence(records: list[dict], model: str, folder: Path | None = None) -> str:
    """The verdict over seeds in words, with what the likelihood-ratio attack over many models says to it."""
    record = found(records[0]["place"]["dataset"], records[0]["place"]["task"], folder) if records else None
    own = ch6_tables.judged(records, model)
    if record is None or own is None or model not in record["measures"]:
        return ch6_tables.sentence(records, model)
    apart, differs = told_apart(record, model), own.outcome == ch6_tables.DIFFERENT
    auc, null = (record["measures"][kind][ATTACK]["auc"] for kind in (model, "null"))
    ends = {(True, False): "disagrees and tells it apart", (False, True): "disagrees and does not tell it apart"}
    said = f"U-LiRA {ends.get((apart, differs), 'agrees')}: over {record['place']['models']} models of each kind its AUC is "
    return ch6_tables.sentence(records, model, f"{said}{auc:.1f}, between retrained ones {null:.1f}")


@style.styled
def one_image(record: dict) -> Figure:
    """phi of one forgotten image in every model of a record, kind by kind, with the Gaussian that the attacker fits to each."""
    titles = {kind: ROWS[kind] for kind in ("original", "laf", "laf_r", "null")} | {"retrained": "Retrained"}
    figure, axis = style.plt.subplots(1, 1, figsize=(style.NARROW, 0.8 + 0.6 * len(titles)))
    for place, kind in enumerate(titles):
        phi, colour = record["example"]["phi"][kind], COLOURS[kind]
        mean, std = float(np.mean(phi)), max(float(np.std(phi, ddof=1)), SIGMA_FLOOR)
        x = np.linspace(mean - 3 * std, mean + 3 * std, 120)
        axis.fill_between(x, place, place - 0.75 * np.exp(-(((x - mean) / std) ** 2) / 2), color=colour, alpha=0.25, linewidth=0)
        axis.plot(phi, [place] * len(phi), "o", color=colour, markersize=4, alpha=0.8)
    axis.set_yticks(range(len(titles)), list(titles.values()))
    axis.set(ylim=(len(titles) - 0.7, -0.9), xlabel="φ of one forgotten image (nats)")
    return figure
