"""The audit over training seeds: what a record holds, what the tables and sentences make of records, and their errors."""

import json

import pytest
import torch

from laf_utils.audit.verdict import VERDICTS, verdict_over_seeds
from laf_utils.book.chapters import ch6_figure, ch6_known_answers, ch6_tables
from laf_utils.experiments.audit_seeds import (
    COMPARED,
    MODELS,
    NULL,
    REQUIRED,
    Models,
    Place,
    audit_request,
    inputs_of,
    measured,
    models_of,
)
from laf_utils.experiments.audits import places_of
from laf_utils.experiments.problem import Problem
from laf_utils.settings.cli import Stop
from laf_utils.support import records
from laf_utils.support.keys import content_key
from laf_utils.support.reading import ReadingError
from laf_utils.training import TrainingDiverged


def fake(seed=0, shifts=None, task="class", missing=()):
    """What tables read of a record; ``shifts`` in nats by model."""
    shifts = {"original": 20.0, NULL: 0.1 * (-1) ** seed, "laf": -4.0 + 0.1 * seed, "laf_r": 0.05, **(shifts or {})}
    models = [model for model in MODELS if model not in missing]
    own = {"train_r": 99.0, "train_f": 1.0, "test": 90.0, "test_r": 98.0, "test_f": 0.0, "asr": 30.0 + seed}
    attack = {"chance": 54.0, "balanced_accuracy": 51.0, "auc": 52.0}

    def audit(model):
        goal = model == "retrained"
        return {
            "u_mia": {"accuracy": 50.0 + (model == "laf") * 3 + seed},
            "rmia": None if goal else {"auc": 51.0, "tpr_at_1_fpr": 1.0},
            "ks_log10_p": None if goal else -3.0, "js_forget": None if goal else 0.2, "cka_retain": 0.9, "cka_forget": 0.8,
            "distance_retain": 0.5, "distance_forget": None, "verdict": None if goal else {"shift": shifts.get(model, 1.0)},
        }

    return dict.fromkeys(REQUIRED, {}) | {
        "schema": 1, "place": {"dataset": "mnist", "task": task, "seed": seed, "profile": "quick"}, "caveats": ["Profile quick."],
        "task": {"forget": 1200, "retain": 10800}, "metrics": dict.fromkeys(models, own), "attack": dict.fromkeys(models, attack),
        "gaps": {m: {"mean": 0.5, "tow": 0.99} for m in models if m != "retrained"}, "audit": {m: audit(m) for m in models},
        "relearn": {m: 1 for m in models if m != "original"}, "failures": dict.fromkeys(missing, "the loss is not a number"),
    }


@pytest.fixture
def seeds():
    return [fake(seed) for seed in range(5)]


def test_a_record_holds_every_model_and_measure(make_run, monkeypatch):
    problem = Problem.of(make_run(task="class"))
    models = models_of(problem)
    assert set(models.found) | set(models.failures) == set(MODELS)
    found = measured(problem, models.found)
    for model in models.found:
        own = found["audit"][model]
        assert {"u_mia", "rmia", "ks_log10_p", "js_forget", "cka_forget", "distance_forget", "verdict"} <= own.keys()
        assert (own["verdict"] is None) == (model == "retrained")
        assert {"asr", "balanced_accuracy", "auc", "chance", "tpr_at_1_fpr"} <= found["attack"][model].keys()
    assert found["relearn"].keys() == models.found.keys() - {"original"}
    assert found["audit"]["laf"]["verdict"]["floor"] is not None, "the second retrained model is the floor of the others"
    assert found["audit"][NULL]["verdict"]["floor"] is None
    assert models.cost.keys() == models.found.keys()
    json.dumps(found, allow_nan=False)


