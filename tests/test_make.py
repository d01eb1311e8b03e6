"""``make`` and ``.make/``: what runs before anything is installed, so with no package but the standard library."""

import importlib.util
import os
import re
import shlex
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from laf_utils.settings.parameters import NOT_SETTINGS, PARAMETERS
from laf_utils.support.paths import ROOT


def script(name: str):
    """A module of ``.make``."""
    spec = importlib.util.spec_from_file_location(f"make_{name}", ROOT / ".make" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def environment(monkeypatch):
    """``.make/environment.py`` that makes a folder ``bin`` for a venv and counts installs for pip."""
    module = script("environment")
    module.installs = []
    monkeypatch.setattr(module, "pip_install", lambda python, log: module.installs.append(python))
    monkeypatch.setattr(module.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0, "", ""))
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=100e9))
    return module


def test_names_are_known_before_anything_is_installed():
    names = script("names")
    assert names.known_names() == [*PARAMETERS, *NOT_SETTINGS]
    assert names.complaint(["DATSET=mnist"], names.known_names()) == "unknown parameter 'DATSET'; did you mean DATASET?"
    assert names.complaint(["SEED="], names.known_names()) == "SEED has no value: write SEED=VALUE"
    assert names.complaint(["SEED=1", "FORGET_CLASS=3,5"], names.known_names()) is None


def test_a_second_call_installs_nothing(environment, tmp_path):
    assert [environment.main([str(tmp_path / "venv")]) for _ in range(2)] == [0, 0]
    assert len(environment.installs) == 1


def test_a_changed_list_is_installed_over_what_is_there(environment, tmp_path, monkeypatch):
    folder = tmp_path / "venv"
    environment.main([str(folder)])
    (folder / "something").touch()
    monkeypatch.setattr(environment, "key", lambda: "changed")
    assert environment.main([str(folder)]) == 0
    assert len(environment.installs) == 2
    assert (folder / "something").exists()
    assert [path.name for path in folder.glob(".complete-*")] == [".complete-changed"]


def test_an_interrupted_install_begins_again_from_nothing(environment, tmp_path, monkeypatch, capsys):
    folder, works = tmp_path / "venv", environment.pip_install

    def interrupted(python, log):
        (folder / "half").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "pip_install", interrupted)
    assert environment.main([str(folder)]) == 130
    assert "laf: interrupted" in capsys.readouterr().err
    monkeypatch.setattr(environment, "pip_install", works)
    assert environment.main([str(folder)]) == 0
    assert not (folder / "half").exists()


def test_a_failed_update_keeps_the_environment(environment, tmp_path, monkeypatch):
    folder = tmp_path / "venv"
    environment.main([str(folder)])
    (folder / "something").touch()

    def offline(python, log):
        raise environment.failure("Failed to establish a new connection", log)

    with monkeypatch.context() as patch:
        patch.setattr(environment, "pip_install", offline)
        patch.setattr(environment, "key", lambda: "changed")
        assert environment.main([str(folder)]) == 1
    assert environment.main([str(folder)]) == 0  # what was there is still complete
    assert (folder / "something").exists()


def test_what_would_fail_late_is_asked_early(environment, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: SimpleNamespace(free=2.5e9))
    assert environment.main([str(tmp_path / "venv")]) == 1
    assert re.fullmatch(r"laf: error: 2\.5 GB are free where .* goes, about 9 are needed.*\n", capsys.readouterr().err)
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else name)
    with pytest.raises(environment.Stop, match=r"lacks the module ensurepip; on Debian or Ubuntu: apt install python3\.\d+-venv"):
        environment.check(tmp_path, 100e9)


def test_a_venv_that_cannot_be_made_is_one_line(environment, tmp_path, monkeypatch, capsys):
    failed = subprocess.CompletedProcess([], 1, "", "Traceback\nOSError: no such thing\n")
    monkeypatch.setattr(environment.subprocess, "run", lambda command, **_: failed)
    assert environment.main([str(tmp_path / "venv")]) == 1
    assert re.fullmatch(r"laf: error: .* -m venv .* failed: OSError: no such thing\n", capsys.readouterr().err)


@pytest.mark.parametrize(("errors", "message"), [
    ("WARNING: Retrying ... NameResolutionError(...)\nERROR: Could not find a version", "no network"),
    ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk became full"),
    ("note\nERROR: Cannot install a and b", "the install failed: Cannot install a and b"),
])
def test_pip_failures_are_one_line(environment, errors, message):
    told = str(environment.failure(errors, Path("log")))
    assert message in told and "\n" not in told


def make(*arguments: str) -> subprocess.CompletedProcess:
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=outside, capture_output=True, text=True, check=False)


def test_make_refuses_what_cannot_work():
    for arguments, message in (
        (["laf", "DATSET=mnist"], "unknown parameter 'DATSET'; did you mean DATASET?"),
        (["laf", "PYTHON=/nonexistent"], "there is no Python at '/nonexistent'"),
        (["env", "PYTHON=false"], "'false' is Python that does not start; 3.11 or newer is needed"),
    ):
        done = make(*arguments)
        assert done.returncode
        assert [message in line for line in done.stderr.splitlines() if line.startswith("laf: error:")] == [True]


def test_make_passes_parameters_on_as_they_are():
    given = ["DATASET=it's $x", "FORGET_CLASS=3,5", "SEED=1"]
    line = make("-n", "laf", "VENV=.other", *reversed(given)).stdout.splitlines()[-1]
    assert shlex.split(line)[-3:] == given
    assert shlex.split(line)[0].endswith("/.other/bin/python")
