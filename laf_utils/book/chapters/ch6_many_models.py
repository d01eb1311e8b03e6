"""What the records of many models say: tables, sentences and a picture of the likelihood-ratio attack on one image."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...audit.many_models import SIGMA_FLOOR
from ...experiments.record import SHADOWS
from ...experiments.shadows import DEFINITION
from ...support.paths import results_folder
from ..base import style
from ..base.captions import caption, caveats
from ..base.words import method_name
from . import ch6_tables
from .ch6_tables import TITLES, heading

ROWS = {"original": TITLES["original"], "null": "Retrained, other seeds", "laf": TITLES["laf"], "laf_r": TITLES["laf_r"]}
COLOURS = style.COLOURS | {"null": "#555555"}
ATTACK = "u_lira_by_pair"
UNKEYED = "From before records had keys: nothing checks whether the code that made it is still the present one."
EARLIER = caption("many models, earlier")
COLUMNS = {
    "U-LiRA AUC": ((ATTACK, "auc"), 1), "of the most exposed": (("u_lira_of_exposed", "auc"), 1),
    "forget score": (("neurips_forget_score",), 3),
    "without utility": (("neurips_forgetting_alone",), 3),
    "KLoM on D_f (nats)": (("klom", "forget", "mean"), 1), "KLoM on D_r (nats)": (("klom", "retain", "mean"), 1),
    "KLoM on test (nats)": (("klom", "test", "mean"), 1),
}


def found(dataset: str, task: str, folder: Path | None = None) -> dict | None:
    """The committed record with the most models of a data set and task; ``None`` where there is none.

    Raises:
        RecordError: a file that is no record.
    """
    paths = ((folder or results_folder() / "shadows") / dataset).glob(f"{task}-models*.json")
    models = {int(name[1]): path for path in paths if (name := re.fullmatch(rf"{task}-models(\d+)", path.stem))}  # all images
    return SHADOWS.read(models[max(models)]) if models else None


def _at(tree: Any, names: tuple[str, ...]) -> float:
    for name in names:
        tree = tree[name]
    return tree


def rests_on(record: dict) -> str:
    """What a record's tables rest on."""
    settings = record["settings"]
    said = (
        f"{record['place']['models']} models of each kind, {settings['train_images']:,} training images, "
        f"{settings['forget']:,} of them to forget."
    )
    return " ".join([said, *caveats(record), *([] if current(record) else [EARLIER]), *([] if "key" in record else [UNKEYED])])


def current(record: dict) -> bool:
    """Whether the record's measures have their present definitions; older ones are not printed under the same names."""
    return record.get("definition", 1) >= DEFINITION


def table(record: dict) -> pd.DataFrame:
    """Every measure over many models with one jackknife standard error, by kind of model.

    Those of earlier definitions are left out.
    """
    rows, columns = {}, {name: own for name, own in COLUMNS.items() if own[0][0] in record["error"]["null"]}
    others = {kind: method_name(kind.partition("-")[0]) + (", tuned" if "-" in kind else "")
              for kind in record["measures"] if kind not in ROWS}
    for kind, title in (ROWS | others).items():
        measures, error = record["measures"][kind], record["error"][kind]
        rows[title] = {
            name: f"{_at(measures, where):.{digits}f} (SE {_at(error, where):.{digits}f})".replace(" ", "\u00a0")
            for name, (where, digits) in columns.items()
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def told_apart(record: dict, kind: str) -> bool:
    """Whether the likelihood-ratio attack tells a kind from retrained models: AUC less the null's, against twice the error."""
    own, null = record["measures"][kind][ATTACK]["auc"], record["measures"]["null"][ATTACK]["auc"]
    spread = np.hypot(record["error"][kind][ATTACK]["auc"], record["error"]["null"][ATTACK]["auc"])
    return bool(own - null > 2 * spread)


def sentence(record: dict, kind: str) -> str:
    """What the likelihood-ratio attack says of a kind, with its numbers; of an older record, that it says nothing."""
    if not current(record):
        return f"{heading(record['place']['dataset'], record['place']['task'])}: {EARLIER}"
    own, null = (record["measures"][name][ATTACK]["auc"] for name in (kind, "null"))
    said = "**told from retrained models**" if told_apart(record, kind) else "not told from retrained models"
    original = record["measures"]["original"][ATTACK]["auc"]
    nothing = f"of the untouched original {original:.1f}"
    if not told_apart(record, "original"):
        nothing += ", which is not told from them either: **no power**"
    return (
        f"{heading(record['place']['dataset'], record['place']['task'])}: {ROWS[kind]} is {said}. The AUC of U-LiRA is "
        f"{own:.1f}, {nothing}; between two groups of {record['place']['models']} retrained models it is {null:.1f}. 50 is blind."
    )


def many_models_finding(groups: list[dict], kinds: tuple[str, ...] = ("laf", "laf_r")) -> str:
    """What U-LiRA says of each kind at each place, as a Markdown list; one line where no record has the present definition."""
    usable = [group for group in groups if current(group)]
    if not usable:
        return f"**No verdict of U-LiRA yet.** {EARLIER}"
    return "\n".join(f"- {sentence(group, kind)}" for kind in kinds for group in usable)


def verdict_sentence(records: list[dict], model: str, folder: Path | None = None) -> str:
    """The verdict over seeds in words, with what the likelihood-ratio attack over many models says to it."""
    record = found(records[0]["place"]["dataset"], records[0]["place"]["task"], folder) if records else None
    own = ch6_tables.judged(records, model)
    if record is None or own is None or model not in ROWS or not current(record):
        return ch6_tables.sentence(records, model)
    apart, differs = told_apart(record, model), own.outcome == ch6_tables.DIFFERENT
    auc, null = (record["measures"][kind][ATTACK]["auc"] for kind in (model, "null"))
    ends = {(True, False): "disagrees and tells it apart", (False, True): "disagrees and does not tell it apart"}
    said = f"U-LiRA {ends.get((apart, differs), 'agrees')}: over {record['place']['models']} models of each kind its AUC is "
    return ch6_tables.sentence(records, model, f"{said}{auc:.1f}, between retrained ones {null:.1f}")


def _bell(axis: Axes, phi: list[float], place: int, colour: str) -> None:
    """The models as dots and the Gaussian that the attacker fits to them, one row high."""
    mean, std = float(np.mean(phi)), max(float(np.std(phi, ddof=1)), SIGMA_FLOOR)
    x = np.linspace(mean - 3 * std, mean + 3 * std, 120)
    axis.fill_between(x, place, place - 0.75 * np.exp(-(((x - mean) / std) ** 2) / 2), color=colour, alpha=0.25, linewidth=0)
    axis.plot(phi, [place] * len(phi), "o", color=colour, markersize=4, alpha=0.8)


@style.styled
def one_image(record: dict) -> Figure:
    """phi of one forgotten image in every model of a record, kind by kind, with the Gaussian fitted to each kind."""
    phi = record["example"]["phi"]
    titles = {kind: ROWS[kind] for kind in ("original", "laf", "laf_r", "null")} | {"retrained": "Retrained"}
    figure, axis = style.plt.subplots(1, 1, figsize=(style.NARROW, 0.8 + 0.6 * len(titles)))
    for place, kind in enumerate(titles):
        _bell(axis, phi[kind], place, COLOURS[kind])
    axis.set_yticks(range(len(titles)), list(titles.values()))
    axis.set(ylim=(len(titles) - 0.7, -0.9), xlabel="φ of one forgotten image (nats)")
    return figure
