"""Run where only the wheel and what it asks for can be imported: forget in a small classifier, and say where files would go.

    python wheel_program.py [FOLDER,... [NAME,...]]

The folders become the path; the names are those that may be imported, besides Python's own. Prints one JSON object.
"""

import json
import sys
import tempfile
from importlib.machinery import PathFinder
from pathlib import Path

FOLDERS = sys.argv[1].split(",") if len(sys.argv) > 1 else []
ALLOWED = set(sys.argv[2].split(",")) if len(sys.argv) > 2 else None


class Only:
    """Python's search of the path, for the allowed names and Python's own; of everything else there is nothing."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        top = name.partition(".")[0]
        if top in ALLOWED or top in sys.stdlib_module_names or top.startswith("_sysconfigdata"):
            return PathFinder.find_spec(name, path, target)
        return None


sys.path[:0] = FOLDERS
if ALLOWED is not None:
    sys.meta_path[:] = [Only if finder is PathFinder else finder for finder in sys.meta_path]

import torch  # noqa: E402
from torch import nn  # noqa: E402

import laf_utils  # noqa: E402
from laf_utils import ForgetOptions, forget  # noqa: E402
from laf_utils.support import paths, records  # noqa: E402

torch.manual_seed(0)
torch.set_num_threads(1)
labels = torch.arange(400) % 4
images = torch.eye(4).repeat_interleave(4, 1)[labels] + 0.3 * torch.randn(400, 16)
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
optimiser = torch.optim.Adam(model.parameters(), 1e-2)
for _ in range(60):
    optimiser.zero_grad()
    nn.functional.cross_entropy(model(images), labels).backward()
    optimiser.step()
gone = labels == 2
unlearned, report = forget(model, images[gone], images[~gone], options=ForgetOptions(scope="class"))
with tempfile.TemporaryDirectory() as folder:
    page = report.write(folder).read_text(encoding="utf-8")
try:
    refused = str(paths.results_folder())
except paths.PlaceError as error:
    refused = str(error)
named = (unlearned(images[gone]).argmax(1) == 2).float().mean().item()
kept = (unlearned(images[~gone]).argmax(1) == labels[~gone]).float().mean().item()
assert named < 0.5 < 0.8 < kept, (named, kept)
print(json.dumps({
    "from": str(Path(laf_utils.__file__).parent), "verdict": report.verdict, "page": page.startswith("<!doctype html>"),
    "still_named": named, "kept": kept,
    "data": str(paths.data_folder()), "runs": str(paths.runs_folder()), "results": refused, "commit": records.commit(),
    "torch": torch.__version__, "loaded": sorted({name.partition(".")[0] for name in sys.modules}),
}))
