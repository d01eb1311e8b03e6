"""What image passes leave out: floating-point operations of every method, counted while it runs on a few images.

``python -m benchmarks.operations [METHOD ...]`` runs each method with its published settings on 1,000 images of MNIST, class
removal, under ``torch.utils.flop_counter``, and sets what was counted beside what its image passes cost. Steps keep their size
and sets are small, so a cost that does not grow with the images (a generator's, an eigendecomposition's) weighs more here than on
60,000: both are on record, and ``factor`` is an upper end.
"""

import sys

import torch

from benchmarks.common import RESULTS, conditions, rounded, say
from laf_utils.experiments.cells import EXACT, Cell
from laf_utils.experiments.making import settings_of
from laf_utils.experiments.problem import Problem
from laf_utils.methods import METHODS, prepare
from laf_utils.methods.flops import counted, per_image
from laf_utils.support import records
from laf_utils.training import TrainingDiverged

IMAGES, EPOCHS = 1_000, 2  # drawn of the training images, and of the original's training: what it knows does not matter here
PATH = RESULTS / "operations.json"


def operations(problem: Problem, name: str) -> dict:
    """Operations of one method, in units of 10^9: counted, and as its image passes cost them."""
    method = METHODS[name]
    settings = settings_of(Cell("mnist", "class", name), problem, None)
    request = prepare(name, problem.request, settings)
    try:
        result, total = counted(method, request, settings)
    except (TrainingDiverged, RuntimeError) as error:  # PyTorch's counter refuses ``autograd.grad`` for an input
        return {"failure": str(error).splitlines()[0]}
    frozen, trained = per_image(request.original, problem.run.train_images.batch(torch.arange(8)))
    passes = (result.passes.training * trained + result.passes.frozen * frozen) / 1e9
    return {"counted": total / 1e9, "by_passes": passes, "factor": total / 1e9 / passes if passes else None}


def main() -> int:
    """Count what is asked for and not there yet; kept after each method."""
    names = sys.argv[1:] or [name for name in METHODS if name not in EXACT]
    if unknown := [name for name in names if name not in METHODS]:
        say(f"there is no method {unknown[0]!r}: {', '.join(METHODS)}")
        return 2
    problem = Problem.asked("mnist", "class", 0, "paper", say=lambda line: None, images=IMAGES, training__epochs=EPOCHS)
    known = records.read_parts(PATH, ("schema", "methods"), 1)["methods"] if PATH.is_file() else {}
    for name in names:
        known[name] = rounded(operations(problem, name))
        say(f"{name:<24} {known[name]}")
        about = {"dataset": "mnist", "task": "class", "images": IMAGES}
        about |= {"conditions": conditions(), "versions": records.versions()}
        records.write_json(PATH, {"schema": 1, "about": about, "methods": known})
    return 0


if __name__ == "__main__":
    sys.exit(main())
