"""Every measure of the audit against a closed form: what it must say of equal, of different and of over-fitted models."""

import math

import pytest
import torch
from scipy import stats

from laf_utils.audit import free_measures, interval, log_odds, paired
from laf_utils.audit.confidence import label_loss, label_probability
from laf_utils.audit.distance import (
    debiased_cka,
    distance_by_image,
    ks_distance,
    linear_cka,
    log_odds_auc,
    mean_distance,
    relearn_time,
    wasserstein,
)
from laf_utils.audit.forget_score import forget_score
from laf_utils.audit.free import DEFINITION
from laf_utils.audit.many_models import (
    exposure,
    klom,
    klom_by_image,
    klom_null,
    models_for_klom,
    u_lira,
    u_lira_of_exposed,
)
from laf_utils.audit.membership import ranking, relative_confidence, rmia, u_mia
from laf_utils.audit.statistics import holm, p_of_excess
from laf_utils.audit.verdict import CANNOT, VERDICTS, verdict
from laf_utils.evaluation import evaluate, make_record
from laf_utils.settings.config import TrainingConfig


def normal(*shape, seed=0, shift=0.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) + shift


# -- confidence ------------------------------------------------------------------------------------------------------------


def test_phi_is_the_logit_of_the_labels_probability():
    logits, labels = normal(50, 10), torch.arange(50) % 10
    p = logits.softmax(1)[torch.arange(50), labels]
    assert torch.allclose(log_odds(logits, labels), (p / (1 - p)).log(), atol=1e-5)
    assert torch.allclose(label_probability(logits, labels), p)
    assert torch.allclose(label_loss(logits, labels), -p.log(), atol=1e-5)


def test_phi_is_finite_where_the_probability_rounds_to_one():
    logits = torch.tensor([[200.0, 0.0, 0.0]])
    assert log_odds(logits, torch.tensor([0])).item() == pytest.approx(200 - math.log(2))
    assert log_odds(logits, torch.tensor([1])).item() == pytest.approx(-200)


# -- membership ------------------------------------------------------------------------------------------------------------


def test_a_ranking_of_equal_scores_is_blind_and_of_separate_ones_perfect():
    blind = ranking(normal(2000).numpy(), normal(2000).numpy())
    perfect = ranking(normal(50, shift=99).numpy(), normal(50).numpy())
    assert blind.auc == 50
    assert (perfect.auc, perfect.tpr_at_1_fpr, perfect.tpr_at_01_fpr) == (100, 100, 100)
    with pytest.raises(ValueError, match="members and others"):
        ranking(normal(0).numpy(), normal(3).numpy())


def test_the_rate_at_one_percent_is_a_hand_count():
    # 3 of 10 members lie above all 100 others; a fourth lies above 98 of them.
    others, members = torch.arange(100.0), torch.tensor([200.0, 200, 200, 97.5] + [-1.0] * 6)
    found = ranking(members.numpy(), others.numpy())
    assert found.tpr_at_1_fpr == 30
    assert found.tpr_at_01_fpr == 30


def test_u_mia_finds_members_of_an_over_fitted_model_only():
    fresh = u_mia(normal(900, seed=1).abs(), normal(700, seed=2).abs(), seed=0)
    fitted = u_mia(torch.full((900,), 0.01), normal(700, seed=2).abs() + 2, seed=0)
    assert fresh.images == 700
    assert abs(fresh.accuracy - 50) < 4
    assert fitted.accuracy > 95


def test_u_mia_sees_small_losses_on_their_logarithm():
    """Log-normal losses with an AUC of 0.98: the best threshold is right in 94 %, a line on the loss itself in 78 %."""
    forget, test = (-4 + normal(2000, seed=1)).mul(3).exp(), (-1 + normal(2000, seed=2)).mul(3).exp()
    assert ranking(-forget.numpy(), -test.numpy()).auc > 96
    assert u_mia(forget, test, seed=0).accuracy > 90


def test_losses_of_sure_networks_do_not_round_to_zero():
    losses = label_loss(torch.tensor([[60.0, 0.0], [30.0, 0.0]]), torch.tensor([0, 0]))
    assert (losses > 0).all() and losses[0] == pytest.approx(math.exp(-60), rel=1e-4)


def test_u_mia_takes_infinite_losses_and_refuses_too_few():
    losses = torch.tensor([math.inf, math.nan, -math.inf, 1.0] * 4)
    assert 0 <= u_mia(losses, losses, seed=0).accuracy <= 100
    with pytest.raises(ValueError, match="at least four"):
        u_mia(torch.zeros(3), torch.zeros(9), seed=0)


