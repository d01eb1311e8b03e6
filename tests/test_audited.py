"""The audit over training seeds: what a record holds, what the tables and sentences make of records, and their errors."""

import json

import pytest

from laf_utils.audit.free import DEFINITION
from laf_utils.audit.verdict import CANNOT, VERDICTS
from laf_utils.book.chapters import ch6_figure, ch6_known_answers, ch6_many_models, ch6_tables
from laf_utils.experiments.audit_seeds import COMPARED, MODELS, NULL, Models, inputs_of, measured, models_of
from laf_utils.experiments.commands import audit, places_of
from laf_utils.experiments.problem import Problem
from laf_utils.experiments.record import AUDIT, Place
from laf_utils.settings.cli import Stop
from laf_utils.support import records
from laf_utils.support.keys import content_key
from laf_utils.support.reading import ReadingError
from laf_utils.training import TrainingDiverged


def fake(seed=0, shifts=None, task="class", missing=()):
    """What tables read of a record; ``shifts`` in nats by model."""
    sign = (-1) ** seed
    shifts = {"original": 20.0, NULL: 0.1 * sign, "laf": -4.0 + 0.1 * seed, "laf_r": 0.05 * sign, **(shifts or {})}
    models = [model for model in MODELS if model not in missing]
    own = {"train_r": 99.0, "train_f": 1.0, "test": 90.0, "test_r": 98.0, "test_f": 0.0, "asr": 30.0 + seed}
    attack = {"chance": 54.0, "balanced_accuracy": 51.0, "auc": 52.0}

    def audit(model):
        goal = model == "retrained"
        return {
            "u_mia_log": {"accuracy": 50.0 + (model == "laf") * 3 + seed},
            "rmia": None if goal else {"auc": 51.0, "tpr_at_1_fpr": 1.0}, "ks_distance": None if goal else 0.3,
            "log_odds_auc": None if goal else {"laf": 20.0, NULL: 50.0 + sign, "relearn": 58.0}.get(model, 90.0),
            "distance_by_image": None if goal else abs(shifts.get(model, 1.0)) + 1 + 0.01 * seed * (model == NULL),
            "wasserstein": None if goal else 0.5, "js_forget": None if goal else 0.2 + 0.01 * (seed if model == NULL else 2),
            "debiased_cka_retain": 0.9, "debiased_cka_forget": 0.8 - 0.001 * (model == NULL) * seed,
            "distance_retain": 0.5, "distance_forget": None, "verdict": None if goal else {"shift": shifts.get(model, 1.0)},
        }

    return dict.fromkeys(AUDIT.parts, {}) | {
        "schema": 1, "definition": DEFINITION, "place": {"dataset": "mnist", "task": task, "seed": seed, "profile": "quick"},
        "caveats": ["Profile quick."],
        "task": {"forget": 1200, "retain": 10800}, "metrics": dict.fromkeys(models, own), "attack": dict.fromkeys(models, attack),
        "gaps": {m: {"mean": 0.5, "tow": 0.99} for m in models if m != "retrained"}, "audit": {m: audit(m) for m in models},
        "relearn": {m: 1 for m in models if m != "original"}, "failures": dict.fromkeys(missing, "the loss is not a number"),
    }


@pytest.fixture
def seeds():
    return [fake(seed) for seed in range(5)]


def test_a_record_holds_every_model_and_measure(make_run, monkeypatch):
    problem = Problem(make_run(task="class"))
    models = models_of(problem)
    assert set(models.found) | set(models.failures) == set(MODELS)
    found = measured(problem, models.found)
    for model in models.found:
        own = found["audit"][model]
        assert {"u_mia_log", "rmia", "ks_distance", "distance_by_image", "js_forget", "debiased_cka_forget"} <= own.keys()
        assert (own["verdict"] is None) == (model == "retrained")
        assert {"asr", "balanced_accuracy", "auc", "chance", "tpr_at_1_fpr"} <= found["attack"][model].keys()
        assert (model == "retrained") != ("log_odds_auc" in own)
    assert found["relearn"].keys() == models.found.keys() - {"original"}
    assert found["audit"]["laf"]["verdict"]["retrained"] == 2, "the second retrained model is the spread of the others"
    assert found["audit"][NULL]["verdict"]["verdict"] == CANNOT, "and has the first alone beside it"
    assert models.cost.keys() == models.found.keys()
    json.dumps(found, allow_nan=False)


