"""The verdict: evidence against models that never saw D_f, by simulation and on small networks, and the committed study."""

import copy
import json
import math
import sys
from dataclasses import replace

import pytest
import torch
from forgetting_fakes import UNSEEN, X, Y, forget, light, own_model, trained
from torch import nn

from benchmarks import verdict_study
from laf_utils.forgetting import command, judge
from laf_utils.forgetting import report as report_room
from laf_utils.forgetting.evidence import (
    BEYOND,
    CRITICAL,
    LEAST_COMPARED,
    MOST_IMAGES,
    NEAR,
    NEAR_BEYOND,
    _Agreement,
    _agreement,
    _as_taught,
    _Residuals,
    _standing,
    weigh,
    weigh_removed,
)
from laf_utils.forgetting.judge import judged
from laf_utils.forgetting.page import Report
from laf_utils.forgetting.preparing import divided
from laf_utils.forgetting.reference import fresh, student
from laf_utils.forgetting.report import broken, conclusion, findings
from laf_utils.forgetting.sources import ArrayStore, OwnImages
from laf_utils.methods.method import fingerprint

N, M = 200, 400
UNTOUCHED = 30  # the first of the committed study's seeds that no limit was chosen or tightened on
judge_room = sys.modules["laf_utils.forgetting.judge"]  # the name itself is the function


@pytest.fixture(scope="module")
def model():
    return trained(own_model(), X, Y)


def images(x):
    return OwnImages(ArrayStore(x), torch.device("cpu"), torch.float32, torch.arange(len(x)))


# -- evidence ---------------------------------------------------------------------------------------------------------


class World:
    """Two-class answers: every image has an ease, networks see it with noise, and memory lifts a forget image's log-odds."""

    def __init__(self, seed: int, n: int = N) -> None:
        self.draw = torch.Generator().manual_seed(seed)
        self.n, self.ease = n, 2 + 3 * torch.randn(n + M, generator=self.draw)
        self.students = [self.answers(0) for _ in range(4)]

    def answers(self, memory: float) -> torch.Tensor:
        """Logits [n + M, 2]: ``memory`` of the way from the ease of D_f's images to a log-odds of 9 at least."""
        odds = self.ease + 1.5 * torch.randn(self.n + M, generator=self.draw)
        odds[: self.n] += memory * (9 - odds[: self.n]).clamp_min(0)
        return torch.stack([odds, torch.zeros_like(odds)], 1)

    def weigh(self, before: torch.Tensor, after: torch.Tensor, count: int = 4):
        parts = [(logits[: self.n], logits[self.n :]) for logits in (before, after)]
        students = torch.stack(self.students[:count])
        return weigh(*parts, (students[:, : self.n], students[:, self.n :]))


def test_a_model_that_never_saw_the_images_is_none_and_one_that_did_leaks():
    said = {"none": 0, "leak": 0}
    for seed in range(10):
        world = World(seed)
        original = world.answers(1.0)
        said["none"] += world.weigh(original, world.answers(0.0)).finding == "none"
        said["leak"] += world.weigh(original, original).finding == "leak"
    assert said["none"] >= 9 and said["leak"] == 10


def test_half_of_the_memory_is_seen():
    for seed in range(5):
        world = World(seed)
        assert world.weigh(world.answers(1.0), world.answers(0.5)).finding == "leak"


def test_what_was_driven_out_is_seen():
    world = World(0)
    after = world.answers(0.0)
    after[:N] = after[:N].flip(1)
    assert world.weigh(world.answers(1.0), after).finding == "over-forgotten"


def test_half_up_and_half_down_is_not_none():
    """On average nothing has changed, and every single image is far from where it would be."""
    world = World(1)
    after = world.answers(0.0)
    after[:N] = torch.stack([world.ease[:N].abs() + 8 * (torch.arange(N) % 2) - 1, torch.zeros(N)], 1)
    assert world.weigh(world.answers(1.0), after).finding != "none"


def test_an_original_that_knows_no_more_than_others_leaves_the_audit_blind():
    """Where even the untouched original passes, sureness has no power, and nobody is called acceptable for it."""
    world = World(2)
    original = world.answers(0.0)
    found = world.weigh(original, original)
    assert found.original < CRITICAL and found.finding == "unclear" and found.detectable > found.tolerance
    assert found.beyond > BEYOND and findings(found, False, M)[0] == []
    assert "smallest leak the audit would have seen" in findings(found, False, M)[1][0]


