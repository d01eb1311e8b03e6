"""What a pass costs, the model fitted to records, and what it says of larger settings."""

import pytest
import torch

from benchmarks import passes


def test_everything_but_slow_items_is_planned_on_a_gpu() -> None:
    wanted, left_out = passes.plan(quick=False)
    assert not left_out and len(set(wanted)) == len(wanted)
    assert {name for name, *_ in wanted} == set(passes.SUBJECTS)
    assert ("resnet50-224", "training", "bfloat16", 256) in wanted
    assert not any(name == "resnet50-224" for name, kind, *_ in wanted if kind == "laf")


def test_quick_says_what_it_leaves_out() -> None:
    everything = passes.plan(quick=False)[0]
    wanted, left_out = passes.plan(quick=True)
    assert len(wanted) + len(left_out) == len(everything)
    assert "resnet50-224 training float32 batch 32" in left_out
    assert ("cnn-28", "training", "float32", 32) in wanted


def test_blocks_are_steps_of_about_the_wanted_length() -> None:
    calls = []
    values, steps = passes.blocks(lambda count: calls.append(sum(range(count * 20_000))), torch.device("cpu"))
    assert len(values) == passes.REPEATS and 1 < steps <= passes.MOST_STEPS
    assert all(0 < value < passes.BLOCK_SECONDS for value in values)


@pytest.mark.parametrize("kind", ["training", "frozen", "laf"])
def test_a_pass_is_timed_per_image(kind, monkeypatch) -> None:
    monkeypatch.setattr(passes, "MOST_STEPS", 2)
    monkeypatch.setattr(passes, "REPEATS", 2)
    (row,) = passes.measure(torch.device("cpu"), [("cnn-28", kind, "float32", 4)])
    assert row["images_per_step"] == (16 if kind == "laf" else 4)
    assert 0 < row["min"] <= row["seconds"] <= row["max"] < 1


def test_vae_steps_have_a_time(monkeypatch) -> None:
    monkeypatch.setattr(passes, "VAE_ROWS", 96)
    monkeypatch.setattr(passes, "REPEATS", 2)
    assert 0 < passes.vae_steps(torch.device("cpu"))["seconds"] < 1
    assert passes.copying(torch.device("cpu")) is None
