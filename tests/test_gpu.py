"""A GPU that is lent: images in parts, units in the order of their worth, records handed back, whenever the work is cut off."""

import json
import multiprocessing
import os
import shutil
import signal
import time

import numpy as np
import pytest
from experiments_fakes import RealGrid

from laf_utils.datasets import DataCorrupt, DataUnavailable, load, packed
from laf_utils.experiments import gpu
from laf_utils.experiments.cells import COMPARISON, Cell
from laf_utils.experiments.grid import read_grid
from laf_utils.experiments.tuning_winners import winners_path
from laf_utils.support.paths import results_folder
from laf_utils.support.records import RecordError, write_json

# -- images ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[1, 3])
def own(request, tmp_path, monkeypatch):
    """A set of 1,500 images of 8 x 8 in the data folder: two mosaics, the second one not full."""
    draw, channels = np.random.default_rng(0), request.param
    parts = {}
    for part, count in (("train", 1_400), ("test", 100)):
        parts[f"{part}_images"] = draw.integers(0, 256, (count, 8, 8, channels), np.uint8)
        parts[f"{part}_labels"] = np.arange(count) % 10
    np.savez(tmp_path / "own.npz", **parts)
    monkeypatch.setenv("LAF_DATA", str(tmp_path))
    return tmp_path


def test_what_is_unpacked_is_what_was_packed(own):
    files = packed.pack("own", own / "parts", 2)
    assert [file.name for file in files] == ["own-1.zip", "own-2.zip"]
    (found,) = packed.unpack(files, own / "there")
    assert found.checksum == load("own").checksum


def test_a_part_that_is_missing_or_another_is_refused(own):
    files = packed.pack("own", own / "parts", 2)
    with pytest.raises(DataUnavailable, match="of 2 parts, 2 is not here"):
        packed.unpack(files[:1], own / "there")
    with np.load(own / "own.npz") as arrays:
        np.savez(own / "own.npz", **dict(arrays) | {"train_images": arrays["train_images"][::-1]})
    packed.pack("own", own / "others", 2)
    with pytest.raises(DataCorrupt, match="not what was packed"):
        packed.unpack([files[0], own / "others" / "own-2.zip"], own / "there")


# -- units -------------------------------------------------------------------------------------------------------------------


def units_of_native():
    return [gpu.Unit(cell) for cell in read_grid(gpu.NATIVE)]


def test_units_come_in_the_order_of_their_worth():
    cells = units_of_native()
    units = gpu.ordered(cells, gpu._many(["mnist"], 64))
    named = [unit.cell and (unit.cell.dataset, unit.cell.seed, unit.cell.profile) for unit in units]
    assert set(named[:48]) == {("cifar10", seed, "native") for seed in (0, 1, 2)}
    paper, many, svhn = named.index(("cifar10", 0, "paper")), named.index(None), named.index(("svhn", 0, "native"))
    assert 48 < paper < many < svhn
    assert len([unit for unit in units if unit.cell]) == len(cells), "none is lost"


class Idle:
    """A worker that was given nothing yet."""

    def __init__(self, *places):
        self.unit, self.places = None, set(places)


def test_nothing_begins_before_what_it_starts_from():
    todo = units_of_native()[:48]
    begun = [unit for _, unit in gpu._given([], 16, todo, [], time.monotonic() + 60)]
    assert {(unit.cell.task, unit.cell.method) for unit in begun} == {("class", "original")} and len(begun) == 3
    busy = Idle()
    busy.unit = begun[0]
    rest = [unit for unit in todo if unit.cell.method != "original" and (unit.cell.task, unit.cell.seed) == ("class", 0)]
    assert gpu._given([], 16, rest, [busy], time.monotonic() + 60) == [], "the original is under way"
    after = [unit for _, unit in gpu._given([], 16, rest, [], time.monotonic() + 60)]
    assert {unit.cell.method for unit in after} == {"retrain"}


def test_a_worker_goes_on_with_a_request_that_it_knows():
    todo = [gpu.Unit(Cell("mnist", "class", "original", seed)) for seed in (0, 1)]
    one, other = Idle(todo[1].place), Idle(todo[0].place)
    given = gpu._given([one, other], 0, todo, [], time.monotonic() + 60)
    assert {(worker, unit.cell.seed) for worker, unit in given} == {(one, 1), (other, 0)}
    assert gpu._given([one], 0, todo, [], time.monotonic() - 1) == [], "after the end nothing begins"


def test_a_worker_that_dies_takes_only_its_unit_with_it(tmp_path, monkeypatch, capsys):
    class Dies:
        def __init__(self, out):
            self.pipe, self.theirs = multiprocessing.Pipe()
            self.unit, self.places = None, set()

        def begin(self, unit):
            self.unit = unit
            if unit.cell.seed == 0:
                self.theirs.close()
            else:
                self.theirs.send(True)

        ended, stop = gpu._Worker.ended, lambda self: None

    monkeypatch.setattr(gpu, "_Worker", Dies)
    todo = [gpu.Unit(Cell("mnist", "class", "original", seed)) for seed in (0, 1, 2)]
    assert gpu._all(todo, tmp_path, 1, time.monotonic() + 60) == 1
    assert not todo and "1 units failed" in capsys.readouterr().out