def test_the_second_retrained_model_in_its_own_place_is_the_null(make_run):
    problem = Problem(make_run(task="data"))
    run = problem.run
    copied = measured(problem, {"original": run.original, "retrained": run.retrained, NULL: run.retrained, "laf": run.retrained})
    own = copied["audit"]["laf"]
    assert own["verdict"]["verdict"] in VERDICTS and own["verdict"]["shift"] == 0
    assert own["ks_distance"] == own["distance_by_image"] == 0 and own["js_forget"] == pytest.approx(0, abs=1e-9)
    assert own["debiased_cka_forget"] == pytest.approx(1) and own["distance_forget"] == 0
    assert copied["gaps"]["laf"]["tow"] == 1 and own["log_odds_auc"] == 50


def test_the_log_odds_finding_counts_requests_as_near_as_a_second_retrained_model(seeds):
    said = ch6_tables.log_odds_finding({("mnist", "class"): seeds, ("mnist", "data"): seeds[:2], ("fashion", "data"): seeds[:1]})
    assert "relearn in 2 of 2, LAF in 0 of 2 requests" in said, "8 and 30 points from 50, a second retrained model 1"
    assert ch6_tables.log_odds_finding({("mnist", "class"): seeds[:1]}) == "", "one seed, no claim"


def test_a_method_that_diverges_is_named_and_the_others_stay(make_run, monkeypatch):
    def diverges(name, *_):
        raise TrainingDiverged(f"{name}: the loss of epoch 1 is not a number")

    monkeypatch.setattr("laf_utils.experiments.audit_seeds.run_method", diverges)
    models = models_of(Problem(make_run(task="class")))
    assert set(models.failures) == set(COMPARED) and "laf_r" in models.found
    assert "scrub: the loss" in models.failures["scrub"]


def test_a_valid_record_is_taken_and_any_other_is_made_anew(tmp_path, make_run, monkeypatch):
    monkeypatch.setenv("LAF_RESULTS", str(tmp_path))
    problem, made = Problem(make_run(task="class")), []
    monkeypatch.setattr("laf_utils.experiments.audit_seeds.Problem.asked", lambda *_, **__: problem)
    monkeypatch.setattr("laf_utils.experiments.audit_seeds.models_of", lambda p: made.append(p) or Models({}, {}, {}))
    monkeypatch.setattr("laf_utils.experiments.audit_seeds.measured", lambda *_: {
        part: {} for part in ("metrics", "attack", "gaps", "audit", "relearn")
    })
    path = AUDIT.path(Place("optdigits", "class", 0))

    def audited():
        audit(["DATASET=optdigits", "TASK=class", "SEED=0"])
        return AUDIT.read(path)

    first = audited()
    assert audited()["created"] == first["created"] and len(made) == 1
    assert first["key"] == content_key(first["inputs"]) and first["inputs"] == inputs_of(problem)
    assert first["definition"] == DEFINITION
    path.write_text(json.dumps(first | {"key": "of other code"}))
    audited()
    path.write_text("{")
    audited()
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


def test_verdicts_with_their_numbers_are_folded_away():
    said = ch6_tables.told(["One.", "Two."])
    assert said.startswith("<details><summary>") and "\n\n- One.\n- Two.\n\n</details>" in said


def test_requests_without_a_record_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("LAF_RESULTS", str(tmp_path))
    assert ch6_tables.places() == {}
    path = tmp_path / "audit" / "fashion" / "noisy-quick-seed0.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(fake(task="noisy")))
    assert list(ch6_tables.places()) == [("fashion", "noisy")]


