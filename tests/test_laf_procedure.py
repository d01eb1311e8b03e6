"""LAF is written once: run, methods, own classifier, shadow models and chapter 3 get the same bits from it."""

import torch

from laf_utils.book.chapters import ch3_traces
from laf_utils.experiments import shadows
from laf_utils.experiments.problem import Problem
from laf_utils.forgetting import attempts
from laf_utils.forgetting.keeping import Keeper
from laf_utils.laf import LAF, Sets, used_count, used_of_retain
from laf_utils.methods import run_method
from laf_utils.methods.laf import LAFSettings
from laf_utils.stopping import AgreementRule
from laf_utils.together import fit_vaes_together

FIXED = {"mode": "fixed", "unlearning__epochs": 2, "unlearning__retain_ratio": 0.5}


def same(first, second):
    return all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())


def settings(run):
    return LAFSettings(run.config.vae, run.config.unlearning)


def test_a_run_and_the_method_unlearn_to_the_same_bits(make_run):
    for changes in ({}, FIXED, {"vae__fit_h_on": "retain"}, {"unlearning__schedule": "two_stage"}):
        run = make_run(**changes)
        found = run_method("laf", Problem(run).request, settings(run))
        assert same(run.laf, found.model), changes
        facts = run.facts["unlearning"]
        assert (found.passes.training, found.history["loss_ue"]) == (facts["images_passed"], run.losses["loss_ue"]), changes


def test_called_as_a_method_the_rule_watches_images_that_are_not_trained_on(make_run, monkeypatch):
    monkeypatch.setattr("laf_utils.laf.SAMPLE", 20)
    run, watched, start = make_run(**FIXED), [], AgreementRule.__init__

    def noting(self, original, forget, retain, seed):
        watched.append(retain)
        start(self, original, forget, retain, seed)

    monkeypatch.setattr(AgreementRule, "__init__", noting)
    run_method("laf", Problem(run).request, settings(run))
    (seen,) = watched
    used = run.sets.retain_rows
    unused = run.task.retain[~torch.isin(run.task.retain, used)]
    pixels = {row.numpy().tobytes() for row in run.train_images.subset(unused).pixels[run.train_images.subset(unused).index]}
    assert {row.numpy().tobytes() for row in seen.pixels[seen.index]} == pixels


def test_chapter_3_follows_the_same_unlearning(make_run):
    for changes in ({}, FIXED):
        run = make_run(**changes)
        assert same(run.laf, ch3_traces.unlearn_and_look(run)[0])


def test_chapter_3_goes_on_where_no_look_was_good_enough(make_run, monkeypatch):
    monkeypatch.setattr("laf_utils.stopping.FLOOR", 2.0)
    monkeypatch.setattr("laf_utils.adaptation.EVERY", 2)
    run = make_run(**FIXED)
    model, trace = ch3_traces.unlearn_and_look(run)
    assert same(run.laf, model) and trace.facts["epochs"][-1] == trace.facts["epochs"][-2]


def test_ones_own_classifier_goes_the_same_way(make_run, tmp_path):
    run = make_run(vae__fit_h_on="retain")
    work = attempts.Work(run.original, run.sets.forget, run.sets.retain, None, None, run.config.seed)
    with Keeper(1 << 30, tmp_path) as keeper:
        own = attempts._procedure(work, settings(run), keeper)
        own.flat = 0.0  # the paper's: a representation without silent units needs no least spread
        result = own.unlearn(run.config.unlearning)
    assert same(run.laf, result.model)


def test_shadow_models_unlearn_as_runs_do(make_run):
    run = make_run()
    procedures = [LAF(run.original, run.sets, run.config.vae, seed=run.config.seed) for _ in range(3)]
    shadows._fit(run, procedures[:1], [run.config.seed])
    alone = fit_vaes_together([run.procedure.represented.h], run.config.vae, seeds=[run.config.seed], stage="vae_h",
                              device=run.device)[0][0]
    assert same(procedures[0].densities.h, alone)
    procedures[1].densities = run.densities
    assert same(run.laf, procedures[1].unlearn(run.config.unlearning).model)


def test_how_many_retained_images_are_used():
    assert used_count(10, 100, None) == 100 and used_count(10, 100, 2.0) == 20 and used_count(10, 15, 2.0) == 15
    assert used_count(10, 100, 0.001) == 1
    rows = used_of_retain(10, 100, 2.0, seed=0)
    assert len(rows) == 20 and torch.equal(rows, rows.unique()) and rows.max() < 100
    assert torch.equal(used_of_retain(10, 100, None, seed=0), torch.arange(100))


def test_what_is_watched_is_unused_where_enough_is_left(make_images, monkeypatch):
    monkeypatch.setattr("laf_utils.laf.SAMPLE", 5)
    images, forget, retain = make_images(30), torch.arange(0, 30, 3), torch.arange(1, 30, 3)
    sets = Sets.of(images, forget, retain, ratio=0.5, seed=0)
    assert len(sets.retain) == 5 and not set(sets.watched_rows.tolist()) & set(sets.retain_rows.tolist())
    everything = Sets.of(images, forget, retain, ratio=None, seed=0)
    assert torch.equal(everything.watched_rows, everything.retain_rows)
