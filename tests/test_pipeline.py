"""The stages of a run: computed once, kept, recomputed exactly where something changed. Also seeds and places."""

import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from laf_utils import datasets
from laf_utils import laf as procedure
from laf_utils import run as pipeline
from laf_utils.evaluation import evaluate, make_record
from laf_utils.laf import labelled_rows
from laf_utils.run import Run
from laf_utils.settings.config import ConfigError
from laf_utils.settings.names import caveats
from laf_utils.settings.presets import preset
from laf_utils.support import paths, seeds
from laf_utils.support.artefacts import Artefact
from laf_utils.support.seeds import derive, initialisation, stream
from laf_utils.tasks import TASKS, balanced_subset

STAGES = ("original", "retrained", "vae", "unlearning", "repair")
MODES = ("reference", "fixed")


def complete(run):
    run.models()
    return run


def computed(run):
    return {stage for stage in STAGES if not run.reused[stage]}


def weights(run):
    return {name: torch.cat([v.flatten().float() for v in model.state_dict().values()]) for name, model in run.models().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# -- a whole run -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("task", TASKS)
def test_every_task_runs_in_both_modes(make_run, task, mode):
    run = make_run(task, mode=mode)
    evaluation = evaluate(run)
    record = make_record(run, evaluation)
    assert record["config"]["mode"] == mode
    assert set(evaluation.metrics) == {"original", "retrained", "laf", "laf_r"}
    assert ("train_f_true" in evaluation.metrics["laf"]) == (task == "noisy")
    assert (evaluation.metrics["laf"]["test_f"] is None) == (task != "class")
    found = weights(run)
    assert len({tuple(vector.tolist()) for vector in found.values()}) == 4, "four different models"


def test_published_and_recommended_settings_unlearn_the_same_original(optdigits):
    (first, *_), (second, *_) = (optdigits(mode) for mode in MODES)
    a, b = weights(first), weights(second)
    assert torch.equal(a["original"], b["original"])
    assert torch.equal(a["retrained"], b["retrained"])
    assert not torch.equal(a["laf"], b["laf"])


def test_real_digits_make_sense(optdigits):
    _, _, record = optdigits("reference")
    metrics = record["metrics"]
    assert metrics["original"]["train_f"] > 95
    assert metrics["retrained"]["train_f"] == 0
    assert metrics["laf"]["train_r"] > 90
    assert record["gaps"]["original"]["tow"] < 0.1


def test_a_second_run_takes_everything_from_disk_with_identical_numbers(make_run):
    said = []
    first, second = make_run(), make_run(say=said.append)
    numbers = [evaluate(run) for run in (first, second)]
    assert computed(first) == set(STAGES)
    assert computed(second) == set()
    assert numbers[0].metrics == numbers[1].metrics
    assert numbers[0].attacks == numbers[1].attacks
    assert first.losses == second.losses
    assert same(weights(first), weights(second))
    assert sum("taken from disk" in line for line in said) == 5, "it is always said"
    assert {stage: first.seconds[stage] for stage in STAGES} == {stage: second.seconds[stage] for stage in STAGES}


AFTER_TRAINING, AFTER_VAE = {"vae", "unlearning", "repair"}, {"unlearning", "repair"}


@pytest.mark.parametrize(("changes", "anew"), [
    ({"repair__epochs": 2}, {"repair"}),
    ({"repair__labelled_share": 0.5}, {"repair"}),
    ({"unlearning__lr_ue": 2e-3}, AFTER_VAE),
    ({"unlearning__temperature": 1.0}, AFTER_VAE),
    ({"unlearning__schedule": "joint"}, AFTER_VAE),
    ({"unlearning__batchnorm": "retain"}, AFTER_VAE),
    ({"vae__epochs": 1}, AFTER_TRAINING),
    ({"vae__fit_h_on": "retain"}, AFTER_TRAINING),
    ({"forget_classes": (1,)}, {"retrained", *AFTER_TRAINING}),
    ({"task": "data"}, {"retrained", *AFTER_TRAINING}),
    ({"task": "noisy"}, set(STAGES)),
    ({"training__epochs": 3}, set(STAGES)),
    ({"training__weight_decay": 0.0}, set(STAGES)),
    ({"transforms__augment": True}, set(STAGES)),
    ({"images": 200}, set(STAGES)),
    ({"seed": 1}, set(STAGES)),
    ({"all_wrong_labels": True}, set()),
    ({"images": 300}, set()),
    ({"profile": "paper", "images": 300, "training__learning_rate": 2e-3}, set()),
    ({"unlearning__retain_ratio": 1.0}, AFTER_VAE),
])
def test_a_changed_setting_recomputes_what_depends_on_it(make_run, changes, anew):
    complete(make_run())
    assert computed(complete(make_run(**changes))) == anew
    assert computed(complete(make_run())) == set(), "the first run's results are still there"


def test_other_images_are_other_results(make_run, monkeypatch):
    complete(make_run())
    load = pipeline.datasets.load

    def other(*arguments, **settings):
        return dataclasses.replace(load(*arguments, **settings), checksum="other")

    monkeypatch.setattr(pipeline.datasets, "load", other)
    assert computed(complete(make_run())) == set(STAGES)


def test_other_code_is_other_results(make_run, edited):
    complete(make_run())
    edited("losses.extractor_unlearning_loss")
    assert computed(complete(make_run())) == AFTER_TRAINING
    edited("training.train")
    assert computed(complete(make_run())) == set(STAGES)


def test_other_code_of_the_repair_is_another_repair_only(make_run, edited):
    complete(make_run())
    edited("laf.repair")
    assert computed(complete(make_run())) == {"repair"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_truncated_artefact_is_computed_again(make_run, stage):
    first = weights(make_run())
    folder = make_run().folder / "artefacts"
    (file,) = folder.glob(f"{stage}-*")
    file.write_bytes(file.read_bytes()[:500])
    again = make_run()
    assert same(first, weights(again))
    assert computed(again) == {stage}
    assert computed(complete(make_run())) == set()


def test_asking_for_laf_first_computes_what_it_needs(make_run):
    run = make_run()
    found = weights_of(run.laf)
    assert set(run.reused) - {"index_sets"} == {"original", "vae", "unlearning"}
    whole = make_run(folder=run.folder.parent / "elsewhere")
    assert torch.equal(found, weights(whole)["laf"])


def weights_of(model):
    return torch.cat([value.flatten().float() for value in model.state_dict().values()])


def test_the_order_of_stages_and_what_is_on_disk_change_nothing(make_run, tmp_path):
    straight = weights(make_run(folder=tmp_path / "a"))
    backwards = make_run(folder=tmp_path / "b")
    for stage in (backwards.retrained, backwards.laf_r, backwards.original):
        assert stage is not None
    assert same(straight, weights(backwards))
    for stage in STAGES:  # one stage computed, all others from disk
        (file,) = (tmp_path / "a" / "artefacts").glob(f"{stage}-*")
        file.unlink()
        assert same(straight, weights(make_run(folder=tmp_path / "a"))), stage


HOMES = {"train": pipeline, "fit_vae": procedure, "unlearn": procedure, "repair": pipeline}  # where each is called


@pytest.mark.parametrize(("function", "kept"), [
    ("train", set()), ("fit_vae", {"original"}), ("unlearn", {"original", "vae"}), ("repair", {"original", "vae", "unlearning"}),
])
def test_an_interruption_keeps_the_stages_before_it(make_run, monkeypatch, function, kept):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(HOMES[function], function, interrupted)
        run = make_run()
        with pytest.raises(KeyboardInterrupt):
            _ = run.laf_r
    files = list((run.folder / "artefacts").glob("*"))
    assert {file.name.split("-")[0] for file in files} == kept
    again = make_run()
    assert again.laf_r is not None
    assert computed_of(again) == {"original", "vae", "unlearning", "repair"} - kept


def computed_of(run):
    return {stage for stage in STAGES if stage in run.reused and not run.reused[stage]}


def test_a_run_draws_no_global_random_number(make_run):
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    evaluate(make_run("noisy", transforms__augment=True, transforms__augment_everywhere=True))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_global_seeds_do_not_matter(make_run, tmp_path):
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        found.append(weights(make_run(folder=tmp_path / str(seed))))
    assert same(*found)


# -- what goes into each stage -----------------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch):
    """What ``pipeline`` hands to the rooms: name -> list of arguments."""
    noted = {}
    for name in ("train", "fit_vae", "unlearn", "repair"):
        function = getattr(HOMES[name], name)

        def spy(*arguments, _name=name, _function=function, **settings):
            noted.setdefault(_name, []).append((*arguments, settings))
            return _function(*arguments, **settings)

        monkeypatch.setattr(HOMES[name], name, spy)
    return noted


@pytest.mark.parametrize("task", TASKS)
def test_who_sees_what(make_run, calls, task):
    run = complete(make_run(task))
    forget, retain, labels = run.task.forget, run.task.retain, run.task.train_labels
    original, retrained = calls["train"]
    assert original[1].index is None
    assert torch.equal(original[2], labels), "wrong labels are there before the original is trained"
    assert torch.equal(retrained[1].index, retain)
    assert torch.equal(retrained[2], labels[retain])
    (laf,) = calls["unlearn"]
    assert laf[0] is run.original
    assert torch.equal(laf[1].index, forget)
    assert torch.equal(laf[2].index, retain)
    (laf_r,) = calls["repair"]
    assert torch.equal(laf_r[1].index, retain)
    assert torch.equal(laf_r[2], labels[retain])
    assert laf_r[0] is run.laf


@pytest.mark.parametrize(("settings", "rows_of_h"), [({}, "all"), ({"vae__fit_h_on": "retain"}, "retain")])
def test_h_is_fitted_on_all_images_or_on_the_retained_ones(make_run, calls, settings, rows_of_h):
    run = make_run(**settings)
    assert run.densities is not None
    (h, h_settings), (h_f, h_f_settings) = ((call[0], call[-1]) for call in calls["fit_vae"])
    assert (h_settings["stage"], h_f_settings["stage"]) == ("vae_h", "vae_h_f")
    e = run.original.extractor(run.frozen_images.batch(torch.arange(300))).detach()
    draw = torch.Generator()
    assert torch.allclose(h.epoch(draw), e if rows_of_h == "all" else e[run.task.retain], atol=1e-5)
    assert torch.allclose(h_f.epoch(draw), e[run.task.forget], atol=1e-5)


def test_the_two_vaes_are_not_confused_on_disk(make_run):
    first, second = make_run(), make_run()
    a, b = first.densities, second.densities
    for name in ("h", "h_f"):
        assert torch.equal(weights_of(getattr(a, name)), weights_of(getattr(b, name)))
        assert not any(p.requires_grad for p in getattr(b, name).parameters())
    assert not torch.equal(weights_of(a.h), weights_of(a.h_f))


@pytest.mark.parametrize(("ratio", "count"), [(None, 270), (0.5, 15), (1.0, 30), (2.0, 60), (100.0, 270), (0.001, 1)])
def test_a_share_of_the_retained_images(make_run, ratio, count):
    run = make_run(unlearning__retain_ratio=ratio)
    assert len(run.sets.retain_rows) == count
    assert torch.equal(run.sets.retain_rows, run.sets.retain_rows.unique())
    assert set(run.sets.retain_rows.tolist()) <= set(run.task.retain.tolist())


def test_transforms_of_training_are_used_elsewhere_only_as_published(make_run):
    published = make_run(transforms__augment=True, transforms__augment_everywhere=True)
    sound = make_run(transforms__augment=True)
    for run in (published, sound):
        assert run.train_images.transform.augment
        assert not run.test_images.transform.augment
    assert published.frozen_images.transform.augment
    assert not sound.frozen_images.transform.augment


def test_a_subset_has_as_many_of_each_class(make_run):
    run = make_run(images=120)
    assert run.train_set.labels.bincount().tolist() == [12] * 10
    assert len(run.train_set.images) == 120
    labels = torch.arange(1000) % 7
    rows = balanced_subset(labels, 100, 7, seed=0)
    assert labels[rows].bincount().tolist() == [14] * 7
    assert torch.equal(rows, rows.unique())
    assert torch.equal(rows, balanced_subset(labels, 100, 7, seed=0))
    assert not torch.equal(rows, balanced_subset(labels, 100, 7, seed=1))


def test_a_class_that_the_data_lacks_is_one_clear_error(make_run):
    with pytest.raises(ConfigError, match="tiny: class 10 does not exist: classes are 0 to 9"):
        _ = make_run(forget_classes=(10,)).task


def test_a_fallback_set_is_run_with_its_own_preset(make_run, monkeypatch):
    found = pipeline.datasets.load("optdigits")
    monkeypatch.setattr(pipeline.datasets, "load", lambda name, **_: dataclasses.replace(found, requested=name))
    run = Run(preset("cifar10", "class", seed=3), fallback="optdigits", say=lambda line: None)
    assert run.config == preset("optdigits", "class", seed=3)


def test_all_files_lie_in_the_given_folder(make_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    complete(make_run(folder=tmp_path / "here"))
    assert {path.name for path in tmp_path.iterdir()} == {"here"}
    assert len(list((tmp_path / "here" / "artefacts").iterdir())) == 5


def test_the_default_folder_is_the_runs_folder(make_run, tmp_path, monkeypatch):
    monkeypatch.setenv("LAF_RUNS", str(tmp_path / "mine"))
    assert make_run(folder=None).folder == tmp_path / "mine"


@pytest.mark.slow
def test_mnist_forgets_a_class(tmp_path):
    try:
        datasets.load("mnist", download=False)
    except datasets.DataUnavailable:
        pytest.skip("MNIST is not on this machine")
    run = Run(preset("mnist", "class", device="cpu"), folder=tmp_path, say=lambda line: None)
    metrics = evaluate(run).metrics
    assert metrics["original"]["test"] > 93
    assert metrics["original"]["train_f"] > 95
    assert metrics["retrained"]["train_f"] == 0
    assert metrics["laf"]["train_f"] < metrics["original"]["train_f"] - 20
    assert metrics["laf_r"]["test_r"] > 90


# -- shares of labels, and stages computed elsewhere -----------------------------------------------------------------------


def test_labelled_rows_are_a_share_drawn_by_the_seed():
    rows = labelled_rows(270, 0.1, seed=0)
    assert len(rows) == 27 == len(rows.unique()) and torch.equal(rows, rows.sort().values) and rows.max() < 270
    assert torch.equal(rows, labelled_rows(270, 0.1, seed=0)) and not torch.equal(rows, labelled_rows(270, 0.1, seed=1))
    assert torch.isin(labelled_rows(270, 0.01, seed=0), rows).all(), "a smaller share is a part of the larger one"
    assert len(labelled_rows(270, 0.001, seed=0)) == 1 and torch.equal(labelled_rows(9, 1.0, seed=0), torch.arange(9))


def test_the_repair_reads_the_labelled_rows_and_all_of_those(make_run, calls):
    run = make_run(repair__labelled_share=0.1)
    assert run.laf_r is not None
    (call,) = calls["repair"]
    rows = run.task.retain[labelled_rows(len(run.task.retain), 0.1, run.config.seed)]
    assert torch.equal(call[1].index, rows) and torch.equal(call[2], run.task.train_labels[rows])
    assert call[3].labelled_share == 1.0 and call[3].epochs == run.config.repair.epochs


def test_a_stage_computed_elsewhere_is_taken_as_it_is(make_run, monkeypatch):
    first, second = make_run(), make_run()
    content = first._training_content("all")
    assert not first.holds("original", content)
    weights_there = {name: value + 1 for name, value in first.architecture.build(5, "original", "cpu").state_dict().items()}
    facts = {"losses": {"original": [2.0, 1.0]}, "seconds": 7.0, "machine": {"name": "elsewhere"}}
    first.keep("original", content, Artefact(weights_there, facts))
    assert first.holds("original", content) and second.holds("original", second._training_content("all"))
    assert not first.holds("retrained", content), "it is that stage's alone"
    assert not make_run(seed=1).holds("original", make_run(seed=1)._training_content("all"))
    monkeypatch.setattr(pipeline, "train", None)  # would fail if called
    assert all(torch.equal(value, weights_there[name]) for name, value in second.original.state_dict().items())
    assert second.reused["original"] and second.seconds["original"] == 7.0 and second.losses["original"] == [2.0, 1.0]
    assert second.facts["original"]["machine"] == {"name": "elsewhere"}


def test_what_is_kept_for_another_device_is_not_taken_here(make_run):
    run = make_run()
    content = run._training_content("all")
    run.keep("original", content | {"device": "cuda"}, Artefact(run.architecture.build(0, "original", "cpu").state_dict(), {}))
    assert run.holds("original", content | {"device": "cuda"}) and not run.holds("original", content)


# -- seeds -------------------------------------------------------------------------------------------------------------


def test_streams_are_named(random_state_untouched):
    names = [(0, "a"), (1, "a"), (0, "b"), (0, "a", "b"), (0,), (10,), (1, "0")]
    draws = [torch.rand(4, generator=stream(*name)) for name in names]
    assert all(not torch.equal(a, b) for i, a in enumerate(draws) for b in draws[:i])
    assert torch.equal(torch.rand(4, generator=stream(0, "a")), draws[0])


def test_seeds_are_the_same_on_every_machine():
    assert derive(0, "original", "order") == 0x1AF5A3FD50B11A2F
    assert all(0 <= derive(seed, "x") < 2**63 for seed in range(200))


def test_initialisation_restores_the_global_state_even_after_an_error():
    before = torch.get_rng_state()
    with initialisation(0, "x"):
        first = torch.rand(3)
    with initialisation(0, "x"):
        assert torch.equal(first, torch.rand(3))
    with pytest.raises(RuntimeError), initialisation(0, "y"):
        assert not torch.equal(first, torch.rand(3))
        raise RuntimeError
    assert torch.equal(before, torch.get_rng_state())


def test_no_two_stages_share_a_stream(make_run, monkeypatch):
    asked, original = [], seeds.derive
    monkeypatch.setattr(seeds, "derive", lambda seed, *names: asked.append(names) or original(seed, *names))
    evaluate(make_run("noisy", mode="fixed", images=200, unlearning__epochs=1))
    # Initialisations are drawn anew where weights are then loaded; each model is attacked with the same rows and
    # measured on the same crops.
    streams = [names for names in asked if names[-1] != "initialisation" and names[0] not in ("attack", "u-mia", "evaluation")]
    assert len(streams) == len(set(streams)), "a stream drawn from twice repeats itself"


# -- places ------------------------------------------------------------------------------------------------------------

PLACES = [("LAF_DATA", paths.data_folder, "data"), ("LAF_RUNS", paths.runs_folder, "runs"),
          ("LAF_TRAINING", paths.training_folder, "Training"), ("LAF_NOTEBOOKS", paths.notebooks_folder, "notebooks")]


@pytest.mark.parametrize(("variable", "place", "name"), PLACES)
def test_places_are_absolute_and_overridable(monkeypatch, tmp_path, variable, place, name):
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    assert place() == paths.ROOT / name
    monkeypatch.setenv(variable, "")
    assert place() == paths.ROOT / name
    monkeypatch.setenv(variable, "here")
    assert place() == tmp_path.resolve() / "here"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(variable, "~/there")
    assert place() == tmp_path.resolve() / "there"
    assert Path(paths.__file__).resolve().parents[2] == paths.ROOT


# -- what the stopping rule may look at ------------------------------------------------------------------------------------


def test_the_stopping_rule_watches_retained_images_that_unlearning_does_not_use(make_run, monkeypatch):
    monkeypatch.setattr(procedure, "SAMPLE", 20)
    run = make_run("class", mode="fixed", unlearning__retain_ratio=0.5)
    used, watched = set(run.sets.retain_rows.tolist()), set(run.sets.watched_rows.tolist())
    assert watched == set(run.task.retain.tolist()) - used
    given = []
    monkeypatch.setattr(procedure, "unlearn", lambda *_, watched, **__: given.append(watched))
    with pytest.raises(AttributeError):  # of the missing result
        _ = run.laf
    assert set(given[0].index.tolist()) == watched


def test_where_too_few_are_left_it_watches_those_in_use(make_run):
    run = make_run("class", mode="reference")
    assert run.sets.retain_rows.equal(run.task.retain)
    assert run.sets.watched_rows.equal(run.sets.retain_rows)


def test_a_class_that_has_no_effect_is_said(make_run):
    for task, told in (("data", True), ("noisy", True), ("class", False)):
        run = make_run(task, forget_classes=(3,))
        assert any("FORGET_CLASS" in line for line in caveats(run.config, run.data)) is told
    run = make_run("data")
    assert not any("FORGET_CLASS" in line for line in caveats(run.config, run.data))
