"""Chapter 3: what the two losses are at the start, what they do together and alone, and both modes side by side."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA

from ...losses import representation_alignment_loss
from ...run import Run
from ...settings.names import MODEL_NAMES
from ..base.tables import MISSING
from .ch3_traces import SETS, Trace, adaptation_of, follow, followed_labels, look
from .shared import in_mode, run_with, variant

MOVED = 5.0  # points of accuracy on the followed images that are more than their noise
ALONE: dict[str, dict[str, object]] = {
    "both losses": {},
    "L_UE alone": {"unlearning.use_ra": "none"},
    "L_RA alone": {"unlearning.use_ue": False},
}


def losses_alone(run: Run) -> dict[str, Trace]:
    """Both losses, and each of them alone, from the same original and with the same settings."""
    return {name: follow(run_with(run, switches, name)) for name, switches in ALONE.items()}


def both_modes(run: Run) -> dict[str, Trace]:
    """The published behaviour and the recommended one, from the same original."""
    configs = {mode: in_mode(run.config, mode) for mode in ("reference", "fixed")}
    return {mode: follow(run if config == run.config else variant(run, config, mode)) for mode, config in configs.items()}


def projection(trace: Trace, looks: int = 6) -> dict[str, dict[str, np.ndarray]]:
    """Some looks, evenly spread: when, and D_r and D_f in it, float [n, 2] on the two directions of largest variance.

    The directions are those of all looks together, so that every panel has the same axes and nothing is fitted to one look.
    """
    shown = sorted({round(k) for k in np.linspace(0, len(trace.passed) - 1, looks)})
    both = {name: trace.representations[name][shown].double().numpy() for name in ("retain", "forget")}
    flat = np.concatenate([e.reshape(-1, e.shape[-1]) for e in both.values()])
    axes = PCA(2, random_state=0).fit(flat)
    kept = len(trace.epochs) - 1 if trace.went_back else -1
    when = ["before" if not k else "what is kept" if k == kept else f"after {trace.epochs[k]:.3g} epochs" for k in shown]
    return {name: {part: axes.transform(e[k]) for part, e in both.items()} for k, name in enumerate(when)}


def goal_on_followed(run: Run) -> dict[str, float]:
    """The retrained model's accuracy in percent on the followed images of each set."""
    looked, labels = look(run, run.retrained), followed_labels(run, run.task.train_labels)
    hit = {name: looked[f"logits.{name}"].argmax(1) == labels[name] for name in SETS}
    return {name: 100 * value.float().mean().item() for name, value in hit.items()}


def arithmetic(run: Run) -> str:
    """What the losses must be before anything has moved, as lines of plain text."""
    config, forget = run.config.unlearning, len(run.task.forget)
    size, still = config.batch_size, torch.zeros(config.batch_size)
    full, rest = divmod(forget, size)
    start = representation_alignment_loss(still, still, config.temperature).item()
    last = -size * math.log(rest) if rest else start
    steps = full + bool(rest)
    return "\n".join([
        f"-{size} ln {size} = {-size * math.log(size):.3f}",
        f"L_RA of a full batch at g_U = g_D: {start:.3f}",
        f"D_f has {forget:,} images: {full} full batches and one of {rest}, where L_RA starts at {last:.3f}",
        f"mean over these {steps} steps: {(full * start + bool(rest) * last) / steps:.3f}",
        f"L_RA can fall by at most 2 * {size} / tau = {2 * size / config.temperature:.1f}",
        f"|L_UE| of a full batch is at most {size} (e - 1) = {size * (math.e - 1):.3f}",
    ])


def start_of_alignment(run: Run) -> float:
    """L_RA's mean over one epoch in which nothing moves."""
    config, pairs = run.config.unlearning, adaptation_of(run, run.config.unlearning).pairs()
    rest = config.temperature, config.reduction, config.use_ra
    still = ((torch.zeros(len(retain)), torch.zeros(len(forget))) for forget, retain in pairs)
    return float(np.mean([representation_alignment_loss(r, f, *rest).item() for r, f in still]))


