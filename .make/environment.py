"""Make the environment, once: ``environment.py FOLDER``. Python's standard library only.

A file in the environment, named after everything the install depends on, says that it is complete. It is written last, so an
install that was interrupted is done again from nothing, and a change of pyproject.toml or constraints.txt is installed over
what is there. A lock keeps two calls from working on the same folder.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = "test,lab,book,certificate"
NEEDED_GB = 9  # about 7 installed (CUDA libraries come with PyTorch on Linux), the rest for files on their way
LOCK, BEGUN, COMPLETE = ".lock", ".begun", ".complete-"
NETWORK = re.compile(  # as pip and its urllib3 put it
    r"NewConnection|NameResolution|Failed to establish|Connection refused|unreachable|timed out|Temporary failure", re.IGNORECASE
)
LINES_KEPT = 400  # of pip's errors


class Stop(Exception):
    """Why there is no environment, in one line."""


class Unreachable(Stop):
    """Nothing could be fetched."""


def key(root: Path = ROOT) -> str:
    """Names everything the install depends on: both lists, the package's version, and the folder, which is written into it."""
    digest = hashlib.sha256(str(root).encode())
    for name in ("pyproject.toml", "constraints.txt", "laf_utils/__init__.py"):
        digest.update((root / name).read_bytes())
    return digest.hexdigest()[:16]


def check(folder: Path, free_bytes: int) -> None:
    """What would make an install fail late, asked early."""
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
            raise Stop(f"{sys.executable} lacks the module {module}; on Debian or Ubuntu: apt install {package}")
    if free_bytes < NEEDED_GB * 1e9:
        free = f"{free_bytes / 1e9:.1f} GB are free where {folder} goes"
        raise Stop(f"{free}, about {NEEDED_GB} are needed; make room or say VENV=FOLDER")


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """The right to work in the folder. The lock goes with the process, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("w")
    except OSError as error:
        raise Stop(f"the environment cannot be made at {folder}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that installs into {folder}", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def empty(folder: Path) -> None:
    """Remove what an interrupted install left; the lock stays, it is held."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != LOCK:
            entry.unlink()


def failure(errors: str, log: Path) -> Stop:
    """pip's failure in one line."""
    if "No space left" in errors:
        return Stop("the disk became full during the install; make room (pip also needs some in its cache and in TMPDIR)")
    if NETWORK.search(errors):
        return Unreachable("the packages cannot be fetched: no network, or the package index does not answer")
    last = [line for line in errors.splitlines() if line.startswith("ERROR")] or errors.splitlines()[-1:] or ["pip failed"]
    return Stop(f"the install failed: {last[-1].removeprefix('ERROR: ')} (all of it: {log})")


def pip_install(python: Path, log: Path) -> None:
    """``pip install``, its progress shown, its errors kept for one line at the end."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    command += [] if sys.stdout.isatty() else ["-q"]
    command += ["-c", str(ROOT / "constraints.txt"), "-e", f"{ROOT}[{EXTRAS}]"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace", cwd=ROOT) as pip:
        errors = list(pip.stderr)[-LINES_KEPT:]
    if pip.returncode:
        with contextlib.suppress(OSError):
            log.write_text("".join(errors), encoding="utf-8")
        raise failure("".join(errors), log)


def install(folder: Path) -> None:
    """Bring the folder to completeness; leaves it marked as begun where that fails."""
    done = folder / f"{COMPLETE}{key()}"
    if done.is_file():
        return
    whole = any(folder.glob(f"{COMPLETE}*")) and not (folder / BEGUN).exists()
    if not whole:
        empty(folder)
        check(folder, shutil.disk_usage(folder).free)
    extent = "what changed" if whole else "about 7 GB on Linux, 3 to 10 minutes; next time nothing"
    print(f"installing into {folder}: {extent}", flush=True)
    start = time.monotonic()
    (folder / BEGUN).touch()
    if not whole:
        made = subprocess.run([sys.executable, "-m", "venv", str(folder)], capture_output=True, text=True, check=False)
        if made.returncode:
            said = (made.stdout + made.stderr).strip().splitlines() or ["it does not say why"]
            raise Stop(f"{sys.executable} -m venv {folder} failed: {said[-1]}")
    try:
        pip_install(folder / "bin" / "python", folder / "pip-errors.txt")
    except Unreachable:
        if whole:  # pip fetches all before it changes anything: what was there still works
            (folder / BEGUN).unlink()
        raise
    for stale in folder.glob(f"{COMPLETE}*"):
        stale.unlink()
    done.touch()
    (folder / BEGUN).unlink()
    print(f"installed in {time.monotonic() - start:.0f} s", flush=True)


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]).absolute()
    try:
        if not (folder / f"{COMPLETE}{key()}").is_file():  # complete: no need to write anything, not even a lock
            with held(folder):
                install(folder)
    except Stop as stop:
        print(f"laf: error: {stop}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"laf: error: the environment cannot be made: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("laf: interrupted; the same command installs again", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)  # modules from elsewhere would count as installed
    sys.exit(main(sys.argv[1:]))
