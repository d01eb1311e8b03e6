"""What the figures of LAF.ipynb show, in words: each sentence is computed from what the figure was drawn from."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...evaluation import Evaluation, evaluate, make_record
from ...run import Run
from ...settings.config import RunConfig
from ...settings.names import LABEL_ACCESS, MEASURE_NAMES, MODEL_NAMES, TASK_NAMES
from ...settings.parameters import NOT_SETTINGS, PARAMETERS, from_notebook
from ..base import tables
from ..base.words import signed
from .shared import variant

SEEN = "**Seen:** "
HALF = 50  # percent of the answers


def kept_test(record: Mapping) -> str:
    """The test accuracy that counts: of kept classes where a class goes, of all otherwise."""
    return "test_r" if record["task"]["name"] == "class" else "test"


def result_table(record: Mapping) -> pd.DataFrame:
    """Gap to the retrained model in points, then accuracies in percent; one row per model, doing nothing first."""
    rows = {}
    for model, own in record["metrics"].items():
        measures = ("train_f", "train_r", kept_test(record))
        rows[MODEL_NAMES[model]] = {
            "gap": tables.MISSING if model == "retrained" else f"{record['gaps'][model]['mean']:.2f}",
            **{MEASURE_NAMES[name]: f"{own[name]:.2f}" for name in measures}, "labels read": LABEL_ACCESS[model],
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def sets_finding(run: Run) -> str:
    """How many images go and stay, and how many classes have images in both sets."""
    labels, parts = run.train_set.labels.numpy(), (run.task.forget.numpy(), run.task.retain.numpy())
    shared = len(np.intersect1d(*(labels[part] for part in parts)))
    return (
        f"{SEEN}{len(parts[0]):,} images to forget, {len(parts[1]):,} to keep; {shared} of {run.data.num_classes} classes have "
        "images in both sets."
    )


def loss_finding(losses: Mapping[str, list[float]]) -> str:
    """Where both losses of LAF begin and end, and which falls farther."""
    ends = {name: (losses[key][0], losses[key][-1]) for name, key in (("L_UE", "loss_ue"), ("L_RA", "loss_ra"))}
    fall = {name: first - last for name, (first, last) in ends.items()}
    said = " and ".join(f"{name} goes from {signed(first, 1)} to {signed(last, 1)}" for name, (first, last) in ends.items())
    least = min(fall, key=fall.__getitem__)
    return f"{SEEN}{said}; {least} {'moves less' if fall[least] > 0 else 'does not fall'}."


def result_finding(record: Mapping) -> str:
    """Whether LAF came nearer to the retrained model than doing nothing, and what the labels of LAF+R added."""
    gap = {model: own["mean"] for model, own in record["gaps"].items()}
    way = "nearer to the retrained model than" if gap["laf"] < gap["original"] else "no nearer to the retrained model than"
    labels = "nearer still" if gap["laf_r"] < gap["laf"] else "no nearer"
    return (
        f"{SEEN}LAF ends {way} doing nothing: gap {gap['laf']:.2f} against {gap['original']:.2f} points. With labels of "
        "kept images "
        f"(LAF+R) it ends {labels}: {gap['laf_r']:.2f}. One run, one seed: chapter 5 has more."
    )


def attack_finding(record: Mapping) -> str:
    """What the attack says of LAF, of the retrained model and of the original, and whether it could have said anything."""
    auc = {model: own["auc"] for model, own in record["attack"].items()}
    power = (
        "By AUC the attack cannot tell the untouched original from the retrained model either: **no power** on this request."
        if abs(auc["original"] - auc["retrained"]) < 5 else
        "By AUC the attack tells the untouched original from the retrained model."
    )
    side = "less" if auc["laf"] < auc["retrained"] else "more"
    return (
        f"{SEEN}forgotten images look {side} like members under LAF (AUC {auc['laf']:.1f} %) than under the retrained model "
        f"({auc['retrained']:.1f} %); under the original it is {auc['original']:.1f} %. {power}"
    )


def confidence_finding(confidence: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """The median confidence on forgotten images, model by model."""
    middle = {model: float(np.median(own["forget"])) for model, own in confidence.items()}
    far = middle["laf"] - middle["retrained"]
    side = "surer than" if far > 0.02 else "less sure than" if far < -0.02 else "about as sure as"
    return (
        f"{SEEN}on a forgotten image LAF is {side} the retrained model (median confidence {middle['laf']:.2f} against "
        f"{middle['retrained']:.2f}; original {middle['original']:.2f})."
    )


def class_finding(accuracy: Mapping[str, np.ndarray], touched: tuple[int, ...], names: tuple[str, ...]) -> str:
    """The class that LAF costs most among those that the request leaves alone."""
    kept = [label for label in range(len(names)) if label not in touched]
    if not kept:
        return f"{SEEN}the request touches every class."
    change = {label: accuracy["laf"][label] - accuracy["retrained"][label] for label in kept}
    worst = min(change, key=change.__getitem__)
    return (
        f"{SEEN}of the classes that the request leaves alone LAF does worst on {names[worst]}: {signed(change[worst], 1)} "
        "points beside the retrained model."
    )


def shared_answers(shares: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """By model, percent of the forgotten images whose answers fall on the same classes as the retrained model's."""
    overlap = {MODEL_NAMES[name]: np.minimum(own, shares["retrained"]).sum(1).mean() for name, own in shares.items()}
    return pd.DataFrame({"answered as Retrained": {name: f"{value:.0f}" for name, value in overlap.items()}})