def forgetting_finding(trace: Trace, goal: dict[str, float]) -> str:
    """When forgetting happened, what it cost, and where it ended beside the retrained model."""
    f, r, t = (trace.accuracy(part) for part in SETS)
    middle = (f[0] + f[-1]) / 2
    passed = next((epoch for epoch, value in zip(trace.epochs, f, strict=True) if value <= middle), trace.epochs[-1])
    fell = f"is halfway there by epoch {passed:.3g} and ends" if f[0] - f[-1] >= MOVED else "hardly moves and ends"
    shrunk = trace.length("retain")
    return (
        f"**Seen:** Train_f starts at {f[0]:.1f} %, {fell} at {f[-1]:.1f} %; the retrained model's is {goal['forget']:.1f} %. "
        f"Train_r ends at {r[-1]:.1f} % (retrained {goal['retain']:.1f}), Test at {t[-1]:.1f} % (retrained {goal['test']:.1f}). "
        f"Kept representations end at {100 * shrunk[-1]:.0f} % of their length."
    )


def distance_to_goal(trace: Trace, goal: dict[str, float], look: int = -1) -> float:
    """Mean of |accuracy - retrained's| on the followed images of D_f, D_r and test at a look of a trace, the last one; points."""
    return float(np.mean([abs(trace.accuracy(part)[look] - goal[part]) for part in SETS]))


def alone_finding(traces: dict[str, Trace], goal: dict[str, float]) -> str:
    """Which of both losses and each alone ended nearest to the retrained model, in words."""
    far = {name: distance_to_goal(trace, goal) for name, trace in traces.items()}
    both, ue, ra = (far[name] for name in ALONE)
    nothing = distance_to_goal(traces["both losses"], goal, 0)
    better = "better than both losses together" if ra < both else "not as well as both losses together"
    return (
        f"**On this run $L_{{RA}}$ alone does {better}.** Mean distance to the retrained model in points: doing nothing "
        f"{nothing:.1f}, $L_{{UE}}$ alone {ue:.1f}, $L_{{RA}}$ alone {ra:.1f}, both {both:.1f}. Chapter 7 has more runs."
    )


def first_gradients(run: Run) -> pd.DataFrame:
    """Each loss and the length of its gradient over all weights of the extractor: at g_U = g_D, and one step of L_UE later."""
    config = run.config.unlearning
    plain = replace(config, reduction="sum", drop_ragged=True, stop="last", schedule="alternate", use_ra="both")
    state = adaptation_of(run, plain)
    rows = state.pairs()[0]
    inputs = torch.cat([state.retain.batch(rows[1], state.order), state.forget.batch(rows[0], state.order)])
    found = {}
    for moment in ("at the start", "after one step on L_UE"):
        for name, label in (("ue", "L_UE"), ("ra", "L_RA")):
            loss = state.loss(name, state.represent(inputs, len(rows[1])), inputs, rows)
            gradients = torch.autograd.grad(loss, list(state.student.extractor.parameters()))
            length = math.sqrt(sum(g.square().sum().item() for g in gradients))
            found[f"{label}, {moment}"] = {"value": f"{loss.item():.3f}", "length of the gradient": f"{length:.2g}"}
        state._step("ue", inputs, rows)
    return pd.DataFrame.from_dict(found, orient="index")


def last_looks(traces: dict[str, Trace], goal: dict[str, float]) -> pd.DataFrame:
    """Where each trace ended, on the followed images; percent, drift c(x) as its median, length over the original's."""
    accuracies = {"Train_f": "forget", "Train_r": "retain", "Test": "test"}
    rows = {
        name: {label: f"{trace.accuracy(part)[-1]:.1f}" for label, part in accuracies.items()} | {
            "drift, D_f": f"{np.median(trace.drift('forget')[-1]):.3f}",
            "drift, D_r": f"{np.median(trace.drift('retain')[-1]):.3f}",
            "length, D_r": f"{trace.length('retain')[-1]:.2f}", "images passed": f"{trace.passed[-1]:,}",
        } for name, trace in traces.items()
    }
    rows[MODEL_NAMES["retrained"]] = {label: f"{goal[part]:.1f}" for label, part in accuracies.items()}
    return pd.DataFrame.from_dict(rows, orient="index").fillna(MISSING)
