"""Bytes: what must be kept before a request comes, and what a method adds while it works. Counted, not measured.

Activations of a batch and what the allocator holds are not in it; ``added_memory_mb`` of a record is the process's and has both.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ...laf import used_count
from ...models import parameter_count
from ...settings.config import VAEConfig
from ...vae import RepresentationVAE
from .work import family_of

FLOAT = 4  # bytes
ROWS = 8  # bytes of an int64
ADAM, MOMENTUM = 2, 1  # numbers an optimiser keeps for each weight


@dataclass(frozen=True)
class Shape:
    """What bytes depend on: numbers of images, weights, widths."""

    forget: int
    retain: int
    parameters: int
    classes: int
    width: int
    inputs: int  # numbers of a network's input, channels x height x width
    crops: bool = False  # representations are computed anew in every epoch: an epoch's are held, none are kept


def kept_before(method: str, settings: Mapping, parameters: int) -> dict[str, int]:
    """Bytes that a method needs from the original's training, beside the model itself."""
    if method == "sisa":
        return {"checkpoints of slices": settings["shards"] * settings["slices"] * parameters * FLOAT}
    if method == "unroll":
        return {"initial weights": parameters * FLOAT}
    return {}


def added(method: str, settings: Mapping, shape: Shape) -> dict[str, int]:
    """Bytes by what they hold while a method works."""
    family = family_of(method)
    found = {"student, gradients, optimiser": _student(family, settings, shape.parameters)}
    images = shape.forget + shape.retain
    if family == "laf":
        copies = 1 if shape.crops else 2  # D_f's and D_r's rows are copies of the whole set's
        used = used_count(shape.forget, shape.retain, settings["unlearning"]["retain_ratio"])
        represented = shape.forget + (shape.retain if settings["vae"]["fit_h_on"] == "all" else used)
        found["representations"] = copies * represented * shape.width * FLOAT
        one = parameter_count(RepresentationVAE(VAEConfig(**settings["vae"]), shape.width)) * FLOAT
        found["VAEs"] = 2 * one + (1 + ADAM) * one  # of the one being fitted its gradients and Adam's moments, too
    if family == "scrub" and not shape.crops:
        found["teacher's logits"] = images * shape.classes * FLOAT
    if family == "ts" and not shape.crops:
        used = shape.forget + round(settings["retain_share"] * shape.retain)
        found["teacher's logits"] = used * shape.classes * FLOAT
    if method == "scrub_r":
        found["weights of each epoch"] = settings["epochs"] * shape.parameters * FLOAT
    if method.startswith("boundary_shrink"):
        found["neighbours"] = shape.forget * ROWS
    if family == "jit":  # drawn, added to the image, and their differences
        found["noisy copies"] = 3 * settings["copies"] * settings["batch_size"] * shape.inputs * FLOAT
    return found


def _student(family: str | None, settings: Mapping, parameters: int) -> int:
    """A copy of the network, its gradients, and what its optimiser (LFSSD: the two importances) keeps for each weight."""
    adam = family in ("original", "retrain", "sisa", "ts") or settings.get("optimiser") == "adam"
    kept = {"laf": 2 * ADAM, "lfssd": 2, "neggrad": MOMENTUM, "boundary": MOMENTUM, "unroll": 1}.get(family or "", 0)
    if adam:
        kept = ADAM
    elif family == "scrub":
        kept = MOMENTUM
    return (2 + kept) * parameters * FLOAT
