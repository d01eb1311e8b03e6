"""What the chapter notebooks compute beyond LAF.ipynb: the same numbers as the method's own code, opened for a look."""

import dataclasses
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from laf_utils.audit import published_attack
from laf_utils.audit.attack import _scored
from laf_utils.book.base import style
from laf_utils.book.chapters import (
    ch1_ch2_figures,
    ch1_pretraining,
    ch2_densities,
    ch3_adaptation,
    ch3_ch4_figures,
    ch3_traces,
    ch4_membership,
    shared,
)
from laf_utils.evaluation import evaluate, make_record
from laf_utils.losses import saturating
from laf_utils.settings.changes import changed
from laf_utils.settings.presets import preset
from laf_utils.support.seeds import derive
from laf_utils.tasks import TASKS


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def drawn(figure, panels):
    """The figure can be rendered and has this many panels with something in them."""
    figure.canvas.draw()
    used = [axis for axis in figure.get_axes() if axis.has_data()]
    plt.close(figure)
    return len(used) == panels


# -- shared ------------------------------------------------------------------------------------------------------------


def test_a_variant_shares_what_does_not_change(make_run):
    lines = []
    run = make_run(say=lines.append)
    _ = run.original
    linear = shared.run_with(run, {"vae.decoder": "linear"}, "linear")
    assert linear is not run and same(linear.original, run.original)
    assert linear.reused["original"] is True
    _ = linear.densities
    assert [line.split(":")[0] for line in lines] == ["original", "linear, vae"]
    assert shared.run_with(run, {"vae.decoder": run.config.vae.decoder}, "same") is run


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
def test_the_other_mode_is_that_modes_preset(dataset, task):
    reference, fixed = (preset(dataset, task, mode=mode, seed=3, device="cpu") for mode in ("reference", "fixed"))
    labels = {"all_wrong_labels": reference.all_wrong_labels}  # the original stays the same one
    assert shared.in_mode(reference, "fixed") == changed(fixed, labels)
    assert shared.in_mode(reference, "reference") is reference
    assert shared.in_mode(shared.in_mode(reference, "fixed"), "reference") == reference


def test_the_other_mode_keeps_what_was_set_by_hand():
    config = preset("mnist", "class", forget_classes=(3,), unlearning__temperature=7.0, training__epochs=1)
    fixed = shared.in_mode(config, "fixed")
    assert (fixed.forget_classes, fixed.unlearning.temperature, fixed.training.epochs) == ((3,), 7.0, 1)
    assert fixed.mode == "fixed" and fixed.vae.decoder == "linear"


def test_measuring_two_models_gives_what_evaluating_all_gives(make_run):
    run = make_run()
    two, four = shared.measure(run, {"original": run.original, "retrained": run.retrained}), evaluate(run)
    for model in ("original", "retrained"):
        assert two.metrics[model] == {key: four.metrics[model][key] for key in two.metrics[model]}


# -- chapter 1 ---------------------------------------------------------------------------------------------------------


def test_requests_are_the_three_tasks_of_the_same_images(make_run):
    run = make_run("data")
    tasks = ch1_pretraining.requests(run)
    assert tuple(tasks) == TASKS and tasks["data"] is run.task
    for name in TASKS:
        assert tasks[name].checksum() == make_run(name).task.checksum()
    table = ch1_pretraining.set_sizes(tasks)
    assert (table["D_f"] + table["D_r"] == table["D"]).all()
    assert table["wrong labels"].tolist() == [0, 0, len(tasks["noisy"].forget)]
    forget, retain = ch1_pretraining.class_counts(tasks, 10)["class"]
    assert retain[0] == 0 and forget[1:].sum() == 0


def test_captions_name_the_true_class_where_the_label_is_wrong(make_run):
    run = make_run("noisy")
    shown = ch1_pretraining.request_images(run, ch1_pretraining.requests(run), per_set=4)
    assert all("(is " in caption for caption in shown["noisy"]["D_f"][1])
    assert not any("(is " in caption for caption in shown["noisy"]["D_r"][1])


