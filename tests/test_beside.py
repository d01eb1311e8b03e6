"""Two trainings at once: the same weights as one after the other, half of the threads each, and both end together."""

import threading
import time

import pytest
import torch

from laf_utils import run as pipeline
from laf_utils.support import progress
from laf_utils.support.beside import one_thread, pays, side_by_side

CPU = torch.device("cpu")


@pytest.fixture
def threads():
    """Sets the number of threads of this process; put back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def model():
    return torch.nn.Linear(2, 2)


def test_both_results_come_back_and_threads_are_shared_out_and_put_back(threads, model):
    threads(4)
    seen = side_by_side(torch.get_num_threads, torch.get_num_threads, model)
    assert seen == (2, 2)
    assert torch.get_num_threads() == 4
    threads(3)
    assert side_by_side(torch.get_num_threads, torch.get_num_threads, model) == (2, 1)


def test_one_thread_meanwhile_and_as_many_as_before_afterwards_error_or_not(threads):
    threads(3)
    with pytest.raises(KeyError), one_thread():
        assert torch.get_num_threads() == 1
        raise KeyError
    assert torch.get_num_threads() == 3


def test_it_pays_only_with_threads_to_share_on_a_processor(threads):
    threads(2)
    assert pays(CPU)
    assert not pays(torch.device("cuda"))
    threads(1)
    assert not pays(CPU)


def test_the_two_run_at_the_same_time(threads, model):
    threads(2)
    meeting = threading.Barrier(2, timeout=20)
    side_by_side(meeting.wait, meeting.wait, model)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interruption_here_ends_the_other_side_at_its_next_batch(threads, model, error):
    threads(2)
    started, passes = threading.Event(), []

    def endless():
        while True:
            model(torch.zeros(1, 2))
            passes.append(1)
            started.set()

    def interrupted():
        started.wait(20)
        raise error

    with pytest.raises(error):
        side_by_side(interrupted, endless, model)
    count = len(passes)
    time.sleep(0.05)
    assert len(passes) == count, "the other side has ended"
    assert not [thread for thread in threading.enumerate() if thread.name == "beside"]
    assert torch.get_num_threads() == 2
    model(torch.zeros(1, 2))  # and the model can be used again


def test_an_error_there_is_raised_here(threads, model):
    threads(2)

    def fails():
        raise ArithmeticError("diverged")

    with pytest.raises(ArithmeticError, match="diverged"):
        side_by_side(lambda: 1, fails, model)


def test_only_this_thread_draws_a_bar(threads, model, monkeypatch):
    threads(2)
    monkeypatch.setenv("LAF_PROGRESS", "1")

    def silent():
        with progress.track(1, "bar") as bar:
            return bar.disable

    assert side_by_side(silent, silent, model) == (False, True)
    assert silent() is False


# -- in a run --------------------------------------------------------------------------------------------------------------


def test_trained_together_or_one_by_one_the_weights_are_the_same(threads, make_run, tmp_path):
    threads(2)
    said = []
    together = make_run(folder=tmp_path / "together", say=said.append)
    pair = together.train_both()
    assert any("same time" in line for line in said)
    assert {together.facts[stage]["threads"] for stage in ("original", "retrained")} == {1}
    threads(1)
    alone = make_run(folder=tmp_path / "alone")
    for a, b in zip(pair, (alone.original, alone.retrained), strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_what_is_on_disk_is_not_trained_again(threads, make_run, monkeypatch):
    threads(2)
    make_run().train_both()
    monkeypatch.setattr(pipeline, "side_by_side", lambda *_: pytest.fail("nothing to train"))
    again = make_run()
    again.train_both()
    assert again.reused["original"]
    assert again.reused["retrained"]


def test_with_one_thread_one_follows_the_other(threads, make_run, monkeypatch):
    threads(1)
    monkeypatch.setattr(pipeline, "side_by_side", lambda *_: pytest.fail("no threads to share"))
    run = make_run()
    run.train_both()
    assert not run.reused["original"]


def test_an_interrupted_pair_leaves_nothing_half_written(threads, make_run, monkeypatch):
    threads(2)
    run = make_run()
    real = pipeline.train

    def interrupted(*arguments, stage, **settings):
        if stage == "original":
            raise KeyboardInterrupt
        return real(*arguments, stage=stage, **settings)

    monkeypatch.setattr(pipeline, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.train_both()
    assert not list(run.folder.rglob("*.tmp"))
    assert not list(run.folder.rglob("original-*"))