def test_relative_confidence_is_the_formula():
    model, out = torch.tensor([0.9]), torch.tensor([[0.2], [0.4]])
    assert relative_confidence(model, out, 0.3).item() == pytest.approx(0.9 / ((1.3 * 0.3 + 0.7) / 2))


def test_rmia_is_blind_on_a_model_that_saw_neither_and_sharp_on_one_that_saw_them():
    out_forget, out_test = (normal(2, 800, seed=s).sigmoid() for s in (1, 2))
    blind = rmia(normal(800, seed=3).sigmoid(), out_forget, normal(800, seed=4).sigmoid(), out_test)
    sharp = rmia(torch.full((800,), 0.999), out_forget.clamp(max=0.3), normal(800, seed=4).sigmoid() * 0.3, out_test)
    assert abs(blind.auc - 50) < 4
    assert sharp.auc > 99
    assert blind.non_members == 400


def test_a_class_that_is_easier_is_no_leak_for_rmia():
    """Both models are sure of the forgotten images; a plain loss attack would call them members."""
    sure_forget, sure_test = (normal(800, seed=s, shift=4).sigmoid() for s in (1, 2))
    found = rmia(sure_forget, sure_forget[None], sure_test, sure_test[None])
    assert abs(found.auc - 50) < 4


# -- distance --------------------------------------------------------------------------------------------------------------


def test_equal_samples_differ_by_nothing_and_others_by_the_largest_distance_of_their_curves():
    a, b = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([3.5, 5.0, 6.0, 7.0])
    assert ks_distance(a, a) == 0
    assert ks_distance(a, b) == 0.75, "three of four lie below all of the others"
    assert ks_distance(normal(20_000), normal(20_000, shift=50)) == 1
    small, large = (ks_distance(normal(n), normal(n, seed=1, shift=0.5)) for n in (2_000, 50_000))
    assert abs(small - large) < 0.05, "unlike a p value it does not depend on the number of images"


def test_half_up_and_half_down_are_seen_image_by_image_and_not_by_the_mean():
    phi, halves = normal(1000), torch.tensor([5.0, -5.0]).repeat(500)
    assert verdict(phi + halves, phi).shift == pytest.approx(0, abs=1e-6)
    assert distance_by_image(phi + halves, phi) == pytest.approx(5, abs=1e-5)
    assert 3 < wasserstein(phi + halves, phi) <= 5


def test_an_exchange_of_images_moves_no_distribution():
    phi = torch.tensor([0.0, 10.0])
    assert wasserstein(phi.flip(0), phi) == 0 and distance_by_image(phi.flip(0), phi) == 10
    assert wasserstein(phi + 3, phi) == 3


def test_debiased_cka_is_zero_for_unrelated_wide_representations_where_the_biased_one_is_not():
    pairs = [(normal(300, 256, seed=s), normal(300, 256, seed=100 + s)) for s in range(5)]
    assert all(0.4 < linear_cka(a, b) < 0.52 for a, b in pairs)
    assert abs(sum(debiased_cka(a, b) for a, b in pairs)) / 5 < 0.02
    a = normal(200, 8)
    assert debiased_cka(a, 3 * a @ torch.linalg.qr(normal(8, 8, seed=1)).Q + 5) == pytest.approx(1, abs=1e-5)
    assert math.isnan(debiased_cka(torch.ones(5, 2), normal(5, 2))) and math.isnan(debiased_cka(normal(3, 2), normal(3, 2)))


def test_debiased_cka_is_the_unbiased_estimate_of_independence():
    """HSIC_1 of Song et al. by its definition, on a few images."""
    a, b = normal(6, 2).double(), normal(6, 3, seed=1).double()

    def hsic(x, y):
        k, other = (g - g.diag().diag() for g in (x @ x.T, y @ y.T))
        one = torch.ones(6, dtype=torch.float64)
        first, second = (k @ other).trace(), (one @ k @ one) * (one @ other @ one) / (5 * 4)
        return first + second - 2 / 4 * (one @ k @ other @ one)

    expected = hsic(a, b) / (hsic(a, a) * hsic(b, b)).sqrt()
    assert debiased_cka(a, b) == pytest.approx(expected.item())


def test_cka_leaves_rotation_and_scale_alone_and_sees_unrelated_ones():
    a = normal(2000, 8)
    rotation = torch.linalg.qr(normal(8, 8, seed=1)).Q
    assert linear_cka(a, 3 * a @ rotation + 5) == pytest.approx(1, abs=1e-5)
    assert linear_cka(a, normal(2000, 8, seed=2)) < 0.02
    # One dimension each: the squared correlation.
    x, y = normal(100), normal(100, seed=3)
    expected = torch.corrcoef(torch.stack([x, y]))[0, 1].square().item()
    assert linear_cka(x[:, None], y[:, None]) == pytest.approx(expected, abs=1e-5)
    assert math.isnan(linear_cka(torch.ones(5, 2), normal(5, 2)))


