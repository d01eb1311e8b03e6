"""A user's script, the same under ``python`` and under ``torchrun``: forget a class, write weights, report and ledger.

    python workers_program.py FOLDER [float32|float64|few|transformers]
"""

import os
import sys
from pathlib import Path

import torch
from forgetting_fakes import GONE, LIGHT, UNSEEN, X, Y, own_model, trained
from outside_models import convnext
from safetensors.torch import save_file

from laf_utils.forgetting import ForgetOptions, forget

folder, how = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
RANK = os.environ.get("RANK") or os.environ.get("OMPI_COMM_WORLD_RANK", "alone")
torch.set_num_threads(1)
kind = torch.float32 if how == "float32" else torch.float64  # so that rounding is not what is looked at
model = (convnext(X, Y) if how == "transformers" else trained(own_model(), X, Y)).to(kind)


def save(unlearned):
    with (folder / "writers").open("a") as file:
        file.write(f"{RANK}\n")
    save_file(unlearned.state_dict(), folder / "weights.safetensors")
    return {}


rare = ForgetOptions(settings=LIGHT, save=save, checkpoint=folder / "state", checkpoint_minutes=0)
few = (torch.arange(len(X)) < 40) if how == "few" else GONE
copy, report = forget(
    model, X[few].to(kind), X[~few].to(kind), unseen=UNSEEN.to(kind), ledger=folder / "ledger.jsonl", options=rare
)
report.write(folder / "report")
save_file(copy.state_dict(), folder / f"copy-{RANK}.safetensors")
