"""The same workflow on a cluster: what is asked of SLURM and Kubernetes, and a real SLURM where one answers."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import pytest
from experiments_fakes import SNAKEMAKE, RealGrid

from laf_utils.experiments import launch
from laf_utils.experiments.cells import Cell, read
from laf_utils.experiments.launch import GridError
from laf_utils.experiments.planning import Planned


def needs(*plugins):
    """Skip with the reason where Snakemake or one of its plugins is not installed."""
    missing = ["snakemake"] * (not SNAKEMAKE) + [name for name in plugins if not find_spec(name.replace("-", "_"))]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


needs_snakemake, needs_slurm = needs(), needs("snakemake-executor-plugin-slurm")
needs_kubernetes = needs("snakemake-executor-plugin-kubernetes", "snakemake-storage-plugin-fs")


def two_cells():
    """One that wants no GPU and one that does."""
    return [Planned(Cell(dataset, "class", "original"), "missing", 10.0) for dataset in ("mnist", "cifar10")]


@needs_snakemake
@pytest.mark.parametrize(("profile", "option", "workers"), [
    ("local", "--cores", 2), ("slurm", "--jobs", 100), ("slurm-one-node", "--jobs", 2), ("kubernetes", "--jobs", 100),
])
def test_a_profile_says_how_many_cells_run_at_a_time(profile, option, workers):
    assert launch.workers_of(profile) == workers
    call = launch.command(profile, 7)
    assert call[call.index(option) + 1] == "7"
    assert not {"--jobs", "--cores"} & set(launch.command(profile, None))


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


SBATCH = """#!/bin/sh
echo "$*" >> {folder}/submitted
echo "refused" >&2
exit 1
"""


@needs_slurm
@pytest.mark.parametrize("profile", [pytest.param("slurm", marks=pytest.mark.slow), "slurm-one-node"])
def test_only_cells_that_want_a_gpu_ask_slurm_for_one(places, monkeypatch, profile):
    for name in ("sinfo", "squeue", "scontrol", "sacct", "scancel", "sacctmgr"):
        program(places / "bin" / name, "#!/bin/sh\n")
    program(places / "bin" / "sbatch", SBATCH.format(folder=places))
    monkeypatch.setenv("PATH", f"{places / 'bin'}:{os.environ['PATH']}")
    failed = launch.run(two_cells(), profile, None, lambda line: None)
    assert [line for _, line in failed] == ["SLURM sbatch failed. The error message was 'refused'."] * 2
    asked = {}
    for line in (places / "submitted").read_text().splitlines():
        options = line.partition("--wrap")[0]
        asked["mnist" if "mnist" in options else "cifar10"] = options
    assert "--gpus=1" in asked["cifar10"]
    assert "gpu" not in asked["mnist"]
    assert "gres" not in asked["mnist"]
    assert all("--cpus-per-task=1" in options and "--mem 2000" in options for options in asked.values())


def test_jobs_of_a_killed_run_that_wait_are_taken_back_and_no_others(places, monkeypatch):
    program(places / "bin" / "scancel", f'#!/bin/sh\necho "$*" >> {places}/taken_back\n')
    monkeypatch.setenv("PATH", f"{places / 'bin'}:{os.environ['PATH']}")
    log = places / "snakemake.log"
    launch.withdraw(log)
    assert not (places / "taken_back").exists(), "no run before this one"
    log.write_text("SLURM run ID: 146444b3-f5a1-42c0\nJob 1 has been submitted with SLURM jobid 3\n")
    launch.withdraw(log)
    assert (places / "taken_back").read_text() == "--quiet --state=PENDING --name=146444b3-f5a1-42c0\n"


class Refusing(BaseHTTPRequestHandler):
    """Stands in for a Kubernetes API server: keeps the jobs it is asked for and refuses them."""

    asked: list[dict] = []

    def log_message(self, *_):
        pass

    def do_POST(self):  # noqa: N802 (the name that http.server asks for)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_job = "/jobs" in self.path
        if is_job:
            self.asked.append(body)
        answer = b"{}" if is_job else json.dumps(body).encode()
        self.send_response(403 if is_job else 201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_DELETE(self):  # noqa: N802
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def kubernetes(places, monkeypatch):
    """What was asked of the stand-in."""
    Refusing.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "a", "users": [{"name": "a", "user": {}}],
        "clusters": [{"name": "a", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
    }
    (places / "kubeconfig").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(places / "kubeconfig"))
    yield Refusing.asked
    server.shutdown()


@pytest.mark.slow
@needs_kubernetes
@pytest.mark.parametrize("cell", two_cells(), ids=lambda item: item.cell.dataset)
def test_only_cells_that_want_a_gpu_ask_kubernetes_for_one(places, kubernetes, cell):
    with pytest.raises(GridError):  # refused
        launch.run([cell], "kubernetes", None, lambda line: None)
    (container,) = kubernetes[0]["spec"]["template"]["spec"]["containers"]
    limits = container["resources"]["limits"]
    assert limits.get("nvidia.com/gpu") == ("1" if cell.cell.dataset == "cifar10" else None)
    assert (limits["cpu"], limits["memory"]) == ("1000m", "2000M")


def slurm_answers():
    return shutil.which("sinfo") and "idle" in subprocess.run(
        ["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, timeout=20, check=False
    ).stdout


@pytest.mark.slow
@needs_slurm
def test_on_slurm_a_killed_cell_is_made_again_and_a_killed_run_goes_on(tmp_path):
    if not slurm_answers():
        pytest.skip("no SLURM with an idle node answers (sinfo)")
    grid = RealGrid(tmp_path, "EXECUTOR=slurm-one-node")
    start, kept, runs = grid.start, grid.kept, grid.runs

    def until(ready, seconds=600):
        deadline = time.monotonic() + seconds
        while not ready() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert ready()

    def workers():
        found = subprocess.run(
            ["pgrep", "-f", f"python.* -m laf_utils.experiments.worker {runs}"], capture_output=True, text=True, check=False
        )
        return found.stdout.split()

    running = start()
    until(lambda: len(kept()) == 1)
    until(lambda: (runs / "experiments" / "logs" / "optdigits" / "class-retrain-seed0-quick.log").exists() and workers())
    for worker in workers():
        os.kill(int(worker), signal.SIGKILL)
    until(lambda: len(kept()) >= 2)
    assert "Trying to restart job" in (runs / "experiments" / "snakemake.log").read_text()
    subprocess.run(["pkill", "-9", "-s", str(running.pid)], check=False)  # not what SLURM runs: that lives on
    running.wait(60)
    before = kept()
    assert all(read(file) for file in before), "no half-written record"
    again = start()
    said = again.communicate(timeout=900)[0]
    assert again.returncode == 0, said
    after = kept()
    assert len(after) == 4
    assert {file: after[file] for file in before} == before, "what was there was not made again"
    assert all(read(file)["machine"]["threads"] == 1 for file in after)
    assert not list(tmp_path.rglob("*.tmp"))
