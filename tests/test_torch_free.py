"""Reading records and drawing every results page loads no PyTorch; ``forget`` loads no statistics before it needs them."""

import os
import subprocess
import sys

from laf_utils.methods import catalogue, table
from laf_utils.support.paths import ROOT

DRAW = """
import sys
from laf_utils.book.results import __main__ as command
from laf_utils.experiments import cells, grid, record
sys.argv = ["results", "FOLDER=" + sys.argv[1]]
code = command.main()
heavy = sorted({"torch", "torchvision", "xgboost"} & sys.modules.keys())
sys.exit(f"loaded {heavy}" if heavy else code)
"""


def test_every_results_page_is_drawn_without_pytorch(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "LAF_RESULTS"} | {"PYTHONPATH": str(ROOT)}
    call = [sys.executable, "-c", DRAW, str(tmp_path)]
    done = subprocess.run(call, capture_output=True, text=True, check=False, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(list(tmp_path.rglob("*.png"))) > 10


def test_forget_starts_without_what_it_may_not_need():
    """A third of its start would be SciPy: the audit imports that when it comes to it."""
    call = "import sys; from laf_utils import forget; print(*{'scipy', 'torchvision', 'sklearn', 'pandas'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True, cwd=ROOT, timeout=300)
    assert not done.stdout.strip()


def test_the_catalogue_is_the_table() -> None:
    assert list(table.METHODS) == list(catalogue.LISTED) and list(table.FURTHER) == list(catalogue.FURTHER)
    for name, method in (table.METHODS | table.FURTHER).items():
        entry = catalogue.find(name)
        assert vars(entry) == {field: getattr(method, field) for field in vars(entry)}
