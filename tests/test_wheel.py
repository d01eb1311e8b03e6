"""The library as somebody installs it: the wheel alone, with what it asks for and nothing of the extras."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from laf_utils.support.paths import ROOT

PROGRAM = Path(__file__).parent / "wheel_program.py"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run(python: str | Path, *words: object, **settings: object) -> subprocess.CompletedProcess:
    return subprocess.run([str(python), *map(str, words)], capture_output=True, text=True, check=False, **settings)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, so that the checkout stays as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "laf_utils", source / "laf_utils", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    made = run(
        sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, source,
    )
    assert made.returncode == 0, made.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    made = run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", folder, wheel)
    assert made.returncode == 0, made.stderr
    return folder


def wanted(requirements: list[str]) -> set[str]:
    """Distributions that these ask for, and those that they ask for in turn."""
    found, left = set(), list(requirements)
    while left:
        one = Requirement(left.pop())
        name = one.name.lower().replace("_", "-")
        if name in found or (one.marker and not one.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        try:
            left += metadata.requires(one.name) or []
        except metadata.PackageNotFoundError:  # of another platform
            continue
    return found


def importable() -> set[str]:
    """The top-level names of everything that the wheel asks for."""
    asked = wanted(PROJECT["dependencies"])
    return {"laf_utils"} | {
        name for name, owners in metadata.packages_distributions().items()
        if asked & {owner.lower().replace("_", "-") for owner in owners}
    }


def listing(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


def alone(home: Path) -> dict[str, str]:
    """The environment of somebody else: another home, no variable of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LAF_", "PYTHON", "XDG_"))}
    return kept | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", "LAF_PROGRESS": "0"}


def test_the_wheel_has_the_package_its_types_and_its_page_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    data = {"py.typed", "forgetting/page.html", "forgetting/certificate.schema.json"}
    assert {f"laf_utils/{name}" for name in data} <= set(names)
    assert {name.split("/")[0] for name in names} == {"laf_utils", wheel.name.split("-py3")[0] + ".dist-info"}


def test_the_wheel_forgets_where_nothing_else_is_installed(installed, tmp_path):
    before = listing(installed)
    site = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    allowed = importable()
    assert not allowed & {"sklearn", "xgboost", "pandas", "matplotlib", "nbformat", "papermill", "IPython", "torchvision"}
    made = run(
        sys.executable, "-I", "-S", "-B", PROGRAM, ",".join([str(installed), *site]), ",".join(sorted(allowed)),
        cwd=tmp_path, env=alone(tmp_path),
    )
    assert made.returncode == 0, made.stderr[-2_000:]
    said = json.loads(made.stdout.splitlines()[-1])
    assert said["from"] == str(installed / "laf_utils")
    assert said["page"] and said["still_named"] < 0.5 < 0.8 < said["kept"]
    cache = tmp_path / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "laf-utils"
    assert said["data"] == str(cache / "data") and said["runs"] == str(cache / "runs")
    assert said["results"].startswith("results/") and "clone" in said["results"] and "\n" not in said["results"]
    assert said["commit"] == "unknown"
    assert listing(installed) == before
    assert not listing(tmp_path)


@pytest.mark.parametrize("module", ["laf_utils.experiments", "laf_utils.book.results", "laf_utils.book.base.execute"])
def test_commands_of_the_checkout_say_so_in_one_line(installed, tmp_path, module):
    code = f"import sys, runpy; sys.path.insert(0, {str(installed)!r}); runpy.run_module({module!r}, run_name='__main__')"
    made = run(sys.executable, "-B", "-c", code, cwd=tmp_path, env=alone(tmp_path))
    assert made.returncode not in (0, None) and "Traceback" not in made.stderr
    (line,) = made.stderr.strip().splitlines()
    assert line.startswith("laf: error: ") and "clone" in line


@pytest.mark.slow
@pytest.mark.network
def test_the_oldest_releases_in_range_do_as_well(wheel, tmp_path):
    """Downloads gigabytes; LAF_OLDEST names an environment that has oldest.txt already."""
    python = os.environ.get("LAF_OLDEST")
    if not python:
        python = tmp_path / "environment" / "bin" / "python"
        assert run(sys.executable, "-m", "venv", tmp_path / "environment").returncode == 0
        made = run(python, "-m", "pip", "install", "-q", "-c", ROOT / "oldest.txt", wheel)
        assert made.returncode == 0, made.stderr
        folders = []
    else:
        folders = [tmp_path / "installed"]
        run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", folders[0], wheel)
    made = run(python, "-B", PROGRAM, *([",".join(map(str, folders))] if folders else []), cwd=tmp_path, env=alone(tmp_path))
    assert made.returncode == 0, made.stderr[-2_000:]
    said = json.loads(made.stdout.splitlines()[-1])
    assert said["torch"].startswith("2.9.1")
    assert said["page"] and said["still_named"] < 0.5 < 0.8 < said["kept"]