def test_distance_is_relative_to_the_second():
    assert mean_distance(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 10.0]])) == pytest.approx(math.sqrt(45) / 10)


def test_relearning_counts_epochs(network, make_images):
    images, labels = make_images(32, seed=1), torch.zeros(32, dtype=torch.int64)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    config = TrainingConfig(epochs=9)

    def time(values):
        values = iter(values)
        return relearn_time(network, images, labels, lambda model: next(values), 90.0, config, seed=0, epochs=3)

    assert time([85.0]) == 0
    assert time([0, 84.9, 85.0]) == 2
    assert time([0, 0, 0, 84.9]) is None
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_relearning_trains(network, make_images):
    images, labels = make_images(64, seed=1), torch.full((64,), 3)

    def accuracy(model):
        return 100 * (model(images.batch(torch.arange(64))).argmax(1) == 3).float().mean().item()

    found = relearn_time(network, images, labels, accuracy, 100.0, TrainingConfig(learning_rate=1e-2), seed=0)
    assert found is not None
    assert found > 0


# -- many models -----------------------------------------------------------------------------------------------------------


def test_identical_models_are_told_apart_by_nothing():
    phi = normal(8, 40)
    assert forget_score(phi, phi) == 1
    assert klom(phi, phi).mean == 0
    assert u_lira(phi, phi).auc == 50


def test_utility_scales_the_score_and_never_raises_it():
    phi = normal(5, 9)
    assert forget_score(phi, phi, utility_ratios=(0.9, 0.5)) == pytest.approx(0.45)
    assert forget_score(phi, phi, utility_ratios=(1.7,)) == 1


def test_disjoint_histograms_diverge_by_the_floor():
    shares = 1 / (1 + 19 * 1e-5)
    empty = 1e-5 * shares
    expected = shares * math.log(shares / empty) + empty * math.log(empty / shares)
    found = klom_by_image(torch.full((6, 1), 5.0), torch.full((6, 1), -5.0))
    assert found.item() == pytest.approx(expected)


def test_klom_clips():
    assert klom(torch.full((3, 1), 1e6), torch.full((3, 1), 101.0)).mean == 0


def test_the_percentile_is_that_of_the_images():
    unlearned, retrained = normal(50, 100), normal(50, 100, seed=1)
    values = klom_by_image(unlearned, retrained)
    assert klom(unlearned, retrained).percentile_95 == pytest.approx(values.quantile(0.95).item())


def test_the_likelihood_ratio_attack_sees_a_shift_and_not_its_own_fit():
    blind = u_lira(normal(6, 3000), normal(6, 3000, seed=1))
    sharp = u_lira(normal(6, 400, shift=5), normal(6, 400, seed=1))
    assert abs(blind.auc - 50) < 1.2, "fitted with the attacked model it would find itself; with one more of the others, them"
    assert sharp.auc > 99
    assert (sharp.members, sharp.non_members) == (2400, 2400)


def test_the_most_exposed_images_show_what_the_average_hides():
    original, retrained = normal(12, 200), normal(12, 200, seed=1)
    original[:, :20] += 8.0  # images that a model which saw them betrays
    leaky = normal(12, 200, seed=2)
    leaky[:, :20] += 8.0
    assert set(exposure(original, retrained).topk(20).indices.tolist()) == set(range(20))
    assert u_lira(leaky, retrained).auc < 62, "one image in ten, on the average"
    assert u_lira_of_exposed(leaky, retrained, original).auc == 100
    nothing = u_lira_of_exposed(normal(12, 200, seed=3), retrained, original)
    assert abs(nothing.auc - 50) < 12 and nothing.members == 12 * 20, "chosen on other models, it stays blind"
    with pytest.raises(ValueError, match="at least 3"):
        u_lira_of_exposed(leaky[:5], retrained[:5], original[:5])


def test_kloms_null_falls_with_models_and_the_number_that_brings_it_below_a_nat_is_the_first():
    null = [klom_null(models) for models in (8, 16, 64)]
    assert null == sorted(null, reverse=True) and null[0] > 6 and null[2] < 1
    least = models_for_klom()
    assert klom_null(least) < 1 <= klom_null(least - 4) and 32 < least <= 64


@pytest.mark.parametrize("measure", [forget_score, klom, u_lira])
def test_matrices_that_cannot_be_compared_are_refused(measure):
    with pytest.raises(ValueError, match="same images"):
        measure(normal(5, 3), normal(5, 4))
    with pytest.raises(ValueError, match="same images"):
        measure(normal(5), normal(5))


