"""What is installed: the lists of packages agree, nothing is missing from them, and the published numbers are told once."""

import ast
import importlib
import pkgutil
import re
import sys
import tomllib
from itertools import product
from pathlib import Path

import pytest
import yaml
from setuptools import find_packages

import laf_utils
from laf_utils.settings.config import RunConfig
from laf_utils.settings.parameters import PARAMETERS, configuration
from laf_utils.settings.presets import DATASET_PRESETS, reference_settings
from laf_utils.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NAME = re.compile(r"[A-Za-z0-9._-]+")
OWN = PROJECT["project"]["name"]
DISTRIBUTIONS = {"sklearn": "scikit-learn", "PIL": "pillow"}  # what is imported under another name
# What a room may need besides the library's own dependencies: extras. Whatever is not named here needs none.
EXTRAS = {
    "audit": {"audit"}, "models": {"vision"}, "datasets": {"vision", "audit"}, "forgetting": {"vision", "certificate"},
    "experiments": {"experiments"}, "book": {"book"},
}
# Imported when it is called: asked for by the name of an extra, or an alternative that the user has.
OPTIONAL = {"tuning": {"optuna"}, "ch8_other_models": {"transformers"}}


def name_of(requirement: str) -> str:
    return NAME.match(requirement)[0].lower().replace("_", "-")


def listed(*extras: str) -> dict[str, str]:
    """Name -> requirement line, of the dependencies and of these extras with those that they name."""
    project = PROJECT["project"]
    found, left = {name_of(line): line for line in project["dependencies"]}, list(extras)
    while left:
        for line in project["optional-dependencies"][left.pop()]:
            if name_of(line) == OWN:
                left += re.search(r"\[(.*)\]", line)[1].split(",")
            else:
                assert found.setdefault(name_of(line), line) == line, f"{line}: two ranges"
    return found


def everything() -> dict[str, str]:
    return listed(*PROJECT["project"]["optional-dependencies"])


def constraints() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    return {name_of(line): line.partition("==")[2] for line in lines}


def test_environment_asks_for_the_same_names_and_ranges():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert environment["name"] == "laf"
    assert f"python{PROJECT['project']['requires-python']}" in conda
    assert pip["pip"][0] == "-c constraints.txt"
    assert pip["pip"][-1] == "-e ."
    assert {name_of(line): line for line in pip["pip"][1:-1]} == everything()


def test_every_requirement_has_a_tested_release_in_its_range():
    from packaging.requirements import Requirement

    tested = constraints()
    for name, line in everything().items():
        assert Requirement(line).specifier.contains(tested[name]), line


@pytest.mark.parametrize("line", everything().values())
def test_every_range_has_both_ends(line):
    assert "==" in line or (">=" in line and "<" in line)


def test_constraints_are_exact_and_sorted():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    assert lines == sorted(lines, key=str.lower)


def test_the_version_is_told_once():
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "laf_utils.__version__"}
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == laf_utils.__version__
    assert citation["references"][0]["year"] == 2024


def test_every_sub_package_is_installed():
    found = set(find_packages(str(ROOT), include=PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]))
    with_code = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "laf_utils").rglob("*.py")}
    assert found == with_code


def imported(file: Path) -> set[str]:
    """The top-level names of a file's absolute imports."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"laf_utils"}


def test_everything_imported_is_asked_for():
    """Each room by itself: what forgetting needs is asked for by everybody, the rest by its extra."""
    assert set().union(*OPTIONAL.values()) <= everything().keys()
    for file in (ROOT / "laf_utils").rglob("*.py"):
        room = file.relative_to(ROOT / "laf_utils").with_suffix("").parts[0]
        known = set(listed(*EXTRAS.get(room, ()))) | OPTIONAL.get(file.stem, set())
        for name in imported(file):
            assert DISTRIBUTIONS.get(name, name).lower() in known, f"{file.name} imports {name}"


def test_the_oldest_releases_are_the_lower_ends():
    lines = [line for line in (ROOT / "oldest.txt").read_text().splitlines() if not line.startswith("#")]
    lowest = {name: re.search(r">=([0-9.]+)", line)[1] for name, line in listed().items()}
    for name, release in (line.split("==") for line in lines):
        assert release == lowest[name] or release.startswith(lowest[name] + "."), name
    assert {line.split("==")[0] for line in lines} == lowest.keys()


@pytest.mark.parametrize("package", ["laf_utils", "laf_utils.audit", "laf_utils.methods"])
def test_public_names_are_told_to_people_and_to_programs_alike(package):
    """Editors and type checkers read imports that never run; what does run finds the same names."""
    module = importlib.import_module(package)
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {alias.name: node.module for node in block.body for alias in node.names}
    assert set(told) == set(module.__all__)
    assert set(module.__all__) <= set(dir(module))
    for name, home in told.items():
        assert not (Path(module.__file__).parent / f"{name}.py").exists(), "a module of that name would take its place"
        assert getattr(module, name) is getattr(importlib.import_module(f"{package}.{home}"), name)
    with pytest.raises(AttributeError, match="has no attribute 'forgot'"):
        _ = module.forgot


def test_every_test_marker_is_declared():
    declared = {line.partition(":")[0] for line in PROJECT["tool"]["pytest"]["ini_options"]["markers"]}
    assert declared == {"slow", "network", "browser"}


# -- hyperparameter.md ------------------------------------------------------------------------------------------------


def rows(heading: str) -> list[dict[str, str]]:
    """The table below a heading of hyperparameter.md."""
    section = (ROOT / "hyperparameter.md").read_text().split(f"\n## {heading}")[1].split("\n## ")[0]
    table = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")]
    return [dict(zip(table[0], row, strict=True)) for row in table[2:]]


def test_the_published_table_is_the_presets():
    table = rows("Published")
    assert {(row["task"], row["network"]) for row in table} == set(product(("data", "class", "noisy"), ("cnn", "resnet18")))
    for row in table:
        settings = reference_settings(row["network"], row["task"])
        names = [name for name in row if name in PARAMETERS]
        assert {PARAMETERS[name]: float(row[name]) for name in names} == settings


def test_training_and_vae_values_are_the_configuration():
    config = RunConfig("mnist", "class")
    for row in rows("Training"):
        group, _, leaf = PARAMETERS[row["parameter"]].partition(".")
        assert float(row["value"]) == getattr(getattr(config, group), leaf), row


def test_the_data_sets_are_the_presets():
    table = {row["DATASET"]: row for row in rows("Data sets")}
    assert set(table) == set(DATASET_PRESETS)
    for name, row in table.items():
        preset, text = DATASET_PRESETS[name], row["profile `paper"]
        assert row["network"] == preset.backbone
        assert row["profile `quick`: training images"] == (f"{preset.quick_images:,}" if preset.quick_images else "all")
        assert ("224x224" in text) == (preset.resize == 224)
        assert ("normalisation" in text) == preset.normalise
        assert ("flips" in text) == (preset.augment or preset.paper_crop == "resized")


def test_the_modes_and_profiles_named_there_exist():
    text = (ROOT / "hyperparameter.md").read_text()
    for name, value in re.findall(r"`(PROFILE|MODE)=(\w+)`", text):
        configuration({name: value})


def test_every_module_can_be_imported():
    """A name that one branch renamed and another still uses is found here, not in a notebook."""
    found = [module.name for module in pkgutil.walk_packages(laf_utils.__path__, "laf_utils.")]
    assert len(found) > 80
    for name in found:
        if not name.endswith("__main__"):  # commands
            importlib.import_module(name)
