"""What ends a grid early or fills the disk under it: no half-written file, one clear reason, and the same command goes on."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from experiments_fakes import SNAKEMAKE
from safetensors import SafetensorError

from laf_utils.experiments import faults, follow, launch
from laf_utils.experiments.cells import Cell
from laf_utils.experiments.faults import reason, remove_strays
from laf_utils.experiments.follow import Progress, in_words, seconds_left
from laf_utils.experiments.launch import GridError
from laf_utils.experiments.planning import Planned, plan
from laf_utils.experiments.worker import alone
from laf_utils.settings.cli import signals_as_interrupt
from laf_utils.support import artefacts, records
from laf_utils.support.artefacts import Artefact
from laf_utils.support.paths import ROOT

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
needs_snakemake = pytest.mark.skipif(not SNAKEMAKE, reason="Snakemake is not installed (pip install '.[experiments]')")


def todo(*methods, dataset="tiny", equivalent=10.0):
    return [Planned(Cell(dataset, "class", method), "missing", equivalent) for method in methods]


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# -- a full disk -----------------------------------------------------------------------------------------------------------


def test_a_record_on_a_full_disk_leaves_the_old_one_and_no_half(tmp_path, monkeypatch):
    path = records.write_json(tmp_path / "a.json", {"old": 1})

    def full(_):
        raise FULL

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        records.write_json(path, {"new": 2})
    assert files(tmp_path) == ["a.json"]
    assert json.loads(path.read_text()) == {"old": 1}


def test_an_artefact_on_a_full_disk_leaves_nothing_and_is_computed_again(tmp_path, monkeypatch):
    kept = Artefact({"weight": torch.ones(3)}, {"seconds": 1.0})

    def half(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patched:
        patched.setattr(artefacts, "save_file", half)
        with pytest.raises(SafetensorError):
            artefacts.save(tmp_path, "vae", {"seed": 0}, kept)
    assert files(tmp_path) == []
    assert artefacts.load(tmp_path, "vae", {"seed": 0}) is None
    artefacts.save(tmp_path, "vae", {"seed": 0}, kept)
    assert torch.equal(artefacts.load(tmp_path, "vae", {"seed": 0}).tensors["weight"], kept.tensors["weight"])


@pytest.mark.parametrize("last", [
    "laf: error: No space left on device",
    "safetensors.SafetensorError: Error while serializing: I/O error: No space left on device (os error 28)",
    "OSError: [Errno 122] Disk quota exceeded",
])
def test_a_full_disk_is_one_line_that_names_it(places, last):
    log = places / "log"
    log.write_text(f"begins\n{last}\n")
    assert reason(log).startswith("the disk is full: ")
    assert str(places / "runs") in reason(log) or str(places / "results") in reason(log)


def test_a_log_that_could_not_be_written_is_a_full_disk(places, monkeypatch):
    log = places / "log"
    log.touch()
    assert reason(log) == "ended without a word"
    monkeypatch.setattr(faults.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6, 0))
    assert reason(log).startswith("the disk is full: 0.0 MB left")
    log.write_text("the loss is not a number\n")
    assert reason(log) == "the loss is not a number", "a reason that is known is not guessed at"


def test_cells_that_never_began_say_why(places):
    assert reason(places / "none") == "not started: a cell it waits for failed"
    assert reason(places / "none", ended=True) == "the workflow itself was killed"


def test_what_a_cluster_says_of_a_cell_follows_its_last_line(places):
    log, workflow = places / "log", places / "snakemake.log"
    log.write_text("original: taken from disk\n")
    block = "Error in rule cell:\n    message: SLURM-job '3' failed, SLURM status is: '{}'. For further error details see\n" \
        "    output: /runs/done/{}\n"
    workflow.write_text(block.format("TIMEOUT", "tiny/class-laf-seed0") + block.format("FAILED", "tiny/class-ts-seed0"))
    said = faults.cluster_message(workflow, "tiny/class-laf-seed0")
    assert reason(log, cluster=said) == "original: taken from disk (SLURM-job '3' failed, SLURM status is: 'TIMEOUT'.)"
    assert reason(places / "none", cluster=said) == said
    for other in ("tiny/class-ts-seed0", "tiny/class-laf-seed", "tiny/class-scrub-seed0"):
        assert faults.cluster_message(workflow, other) == ""
    assert reason(log, cluster="") == "original: taken from disk"


# -- what a killed writer leaves -------------------------------------------------------------------------------------------


def test_temporary_files_of_killed_writers_are_never_read_and_go(places):
    record = records.write_json(places / "results" / "comparison" / "tiny" / "class-laf-seed0.json", {"schema": 1})
    artefact = artefacts.save(places / "runs" / "artefacts", "vae", {"seed": 0}, Artefact({"a": torch.ones(1)}, {}))
    strays = [record.with_name(f".{record.name}.123.tmp"), artefact.with_suffix(".123.tmp")]
    for stray in strays:
        stray.write_text("{")
    assert list((places / "results").rglob("*.json")) == [record]
    assert remove_strays() == [], "another process may be writing them"
    old = time.time() - faults.STRAY_AFTER - 1
    for path in (*strays, record, artefact):
        os.utime(path, (old, old))
    assert sorted(remove_strays()) == sorted(strays)
    assert record.exists()
    assert artefact.exists()


# -- locks -----------------------------------------------------------------------------------------------------------------

HOLDER = "import fcntl, sys, time; f = open(sys.argv[1], 'a'); fcntl.flock(f, 2); print('held', flush=True); time.sleep(60)"


def holder(path):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_the_grids_lock_ends_with_its_process_and_names_it_before(places):
    launch.folder().mkdir(parents=True)
    other = holder(launch.folder() / "lock")
    (launch.folder() / "lock").write_text(str(other.pid))
    with pytest.raises(GridError, match=rf"process {other.pid}"), launch.held():
        pass
    other.send_signal(signal.SIGKILL)
    other.wait()
    with launch.held():
        pass


def test_a_workflow_that_outlives_its_command_still_holds_the_grid(places):
    with launch.held() as lock:
        workflow = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=[lock.fileno()])
    with pytest.raises(GridError, match="another grid"), launch.held():
        pass
    workflow.kill()
    workflow.wait()
    with launch.held():
        pass


def test_a_cell_waits_for_a_worker_that_a_killed_run_left(places):
    lock, said = places / "locks" / "tiny" / "class-laf-seed0", []
    lock.parent.mkdir(parents=True)
    other = holder(lock)
    threading.Timer(0.3, other.kill).start()
    with alone(lock, said.append):
        assert other.wait() == -signal.SIGKILL
    assert said == ["another process is making this cell: waiting for its record"]


# -- how far it is ---------------------------------------------------------------------------------------------------------


def test_the_time_left_moves_from_what_was_expected_to_the_grids_own_pace():
    assert seconds_left(100, 0, 0, None) is None
    assert seconds_left(100, 0, 0, 500) == pytest.approx(500)
    assert seconds_left(100, 50, 100, None) == pytest.approx(100)
    assert seconds_left(100, 100, 100, 500) == 0
    slow = [seconds_left(100, done, 10 * done, 100) / (100 - done) for done in (1, 5, 50)]
    assert 1 < slow[0] < slow[1] < slow[2] < 10
    assert [in_words(seconds) for seconds in (5, 750, 7560)] == ["under a minute", "about 12 minutes", "about 2.1 hours"]


def test_progress_counts_cells_and_says_a_line_from_time_to_time():
    now, done, cells = [0.0], set(), todo("laf", "ts", "neggrad", "scrub")
    progress = Progress(cells, lambda item: item.cell.method in done, 4 * 3600, lambda: now[0])
    assert progress.words() == "0 of 4 cells, about 4.0 hours left"
    now[0], _ = 30.0, done.add("laf")
    assert progress.look() == 10.0
    assert progress.look() == 0.0
    assert not progress.due(), "not more than a line a minute"
    now[0] = follow.EVERY + 1
    assert progress.due()
    assert progress.words().startswith("1 of 4 cells, about ")
    now[0] += follow.EVERY + 1
    assert not progress.due(), "nothing is new"
    now[0] += follow.QUIET
    assert progress.due(), "but one wants to know that it lives"
    done.update(("ts", "neggrad", "scrub"))
    progress.look()
    assert progress.words() == "4 of 4 cells"


SLOW_STAND_IN = """
import json, pathlib, sys, time
plan = json.loads(pathlib.Path(sys.argv[1]).read_text())
for name in plan["cells"]:
    done = pathlib.Path(plan["folder"], "done", name)
    done.parent.mkdir(parents=True, exist_ok=True); done.touch(); time.sleep(0.2)
