"""A long call that is cut off goes on where it was, bit for bit; another call's state is refused."""

from functools import cache

import pytest
import torch
from forgetting_fakes import GONE, LIGHT, UNSEEN, Own, X, Y, forget, light, own_model, trained

from laf_utils.forgetting import Refused, checkpoint
from laf_utils.methods.method import fingerprint
from laf_utils.support import artefacts

# Of single images an audit with students follows.
SETS = {"class": (X[GONE], X[~GONE]), "few": (X[:40], X[40:])}
UNSEEN_OF = {"class": {}, "few": {"unseen": UNSEEN}}
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def model():
    return trained(own_model(), X, Y)


@pytest.fixture(scope="module")
def whole(model):
    """``whole(asked)``: the same calls, never cut off."""
    return cache(lambda asked: light(model, *SETS[asked], **UNSEEN_OF[asked]))


class Killed(BaseException):
    """As a signal would end it."""


@pytest.fixture
def killed(monkeypatch):
    """``killed(n)``: the process ends right after its n-th file was written, or the first of a stage of that name."""

    def at(count):
        save, written = artefacts.save, []

        def saving(folder, stage, *rest):
            save(folder, stage, *rest)
            written.append(stage)
            if count in (len(written), stage):
                raise Killed
        monkeypatch.setattr(artefacts, "save", saving)
        return lambda: monkeypatch.setattr(artefacts, "save", save)

    return at


def said(report):
    """All that a report says and a clock does not."""
    return {name: value for name, value in report.content.items() if name not in ("seconds", "date")}


# The request itself, the densities, then every step of the first attempt; beyond them the attempts and the students.
@pytest.mark.parametrize(("asked", "count"), [
    ("class", 1), ("class", 2), ("class", 3), ("class", 20), pytest.param("few", 12, marks=SLOW),
    pytest.param("few", "student-1", marks=SLOW),
])
def test_a_call_that_is_cut_off_goes_on_bit_for_bit(asked, count, model, whole, tmp_path, killed):
    sets, options = SETS[asked], {"checkpoint": tmp_path / "state", "checkpoint_minutes": 0} | UNSEEN_OF[asked]
    mend = killed(count)
    with pytest.raises(Killed):
        light(model, *sets, **options)
    mend()
    left = {path.name for path in (tmp_path / "state").iterdir()}
    assert any(name.startswith("request-") for name in left)
    again, report = light(model, *sets, **options)
    assert fingerprint(again) == fingerprint(whole(asked).model)
    assert said(report) == said(whole(asked).report)
    assert not list((tmp_path / "state").iterdir()), "what is done leaves nothing of the forgotten images behind"


def test_what_was_done_is_not_done_again(model, tmp_path, killed, monkeypatch):
    options = {"checkpoint": tmp_path, "checkpoint_minutes": 0}
    mend = killed(30)
    with pytest.raises(Killed):
        light(model, X[GONE], X[~GONE], **options)
    mend()
    steps, step = [], checkpoint.Carried._step
    monkeypatch.setattr(checkpoint.Carried, "_step", lambda self, *rest: steps.append(self.steps) or step(self, *rest))
    monkeypatch.setattr("laf_utils.laf.fit_vae", lambda *_, **__: pytest.fail("the densities were fitted again"))
    light(model, X[GONE], X[~GONE], **options)
    assert steps[0] == 27, "the request, the densities, then 28 saves before the steps 0 to 27"


def test_a_finished_stage_is_saved_without_waiting(model, tmp_path, killed):
    mend = killed(3)
    with pytest.raises(Killed):
        light(model, X[GONE], X[~GONE], checkpoint=tmp_path)  # five minutes between saves on the way
    mend()
    stages = {path.name.rpartition("-")[0] for path in tmp_path.iterdir()}
    assert stages == {"request", "densities", "attempt-1"}


def test_another_method_is_kept_when_it_is_done(model, tmp_path, killed, monkeypatch):
    plain = forget(model, X[GONE], X[~GONE], method="ts")
    mend = killed(2)
    with pytest.raises(Killed):
        forget(model, X[GONE], X[~GONE], method="ts", checkpoint=tmp_path)
    mend()
    monkeypatch.setattr("laf_utils.forgetting.engine.run_method", lambda *_: pytest.fail("done before"))
    assert fingerprint(forget(model, X[GONE], X[~GONE], method="ts", checkpoint=tmp_path).model) == fingerprint(plain.model)


@pytest.mark.parametrize(("change", "told"), [
    ({"seed": 1}, "settings"), ({"floor": 0.9}, "settings"), ({"forget": X[GONE][1:]}, "images"),
    ({"retain": X[~GONE][2:]}, "images"), ({"model": own_model(1)}, "model"),
])
def test_another_call_is_refused(change, told, model, tmp_path, killed):
    call = {"model": model, "forget": X[GONE], "retain": X[~GONE], "checkpoint": tmp_path}
    mend = killed(2)
    with pytest.raises(Killed):
        light(**call)
    mend()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Refused) as caught:
        light(**call | change)
    assert caught.value.reason == "other_checkpoint" and told in str(caught.value) and "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_a_damaged_file_is_made_anew_with_a_warning(model, whole, tmp_path, killed):
    mend = killed(2)
    with pytest.raises(Killed):
        light(model, X[GONE], X[~GONE], checkpoint=tmp_path)
    mend()
    next(tmp_path.glob("densities-*")).write_bytes(b"half of it")
    with pytest.warns(UserWarning, match="made anew"):
        again = light(model, X[GONE], X[~GONE], checkpoint=tmp_path)
    assert fingerprint(again.model) == fingerprint(whole("class").model)


@pytest.mark.parametrize("minutes", [-1, float("nan")])
def test_minutes_that_cannot_be_meant(minutes, model, tmp_path):
    with pytest.raises(ValueError, match="checkpoint_minutes"):
        light(model, X[GONE], X[~GONE], checkpoint=tmp_path, checkpoint_minutes=minutes)


def test_moments_lie_as_their_parameters_do(model):
    """Adam's fused step reads both in the order of memory: weights of channels-last models are no exception."""
    own = Own().to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(own.parameters(), fused=True)
    own(X[:4]).sum().backward()
    optimiser.step()
    tensors = {}
    for place, state in optimiser.state_dict()["state"].items():
        tensors |= artefacts.prefixed(str(place), ((name, value.contiguous()) for name, value in state.items()))
    again = torch.optim.Adam(own.parameters(), fused=True)
    checkpoint.Carried._put_back(again, tensors)
    for parameter in own.parameters():
        assert again.state[parameter]["exp_avg"].stride() == parameter.stride()
        assert torch.equal(again.state[parameter]["exp_avg"], optimiser.state[parameter]["exp_avg"])


def test_light_settings_are_long_enough_to_be_cut_off():
    assert LIGHT.unlearning.epochs > 20
