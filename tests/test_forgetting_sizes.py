"""Requests of every size on networks that learned scikit-learn's digits: one image, ten, a class, half of all. Each is carried
out, or refused with a reason and a way out, and what comes of it never silently falls below the floor."""

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from laf_utils.forgetting import Refused, call, forget
from laf_utils.forgetting.report import ACCEPTABLE, CANNOT_TELL, RETRAIN

NETWORKS = {
    "mlp": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)),
    "cnn": lambda: nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 32), nn.ReLU(),
        nn.Linear(32, 10),
    ),
}
TRAINED = 1_000
WAYS = ("give retain", "leave retain out", "at least are needed", "say ")  # a refusal names one


@pytest.fixture(scope="module")
def digits():
    x, y = (torch.tensor(part) for part in load_digits(return_X_y=True))
    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return x[rows].float().reshape(-1, 1, 8, 8) / 16, y[rows].long()


@pytest.fixture(scope="module", params=NETWORKS)
def model(request, digits):
    torch.manual_seed(0)
    own, (x, y) = NETWORKS[request.param](), digits
    optimiser, draw = torch.optim.Adam(own.parameters(), 3e-3), torch.Generator().manual_seed(0)
    for _ in range(200):
        rows = torch.randint(TRAINED, (64,), generator=draw)
        optimiser.zero_grad()
        F.cross_entropy(own(x[rows]), y[rows]).backward()
        optimiser.step()
    return own.eval()


def asked(size, y):
    return {
        "one": torch.arange(TRAINED) < 1, "ten": torch.arange(TRAINED) < 10, "class": y[:TRAINED] == 3,
        "half": torch.arange(TRAINED) < TRAINED // 2, "all but ten": torch.arange(TRAINED) >= 10,
    }[size]


@pytest.mark.slow
@pytest.mark.parametrize("size", ["one", "ten", "class", "half"])
def test_a_request_of_any_size_is_carried_out(size, model, digits, monkeypatch):
    monkeypatch.setattr(call, "weighed", lambda *_: None)  # the audit has tests of its own
    x, y = digits
    chosen = asked(size, y)
    own, report = forget(model, x[:TRAINED][chosen], x[:TRAINED][~chosen], unseen=x[TRAINED:])
    content = report.content
    assert content["images"]["forget"] == int(chosen.sum()) and report.verdict in (ACCEPTABLE, CANNOT_TELL, RETRAIN)
    assert content["scope"]["name"] == ("class" if size == "class" else "instances")
    assert report.verdict == ACCEPTABLE or content["reasons"]
    with torch.no_grad():
        logits = own(x[TRAINED:])
    assert logits.isfinite().all()
    if content["kept"] and size != "class":
        assert (logits.argmax(1) == y[TRAINED:]).float().mean() > 0.8
    if content["kept"] and size == "class" and report.verdict == ACCEPTABLE:
        with torch.no_grad():
            assert (own(x[:TRAINED][chosen]).argmax(1) == 3).float().mean() <= 0.05


def test_what_leaves_too_little_is_refused_with_a_way_out(model, digits):
    x, y = digits
    chosen = asked("all but ten", y)
    with pytest.raises(Refused) as caught:
        forget(model, x[:TRAINED][chosen], x[:TRAINED][~chosen])
    assert caught.value.reason == "too_few_images" and any(way in str(caught.value) for way in WAYS)
    with pytest.raises(Refused) as caught:
        forget(model, x[:0], x[:TRAINED])
    assert caught.value.reason == "nothing_to_forget"
