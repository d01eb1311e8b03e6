"""Stages of several runs trained as one: a run takes them from disk, and they are what it would have trained itself."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from laf_utils import datasets
from laf_utils import run as pipeline
from laf_utils.experiments import __main__ as command
from laf_utils.experiments import second_retrained as noise_floor
from laf_utils.experiments import stages as room
from laf_utils.experiments.cells import AGAIN, Cell
from laf_utils.experiments.making import make, settings_of
from laf_utils.experiments.problem import Problem
from laf_utils.experiments.stages import train_stages
from laf_utils.run import Run
from laf_utils.support.devices import describe

CPU = torch.device("cpu")


@pytest.fixture
def runs(make_run, tmp_path):
    """``runs(task, seed, ...)``: fresh runs, which share the folder that they look into."""

    def make(*pairs, folder=tmp_path / "runs"):
        return [make_run(task, seed=seed, folder=folder) for task, seed in pairs]

    return make


@pytest.fixture
def no_training(monkeypatch):
    """``no_training()``: from now on whoever trains a network by itself fails."""

    def refuse(*_, **__):
        raise AssertionError("a network was trained by itself")

    def forbid():
        monkeypatch.setattr(pipeline, "train", refuse)
        monkeypatch.setattr(noise_floor, "run_method", refuse)

    return forbid


def files(folder, stage=""):
    return sorted(path.name for path in (folder / "artefacts").glob(f"{stage}*"))


def logits(run, model):
    with torch.no_grad():
        return model(run.test_images.batch(torch.arange(50)))


def nearly_the_same(run, ours, theirs, start):
    """Up to rounding, that is a small part of the way that training went."""
    moved = (logits(run, theirs) - logits(run, start)).abs().mean()
    assert moved > 1e-2
    assert (logits(run, ours) - logits(run, theirs)).abs().mean() < 1e-2 * moved


# -- what a run finds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stage", "places"), [
    ("original", [("class", 0), ("class", 1), ("noisy", 0)]), ("retrained", [("class", 0), ("class", 1)]),
])
def test_a_run_takes_its_stage_from_disk_as_it_would_have_trained_it(stage, places, runs, no_training, tmp_path):
    alone = runs(*places, folder=tmp_path / "elsewhere")
    expected = [getattr(run, stage) for run in alone]
    assert train_stages(runs(*places), [stage] * len(places)) == len(places)
    no_training()
    for run, own, theirs in zip(runs(*places), alone, expected, strict=True):
        nearly_the_same(run, getattr(run, stage), theirs, run.architecture.build(run.config.seed, stage, CPU))
        assert run.reused[stage] and not getattr(run, stage).training
        assert run.losses[stage] == pytest.approx(own.losses[stage], abs=1e-4)


def test_the_second_retrained_model_is_trained_beside_the_first(runs, no_training, tmp_path, monkeypatch):
    monkeypatch.setenv("LAF_RESULTS", str(tmp_path / "results"))
    (alone,), (run,) = runs(("data", 0), folder=tmp_path / "elsewhere"), runs(("data", 0))
    settings = run.config.training
    theirs = noise_floor.retrained_again(Problem(alone), settings)[0]
    assert train_stages([run, run], ["retrained", "again"]) == 2
    no_training()
    (fresh,) = runs(("data", 0))
    problem = Problem(fresh)
    ours = noise_floor.retrained_again(problem, settings)[0]
    seed = noise_floor.again_stage(fresh)[2]
    nearly_the_same(fresh, ours, theirs, fresh.architecture.build(seed, "retrained", CPU))
    assert fresh.reused[AGAIN] and (logits(fresh, fresh.retrained) - logits(fresh, ours)).abs().mean() > 1e-2


def test_what_is_on_disk_is_not_trained_again(runs, monkeypatch):
    first, second = runs(("class", 0), ("class", 1))
    own = first.original
    seeds = []
    together = room.train_together
    monkeypatch.setattr(room, "train_together", lambda *given: seeds.append(given[4]) or together(*given))
    assert train_stages([first, second], ["original"] * 2) == 1 and seeds == [[1]]
    assert train_stages(runs(("class", 0), ("class", 1)), ["original"] * 2) == 0 and len(seeds) == 1
    (again,) = runs(("class", 0))
    assert torch.equal(logits(again, again.original), logits(again, own))


def test_class_and_data_removal_share_their_original_and_noisy_labels_have_their_own(runs, no_training, tmp_path):
    places = [(task, 0) for task in ("class", "data", "noisy")]
    assert train_stages(runs(*places), ["original"] * 3) == 2
    assert len(files(tmp_path / "runs", "original")) == 2
    no_training()
    by_class, by_data, noisy = (logits(run, run.original) for run in runs(*places))
    assert torch.equal(by_class, by_data) and not torch.allclose(by_class, noisy)


def test_artefacts_for_another_device_are_named_for_it(runs, no_training, monkeypatch, tmp_path):
    (run,) = runs(("class", 0))
    assert train_stages([run], ["original"], device="cuda") == 1
    assert not run.holds("original", run._training_content("all"))
    assert run.holds("original", run._training_content("all") | {"device": "cuda"})
    assert train_stages([run], ["original"], device="cuda") == 0
    # The other way round: trained there, for runs on this processor.
    monkeypatch.setattr(run, "_placed", lambda stage, content: {"device": "cuda"} | content | {"stage": stage})
    assert train_stages([run], ["original"], device="cpu") == 1
    no_training()
    (fresh,) = runs(("class", 0))
    assert fresh.original is not None and fresh.reused["original"]


def test_a_record_names_the_machine_that_trained_its_model(runs, monkeypatch, tmp_path):
    monkeypatch.setenv("LAF_RESULTS", str(tmp_path / "results"))
    there = {"device": "cuda", "name": "another machine"}
    monkeypatch.setattr(room, "describe", lambda device: there)
    train_stages(runs(("class", 0), ("class", 1)), ["original"] * 2)
    train_stages(runs(("class", 0), ("class", 1)), ["retrained"] * 2)
    (run,) = runs(("class", 0))
    problem = Problem(run)

    def machine(method):
        cell = Cell("tiny", "class", method)
        return make(cell, problem, settings_of(cell, problem, None))["machine"]

    assert machine("original") == machine("retrain") == machine(AGAIN) == there | {"together": 2}
    assert machine("laf") == describe(CPU), "this one was computed here, on what had been trained there"


def test_each_network_is_charged_its_share_of_the_time(runs, monkeypatch):
    clock = iter([100.0, 130.0])
    monkeypatch.setattr(room, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    pair = runs(("class", 0), ("class", 1))
    train_stages(pair, ["original"] * 2)
    assert [run.kept("original", run._training_content("all"), None).facts["seconds"] for run in pair] == [15.0, 15.0]


# -- what is refused ----------------------------------------------------------------------------------------------------------


def test_runs_of_two_data_sets_are_refused(runs):
    first, second = runs(("class", 0), ("class", 1))
    second.data = replace(second.data, checksum="another")
    with pytest.raises(ValueError, match="must share their images"):
        train_stages([first, second], ["original"] * 2)


def test_runs_that_draw_their_images_by_the_seed_are_refused(make_run):
    pair = [make_run(seed=seed, images=200) for seed in (0, 1)]
    with pytest.raises(ValueError, match="must share their images"):
        train_stages(pair, ["original"] * 2)
    alike = [make_run(task, images=200) for task in ("class", "noisy")]
    assert train_stages(alike, ["original"] * 2) == 2, "of one seed they are the same images"


def test_runs_that_train_differently_are_refused(make_run):
    for changes in ({"training__epochs": 3}, {"transforms__augment": True}):
        with pytest.raises(ValueError, match="must share their settings of training"):
            train_stages([make_run(), make_run(seed=1, **changes)], ["original"] * 2)


# -- the command --------------------------------------------------------------------------------------------------------------


def call(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["experiments", "KIND=stages", *arguments])
    return command.main(), capsys.readouterr()


@pytest.fixture
def tiny_command(runs, monkeypatch):
    """Whatever the command asks for is a tiny run."""
    made = []

    def problem(dataset, task, seed, profile):
        assert (dataset, profile) == ("tiny", "paper")
        made.extend(runs((task, seed)))
        return Problem(made[-1])

    monkeypatch.setattr(room, "Problem", SimpleNamespace(asked=problem))
    return made


@pytest.mark.parametrize(("argument", "message"), [
    ("STAGE=laf", "STAGE must be of original, retrained, again, got 'laf'"),
    ("STAGE=original,retrained", "STAGE must be"),
    ("FOR=gpu", "FOR must be one of cpu, cuda, mps, got 'gpu'"),
    ("FOR=auto", "FOR must be one of"),
    ("SEED=one", "SEED must be a whole number"), ("SEED=1,-2", "SEED must be a whole number"),
    ("AT_ONCE=0", "AT_ONCE must be a whole number from 1"), ("TASK=klass", "TASK must be of"),
    ("SPEED=1", "expected NAME=VALUE"),
])
def test_what_cannot_be_meant_is_one_line(argument, message, monkeypatch, capsys):
    monkeypatch.setattr(datasets, "load", lambda *_, **__: pytest.fail("images were read before the settings"))
    code, said = call(monkeypatch, capsys, argument)
    assert code == 2 and message in said.err and len(said.err.splitlines()) == 1


def test_what_cannot_be_trained_as_one_is_one_line(tiny_command, monkeypatch, capsys):
    code, said = call(monkeypatch, capsys, "DATASET=tiny", "STAGE=retrained", "TASK=class,data")
    assert code == 2 and "rows must be of one length" in said.err and len(said.err.splitlines()) == 1


def test_the_command_trains_what_is_asked_for_once(tiny_command, monkeypatch, capsys, tmp_path, no_training, runs):
    given = ("DATASET=tiny", "TASK=class,data", "SEED=0,1", "FOR=cpu")
    code, said = call(monkeypatch, capsys, *given)
    assert code == 0 and said.out.strip() == "2 of 4 trained as one"
    assert [(run.config.task, run.config.seed) for run in tiny_command] == [("class", 0), ("class", 1), ("data", 0), ("data", 1)]
    code, said = call(monkeypatch, capsys, *given)
    assert said.out.strip() == "0 of 4 trained as one"
    no_training()
    assert all(isinstance(run, Run) and run.original is not None for run in runs(("data", 0), ("class", 1)))


def test_both_retrained_models_of_a_request_go_together(tiny_command, monkeypatch, capsys, tmp_path):
    code, said = call(monkeypatch, capsys, "DATASET=tiny", "TASK=data", "STAGE=retrained,again", "AT_ONCE=1")
    assert code == 0 and said.out.strip() == "2 of 2 trained as one"
    assert [len(files(tmp_path / "runs", f"{stage}-")) for stage in ("retrained", AGAIN)] == [1, 1]