def test_a_model_that_answers_as_those_who_never_saw_the_images_passes_a_blind_audit():
    """What could have leaked is bounded by the answers that it has beyond theirs."""
    world = World(2)
    pair = world.answers(0.0), world.answers(0.0)
    found = world.weigh(*pair)
    assert found.original < CRITICAL and found.detectable > found.tolerance
    assert found.beyond <= BEYOND and found.finding == "none"
    for few in (1, 2):
        alone = world.weigh(*pair, few)
        assert alone.detectable > alone.tolerance and alone.finding == "unclear", "so few students' own answers say too little"


@pytest.mark.parametrize(("beyond", "probability", "sureness", "nearer", "passes"), [
    (0.4, 9.0, 2.0, 0.0, True), (0.9, 0.7, 2.0, 0.0, True), (1.0, 0.7, 0.0, 0.0, True), (0.9, 0.9, 0.0, 0.0, False),
    (1.1, 0.7, 0.0, 0.0, False),
    (0.0, 0.1, 0.5, 4.0, True), (0.0, 0.3, 0.5, 4.0, False), (0.0, 0.1, 1.5, 4.0, False), (1.1, 0.1, 0.5, 4.0, False),
])
def test_of_few_images_less_than_one_may_be_answered_beyond_the_students(beyond, probability, sureness, nearer, passes):
    """Less of a model that says of unseen images, too, what the original says: it may have been made from it."""
    answers = _Agreement(0.9, 0.9, 0.1, 0.9, 0.9 - beyond / 12, probability / 12, nearer)
    assert _as_taught(answers, 12, sureness) is passes
    for beyond, own in ((0.5, 0.0), (0.75, 0.0), (0.75, 4.0)):
        alone = _Agreement(1.0, 0.5, 0.1, 0.5, 1.0 - beyond, 0.1, own)
        assert _as_taught(alone, 1, 0.5) is (beyond == 0.5), "one image that hardly any student answers so"
    for limit, own in ((0.04, 0.0), (0.02, 4.0)):
        assert _as_taught(_Agreement(0.9, 0.9, 0.1, 0.9, 0.9 - limit + 0.001, 1.0, own), 200, 9.0), "of many, points"
        assert not _as_taught(_Agreement(0.9, 0.9, 0.1, 0.9, 0.9 - limit - 0.001, 0.0, own), 200, 0.0)


def test_a_model_made_from_the_original_is_nearer_to_it_on_unseen_images():
    world = World(4)
    original, never = world.answers(1.0), world.answers(0.0)
    students = [logits[:, :N] for logits in [torch.stack(world.students)]] + [torch.stack(world.students)[:, N:]]
    found = {
        name: _agreement((original[:N], original[N:]), (logits[:N], logits[N:]), (students[0], students[1])).nearer
        for name, logits in (("itself", original), ("made from it", 0.8 * original + 0.2 * never), ("never", never))
    }
    assert found["itself"] > NEAR and found["made from it"] > NEAR > found["never"]
    for logits, allowed in ((0.8 * original + 0.2 * never, NEAR_BEYOND), (never, BEYOND)):
        own = world.weigh(original, logits)
        said = " ".join(" ".join(reasons) for reasons in findings(replace(own, finding="unclear"), False, M))
        assert own.allowed == allowed and f"of {allowed:g} allowed" in said


def test_few_images_are_held_against_drawn_means():
    """Hard images lie far below the others: a normal null would call models over-forgotten too often that never saw these."""
    draw, called = torch.Generator().manual_seed(0), {"normal": 0, "drawn": 0}
    unseen, weights, runs = -torch.empty(400).exponential_(generator=draw) ** 1.5, torch.ones(10), 400
    unseen = (unseen - unseen.mean()) / unseen.std()
    for _ in range(runs):
        own = unseen[torch.randint(400, (10,), generator=draw)]
        found = _Residuals(own, unseen, torch.zeros(10), torch.ones(10), torch.full((10, 400), 1 / 400))
        called["drawn"] += _standing(found, weights) < -CRITICAL
        called["normal"] += own.mean() * 10**0.5 < -CRITICAL
    assert called["normal"] >= 0.015 * runs and called["drawn"] <= 0.01 * runs
    far = _Residuals(torch.full((10,), 9.0), unseen, torch.zeros(10), torch.ones(10), torch.zeros(10, 400))
    assert _standing(far, weights) == pytest.approx(9 * 10**0.5), "beyond the draws the normal tail goes on"


