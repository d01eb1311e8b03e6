"""A user's file that calls the library passes a type checker, and a wrong call does not."""

import os
import subprocess
import sys

import pytest

from laf_utils.support.paths import ROOT

pytest.importorskip("mypy")

RIGHT = """
import torch
from torch import nn

from laf_utils import ForgetOptions, Forgotten, Refused, Report, Run, forget, judge, preset

model: nn.Module = nn.Linear(4, 2)
images = torch.zeros(100, 4)
try:
    found: Forgotten = forget(model, images[:10], images[10:], seed=1, options=ForgetOptions(floor=0.9, accept=("lost_weights",)))
except Refused as refusal:
    reason: str = refusal.reason
unlearned, report = forget(model, forget=images[:10], ledger="ledger.jsonl", device="cpu")
network: nn.Module = unlearned
page: Report = report
acceptable: bool = report.acceptable and judge(model, unlearned, images[:10], images[10:], unseen=images).acceptable
run = Run(preset("optdigits", "class", forget_classes=(3,)))
repaired: nn.Module = run.laf_r
reveal_type(forget)
"""
WRONG = """
import torch
from torch import nn

from laf_utils import ForgetOptions, forget, forgot

forget(nn.Linear(4, 2), torch.zeros(1, 4), sed=1)
forget(nn.Linear(4, 2), torch.zeros(1, 4), options=ForgetOptions(floor="high"))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> dict[str, str]:
    """What mypy says of each file, outside the checkout; one run, as most of it is reading PyTorch's types."""
    folder = tmp_path_factory.mktemp("types")
    for name, text in {"right": RIGHT, "wrong": WRONG}.items():
        (folder / f"{name}.py").write_text(text)
    made = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", "--config-file=", "--cache-dir=cache", "right.py", "wrong.py"],
        capture_output=True, text=True, check=False, cwd=folder, env=os.environ | {"MYPYPATH": str(ROOT)},
    )
    lines = (made.stdout + made.stderr).splitlines()
    return {name: "\n".join(line for line in lines if line.startswith(f"{name}.py")) for name in ("right", "wrong")}


def test_a_users_file_passes(said):
    assert "error" not in said["right"]
    assert "-> " in said["right"] and "Forgotten" in said["right"]


def test_wrong_calls_are_found(said):
    assert 'has no attribute "forgot"' in said["wrong"]
    assert 'Unexpected keyword argument "sed"' in said["wrong"]
    assert 'Argument "floor" to "ForgetOptions"' in said["wrong"]
