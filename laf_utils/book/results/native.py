"""Profile ``native``: what it takes on a processor and on a GPU, and how LAF's settings were carried over to it."""

import json
import math
from itertools import product

import pandas as pd

from ...datasets.catalogue import FACTS
from ...experiments.cells import ORIGINAL, RETRAIN, Cell, read
from ...experiments.follow import PRICES
from ...settings.config import RunConfig
from ...settings.names import DATASET_NAMES, TASK_NAMES
from ...settings.presets import preset
from ..base import captions, reading
from ..base.tables import MISSING
from ..base.training_records import authors
from ..base.words import spread_text

TEST, MINUS = reading.metric("test"), "\u2212"
TASKS = {"class": 1 / 10, "data": 0.2, "noisy": 0.3}  # forgotten images as a share of all, on ten equal classes


def prices() -> dict:
    """What ``benchmarks/native.py`` measured, by device; empty where it was not run."""
    return json.loads(PRICES.read_text(encoding="utf-8"))["devices"] if PRICES.is_file() else {}


def costs() -> pd.DataFrame:
    """Minutes of an original of 50,000 images by network, and milliseconds of a pass."""
    rows = {}
    titles = {"native": "small residual network (`native`)", "paper": "ResNet-18 at 224 × 224 (`paper`)"}
    for name, own in prices().get("cpu", {"networks": {}})["networks"].items():
        rows[titles.get(name, name)] = {
            "weights (millions)": f"{own['parameters'] / 1e6:.1f}", "training pass (ms)": f"{1e3 * own['training']:.1f}",
            "pass of LAF (ms)": f"{1e3 * own['unlearning']:.1f}", "original (hours)": f"{own['original_minutes'] / 60:.1f}",
            "steps measured": str(own["steps"]),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def on_a_gpu() -> str:
    """Seconds of an original alone on the card that was measured, from its steps."""
    own, config = prices()["cuda"], preset("cifar10", "class", profile="native").training
    images = config.batch_size
    counted = config.epochs * -(-FACTS["cifar10"].counts[0] // images)
    prices_of = own["networks"]["native"]
    step = images * prices_of["training"]
    exact = f" ({1e3 * images * prices_of['training_float32']:.1f} ms in float32)" if "training_float32" in prices_of else ""
    return (
        f"**On a GPU an original takes {counted * step:.0f} seconds.** A step of {images} images takes {1e3 * step:.1f} ms alone "
        f"on an {own['device']['name']}{exact}, and there are {counted:,}."
    )


def slope(error: float) -> float:
    """Derivative of ``losses.saturating`` at a reconstruction error m: exp(m / (m + 1)) / (m + 1)^2."""
    return math.exp(error / (error + 1)) / (error + 1) ** 2


def steps(config: RunConfig, images: int) -> tuple[int, int, int]:
    """(forgotten images, steps of either loss, steps of h_f's VAE) on so many images."""
    forget = round(TASKS[config.task] * images)
    own, vae = config.unlearning, config.vae
    return forget, own.epochs * -(-forget // own.batch_size), vae.epochs * -(-forget // vae.batch_size)


def carried() -> pd.DataFrame:
    """CIFAR-10, class removal: steps in each profile, and what the authors' notebook and our records say of h_f and of L_UE."""
    notebook, known = authors()["published_notebook"], FACTS["cifar10"].counts[0]
    theirs = [value for _, value in sorted((int(epoch), value) for epoch, value in notebook["loss_ue_by_epoch"].items())]
    paper = preset("cifar10", "class", profile="paper")
    rows = {"authors' notebook": _row(paper, known, notebook["vae_loss_epoch_0_and_9"]["h_f"][1], theirs)}
    for profile in ("native", "small"):
        config, path = preset("cifar10", "class", profile=profile), Cell("cifar10", "class", "laf", 0, profile).path
        own = read(path)["history"] if path.is_file() else {}
        rows[f"profile `{profile}`"] = _row(
            config, config.images or known, own["vae_h_f"][-1] if own else None, own.get("loss_ue", [])
        )
    return pd.DataFrame.from_dict(rows, orient="index")


def fall() -> str:
    """How far L_UE falls in each profile on record and in the authors' notebook, CIFAR-10, class removal; one seed of ours."""
    ends = {str(name): str(row.iloc[-1]).split(" → ") for name, row in carried().iterrows()}
    said = [f"{values[1].replace('-', MINUS)} in {_where(name)}" for name, values in ends.items() if len(values) > 1]
    return f"**$L_{{UE}}$ falls to {', to '.join(said)}** (CIFAR-10, class removal, one run each)." if said else ""


def _where(name: str) -> str:
    return f"the {name}" if name.startswith("authors") else name


def _row(config: RunConfig, images: int, error: float | None, ue: list[float]) -> dict[str, str]:
    forget, taken, of_vae = steps(config, images)
    return {
        "forgotten": f"{forget:,}", "steps of each loss": f"{taken:,}", "steps of h_f": f"{of_vae:,}",
        "error of h_f": MISSING if error is None else f"{error:.0f}",
        "slope of s there": MISSING if error is None else f"{slope(error):.1e}",
        "L_UE first → lowest → last": " → ".join(f"{value:.1f}" for value in (ue[0], min(ue), ue[-1])) if ue else MISSING,
    }


def originals() -> pd.DataFrame:
    """What the originals of the profile reach, by data set and request: test accuracy over the seeds, and its lowest."""
    found, rows = reading.everything(), {}
    for dataset, task in product(("cifar10", "svhn"), ("class", "data", "noisy")):
        kept = reading.groups(found, dataset, task, "native")
        if (own := reading.pick(kept, ORIGINAL)) is None or not (reached := own.values(TEST)):
            continue
        goal = reading.pick(kept, RETRAIN)
        record = next(iter(own.records.values()))
        rows[f"{DATASET_NAMES[dataset]}, {TASK_NAMES[task]}"] = {
            "original (%)": spread_text(reading.over(own, TEST)), "lowest (%)": f"{min(reached.values()):.1f}",
            "retrained (%)": spread_text(reading.over(goal, TEST)), "seeds": str(len(reached)),
            "training images": f"{record['task']['forget'] + record['task']['retain']:,}", "made on": captions.machine_of(record),
        }
    return pd.DataFrame.from_dict(rows, orient="index")
