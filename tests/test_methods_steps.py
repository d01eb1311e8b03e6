"""Steps against D_f: at the sizes of D_f that a publication has, each method takes as many as it did."""

import dataclasses

import pytest
from methods_fakes import tiny_request

from laf_utils.methods import FURTHER, METHODS, run_method
from laf_utils.methods.method import Sizes

RANKED_APART = {"jit", "unroll", "sisa"}


@pytest.mark.parametrize("name, task, forget, steps", [
    ("scrub", "data", 300, 15),  # small scale
    ("scrub", "class", 4_000, 16), ("scrub", "class", 5_000, 20),  # large scale
    ("scrub", "noisy", 100, 8), ("scrub", "noisy", 200, 14),  # label confusion
    ("scrub_r", "data", 300, 15), ("scrub_unlabelled", "class", 4_000, 16),
    ("neggrad", "class", 4_500, 90),
    ("jit", "data", 100, 1), ("jit", "class", 500, 4),
    ("unroll", "data", 32, 1),
])
def test_the_published_sizes_give_the_published_number_of_steps(name, task, forget, steps):
    method = METHODS[name]
    assert method.ascent_steps(method.published(task), Sizes(forget, 50_000)) == steps


def test_neggrad_plus_takes_one_step_for_each_batch_of_retained_images():
    method = METHODS["neggrad_plus"]
    assert method.ascent_steps(method.settings, Sizes(300, 1_280)) == 10 * 10
    few = FURTHER["neggrad_plus_few"]
    assert few.ascent_steps(few.settings, Sizes(300, 1_280, few=64)) == 10 * 2


@pytest.mark.parametrize("name", ["retrain", "sisa", "laf", "laf_r", "ts", "lfssd", "boundary_shrink", "boundary_expand"])
def test_what_every_image_of_a_method_has_a_target_for_takes_no_step_against_it(name):
    method = METHODS[name]
    assert method.ascent_steps(method.settings, Sizes(300, 1_280)) == 0


def test_a_smaller_batch_of_forgotten_images_takes_more_steps_and_the_result_says_so():
    request = tiny_request()
    settings = dataclasses.replace(METHODS["neggrad"].settings, epochs=2)
    counted = [
        run_method("neggrad", request, dataclasses.replace(settings, batch_size=size)).ascent_steps for size in (256, 13, 2)
    ]
    assert counted == [2, 4, 26]


def test_methods_outside_their_claim_say_why_and_no_other_does():
    assert {name for name, method in (METHODS | FURTHER).items() if method.outside_claim} == RANKED_APART
    assert "another original" in METHODS["sisa"].outside_claim