"""


def stand_in(monkeypatch, script):
    monkeypatch.setattr(launch, "command", lambda *_: [sys.executable, "-c", script, str(launch.folder() / "plan.json")])
    monkeypatch.setattr(follow, "POLL", 0.02)


def test_where_no_terminal_is_lines_say_how_far_it_is(places, monkeypatch):
    stand_in(monkeypatch, SLOW_STAND_IN)
    monkeypatch.setattr(follow, "EVERY", 0.0)
    said = []
    assert launch.run(todo("laf", "ts"), "local", None, said.append, 7200.0) == []
    assert any(line.startswith("1 of 2 cells, about ") and line.endswith(" left") for line in said), said


def test_a_grid_that_is_told_to_end_interrupts_its_workflow_once(places, monkeypatch):
    stand_in(monkeypatch, (
        "import pathlib, signal, sys, time; plan = pathlib.Path(sys.argv[1]); count = [0]\n"
        "def seen(*_):\n count[0] += 1; plan.with_name('signals').write_text(str(count[0]))\n"
        "signal.signal(signal.SIGINT, seen); plan.with_name('ready').touch()\n"
        "while not count[0]: time.sleep(0.01)\n"
        "time.sleep(0.3)"
    ))

    def interrupt():
        while not (launch.folder() / "ready").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in a shell's background
    try:
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            launch.run(todo("laf"), "local", None, lambda line: None)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (launch.folder() / "signals").read_text() == "1"


def test_a_grid_in_the_background_that_is_told_to_end_ends_its_workflow(places, monkeypatch):
    stand_in(monkeypatch, (
        "import pathlib, sys, time; plan = pathlib.Path(sys.argv[1])\n"
        "try:\n plan.with_name('ready').touch(); time.sleep(30)\n"
        "except KeyboardInterrupt: plan.with_name('interrupted').touch()"
    ))

    def end():
        while not (launch.folder() / "ready").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell starts what it puts in the background
    try:
        threading.Thread(target=end, daemon=True).start()
        with signals_as_interrupt(), pytest.raises(KeyboardInterrupt):
            launch.run(todo("laf"), "local", None, lambda line: None)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (launch.folder() / "interrupted").exists()


# -- the workflow itself, with a stand-in for the program that makes a cell -------------------------------------------------

CELL = """#!/bin/sh
echo "threads $OMP_NUM_THREADS, results $LAF_RESULTS, bars $LAF_PROGRESS"
case "$*" in
  *"METHOD=laf "*) echo "the loss is not a number"; exit 1 ;;
  *METHOD=neggrad*) kill -9 $$ ;;
