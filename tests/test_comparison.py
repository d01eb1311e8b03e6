"""Cells of the comparison: what a record holds, when it is made anew, and what it is measured against."""

import dataclasses
import json
import re
import sys

import pytest
import torch
from exhibits_fakes import fake, rows_of

from laf_utils.book.chapters import ch5_evidence, ch5_live, ch5_tables
from laf_utils.book.results import tables
from laf_utils.experiments import __main__ as command
from laf_utils.experiments import comparison, making, second_retrained
from laf_utils.experiments.cells import COMPARISON, REFERENCES, Cell, listed, read
from laf_utils.experiments.expected import expected, table
from laf_utils.experiments.making import inputs_of, make, run_cell, settings_of
from laf_utils.experiments.memory import PeakMemory
from laf_utils.experiments.problem import Problem
from laf_utils.experiments.tuning_winners import WinnersError, winners_of, winners_path
from laf_utils.methods import METHODS, find, run_method
from laf_utils.methods.method import fingerprint
from laf_utils.settings.changes import changed, scaled
from laf_utils.settings.config import ConfigError
from laf_utils.support import records
from laf_utils.support.keys import content_key, stale_parts
from laf_utils.training import TrainingDiverged


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A results folder of its own."""
    monkeypatch.setenv("LAF_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.fixture
def problem(make_run, folder):
    return Problem(make_run())


def tiny(method, task="class", **changes):
    return Cell("tiny", task, method, **changes)


def made(problem, method):
    cell = tiny(method, problem.config.task)
    settings = settings_of(cell, problem, None)
    return COMPARISON.head(inputs_of(cell, problem, settings)) | make(cell, problem, settings)


# -- records ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["original", "retrain", "laf_r", "ts", "scrub_r", "lfssd"])
def test_a_record_is_complete_strict_json_and_in_percent(method, problem, folder):
    record = run_cell(tiny(method), problem)
    path = folder / "comparison" / "tiny" / f"class-{method}-seed0.json"
    assert read(path) == json.loads(json.dumps(record)) and set(COMPARISON.parts) <= set(record)
    assert all(0 <= value <= 100 for value in record["metrics"].values())
    assert record["attack"].keys() >= {"chance", "balanced_accuracy", "auc"}
    assert record["metrics"]["asr"] == record["attack"]["asr"]
    assert record["failure"] is None and record["passes"]["equivalent"] >= 0 and record["seconds"] > 0
    assert set(record["metrics"]) == {"train_r", "train_f", "test", "test_r", "test_f", "asr"}


def test_the_gap_is_to_the_retrained_model(problem):
    goal, own = made(problem, "retrain"), made(problem, "boundary_expand")
    assert goal["gap"]["mean"] == 0
    used = ("train_r", "train_f", "test_r")
    assert own["gap"]["mean"] == pytest.approx(sum(abs(own["metrics"][m] - goal["metrics"][m]) for m in used) / 3)
    assert own["gap"]["mean"] > 0


def test_what_was_spent_is_what_the_method_counts(problem):
    record, method = made(problem, "ts"), METHODS["ts"]
    assert record["passes"]["training"] == 30 + round(0.3 * 270) == record["passes"]["frozen"]
    assert record["label_access"] == {"level": "none", "share_of_retain": None} and record["data_access"] == "D_f, D_r"
    assert record["method"] == {"title": "T-S", "reference": method.reference}
    assert not record["from_artefact"] and record["processor_seconds"] > 0
    assert record["ascent_steps"] == 0 and made(problem, "neggrad")["ascent_steps"] == METHODS["neggrad"].settings.epochs


def test_laf_from_the_pipeline_is_the_method_of_the_table(problem):
    record = made(problem, "laf_r")
    settings = settings_of(tiny("laf_r"), problem, None)
    result = run_method("laf_r", problem.request, settings)
    assert fingerprint(result.model) == fingerprint(problem.run.laf_r)
    assert record["passes"]["training"] == result.passes.training and record["passes"]["frozen"] == result.passes.frozen
    assert record["label_access"] == {"level": "few", "share_of_retain": 1.0}
    assert record["from_artefact"] and record["seconds"] == pytest.approx(
        sum(problem.run.seconds[stage] for stage in ("vae", "unlearning", "repair"))
    )


def test_a_method_that_diverges_leaves_a_record_that_says_so(problem, folder, monkeypatch):
    def explode(view, settings):
        raise TrainingDiverged("neggrad: the loss is not finite")

    monkeypatch.setitem(METHODS, "neggrad", dataclasses.replace(METHODS["neggrad"], function=explode))
    record = run_cell(tiny("neggrad"), problem)
    assert record["failure"] == "neggrad: the loss is not finite" and record["metrics"] is None and record["gap"] is None
    assert ch5_tables.costs([record]).empty and ch5_tables.diverged([record]) == "Diverged, so without a row: NegGrad."


def test_a_method_with_an_original_of_its_own_shows_it_before(problem):
    cell = tiny("unroll")
    settings = changed(settings_of(cell, problem, None), {"epochs": 2, "strength": 0.0})
    record = make(cell, problem, settings)
    assert record["before"] == record["metrics"]  # strength zero: nothing is taken back
    assert record["preparation"]["seconds"] > 0
    assert list(ch5_tables.own_originals([record]).index) == ["Unroll"]
    assert record["before"]["train_r"] != made(problem, "original")["metrics"]["train_r"]


def test_sisa_trains_as_the_run_does(problem):
    assert settings_of(tiny("sisa"), problem, None).training == problem.config.training


# -- the held-out set and the noise floor -----------------------------------------------------------------------------------


def test_held_out_images_are_not_among_those_it_is_measured_on(problem):
    rows = problem.held_out_rows
    assert len(rows) == 20 and len(rows.unique()) == 20
    assert torch.equal(problem.held_out[1], problem.run.data.test.labels[rows])
    outputs = problem.outputs(problem.run.original)
    spoilt = outputs.test.logits.clone()
    spoilt[rows] = torch.nn.functional.one_hot((problem.held_out[1] + 1) % 10, 10).float() * 99
    wrong = dataclasses.replace(outputs, test=dataclasses.replace(outputs.test, logits=spoilt))
    whole, rest = (problem.measure(outputs, without_held_out=flag).metrics["test"] for flag in (False, True))
    assert problem.measure(wrong, without_held_out=True).metrics["test"] == rest
    assert problem.measure(wrong).metrics["test"] < whole
    assert made(problem, "scrub_r")["test_without_held_out"] and not made(problem, "ts")["test_without_held_out"]


@pytest.mark.parametrize("task, from_disk", [("class", True), ("data", False)])
def test_the_noise_floor_retrains_on_the_same_images_from_another_seed(task, from_disk, make_run, folder):
    problem = Problem(make_run(task))
    record = made(problem, "retrain_again")
    next_seed = make_run(task, seed=1)
    model, passes, _ = second_retrained.retrained_again(problem, problem.config.training)
    # Class removal forgets the same images whatever the seed, so the next seed's own retrained model is the one.
    assert (fingerprint(model) == fingerprint(next_seed.retrained)) is from_disk
    assert fingerprint(model) != fingerprint(problem.run.retrained)
    assert record["passes"]["training"] == passes.training == problem.config.training.epochs * len(problem.run.task.retain)


# -- when a record is made anew ---------------------------------------------------------------------------------------------


def test_a_valid_record_is_taken_and_any_other_is_made_anew(problem, monkeypatch):
    cell, calls = tiny("boundary_expand"), []
    monkeypatch.setattr(making, "make", lambda *given: calls.append(given) or make(*given))
    first = run_cell(cell, problem)
    assert run_cell(cell, problem) == first and len(calls) == 1
    cell.path.write_text(json.dumps(first | {"key": "another"}))
    assert run_cell(cell, problem)["key"] == first["key"] and len(calls) == 2
    cell.path.write_text("{half a rec")
    run_cell(cell, problem)
    cell.path.write_text(json.dumps(first | {"schema": 99}))
    run_cell(cell, problem)
    assert len(calls) == 4 and not list(cell.path.parent.glob(".*"))


def test_inputs_name_settings_request_and_code_apart(problem, make_run):
    cell, settings = tiny("scrub"), settings_of(tiny("scrub"), problem, None)
    here = making.inputs_of(cell, problem, settings)

    def differing(cell, problem, settings):
        other = making.inputs_of(cell, problem, settings)
        return {name for name in here if other[name] != here[name]}

    assert differing(cell, problem, changed(settings, {"epochs": 1})) == {"settings"}
    assert differing(tiny("scrub_r"), problem, settings) == {"settings", "method"}
    assert differing(cell, Problem(make_run(forget_classes=(1,))), settings) == {"settings", "task"}
    assert differing(cell, Problem(make_run(training__epochs=1)), settings) == {"settings"}


@pytest.mark.parametrize(("place", "stale"), [
    ("losses.extractor_unlearning_loss", {"laf": ["method"], "jit": [], "original": []}),
    ("methods.jit.jit", {"laf": [], "jit": ["method"], "original": []}),
    ("training.train", {"laf": ["training"], "jit": ["training"], "original": ["training"]}),
    ("audit.attack.published_attack", {"laf": ["measuring"], "jit": ["measuring"], "original": ["measuring"]}),
    ("tasks.balanced_subset", {"laf": ["training"], "jit": ["training"], "original": ["training"]}),
])
def test_an_edit_makes_stale_what_rests_on_it_and_says_which_part(place, stale, problem, edited):
    def inputs(name):
        return making.inputs_of(tiny(name), problem, settings_of(tiny(name), problem, None))

    before = {name: {"key": content_key(inputs(name)), "inputs": inputs(name)} for name in stale}
    edited(place)
    found = {name: stale_parts(before[name], inputs(name)) for name in stale}
    assert {name: [part for part in stale[name] if part not in found[name]] for name in stale} == dict.fromkeys(stale, [])
    assert {name for name in stale if found[name]} == {name for name in stale if stale[name]}


def test_records_name_the_models_they_were_scored_against(problem):
    record = run_cell(tiny("ts"), problem)
    assert record["scored_against"] == {
        "original": fingerprint(problem.run.original), "retrained": fingerprint(problem.run.retrained),
    }


@pytest.mark.parametrize("lost", ["metrics", "key", "versions"])
def test_an_incomplete_file_is_no_record(lost, problem):
    cell = tiny("original")
    run_cell(cell, problem)
    record = json.loads(cell.path.read_text())
    del record[lost]
    cell.path.write_text(json.dumps(record))
    with pytest.raises(records.RecordError, match=f"it lacks {lost}"):
        read(cell.path)


# -- names ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes, message", [
    ({"method": "scrup"}, "unknown method 'scrup'"), ({"task": "klass"}, "task must be one of"),
    ({"choice": "best"}, "choice must be one of"), ({"profile": "long"}, "profile must be one of"),
    ({"method": "sisa", "choice": "tuned"}, "sisa has no settings to tune"),
    ({"method": "retrain_again", "choice": "tuned"}, "has no settings to tune"),
])
def test_what_is_no_cell_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        Cell(**{"dataset": "mnist", "task": "class", "method": "jit"} | changes)


def test_each_cell_has_a_file_of_its_own(folder):
    paths = {
        Cell("mnist", task, method, seed, profile, choice).path
        for task in ("class", "data") for method in ("scrub", "scrub_r") for seed in (0, 1)
        for profile in ("paper", "quick") for choice in ("defaults", "tuned")
    }
    assert len(paths) == 32
    assert Cell("mnist", "class", "scrub", 3, choice="tuned").path == folder / "comparison/mnist/class-scrub-seed3-tuned.json"


def test_settings_change_by_dotted_name_and_wrong_names_are_refused():
    laf = METHODS["laf"].settings
    assert changed(laf, {"unlearning.lr_ue": 1e-3}).unlearning.lr_ue == 1e-3
    assert changed(laf, {"unlearning.lr_ue": 1e-3}).vae == laf.vae
    with pytest.raises(ConfigError, match="LAFSettings has no setting 'speed'"):
        changed(laf, {"speed": 1})
    with pytest.raises(ConfigError, match="UnlearningConfig has no setting 'speed'"):
        changed(laf, {"unlearning.speed": 1})


def test_batches_grow_with_the_sets():
    scrub = scaled(METHODS["scrub"].settings, 25)
    assert (scrub.forget_batch, scrub.retain_batch) == (1600, 800)
    assert scaled(METHODS["laf"].settings, 25).unlearning.batch_size == 800
    assert scaled(METHODS["laf"].settings, 25).vae.batch_size == 800
    laf_r, relearn = (scaled(METHODS[name].settings, 2) for name in ("laf_r", "relearn"))
    assert laf_r.repair.batch_size == 2 * METHODS["laf_r"].settings.repair.batch_size
    assert relearn.training.batch_size == 2 * METHODS["relearn"].settings.training.batch_size


# -- tuned cells ------------------------------------------------------------------------------------------------------------


def test_tuned_cells_take_the_winners_and_nothing_else(problem, folder):
    cell = tiny("boundary_expand", choice="tuned")
    with pytest.raises(WinnersError, match="no trials to choose"):
        winners_of(cell)
    with pytest.raises(WinnersError, match="no trials to choose"):
        run_cell(cell, problem)
    path = winners_path("tiny", "class")
    records.write_json(path, {"methods": {"boundary_expand": {"winner": {"changes": {"epochs": 2}}}}})
    record = run_cell(cell, problem)
    assert record["settings"]["epochs"] == 2 and record["passes"]["training"] == 2 * 30
    assert cell.path.name == "class-boundary_expand-seed0-tuned.json"
    assert ch5_tables.record_name(record) == "Boundary Expand, tuned"
    with pytest.raises(WinnersError, match="no trials of jit"):
        winners_of(tiny("jit", choice="tuned"))


def test_laf_is_not_the_pipelines_where_it_was_tuned():
    assert tiny("laf").from_pipeline and not tiny("laf", choice="tuned").from_pipeline


# -- cost and command -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["jit", "scrub_r", "neggrad_plus_pseudo", "lfssd"])
def test_the_cost_beforehand_is_the_cost_afterwards(method, problem):
    def evaluated(passes):
        return passes.frozen - 400  # every image once, for the metrics

    plan, record = expected(tiny(method), problem), made(problem, method)
    assert plan.training == record["passes"]["training"]
    # SCRUB+R looks at those held-out images only whose classes are forgotten: the plan counts them all.
    assert 0 <= evaluated(plan) - record["passes"]["frozen"] <= (20 if method == "scrub_r" else 0)


def test_the_plan_lists_every_cell_and_adds_up(problem):
    plan = [(tiny(name), expected(tiny(name), problem)) for name in listed("defaults")]
    text = table(plan)
    assert len(text.splitlines()) == len(plan) + 2
    assert text.splitlines()[-1].split()[-1] == str(sum(round(passes.equivalent) for _, passes in plan))
    assert set(listed("tuned")) == set(METHODS) - {"retrain", "sisa"}


def run_command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["experiments", "EXECUTOR=here", *arguments])
    code = command.main()
    return code, capsys.readouterr()


def test_the_command_makes_records_once_and_plans_without_making_any(make_run, folder, monkeypatch, capsys):
    run = make_run()
    monkeypatch.setattr(comparison, "problem_of", lambda cell, *_: Problem(run))
    given = ("DATASET=tiny", "METHOD=ts,original")
    code, said = run_command(monkeypatch, capsys, *given, "PLAN=1")
    assert code == 0 and "class-ts-seed0" in said.out and not folder.exists()
    code, said = run_command(monkeypatch, capsys, *given)
    assert code == 0 and len(list(folder.rglob("*.json"))) == 2 and "there before" not in said.out
    code, said = run_command(monkeypatch, capsys, *given)
    assert said.out.count("there before") == 2


@pytest.mark.parametrize("argument, message", [
    ("SPEED=1", "expected NAME=VALUE"), ("TASK", "expected NAME=VALUE"), ("METHOD=scrup", "unknown method"),
    ("SEED=one", "SEED must be a whole number"),
])
def test_the_command_says_what_is_wrong_in_one_line(argument, message, monkeypatch, capsys):
    code, said = run_command(monkeypatch, capsys, argument)
    assert code == 2 and message in said.err and len(said.err.splitlines()) == 1


def test_memory_is_that_of_the_work_inside():
    with PeakMemory() as large:
        block = torch.ones(40_000_000)
    del block
    with PeakMemory() as small:
        torch.ones(1_000)
    if large.added_mb is None:
        pytest.skip("this system cannot set its peak back")
    assert large.added_mb > 140 and small.added_mb < 40 and large.peak_mb > large.added_mb


# -- what is shown ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def recorded(problem):
    """Records of five cells, written."""
    for name in ("ts", "original", "retrain", "laf_r", "retrain_again"):
        run_cell(tiny(name), problem)
    return ch5_tables.found("tiny", "class")


def test_costs_are_shares_of_retraining(recorded):
    costs = ch5_tables.costs(recorded)
    assert list(costs.index) == ["Original", "Retrained", "Retrained, another seed", "T-S", "LAF+R"]
    assert costs.loc["Retrained", "% of retraining"] == "100.0" and costs.loc["Retrained", "seconds"].startswith("~")
    assert set(costs["TFLOP"]) == {"–"}, "nobody knows the images of this set"
    assert ch5_tables.found("tiny", "class", seed=1) == [] and ch5_tables.found("tiny", "data") == []


def test_operations_are_those_of_the_passes_through_the_cells_network(recorded):
    record = altered(recorded[0])
    record["cell"] |= {"dataset": "mnist", "profile": "paper"}
    record["passes"] = {"training": 0, "frozen": 1_000_000, "equivalent": 0}
    cnn = 2 * (28 * 28 * 16 * 25 + 14 * 14 * 32 * 16 * 25)  # its two convolutions; the linear layers add to that
    assert 1e6 * cnn < 1e12 * ch5_tables.operations(record) < 1.3e6 * cnn
    record["passes"] |= {"training": 1_000_000, "frozen": 0}
    assert 1e12 * ch5_tables.operations(record) > 2e6 * cnn


def test_tuned_rows_follow_their_own_method(recorded):
    tuned = next(r for r in recorded if r["cell"]["method"] == "ts")
    tuned = json.loads(json.dumps(tuned | {"cell": tuned["cell"] | {"choice": "tuned"}}))
    records.write_json(tiny("ts", choice="tuned").path, tuned)
    assert [ch5_tables.record_name(r) for r in ch5_tables.found("tiny", "class")][3:5] == ["T-S", "T-S, tuned"]


def altered(record, method=None, choice=None, gap=None):
    """A copy of a record, of another method, choice or mean gap."""
    copy = json.loads(json.dumps(record))
    copy["cell"] |= {name: value for name, value in (("method", method), ("choice", choice)) if value}
    if method:
        copy["method"]["title"] = find(method).title
    if gap is not None:
        copy["gap"]["mean"] = gap
    return copy


def test_a_run_of_a_notebook_is_shown_as_the_results_pages_show_theirs(recorded):
    far, near = altered(recorded[3], gap=20.0), altered(recorded[3], "lfssd", gap=1.0)
    failed = altered(recorded[3], "salun") | {"failure": "no number", "metrics": None, "gap": None}
    laf = altered(recorded[3], "laf", gap=2.0)
    shown = tables.of_records([*recorded[:3], far, near, laf, altered(recorded[3], "sisa"), failed])
    assert {"Doing nothing", "T-S", "LFSSD", "LAF"} == set(shown.table.index) and shown.table.index[0] == "Doing nothing"
    assert list(shown.blocks[tables.REFERENCE].index)[1:] == ["Retrained", "Retrained, another seed"]
    assert "SISA" in shown.blocks[tables.APART].index
    nothing = recorded[0]["gap"]["mean"]
    assert shown.readings[0].startswith(f"On this run, doing nothing leaves a gap of {nothing:.2f} points")
    assert any(said.startswith("Diverged") and "SalUn" in said for said in shown.readings)


def test_a_control_that_does_better_fails_the_chapters_test():
    laf = [fake("laf", seed, gap) for seed, gap in enumerate((2.0, 2.1, 1.9))]
    better = [fake("neggrad_plus_pseudo", seed, gap) for seed, gap in enumerate((0.5, 0.55, 0.45))]
    said = ch5_evidence.control_finding(rows_of(*laf, *better))
    assert said.startswith("MNIST, class removal: **LAF fails the test.** 1 of 1 label-blind control end nearer")
    assert "than LAF (2.00 points): NegGrad+, bounded (ours), pseudo-labels (0.50)" in said
    assert "one seed, no claim" in ch5_evidence.control_finding(rows_of(laf[0], better[0]))
    far = [fake("neggrad_plus_pseudo", gap=3.0)]
    assert "none of 1 label-blind control ends nearer" in ch5_evidence.control_finding(rows_of(*laf, *far))
    dead = fake("neggrad_plus_pseudo", gap=0.1)
    dead["metrics"]["train_r"] = 10.0
    assert ch5_evidence.control_finding(rows_of(*laf, dead)) == "" == ch5_evidence.control_finding(rows_of(*laf))
    assert all(find(name) for name in ch5_evidence.CONTROLS)
    assert ch5_evidence.control_findings([rows_of(*laf)]).startswith("No label-blind control")
    assert ch5_evidence.control_findings([rows_of(*laf, *better)]).count("\n- ") == 1


def test_the_chapters_test_is_summed_up_by_task():
    nearer = rows_of(fake("laf", gap=2.0), fake("neggrad_plus_pseudo", gap=0.5), fake("delete_pseudo", gap=3.0))
    said = ch5_evidence.control_summary({"class": [nearer, rows_of(fake("laf"))], "data": [rows_of(fake("laf"))]})
    assert said.startswith("Some label-blind control ends nearer than LAF in 1 of 1 request of class removal. Some of these")
    several = [fake(method, seed, gap) for method, gap in (("laf", 2.0), ("delete_pseudo", 3.0)) for seed in (0, 1)]
    assert ch5_evidence.control_summary({"class": [rows_of(*several)]}).endswith("in 0 of 1 request of class removal.")
    assert ch5_evidence.control_summary({"data": []}) == ""


def test_a_method_of_ones_own_stands_beside_doing_nothing_and_laf(recorded):
    laf, own = altered(recorded[3], "laf", gap=2.0), altered(recorded[3], gap=1.0)
    said = ch5_evidence.own_method_finding(own, [recorded[0], laf])
    assert said.startswith("On this run doing nothing leaves")
    assert said.endswith("it is nearer than LAF here. One seed makes no claim.")
    assert "it is no nearer than LAF here" in ch5_evidence.own_method_finding(altered(own, gap=9.0), [recorded[0], laf])
    assert "nothing to stand beside" in ch5_evidence.own_method_finding(own, [laf])


def test_the_notebooks_comparison_writes_nothing(make_run, folder):
    found = ch5_live.compare(make_run(), ("original", "boundary_expand"))
    assert [record["cell"]["method"] for record in found] == ["original", "boundary_expand"] and not folder.exists()
    assert set(ch5_live.FEW) <= {*METHODS, *REFERENCES}


def test_committed_records_can_be_read_and_are_told_apart():
    for dataset in ("mnist", "fashion"):
        for task in ("class", "data", "noisy"):
            found = ch5_tables.found(dataset, task)
            assert all(r["cell"]["profile"] == "paper" and r["cell"]["task"] == task for r in found)
            names = [ch5_tables.record_name(r) for r in found]
            assert len(names) == len(set(names))


def test_each_method_has_one_number_that_shows_what_its_paper_says(problem, monkeypatch):
    assert set(ch5_evidence.CLAIMS) == set(METHODS)
    quick = {"laf": {}, "sisa": {"training.epochs": 1, "shards": 2}, "scrub_r": {"epochs": 2}, "unroll": {"epochs": 1}}
    found = []
    for name in ("original", *METHODS):
        cell = tiny(name)
        found.append(make(cell, problem, changed(settings_of(cell, problem, None), quick.get(name, {}))))
    table = ch5_evidence.evidence(found)
    assert len(table) == len(METHODS)
    assert re.fullmatch(r"at most \d\.\d{3} of 2\.303 nats, ln 10", table.loc["NegGrad+, bounded (ours)", "here"])
    assert float(table.loc["NegGrad+, bounded (ours)", "here"].split()[2]) <= 2.303
    assert re.fullmatch(r"epoch \d of 2: \d\.\d{3} beside \d\.\d{3}", table.loc["SCRUB+R", "here"])
    assert table.loc["Retrained", "here"].endswith("to 0.00 %") and table.loc["LFSSD", "here"].endswith("% of the weights")
    assert ch5_evidence.evidence(found[1:]).empty
    still = next(r for r in found if r["cell"]["method"] == "scrub")
    still["history"]["forget_kl"] = [16.7, 16.7]
    assert ch5_evidence.evidence([found[0], still]).loc["SCRUB", "here"].endswith("16.7 in its last: **not seen**")


def test_where_published_settings_diverge_the_tuned_record_speaks(recorded):
    failed = json.loads(json.dumps(recorded[3] | {"failure": "no number", "metrics": None}))
    tuned = json.loads(json.dumps(recorded[3] | {"cell": recorded[3]["cell"] | {"choice": "tuned"}}))
    assert list(ch5_evidence.evidence([recorded[0], failed, tuned]).index) == ["T-S, tuned"]
    assert list(ch5_evidence.evidence([recorded[0], tuned, recorded[3]]).index) == ["T-S"]
    few = (recorded[0], recorded[3], recorded[4])
    quick = [json.loads(json.dumps(r | {"cell": r["cell"] | {"profile": "quick"}})) for r in few]
    assert list(ch5_evidence.evidence([*quick, recorded[0], recorded[3]]).index) == ["T-S", "LAF+R, quick"]
    assert list(ch5_evidence.evidence([quick[2], recorded[0]]).index) == [], "compared with the original of its own profile only"


def test_records_of_another_profile_stay_out_of_the_tables(problem, recorded):
    quick = tiny("original", profile="quick")
    run_cell(quick, problem)
    assert quick.path.name == "class-original-seed0-quick.json"
    assert len(ch5_tables.found("tiny", "class")) == len(recorded)
    assert [ch5_tables.record_name(r) for r in ch5_tables.found("tiny", "class", profile="quick")] == ["Original, quick"]
