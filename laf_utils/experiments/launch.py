"""Snakemake over the cells whose records are missing or stale.

The records alone say what is done; what Snakemake keeps is thrown away before each start, so that nothing it remembers of a
killed run stands in the way. A lock that ends with the process keeps two grids from running at once.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from ..support.extras import advice
from ..support.paths import ROOT, runs_folder
from .faults import cluster_message, reason, remove_strays
from .follow import follow
from .planning import Planned, plan

WORKFLOW = ROOT / "workflow"
PLACES = ("LAF_DATA", "LAF_RUNS", "LAF_RESULTS", "LAF_TRAINING")  # handed to every cell, wherever it runs
DEFAULT_WORKERS = 2
SUBMITTED_AS = re.compile(r"SLURM run ID: ([\w-]+)")  # what the plugin says of the name of its jobs


class GridError(RuntimeError):
    """The grid cannot be started."""


def folder() -> Path:
    """Where a running grid keeps its plan, its logs and its marks; nothing in it is needed afterwards."""
    return runs_folder() / "experiments"


@contextlib.contextmanager
def held() -> Iterator[TextIO]:
    """The right to run a grid: the lock's file, which the workflow inherits and which says who it is.

    Raises:
        GridError: another grid is running.
    """
    folder().mkdir(parents=True, exist_ok=True)
    with (folder() / "lock").open("a+", encoding="utf-8") as file:
        file.seek(0)
        who = file.read().strip()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise GridError(f"another grid is running in {folder()}{f' (process {who})' if who else ''}") from error
        file.truncate(0)
        yield file


def profile_file(profile: str) -> Path:
    """Snakemake's settings of an executor.

    Raises:
        GridError: there is no such profile.
    """
    profiles = sorted(path.name for path in (WORKFLOW / "profiles").iterdir())
    if profile not in profiles:
        raise GridError(f"EXECUTOR must be one of {', '.join(profiles)}, got {profile!r}")
    return WORKFLOW / "profiles" / profile / "config.yaml"


def workers_of(profile: str) -> int:
    """How many cells a profile runs at a time; raises as ``profile_file``."""
    found = re.search(r"^(?:cores|jobs): *(\d+)", profile_file(profile).read_text(encoding="utf-8"), re.MULTILINE)
    return int(found[1]) if found else DEFAULT_WORKERS


def command(profile: str, workers: int | None) -> list[str]:
    """How Snakemake is called.

    ``--nolock``: its own lock stays behind when it is killed; ``held`` does what it is for, and ends with the process.

    Raises:
        GridError: Snakemake is not installed; or as ``profile_file``.
    """
    settings = profile_file(profile)
    program = Path(sys.executable).parent / "snakemake"
    found = str(program) if program.exists() else shutil.which("snakemake")
    if not found:
        raise GridError(f"{advice(ImportError(name='snakemake'))}; make experiments does it")
    text = settings.read_text(encoding="utf-8")
    many = "--jobs" if "executor:" in text else "--cores"
    storage = ["--default-storage-prefix", str(folder())] if "default-storage-provider:" in text else []
    return [
        found, "--snakefile", str(WORKFLOW / "Snakefile"), "--profile", str(settings.parent), "--nolock",
        "--directory", str(folder()), *([many, str(workers)] if workers else []), *storage,
        "--config", f"plan={folder() / 'plan.json'}",
    ]


def _prepare(todo: list[Planned]) -> None:
    """Forget the run before, and write down what this one is to do."""
    withdraw(folder() / "snakemake.log")
    remove_strays()
    for name in ("done", "logs", ".snakemake"):
        shutil.rmtree(folder() / name, ignore_errors=True)
    environment = {name: os.environ[name] for name in PLACES if name in os.environ}
    text = json.dumps(plan(todo, folder(), sys.executable) | {"environment": environment}, indent=1)
    (folder() / "plan.json").write_text(text, encoding="utf-8")


def withdraw(log: Path) -> None:
    """Take back from SLURM what a killed run submitted and what has not begun; cells that run are waited for (``worker``)."""
    with contextlib.suppress(OSError):
        for name in SUBMITTED_AS.findall(log.read_text(encoding="utf-8", errors="replace")):
            subprocess.run(["scancel", "--quiet", "--state=PENDING", f"--name={name}"], check=False, capture_output=True)


def run(
    todo: list[Planned], profile: str, workers: int | None, say: Callable[[str], None], expected: float | None = None
) -> list[tuple[Planned, str]]:
    """Make the cells; returns those that failed, each with why.

    Args:
        expected: seconds that all of them may take, for the time left until the first ones say better.

    Raises:
        GridError: it cannot be started.
        OSError: the disk is full or cannot be written to.
        KeyboardInterrupt: Ctrl-C; the workflow has ended by then.
    """
    with held() as lock:
        call = command(profile, workers)
        _prepare(todo)
        log = folder() / "snakemake.log"
        say(f"{len(todo)} cells; logs in {folder() / 'logs'}")
        with log.open("w", encoding="utf-8") as out, _started(call, out, lock) as workflow:
            with contextlib.suppress(OSError):  # on a full disk it stays unnamed
                os.write(lock.fileno(), str(workflow.pid).encode())
            try:
                follow(workflow, todo, _done, say, expected)
            except KeyboardInterrupt:
                # Once, to it and its cells, whatever ended this process: told to end gently it would wait for running cells,
                # told twice it would not take back what it submitted to a cluster.
                os.killpg(workflow.pid, signal.SIGINT)
                workflow.wait()
                raise
        failed = [item for item in todo if not _done(item)]
        if len(failed) == len(todo) and "Error in rule" not in log.read_text(encoding="utf-8", errors="replace"):
            raise GridError(f"the workflow could not be started: {reason(log)} (all of it: {log})")
        return [(item, reason(folder() / "logs" / f"{item.name}.log", ended=workflow.returncode < 0,
                              cluster=cluster_message(log, item.name))) for item in failed]


def _started(call: list[str], out: TextIO, lock: TextIO) -> subprocess.Popen:
    """The workflow, which can be interrupted even where a shell started this process in the background, deaf to Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            call, stdout=out, stderr=subprocess.STDOUT, pass_fds=[lock.fileno()], cwd=ROOT, process_group=0
        )
    finally:
        signal.signal(signal.SIGINT, before)


def _done(item: Planned) -> bool:
    return (folder() / "done" / item.name).exists()