def test_utility_is_held_against_the_least_useful_student():
    draw = torch.Generator().manual_seed(0)
    answers = torch.randint(0, 10, (400,), generator=draw)

    def right(share: float) -> tuple[torch.Tensor, torch.Tensor]:
        said = torch.where(torch.arange(400) < share * 400, answers, (answers + 1) % 10)
        logits = 6.0 * nn.functional.one_hot(said, 10).float() + torch.randn(400, 10, generator=draw)
        return logits[:100].flip(0), logits

    students = [right(share) for share in (0.99, 0.99, 0.99, 0.9)]
    stacked = torch.stack([own[0] for own in students]), torch.stack([own[1] for own in students])
    said = {share: " ".join(judged(right(1.0), right(share), stacked).reasons) for share in (0.8, 0.88)}
    assert "utility" in said[0.8] and "utility" not in said[0.88]


def test_fewer_students_see_less_say_so_and_call_out_nobody():
    """Models that never saw D_f pass by any number of students: what fewer of them cost is power, and that is stated."""
    called, stated = {1: 0, 2: 0, 4: 0}, {1: 0.0, 2: 0.0, 4: 0.0}
    for seed in range(40):
        world = World(seed)
        original, never = world.answers(1.0), world.answers(0.0)
        for count in called:
            found = world.weigh(original, never, count)
            called[count] += found.finding not in ("none", "unclear")
            stated[count] += found.detectable / 40
    assert max(called.values()) <= 8 and stated[1] > stated[2] > stated[4]


def test_the_stated_leak_shrinks_with_the_images():
    small, large = (World(3, n).weigh((w := World(3, n)).answers(1.0), w.answers(0.0)) for n in (60, 400))
    assert large.detectable < small.detectable


def test_too_few_unseen_images_are_no_evidence():
    world = World(0)
    original, students = world.answers(1.0), torch.stack(world.students)
    few = slice(N, N + LEAST_COMPARED - 1)
    assert weigh((original[:N], original[few]), (original[:N], original[few]), (students[:, :N], students[:, few])) is None
    assert findings(None, False, 59)[1][0].startswith("59 unseen images") and findings(None, True, 0) == ([], [])


def removed_class(seed, shift=0.0, n=100, m=100):
    """Logits [n + m, 3] of a model that has lost a class: how sure it is of its answer, D_f's images by ``shift`` more."""
    odds = 3 + 2 * torch.randn(n + m, generator=torch.Generator().manual_seed(seed))
    odds[:n] += shift
    logits = torch.stack([odds, torch.zeros_like(odds), torch.full_like(odds, -50)], 1)
    return logits[:n], logits[n:]


def test_a_removed_class_is_called_out_as_seldom_as_single_images():
    """One level for both: of models that never saw the class two in a hundred, where an interval of 95 % would say five."""
    found = [weigh_removed(removed_class(0), removed_class(seed)).finding for seed in range(1, 401)]
    assert sum(finding != "none" for finding in found) <= 14
    assert weigh_removed(removed_class(0), removed_class(1, 2.0)).finding == "leak"
    assert weigh_removed(removed_class(0), removed_class(1, -2.0)).finding == "over-forgotten"
    assert weigh_removed(removed_class(0, n=19), removed_class(1, n=19)) is None
    assert json.loads(json.dumps(weigh_removed(removed_class(0), removed_class(1)).as_dict()))["expected"] is None


def test_a_removed_class_has_one_rule_in_forget_and_judge(model, monkeypatch):
    """Both ask ``weigh_removed``, and what it finds decides."""
    leak = weigh_removed(removed_class(0), removed_class(1, 2.0))
    for room in (report_room, judge_room):
        monkeypatch.setattr(room, "weigh_removed", lambda *_: leak)
    gone = Y == 0
    unlearned, report = light(model, X[gone], X[~gone], unseen=UNSEEN)
    own = judge(model, unlearned, X[gone], X[~gone], unseen=UNSEEN, removed=None)
    for reasons in (report.content["reasons"], own.reasons):
        assert any(reason.startswith("leak: surer") for reason in reasons)
    assert report.content["evidence"]["finding"] == "leak" and "retraining advised" == report.verdict == own.verdict