def test_tables_have_a_row_for_every_model_and_intervals(seeds):
    for table in (ch6_tables.utility(seeds), ch6_tables.membership(seeds)):
        assert list(table.index[:3]) == ["Original", "Retrained", "Retrained, another seed"]
        assert len(table) == len(MODELS) and table.columns[0] in ("gap", "U-MIA on log loss")
    assert ch6_tables.diverged(seeds) == ""
    assert ch6_tables.membership(seeds).loc["LAF", "published ASR"] == "32.0\u00a0±\u00a01.6"  # sqrt(2.5)
    assert "Retrained" not in ch6_tables.distances(seeds).index
    rows = ch6_tables.verdicts(seeds)
    assert rows.index[0] == "Original" and rows.loc["LAF", "verdict"] == "different (over-forgotten)"
    assert rows.loc["LAF+R", "verdict"] == "equivalent" and rows.loc["LAF", "exact methods that pass"] == "52 %"
    assert ch6_tables.utility([]).empty


def test_a_model_that_diverged_everywhere_says_so():
    found = [fake(seed, missing=("scrub",)) for seed in range(2)]
    assert "SCRUB" not in ch6_tables.utility(found).index and ch6_tables.diverged(found) == "Diverged: SCRUB."
    assert ch6_tables.diverged([*found, fake(2)]) == "Diverged: SCRUB (2 of 3 seeds)."
    absent = [record | {"failures": {}} for record in found]
    assert ch6_tables.diverged(absent) == "Not on record: SCRUB.", "what was left out has not diverged"
    assert ch6_tables.sentence(found, "scrub").endswith("SCRUB diverged.")
    assert "SCRUB" not in ch6_tables.verdicts(found).index


def test_a_sentence_holds_its_numbers(seeds):
    said = ch6_tables.sentence(seeds, "laf")
    assert said.startswith("MNIST, class removal: LAF is **different (over-forgotten)** from retrained models.")
    for number in ("3.80 nats below", "untouched original 20.00 nats above"):
        assert number in said
    assert "interval" not in said, "those stand in the table"
    assert {"95 % interval", "margin", "found 4 times in 5"} <= set(ch6_tables.verdicts(seeds).columns)
    assert "JS on D_f does not tell it apart" in said, "a measure of the verdict that sees nothing is named too"
    assert "one seed, no claim" in ch6_tables.sentence(seeds[:1], "laf")
    assert "is **equivalent** to retrained models" in ch6_tables.sentence(seeds, "laf_r")
    assert "no record yet" in ch6_tables.sentence([], "laf")


def test_a_measure_that_disagrees_is_named():
    found = [fake(seed) for seed in range(5)]
    for record in found:
        record["audit"]["laf_r"] |= {"debiased_cka_forget": 0.3 + 0.01 * record["place"]["seed"]}
    said = ch6_tables.sentence(found, "laf_r")
    assert "**equivalent**" in said and "CKA on D_f disagrees and is 0.320 where two retrained models have 0.798" in said
    for record in found:
        record["audit"]["laf_r"] |= {"js_forget": 0.6}
    said = ch6_tables.sentence(found, "laf_r")
    assert "LAF+R is **different** from" in said and "JS on D_f is 0.600 where two retrained models have 0.220" in said
    assert "mean of φ alone does not tell it apart" in said


def test_the_attack_over_many_models_is_held_against_the_verdict(seeds, tmp_path, monkeypatch):
    own = {"auc": 90.0}
    measures = {kind: {ch6_many_models.ATTACK: own if kind == "laf_r" else {"auc": 50.0}} for kind in ch6_many_models.ROWS}
    error = {kind: {ch6_many_models.ATTACK: {"auc": 2.0}} for kind in ch6_many_models.ROWS}
    record = {"definition": 2, "place": {"models": 8}, "measures": measures, "error": error}
    monkeypatch.setattr(ch6_many_models, "found", lambda *_: record)
    said = ch6_many_models.verdict_sentence(seeds, "laf_r")
    assert "U-LiRA disagrees and tells it apart: over 8 models of each kind its AUC is 90.0, between retrained ones 50.0" in said
    assert "U-LiRA disagrees and does not tell it apart" in ch6_many_models.verdict_sentence(seeds, "laf")


