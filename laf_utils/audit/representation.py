"""All audits of the representation of one request, as plain values, and the question they answer: in the outputs only?

The runner trains nothing but copies of the models it is given, on a few hundred images: MNIST in profile ``quick`` with five
models takes less than two minutes on one core.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from ..training import TrainingDiverged
from .evidence import Finding
from .request import REFERENCES, RETRAINED, AuditRequest
from .table import available, find, run_audit

MATERIAL = 0.02  # an excess below two points is not called a trace, however sure it is
# Where a trace lies. ``outputs``: what an audit of labels and confidence goes by. ``probabilities``: found in the whole vector of
# outputs, from outside. ``inside``: found in layers, or by training on.
OUTPUTS = ("accuracy", "confidence", "membership")
OF_VECTOR = ("logits: ", "outputs: ")  # measures whose names start so need the vector of outputs only
PLACES = ("outputs", "probabilities", "inside")


def audit_representation(request: AuditRequest, names: Iterable[str] | None = None) -> dict:
    """Every audit of a request.

    Args:
        names: of the audits; by default all that fit the task, those of installed packages included.

    Returns:
        ``models``: by model, audit and measure a number, ``None`` or a finding's values; ``verdicts``: ``outputs_only`` by model;
        ``failures``: of audits whose fine-tuning diverged, by name; ``seconds``: by audit; ``images``: compared, by kind;
        ``audits``: source and whether labels are read, by name.

    Raises:
        KeyError: an unknown audit.
        AuditError: one that does not keep to its contract.
    """
    fitting = [audit.name for audit in available().values() if request.task_name in audit.tasks]
    chosen = [find(name) for name in (fitting if names is None else names)]
    found: dict[str, dict[str, dict]] = {name: {} for name in request.models if name != RETRAINED}
    seconds, failures = {}, {}
    for audit in chosen:
        start = time.perf_counter()
        try:
            for model, measures in run_audit(audit, request).items():
                found.setdefault(model, {})[audit.name] = measures
        except TrainingDiverged as error:  # of a copy that was fine-tuned: the other audits still say something
            failures[audit.name] = str(error)
        seconds[audit.name] = time.perf_counter() - start
    return {
        "models": {
            model: {audit: {name: _plain(value) for name, value in measures.items()} for audit, measures in audits.items()}
            for model, audits in found.items()
        },
        "verdicts": {model: outputs_only(audits) for model, audits in found.items() if model not in REFERENCES},
        "failures": failures,
        "seconds": seconds,
        "images": {part: len(images) for part, images in request.images.items()},
        "audits": {audit.name: {"source": audit.source, "reads_labels": audit.reads_labels} for audit in chosen},
    }


def _plain(value: object) -> object:
    return asdict(value) if isinstance(value, Finding) else value


def traces(audits: Mapping[str, Mapping[str, object]]) -> dict[str, list[str]]:
    """What lies above the retrained model, by place, as ``AUDIT, MEASURE``.

    Args:
        audits: findings and numbers of one model by audit and measure. Audits of other packages count as ``inside``.
    """
    found: dict[str, list[str]] = {place: [] for place in PLACES}
    for audit, measures in audits.items():
        for name, value in measures.items():
            place = _place(audit, name)
            if place and isinstance(value, Finding) and value.differs and value.excess > MATERIAL:
                found[place].append(f"{audit}, {name}")
    return found


def _place(audit: str, name: str) -> str | None:
    """Where a measure looks; ``None`` of what says nothing about the forgotten images."""
    if audit == "outputs":
        return "outputs" if name in OUTPUTS else None
    if audit == "retained":
        return None
    return "probabilities" if audit == "neighbours" or name.startswith(OF_VECTOR) else "inside"


def outputs_only(audits: Mapping[str, Mapping[str, object]]) -> dict:
    """Whether a model forgets in its outputs only: nothing above the retrained model there, and something inside.

    Args:
        audits: findings and numbers of one model by audit and measure.

    Returns:
        ``outputs_only``, and the traces by place. One request of one seed is evidence of that request: a claim needs several.
    """
    found = traces(audits)
    return {"outputs_only": not found["outputs"] and bool(found["inside"]), **found}