esac
"""


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@needs_snakemake
def test_the_workflow_gives_a_cell_one_thread_and_its_places_and_names_what_failed(places, monkeypatch):
    cell = program(places / "cell", CELL)
    monkeypatch.setattr(launch, "plan", lambda items, folder, _: plan(items, folder, str(cell)))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    failed = {item.cell.method: line for item, line in launch.run(
        todo("original", "laf", "laf_r", "neggrad", "ts"), "local", 2, lambda line: None
    )}
    assert failed == {
        "laf": "the loss is not a number",
        "laf_r": "not started: a cell it waits for failed",
        "neggrad": "ended by signal 9: killed, or out of memory",
    }
    log = (launch.folder() / "logs" / "tiny" / "class-ts-seed0.log").read_text()
    assert log == f"threads 1, results {places / 'results'}, bars 0\n"


# -- for real --------------------------------------------------------------------------------------------------------------

REAL = '[[cells]]\ndatasets = ["optdigits"]\ntasks = ["class"]\nmethods = ["original", "neggrad"]\nseeds = [0]\n' \
    'profile = "quick"\n'


MAKE_ROOM = """
import pathlib, subprocess, sys
place, call = pathlib.Path(sys.argv[1]), sys.argv[2:]
ballast = place / "ballast"
ballast.write_bytes(bytes(11 * 2**20))
first = subprocess.run(call, capture_output=True, text=True)
print(first.returncode, first.stdout + first.stderr, [str(f) for f in place.rglob("*.tmp")], sep="|")
ballast.unlink()
second = subprocess.run(call, capture_output=True, text=True)
print("=====")
print(second.returncode, second.stdout + second.stderr, [f.name for f in (place / "results").rglob("*.json")], sep="|")
"""


def own_mounts():
    """The command that gives a process mounts of its own, or ``None`` where this user may have none."""
    for command in (["unshare", "-Urm"], ["unshare", "-m"]):
        if not shutil.which("unshare"):
            return None
        if subprocess.run([*command, "sh", "-c", "mount -t tmpfs tmpfs /mnt"], capture_output=True, check=False).returncode == 0:
            return command
    return None


@pytest.mark.slow
@needs_snakemake
def test_a_full_disk_ends_a_cell_in_one_line_and_after_room_is_made_the_same_command_goes_on(tmp_path):
    unshare = own_mounts()
    if unshare is None:
        pytest.skip("this user may not mount a small file system")
    place, path = tmp_path / "disk", tmp_path / "grid.toml"
    path.write_text(REAL)
    place.mkdir()
    environment = {"LAF_RESULTS": str(place / "results"), "LAF_RUNS": str(place / "runs"), "LAF_PROGRESS": "0"}
    call = [sys.executable, "-c", MAKE_ROOM, str(place), sys.executable, "-m", "laf_utils.experiments", f"GRID={path}"]
    said = subprocess.run(
        [*unshare, "sh", "-c", 'mount -t tmpfs -o size=12m tmpfs "$0" && exec "$@"', str(place), *call],
        cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=900, check=True,
    ).stdout
    first, second = (part.split("|") for part in said.split("=====\n"))
    assert first[0] == "1"
    assert "FAILED optdigits/class-original-seed0-quick: the disk is full: " in first[1]
    assert f"MB left for {place}" in first[1]
    assert "FAILED optdigits/class-neggrad-seed0-quick: not started: a cell it waits for failed" in first[1]
    assert "Traceback" not in first[1]
    assert first[2].strip() == "[]", "no half-written file"
    assert second[0] == "0", second
    assert "2 of 2 made" in second[1]
