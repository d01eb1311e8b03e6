"""Which retrained model was a cell scored against: by its fingerprint, or by the arithmetic of older records."""

import pytest

from laf_utils.book.base.reading import same_reference
from laf_utils.experiments.cells import read
from laf_utils.support.paths import results_folder

GOAL = {"metrics": {"train_r": 99.0, "train_f": 1.0, "test": 90.0, "test_r": 98.0, "test_f": None, "asr": 30.0}, "gap": {}}


def cell(**changes):
    own = {"train_r": 98.5, "train_f": 3.0, "test": 90.5, "test_r": 98.0, "test_f": None, "asr": 45.0}
    gap = {"train_r": 0.5, "train_f": 2.0, "test": 0.5, "test_r": 0.0, "asr": 99.0, "mean": 0.8, "tow": 0.9}
    return {"metrics": own, "gap": gap, "test_without_held_out": False} | changes


def test_fingerprints_say_it():
    one, other = ({"scored_against": {"original": original, "retrained": "a"}} for original in ("x", "y"))
    assert same_reference(cell(**one), GOAL | other) is True, "the retrained model is what counts"
    assert same_reference(cell(**one), GOAL | {"scored_against": {"original": "x", "retrained": "b"}}) is False
    assert same_reference(cell(scored_against="a"), GOAL | {"scored_against": "a"}) is True


def test_older_records_are_told_by_their_arithmetic():
    assert same_reference(cell(), GOAL) is True, "the attack's own accuracy differs by machine and is not asked"
    moved = GOAL | {"metrics": GOAL["metrics"] | {"train_r": 99.01}}
    assert same_reference(cell(), moved) is False
    assert same_reference(cell(scored_against={"retrained": "a"}), GOAL) is True, "one fingerprint alone compares nothing"


@pytest.mark.parametrize("changes", [
    {"metrics": None}, {"gap": None}, {"test_without_held_out": True}, {"gap": {"mean": 0.8, "tow": 0.9}},
])
def test_what_the_records_do_not_tell_is_unknown(changes):
    assert same_reference(cell(**changes), GOAL) is None


def test_the_committed_records_of_one_run_are_told_to_be_of_one_run():
    folder = results_folder() / "comparison" / "mnist"
    goal = read(folder / "data-retrain-seed1.json")
    assert same_reference(read(folder / "data-laf-seed1.json"), goal) is True
    assert same_reference(read(folder / "data-laf-seed2.json"), goal) is False, "another seed is another retrained model"