# -- the reference ----------------------------------------------------------------------------------------------------


def test_a_fresh_start_holds_nothing_of_the_model(model):
    class Free(nn.Module):
        def __init__(self):
            super().__init__()
            self.own = nn.Parameter(torch.arange(100.0))
            self.norm = nn.BatchNorm1d(4)

    before, state = fingerprint(model), torch.get_rng_state()
    started = fresh(model, torch.Generator().manual_seed(1))
    assert fingerprint(model) == before and torch.equal(torch.get_rng_state(), state)
    for name, value in started.named_parameters():
        old = dict(model.named_parameters())[name]
        assert value.numel() < 20 or not torch.allclose(value, old, atol=1e-3), name
    assert started.stem[1].running_mean.abs().max() == 0
    free = fresh(Free(), torch.Generator().manual_seed(1))
    assert not torch.equal(free.own, torch.arange(100.0)) and torch.equal(free.own.detach().sort().values, torch.arange(100.0))


def test_a_student_learns_the_answers_it_is_given(model):
    with torch.no_grad():
        said = model(X[:300]).argmax(1)
    own = student(model, images(X[:300]), said, torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert (own(X[:300]).argmax(1) == said).float().mean() > 0.95 and not own.training


def test_the_audit_has_as_many_students_as_were_asked_for(model, monkeypatch):
    room, found = sys.modules["laf_utils.forgetting.call"], []
    taught = room.taught
    monkeypatch.setattr(room, "taught", lambda *given, **more: found.append(taught(*given, **more)) or found[-1])
    _, report = forget(model, X[:40], X[40:], unseen=UNSEEN, method="ts", scope="instances", students=1)
    assert len(found) == 1 and len(found[0].students) == 1 and report.content["options"]["students"] == 1
    assert report.content["evidence"]["detectable"] > 0
    for wrong in (0, 65, 1.5, True, "4"):
        with pytest.raises(ValueError, match="students"):
            forget(model, X[:40], X[40:], students=wrong)


def test_the_watch_sees_no_image_of_the_verdict():
    alike = torch.arange(0, 400, 2)
    shown, audited = divided(alike, 400, "instances", 0)
    assert not torch.isin(shown, audited).any() and len(audited) == 200 and torch.isin(shown, alike).all()
    assert len(divided(alike[:40], 80, "instances", 0)[1]) == LEAST_COMPARED, "the verdict comes first"
    assert all(torch.equal(part, alike) for part in divided(alike, 400, "class", 0))


# -- the verdict ------------------------------------------------------------------------------------------------------


def test_answers_of_no_classifier():
    assert "not finite" in broken(torch.tensor([[0.0, math.nan]])) and "same answer" in broken(torch.zeros(5, 3))
    assert "same answer" in broken(torch.tensor([[1.0, 2.0]]).repeat(9, 1)) and broken(torch.eye(3)) is None


@pytest.mark.parametrize("kind", ["zeros", "integers", "nan"])
def test_a_network_that_has_lost_its_weights_is_never_acceptable(model, kind):
    lost = copy.deepcopy(model)
    for value in lost.parameters():
        value.data = {"zeros": value * 0, "integers": value.trunc(), "nan": value * math.nan}[kind]
    found = judge(model, lost, X[:40], X[40:], unseen=UNSEEN)
    assert found.verdict == "retraining advised" and found.reasons


def test_forgetting_in_a_network_of_zeros_means_nothing(model):
    """Everything agrees with it: utility 100 %, an audit that is blind."""
    zeros = copy.deepcopy(model)
    for value in zeros.parameters():
        value.data.zero_()
    _, report = forget(zeros, X[:40], X[40:], unseen=UNSEEN, method="ts", scope="instances")
    assert report.verdict == "cannot tell" and "same answer" in report.content["reasons"][0]


def test_what_is_shown_goes_before_what_is_not_known():
    assert conclusion([], []) == ("acceptable", [])
    assert conclusion([], ["b"]) == ("cannot tell", ["b"])
    assert conclusion(["a"], ["b"]) == ("retraining advised", ["a", "b"])


def test_single_images_without_unseen_ones_or_without_retained_ones(model):
    _, report = forget(model, X[:40], X[40:], method="ts", scope="instances")
    assert report.verdict in ("cannot tell", "retraining advised") and "nobody can tell" in str(report)


def test_the_report_says_cannot_tell_and_the_command_has_a_code_for_it(model, monkeypatch):
    _, report = forget(model, X[:40], X[40:], unseen=UNSEEN, method="ts", scope="instances")
    told = Report(report.content | {"verdict": report_room.CANNOT_TELL})
    assert not told.acceptable and str(told).startswith("cannot tell") and "<b>cannot tell</b>" in told.html()
    assert "Against models that never saw them" in told.html()
    assert len({0, command.ADVISED, command.UNKNOWN, command.REFUSED}) == 4


# -- the study --------------------------------------------------------------------------------------------------------


def test_the_committed_study_has_no_false_acceptable_beyond_one_image():
    """On the first seeds no original, and nothing that ``forget`` gives but a fresh network that never saw D_f; of retrained
    models 85 % and more are acceptable."""
    lines = verdict_study.done()
    keys = [tuple(line[key] for key in ("seed", "network", "fit", "request", "model")) for line in lines]
    assert len(keys) == len(set(keys)) == 4 * 300 and len({key[:4] for key in keys}) == 300
    for line in lines:
        far = verdict_study.far(line["accuracy"], line["retrained"], line["images"])
        assert line["false"] == (line["verdict"] == "acceptable" and far)
    found = verdict_study.summary([line for line in lines if line["seed"] < UNTOUCHED])
    assert found["original"]["false"] == 0 and found["tuned"]["false"] <= 2
    assert found["retrained"]["acceptable"] >= 0.85 * found["retrained"]["runs"]
    wrong = [line for line in lines if line["false"] and line["model"] != "retrained"]
    ours = [line for line in wrong if line["model"] == "forget" and line["seed"] < UNTOUCHED]
    places = [tuple(line[key] for key in ("seed", "network", "fit", "request")) for line in ours]
    assert places == [(29, "mlp", "by heart", "10 images")]
    assert all(line["images"] * line["beyond"] / 100 <= MOST_IMAGES for line in wrong), "not an image more than is allowed"
    for line in wrong:  # where a class or a tenth goes there is none
        assert line["images"] <= 12 and line["images"] * (line["accuracy"] - max(line["retrained"])) / 100 < 1.1


def test_on_seeds_that_no_limit_has_seen_nine_in_ten_retrained_models_are_acceptable():
    found = verdict_study.summary([line for line in verdict_study.done() if line["seed"] >= UNTOUCHED])
    assert found["retrained"]["acceptable"] >= 0.9 * found["retrained"]["runs"] == 0.9 * 150
    assert all(own["false"] <= 0.04 * own["runs"] for own in found.values())


def test_a_verdict_is_false_of_what_is_remembered_and_of_more_than_one_image_lost():
    assert verdict_study.far(96.0, [90.0, 91.0], 200) and not verdict_study.far(95.0, [90.0, 91.0], 200)
    assert verdict_study.far(100.0, [90.0, 91.7], 12), "one image of twelve is remembered"
    assert not verdict_study.far(91.7, [100.0], 12) and verdict_study.far(83.3, [100.0], 12)
    assert verdict_study.far(80.0, [90.0], 200)


@pytest.mark.slow
def test_a_part_of_the_study_again(tmp_path):
    """The untouched original of networks fitted by heart is never acceptable where it stands out; a retrained model can be."""
    path = tmp_path / "study.jsonl"
    verdict_study.run(range(7, 8), ["mlp"], path)
    found = verdict_study.summary(verdict_study.done(path))
    assert found["original"]["runs"] == 10 and found["original"]["false"] + found["tuned"]["false"] <= 1
    assert found["retrained"]["acceptable"] >= 3
    verdict_study.run(range(7, 8), ["mlp"], path)
    assert len(verdict_study.done(path)) == 30, "what is there is not done again"
