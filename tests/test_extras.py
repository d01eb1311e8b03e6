"""Without an extra: whatever needs it ends in one line that names it."""

import ast
import os
import subprocess
import sys
import tomllib

import pytest

from laf_utils import audit
from laf_utils.support.extras import EXTRAS, advice, naming_extras, require
from laf_utils.support.paths import ROOT

DISTRIBUTIONS = {"sklearn": "scikit-learn", "IPython": "ipython"}  # of names that are imported under another


def hidden(monkeypatch, package):
    for name in [name for name in sys.modules if name.partition(".")[0] == package or name.startswith("laf_utils.audit.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)


@pytest.mark.parametrize(("package", "module", "arguments"), [
    ("pandas", "laf_utils.experiments", ["PLAN=1"]),
    ("sklearn", "laf_utils.experiments", ["KIND=audit", "PLAN=1"]),
    ("matplotlib", "laf_utils.book.results", []),
    ("pandas", "laf_utils.book.results", []),
    ("papermill", "laf_utils.book.base.execute", ["DATASET=optdigits"]),
    ("nbconvert", "laf_utils.book.base.execute", ["DATASET=optdigits"]),
])
def test_a_command_names_the_extra_in_one_line(package, module, arguments, tmp_path):
    code = (
        f"import runpy, sys; sys.modules[{package!r}] = None; sys.argv[1:] = {arguments!r}; "
        f"runpy.run_module({module!r}, run_name='__main__')"
    )
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False,
        env=os.environ | {"LAF_RUNS": str(tmp_path), "LAF_RESULTS": str(ROOT / "results")},
    )
    assert made.returncode == 1, made.stdout + made.stderr
    assert made.stderr.strip() == f"laf: error: {package} is not installed: pip install 'laf-utils[{EXTRAS[package]}]'"


def test_a_name_of_a_face_names_the_extra(monkeypatch):
    hidden(monkeypatch, "sklearn")
    with pytest.raises(ImportError, match=r"^sklearn is not installed: pip install 'laf-utils\[audit\]'$"):
        _ = audit.published_attack


def test_a_run_that_needs_torchvision_says_so_at_once(monkeypatch, make_run):
    hidden(monkeypatch, "torchvision")
    with pytest.raises(ImportError, match=r"laf-utils\[vision\]"):
        make_run(backbone="resnet18")


def test_what_no_extra_brings_stays_as_it_is():
    assert advice(ImportError("no name")) is None and advice(ImportError(name="elsewhere")) is None
    with pytest.raises(ModuleNotFoundError, match="elsewhere"), naming_extras():
        import elsewhere  # noqa: F401
    require("numpy")


def test_every_package_that_is_imported_is_required_or_an_extra_that_brings_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {extra: {line.split(">=")[0] for line in lines} for extra, lines in project["optional-dependencies"].items()}
    imported = {
        name.partition(".")[0] for path in (ROOT / "laf_utils").rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import)
                     else [node.module] if isinstance(node, ast.ImportFrom) and not node.level else [])
    }
    required = {line.split(">=")[0] for line in project["dependencies"]} | {"PIL"}
    assert imported - set(sys.stdlib_module_names) - required - {"laf_utils"} <= set(EXTRAS)
    for package, extra in EXTRAS.items():
        assert DISTRIBUTIONS.get(package, package) in names[extra], f"{extra} does not bring {package}"