def answers_finding(shares: Mapping[str, np.ndarray]) -> str:
    """How much LAF's answers to the forgotten images are those of the retrained model."""
    same = shared_answers(shares).iloc[:, 0].astype(int)
    word = "answers them as" if same[MODEL_NAMES["laf"]] > HALF else "gives them other classes than"
    return (
        f"{SEEN}LAF {word} the retrained model: {same[MODEL_NAMES['laf']]} % of the answers fall on the same classes, "
        f"{same[MODEL_NAMES['original']]} % after doing nothing."
    )


def centres_finding(table: pd.DataFrame) -> str:
    """Whether LAF's forgotten images end nearer to where the retrained model has them, or the original."""
    far = table.iloc[:, 0].astype(float)
    laf, goal, start = (far[MODEL_NAMES[name]] for name in ("laf", "retrained", "original"))
    nearer = "the retrained model" if abs(laf - goal) < abs(laf - start) else "the original"
    return f"{SEEN}by this distance LAF ({laf:.2f}) is nearer to {nearer} (retrained {goal:.2f}, original {start:.2f})."


def centre_distances(evaluation: Evaluation, forgotten: np.ndarray) -> pd.DataFrame:
    """By model, how far the centre of forgotten representations lies from that of kept ones, where a kept one is at 1 on average.

    In the representation itself, not in the map.
    """
    rows = {}
    for name, output in evaluation.outputs.items():
        e = output.train.representations.cpu().numpy()
        kept, gone = e[~forgotten], e[forgotten]
        ratio = np.linalg.norm(gone.mean(0) - kept.mean(0)) / np.linalg.norm(kept - kept.mean(0), axis=1).mean()
        rows[MODEL_NAMES[name]] = f"{ratio:.2f}"
    return pd.DataFrame({"distance of the centres": rows})


def cost_finding(record: Mapping) -> str:
    """What LAF passed, in percent of the image passes of retraining."""
    goal = record["passes"]["retrained"]["equivalent"]
    stages = [record["passes"][stage] for stage in ("vae", "unlearning") if record["passes"].get(stage)]
    share = 100 * sum(passes["equivalent"] for passes in stages) / goal
    verdict = "**more than retraining itself**" if share >= 100 else "less than retraining"
    return f"{SEEN}LAF passes {share:.0f} % of the images that retraining passes: {verdict} on this request."


def changed_parameters(namespace: Mapping[str, object], changes: Mapping[str, object]) -> RunConfig:
    """The configuration of a notebook's parameters with some changed, whatever else its cells have named meanwhile.

    Raises:
        ConfigError: a name or a value that cannot be meant.
    """
    return from_notebook({name: namespace[name] for name in (*PARAMETERS, *NOT_SETTINGS) if name in namespace} | dict(changes))


def second_request(run: Run, config: RunConfig) -> tuple[Run, dict]:
    """Another forget request on the same images, from training to record; what does not differ is computed once."""
    other = variant(run, config, f"second request ({TASK_NAMES[config.task]})")
    return other, make_record(other, evaluate(other))


def request_name(run: Run) -> str:
    """``class removal (0)``."""
    classes = ", ".join(run.data.class_names[label] for label in run.config.forget_classes) if run.config.task == "class" else ""
    return TASK_NAMES[run.config.task] + (f" of {classes}" if classes else "")


def comparison_table(first: tuple[Run, Mapping], second: tuple[Run, Mapping]) -> pd.DataFrame:
    """Two requests side by side: gap in points and Train_f in percent of each model, cost of LAF in its row."""
    columns = {}
    for run, record in (first, second):
        name = request_name(run)
        own = result_table(record)
        columns[f"{name}: gap"], columns[f"{name}: Train_f"] = own["gap"], own["Train_f"]
    return pd.DataFrame(columns)


def comparison_finding(first: tuple[Run, Mapping], second: tuple[Run, Mapping]) -> str:
    """Which of two requests LAF answers better, as the part of doing nothing's gap that it leaves."""
    gaps = {request_name(run): record["gaps"] for run, record in (first, second)}
    left = {name: own["laf"]["mean"] / own["original"]["mean"] for name, own in gaps.items()}
    if len(left) < 2:
        return "Both requests are the same: change the cell above."
    best = min(left, key=left.__getitem__)
    shares = {name: f"{100 * share:.0f} %" for name, share in left.items()}
    said = ", ".join(f"{share} in {name}" for name, share in shares.items())
    better = "As much in both" if len(set(shares.values())) == 1 else f"It does better in {best}"
    return f"{SEEN}of the gap that doing nothing has, LAF leaves {said}. {better}."
