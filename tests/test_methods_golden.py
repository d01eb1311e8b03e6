"""Each method beside the released code it describes: losses, the first gradient and the weights after an epoch or a few.

``golden/problem.json`` is one small problem; every other file is what one method's released code made of it, run once, with where
that code is published. Batches are taken in the order of their rows on both sides, so that nothing but the algorithm decides the
numbers.
"""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from laf_utils.adaptation import unlearn
from laf_utils.images import Images, Transform
from laf_utils.laf import repair
from laf_utils.losses import Densities
from laf_utils.methods import METHODS, UnlearningRequest, boundary, jit, run_method, unroll
from laf_utils.models import Network
from laf_utils.settings.config import RepairConfig, UnlearningConfig

GOLDEN = Path(__file__).parent / "golden"
PROBLEM = json.loads((GOLDEN / "problem.json").read_text())
NEAR = {"rtol": 1e-3, "atol": 2e-5}  # float32, and kernels that add up in another order
# Method, task whose published settings it runs with, and the file, where its name is another.
CASES = {
    "scrub_data": ("scrub", "data"), "scrub_class": ("scrub", "class"), "scrub_noisy": ("scrub", "noisy"),
    "scrub_r": ("scrub_r", "data"), "neggrad": ("neggrad", "class"), "neggrad_plus": ("neggrad_plus", "data"),
    "boundary_shrink": ("boundary_shrink", "class"), "boundary_expand": ("boundary_expand", "class"), "ts": ("ts", "class"),
    "lfssd": ("lfssd", "class"), "jit": ("jit", "class"),
}


def golden(name):
    return json.loads((GOLDEN / f"{name}.json").read_text())


def network(which):
    """The problem's network with the weights ``start`` or ``other``."""
    extractor = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32, 4))
    model, at = Network(extractor, nn.Linear(4, 3)), 0
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.tensor(PROBLEM[which][at : at + p.numel()]).view_as(p))
            at += p.numel()
    return model.eval()


def images_of(part):
    return Images(torch.tensor(PROBLEM["images"][part], dtype=torch.uint8).view(-1, 1, 4, 4), Transform())


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.fixture
def request_():
    labels = {part: torch.tensor(values) for part, values in PROBLEM["labels"].items()}
    return UnlearningRequest(
        network("start"), images_of("forget"), images_of("retain"), labels["forget"], labels["retain"],
        held_out=images_of("held_out"), held_out_labels=labels["held_out"], fresh=lambda seed, stage: network("other"),
    )


@pytest.fixture(autouse=True)
def in_order(monkeypatch):
    monkeypatch.setattr(torch, "randperm", lambda count, generator=None: torch.arange(count))


@pytest.fixture
def first_gradient():
    """What the first optimiser step saw, flattened; a parameter without a gradient counts as zeros."""
    seen = []

    def look(optimiser, *_):
        if not seen:
            parameters = [p for group in optimiser.param_groups for p in group["params"]]
            seen.append(torch.cat([torch.zeros(p.numel()) if p.grad is None else p.grad.clone().flatten() for p in parameters]))

    handle = register_optimizer_step_pre_hook(look)
    yield seen
    handle.remove()


def the_same(found, wanted):
    torch.testing.assert_close(torch.as_tensor(found), torch.tensor(wanted), **NEAR)


def given_randomness(name, kept, monkeypatch):
    """What the released code drew at random, drawn again."""
    if name == "jit":
        noise = iter(torch.tensor(kept["noise"]).view(2, 3, 5, 1, 4, 4))  # batches, copies, images
        monkeypatch.setattr(jit.torch, "randn", lambda *shape, generator=None: next(noise).view(shape))
    if name == "boundary_expand":
        known = boundary.with_classes

        def with_given(model, rows, fresh=None):
            if fresh is not None:
                with torch.no_grad():
                    fresh.weight.copy_(torch.tensor(kept["fresh"]["weight"]))
                    fresh.bias.copy_(torch.tensor(kept["fresh"]["bias"]))
            return known(model, rows, fresh)

        monkeypatch.setattr(boundary, "with_classes", with_given)


