"""The certified step of the head: its bound, its noise, what it equals where the loss is quadratic, and what it refuses."""

import math

import pytest
import torch
from forgetting_fakes import UNSEEN, UNSEEN_LABELS, X, accuracy, forget, own_model, trained
from scipy.stats import norm
from torch import nn

from laf_utils.forgetting import CertifiedHead, Refused, certified
from laf_utils.forgetting.certified import ConvexHead, drawn, hides, newton
from laf_utils.methods.method import fingerprint


def problem(seed, n=300, p=6, classes=4):
    """Representations float64 [n, p] of no bounded length, with a constant, and answers that they mostly explain."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=draw, dtype=torch.float64) * (1 + 3 * torch.rand(n, 1, generator=draw, dtype=torch.float64))
    x[:, -1] = 1
    scores = x @ torch.randn(p, classes, generator=draw, dtype=torch.float64)
    return x, (scores + torch.randn(n, classes, generator=draw, dtype=torch.float64)).argmax(1)


def head(seed, penalty=0.1, noise=5.0, allowed=1.0):
    """A head with a draw of its noise; ``allowed`` times the budget of that, where a bound is to be seen rather than kept."""
    x, answers = problem(seed)
    settings = CertifiedHead(penalty=penalty, noise=allowed * noise)
    random = noise * torch.randn(int(answers.max()) + 1, x.shape[1], generator=torch.Generator().manual_seed(seed)).double()
    return ConvexHead(x, answers, settings, random)


@pytest.mark.parametrize("penalty", [0.03, 0.3])
def test_what_the_step_leaves_is_below_its_bound(penalty):
    for seed in range(10):
        own = head(seed, penalty, allowed=1e3)
        assert own.gradient(own.weights).norm() < 1e-2, "the fit ends at its minimum"
        own.remove(torch.arange(300) < 5 + seed)
        left = own.gradient(own.weights).norm().item()
        assert 0 < left <= own.residual <= own.budget


def test_the_bound_is_not_far_above_what_is_left():
    """A hundred times would refuse everything; and a bound that is smaller by half would not hold."""
    own = head(1, allowed=1e3)
    own.remove(torch.arange(300) < 10)
    assert 1 <= own.residual / own.gradient(own.weights).norm().item() < 100


def test_the_logistic_slope_changes_no_faster_than_it_is_said_to():
    z = torch.linspace(-8, 8, 100_001, dtype=torch.float64)
    s = z.sigmoid()
    steepest = (s * (1 - s) * (1 - 2 * s)).abs().max().item()
    assert steepest <= certified.RATE < 1.0001 * steepest


@pytest.mark.parametrize(("epsilon", "delta"), [(1.0, 1e-5), (0.5, 1e-3), (0.1, 1e-6), (1.0, 0.05)])
def test_noise_hides_a_shift_as_well_as_it_is_said_to(epsilon, delta):
    """The exact profile of the Gaussian mechanism (Balle and Wang 2018) at the largest shift that is let pass."""
    ratio = hides(1.0, epsilon, delta)
    exact = norm.cdf(ratio / 2 - epsilon / ratio) - math.exp(epsilon) * norm.cdf(-ratio / 2 - epsilon / ratio)
    assert exact <= delta
    assert hides(7.0, epsilon, delta) == pytest.approx(7 * epsilon / math.sqrt(2 * math.log(1.5 / delta)))


def test_the_noise_has_the_stated_spread_and_is_new_each_time():
    one, other = drawn(3.0, (50, 400)), drawn(3.0, (50, 400))
    assert one.std().item() == pytest.approx(3.0, rel=0.03) and not torch.equal(one, other)
    torch.manual_seed(0)
    first = drawn(1.0, (2, 2))
    torch.manual_seed(0)
    assert not torch.equal(first, drawn(1.0, (2, 2))), "no seed of the program repeats it"


def test_of_a_quadratic_loss_the_step_is_retraining():
    x, answers = problem(3)
    y, penalty, weights = nn.functional.one_hot(answers).double(), 0.1, torch.zeros(4, 6, dtype=torch.float64)
    stays = torch.arange(300) >= 40

    def step(inputs, wanted, start):
        gradient = (inputs @ start.T - wanted).T @ inputs + penalty * len(inputs) * start
        return start + newton(inputs, start, gradient, penalty * len(inputs), torch.ones_like(wanted))

    everything = step(x, y, weights)
    away = step(x[stays], y[stays], everything)
    ridge = torch.linalg.solve(x[stays].T @ x[stays] + penalty * 260 * torch.eye(6).double(), x[stays].T @ y[stays]).T
    assert torch.allclose(away, ridge, atol=1e-10) and not torch.allclose(everything, ridge, atol=1e-3)


def test_the_step_comes_near_to_training_without_the_images():
    own = head(5, allowed=1e3)
    before, rows = own.weights, torch.arange(300) < 10
    x, answers = problem(5)
    without = ConvexHead(x[~rows], answers[~rows], own.settings, own.noise)
    own.remove(rows)
    assert (own.weights - without.weights).norm() < 0.2 * (before - without.weights).norm()


def test_requests_add_up_and_one_beyond_the_budget_changes_nothing():
    own = head(2)
    left = []
    with pytest.raises(Refused) as caught:
        for _ in range(60):
            own.remove(torch.arange(len(own.inputs)) < 5)
            left.append(own.residual)
    assert caught.value.reason == "budget" and "forget fewer" in str(caught.value) and "CertifiedHead(" in str(caught.value)
    assert left == sorted(left) and left[-1] == own.residual <= own.budget
    assert len(own.inputs) == 300 - 5 * len(left) == len(own.wanted)


# -- as a method of forget --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    return trained(own_model(), X[:600], X[:600].new_tensor([n % 4 for n in range(600)]).long())


def kept_below(model):
    own = own_model()
    own.load_state_dict(model.state_dict())
    own.requires_grad_(False)
    own.decide.requires_grad_(True)
    return own.eval()


def test_a_network_frozen_below_its_head_takes_the_certified_step(model):
    own = kept_below(model)
    unlearned, report = forget(own, X[:8], X[8:600], unseen=UNSEEN, scope="instances")
    content = report.content
    assert content["method"]["name"] == "certified_head" and content["method"]["settings"]["noise"] > 0
    said = content["certified"]
    assert 0 < said["residual_bound"] <= said["budget"] == pytest.approx(hides(said["noise"], 1.0, 1e-5))
    assert any("certified: the head" in note and "only audited: the extractor" in note for note in content["notes"])
    assert accuracy(unlearned, UNSEEN, UNSEEN_LABELS) > 0.9
    below = [name for name in own.state_dict() if not name.startswith("decide")]
    assert all(torch.equal(own.state_dict()[name], unlearned.state_dict()[name]) for name in below)
    assert not torch.equal(own.decide.weight, unlearned.decide.weight)


def test_the_head_alone_is_changed_where_it_is_asked_for_and_other_requests_are_as_before(model):
    _, report = forget(model, X[:8], X[8:600], unseen=UNSEEN, method="certified_head", scope="instances",
                       settings=CertifiedHead(epsilon=0.5))
    assert report.content["certified"]["epsilon"] == 0.5
    _, report = forget(model, X[:8], X[8:600], method="ts", scope="instances")
    assert report.content["certified"] is None and report.content["notes"] == []


def test_a_linear_model_on_representations_is_no_longer_refused():
    rows = X.flatten(1)
    own = trained(nn.Sequential(nn.Linear(192, 4)), rows[:600], torch.arange(600) % 4)
    unlearned, report = forget(own, rows[:8], rows[8:600], scope="instances")
    assert report.content["certified"] is not None and fingerprint(own) != fingerprint(unlearned)


def test_what_it_cannot_do_is_refused_with_a_way_out(model):
    def refused(reason, *arguments, **options):
        with pytest.raises(Refused) as caught:
            forget(*arguments, method="certified_head", scope="instances", **options)
        assert caught.value.reason == reason
        return str(caught.value)

    assert "retain" in refused("method", model, X[:8], accept=("batch_statistics",))
    assert "fewer" in refused("budget", model, X[:300], X[300:600])
    cosine = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.utils.parametrizations.weight_norm(nn.Linear(8, 4)))
    assert "plain linear layer" in refused("method", cosine.eval(), X[:8], X[8:600])
    with pytest.raises(TypeError, match="CertifiedHead"):
        forget(model, X[:8], X[8:600], method="certified_head", scope="instances", settings=3)


@pytest.mark.parametrize("wrong", [
    {"epsilon": 0.0}, {"epsilon": 1.5}, {"epsilon": math.nan}, {"delta": 0.0}, {"delta": 1.0}, {"penalty": 0.0},
    {"penalty": math.inf}, {"noise": -1.0}, {"noise": 0.0}, {"penalty": None},
])
def test_settings_that_cannot_be_meant(wrong):
    with pytest.raises((ValueError, TypeError)):
        CertifiedHead(**wrong)
