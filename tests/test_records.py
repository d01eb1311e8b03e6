"""Records: what stands in them, that they are strict JSON, and that a broken one is an error."""

import json
import math
import re

import pytest

from laf_utils.evaluation import run_name
from laf_utils.settings.names import MODEL_NAMES
from laf_utils.settings.presets import preset
from laf_utils.support import records
from laf_utils.support.paths import ROOT
from laf_utils.support.records import REQUIRED, RecordError, read, read_all, write_json

MODES = ["reference", "fixed"]


def strictly(text):
    """JSON without NaN and Infinity."""
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(params=MODES)
def recorded(request, optdigits):
    return optdigits(request.param)


def test_a_record_holds_what_the_project_promises(recorded):
    run, _, record = recorded
    assert set(REQUIRED) <= set(record)
    assert set(record["metrics"]) == set(MODEL_NAMES) == {"original", "retrained", "laf", "laf_r"}
    for measured in record["metrics"].values():
        assert set(measured) == {"train_r", "train_f", "test", "test_r", "test_f", "asr"}
        assert all(0 <= value <= 100 for value in measured.values())
        assert max(measured.values()) > 1.5, "in per cent"
    assert set(record["seconds"]) == {"index_sets", "original", "retrained", "vae", "unlearning", "repair", "evaluation"}
    assert all(value >= 0 for value in record["seconds"].values())
    assert record["config"]["mode"] == run.config.mode
    assert record["config"]["unlearning"]["epochs"] == 4
    assert record["versions"]["torch"]
    assert record["machine"]["device"] == "cpu"
    assert re.fullmatch(r"([0-9a-f]{12}|unknown)(-dirty)?", record["commit"])
    assert record["task"]["checksum"] == run.task.checksum()
    assert record["dataset"]["checksum"] == run.data.checksum
    assert (record["task"]["forget"], record["task"]["retain"]) == (len(run.task.forget), len(run.task.retain))
    assert record["task"]["forget"] + record["task"]["retain"] == record["dataset"]["train_images"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["created"])


def test_losses_per_epoch(recorded):
    run, _, record = recorded
    config, losses = run.config, record["losses"]
    assert set(losses) == {"original", "retrained", "vae_h", "vae_h_f", "loss_ue", "loss_ra", "repair"}
    assert len(losses["original"]) == len(losses["retrained"]) == config.training.epochs
    assert len(losses["vae_h"]) == len(losses["vae_h_f"]) == 3
    assert len(losses["loss_ue"]) == 4
    assert len(losses["repair"]) == config.repair.epochs
    assert all(math.isfinite(value) for values in losses.values() for value in values)
    if config.mode == "reference":
        full, ragged = 32 * math.log(32), 32 * math.log(len(run.task.forget) % 32)
        start = -(full * (len(run.task.forget) // 32) + ragged) / math.ceil(len(run.task.forget) / 32)
        assert losses["loss_ra"][0] == pytest.approx(start, abs=1.5), "L_RA starts at -B ln B"


def test_the_chance_level_stands_beside_the_attack(recorded):
    *_, record = recorded
    for name in MODEL_NAMES:
        attack = record["attack"][name]
        assert attack["asr"] == record["metrics"][name]["asr"]
        assert attack["chance"] == pytest.approx(100 * attack["members"] / (attack["members"] + attack["non_members"]))
        assert attack["as_published"] is False  # 449 test images
        assert {"balanced_accuracy", "auc", "tpr_at_1_fpr"} <= set(attack)


def test_a_record_comes_back_as_it_went(recorded, tmp_path):
    *_, record = recorded
    path = write_json(tmp_path / "a" / "record.json", record)
    written = strictly(path.read_text())
    assert written.pop("checksum") == records.sealed(record)["checksum"]
    assert read(path) == written == json.loads(json.dumps(record))
    assert list(path.parent.iterdir()) == [path]
    assert list(strictly(path.read_text())) == sorted([*record, "checksum"])


def test_a_record_names_no_folder_of_this_machine(recorded):
    *_, record = recorded
    assert str(ROOT) not in json.dumps(record)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_that_is_none(tmp_path, value):
    path = write_json(tmp_path / "record.json", {"old": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"metrics": {"laf": {"asr": value}}})
    assert json.loads(path.read_text()) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


COMPLETE = {part: {} for part in REQUIRED} | {"schema": records.SCHEMA}


@pytest.mark.parametrize("part", REQUIRED)
def test_an_incomplete_record_names_what_is_missing(tmp_path, part):
    path = write_json(tmp_path / "record.json", {name: value for name, value in COMPLETE.items() if name != part})
    with pytest.raises(RecordError, match=f"record.json: not a complete record, it lacks {part}$"):
        read(path)


@pytest.mark.parametrize("text", ["", "{", '{"schema": 1', "no json", "\x00"])
def test_a_broken_file_is_named(tmp_path, text):
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(RecordError, match="record.json: cannot be read as a record"):
        read(tmp_path / "record.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RecordError, match="nothing.json"):
        read(tmp_path / "nothing.json")


@pytest.mark.parametrize("text", ["[]", "3", "null", '"schema"'])
def test_other_json_is_no_record(tmp_path, text):
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(RecordError, match="not a complete record"):
        read(tmp_path / "record.json")


def test_a_record_of_a_newer_version_is_refused(tmp_path):
    path = write_json(tmp_path / "record.json", COMPLETE | {"schema": records.SCHEMA + 1})
    with pytest.raises(RecordError, match="newer version"):
        read(path)


def test_a_schema_that_is_no_number_is_refused(tmp_path):
    path = write_json(tmp_path / "record.json", COMPLETE | {"schema": "1"})
    with pytest.raises(RecordError):
        read(path)


def test_all_records_of_a_folder_in_order(tmp_path):
    for name in ("b/x.json", "a/y.json", "c.json"):
        write_json(tmp_path / name, COMPLETE | {"config": {"name": name}})
    assert [record["config"]["name"] for record in read_all(tmp_path)] == ["a/y.json", "b/x.json", "c.json"]
    (tmp_path / "d.json").write_text("{}")
    with pytest.raises(RecordError, match="d.json"):
        read_all(tmp_path)


def test_outside_git_the_commit_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(records, "CHECKOUT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert records.commit() == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))  # no git at all
    assert records.commit() == "unknown"
    monkeypatch.setattr(records, "CHECKOUT", None)  # installed from a wheel
    assert records.commit() == "unknown"


def test_versions_name_what_numbers_rest_on():
    import torch

    found = records.versions()
    assert found["torch"] == torch.__version__.split("+")[0] or found["torch"] == torch.__version__
    assert {"python", "torchvision", "numpy", "scikit-learn", "xgboost"} <= set(found)
    assert all(isinstance(version, str) for version in found.values())


def test_runs_of_different_settings_have_different_names():
    base = preset("mnist", "class")
    assert run_name(base, "mnist").startswith("mnist-class0-quick-reference-seed0-")
    configs = [
        base, preset("mnist", "class", unlearning__lr_ue=1e-9), preset("mnist", "class", forget_classes=(3,)),
        preset("mnist", "data"), preset("mnist", "class", mode="fixed"), preset("mnist", "class", seed=1),
        preset("mnist", "class", profile="paper"),
    ]
    assert len({run_name(config, "mnist") for config in configs}) == len(configs)
    assert run_name(base, "optdigits") != run_name(base, "mnist")
