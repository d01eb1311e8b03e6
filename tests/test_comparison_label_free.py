"""Tuning spaces and claims of the later rows: they fit the methods."""

import dataclasses

import pytest

from laf_utils.book.chapters.ch5_evidence import CLAIMS
from laf_utils.book.costs.work import family_of, work_of
from laf_utils.experiments.tuning_spaces import SPACES
from laf_utils.methods import METHODS
from laf_utils.methods.method import Sizes

LATER = {name: METHODS[name] for name in (
    "synthetic", "delete_pseudo", "mixunlearn", "mixunlearn_mixup", "mixunlearn_real", "lotus", "svd", "null_space", "delete",
    "salun", "ssd", "sparse",
)}

RECORD = {"metrics": {"train_f": 1.0, "train_r": 98.0}, "history": {
    "kl": [2.0, 0.5], "agreement": [1.0, 0.4], "removed": [0.1], "dampened": [0.02], "absolute_sum": [900.0, 300.0],
}}
ORIGINAL = {"metrics": {"train_f": 99.0, "train_r": 99.0}}


def test_every_later_row_has_a_space_and_a_claim():
    assert set(LATER) <= SPACES.keys() & CLAIMS.keys()
    assert set(SPACES) == set(METHODS) - {"sisa", "retrain"}


@pytest.mark.parametrize("name", LATER)
def test_a_space_names_settings_that_the_row_has_with_the_published_one_inside(name):
    fields = {field.name for field in dataclasses.fields(LATER[name].settings)}
    for dimension in SPACES[name]:
        assert dimension.name in fields and dimension.low < dimension.high
        for settings in (LATER[name].settings, *LATER[name].by_task.values()):
            assert dimension.low <= getattr(settings, dimension.name) <= dimension.high, dimension.name


def test_variants_of_one_method_are_searched_alike():
    assert SPACES["delete"] == SPACES["delete_pseudo"]
    real, mixed, generated = (set(SPACES[f"mixunlearn{end}"]) for end in ("_real", "_mixup", ""))
    assert real < mixed < generated


@pytest.mark.parametrize("name", LATER)
def test_a_claim_has_a_number(name):
    said, number = CLAIMS[name]
    assert said and any(character.isdigit() for character in number(RECORD, ORIGINAL))


@pytest.mark.parametrize("name", LATER)
def test_the_cost_model_knows_the_row(name):
    settings, sizes = LATER[name].settings, Sizes(100, 900)
    passes = LATER[name].implied(settings, sizes)
    work = work_of(name, dataclasses.asdict(settings), passes, 100, 900, crops=False)
    assert family_of(name) and (work.training, work.frozen) == (passes.training, passes.frozen)
    assert (work.calls > 0) is (passes.training > 0)
