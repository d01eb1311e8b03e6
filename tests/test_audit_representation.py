"""All audits of one request: on copies of the retrained model, on a model that only shuts an output, and as a record."""

import copy
import json

import pytest
import torch

from laf_utils.audit import audit_representation
from laf_utils.audit.evidence import compare, mean_of
from laf_utils.audit.representation import MATERIAL, outputs_only, traces
from laf_utils.audit.request import PARTS, REFERENCES, audit_request
from laf_utils.settings.config import TrainingConfig
from laf_utils.training import train


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch):
    """What is checked here does not hang on how often something is drawn or read."""
    for name, value in (
        ("evidence.REPEATS", 20), ("mixture.RANGES", 30), ("probes.DRAWS", 3), ("representation_audits.STEPS", (1, 4)),
    ):
        monkeypatch.setattr(f"laf_utils.audit.{name}", value)


def shut(model, label):
    """The model with one output shut: it forgets a class in its outputs and nowhere else."""
    model = copy.deepcopy(model)
    last = list(model.classifier.children())[-1]
    with torch.no_grad():
        last.bias[label] -= 1000
    return model


def models_of(run, **settings):
    """Original, two retrained models, a copy of the retrained one, and the original with class 0 shut."""
    config, models = TrainingConfig(**{"epochs": 12, "learning_rate": 2e-3} | settings), {}
    for name in REFERENCES:
        rows = torch.arange(len(run.train_images)) if name == "original" else run.task.retain
        models[name] = run.architecture.build(0, name)
        train(models[name], run.train_images.subset(rows), run.task.train_labels[rows], config, seed=0, stage=name)
    return models | {"copy": copy.deepcopy(models["retrained"]), "shut": shut(models["original"], 0)}


def request_of(run, models, **sizes):
    labels = run.data.test.labels
    return audit_request(models, run.task, run.train_images, run.test_images, labels, run.config.training, seed=0, **sizes)


@pytest.mark.parametrize("task", ["class", "data", "noisy"])
def test_every_task_gets_its_audits_as_plain_values(make_run, task):
    run = make_run(task)
    found = audit_representation(request_of(run, models_of(run, epochs=3)))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    expected = {"outputs", "probes", "smi", "retained", "relearning"} | ({"neighbours"} if task == "class" else set())
    assert set(found["audits"]) == set(found["seconds"]) == set(found["models"]["copy"]) == expected
    assert set(found["models"]) == {"original", "retrained_again", "copy", "shut"}
    assert set(found["models"]["original"]) == expected - {"retained"}, "nothing comes after the original itself"
    assert set(found["verdicts"]) == {"copy", "shut"}
    assert set(found["images"]) == set(PARTS)
    for audit, measures in found["models"]["copy"].items():  # of the retrained model: no trace of anything
        for name, value in measures.items():
            if isinstance(value, dict):
                assert value["excess"] == pytest.approx(0, abs=1e-6), (audit, name)
                assert not value["differs"], (audit, name)
    assert found["verdicts"]["copy"] == {"outputs_only": False, "outputs": [], "probabilities": [], "inside": []}


def test_a_shut_output_hides_a_class_from_labels_and_from_nothing_else(make_run):
    run = make_run()
    found = audit_representation(request_of(run, models_of(run, epochs=6)), ["outputs", "probes"])["models"]
    original, closed = found["original"], found["shut"]
    assert closed["outputs"]["accuracy"]["value"] == closed["outputs"]["confidence"]["value"] == 0
    assert original["outputs"]["accuracy"]["value"] > 0.8
    assert closed["outputs"]["membership"]["value"] == pytest.approx(original["outputs"]["membership"]["value"], abs=0.05)
    assert {name: value for name, value in original["probes"].items() if not name.startswith("logits")} == {
        name: value for name, value in closed["probes"].items() if not name.startswith("logits")
    }
    assert closed["probes"]["logits: recovery"]["value"] == pytest.approx(original["probes"]["logits: recovery"]["value"])


def test_two_runs_of_the_audit_give_the_same_numbers(make_run):
    run = make_run()
    models = {name: run.architecture.build(0, name).eval() for name in (*REFERENCES, "own")}
    first, second = (audit_representation(request_of(run, models, limit=40), ["smi", "retained", "relearning"]) for _ in range(2))
    assert first["models"] == second["models"]


def test_images_are_compared_with_images_of_the_same_classes(make_run):
    for task, classes in (("class", {0}), ("data", {5, 6, 7, 8, 9})):
        run = make_run(task)
        request = request_of(run, dict.fromkeys(REFERENCES, None), limit=50, learn=100)
        labels = request.labels.true
        assert set(labels["forget"].tolist()) == set(labels["test_forget"].tolist()) == classes
        kept = set(range(10)) - classes if task == "class" else classes
        assert set(labels["retain"].tolist()) == set(labels["test_retain"].tolist()) == kept
        assert labels["learn"].bincount().tolist() == [10] * 10
        assert max(map(len, request.images.values())) == 100


def test_missing_references_are_named(make_run):
    with pytest.raises(ValueError, match="missing: retrained_again"):
        request_of(make_run(), {"original": None, "retrained": None})


def finding(excess, again=0.0):
    goal = mean_of([0.2, 0.3] * 50)
    return compare(mean_of(goal.first + excess), goal, mean_of(goal.first + again))


def test_a_trace_is_sure_and_material():
    audits = {
        "outputs": {"accuracy": finding(0), "test_confidence": finding(0.5)},
        "probes": {"representation: recovery": finding(0.1), "logits: recovery": finding(0.2), "relu: cka_original": 0.9},
        "retained": {"retained": finding(0.3)}, "neighbours": {"attack": finding(-0.5)},
        "relearning": {"relearned": finding(MATERIAL / 2), "returned": finding(0.1, again=0.2)},
        "norms": {"theirs": finding(0.4)},
    }
    assert traces(audits) == {
        "outputs": [], "probabilities": ["probes, logits: recovery"],
        "inside": ["probes, representation: recovery", "norms, theirs"],
    }
    assert outputs_only(audits)["outputs_only"]
    assert not outputs_only(audits | {"outputs": {"accuracy": finding(0.5)}})["outputs_only"]
    assert not outputs_only({"outputs": audits["outputs"]})["outputs_only"]
