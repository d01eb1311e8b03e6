"""What may go wrong around a cell: why it ended, in one line, and what killed writers leave behind."""

import errno
import os
import re
import shutil
import time
from pathlib import Path

from ..support.paths import results_folder, runs_folder

FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))  # as programs print them
MESSAGE = r"^ *message: (.*?)(?:\bFor further error details|\bFurther, |^ {4}[\w ]+:)"  # of the workflow, on a cell's failure
LEAST_FREE = 64 * 1024  # bytes: below that, a log without a word could not be written
STRAY_AFTER = 600.0  # seconds since the last write: a file takes seconds, so nobody is writing it any more


def full_disk() -> str | None:
    """Which of the grid's folders lies on the disk with the least room, and how much that is; ``None`` if none exists."""
    rooms = _rooms()
    return f"{rooms[0][0] / 1e6:.1f} MB left for {rooms[0][1]}" if rooms else None


def _rooms() -> list[tuple[int, str]]:
    """Bytes free for each of the grid's folders, least first."""
    folders = [folder for folder in (results_folder(), runs_folder()) if folder.exists()]
    return sorted((shutil.disk_usage(folder).free, str(folder)) for folder in folders)


def cluster_message(log: Path, name: str) -> str:
    """What the workflow's log says last of why a cluster ended a cell or did not take it; empty where it was the cell itself."""
    try:
        blocks = log.read_text(encoding="utf-8", errors="replace").split("Error in rule cell:")[1:]
    except OSError:
        return ""
    found = ""
    for block in blocks:
        message = re.search(MESSAGE, block, re.MULTILINE | re.DOTALL)
        if message and re.search(rf"^ *output: (?:.*/)?done/{re.escape(name)}(?: |$)", block, re.MULTILINE):
            found = " ".join(message[1].split())
    return "" if found == "None" or "'FAILED'" in found else found  # it ran, and its own log says more


def reason(log: Path, *, ended: bool = False, cluster: str = "") -> str:
    """Why what wrote this log failed: its last line that says something; a full disk is named.

    Args:
        ended: whether the workflow itself was killed.
        cluster: ``cluster_message``, which follows the log's last line.
    """
    try:
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = None
    last = lines[-1].strip() if lines else ""
    if any(text in last for text in FULL) or (not lines and any(free < LEAST_FREE for free, _ in _rooms())):
        return f"the disk is full: {full_disk()}"
    if ended:
        return "the workflow itself was killed"
    if cluster:
        return f"{last} ({cluster})" if last else cluster
    if lines is None:
        return "not started: a cell it waits for failed"
    return last or "ended without a word"


def remove_strays() -> list[Path]:
    """Remove temporary files of killed writers, which are never read: their names are not those of records or artefacts.

    Returns:
        What was removed. A file that was written to in the last ten minutes stays: it may be another process's.
    """
    removed = []
    candidates = [*(results_folder() / "comparison").rglob(".*.tmp"), *(runs_folder() / "artefacts").glob("*.tmp")]
    for path in candidates:
        try:
            if time.time() - path.stat().st_mtime > STRAY_AFTER:
                path.unlink()
                removed.append(path)
        except OSError:  # its writer has just renamed it
            continue
    return removed
