"""What a method's work is made of, counted from a record or from settings; nothing here is measured.

A GPU that waits for its next instruction is slow by *calls* of the network, a processor by *images*; what an optimiser does to
the weights costs by their number. So all of these are counted, and ``fit`` takes those that tell on a machine.
"""

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass

from ...laf import used_count
from ...methods.passes import Passes
from ...representations import PASS_BATCH
from ...settings.presets import DATASET_PRESETS


@dataclass(frozen=True)
class Work:
    """Amounts of each kind of work."""

    training: float = 0.0  # images forward and backward
    frozen: float = 0.0  # images forward only
    calls: float = 0.0  # batches forward and backward
    frozen_calls: float = 0.0  # batches forward only
    swept: float = 0.0  # times that a step reads or writes as many numbers as the network has weights, summed over steps
    tensorwise: float = 0.0  # steps with work on every weight tensor outside a fused optimiser
    vae_steps: float = 0.0  # steps of a representation VAE

    def __add__(self, other: "Work") -> "Work":
        return Work(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Family:
    """How methods of one family step."""

    images_per_call: int = 1  # in batches, of one call forward and backward: LAF passes both sets at once
    calls_per_step: int = 1  # NegGrad+ passes the two sets apart and steps once
    swept: int = 3  # as ``Work``, per step: SGD 1 (weights), with momentum 2, Adam 3 (weights, two moments)
    tensorwise: int = 0  # per step


SGD, MOMENTUM = 1, 2
BOTH = 2  # VAEs in a step of L_UE
MASKED = 2  # SalUn puts back what it masks: the first weights are read, and weights written
TETHER = 3  # NegGrad+'s distance to the original reads both sets of weights and adds its gradient
FAMILIES: Mapping[str, Family] = {
    "original": Family(), "retrain": Family(), "sisa": Family(), "ts": Family(), "scrub": Family(),
    "laf": Family(images_per_call=2), "relearn": Family(),
    "neggrad_plus": Family(calls_per_step=2, swept=SGD + TETHER, tensorwise=1),
    "neggrad": Family(swept=MOMENTUM),
    "boundary": Family(swept=MOMENTUM),
    "lfssd": Family(swept=2),  # in place of an optimiser's step: |gradient| of every weight, added up
    "unroll": Family(swept=SGD),  # the same, without |.|
    "jit": Family(swept=SGD),
    "lotus": Family(),
    "mixunlearn": Family(calls_per_step=3),  # mixtures, D_f and D_r apart; the generator's few steps count as the student's
    "delete": Family(swept=MOMENTUM),
    "salun": Family(swept=MOMENTUM + MASKED, tensorwise=1),
    "ssd": Family(swept=2),
    "sparse": Family(swept=MOMENTUM + 1, tensorwise=1),  # and |weights|
    "svd": Family(), "null_space": Family(), "synthetic": Family(),  # no step of the network
}


WITHOUT_VAES = ("laf_pca", "laf_gaussian", "laf_frozen")  # LAF with densities that no VAE step describes


def family_of(method: str) -> str | None:
    """The family of a method's name, its variants and references included; ``None`` where its work is not counted here."""
    if method in WITHOUT_VAES:
        return None
    fitting = [name for name in FAMILIES if method == name or method.startswith(f"{name}_")]
    return max(fitting, key=len) if fitting else None


def batch_of(method: str, settings: Mapping) -> float:
    """Images of a batch, of each set where a method reads two: the mean of both where every step takes one of each (NegGrad+),
    that of D_r, which most steps take, where they take turns (SCRUB)."""
    if "retain_batch" in settings:
        sizes = settings["forget_batch"], settings["retain_batch"]
        return sizes[1] if family_of(method) == "scrub" else sum(sizes) / 2
    for group in (settings, settings.get("unlearning", {}), settings.get("training", {})):
        if "batch_size" in group:
            return group["batch_size"]
    raise ValueError(f"{method}: its settings name no batch size")


def work_of(method: str, settings: Mapping, passes: Passes, forget: int, retain: int, *, crops: bool) -> Work:
    """The work behind so many passes of a method.

    Args:
        settings: the method's, as records keep them.
        crops: whether each pass sees an image anew, so that nothing frozen can be kept.

    Raises:
        ValueError: a method that no family describes.
    """
    name = family_of(method)
    if name is None:
        raise ValueError(f"no family of methods fits {method!r}")
    family, batch = FAMILIES[name], batch_of(method, settings) if passes.training else PASS_BATCH
    calls = passes.training / (family.images_per_call * batch)
    steps = calls / family.calls_per_step
    swept = family.swept
    if name == "scrub" and settings["optimiser"] == "sgd":
        swept = MOMENTUM
    vae_steps, again = _vae_work(settings, calls, forget, retain, crops) if name == "laf" else (0, 0)
    frozen_calls = again / PASS_BATCH + _frozen_calls(name, passes, batch, forget + retain, crops)
    return Work(
        passes.training, passes.frozen + again, calls, frozen_calls, swept * steps, family.tensorwise * steps, vae_steps
    )


def _frozen_calls(name: str, passes: Passes, batch: float, images: int, crops: bool) -> float:
    """Calls forward only: one by one with the steps where nothing can be kept, else in large batches."""
    if name in ("jit", "boundary") or (crops and name == "scrub"):
        return passes.frozen / batch
    if crops and name == "ts":  # each batch is split between two teachers
        return 2 * passes.frozen / batch
    if crops and name == "laf":  # the teacher passes both sets of a step apart; the rest are whole sets
        beside = min(passes.frozen, passes.training / 2)
        return beside / batch + (passes.frozen - beside) / PASS_BATCH
    return passes.frozen / PASS_BATCH


def _vae_work(settings: Mapping, calls: float, forget: int, retain: int, crops: bool) -> tuple[float, float]:
    """(steps of the VAEs, images passed again in every epoch) of LAF."""
    vae, unlearning = settings["vae"], settings["unlearning"]
    used = used_count(forget, retain, unlearning["retain_ratio"])
    of_h = forget + retain if vae["fit_h_on"] == "all" else used
    steps = vae["epochs"] * (math.ceil(of_h / vae["batch_size"]) + math.ceil(forget / vae["batch_size"]))
    # Records count each representation once; with crops every epoch of both VAEs computes its own.
    return steps + of_extractor_unlearning(unlearning, calls), (vae["epochs"] - 1) * of_h + vae["epochs"] * forget if crops else 0


def of_extractor_unlearning(unlearning: Mapping, calls: float) -> float:
    """VAE steps that L_UE amounts to in so many calls of LAF's unlearning: each of its steps passes both VAEs there and back."""
    if not unlearning["use_ue"]:
        return 0.0
    return BOTH * (calls if unlearning["schedule"] == "joint" or unlearning["use_ra"] == "none" else calls / 2)


def of_record(record: Mapping) -> Work | None:
    """The work of a record of the comparison; ``None`` where it diverged or no family describes its method."""
    cell, task = record["cell"], record["task"]
    if record["passes"] is None or family_of(cell["method"]) is None:
        return None
    passes = Passes(record["passes"]["training"], record["passes"]["frozen"])
    preset = DATASET_PRESETS.get(cell["dataset"])
    crops = bool(preset and preset.augment)
    return work_of(cell["method"], record["settings"], passes, task["forget"], task["retain"], crops=crops)
