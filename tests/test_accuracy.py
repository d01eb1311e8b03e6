"""Accuracies and gaps in closed form."""

import math

import pytest
import torch
import torch.nn.functional as F

from laf_utils.audit import ModelOutputs, accuracies, gaps_to_retrained
from laf_utils.representations import Outputs
from laf_utils.tasks import ForgetTask


def saying(*predictions):
    logits = F.one_hot(torch.tensor(predictions), 3).float()
    return Outputs(torch.zeros(len(predictions), 256), logits)


def request(name="data", forget_classes=()):
    true = torch.tensor([0, 0, 1, 1, 2, 2, 2, 2])
    train = true.clone()
    if name == "noisy":
        train[torch.tensor([0, 4])] = torch.tensor([1, 0])
    forget = torch.tensor([0, 4])
    retain = torch.tensor([1, 2, 3, 5, 6, 7])
    return ForgetTask(name, forget, retain, train, true, forget_classes)


TEST = torch.tensor([0, 0, 0, 1, 2])
#                         D_f:  0  4 ; wrong on 0, on 2 and on 3
OUTPUTS = ModelOutputs(saying(1, 0, 0, 2, 2, 2, 2, 2), saying(0, 1, 1, 1, 2))


def test_data_removal():
    assert accuracies(OUTPUTS, request(), TEST) == {
        "train_r": pytest.approx(100 * 4 / 6), "train_f": 50.0, "test": pytest.approx(60), "test_r": None, "test_f": None,
    }


def test_class_removal_splits_the_test_set():
    found = accuracies(OUTPUTS, request("class", (0,)), TEST)
    assert (found["test"], found["test_r"], found["test_f"]) == (pytest.approx(60), 100.0, pytest.approx(100 / 3))


def test_noisy_labels_count_the_wrong_labels_and_beside_them_the_true_ones():
    found = accuracies(OUTPUTS, request("noisy"), TEST)
    assert found["train_f"] == 50.0  # image 0 is called by its wrong label 1, image 4 is not called 0
    assert found["train_f_true"] == 50.0  # image 4 is called by its true label 2
    obeying = ModelOutputs(saying(1, 0, 1, 1, 0, 2, 2, 2), OUTPUTS.test)
    found = accuracies(obeying, request("noisy"), TEST)
    assert (found["train_f"], found["train_f_true"], found["train_r"]) == (100.0, 0.0, 100.0)


def test_a_test_set_without_the_forgotten_class():
    found = accuracies(OUTPUTS, request("class", (0,)), torch.tensor([1, 1, 1, 1, 2]))
    assert found["test_f"] is None


def measured(train_r, train_f, test, test_r=None, test_f=None, asr=50.0):
    return {"train_r": train_r, "train_f": train_f, "test": test, "test_r": test_r, "test_f": test_f, "asr": asr}


def test_identical_models():
    same = measured(99.0, 12.0, 88.0, 90.0, 0.0)
    gaps = gaps_to_retrained({"retrained": same, "laf": dict(same)})
    assert gaps == {"laf": dict.fromkeys((*same, "mean"), 0) | {"tow": 1.0}}


def test_gaps_by_hand():
    gaps = gaps_to_retrained({
        "original": measured(100, 100, 60), "retrained": measured(100, 90, 80, asr=55), "laf": measured(80, 80, 30, asr=70),
    })
    assert gaps["laf"] == {
        "train_r": 20, "train_f": 10, "test": 50, "asr": 15, "mean": pytest.approx(80 / 3),
        "tow": pytest.approx(0.8 * 0.9 * 0.5),
    }
    assert gaps["original"]["mean"] == pytest.approx(10)
    assert gaps["original"]["asr"] == 5
    assert "retrained" not in gaps


def test_class_removal_compares_kept_classes():
    gaps = gaps_to_retrained({
        "retrained": measured(100, 0, 80, 90, 0), "laf": measured(100, 0, 88, 80, 60), "laf_r": measured(0, 100, 80, 90, 0),
    })
    assert gaps["laf"]["tow"] == pytest.approx(0.9), "ten points on the kept classes, whatever the whole test set says"
    assert gaps["laf"]["test_f"] == 60
    assert gaps["laf"]["mean"] == pytest.approx(10 / 3)
    assert gaps["laf_r"]["tow"] == 0


def test_measures_of_a_whole_run_are_those_of_its_models(optdigits):
    run, evaluation, _ = optdigits("reference")
    for name, model in run.models().items():
        with torch.no_grad():
            hit = model(run.frozen_images.batch(torch.arange(len(run.frozen_images)))).argmax(1) == run.train_set.labels
            test = model(run.test_images.batch(torch.arange(len(run.test_images)))).argmax(1) == run.data.test.labels
        gone = run.data.test.labels == 0
        expected = [hit[run.task.retain], hit[run.task.forget], test, test[~gone], test[gone]]
        found = [evaluation.metrics[name][key] for key in ("train_r", "train_f", "test", "test_r", "test_f")]
        assert found == pytest.approx([100 * part.float().mean().item() for part in expected], abs=1e-3)
        assert all(0 <= value <= 100 and math.isfinite(value) for value in found)
    assert evaluation.metrics["retrained"]["test_f"] == 0, "a retrained model never saw the class"
