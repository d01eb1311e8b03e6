"""The contract of audits, and those that other packages bring."""

from importlib import metadata

import pytest

from laf_utils.audit.evidence import compare, mean_of
from laf_utils.audit.representation import audit_representation
from laf_utils.audit.request import REFERENCES, LabelsNotDeclared, audit_request
from laf_utils.audit.table import AUDITS, GROUP, Audit, AuditError, available, find, run_audit
from laf_utils.training import TrainingDiverged


@pytest.fixture
def request_for(make_run):
    """``request_for(task)``: four models of a tiny run, untrained where training does not matter."""

    def make(task="class"):
        run = make_run(task)
        models = {name: run.architecture.build(0, name).eval() for name in (*REFERENCES, "laf")}
        return audit_request(
            models, run.task, run.train_images, run.test_images, run.data.test.labels, run.config.training, seed=0, limit=60,
        )

    return make


def entry_points_of(monkeypatch, *things):
    class Entry:
        name = value = "package:THING"

        def __init__(self, thing):
            self.load = lambda: thing

    entries = {GROUP: [Entry(thing) for thing in things]}
    monkeypatch.setattr(metadata, "entry_points", lambda group: entries.get(group, []))


def norms(request):
    return {name: {"norm": float(request.representations(name, "forget").norm())} for name in request.models}


def test_other_packages_bring_audits_by_entry_point(request_for, monkeypatch):
    entry_points_of(monkeypatch, Audit("norms", "theirs", norms, reads_labels=False))
    assert available().keys() == AUDITS.keys() | {"norms"}
    found = audit_representation(request_for(), ["norms"])
    assert found["models"]["laf"]["norms"]["norm"] > 0
    assert found["audits"] == {"norms": {"source": "theirs", "reads_labels": False}}


def test_what_packages_bring_wrongly_is_refused(monkeypatch):
    entry_points_of(monkeypatch, "no audit")
    with pytest.raises(AuditError, match="is no Audit but str"):
        available()
    entry_points_of(monkeypatch, AUDITS["smi"])
    with pytest.raises(AuditError, match="'smi', and there is one of that name already"):
        available()


def test_an_unknown_name_lists_the_known_ones(request_for):
    with pytest.raises(KeyError, match="unknown audit 'prob': one of neighbours, .*smi"):
        find("prob")
    with pytest.raises(KeyError, match="unknown audit 'prob'"):
        audit_representation(request_for(), ["prob"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1], "a mapping by model, got list"),
        ({"nobody": {"a": 1.0}}, "'nobody' that the request does not have"),
        ({"laf": {"a": float("nan")}}, "nan as 'a' of laf"),
        ({"laf": {"a": "much"}}, "'much' as 'a' of laf"),
    ],
)
def test_an_audit_that_gives_something_else_is_refused(request_for, given, message):
    with pytest.raises(AuditError, match=message):
        run_audit(Audit("mine", "ours", lambda request: given), request_for())


def test_numbers_findings_and_nothing_are_accepted(request_for):
    finding = compare(mean_of([1, 2]), mean_of([0, 1]), mean_of([0, 2]))
    given = {"laf": {"a": 1, "b": None, "c": finding, "d": True}}
    assert run_audit(Audit("mine", "ours", lambda request: given), request_for()) == given


def test_a_divergence_costs_its_own_audit_only(request_for, monkeypatch):
    def diverges(request):
        raise TrainingDiverged("benign: the loss of step 3 is not a number")

    entry_points_of(monkeypatch, Audit("wild", "theirs", diverges), Audit("norms", "theirs", norms))
    found = audit_representation(request_for(), ["wild", "norms"])
    assert found["failures"] == {"wild": "benign: the loss of step 3 is not a number"}
    assert "norms" in found["models"]["laf"]


def test_labels_are_out_of_reach_where_none_are_declared(request_for):
    def reads(request):
        return {"laf": {"labels": len(request.labels.true["forget"])}}

    request = request_for()
    with pytest.raises(LabelsNotDeclared, match="declared to read no labels"):
        run_audit(Audit("mine", "ours", reads, reads_labels=False), request)
    assert run_audit(Audit("mine", "ours", reads), request)["laf"]["labels"] == 30
    bare = request.without_labels()
    with pytest.raises(LabelsNotDeclared):
        _ = bare.labels
    assert not any(hasattr(images, "labels") for images in bare.images.values())


def test_an_audit_of_another_task_is_refused(request_for):
    with pytest.raises(ValueError, match="neighbours is of class removal, the request is data"):
        run_audit(AUDITS["neighbours"], request_for("data"))