def test_the_second_retrained_model_in_its_own_place_is_the_null(make_run):
    problem = Problem.of(make_run(task="data"))
    run = problem.run
    copied = measured(problem, {"original": run.original, "retrained": run.retrained, NULL: run.retrained, "laf": run.retrained})
    own = copied["audit"]["laf"]
    assert own["verdict"]["verdict"] == VERDICTS[1] and own["verdict"]["shift"] == 0
    assert own["ks_log10_p"] == pytest.approx(0, abs=1e-9) and own["js_forget"] == pytest.approx(0, abs=1e-9)
    assert own["cka_forget"] == pytest.approx(1) and own["distance_forget"] == 0
    assert copied["gaps"]["laf"]["tow"] == 1


def test_a_method_that_diverges_is_named_and_the_others_stay(make_run, monkeypatch):
    def diverges(name, *_):
        raise TrainingDiverged(f"{name}: the loss of epoch 1 is not a number")

    monkeypatch.setattr("laf_utils.experiments.audit_seeds.run_method", diverges)
    models = models_of(Problem.of(make_run(task="class")))
    assert set(models.failures) == set(COMPARED) and "laf_r" in models.found
    assert "scrub: the loss" in models.failures["scrub"]


def test_a_valid_record_is_taken_and_any_other_is_made_anew(tmp_path, make_run, monkeypatch):
    monkeypatch.setenv("LAF_RESULTS", str(tmp_path))
    problem, made = Problem.of(make_run(task="class")), []
    monkeypatch.setattr("laf_utils.experiments.audit_seeds.Problem", lambda *_, **__: problem)
    monkeypatch.setattr("laf_utils.experiments.audit_seeds.models_of", lambda p: made.append(p) or Models({}, {}, {}))
    monkeypatch.setattr("laf_utils.experiments.audit_seeds.measured", lambda *_: {
        part: {} for part in ("metrics", "attack", "gaps", "audit", "relearn")
    })
    place = Place("optdigits", "class", 0)
    first = audit_request(place)
    assert audit_request(place)["created"] == first["created"] and len(made) == 1
    assert first["key"] == content_key(first["inputs"]) and first["inputs"] == inputs_of(problem)
    place.path.write_text(json.dumps(first | {"key": "of other code"}))
    audit_request(place)
    place.path.write_text("{")
    audit_request(place)
    assert len(made) == 3


def test_records_of_other_code_or_a_lacking_part_are_refused(tmp_path):
    (tmp_path / "mnist").mkdir()
    whole = fake()
    (tmp_path / "mnist" / "class-quick-seed0.json").write_text(json.dumps(whole))
    assert ch6_tables.found("mnist", "class", folder=tmp_path) == [whole]
    del whole["audit"]
    (tmp_path / "mnist" / "class-quick-seed1.json").write_text(json.dumps(whole))
    with pytest.raises(records.RecordError, match="lacks audit"):
        ch6_tables.found("mnist", "class", folder=tmp_path)


def test_the_verdict_over_seeds_has_two_sides_and_takes_seeds_as_its_unit():
    null = [0.2, -0.3, 0.1, -0.1, 0.2]
    assert verdict_over_seeds([-4.0, -4.1, -3.8, -4.2, -3.9], null).verdict == "over-forgotten"
    assert verdict_over_seeds([4.0, 4.1, 3.8, 4.2, 3.9], null).verdict == "under-forgotten"
    assert verdict_over_seeds([4.0, -4.1, 3.8, -4.2, 0.1], null).verdict == VERDICTS[1], "seeds disagree"
    assert verdict_over_seeds([0.1, 0.11, 0.12, 0.1, 0.11], null).verdict == VERDICTS[1], "sure, but within the noise"
    with pytest.raises(ValueError, match="two seeds"):
        verdict_over_seeds([1.0], null)


def test_the_power_over_seeds_is_what_it_says():
    draw = torch.Generator().manual_seed(0)
    null, hits = [0.01, -0.01, 0.005, -0.005, 0.0], 0
    detectable = verdict_over_seeds([0.0, 1.0, -1.0, 2.0**0.5, -(2.0**0.5)], null)  # std over these: 1.22
    scale = torch.tensor([0.0, 1.0, -1.0, 2.0**0.5, -(2.0**0.5)]).std().item()
    for _ in range(400):
        shifts = detectable.detectable + scale * torch.randn(5, generator=draw)
        hits += verdict_over_seeds(shifts.tolist(), null).verdict == "under-forgotten"
    assert 0.72 < hits / 400 < 0.9