def test_the_attack_compares_within_the_pair_and_is_blind_at_50_where_images_move_together():
    draw, found = torch.Generator().manual_seed(0), []
    for _ in range(300):
        whole, own = torch.randn(2, 6, 1, generator=draw), torch.randn(2, 6, 40, generator=draw)
        found.append(u_lira(*(0.95 * whole + 0.31 * own)).auc)
    mean, error = sum(found) / 300, torch.tensor(found).std().item() / 300**0.5
    assert abs(mean - 50) < 3 * error + 0.5 and error < 2, "pooled over pairs it is 42"


def test_too_few_models_are_refused():
    with pytest.raises(ValueError, match="at least 3"):
        u_lira(normal(2, 3), normal(5, 3))
    with pytest.raises(ValueError, match="at least 2"):
        forget_score(normal(1, 3), normal(5, 3))


# -- statistics and verdict ------------------------------------------------------------------------------------------------


def test_an_interval_is_students():
    values = [1.0, 2.0, 4.0]
    found = interval(values)
    low, high = stats.t.interval(0.95, 2, loc=7 / 3, scale=stats.sem(values))
    assert (found.mean, found.low, found.high, found.count) == (pytest.approx(7 / 3), pytest.approx(low), pytest.approx(high), 3)


def test_one_seed_has_no_interval_and_none_is_refused():
    assert math.isnan(interval([3.0]).high)
    with pytest.raises(ValueError, match="no value"):
        interval([])


def test_a_paired_comparison_cancels_what_the_seed_does():
    first, second = {0: 10.0, 1: 50.0, 2: 90.0, 7: 1.0}, {0: 9.0, 1: 49.0, 2: 89.0, 8: 1.0}
    found = paired(first, second)
    assert (found.mean, found.std, found.count) == (1, 0, 3)
    with pytest.raises(ValueError, match="in common"):
        paired({0: 1.0}, {1: 1.0})


def test_holm_corrects_in_steps():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []


def test_the_p_of_a_mean_is_students():
    values = [1.0, 2.0, 4.0]
    assert interval(values).p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert p_of_excess(values) == pytest.approx(stats.ttest_1samp(values, 0, alternative="greater").pvalue)
    assert interval([3.0]).p == p_of_excess([3.0]) == 1, "one seed tests nothing"
    assert interval([2.0, 2.0]).p == 0 and interval([0.0, 0.0]).p == 1 and p_of_excess([-1.0, -1.0]) == 1


def test_two_images_are_no_evidence():
    with pytest.raises(ValueError, match="three images"):
        verdict(normal(2), normal(2))


# -- in a run --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["class", "data", "noisy"])
def test_every_run_gets_the_free_measures(make_run, task):
    run = make_run(task)
    evaluation = evaluate(run)
    audit = make_record(run, evaluation)["audit"]
    assert set(audit) == {"original", "retrained", "laf", "laf_r"}
    assert audit["retrained"]["verdict"] is None
    for model in ("original", "laf", "laf_r"):
        assert audit[model]["verdict"]["verdict"] == CANNOT, "one retrained model alone has no spread"
        assert audit[model]["debiased_cka_retain"] <= 1.001 and audit[model]["definition"] == DEFINITION
        assert 0 <= audit[model]["u_mia_log"]["accuracy"] <= 100
        assert 0 <= audit[model]["rmia"]["auc"] <= 100


def test_a_copy_of_the_retrained_model_has_no_distance(make_run):
    run = make_run()
    evaluation = evaluate(run)
    outputs = {"retrained": evaluation.outputs["retrained"], "copy": evaluation.outputs["original"].__class__(
        evaluation.outputs["retrained"].train, evaluation.outputs["retrained"].test)}
    found = free_measures(outputs, run.task, run.data.test.labels, evaluation.sample, seed=0)["copy"]
    assert found["verdict"]["verdict"] in VERDICTS and found["verdict"]["shift"] == 0
    assert found["ks_distance"] == found["distance_by_image"] == found["wasserstein"] == 0
    assert found["debiased_cka_retain"] == pytest.approx(1, abs=1e-5)
    assert found["distance_forget"] == 0


@pytest.mark.parametrize(("unlearned", "percent"), [([3.0, 4.0], 100), ([-1.0, -2.0], 0), ([0.0, 2.0], 50), ([1.0, 5.0], 75)])
def test_auc_of_log_odds_counts_the_pairs_in_which_the_unlearned_model_is_surer(unlearned, percent):
    assert log_odds_auc(torch.tensor(unlearned), torch.tensor([0.0, 2.0])) == percent