@pytest.mark.parametrize("task", TASKS)
def test_the_goal_is_told_with_the_runs_numbers(make_run, task):
    run = make_run(task)
    evaluation = shared.measure(run, {"original": run.original, "retrained": run.retrained})
    assert f"{evaluation.metrics['retrained']['train_f']:.1f} % (retrained)" in ch1_pretraining.goal_finding(run, evaluation)
    table = ch1_pretraining.accuracy_on_alike(run, evaluation)
    assert ("D_f, true labels" in table) == (task == "noisy")
    assert (table["D_r, same classes"] == "–").all() == (task == "class")


def test_goals_come_from_the_committed_records(make_run, tmp_path, monkeypatch):
    assert list(ch1_pretraining.goals_in_records("mnist").columns)[:2] == ["Original, Train_f", "Retrained, Train_f"]
    monkeypatch.setenv("LAF_RESULTS", str(tmp_path / "results"))
    (said,) = ch1_pretraining.recorded_goals("mnist")
    assert "no committed records of MNIST" in said.data
    assert ch1_pretraining.goals_in_records("mnist").empty


# -- chapter 2 ---------------------------------------------------------------------------------------------------------


def test_no_sigmoid_gets_below_the_unreachable_part(make_run):
    e = torch.tensor([[-2.0, 0.5, 3.0], [0.1, 0.2, 0.9]])
    assert ch2_densities.unreachable(e).tolist() == pytest.approx([8.0, 0.0])
    run = make_run()
    representations = ch2_densities.examined(run)
    fit = ch2_densities.examine(run.densities, representations, 0)
    for vae in ("h", "h_f"):
        for name, e in representations.items():
            assert (fit.errors[vae, name] >= ch2_densities.unreachable(e).numpy()).all()


