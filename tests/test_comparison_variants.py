"""Variants of a cell: other settings, a record and a key of their own; and how near models are to the retrained one."""

import dataclasses
import json
import sys

import pytest
import torch

from laf_utils.book.chapters import ch5_tables
from laf_utils.experiments import __main__ as command
from laf_utils.experiments import comparison, distances, making, planning
from laf_utils.experiments.cells import Cell, read
from laf_utils.experiments.grid import arguments_of, name_of, read_grid
from laf_utils.experiments.making import make, run_cell, settings_of
from laf_utils.experiments.planning import waits_for
from laf_utils.experiments.problem import Problem
from laf_utils.experiments.variants import SHARES, SMOKE_IMAGES, VARIANTS, Variant
from laf_utils.laf import labelled_rows
from laf_utils.methods import DataAccess, LabelAccess, View, run_method
from laf_utils.methods.method import fingerprint
from laf_utils.settings.cli import known_values
from laf_utils.settings.config import MEANT, ConfigError
from laf_utils.settings.presets import leaves, preset


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A results folder of its own."""
    monkeypatch.setenv("LAF_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.fixture
def tiny_problems(make_run, folder, monkeypatch):
    """A cell's problem is the tiny run with the variant's settings."""

    def of(cell, say=None):
        changes = VARIANTS[cell.variant].arguments if cell.variant else {}
        return Problem(make_run(cell.task, seed=cell.seed, **changes))

    for room in (comparison, making, planning):
        monkeypatch.setattr(room, "problem_of", of)
    return of


def tiny(method, task="class", **changes):
    return Cell("tiny", task, method, **changes)


def changed_settings(before, after):
    old, new = (MEANT | leaves(config.as_dict()) for config in (before, after))  # what is left out means that
    return {name: new[name] for name in new if new[name] != old[name]}


# -- the table ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", [v for v in VARIANTS.values() if not v.method], ids=lambda variant: variant.name)
@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
def test_every_variant_is_a_preset_that_differs_in_what_it_names(variant, dataset):
    for task in ("class", "data", "noisy"):
        plain, other = (preset(dataset, task, profile="paper", **changes) for changes in ({}, variant.arguments))
        wanted = {name: value for name, value in variant.changes.items() if (MEANT | leaves(plain.as_dict()))[name] != value}
        assert changed_settings(plain, other) == wanted
        # 20 epochs are the CNN's and 40 are ResNet-18's own: there the variant is the plain cell.
        assert wanted or variant.name == {"mnist": "epochs_20", "cifar10": "epochs_40"}[dataset]


def test_variants_change_different_things_and_are_named_by_their_key():
    assert all(name == variant.name and variant.title for name, variant in VARIANTS.items())
    changed = {(v.method, v.other_images, *sorted((v.changes or v.settings).items())) for v in VARIANTS.values()}
    assert len(changed) == len(VARIANTS)
    assert all(bool(v.method) == bool(v.settings or v.other_images) != bool(v.changes) for v in VARIANTS.values())
    assert len({variant.title for variant in VARIANTS.values()}) == len(VARIANTS)


def test_the_smoke_test_is_one_epoch_of_everything_on_a_few_images():
    config = preset("cifar10", "class", profile="paper", **VARIANTS["smoke"].arguments)
    assert config.images == SMOKE_IMAGES and config.transforms.resize == 224 and config.backbone == "resnet18"
    assert config.training.epochs == config.vae.epochs == config.unlearning.epochs == config.repair.epochs == 1


def test_shares_of_labels_are_percent():
    assert {share: VARIANTS[f"labels_{share}"].changes["repair.labelled_share"] for share in SHARES} == {
        1: 0.01, 5: 0.05, 10: 0.1, 50: 0.5
    }


# -- names, places, keys ------------------------------------------------------------------------------------------------------


def test_its_record_lies_in_a_folder_of_its_name_and_is_read_from_there(tiny_problems, folder):
    cell = tiny("laf", variant="without_ue")
    record = run_cell(cell, making.problem_of(cell))
    assert cell.path == folder / "comparison/tiny/without_ue/class-laf-seed0.json"
    assert read(cell.path) == json.loads(json.dumps(record)) and record["cell"]["variant"] == "without_ue"
    assert record["settings"]["unlearning"]["use_ue"] is False and "loss_ue" in record["history"]
    assert record["history"]["loss_ue"] == [] and len(record["history"]["loss_ra"]) == 2
    assert ch5_tables.found("tiny", "class") == [], "the comparison's tables do not see it"
    assert Cell("mnist", "data", "laf", 2, "quick", variant="joint").path == (
        folder / "comparison/mnist/joint/data-laf-seed2-quick.json"
    )


def test_a_variants_record_is_not_the_plain_cells(tiny_problems):
    plain, other = tiny("laf"), tiny("laf", variant="ra_retain_only")
    first, second = (run_cell(cell, making.problem_of(cell)) for cell in (plain, other))
    assert first["key"] != second["key"] and first["metrics"] != second["metrics"]
    assert read(plain.path)["key"] == first["key"] and read(other.path)["key"] == second["key"]


def test_the_variants_name_is_in_its_settings_and_only_there(make_run, folder):
    problem = Problem(make_run())
    settings = settings_of(tiny("laf"), problem, None)
    plain, variant = (making.inputs_of(cell, problem, settings) for cell in (tiny("laf"), tiny("laf", variant="joint")))
    assert {name for name in plain if plain[name] != variant[name]} == {"settings"}
    assert "variant" not in tiny("laf").described()
    assert tiny("laf", variant="joint").described() == tiny("laf").described() | {"variant": "joint"}


@pytest.mark.parametrize(("changes", "message"), [
    ({"variant": "without_vae"}, "variant must be one of without_ue, .*smoke, .*hard_alone, got 'without_vae'"),
    ({"variant": "joint", "choice": "tuned"}, "laf joint has no settings to tune"),
])
def test_what_is_no_variant_is_one_error(changes, message):
    with pytest.raises(ConfigError, match=message):
        Cell("mnist", "class", "laf", **changes)


def test_cells_of_one_variant_share_a_problem_and_no_other():
    places = {tiny("laf", variant=variant).place for variant in ("", "joint", "two_stage")}
    assert len(places) == 3 and tiny("laf", variant="joint").place == tiny("ts", variant="joint").place


def test_a_cells_problem_has_the_variants_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("LAF_RUNS", str(tmp_path))
    for variant, schedule in (("", "alternate"), ("joint", "joint")):
        found = making.problem_of(Cell("optdigits", "class", "laf", 3, "quick", variant=variant), lambda line: None)
        assert found.config.unlearning.schedule == schedule and found.config.seed == 3 and found.config.profile == "quick"


# -- command line and grid ----------------------------------------------------------------------------------------------------


def call(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["experiments", "EXECUTOR=here", *arguments])
    return command.main(), capsys.readouterr()


def test_the_command_makes_variants(tiny_problems, folder, monkeypatch, capsys):
    given = ("DATASET=tiny", "METHOD=laf", "VARIANT=joint,two_stage")
    code, said = call(monkeypatch, capsys, *given)
    found = {path.relative_to(folder / "comparison/tiny").as_posix() for path in folder.rglob("*.json")}
    assert code == 0 and found == {"joint/class-laf-seed0.json", "two_stage/class-laf-seed0.json"}
    code, said = call(monkeypatch, capsys, *given)
    assert code == 0 and said.out.count("there before") == 2


def test_an_unknown_variant_on_the_command_line_is_one_line(monkeypatch, capsys):
    code, said = call(monkeypatch, capsys, "VARIANT=without_vae")
    assert code == 2 and "variant must be one of" in said.err and len(said.err.splitlines()) == 1


def test_a_grid_spans_variants(tmp_path):
    path = tmp_path / "grid.toml"
    table = '[[cells]]\ndatasets = ["mnist"]\ntasks = ["class"]\nmethods = ["laf", "laf_r"]\nseeds = [0]\n'
    path.write_text(table + 'variants = ["labels_1", "joint"]\n' + table)
    found = read_grid(path)
    assert [(cell.method, cell.variant) for cell in found] == [
        ("laf", "labels_1"), ("laf", "joint"), ("laf_r", "labels_1"), ("laf_r", "joint"), ("laf", ""), ("laf_r", "")
    ]
    assert name_of(found[1]) == "mnist/joint/class-laf-seed0" and arguments_of(found[1]).endswith("VARIANT=joint")
    assert "VARIANT" not in arguments_of(found[4])
    assert comparison.cells_of(known_values(arguments_of(found[1]).split(), comparison.NAMES)) == [found[1]]
    path.write_text(table + 'variants = ["lables_1"]\n')
    with pytest.raises(ConfigError, match="'lables_1'"):
        read_grid(path)


def test_a_variant_waits_for_the_plain_cells_whose_stages_it_starts_from():
    plain = {tiny(name) for name in ("original", "retrain", "laf", "laf_r", "scrub")}
    few = {tiny(name, variant="labels_1") for name in ("laf_r", "retrain_few")}
    everything = plain | few | {tiny("laf", variant="joint")}

    def after(cell):
        return {name_of(other) for other in waits_for(cell, everything)}

    start = {"tiny/class-original-seed0", "tiny/class-retrain-seed0"}
    assert after(tiny("retrain_few", variant="labels_1")) == start
    assert after(tiny("laf", variant="joint")) == start | {"tiny/class-laf-seed0"}, "its VAEs"
    assert after(tiny("laf_r", variant="labels_1")) == start | {"tiny/class-laf-seed0"}, "its network"
    assert after(tiny("laf")) == start, "no plain cell waits for a variant"


# -- shares of labels ---------------------------------------------------------------------------------------------------------


def of_view(problem):
    return View(problem.request, "any", LabelAccess.FEW, DataAccess.BOTH).retain.few_labels()


@pytest.mark.parametrize("share", SHARES)
def test_the_pipelines_labelled_rows_are_those_of_a_view(share, tiny_problems):
    problem = making.problem_of(tiny("laf_r", variant=f"labels_{share}"))
    rows, labels = of_view(problem)
    count = len(problem.run.task.retain)
    assert len(rows) == max(1, round(share / 100 * count))
    assert torch.equal(rows, labelled_rows(count, share / 100, problem.config.seed))
    assert torch.equal(labels, problem.run.task.train_labels[problem.run.task.retain[rows]])


def test_laf_r_of_a_share_is_the_method_on_the_same_labels_and_says_so(tiny_problems):
    cell = tiny("laf_r", variant="labels_10")
    problem = making.problem_of(cell)
    settings = settings_of(cell, problem, None)
    record = make(cell, problem, settings)
    assert record["label_access"] == {"level": "few", "share_of_retain": 0.1}
    result = run_method("laf_r", problem.request, settings)
    assert fingerprint(result.model) == fingerprint(problem.run.laf_r)
    assert (record["passes"]["training"], record["passes"]["frozen"]) == (result.passes.training, result.passes.frozen)


@pytest.mark.parametrize("method", ["retrain_few", "neggrad_plus_few"])
def test_records_of_few_labels_say_how_many(method, tiny_problems):
    cell = tiny(method, variant="labels_50")
    record = run_cell(cell, making.problem_of(cell))
    assert record["label_access"] == {"level": "few", "share_of_retain": 0.5} and record["cell"]["variant"] == "labels_50"
    assert not record["from_artefact"] and record["failure"] is None


# -- how near to the retrained model ------------------------------------------------------------------------------------------


@pytest.fixture
def problem(make_run, folder):
    return Problem(make_run())


def test_the_retrained_model_is_itself(problem):
    cell = tiny("retrain")
    found = make(cell, problem, settings_of(cell, problem, None))["representation"]
    assert set(found) == {"forget", "retain"}
    for own in found.values():
        assert own["cka"] == pytest.approx(1) and own["divergence"] == pytest.approx(0, abs=1e-12)
        assert own["distance"] == 0 and own["agreement"] == 100
        assert own["drift"] > 0, "to the original it is not"


def test_the_original_has_not_drifted_and_is_not_the_retrained_one(problem):
    found = distances.to_retrained(problem, problem.run.original)
    for own in found.values():
        assert own["drift"] == pytest.approx(0, abs=1e-6) and 0 < own["cka"] < 1 and own["distance"] > 0
    # It still knows the forgotten class, which the retrained model has never seen.
    assert found["forget"]["agreement"] < 20 < found["retain"]["agreement"]
    assert 0 < found["retain"]["divergence"] < found["forget"]["divergence"] < 0.6932  # ln 2 at most


def test_agreement_is_a_share_of_answers(problem):
    run = problem.run
    found = distances.to_retrained(problem, run.original)
    for part, rows in (("forget", run.task.forget), ("retain", run.task.retain)):
        inputs = run.frozen_images.batch(rows)
        with torch.no_grad():
            same = run.original(inputs).argmax(1) == run.retrained(inputs).argmax(1)
        assert found[part]["agreement"] == pytest.approx(100 * same.float().mean().item(), abs=1e-4)


def test_a_large_set_is_sampled_and_every_model_alike(problem, monkeypatch):
    monkeypatch.setattr(distances, "SAMPLE", 20)
    first, second = (distances._sample(problem, "retain") for _ in range(2))
    assert torch.equal(first, second) and len(first.unique()) == 20 and torch.equal(first, first.sort().values)
    assert torch.isin(first, problem.run.task.retain).all()
    assert len(distances._sample(problem, "forget")) == 20 and not torch.equal(first, distances._sample(problem, "forget"))


def test_what_has_no_extractor_or_another_width_is_not_held_beside_it(problem):
    assert distances.to_retrained(problem, torch.nn.Flatten()) is None
    cell = tiny("sisa")  # whose members' representations stand in a row
    settings = dataclasses.replace(settings_of(cell, problem, None), shards=2, slices=1)
    record = make(cell, problem, dataclasses.replace(settings, training=dataclasses.replace(settings.training, epochs=1)))
    assert record["representation"] is None and record["metrics"] is not None


def test_what_is_no_number_is_none(problem):
    constant = problem.run.architecture.build(0, "constant", problem.run.device)
    with torch.no_grad():
        for value in constant.extractor.parameters():
            value.zero_()
    found = distances.to_retrained(problem, constant)
    assert found["forget"]["cka"] is None and found["retain"]["cka"] is None
    json.dumps(found, allow_nan=False)


def test_arguments_are_those_of_presets():
    assert Variant("x", "x", {"unlearning.epochs": 3, "images": 200}).arguments == {"unlearning__epochs": 3, "images": 200}


def test_a_variant_that_trains_anew_waits_for_its_own_original():
    own = {Cell("cifar10", "class", method, variant="smoke") for method in ("original", "retrain", "laf", "laf_r")}
    others = own | {Cell("cifar10", "class", "original"), Cell("cifar10", "class", "laf")}
    waiting = {cell.method: {other.method for other in waits_for(cell, others)} for cell in own}
    assert waiting == {"original": set(), "retrain": {"original"}, "laf": {"original", "retrain"},
                       "laf_r": {"original", "retrain", "laf"}}
    assert all(other.variant == "smoke" for cell in own for other in waits_for(cell, others))
