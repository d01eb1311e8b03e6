"""Snakemake over the cells whose records are missing or stale.

The records alone say what is done; what Snakemake keeps is thrown away before each start, so that nothing it remembers of a
killed run stands in the way. A lock that ends with the process keeps two grids from running at once.
"""

import contextlib
import fcntl
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ..paths import ROOT, runs_folder
from ..progress import track
from .grid import Planned, plan

WORKFLOW = ROOT / "workflow"
POLL = 1.0  # seconds between looks at what is done


class GridError(RuntimeError):
    """The grid cannot be started."""


def folder() -> Path:
    """Where a running grid keeps its plan, its logs and its marks; nothing in it is needed afterwards."""
    return runs_folder() / "experiments"


@contextlib.contextmanager
def held() -> Iterator[int]:
    """The right to run a grid: the lock's file descriptor, which the workflow inherits.

    Raises:
        GridError: another grid is running.
    """
    folder().mkdir(parents=True, exist_ok=True)
    with (folder() / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise GridError(f"another grid is running in {folder()}") from error
        yield file.fileno()


def command(profile: str, workers: int | None) -> list[str]:
    """How Snakemake is called.

    Raises:
        GridError: Snakemake is not installed, or there is no such profile.
    """
    profiles = sorted(path.name for path in (WORKFLOW / "profiles").iterdir())
    if profile not in profiles:
        raise GridError(f"EXECUTOR must be one of {', '.join(profiles)}, got {profile!r}")
    program = Path(sys.executable).parent / "snakemake"
    found = str(program) if program.exists() else shutil.which("snakemake")
    if not found:
        raise GridError("Snakemake is not installed: make experiments does it, or pip install '.[experiments]'")
    return [
        found, "--snakefile", str(WORKFLOW / "Snakefile"), "--profile", str(WORKFLOW / "profiles" / profile), "--nolock",
        "--directory", str(folder()), *(["--cores", str(workers)] if workers else []),
        "--config", f"plan={folder() / 'plan.json'}",
    ]


def run(todo: list[Planned], profile: str, workers: int | None, say: Callable[[str], None]) -> list[tuple[Planned, str]]:
    """Make the cells; returns those that failed, each with the last line of its log.

    Raises:
        GridError: it cannot be started.
        KeyboardInterrupt: Ctrl-C; the workflow has ended by then.
    """
    with held() as lock:
        call = command(profile, workers)
        for name in ("done", "logs", ".snakemake"):
            shutil.rmtree(folder() / name, ignore_errors=True)
        (folder() / "plan.json").write_text(json.dumps(plan(todo, folder(), sys.executable), indent=1), encoding="utf-8")
        log = folder() / "snakemake.log"
        say(f"{len(todo)} cells; logs in {folder()}")
        with log.open("w", encoding="utf-8") as out, subprocess.Popen(
            call, stdout=out, stderr=subprocess.STDOUT, pass_fds=[lock], cwd=ROOT
        ) as workflow:
            _follow(workflow, todo)
        failed = [item for item in todo if not _done(item)]
        if len(failed) == len(todo) and not any((folder() / "logs").rglob("*.log")):
            raise GridError(f"the workflow could not be started: {_last(log)} (all of it: {log})")
        return [(item, _last(folder() / "logs" / f"{item.name}.log")) for item in failed]


def _done(item: Planned) -> bool:
    return (folder() / "done" / item.name).exists()


def _follow(workflow: subprocess.Popen, todo: list[Planned]) -> None:
    """Draw a bar over the training passes of the cells that are done until the workflow ends."""
    seen: set[str] = set()
    with track(round(sum(item.equivalent for item in todo)), "grid", unit="pass") as bar:
        while True:
            try:
                workflow.wait(POLL)
            except subprocess.TimeoutExpired:
                pass
            except KeyboardInterrupt:
                workflow.wait()  # it has had the Ctrl-C too, and ends its cells
                raise
            for item in todo:
                if item.name not in seen and _done(item):
                    seen.add(item.name)
                    bar.update(round(item.equivalent))
                    bar.set_postfix_str(f"{len(seen)} of {len(todo)} cells")
            if workflow.returncode is not None:
                return


def _last(log: Path) -> str:
    """The last line of a log that says something."""
    try:
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    except OSError:
        return "not started: a cell it waits for failed"
    return lines[-1] if lines else "ended without a word"
