"""Records of many models: their error bars, what is kept, what tables and sentences say of them."""

import json
import math
import re
import sys

import pytest
import torch

from laf_utils.book.chapters import ch6_many_models
from laf_utils.experiments import __main__ as command
from laf_utils.experiments.record import SHADOWS
from laf_utils.experiments.shadows import KINDS, PARTS, Shadows
from laf_utils.experiments.shadows_record import errors, example, inputs_of, jackknife, make, without
from laf_utils.support.paths import results_folder
from laf_utils.support.records import write_json

COMMITTED = sorted((results_folder() / "shadows").rglob("*.json"))
KEYED = {"key": "0" * 16, "inputs": {}}


def normal(models=6, images=12, **shift):
    """Shadows of normal phi, some kinds moved on every part."""
    draw = torch.Generator().manual_seed(0)
    count = {kind: 2 * models if kind == "retrained" else models for kind in KINDS}
    phi = {kind: {part: torch.randn(count[kind], images, generator=draw) + shift.get(kind, 0) for part in PARTS}
           for kind in KINDS}
    settings = {"train_images": 600, "forget": images, "retain": 500}
    return Shadows(phi, {kind: {part: [50.0] * count[kind] for part in PARTS} for kind in KINDS}, settings, {})


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = [1.0, 4.0, 2.0, 8.0]
    left_out = [(sum(values) - value) / 3 for value in values]
    std = math.sqrt(sum((value - 3.75) ** 2 for value in values) / 3)
    assert jackknife(left_out) == pytest.approx(std / 2)
    with pytest.raises(ValueError, match="two values"):
        jackknife([1.0])


def test_leaving_out_a_seed_takes_its_models_and_the_other_halfs():
    found = normal()
    less = without(found, 2)
    assert torch.equal(less.phi["laf"]["test"], found.phi["laf"]["test"][[0, 1, 3, 4, 5]])
    assert torch.equal(less.phi["retrained"]["forget"], found.phi["retrained"]["forget"][[0, 1, 3, 4, 5, 6, 7, 9, 10, 11]])
    assert len(less.accuracy["retrained"]["test"]) == 10 and len(less.accuracy["laf"]["test"]) == 5


def test_every_measure_has_an_error_and_certainty_has_none():
    found = normal(original=60.0)
    measures, error = found.measures(), errors(found)
    assert set(error) == set(measures) and error["laf"]["klom"]["forget"]["mean"] > 0
    assert error["original"]["u_lira_by_pair"]["auc"] == 0, "told apart whichever seed is left out"
    with pytest.raises(ValueError, match="more than 3"):
        errors(normal(models=3))


def record_of(found):
    place = {"dataset": "mnist", "task": "class", "models": len(found.phi["laf"]["forget"])}
    parts = {"schema": 1, "headline": "h", "caveats": ["few"], "place": place, "error": errors(found), "example": example(found)}
    return json.loads(json.dumps(parts | found.record()))


def test_what_is_far_is_told_apart_and_what_is_not_is_not():
    record = record_of(normal(models=12, images=60, original=60.0))
    assert ch6_many_models.told_apart(record, "original") and not ch6_many_models.told_apart(record, "laf")
    found = ch6_many_models.many_models_finding([record])
    assert re.search(r"\| MNIST, class removal \| \d+\.\d \| \*\*100\.0\*\* \| \d+\.\d \|", found), "LAF is not told"
    assert "no power" not in found
    blind = record_of(normal(models=12, images=60))
    assert "*no power*" in ch6_many_models.many_models_finding([blind]), "the untouched original is not told from them either"
    rows = ch6_many_models.table(record)
    assert list(rows.index) == ["Original", "Retrained, other seeds", "LAF", "LAF+R"]
    assert rows.loc["Original", "U-LiRA AUC"].startswith("100.0")
    assert ch6_many_models.rests_on(record).startswith("12 models") and ch6_many_models.rests_on(record).endswith(" few")


def test_the_finding_counts_who_is_as_blind_as_two_groups_of_retrained_models():
    groups = [record_of(normal(models=12, images=60, original=60.0, laf=60.0)), record_of(normal(models=12, images=60))]
    groups[1]["place"]["task"] = "data"
    said = ch6_many_models.many_models_finding(groups)
    assert "of two groups of retrained models:** LAF in 1 of 2; LAF+R in 2 of 2 requests." in said
    assert said.count("\n| MNIST") == 2 and "–" in said, "relearn is in none of them"


def test_the_picture_shows_every_model_of_every_kind():
    record = record_of(normal())
    axis = ch6_many_models.one_image(record).axes[0]
    assert [len(line.get_xdata()) for line in axis.lines] == [6] * 5
    assert [label.get_text() for label in axis.get_yticklabels()][-1] == "Retrained"


def test_the_record_with_the_most_models_is_shown(tmp_path):
    for models in (6, 12):
        write_json(tmp_path / "mnist" / f"class-models{models}.json", record_of(normal(models=models)) | KEYED)
    assert ch6_many_models.found("mnist", "class", tmp_path)["place"]["models"] == 12
    assert ch6_many_models.found("mnist", "data", tmp_path) is None


def test_a_record_is_made_and_read_again(make_run, tmp_path):
    run, seeds = make_run(), [0, 1, 2, 3]
    path = write_json(tmp_path / "x.json", SHADOWS.head(inputs_of(run, seeds)) | make(run, seeds))
    record = SHADOWS.read(path)
    assert SHADOWS.state(path, inputs_of(run, seeds)) == ("valid", ())
    assert SHADOWS.state(path, inputs_of(run, seeds[::-1])) == ("stale", ("settings",))
    assert set(SHADOWS.parts) <= set(record) and record["place"]["models"] == 4
    assert len(record["example"]["phi"]["null"]) == 4 and record["error"]["null"]["u_lira_by_pair"]["auc"] >= 0


@pytest.mark.parametrize(("argument", "said"), [("MODELS=3", "from 4"), ("MODEL=8", "MODEL"), ("DATASET=mnits", "mnits")])
def test_a_wrong_argument_gets_one_line(argument, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["experiments", "KIND=shadows", argument])
    assert command.main() != 0
    error = capsys.readouterr().err.strip()
    assert said in error and len(error.splitlines()) == 1


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_null_of_committed_records_is_blind(path):
    record = SHADOWS.read(path)
    null, error = (record[part]["null"]["u_lira_by_pair"]["auc"] for part in ("measures", "error"))
    assert abs(null - 50) < 3 * error + 3, "two groups of retrained models differ in their seeds alone"


def test_there_are_committed_records():
    assert len(COMMITTED) >= 4
