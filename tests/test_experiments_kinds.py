"""Kinds of records: each has a plan that makes nothing, and a record is valid right after it was made."""

import sys

import pytest

from laf_utils.evaluation import evaluate
from laf_utils.experiments import __main__ as command
from laf_utils.experiments import commands, training_run
from laf_utils.experiments.cells import COMPARISON, Cell
from laf_utils.experiments.record import SHADOWS, TRAINING, VERDICT, Kind, TrainingPlace, VerdictPlace
from laf_utils.support.keys import content_key
from laf_utils.support.paths import training_folder
from laf_utils.support.records import read_all, write_json


@pytest.fixture
def places(tmp_path, monkeypatch):
    for name in ("RESULTS", "TRAINING", "RUNS"):
        monkeypatch.setenv(f"LAF_{name}", str(tmp_path / name.lower()))
    return tmp_path


def said_by(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["experiments", *arguments])
    code = command.main()
    return code, capsys.readouterr().out


@pytest.mark.parametrize("kind", [kind for kind in command.KINDS if kind != "comparison"])
def test_every_kind_has_a_plan_that_makes_nothing(kind, places, monkeypatch, capsys):
    usual = {"verdict": [], "tuning": ["DATASET=optdigits"], "gpu": ["DATASET=svhn", "TASK=class"]}
    given = usual.get(kind, ["DATASET=optdigits", "TASK=class"])
    code, said = said_by(monkeypatch, capsys, f"KIND={kind}", "PLAN=2", *given)
    assert code == 0 and "missing" in said and "valid" not in said.splitlines()[-1]
    assert not [path for path in places.rglob("*") if path.is_file()]


def test_a_notebooks_record_is_valid_as_soon_as_it_is_made(make_run, places):
    run = make_run()
    path = write_json(places / "record.json", training_run.keyed_record(run, evaluate(run)))
    assert TRAINING.state(path, training_run.inputs_of(run)) == ("valid", ())
    assert TRAINING.state(path, training_run.inputs_of(make_run(seed=1)))[0] == "stale"


def test_a_training_record_is_made_once_and_one_without_a_key_again(make_run, places, monkeypatch, capsys):
    run, calls = make_run(), []
    monkeypatch.setattr(training_run, "run_of", lambda place: run)
    monkeypatch.setattr(training_run, "made", lambda run: calls.append(run) or full)
    full = {name: value for name, value in training_run.keyed_record(run, evaluate(run)).items() if name not in ("key", "inputs")}
    path = write_json(TRAINING.path(TrainingPlace("mnist", "class", 0, "paper", "reference")), full)
    assert TRAINING.state(path, training_run.inputs_of(run)) == ("missing", ())
    for _ in range(2):
        assert said_by(monkeypatch, capsys, "KIND=training")[0] == 0
    assert len(calls) == 1 and "1 records: 1 valid" in said_by(monkeypatch, capsys, "KIND=training", "PLAN=1")[1]


def test_the_simulation_is_made_once(places, monkeypatch, capsys):
    content = dict.fromkeys(VERDICT.required, 1)
    monkeypatch.setattr(commands, "study", lambda: content)
    monkeypatch.setattr(commands, "code_version", lambda roots: "0" * 16)
    assert said_by(monkeypatch, capsys, "KIND=verdict")[0] == 0 and VERDICT.path(VerdictPlace()).is_file()
    assert "1 valid" in said_by(monkeypatch, capsys, "KIND=verdict", "PLAN=1")[1]


def test_every_committed_record_of_many_models_has_its_key():
    found = [SHADOWS.read(path) for path in SHADOWS.folder.rglob("*.json")]
    assert len(found) >= 4 and all(record["key"] == content_key(record["inputs"]) for record in found)


def numbers_of_both(record):
    """Losses and accuracies of original and retrained model; the attack's number depends on its own threads."""
    return [(record["losses"][name], record["metrics"][name] | {"asr": 0}) for name in ("original", "retrained")]


def test_a_record_keyed_afterwards_names_its_code_by_its_commit_or_by_a_record_with_the_same_numbers():
    own = [record for name in ("mnist", "fashion", "cifar10", "svhn") for record in read_all(training_folder() / name)]
    afterwards = [record for record in own if record["inputs"]["method"].startswith("commit ")]
    proven = 0
    for record in own:
        assert record["key"] == content_key(record["inputs"])
        assert record["inputs"]["data"] == content_key(record["dataset"]["checksum"])
        assert record["inputs"]["task"] == content_key(record["task"]["checksum"])
    for record in afterwards:
        parts, config = record["inputs"], record["config"]
        assert {parts["method"], parts["measuring"]} == {f"commit {record['commit']}"}
        if parts["training"] != parts["method"]:
            place = [config[name] for name in ("dataset", "task", "seed", "profile")]
            first, second = (COMPARISON.read(Cell(*place[:2], method, *place[2:]).path) for method in ("original", "retrain"))
            assert parts["training"] == first["inputs"]["training"] == second["inputs"]["training"]
            same = [(one["history"][name], {key: one["metrics"].get(key) for key in record["metrics"][name]} | {"asr": 0})
                    for one, name in ((first, "original"), (second, "retrained"))]
            assert same == numbers_of_both(record)
            proven += 1
    assert (len(afterwards), proven) == (27, 16)


def test_a_file_without_a_key_is_no_record(tmp_path):
    path = write_json(tmp_path / "x.json", {"schema": 1, "numbers": 1})
    assert Kind("x", 1, ("numbers",)).state(path, {}) == ("missing", ())
