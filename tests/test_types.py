"""A user's file that calls the library passes a type checker, and a wrong call does not."""

import subprocess
import sys

import pytest

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


def checked(tmp_path, text: str) -> str:
    """What mypy says of a file outside the checkout."""
    file = tmp_path / "own.py"
    file.write_text(text)
    made = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", "--config-file=", "--cache-dir", "cache", str(file)],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=environment(),
    )
    return made.stdout + made.stderr


def environment() -> dict[str, str]:
    import os

    from laf_utils.support.paths import ROOT

    return os.environ | {"MYPYPATH": str(ROOT)}


def test_a_users_file_passes(tmp_path):
    said = checked(tmp_path, RIGHT)
    assert "Success: no issues found" in said, said
    assert "-> " in said and "Any" not in said.split("Revealed type is")[1].split("->")[1]


def test_wrong_calls_are_found(tmp_path):
    said = checked(tmp_path, WRONG)
    assert 'has no attribute "forgot"' in said
    assert 'Unexpected keyword argument "sed"' in said
    assert 'Argument "floor" to "ForgetOptions"' in said
