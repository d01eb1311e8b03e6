"""The grid: which cells need to be made, in which order, and that nothing that ends it early loses or repeats anything."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from experiments_fakes import SNAKEMAKE, RealGrid

from laf_utils.datasets import loading
from laf_utils.experiments import __main__ as command
from laf_utils.experiments import comparison, follow, launch, making, planning
from laf_utils.experiments.cells import Cell, read
from laf_utils.experiments.follow import hours, priced, seconds_per_pass
from laf_utils.experiments.grid import name_of, read_grid
from laf_utils.experiments.launch import GridError
from laf_utils.experiments.making import run_cell
from laf_utils.experiments.planning import Planned, plan, planned, waits_for
from laf_utils.experiments.problem import Problem
from laf_utils.experiments.tuning_winners import WinnersError, winners_of, winners_path
from laf_utils.settings.cli import known_values
from laf_utils.settings.config import ConfigError
from laf_utils.support.records import write_json
from laf_utils.support.sealing import sealed

TABLE = '[[cells]]\ndatasets = ["mnist"]\ntasks = ["class", "data"]\nmethods = ["original", "laf"]\nseeds = [0, 1]\n'


@pytest.fixture
def tiny_problem(make_run, places, monkeypatch):
    """The tiny problem stands for whatever is asked."""
    problem = Problem(make_run())
    for room in (comparison, making, planning):
        monkeypatch.setattr(room, "problem_of", lambda *_, **__: problem)
    return problem


def cells(*methods, task="class", seed=0, dataset="tiny"):
    return [Cell(dataset, task, method, seed) for method in methods]


# -- which cells -----------------------------------------------------------------------------------------------------------


def written(folder, text):
    path = folder / "grid.toml"
    path.write_text(text)
    return path


def test_a_grid_is_the_product_of_its_lists_each_cell_once(tmp_path):
    found = read_grid(written(tmp_path, TABLE + TABLE))
    assert len(found) == len(set(found)) == 8
    assert Cell("mnist", "data", "laf", 1) in found


def test_all_are_all_methods(tmp_path):
    found = read_grid(written(tmp_path, TABLE.replace('["original", "laf"]', '["all"]')))
    assert {"original", "retrain", "retrain_again", "laf", "laf_r", "scrub", "sisa"} <= {cell.method for cell in found}


@pytest.mark.parametrize(("text", "message"), [
    ("[[cells]", "cannot be read"),
    ('[[cells]]\ndatasets = ["mnist"]\n', "needs datasets, tasks"),
    (TABLE + 'sed = [1]\n', "sed"),
    (TABLE.replace('"laf"', '"lfa"'), "lfa"),
    (TABLE.replace('"data"', '"dta"'), "dta"),
])
def test_a_grid_that_cannot_be_meant_is_one_error(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read_grid(written(tmp_path, text))


def test_the_projects_own_grid_can_be_read():
    found = read_grid()
    assert {cell.dataset for cell in found} >= {"mnist", "fashion"}
    assert {cell.task for cell in found} == {"class", "data", "noisy"}


def test_cells_are_picked_by_lists(tmp_path):
    everything = read_grid(written(tmp_path, TABLE + 'variants = ["", "labels_5"]\n'))
    plain, few = ([Cell("mnist", task, "laf", 1, variant=name) for task in ("class", "data")] for name in ("", "labels_5"))
    assert comparison.chosen(everything, {"SEED": "1", "METHOD": "laf", "VARIANT": "none"}) == plain
    assert comparison.chosen(everything, {"SEED": "1", "METHOD": "laf", "VARIANT": "labels_5", "PROFILE": "paper"}) == few
    assert comparison.chosen(everything, {"SEED": "1", "METHOD": "laf", "SETTINGS": "defaults"}) == [
        cell for pair in zip(plain, few, strict=True) for cell in pair
    ]


@pytest.mark.parametrize(("options", "message"), [
    ({"SEED": "7"}, "SEED=7; it has 0, 1"),
    ({"METHOD": "laf,lfa"}, "METHOD=lfa; it has"),  # one of a list, too: else it would be left out without a word
    ({"VARIANT": "labels_5"}, "VARIANT=labels_5; it has none"),
])
def test_a_value_that_no_cell_has_is_an_error_that_names_those_there_are(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        comparison.chosen(read_grid(written(tmp_path, TABLE)), options)


def test_a_pick_of_nothing_is_an_error(tmp_path):
    two = written(tmp_path, TABLE + TABLE.replace('"mnist"', '"fashion"').replace('"data"', '"noisy"'))
    with pytest.raises(ConfigError, match="no cell of the grid has DATASET=fashion, TASK=data"):
        comparison.chosen(read_grid(two), {"DATASET": "fashion", "TASK": "data"})


# -- what has to be made ---------------------------------------------------------------------------------------------------


def test_a_record_is_missing_then_valid_then_stale(tiny_problem):
    (item,) = planned(cells("neggrad"))
    assert (item.state, item.name) == ("missing", "tiny/class-neggrad-seed0")
    assert "original" not in tiny_problem.run.__dict__, "planning trains nothing"
    run_cell(item.cell, tiny_problem)
    assert planned([item.cell])[0].state == "valid"
    record = json.loads(item.cell.path.read_text())
    item.cell.path.write_text(json.dumps(sealed(record | {"key": "0" * 16})))
    assert planned([item.cell])[0].state == "stale"
    item.cell.path.write_text(json.dumps(record)[:-40])
    assert planned([item.cell])[0].state == "missing", "a truncated record is none"


def test_planning_reads_each_data_set_once(places, monkeypatch):
    read, names = loading._read, []
    monkeypatch.setattr(loading, "_read", lambda name, *rest: names.append(name) or read(name, *rest))
    found = planned([Cell("optdigits", task, "laf", seed, "quick") for task in ("class", "data") for seed in (0, 1)])
    assert [item.state for item in found] == ["missing"] * 4 and names == ["optdigits"]
    planned([Cell("optdigits", "class", "laf", 0, "quick")])
    assert len(names) == 2, "and forgets it afterwards"


def test_a_tuned_cell_without_winners_is_missing_and_says_how_to_search(places):
    (item,) = planned([Cell("optdigits", "class", "jit", 0, "quick", "tuned")])
    assert item.state == "missing"
    with pytest.raises(WinnersError, match="KIND=tuning DATASET=optdigits TASK=class"):
        winners_of(item.cell)


def test_a_tuned_cell_of_the_published_settings_is_not_made_twice(places, capsys):
    cell = Cell("optdigits", "class", "jit", 0, "quick", "tuned")
    write_json(winners_path("optdigits", "class"), {"methods": {"jit": {"winner": {"changes": {}}}}})
    assert planned([cell]) == []
    picked = {"DATASET": "optdigits", "TASK": "class", "METHOD": "jit", "SEED": "0", "PROFILE": "quick", "SETTINGS": "tuned"}
    assert comparison.cells_here(picked) == 0 and not cell.path.exists()
    assert f"{cell.path.name}: the search left the published settings" in capsys.readouterr().out
    write_json(winners_path("optdigits", "class"), {"methods": {"jit": {"winner": {"changes": {"copies": 10}}}}})
    assert [item.state for item in planned([cell])] == ["missing"]


def test_what_trains_costs_more_than_what_only_looks(tiny_problem):
    costs = {item.cell.method: item.equivalent for item in planned(cells("original", "retrain", "retrain_again", "laf", "lfssd"))}
    assert costs["original"] > costs["retrain"] > costs["lfssd"]
    assert costs["retrain_again"] == pytest.approx(costs["retrain"])


def test_nothing_is_trained_by_two_cells_at_once():
    everything = set(
        cells("original", "retrain", "retrain_again", "laf", "laf_r", "ts")
        + cells("original", task="data") + cells("retrain", seed=1)
    )

    def after(method, **place):
        return {name_of(cell) for cell in waits_for(*cells(method, **place), everything)}

    assert after("original") == set()
    assert after("original", task="data") == {"tiny/class-original-seed0"}
    assert after("retrain") == {"tiny/class-original-seed0"}
    assert after("ts") == {"tiny/class-original-seed0", "tiny/class-retrain-seed0"}
    assert after("laf_r") == after("ts") | {"tiny/class-laf-seed0"}
    assert after("retrain_again") == after("ts") | {"tiny/class-retrain-seed1"}
    assert waits_for(*cells("ts"), set()) == [], "what is valid is not waited for"


def test_no_cell_waits_for_itself_in_the_end():
    everything = read_grid()
    waiting = {cell: set(waits_for(cell, set(everything))) for cell in everything}
    while waiting:
        free = {cell for cell, others in waiting.items() if not others & waiting.keys()}
        assert free, "a circle"
        waiting = {cell: others for cell, others in waiting.items() if cell not in free}


def test_the_plan_is_what_the_command_takes(tmp_path):
    (cell,) = cells("laf", task="noisy", seed=3, dataset="fashion")
    made = plan([Planned(cell, "missing", 5.0)], tmp_path, "python")["cells"]["fashion/noisy-laf-seed3"]
    assert comparison.cells_of(known_values(made["arguments"].split(), comparison.NAMES)) == [cell]
    assert made["after"] == []
    assert made["gpu"] == 0
    large = plan([Planned(Cell("cifar10", "class", "laf"), "missing", 1.0)], tmp_path, "python")
    assert large["cells"]["cifar10/class-laf-seed0"]["gpu"] == 1


def test_the_estimate_rests_on_valid_records_only(monkeypatch):
    kept = {
        "a": {"passes": {"equivalent": 20_000}, "processor_seconds": 40.0, "seconds": 400.0},
        "b": {"passes": {"equivalent": 20_000}, "processor_seconds": None, "seconds": 80.0},
        "c": {"passes": {"equivalent": 20_000}, "processor_seconds": 60.0, "seconds": 60.0},
        "short": {"passes": {"equivalent": 10}, "processor_seconds": 99.0, "seconds": 99.0},
        "failed": {"passes": None, "processor_seconds": None, "seconds": None},
    }
    monkeypatch.setattr("laf_utils.experiments.follow.read", lambda path: kept[path])

    class Item:
        def __init__(self, name, state="valid"):
            self.cell, self.state, self.equivalent = type("C", (), {"path": name}), state, 3600.0

    assert seconds_per_pass([Item(name) for name in kept]) == pytest.approx(60 / 20_000)
    assert seconds_per_pass([Item("a", "stale")]) is None
    assert hours([Item("a"), Item("b")], 0.5, 2) == pytest.approx(0.5)


# -- running it, with a stand-in for Snakemake -----------------------------------------------------------------------------

STAND_IN = """
import json, pathlib, sys
plan = json.loads(pathlib.Path(sys.argv[1]).read_text())
for name, cell in plan["cells"].items():
    log = pathlib.Path(plan["folder"], "logs", name + ".log"); log.parent.mkdir(parents=True, exist_ok=True)
    bad = "METHOD=ts" in cell["arguments"]
    log.write_text("begins\\n" + ("the loss is not a number\\n" if bad else ""))
    done = pathlib.Path(plan["folder"], "done", name)
    if not bad:
        done.parent.mkdir(parents=True, exist_ok=True); done.touch()
