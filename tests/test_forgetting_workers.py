"""One request by two processes under ``torchrun``: one process's result, one writer, and a killed worker ends in one line."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from forgetting_fakes import own_model, patterns, trained
from outside_models import convnext
from safetensors.torch import load_file, save_file
from torchvision.transforms import functional as TF

from laf_utils.forgetting import ForgetOptions, call, checkpoint, first_model, forget, workers
from laf_utils.support.paths import ROOT

HERE = Path(__file__).parent
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
ACCELERATE = [  # every value that its configuration file would give
    sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no",
    "--dynamo_backend", "no",
]
TOLERANCE = {"float64": 1e-9, "float32": 1e-3, "transformers": 1e-9}  # of weights, the largest of which is 2


def started(*words, **settings):
    paths = os.pathsep.join([str(ROOT), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [str(word) for word in words], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "LAF_PROGRESS": "0"}, **settings,
    )


def ran(*words):
    process = started(*words)
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def test_a_process_alone_is_the_first_and_shares_nothing(monkeypatch):
    model = own_model()
    assert workers.first() and not workers.several() and workers.shared(model, trained=True) is model
    assert workers.from_first(lambda: 3) == 3 and workers.from_each(3, lambda place: 2 * place) == [0, 2, 4]
    with workers.working_together():
        assert not workers.several()
    monkeypatch.setenv("RANK", "1")  # of a cluster that has nothing to do with it
    assert workers.first()
    for name, value in (("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "1")):
        monkeypatch.setenv(name, value)
    assert not workers.first(), "also before the processes have met, and after they have parted"
    for own, mpi in (("RANK", "OMPI_COMM_WORLD_RANK"), ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE")):
        monkeypatch.setenv(mpi, os.environ[own])
        monkeypatch.delenv(own)
    assert workers.launched() and not workers.first(), "MPI has names of its own for them"


def test_the_first_process_waits_for_no_other_when_it_writes(monkeypatch, tmp_path):
    """Whatever all processes do together is done as often by the first as by any other, a ledger or not."""
    counts = []
    for first in (True, False):
        asked = []
        for module in (call, checkpoint, first_model):
            if hasattr(module, "from_first"):
                monkeypatch.setattr(module, "from_first", lambda make: asked.append(1) or make())  # noqa: B023
        monkeypatch.setattr(call, "first", lambda: first)  # noqa: B023
        inputs, labels = patterns(200, 1)
        options = ForgetOptions(scope="class", accept=("batch_statistics",))
        forget(own_model(), inputs[labels == 0], inputs[labels > 0], method="closed_form", options=options,
               ledger=tmp_path / f"{first}.jsonl")
        counts.append(len(asked))
    assert counts[0] == counts[1] > 0


def test_an_error_of_ones_own_is_no_lost_worker():
    with pytest.raises(RuntimeError, match="gloomy"), workers.working_together():
        raise RuntimeError("gloomy")


def started_by(launcher, tmp_path, monkeypatch):
    """The words that start two processes on this machine; skips where a launcher is not installed."""
    if launcher == "torchrun":
        return TORCHRUN
    pytest.importorskip("accelerate")
    if launcher == "accelerate":  # the branch of several devices is torchrun itself, with or without a GPU
        return [*ACCELERATE, "--multi_gpu", "--main_process_port", "0"]
    if shutil.which("mpirun") is None:
        pytest.skip("no mpirun")
    (tmp_path / "hosts").write_text("localhost slots=2\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe")
    monkeypatch.setenv("OMPI_MCA_rmaps_base_oversubscribe", "1")
    return [*ACCELERATE, "--cpu", "--mpirun_hostfile", tmp_path / "hosts", "--main_process_port", port]


@pytest.mark.slow
@pytest.mark.parametrize(("launcher", "kind"), [
    ("torchrun", "float64"), ("torchrun", "float32"), ("accelerate", "float64"), ("accelerate by MPI", "float64"),
    ("torchrun", "transformers"),
])
def test_two_processes_give_the_result_of_one(launcher, kind, tmp_path, monkeypatch):
    if kind == "transformers":
        pytest.importorskip("transformers")
    program, two = HERE / "workers_program.py", started_by(launcher, tmp_path, monkeypatch)
    for name, before in (("one", [sys.executable]), ("two", two)):
        (tmp_path / name).mkdir()
        code, _, err = ran(*before, program, tmp_path / name, kind)
        assert code == 0, err
    one, *two = (load_file(tmp_path / name) for name in (
        "one/copy-alone.safetensors", "two/weights.safetensors", "two/copy-0.safetensors", "two/copy-1.safetensors"
    ))
    known = patterns(800, 1)
    original = (convnext(*known) if kind == "transformers" else trained(own_model(), *known)).state_dict()
    assert max((one[name] - original[name]).abs().max() for name in one) > 0.01, "something was unlearned"
    for other in two:
        for name, value in one.items():
            assert torch.allclose(value, other[name], rtol=0, atol=TOLERANCE[kind]), name
    assert (tmp_path / "two" / "writers").read_text() == "0\n"
    assert len((tmp_path / "two" / "ledger.jsonl").read_text().splitlines()) == 1
    reports = [json.loads((tmp_path / name / "report" / "report.json").read_text()) for name in ("one", "two")]
    assert reports[0]["verdict"] == reports[1]["verdict"]
    assert [len(report["attempts"][0]["looks"]) for report in reports][0] == len(reports[1]["attempts"][0]["looks"])


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="no kill -9")
def test_a_killed_process_goes_on_bit_for_bit(tmp_path):
    program, cut = HERE / "workers_program.py", tmp_path / "cut"
    for name in ("cut", "whole"):
        (tmp_path / name).mkdir()
    process, deadline = started(sys.executable, program, cut, "float32"), time.monotonic() + 300
    while not list(cut.glob("state/attempt-1-running-*")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and not list(cut.glob("*.safetensors"))
    for name in ("cut", "whole"):
        code, _, err = ran(sys.executable, program, tmp_path / name, "float32")
        assert code == 0, err
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("cut", "whole")]
    assert weights[0] == weights[1] and not list((cut / "state").iterdir())


@pytest.mark.slow
def test_the_audits_students_are_shared_out(tmp_path):
    for name, before in (("one", [sys.executable]), ("two", TORCHRUN)):
        (tmp_path / name).mkdir()
        code, _, err = ran(*before, HERE / "workers_program.py", tmp_path / name, "few")
        assert code == 0, err
    found = [json.loads((tmp_path / name / "report" / "report.json").read_text()) for name in ("one", "two")]
    assert found[0]["evidence"]["finding"] == found[1]["evidence"]["finding"]
    assert found[0]["evidence"]["expected"] == pytest.approx(found[1]["evidence"]["expected"], abs=0.1)


@pytest.fixture
def place(tmp_path):
    """Images in a folder, a list of those of one class, weights."""
    inputs, labels = patterns(480, 1)
    pixels = ((inputs.clamp(-3, 3) + 3) / 6 * 255).round().to(torch.uint8)
    (tmp_path / "images").mkdir()
    for number, image in enumerate(pixels):
        TF.to_pil_image(image).save(tmp_path / "images" / f"{number:03}.png")
    (tmp_path / "ids.txt").write_text("".join(f"{n:03}.png\n" for n in (labels == 0).nonzero().flatten().tolist()))
    save_file(trained(own_model(), inputs, labels).state_dict(), tmp_path / "model.safetensors")
    return tmp_path


def of_rank(rank, launcher):
    """The process of a rank below a launcher."""
    for number in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
        if f"RANK={rank}".encode() in Path(f"/proc/{number}/environ").read_bytes().split(b"\0"):
            return int(number)
    raise LookupError(rank)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for the worker in /proc")
def test_a_killed_worker_ends_the_command_in_one_line_and_it_goes_on(place):
    words = [
        *TORCHRUN, "-m", "laf_utils", "forget", "--model", place / "model.safetensors", "--arch", "forgetting_fakes:own_model",
        "--data", place / "images", "--ids", place / "ids.txt", "--mean", "0.5,0.5,0.5", "--std", "0.1666667,0.1666667,0.1666667",
        "--device", "cpu", "--ledger", place / "ledger.jsonl", "--checkpoint", place / "state", "--checkpoint-minutes", "0",
        "--out",
    ]
    process = started(*words, place / "out")
    deadline = time.monotonic() + 300
    while not list((place / "state").glob("attempt-1-running-*")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    os.kill(of_rank(1, process.pid), signal.SIGKILL)
    out, err = process.communicate(timeout=300)
    assert process.returncode and not out
    said = [line for line in err.splitlines() if line.startswith("laf: ")]
    assert len(said) == 1 and "the same command goes on from its checkpoint" in said[0], err
    assert not (place / "ledger.jsonl").exists() and not list((place / "out").glob("*"))
    code, out, err = ran(*words, place / "out")
    assert code == 0 and out.count("acceptable") == 1, err
    assert not list((place / "state").iterdir()) and len((place / "ledger.jsonl").read_text().splitlines()) == 1
    code, out, err = ran(*words, place / "whole", "--ledger", place / "second.jsonl")
    assert code and "--ledger is given twice" in err  # told once, by the first process
    assert len([line for line in err.splitlines() if line.startswith("laf: ")]) == 1
