"""The audits of this project as functions of a request: which images each measure compares, for every model.

All measures are shares between 0 and 1. A ``Finding`` has the retrained model beside it; what is a plain number says so below.
"""

import math
from typing import cast

import torch

from ..images import Images
from ..support.seeds import stream
from .attackers import log_probabilities
from .confidence import label_probability, log_odds
from .distance import linear_cka
from .evidence import Finding, PerImage, auc_of, findings, mean_of
from .mixture import Mixture, member_share
from .neighbours import neighbour_attack, neighbours_of, total_variation
from .probes import class_recovery, few_image_recovery, membership
from .relearning import STEPS, confidence_on_the_way, fine_tuned_logits, return_of_forgotten
from .request import AGAIN, ORIGINAL, RETRAINED, AuditRequest
from .retained import before_and_after, three_way

KERNEL_LIMIT = 400  # images of a kind in one class that SMI compares
SHOWN = 320  # forgotten images, and as many retained ones, that relearning shows
WATCHED = 500  # images of each kind that relearning watches

Measures = dict[str, dict[str, float | Finding | None]]


def _collected(request: AuditRequest, measured: dict[str, dict[str, PerImage]]) -> Measures:
    """Findings by model and measure of per-image values by measure and model."""
    result: Measures = {name: {} for name in request.models if name != RETRAINED}
    for measure, by_model in measured.items():
        for model, finding in findings(by_model, seed=request.seed).items():
            result[model][measure] = finding
    return result


def outputs(request: AuditRequest) -> Measures:
    """What the outputs say, beside which everything else is read.

    ``confidence``: mean probability of the label on forgotten images; ``accuracy``: on them; ``test_confidence``: on test
    images of the same classes; ``membership``: AUC of phi of forgotten images against those test images.
    """
    measured: dict[str, dict[str, PerImage]] = {}
    own, other = (request.labels.trained[part] for part in ("forget", "test_forget"))
    for name in request.models:
        forget, test = request.logits(name, "forget"), request.logits(name, "test_forget")
        for measure, value in {
            "confidence": mean_of(label_probability(forget, own)),
            "accuracy": mean_of((forget.argmax(1) == own).double()),
            "test_confidence": mean_of(label_probability(test, other)),
            "membership": auc_of(log_odds(forget, own), log_odds(test, other)),
        }.items():
            measured.setdefault(measure, {})[name] = value
    return _collected(request, measured)


def probes(request: AuditRequest) -> Measures:
    """By layer, as ``LAYER: MEASURE``.

    ``recovery`` and ``few_image_recovery``: of removed classes; ``membership``: of forgotten against test images of the same
    classes; ``cka_original`` and ``cka_retrained``: linear CKA of the layer on forgotten images with that of both (numbers).
    """
    labels, seed, measured = request.labels.true, request.seed, cast(dict[str, dict[str, PerImage]], {})
    for name in request.models:
        parts = {part: request.features(name, part) for part in ("learn", "forget", "test_forget")}
        for layer in parts["forget"]:
            x = {part: features[layer] for part, features in parts.items()}
            found = {"membership": membership(x["forget"], x["test_forget"], seed=seed)}
            if request.forget_classes:
                known = (x["learn"], labels["learn"], x["test_forget"], labels["test_forget"], request.classes)
                found["recovery"] = class_recovery(*known)
                found["few_image_recovery"] = few_image_recovery(*known, seed=seed)
            for measure, value in found.items():
                measured.setdefault(f"{layer}: {measure}", {})[name] = value
    result = _collected(request, measured)
    for name, measures in result.items():
        for layer, features in request.features(name, "forget").items():
            for goal in (ORIGINAL, RETRAINED):
                other = request.features(goal, "forget")[layer]
                cka = linear_cka(features, other)
                measures[f"{layer}: cka_{goal}"] = None if math.isnan(cka) else cka
    return result


def smi(request: AuditRequest) -> Measures:
    """The share of members among the forgotten images, by the representation and by the sorted probabilities.

    Members are retained images of the forgotten images' classes, class by class in the representation. Where whole classes go
    there are none; then only ``outputs`` is given, the sorted probabilities, which hide the class, of all kept classes' images.
    Numbers: ``share`` with ``share_low`` and ``share_high`` (``None``: the model does not tell members from test images, so that
    nothing can be known), and ``separation`` in standard errors. ``member_share`` is the finding, where both retrained models
    have it. Training and test images may differ by themselves, which looks like a share of members too: read the finding.
    """
    result: Measures = {name: {} for name in request.models if name != RETRAINED}
    spaces = ("outputs",) if request.forget_classes else ("outputs", "representation")
    for space in spaces:
        found = {name: _mixture(request, name, space) for name in request.models}
        for name, own in found.items():
            if name == RETRAINED:
                continue
            result[name] |= {
                f"{space}: share": own.share, f"{space}: share_low": own.low, f"{space}: share_high": own.high,
                f"{space}: separation": own.separation / own.error if own.error > 0 else None,
            }
        known = {name: own.by_image for name, own in found.items() if own.by_image is not None}
        if RETRAINED in known and AGAIN in known:
            for name, finding in findings(known, seed=request.seed).items():
                result[name][f"{space}: member_share"] = finding
    return result