def test_tables_have_a_row_for_every_model_and_intervals(seeds):
    for table in (ch6_tables.utility(seeds), ch6_tables.membership(seeds)):
        assert list(table.index[:3]) == ["Original", "Retrained", "Retrained, another seed"]
        assert len(table) == len(MODELS) and set(table["seeds"]) == {"5"}
    assert ch6_tables.membership(seeds).loc["LAF", "ASR"] == "32.0\u00a0±\u00a02.0"  # t(4) * sqrt(2.5) / sqrt(5)
    assert "Retrained" not in ch6_tables.distances(seeds).index
    assert ch6_tables.verdicts(seeds).loc["LAF", "verdict"] == "over-forgotten"
    assert ch6_tables.utility([]).empty


def test_a_model_that_diverged_everywhere_says_so():
    found = [fake(seed, missing=("scrub",)) for seed in range(2)]
    assert ch6_tables.utility(found).loc["SCRUB", "seeds"] == "diverged"
    assert ch6_tables.sentence(found, "scrub").endswith("SCRUB diverged.")
    assert "SCRUB" not in ch6_tables.verdicts(found).index


def test_a_sentence_holds_its_numbers(seeds):
    said = ch6_tables.sentence(seeds, "laf")
    assert said.startswith("MNIST, class removal: LAF is **over-forgotten**")
    for number in ("3.80 nats below", "5 seeds", "four times in five"):
        assert number in said
    assert "too few seeds" in ch6_tables.sentence(seeds[:1], "laf")
    assert "indistinguishable" in ch6_tables.sentence(seeds, "laf_r")
    assert "no record yet" in ch6_tables.sentence([], "laf")


def test_what_a_table_rests_on_is_said(seeds):
    assert ch6_tables.rests_on(seeds) == "Training seeds 0, 1, 2, 3, 4; 1,200 images to forget, 10,800 to keep. Profile quick."


def test_the_picture_has_a_row_for_every_request_with_records(seeds):
    figure = ch6_figure.against_retrained({("mnist", "class"): seeds, ("mnist", "data"): []})
    assert len(figure.axes) == 2
    first = figure.axes[0]
    assert [text.get_text() for text in first.get_yticklabels()][0] == "Original"
    laf = [line.get_xdata() for line in first.lines if len(line.get_xdata()) == 5][2]
    assert sorted(laf) == pytest.approx([-4.0, -3.9, -3.8, -3.7, -3.6])
    with pytest.raises(ValueError, match="no record"):
        ch6_figure.against_retrained({("mnist", "class"): []})


def test_places_span_the_lists_with_seeds_outermost():
    places = places_of(["SEED=0,1", "DATASET=mnist"])
    assert [(p.seed, p.task) for p in places] == [(0, "class"), (0, "data"), (1, "class"), (1, "data")]
    assert len(places_of([])) == 20


@pytest.mark.parametrize("wrong", ["SEDE=1", "SEED", "SEED="])
def test_a_wrong_argument_is_one_clear_error(wrong):
    with pytest.raises(Stop, match="expected NAME=VALUE"):
        places_of([wrong])


@pytest.mark.parametrize("wrong", ["SEED=x", "SEED=1,", "SEED=1,1", "SEED=1_0"])
def test_a_wrong_seed_is_one_clear_error(wrong):
    with pytest.raises(ReadingError, match="SEED"):
        places_of([wrong])


def test_closed_forms_give_their_answers():
    for name, value, _, answer in [*ch6_known_answers._pairwise(), *ch6_known_answers._many()]:
        wanted = {"about 50": (50, 1.5), "near 100": (98, 2.1), "near 0": (0.02, 0.02)}.get(answer)
        goal, error = wanted or (float(answer.split("=")[-1]), 1e-3)
        assert value == pytest.approx(goal, abs=error), name
    assert len(ch6_known_answers.closed_forms().splitlines()) == 16