@pytest.mark.parametrize("name", CASES)
def test_a_method_is_what_its_released_code_does(name, request_, first_gradient, monkeypatch):
    (method, task), kept = CASES[name], golden(name)
    given_randomness(name, kept, monkeypatch)
    settings = dataclasses.replace(METHODS[method].published(task), **kept["settings"])
    result = run_method(method, request_, settings)
    the_same(weights(result.model), kept["weights"])
    start = torch.tensor(PROBLEM["start"])
    assert (torch.tensor(kept["weights"]) - start).abs().max() > 10 * NEAR["atol"]  # else anything would be the same
    if "gradient" in kept:
        the_same(first_gradient[0], kept["gradient"])
    for loss, values in kept.get("losses", {}).items():
        the_same(result.history[loss], values)
    for extra in ("forget_error", "held_out_error", "chosen_epoch"):
        if extra in kept:
            the_same(torch.tensor(result.history[extra]).float(), torch.tensor(kept[extra]).float().view(-1).tolist())


@pytest.mark.parametrize("ours, published", [
    ("boundary_shrink_other", "boundary_shrink"), ("jit_mean", "jit"), ("neggrad_plus_bounded", "neggrad_plus"),
])
def test_a_variant_of_ours_is_not_what_the_released_code_does(ours, published, request_, monkeypatch):
    kept = golden(published)
    given_randomness(published, kept, monkeypatch)
    changes = kept["settings"] | ({"alpha": 0.1, "epochs": 4} if published == "neggrad_plus" else {})
    found = weights(run_method(ours, request_, dataclasses.replace(METHODS[ours].settings, **changes)).model)
    assert (found - torch.tensor(kept["weights"])).abs().max() > 1e-3


def test_unroll_is_its_formula(request_):
    kept = golden("unroll")
    state = unroll.UnrollState(dict(network("other").named_parameters()), **kept["settings"])
    request = dataclasses.replace(request_, prepared={"unroll": state})
    the_same(weights(run_method("unroll", request).model), kept["weights"])


class GivenDensity(nn.Module):
    """Stands for a VAE without noise: sigmoid(W e + b) is its reconstruction."""

    def __init__(self, layer):
        super().__init__()
        self.weight, self.bias = torch.tensor(layer["weight"]), torch.tensor(layer["bias"])

    def squared_error(self, representations, generator):
        return (torch.sigmoid(representations @ self.weight.T + self.bias) - representations).square().sum(1)


def test_laf_is_what_its_released_code_does(request_, first_gradient):
    kept = golden("laf")
    densities = Densities(*map(GivenDensity, kept["densities"]))
    result = unlearn(
        request_.original, request_.forget, request_.retain, densities, UnlearningConfig(**kept["settings"]), seed=0
    )
    the_same(weights(result.model), kept["weights"])
    the_same(result.loss_ue, kept["losses"]["ue"])
    the_same(result.loss_ra, kept["losses"]["ra"])
    of_extractor = len(first_gradient[0])  # the released optimiser holds the classifier too, which gets no gradient
    the_same(first_gradient[0], kept["gradient"][:of_extractor])
    assert not any(kept["gradient"][of_extractor:])


def test_the_repair_is_what_its_released_code_does(request_, first_gradient):
    kept = golden("laf_r")
    forget = kept["settings"].pop("forget")
    config = RepairConfig(pairing="forget", **kept["settings"])
    model, losses = repair(request_.original, request_.retain, request_.retain_labels, config, seed=0, forget=forget)
    the_same(weights(model), kept["weights"])
    the_same(losses, kept["losses"]["repair"])
    the_same(first_gradient[0], kept["gradient"])
    everything, _ = repair(
        request_.original, request_.retain, request_.retain_labels, dataclasses.replace(config, pairing="all"), seed=0
    )
    assert (weights(everything) - torch.tensor(kept["weights"])).abs().max() > 1e-3


def test_every_file_says_where_its_numbers_come_from():
    for path in GOLDEN.glob("*.json"):
        kept = json.loads(path.read_text())
        if path.name == "problem.json" or path.name.startswith("audit_"):  # those of audits have a test of their own
            continue
        for origin in kept["origin"].get("repositories", [kept["origin"]]):
            assert "formula" in origin or {"repository", "files", "commit"} <= set(origin) and len(origin["commit"]) == 40
