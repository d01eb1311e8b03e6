"""The audit's numbers against simulation and closed form, and the ledger."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from forgetting_fakes import forget, own_model, patterns, trained

from laf_utils.audit.unseen import LEAST, auc_error, audit, detectable_difference, separation, sureness
from laf_utils.forgetting import Refused, attempts, engine
from laf_utils.forgetting import call as call_room
from laf_utils.forgetting import report as report_room
from laf_utils.forgetting.choice import Scope, derived_settings, ranked, retained_used, scope_of
from laf_utils.forgetting.ledger import Ledger
from laf_utils.forgetting.preparing import alike
from laf_utils.forgetting.report import forgetting
from laf_utils.forgetting.sources import ArrayStore, OwnImages
from laf_utils.forgetting.watch import Sets, Watch, agreement_gap, classes_in_use, utility
from laf_utils.support.sealing import sealed

X, Y = patterns(800, 1)
U, _ = patterns(400, 2)


def logits_of(sure: torch.Tensor) -> torch.Tensor:
    """Two-class logits whose log-odds are ``sure``."""
    return torch.stack([sure, torch.zeros_like(sure)], dim=1)


def normal(count: int, shift: float, seed: int) -> torch.Tensor:
    return logits_of(5 + shift + torch.randn(count, generator=torch.Generator().manual_seed(seed)))


def test_sureness_is_the_log_odds_of_the_answer():
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    p = logits.softmax(1).max(1).values
    assert torch.allclose(sureness(logits), (p / (1 - p)).log())


def test_an_audit_of_the_same_distribution_is_blind_and_of_others_two_sided():
    same, surer, less = (audit(normal(400, shift, 1), normal(400, 0.0, 2)) for shift in (0.0, 0.5, -0.5))
    assert same.side == "none" and same.low < 50 < same.high
    assert surer.side == "leak" and less.side == "over-forgotten"
    assert surer.auc == pytest.approx(100 * 0.5 * (1 + math.erf(0.5 / 2)), abs=4)  # Phi(shift / sqrt 2)


def test_the_stated_power_is_the_power():
    """A leak of exactly the detectable size is found in about four of five audits, and none in about one of twenty."""
    n, m = 150, 150
    difference = detectable_difference(n, m)
    shift = 2 * torch.special.erfinv(torch.tensor(2 * difference)).item()
    found = [audit(normal(n, shift, seed), normal(m, 0.0, 10_000 + seed)).side == "leak" for seed in range(200)]
    false = [audit(normal(n, 0.0, seed), normal(m, 0.0, 10_000 + seed)).side != "none" for seed in range(200)]
    assert 0.70 < sum(found) / 200 < 0.90
    assert sum(false) / 200 < 0.10


def test_more_images_see_less():
    assert detectable_difference(1_000, 1_000) < detectable_difference(100, 100) / 3 + 1e-9
    assert auc_error(100, 100) == pytest.approx(math.sqrt((100 + 100 + 1) / (12 * 100 * 100)), rel=1e-3)  # Mann-Whitney
    assert audit(normal(LEAST - 1, 0, 1), normal(400, 0, 2)) is None


def test_identical_sets_cannot_be_told_apart():
    assert separation(normal(50, 0, 1), normal(50, 0, 1)) == 0.5


def test_true_positives_are_counted_beyond_one_in_a_hundred():
    unseen, own = logits_of(torch.arange(1.0, 101.0)), logits_of(torch.cat([torch.full((30,), 99.5), torch.full((70,), 50.5)]))
    assert audit(own, unseen).tpr_at_1_fpr == pytest.approx(0.0)
    own = logits_of(torch.cat([torch.full((30,), 100.0), torch.full((70,), 50.5)]))
    assert audit(own, logits_of(torch.arange(1.0, 100.0).repeat(2)[:150])).tpr_at_1_fpr == pytest.approx(30.0)


# -- what is derived --------------------------------------------------------------------------------------------------


def test_scope_follows_the_share_of_a_class():
    forget_said = torch.zeros(100, dtype=torch.long)
    retain = torch.arange(400) % 3 + 1
    assert scope_of(forget_said, retain, 400).classes == (0,)
    assert scope_of(forget_said, torch.cat([retain, torch.zeros(20, dtype=torch.long)]), 420).classes == (0,)
    assert scope_of(forget_said, torch.cat([retain, torch.zeros(100, dtype=torch.long)]), 500).name == "instances"
    assert scope_of(forget_said, torch.cat([retain, torch.zeros(20, dtype=torch.long)]), 4_200).name == "instances"  # a sample
    assert scope_of(torch.arange(100) % 4, retain, 400, "class").classes == (0, 1, 2, 3)
    assert scope_of(forget_said, retain, 400, "instances").name == "instances"


def test_a_class_of_a_weak_model_is_one_by_its_second_answers():
    """92 images of a class, 60 answered with it, 6 of the others, too; of the rest it is the second answer."""
    first = torch.tensor([3] * 60 + [2] * 20 + [5] * 12)
    retain = torch.cat([torch.tensor([3] * 6), torch.arange(800) % 9 + (torch.arange(800) % 9 >= 3)])
    second = torch.where(first == 3, 2, 3)
    assert scope_of(first, retain, len(retain)).name == "instances"
    found = scope_of(torch.stack([first, second], 1), retain, len(retain))
    assert found.classes == (3,) and found.weak
    assert scope_of(torch.stack([first, torch.full((92,), 7)], 1), retain, len(retain)).name == "instances"
    less = torch.tensor([3] * 40 + [2] * 30 + [5] * 22)
    other = torch.where(less == 3, 2, 3)
    assert scope_of(torch.stack([less, other], 1), retain, len(retain)).name == "instances", "its own answers are in the minority"
    assert ranked(torch.randn(4, 10)).shape == (4, 2) and ranked(torch.randn(4, 9)).shape == (4, 1)


def test_settings_follow_the_sets():
    assert retained_used(10, 50_000) == 1_000 and retained_used(5_000, 50_000) == 5_000 and retained_used(5_000, 300) == 300
    small, large = derived_settings(64, 1_000), derived_settings(50_000, 50_000)
    assert small.unlearning.epochs == 200 and large.unlearning.epochs == 1
    assert small.vae.epochs > large.vae.epochs == 10
    assert derived_settings(64, 1_000, batch_statistics=True).unlearning.batchnorm == "retain"
    assert derived_settings(64, 100, batch_statistics=True).unlearning.batchnorm == "original"


def test_unseen_images_like_the_forgotten_ones():
    rows = alike(torch.tensor([0] * 50 + [1] * 50), torch.tensor([0] * 30 + [1] * 10 + [2] * 60))
    assert rows.tolist() == [*range(10), *range(30, 40)]
    assert alike(torch.tensor([0] * 50), torch.tensor([2] * 60)) is None


def test_utility_charges_what_the_original_excluded():
    original = torch.tensor([[0.9, 0.1, 0.0], [0.5, 0.5, 0.0]])
    assert utility(original, torch.tensor([0, 0])) == pytest.approx(1.0)
    assert utility(original, torch.tensor([0, 1])) == pytest.approx(1.0), "an answer as likely costs nothing"
    assert utility(original, torch.tensor([2, 0])) == pytest.approx(0.5 / 1.4)


def test_classes_in_use():
    assert classes_in_use(torch.arange(40) % 4) == pytest.approx(4) and classes_in_use(torch.zeros(9, dtype=torch.long)) == 1


def test_images_that_lost_more_answers_than_unseen_ones_were_driven_out():
    gap, error = agreement_gap(0.10, 100, 0.89, 2_000)
    assert gap == pytest.approx(0.79) and gap > 10 * error
    gap, error = agreement_gap(0.88, 100, 0.90, 300)
    assert 0 < gap < error == pytest.approx(math.sqrt(0.895 * 0.105 * (1 / 100 + 1 / 300)))


def test_driving_out_is_no_forgetting_however_sure_the_model_is(model):
    """Single images whose new answers are wrong and sure: blind by sureness, and yet not what a model without them would say."""
    def images(x):
        return OwnImages(ArrayStore(x), torch.device("cpu"), torch.float32, torch.arange(len(x)))

    own = Watch(model, Sets(images(X[:100]), images(X[100:]), images(U)), Scope("instances", (), ""), 0.9)
    look = {"finite": 1.0, "utility": 1.0, "classes": 1.0, "auc": 0.5, "unseen": 0.9}
    assert own.forgotten(look | {"forget": 0.88}) == 0.0
    assert own.forgotten(look | {"forget": 0.2}) > 0.5
    assert own.forgotten(look | {"forget": 0.88, "auc": 0.7}) > 0.1 and own.forgotten(look | {"forget": 0.88, "auc": 0.3}) > 0.1


def test_the_report_says_that_images_were_driven_out(model, monkeypatch):
    unlearned, report = forget(model, X[:40], X[40:], unseen=U, scope="instances")
    found = report.content["forgetting"]
    with torch.no_grad():
        same = (model(X[:40]).argmax(1) == unlearned(X[:40]).argmax(1)).float().mean().item()
    assert found["agreement"] == pytest.approx(100 * same, abs=0.01) and found["agreement_unseen"] > 90
    monkeypatch.setattr(report_room, "forgetting", lambda *given: forgetting(*given) | {"agreement": 10.0})
    monkeypatch.setattr(call_room, "forgetting", report_room.forgetting)
    _, report = forget(model, X[:40], X[40:], unseen=U[:48], scope="instances")
    assert report.verdict == "retraining advised"
    assert any(reason.startswith("over-forgotten: 10.0 % of the forget images") for reason in report.content["reasons"])


# -- the ledger -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    return trained(own_model(), X, Y)


def test_requests_in_a_row(model, tmp_path):
    path = tmp_path / "ledger.jsonl"
    first = forget(model, X[:20], X[40:], ledger=path, method="ts")
    second = forget(first.model, X[20:40], X[40:], ledger=path, method="ts")
    assert [json.loads(line)["number"] for line in path.read_text().splitlines()] == [1, 2]
    own = second.report.content["ledger"]
    shares = [json.loads(line)["utility"] for line in path.read_text().splitlines()]
    assert own["utility_together"] == pytest.approx(shares[0] * shares[1])


def test_losses_that_add_up_are_held_against_the_first_model(model, tmp_path):
    """Each request keeps the floor, both together do not: the second says so."""
    path = tmp_path / "ledger.jsonl"
    first, report = forget(model, X[:20], X[40:], ledger=path, method="ts", unseen=U)
    assert not any("together" in reason for reason in report.content["reasons"])
    entry = json.loads(path.read_text())
    entry |= {"utility": 0.94, "utility_first": None}
    path.write_text(json.dumps(sealed(entry), sort_keys=True) + "\n")
    for beside in ("ledger.jsonl.head", "ledger.jsonl.first-*.safetensors"):  # what is not measured is multiplied
        for file in tmp_path.glob(beside):
            file.unlink()
    _, report = forget(first, X[20:40], X[40:], ledger=path, method="ts", unseen=U)
    least = min(part["utility"] for part in report.content["utility"].values()) / 100
    assert least >= 0.95 and report.content["utility_together"] == pytest.approx(0.94 * least)
    assert report.verdict == "retraining advised"
    assert any("all requests of the ledger together left" in reason for reason in report.content["reasons"])


def test_requests_in_a_row_win_utility_back(model, tmp_path, monkeypatch):
    """With a ledger a point that costs more than a hundredth is followed by a recovery; without one only the floor counts."""
    aims, carry_out = [], engine.carry_out
    monkeypatch.setattr(call_room, "carry_out", lambda name, work, *rest: aims.append(work.aim) or carry_out(name, work, *rest))
    for ledger in (None, tmp_path / "ledger.jsonl"):
        forget(model, X[:20], X[40:], ledger=ledger, method="ts", floor=0.9)
    assert aims == [0.9, 0.99]


@pytest.mark.parametrize(("cost", "tried"), [(0.95, False), (0.85, True)])
def test_a_recovery_is_tried_below_the_aim_only(cost, tried, monkeypatch):
    calls, work = [], SimpleNamespace(aim=0.9, checkpoint=None)
    monkeypatch.setattr(attempts, "_recovery", lambda *given: calls.append(given))
    watch = SimpleNamespace(cheapest=(cost, {}), best=None, ended="", seen=[])
    assert attempts._recovered(None, work, None, watch, lambda content: watch, attempts.Outcome(None, None)) == (None, watch)
    assert bool(calls) == tried


def test_a_model_that_is_not_the_last_one_is_refused(model, tmp_path):
    path = tmp_path / "ledger.jsonl"
    forget(model, X[:20], X[40:], ledger=path, method="ts")
    with pytest.raises(Refused, match="not the model that the ledger's last request left"):
        forget(model, X[20:40], X[40:], ledger=path, method="ts")


def test_an_image_that_was_forgotten_may_not_come_back(model, tmp_path):
    path = tmp_path / "ledger.jsonl"
    unlearned, _ = forget(model, X[:20], X[40:], ledger=path, method="ts")
    with pytest.raises(Refused, match="1 retained image was forgotten by an earlier request") as caught:
        forget(unlearned, X[20:40], X[19:20].repeat(1, 1, 1, 1).new_tensor(torch.cat([X[40:], X[19:20]]).tolist()), ledger=path)
    assert caught.value.reason == "forgotten_before"


def test_a_changed_ledger_is_refused(tmp_path):
    path = tmp_path / "ledger.jsonl"
    book = Ledger(path)
    for number in range(3):
        book.add({"before": "a", "after": "a", "kept": True, "utility": 0.9}, [bytes([number])])
    assert Ledger(path).utility() == pytest.approx(0.729) and len(Ledger(path).entries) == 3
    lines = path.read_text().splitlines()
    for changed in ([lines[0], lines[2]], [lines[0].replace("0.9", "1.0"), *lines[1:]], [*lines, "no entry"]):
        path.write_text("\n".join(changed) + "\n")
        with pytest.raises(Refused) as caught:
            Ledger(path)
        assert caught.value.reason == "changed_ledger"


def test_a_ledger_holds_no_image_and_no_name_and_no_hash_that_another_has(tmp_path):
    books = [Ledger(tmp_path / name) for name in ("a", "b")]
    for book in books:
        book.add({"before": "a", "after": "b", "kept": True, "utility": 1.0}, [b"digest of a face"])
    first, second = (book.entries[0]["forgotten"] for book in books)
    assert first != second and len(first[0]) == 16
    assert b"digest of a face".hex() not in (tmp_path / "a").read_text()
    assert Ledger(tmp_path / "a").forgotten_before([b"another", b"digest of a face"]) == [1]


def test_two_writers_do_not_overwrite_each_other(tmp_path):
    path = tmp_path / "ledger.jsonl"
    first, second = Ledger(path), Ledger(path)
    first.add({"before": "a", "after": "b", "kept": True, "utility": 1.0}, [])
    with pytest.raises(Refused, match="written meanwhile"):
        second.add({"before": "a", "after": "c", "kept": True, "utility": 1.0}, [])
