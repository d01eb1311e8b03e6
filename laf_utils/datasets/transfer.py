"""Files into the data folder, all or nothing: a lock, a temporary folder, checked downloads."""

import contextlib
import hashlib
import http.client
import os
import queue
import shutil
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from laf_utils.datasets.errors import DoorClosed, one_line
from laf_utils.support.progress import track

CONNECT_LIMIT = 5.0  # seconds for a server to begin its answer, name look-up included
STALL_LIMIT = 10.0  # seconds without a single byte
DOWNLOAD_LIMIT = 900.0  # seconds for one file, for slow lines
LOCK_LIMIT = 900.0  # seconds to wait for another process that fetches the same set
CHUNK = 1 << 16


@contextlib.contextmanager
def held(name: str, folder: Path) -> Iterator[None]:
    """The right to fetch ``name`` into ``folder``, one process at a time. DoorClosed if it cannot be had in time."""
    file = folder / f".{name}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file)
        try:
            lock.acquire(timeout=1)
        except Timeout:
            print(f"{name}: waiting for another process that is fetching it (at most {LOCK_LIMIT:g} s)", flush=True)
            lock.acquire(timeout=LOCK_LIMIT)
    except Timeout as error:
        problem = f"waited {LOCK_LIMIT:g} s for another process that holds {file}"
        raise DoorClosed(f"{problem}; end that process or wait for it") from error
    except OSError as error:
        raise DoorClosed(f"{folder} cannot be written ({one_line(error)})") from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def workplace(name: str, folder: Path) -> Iterator[Path]:
    """A temporary folder inside ``folder`` (same disk, so that a rename is atomic), gone afterwards.

    Call it under the lock: what an earlier process left behind when it was killed is removed too. OSError becomes
    DoorClosed.
    """
    prefix = f".{name}-fetch-"
    for stale in folder.glob(f"{prefix}*"):
        shutil.rmtree(stale, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory(prefix=prefix, dir=folder, ignore_cleanup_errors=True) as temp:
            yield Path(temp)
    except OSError as error:
        raise DoorClosed(one_line(error)) from error


def put_in_place(file: Path, target: Path) -> None:
    """Rename ``file`` to ``target`` in one step, replacing it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(file, target)  # noqa: PTH105  (says what matters here: it replaces)


def content_md5(file: Path) -> str:
    """md5 (hex) of the file's bytes; a check against damage, not against an adversary."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def download(urls: Iterable[str], target: Path, md5: str) -> None:
    """Stream the first of ``urls`` that works to ``target`` and check it; DoorClosed says why none did.

    A dead network costs at most CONNECT_LIMIT per address, or STALL_LIMIT if it dies halfway. A wrong file is removed.
    """
    reasons = []
    for url in urls:
        try:
            _stream(url, target)
            found = content_md5(target)
            if found == md5:
                return
            reasons.append(f"{url}: checksum {found}, not {md5}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            reasons.append(f"{url}: {one_line(error)}")
        target.unlink(missing_ok=True)
    raise DoorClosed("; ".join(reasons) or "no address to download from")


def _stream(url: str, target: Path) -> None:
    deadline = time.monotonic() + DOWNLOAD_LIMIT
    with _opened(url) as answer:
        size = int(answer.headers.get("Content-Length") or 0)
        received = 0
        with target.open("wb") as file, track(total=size, label=target.name, unit="B") as bar:
            # read1 returns what has come, so a server that drips cannot hold us past the deadline.
            while chunk := answer.read1(CHUNK):
                file.write(chunk)
                received += len(chunk)
                bar.update(len(chunk))
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not finished after {DOWNLOAD_LIMIT:g} s")
    if size and received != size:
        raise OSError(f"ended after {received} of {size} bytes")


def _opened(url: str) -> Any:
    """The server's answer, within CONNECT_LIMIT.

    In a thread, because a socket's own time limit covers neither the name look-up nor several addresses in a row.
    """
    answers: queue.Queue = queue.Queue()

    def ask() -> None:
        try:
            request = urllib.request.Request(url, headers={"User-Agent": "laf_utils"})
            answers.put(urllib.request.urlopen(request, timeout=STALL_LIMIT))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=CONNECT_LIMIT)
    except queue.Empty:
        raise TimeoutError(f"no answer within {CONNECT_LIMIT:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