"""


def todo(*methods):
    return [Planned(cell, "missing", 10.0) for cell in cells(*methods)]


def stand_in(monkeypatch, script=STAND_IN):
    monkeypatch.setattr(launch, "command", lambda *_: [sys.executable, "-c", script, str(launch.folder() / "plan.json")])
    monkeypatch.setattr(follow, "POLL", 0.05)


def test_a_failing_cell_fails_alone_and_is_named_with_its_reason(places, monkeypatch):
    stand_in(monkeypatch)
    failed = launch.run(todo("laf", "ts", "neggrad"), "local", None, lambda line: None)
    assert [(item.name, line) for item, line in failed] == [("tiny/class-ts-seed0", "the loss is not a number")]


def test_marks_of_an_earlier_grid_count_for_nothing(places, monkeypatch):
    stand_in(monkeypatch)
    mark = launch.folder() / "done" / "tiny" / "class-ts-seed0"
    mark.parent.mkdir(parents=True)
    mark.touch()
    assert launch.run(todo("ts", "laf"), "local", None, lambda line: None)


def test_a_workflow_that_does_not_start_is_one_error_with_its_last_line(places, monkeypatch):
    stand_in(monkeypatch, "import sys; print('no such profile'); sys.exit(1)")
    with pytest.raises(GridError, match="no such profile"):
        launch.run(todo("laf"), "local", None, lambda line: None)


def test_two_grids_do_not_run_at_once_and_a_dead_one_is_not_in_the_way(places):
    with launch.held(), pytest.raises(GridError, match="another grid"), launch.held():
        pass
    with launch.held():
        pass


def test_an_unknown_executor_is_one_error_that_names_those_there_are():
    with pytest.raises(GridError, match="kubernetes, local, slurm"):
        launch.command("slrm", None)


@pytest.mark.parametrize("argument", ["SEDE=1", "SEED", "WORKERS=0", "WORKERS=two"])
def test_a_wrong_argument_is_one_line(argument, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["experiments", argument])
    assert command.main() == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


# -- running it for real ---------------------------------------------------------------------------------------------------

@pytest.mark.slow
@pytest.mark.skipif(not SNAKEMAKE, reason="Snakemake is not installed (pip install '.[experiments]')")
@pytest.mark.parametrize("victim", ["whole", "worker", "workflow", "interrupt"])
def test_killed_at_any_moment_it_goes_on_where_it_was(tmp_path, victim):
    grid = RealGrid(tmp_path, "WORKERS=1")
    start, kept = grid.start, grid.kept
    running = start()
    deadline = time.monotonic() + 300
    while len(kept()) < 2 and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running.poll() is None, running.communicate()[0]
    if victim == "workflow":  # its worker lives on: the next run waits for it
        os.kill(int((tmp_path / "runs" / "experiments" / "lock").read_text()), signal.SIGKILL)
    elif victim == "interrupt":
        os.kill(running.pid, signal.SIGINT)
    else:
        worker = ["-f", "python.* -m laf_utils.experiments.worker"] if victim == "worker" else []
        subprocess.run(["pkill", "-9", "-s", str(running.pid), *worker], check=False)
    said = running.communicate(timeout=300)[0]
    assert victim == "whole" or running.returncode != 0 or len(kept()) == 4, said
    before = kept()
    assert all(read(file) for file in before), "no half-written record"
    assert not list((tmp_path / "results").rglob("*.tmp")) or victim == "whole"
    again = start()
    said = again.communicate(timeout=600)[0]
    assert again.returncode == 0, said
    after = kept()
    assert len(after) == 4
    assert {file: after[file] for file in before} == before, "what was there was not made again"
    third = start()
    assert "4 valid" in third.communicate(timeout=100)[0]


def test_a_plan_without_images_takes_what_the_records_say_and_fetches_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("LAF_DATA", str(tmp_path))
    there, none = Cell("mnist", "class", "laf", 0), Cell("mnist", "class", "laf", 999)
    said = []
    found = planned([there, none], said.append, download=False)
    assert len(said) == 1 and "mnist" in said[0] and not list(tmp_path.iterdir())
    assert not {"data", "task"} & set(found[0].stale) and found[0].state != "missing" and found[1].state == "missing"


def test_cells_of_a_profile_without_records_are_priced_by_what_was_measured(tmp_path, monkeypatch):
    prices = {"training": 0.036, "unlearning": 0.36}
    devices = {"cpu": {"networks": {"native": prices}},
               "cuda": {"networks": {"native": {name: own / 60 for name, own in prices.items()}}, "device": {"name": "a card"}}}
    (tmp_path / "native.json").write_text(json.dumps({"devices": devices}))
    monkeypatch.setattr(follow, "PRICES", tmp_path / "native.json")
    todo = [Planned(Cell("cifar10", "class", method, profile="native"), "missing", 100_000.0) for method in ("original", "laf")]
    assert priced(todo) == ["native, 2 cells: 11.0 hours here on one thread, about 11 minutes on one a card"]
    assert priced([Planned(Cell("cifar10", "class", "laf", profile="small"), "missing", 1.0)]) == [], "no price, no number"
