"""The table of audits of the representation, and audits that other packages bring.

An audit of one's own is one function: it receives the request (models, images of each kind, their layers' outputs) and gives
numbers by model and name::

    def norms(request):
        return {name: {"norm": float(request.representations(name, "forget").norm(dim=1).mean())} for name in request.models}

    NORMS = Audit("norms", "mine", norms, reads_labels=False)

A package brings its audits by naming them in the entry point group ``laf_utils.audits``::

    [project.entry-points."laf_utils.audits"]
    norms = "my_package:NORMS"

An audit that declares that it reads no labels cannot reach them. A ``Finding`` in place of a number brings its interval along
(``evidence.findings``).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..support.plugins import brought
from ..tasks import TASKS
from . import representation_audits as own
from .evidence import Finding
from .request import AuditRequest

GROUP = "laf_utils.audits"
FORMER = "laf_book.audits"  # what the group was called: packages that name it go on working

Value = float | int | bool | None | Finding
Found = Mapping[str, Mapping[str, Value]]  # by model and name of the measure


class AuditError(ValueError):
    """An audit that does not keep to its contract."""


@dataclass(frozen=True)
class Audit:
    """An audit and what it declares."""

    name: str  # in records
    source: str  # paper, or whose it is
    # the request to numbers (or findings) by model and name; ``None`` for a number that there is not
    function: Callable[[AuditRequest], Found]
    reads_labels: bool = True  # whether it reads labels of images; without, ``request.labels`` is refused
    tasks: tuple[str, ...] = TASKS  # the kinds of removal that it is for


AUDITS: dict[str, Audit] = {
    audit.name: audit
    for audit in (
        Audit("outputs", "this project", own.outputs),
        Audit("probes", "after Gao et al., arXiv 2604.08271, and arXiv 2605.20282", own.probes),
        Audit("smi", "after Sun et al., arXiv 2602.01150", own.smi),
        Audit("neighbours", "after Ebrahimpour-Boroojeny et al., arXiv 2506.20893", own.neighbours, tasks=("class",)),
        Audit("retained", "after Fu et al., arXiv 2605.01129", own.retained, reads_labels=False),
        Audit("relearning", "after Golatkar et al., CVPR 2020, and arXiv 2604.08271", own.relearning),
    )
}


def available() -> dict[str, Audit]:
    """``AUDITS`` and those that installed packages bring.

    Raises:
        AuditError: a package brings something that is no ``Audit``, or one under a name that is taken.
    """
    return brought(AUDITS, Audit, GROUP, FORMER, error=AuditError)


def find(name: str) -> Audit:
    """The audit of that name.

    Raises:
        KeyError: there is none; the message lists those there are.
    """
    known = available()
    if name not in known:
        raise KeyError(f"unknown audit {name!r}: one of {', '.join(sorted(known))}")
    return known[name]


def run_audit(audit: Audit, request: AuditRequest) -> dict[str, dict[str, Value]]:
    """What an audit finds, by model and measure, after a check of its contract.

    Raises:
        AuditError: it gives a model that is not of the request, or something that is neither a finite number nor a finding.
        LabelsNotDeclared: it reads labels and does not declare that.
        ValueError: the task is not one of its own.
    """
    if request.task_name not in audit.tasks:
        raise ValueError(f"the audit {audit.name} is of {', '.join(audit.tasks)} removal, the request is {request.task_name}")
    found = audit.function(request if audit.reads_labels else request.without_labels())
    if not isinstance(found, Mapping):
        raise AuditError(f"the audit {audit.name} must give a mapping by model, got {type(found).__name__}")
    for model, measures in found.items():
        if model not in request.models:
            raise AuditError(f"the audit {audit.name} speaks of a model {model!r} that the request does not have")
        for name, value in measures.items():
            number = isinstance(value, int | float) and math.isfinite(value)
            if not (number or value is None or isinstance(value, Finding)):
                raise AuditError(f"the audit {audit.name} gives {value!r} as {name!r} of {model}: a finite number is asked for")
    return {model: dict(measures) for model, measures in found.items()}