def _mixture(request: AuditRequest, name: str, space: str) -> Mixture:
    labels = request.labels.true
    groups = []
    for part in ("forget", "retain", "test_retain"):
        if space == "representation":
            values = request.representations(name, part)
            by_class = [values[labels[part] == label] for label in labels["forget"].unique()]
        else:
            by_class = [log_probabilities(request.probabilities(name, part)).sort(1).values]
        groups.append([rows[:KERNEL_LIMIT] for rows in by_class])
    return member_share(*groups, seed=request.seed)


def neighbours(request: AuditRequest) -> Measures:
    """``attack``: AUC of removed against neighbouring classes' test images by the kept classes' probabilities alone.

    ``distance``: mean total variation to the retrained model over kept classes on forgotten images; ``null_distance``: that of
    the second retrained model (numbers).
    """
    removed, labels = request.forget_classes, request.labels.true["test_retain"]
    near = neighbours_of(request.probabilities(RETRAINED, "test_forget"), removed)
    rows = torch.isin(labels, torch.tensor(near))
    attacks = {
        name: neighbour_attack(
            request.probabilities(name, "test_forget"), request.probabilities(name, "test_retain")[rows], removed,
            seed=request.seed,
        )
        for name in request.models
    }
    result = _collected(request, {"attack": attacks})
    distance = {
        name: total_variation(
            request.probabilities(name, "forget"), request.probabilities(RETRAINED, "forget"), removed
        ).mean().item()
        for name in result
    }
    for name, measures in result.items():
        measures |= {"distance": distance[name], "null_distance": distance[AGAIN]}
    return result


def retained(request: AuditRequest) -> Measures:
    """The three-way attack on the models before and after, for every model that came after.

    ``before_only`` (a number) is the AUC of retained against unseen images from the original alone.
    """
    kinds = ("forget", "retain", "test_retain")
    before = {part: request.probabilities(ORIGINAL, part) for part in kinds}
    alone = three_way([before_and_after(before[part], before[part]) for part in kinds], seed=request.seed)
    measured: dict[str, dict[str, PerImage]] = {}
    for name in request.models:
        if name == ORIGINAL:
            continue
        features = [before_and_after(before[part], request.probabilities(name, part)) for part in kinds]
        for measure, value in three_way(features, seed=request.seed).items():
            measured.setdefault(measure, {})[name] = value
    result = _collected(request, measured)
    del result[ORIGINAL]
    for measures in result.values():
        measures["before_only"] = alone["retained"].value
    return result


def relearning(request: AuditRequest) -> Measures:
    """Fine-tuning on forgotten and retained images, and on retained ones alone.

    ``relearned`` and ``returned``: confidence on the way, and AUC against test images, on forgotten images that are not shown
    while others are; ``benign_confidence`` and ``benign_returned``: the same while only retained images are shown.
    """
    shown, watched, labels = _halves(request)
    measured: dict[str, dict[str, PerImage]] = {}
    together = _joined(watched["forget"], watched["test_forget"])
    count = len(watched["forget"])
    for name, model in request.models.items():
        for stage, names in (("relearned", ("relearned", "returned")), ("benign", ("benign_confidence", "benign_returned"))):
            images, targets = shown[stage]
            logits = fine_tuned_logits(
                model, images, targets, together, request.training, seed=request.seed, stage=stage, steps=STEPS
            )
            forget, test = logits[:, :count], logits[:, count:]
            own, other = labels["forget"], labels["test_forget"]
            measured.setdefault(names[0], {})[name] = confidence_on_the_way(forget, own)
            measured.setdefault(names[1], {})[name] = return_of_forgotten(forget, own, test, other)
    return _collected(request, measured)


def _halves(request: AuditRequest) -> tuple[dict, dict, dict]:
    """What fine-tuning shows, with labels, and what is watched, with labels."""
    draw, every = stream(request.seed, "audit", "relearning"), request.labels.every
    order = torch.randperm(len(request.all_forget), generator=draw)
    cut = min(SHOWN, len(order) // 2)
    shown, hidden = order[:cut], order[cut:][:WATCHED]
    kept = torch.randperm(len(request.all_retain), generator=draw)
    mixed = _joined(request.all_forget.subset(shown), request.all_retain.subset(kept[:cut]))
    mixed_labels = torch.cat([every[request.forget_rows[shown]], every[request.retain_rows[kept[:cut]]]])
    benign = kept[: 2 * cut]
    test = torch.arange(len(request.images["test_forget"]))[:WATCHED]
    return (
        {"relearned": (mixed, mixed_labels), "benign": (request.all_retain.subset(benign), every[request.retain_rows[benign]])},
        {"forget": request.all_forget.subset(hidden), "test_forget": request.images["test_forget"].subset(test)},
        {"forget": every[request.forget_rows[hidden]], "test_forget": request.labels.trained["test_forget"][test]},
    )


def _joined(first: Images, second: Images) -> Images:
    """Two views as one set with the first one's transform; pixels are copied."""
    pixels = [part.pixels if part.index is None else part.pixels[part.index] for part in (first, second)]
    return Images(torch.cat(pixels), first.transform)
