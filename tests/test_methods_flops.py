"""Floating-point operations of methods: counted by hand, and for a row of each kind."""

import dataclasses

import pytest
import torch
from methods_fakes import tiny_network, tiny_request
from torch import nn

from laf_utils.methods import FURTHER, METHODS, flops
from laf_utils.methods.method import fingerprint, run
from laf_utils.models import Network

GENTLE = {
    "ts": {}, "jit": {"copies": 3}, "delete_pseudo": {"epochs": 2}, "mixunlearn": {"epochs": 2},
    "svd": {"samples": 20, "patches": 200},
    "synthetic": {"epochs": 2, "samples": 100}, "null_space": {}, "ssd": {},
}


@pytest.fixture(scope="module")
def request_():
    return tiny_request()


def counted(name, request):
    method = (METHODS | FURTHER)[name]
    settings = dataclasses.replace(method.settings, **GENTLE[name])
    return method, settings, *flops.counted(method, request, settings)


def test_operations_of_a_pass_are_those_counted_by_hand():
    model = Network(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Flatten()), nn.Linear(8 * 16, 5)).train()
    frozen, trained = flops.per_image(model, torch.zeros(7, 3, 4, 4))
    convolution, linear = 2 * 16 * 8 * 3 * 9, 2 * 128 * 5
    assert frozen == convolution + linear
    assert trained == 2 * convolution + 3 * linear  # the first layer's input needs no gradient
    assert model.training and all(p.grad is None for p in model.parameters())


def test_an_eigendecomposition_counts():
    with flops.counter() as count:
        torch.linalg.eigh(torch.eye(20).expand(3, 20, 20))
    assert count.get_total_flops() == 3 * 9 * 20**3


@pytest.mark.parametrize("name", GENTLE)
def test_counting_changes_no_weight(name, request_):
    method, settings, result, operations = counted(name, request_)
    assert fingerprint(result.model) == fingerprint(run(method, request_, settings).model) and operations > 0


@pytest.mark.parametrize("name", ["ts", "delete_pseudo"])
def test_operations_are_the_passes_where_there_is_nothing_else(name, request_):
    _, _, result, operations = counted(name, request_)
    frozen, trained = flops.per_image(tiny_network(), request_.retain.batch(torch.arange(8)))
    assert operations == pytest.approx(result.passes.training * trained + result.passes.frozen * frozen, rel=1e-6)


def test_operations_show_what_passes_leave_out(request_):
    frozen, trained = flops.per_image(tiny_network(), request_.retain.batch(torch.arange(8)))
    for name in ("svd", "mixunlearn", "synthetic"):
        _, _, result, operations = counted(name, request_)
        assert operations > 1.02 * (result.passes.training * trained + result.passes.frozen * frozen), name