def test_slope_is_the_derivative_of_s():
    m = torch.tensor([0.0, 0.3, 1.0, 12.0, 160.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(saturating(m).sum(), m)
    assert ch2_densities.slope(m.detach().numpy()) == pytest.approx(slope.numpy())
    assert "0.000104" in ch2_densities.saturation_lines()  # at m = 160, the specification's 1e-4


def test_auc_is_perfect_where_the_errors_do_not_overlap():
    errors = {("h", "retain"): np.ones(5), ("h", "forget"): np.full(4, 9.0), ("h_f", "retain"): np.full(5, 9.0),
              ("h_f", "forget"): np.ones(4)}
    table = ch2_densities.separation_table({"x": ch2_densities.Fit(errors, {}, np.zeros((2, 1)))})
    assert set(table.loc["x"]) == {"100.0"}


def test_decoders_are_those_of_the_run_where_they_agree(make_run):
    run = make_run()
    found = ch2_densities.fits(run, ch2_densities.examined(run))
    assert list(found) == list(ch2_densities.DECODERS)
    table = ch2_densities.reconstruction_table(found, ch2_densities.examined(run))
    assert (table.loc["of it outside (0, 1), h", ["linear", "linear, standardised"]] == "–").all()
    assert len(list((run.folder / "artefacts").glob("vae-*"))) == len(found)


# -- chapter 3 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["reference", "fixed"])
def test_looking_changes_nothing(make_run, mode):
    run = make_run(mode=mode)
    model, artefact = ch3_traces.unlearn_and_look(run)
    assert same(model, run.laf)
    assert artefact.facts["looked"] == {"ue": run.losses["loss_ue"], "ra": run.losses["loss_ra"]}


def test_a_trace_starts_at_the_original_and_is_kept(make_run):
    run = make_run()
    trace = ch3_traces.follow(run)
    assert trace.epochs == [0, 1, 2] and len(trace.passed) == 3
    assert trace.drift("forget")[0] == pytest.approx(0, abs=1e-6)
    assert trace.agreement("retain")[0] == 100 and trace.length("forget")[0] == 1
    again = make_run()
    assert np.array_equal(ch3_traces.follow(again).drift("forget"), trace.drift("forget"))
    assert again.reused["trace"] is True


def test_a_long_unlearning_is_looked_at_some_times_only(make_run):
    trace = ch3_traces.follow(make_run(unlearning__epochs=2 * ch3_traces.LOOKS + 1, unlearning__use_ue=False))
    assert len(trace.epochs) <= ch3_traces.LOOKS + 2
    assert trace.epochs[-1] == 2 * ch3_traces.LOOKS + 1
    assert len(trace.losses["ra"]) == 2 * ch3_traces.LOOKS + 1 and not trace.losses["ue"]


def test_going_back_is_the_last_look(make_run):
    trace = dataclasses.replace(ch3_traces.follow(make_run()), epochs=[0, 2, 1])
    assert trace.went_back
    assert list(ch3_adaptation.projection(trace))[-1] == "what is kept"


def test_alignment_starts_where_counting_says(make_run):
    run = make_run()
    batches = [32] * (len(run.task.forget) // 32) + [len(run.task.forget) % 32]
    expected = np.mean([-32 * math.log(size) for size in batches if size])
    assert ch3_adaptation.start_of_alignment(run) == pytest.approx(expected, abs=1e-4)
    assert f"mean over these {len(batches)} steps: {expected:.3f}" in ch3_adaptation.arithmetic(run)
    assert "-32 ln 32 = -110.904" in ch3_adaptation.arithmetic(run)


def test_alignment_has_no_gradient_before_anything_moved(make_run):
    length = ch3_adaptation.first_gradients(make_run())["length of the gradient"].astype(float)
    assert length["L_RA, at the start"] < 1e-4 * length["L_UE, at the start"]
    assert length["L_RA, after one step on L_UE"] > 1e3 * length["L_RA, at the start"]


def test_each_loss_alone_steps_on_that_loss_only(make_run):
    run = make_run()
    alone = ch3_adaptation.losses_alone(run)
    assert not alone["L_UE alone"].losses["ra"] and not alone["L_RA alone"].losses["ue"]
    assert alone["both losses"].passed[-1] == 2 * alone["L_RA alone"].passed[-1]
    goal = ch3_adaptation.goal_on_followed(run)
    assert list(ch3_adaptation.last_looks(alone, goal).index) == [*alone, "Retrained"]
    far = {name: ch3_adaptation.distance_to_goal(trace, goal) for name, trace in alone.items()}
    said = ch3_adaptation.alone_finding(alone, goal)
    assert ("better than both" in said) == (far["L_RA alone"] < far["both losses"]) and f"both {far['both losses']:.1f}" in said
    assert "retrained model's" in ch3_adaptation.forgetting_finding(alone["both losses"], goal)


def test_both_modes_start_from_the_same_original(make_run):
    run = make_run("noisy")
    both = ch3_adaptation.both_modes(run)
    assert torch.equal(both["reference"].logits["test"][0], both["fixed"].logits["test"][0])


# -- chapter 4 ---------------------------------------------------------------------------------------------------------


def test_the_opened_attack_is_the_published_one(make_run):
    run = make_run()
    evaluation = evaluate(run)
    for name, view in ch4_membership.attack_views(run, evaluation).items():
        published = evaluation.attacks[name]
        assert view.result == published
        assert _scored(view.truth, view.score, published.learned_members, published.learned_non_members, False) == published
        assert (view.truth.sum(), (1 - view.truth).sum()) == (published.members, published.non_members)
        assert len(view.features["members"]) == published.learned_members


def test_straw_men_score_what_blind_answers_score():
    truth = np.repeat([1, 0], [30, 10])
    for name, score in (("always “member”", 1.0), ("always “non-member”", 0.0)):
        result, said = _scored(truth, np.full(40, score), 1, 1, True), ch4_membership.blind_attackers(75.0)[name]
        assert (said["asr"], said["balanced_accuracy"], said["auc"]) == (result.asr, result.balanced_accuracy, result.auc)


def test_log_odds_are_symmetric_and_bounded():
    odds = ch4_membership.log_odds(np.array([0.0, 0.01, 0.5, 0.99, 1.0], dtype=np.float32))
    assert odds[2] == 0 and odds == pytest.approx(-odds[::-1], abs=1e-5)
    assert np.abs(odds).max() == pytest.approx(18.42, abs=0.01), "nats"
    assert odds[3] == pytest.approx(math.log(99), rel=1e-5)


def test_reruns_differ_by_the_attacks_own_seed_only(make_run):
    run = make_run("data")
    evaluation = evaluate(run)
    found = ch4_membership.reruns(run, evaluation, count=2)
    train, test = evaluation.outputs["laf"].train.probabilities, evaluation.outputs["laf"].test.probabilities
    seed = derive(run.config.seed, "rerun", 1)
    assert found["laf"][1] == published_attack(train[run.task.retain], train[run.task.forget], test, seed=seed)
    assert "distance to Retrained" in ch4_membership.rerun_table(found)
    assert "2 seeds of the attack" in ch4_membership.noise_finding(found)


# -- figures -----------------------------------------------------------------------------------------------------------


def test_figures_of_chapters_one_and_two(make_run):
    run = make_run("noisy")
    tasks, representations = ch1_pretraining.requests(run), ch2_densities.examined(run)
    evaluation = shared.measure(run, {"original": run.original, "retrained": run.retrained})
    _, found = run.densities, ch2_densities.fits(run, representations)
    shown = ch1_pretraining.request_images(run, tasks, per_set=6)
    assert drawn(ch1_ch2_figures.requests(shown), 3 * 2 * 6)
    assert drawn(ch1_ch2_figures.class_counts(ch1_pretraining.class_counts(tasks, 10), run.data.class_names), 3)
    assert drawn(ch1_ch2_figures.training(run.losses, evaluation.metrics), 2)
    assert drawn(ch1_ch2_figures.representation_values({name: e.numpy() for name, e in representations.items()}), 2)
    assert drawn(style.loss_curves({name: run.losses[name] for name in ("vae_h", "vae_h_f")}), 1)
    assert drawn(ch1_ch2_figures.given_back(found), 3)
    assert drawn(ch1_ch2_figures.saturation(found), 5)
    assert drawn(ch1_ch2_figures.both_sets_under_both(found), 6)


def test_figures_of_chapters_three_and_four(make_run):
    run = make_run()
    evaluation = evaluate(run)
    trace, goal = ch3_traces.follow(run), ch3_adaptation.goal_on_followed(run)
    views = ch4_membership.attack_views(run, evaluation)
    losses = {f"loss_{name}": values for name, values in trace.losses.items()}
    assert drawn(style.loss_curves(losses, ch3_adaptation.start_of_alignment(run)), 2)
    assert drawn(ch3_ch4_figures.moving(ch3_adaptation.projection(trace), trace.classes["retain"].numpy()), 3)
    assert drawn(ch3_ch4_figures.by_epoch(trace, goal), 3)
    assert drawn(ch3_ch4_figures.each_alone({"both": trace, "again": trace}, goal), 4)
    assert drawn(ch3_ch4_figures.modes({"reference": trace, "fixed": dataclasses.replace(trace, epochs=[0, 2, 1])}, goal), 3)
    assert drawn(ch3_ch4_figures.attack_features(ch4_membership.rank_odds(views)), 12)
    assert drawn(ch3_ch4_figures.roc(ch4_membership.roc_points(views)), 2)
    assert drawn(ch3_ch4_figures.attack_noise(ch4_membership.reruns(run, evaluation, count=2), evaluation.attacks), 2)
    assert "ToW" in ch4_membership.gap_table(make_record(run, evaluation))
    assert len(ch4_membership.chance_table(evaluation, views)) == 7
    assert "half of the test set" in ch4_membership.row_counts(evaluation.attacks["laf"])