# -- records -----------------------------------------------------------------------------------------------------------------

RECORD = "comparison/mnist/class-original-seed0.json"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A results folder with one record, and its lines; then an empty results folder."""
    there = tmp_path / "there" / RECORD
    there.parent.mkdir(parents=True)
    shutil.copy(results_folder() / RECORD, there)
    monkeypatch.setenv("LAF_RESULTS", str(tmp_path / "there"))
    gpu.give(tmp_path, there)
    gpu.give(tmp_path, there)
    monkeypatch.setenv("LAF_RESULTS", str(tmp_path / "here"))
    return tmp_path


def test_a_record_is_handed_back_once_and_taken_once(elsewhere, capsys):
    file = elsewhere / gpu.LINES
    assert len(file.read_text().splitlines()) == 1
    for said in ("1 taken, 0 there already", "0 taken, 1 there already"):
        assert gpu.take(file) == 0 and said in capsys.readouterr().out
    assert COMPARISON.read(Cell("mnist", "class", "original").path)["key"]


def test_a_line_that_was_cut_is_no_line_and_spoils_no_other(elsewhere, capsys, monkeypatch):
    file = elsewhere / gpu.LINES
    whole = file.read_text()
    file.write_text(whole + whole[: len(whole) // 2])
    monkeypatch.setenv("LAF_RESULTS", str(elsewhere / "there"))
    other = elsewhere / "there" / RECORD.replace("original", "retrain")
    shutil.copy(elsewhere / "there" / RECORD, other)
    gpu.give(elsewhere, other)
    assert [line["path"] for line in gpu.read_lines(file)] == [RECORD, RECORD.replace("original", "retrain")]


@pytest.mark.parametrize("change", [
    {"path": "../outside.json"}, {"path": "tuning/mnist/class.json"}, {"path": RECORD.replace("original", "retrain")},
    {"seconds": -1.0},
])
def test_what_is_no_record_of_its_place_is_refused(elsewhere, change):
    line = json.loads((elsewhere / gpu.LINES).read_text())
    line = line | change if "path" in change else line | {"record": line["record"] | change}
    (elsewhere / gpu.LINES).write_text(json.dumps(line) + "\n")
    with pytest.raises(RecordError):
        gpu.take(elsewhere / gpu.LINES)
    assert not (elsewhere / "here").exists() and not (elsewhere / "outside.json").exists()


@pytest.mark.parametrize("line", ["[]", "3", "{}", '{"path": "comparison/mnist/x.json"}', '{"path": 1, "record": {}}'])
def test_a_line_of_something_else_is_refused_in_one_line(tmp_path, line):
    (tmp_path / gpu.LINES).write_text(line + "\n")
    with pytest.raises(RecordError, match="no record with its place"):
        gpu.take(tmp_path / gpu.LINES)


def test_tuned_settings_are_asked_for_only_where_there_was_a_search(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LAF_RESULTS", str(tmp_path))
    first, _ = gpu._many(["mnist"], 64)
    assert first.arguments[-1] == "METHOD=relearn,neggrad_plus_pseudo,svd" and "no search is on record" in capsys.readouterr().out
    write_json(winners_path("mnist", "class"), {"methods": {"scrub": {"winner": {"changes": {}}}}})
    assert gpu._many(["mnist"], 64)[0].arguments[-1].endswith(",svd,scrub-tuned")


# -- from end to end, on this machine ----------------------------------------------------------------------------------------


def test_a_grid_is_made_and_handed_back(tmp_path):
    grid = RealGrid(tmp_path, "KIND=gpu", f"OUT={tmp_path / 'out'}", "WORKERS=2", "METHOD=original,retrain,lfssd")
    run = grid.start()
    said = run.communicate(timeout=600)[0]
    assert run.returncode == 0 and "3 records in" in said
    lines = gpu.read_lines(tmp_path / "out" / gpu.LINES)
    assert {line["record"]["cell"]["method"] for line in lines} == {"original", "retrain", "lfssd"}


@pytest.mark.slow
def test_killed_midway_the_same_command_goes_on(tmp_path):
    grid = RealGrid(tmp_path, "KIND=gpu", f"OUT={tmp_path / 'out'}", "WORKERS=1")
    run, file = grid.start(), tmp_path / "out" / gpu.LINES
    until = time.monotonic() + 600
    while not gpu.read_lines(file) and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    first = grid.kept()
    assert 0 < len(gpu.read_lines(file)) < 4
    said = (again := grid.start()).communicate(timeout=600)[0]
    assert again.returncode == 0 and "4 records in" in said
    assert first.items() <= grid.kept().items(), "what was there is not made again"
    assert len(gpu.read_lines(file)) == 4