def test_what_the_original_passes_as_well_is_no_result():
    found = [fake(seed, shifts={"original": 0.1 * (-1) ** seed}) for seed in range(5)]
    assert "LAF+R cannot be judged here (**no power**)" in ch6_tables.sentence(found, "laf_r")
    assert ch6_tables.verdicts(found).loc["LAF+R", "verdict"] == "no power"


def test_the_summary_sorts_requests_by_verdict():
    blind = [fake(seed, shifts={"original": 0.1 * (-1) ** seed}, task="data") for seed in range(5)]
    places = {("mnist", "class"): [fake(seed) for seed in range(5)], ("mnist", "data"): blind, ("fashion", "class"): [fake()]}
    assert ch6_tables.summary(places, "laf_r").startswith("LAF+R beside retrained models: **")
    said = ch6_tables.summary(places, "laf")
    assert "**different** in" in said and "**too few seeds to judge** in 1 request (Fashion-MNIST, class removal)" in said
    assert "**no power** in 1 request (MNIST, data removal)" in ch6_tables.summary(places, "laf_r")


def test_a_record_of_another_definition_is_refused(tmp_path):
    records.write_json(tmp_path / "mnist" / "class-quick-seed0.json", fake() | {"definition": DEFINITION - 1, "schema": 1})
    with pytest.raises(records.RecordError, match="another definition than they have now; make it anew"):
        ch6_tables.found("mnist", "class", folder=tmp_path)
    assert AUDIT.definition == DEFINITION


def test_the_published_attack_without_power_is_said_to_have_none(seeds):
    assert "no power" in ch6_tables.powerless(seeds), "30 to 34 % where always answering member scores 54"
    for record in seeds:
        record["metrics"] = {model: own | {"asr": 60.0} for model, own in record["metrics"].items()}
    assert not ch6_tables.powerless(seeds)


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


AUDITED = "mnist,fashion", "class,data", "0,1,2,3,4"


def test_places_span_the_lists_with_seeds_outermost():
    places = places_of(["SEED=0,1", "DATASET=mnist"], *AUDITED)[0]
    assert [(p.seed, p.task) for p in places] == [(0, "class"), (0, "data"), (1, "class"), (1, "data")]
    assert len(places_of([], *AUDITED)[0]) == 20


@pytest.mark.parametrize("wrong", ["SEDE=1", "SEED", "SEED="])
def test_a_wrong_argument_is_one_clear_error(wrong):
    with pytest.raises(Stop, match="expected NAME=VALUE"):
        places_of([wrong], *AUDITED)


@pytest.mark.parametrize("wrong", ["SEED=x", "SEED=1,", "SEED=1,1", "SEED=1_0"])
def test_a_wrong_seed_is_one_clear_error(wrong):
    with pytest.raises(ReadingError, match="SEED"):
        places_of([wrong], *AUDITED)


def test_closed_forms_give_their_answers():
    table = ch6_known_answers.closed_forms()
    assert table.right.all(), table[~table.right]
    assert ch6_known_answers.count_right(table) == "20 of 20 known answers are given."


@pytest.mark.parametrize("value, answer", [(0.1, "0"), (0.9, "1"), (0.6, "ln 2 = 0.693"), (53.0, "about 50"), (95.0, "near 100")])
def test_a_wrong_answer_is_seen(monkeypatch, value, answer):
    monkeypatch.setattr(ch6_known_answers, "_cases", lambda: [("CKA", 1.0, "a turned one", "1"), ("KS, D", value, "x", answer)])
    table = ch6_known_answers.closed_forms()
    assert list(table.right) == [True, False] and ch6_known_answers.count_right(table).startswith("1 of 2")
