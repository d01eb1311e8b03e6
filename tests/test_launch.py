"""``laf_utils.book.base.execute``: from ``NAME=VALUE`` to notebook, page and record, or to one line that says why not."""

import errno
import functools
import gc
import io
import json
import os
import re
import signal
import threading
import time
from pathlib import Path

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from laf_utils import datasets
from laf_utils.book.base import execute, html
from laf_utils.settings import cli
from laf_utils.settings.cli import DATA, INTERRUPTED, SETTINGS, Stop
from laf_utils.support.records import REQUIRED

PARAMETERS_CELL = 'DATASET, SEED, FORGET_CLASS, FALLBACK = "mnist", 0, 0, None'
RECORD = json.dumps({part: {} for part in REQUIRED} | {"schema": 1})
WRITE_RECORD = f"""import json, os, pathlib
folder = pathlib.Path(os.environ["LAF_RUN_FOLDER"])
(folder / "record.json").write_text('{RECORD}')
(folder / "seen.json").write_text(json.dumps([DATASET, SEED, FORGET_CLASS, FALLBACK]))"""


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """``notebook(*cells)`` writes LAF.ipynb from code cells, after text and a parameters cell; runs go to ``tmp_path/runs``."""
    monkeypatch.setenv("LAF_NOTEBOOKS", str(tmp_path))
    monkeypatch.setenv("LAF_RUNS", str(tmp_path / "runs"))

    def write(*cells):
        parameters = new_code_cell(PARAMETERS_CELL, metadata={"tags": ["parameters"]})
        text = new_markdown_cell("# Title\n\n$$\\frac{1}{2} \\tau$$\n\nand $x_f$ and $\\left$")
        content = new_notebook(cells=[text, parameters, new_markdown_cell("## Part"), *map(new_code_cell, cells)])
        nbformat.write(content, tmp_path / "LAF.ipynb")

    return write


def run_folder(tmp_path: Path) -> Path:
    return next(path for path in (tmp_path / "runs").iterdir() if path.name.startswith("optdigits-"))


# -- what is typed ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("typed", "meant"), [
    ("SEED=1", 1), ("LR=1e-4", 1e-4), ("LR=0.5", 0.5), ("FORGET_CLASS=3", 3), ("FORGET_CLASS=3,5", "3,5"),
    ("TASK=class", "class"), ("DATASET=a=b", "a=b"),
    ("USE_UE=False", False), ("USE_UE=true", True), ("IMAGES=None", None), ("FALLBACK=none", None), ("DATASET=007", "007"),
])
def test_values(typed, meant):
    (found,) = cli.values([typed]).values()
    assert found == meant and type(found) is type(meant)


@pytest.mark.parametrize("typed", ["SEED", "SEED=", "=1", "SEED= "])
def test_what_is_no_name_and_value_is_refused(typed):
    with pytest.raises(Stop, match="expected NAME=VALUE"):
        cli.values([typed])


@pytest.mark.parametrize(("typed", "message"), [
    ("DATSET=mnist", "unknown parameter 'DATSET'; did you mean DATASET?"),
    ("DATASET=imagenet", "dataset must be one of mnist,"),
    ("TASK=clas", "task must be one of"),
    ("SEED=x", "seed must be a whole number"),
    ("FORGET_CLASS=12", "class 12 does not exist"),
    ("FALLBACK=imagenet", "FALLBACK must be None or one of"),
    ("DEVICE=cuda", "device 'cuda' is not available"),
])
def test_wrong_settings_are_one_line(typed, message, notebook, monkeypatch, capsys):
    notebook()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert execute.main([typed]) == SETTINGS
    told = capsys.readouterr().err
    assert told.startswith("laf: error: ") and message in told and told.count("\n") == 1


@pytest.mark.parametrize(("typed", "fallback"), [([], "optdigits"), (["DATASET=mnist"], None), (["FALLBACK=none"], None)])
def test_only_a_set_that_was_not_named_may_be_replaced(typed, fallback, notebook, monkeypatch, capsys):
    def load(name, *, fallback=None):
        asked.append((name, fallback))
        raise datasets.DataUnavailable("mnist could not be had")

    notebook()
    asked = []
    monkeypatch.setattr(datasets, "load", load)
    assert execute.main(typed) == DATA
    assert asked == [("mnist", fallback)]
    assert capsys.readouterr().err == "laf: error: mnist could not be had\n"


def test_data_only_says_what_it_has_and_runs_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LAF_RUNS", str(tmp_path / "runs"))
    assert execute.main(["--data", "DATASET=optdigits"]) == 0
    assert capsys.readouterr().out == "data: optdigits, 1,348 training and 449 test images, from: scikit-learn\n"
    assert not (tmp_path / "runs").exists()


# -- what is run ------------------------------------------------------------------------------------------------------


def test_a_run_ends_with_where_everything_is(notebook, tmp_path, capfd):
    notebook("print('stage done')", WRITE_RECORD)
    assert execute.main(["DATASET=optdigits", "SEED=1", "FORGET_CLASS=3,5"]) == 0
    lines, folder = capfd.readouterr().out.splitlines(), run_folder(tmp_path)
    files = {"notebook": "LAF.ipynb", "page": "LAF.html", "record": "record.json"}
    assert lines[-3:] == [f"{name}: {folder / file}" for name, file in files.items()]
    assert lines[2:-4] == ["[1/2] Title", "[2/2] Part", "stage done"]
    assert "optdigits-class35-quick-reference-seed1-" in folder.name
    assert json.loads((folder / "seen.json").read_text()) == ["optdigits", 1, "3,5", None]
    text = (folder / "LAF.html").read_text()
    assert "<mfrac>" in text and "<code>\\left</code>" in text
    assert not re.search(r"<script|<link|@import|src=[\"']?(https?:)?//|url\([\"']?https?:", text)
    assert not (folder / execute.PARTIAL).exists()


def test_a_cell_that_fails_is_one_line_and_leaves_a_partial_notebook(notebook, tmp_path, capfd):
    notebook("raise ValueError('because\\nof this')", WRITE_RECORD)
    assert execute.main(["DATASET=optdigits"]) == cli.FAILED
    folder = run_folder(tmp_path)
    told = capfd.readouterr().err.splitlines()[-1]
    where = f"the notebook as far as it came: {folder / execute.PARTIAL}"
    assert told == f"laf: error: cell 3 failed: ValueError: because of this; {where}"
    assert (folder / execute.PARTIAL).is_file() and not (folder / "LAF.ipynb").exists()


def test_a_process_that_died_is_one_line(notebook, capfd):
    notebook("import os; os._exit(9)")
    assert execute.main(["DATASET=optdigits"]) == cli.FAILED
    assert "laf: error: the notebook's process died" in capfd.readouterr().err.splitlines()[-1]
    gc.collect()  # what the dead kernel left would else be collected in the middle of a later test, whose parsing fails of it


def send_when(path: Path, number: int) -> None:
    """Signal this process once the file has been written; gives up after a minute."""
    for _ in range(600):
        if path.exists() and path.read_text():
            time.sleep(0.5)  # into the next cell
            return os.kill(os.getpid(), number)
        time.sleep(0.1)
    return None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_kernel_too(number, notebook, tmp_path, capfd, request):
    notebook("import os, pathlib; pathlib.Path('pid').write_text(str(os.getpid()))", "import time; time.sleep(120)")
    # A shell starts background jobs, which tests may be, with interrupts ignored.
    request.addfinalizer(functools.partial(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT)))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    watcher = threading.Thread(target=send_when, args=(tmp_path / "pid", number))
    watcher.start()
    assert execute.main(["DATASET=optdigits"]) == INTERRUPTED
    watcher.join()
    said = capfd.readouterr().err
    assert said.strip() == f"laf: {execute.KEPT}", "one line, whatever the kernel and its sockets have to say of it"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_process_that_does_not_start_is_one_line(notebook, monkeypatch, capsys):
    def execute_notebook(*_, **__):
        raise RuntimeError("Kernel didn't respond in 60 seconds")

    notebook()
    monkeypatch.setattr("papermill.execute_notebook", execute_notebook)
    assert execute.main(["DATASET=optdigits"]) == cli.FAILED
    assert capsys.readouterr().err == "laf: error: the notebook's process did not start: Kernel didn't respond in 60 seconds\n"


def test_the_same_run_is_not_done_twice_at_once(tmp_path):
    with execute.alone(tmp_path), pytest.raises(Stop, match="another process is doing this very run"), execute.alone(tmp_path):
        pass


def test_a_record_of_an_earlier_run_is_not_taken_for_this_one(tmp_path):
    path = tmp_path / "record.json"
    with pytest.raises(Stop, match="left no record"):
        execute.checked_record(path, 0)
    path.write_text(RECORD)
    assert execute.checked_record(path, time.time() - 5) == path
    with pytest.raises(Stop, match="is an earlier run's"):
        execute.checked_record(path, time.time() + 5)


# -- what is said -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "told"), [(errno.ENOSPC, "No space left on device"), (errno.EACCES, "Permission denied")])
def test_a_full_or_closed_disk_is_one_line(number, told, capsys):
    def fails():
        raise OSError(number, os.strerror(number), "/some/file")

    assert cli.one_line_errors(fails, "") == cli.FAILED
    assert capsys.readouterr().err == f"laf: error: {told} (/some/file)\n"


def test_a_mistake_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        cli.one_line_errors(lambda: 1 / 0, "")


def test_a_log_holds_lines_and_no_bars():
    target = io.StringIO()
    terminal = cli.Terminal(target)
    bar = ("\r 10%|#  |", "\r 90%|## |", "\r          \r")
    for part in ("a", "b\n", *bar, "original: 3.2 s\n", "\n", "\r50%\r100%\n", "end\r\n"):
        terminal.write(part)
    assert target.getvalue() == "ab\noriginal: 3.2 s\n\n100%\nend\n"


def test_a_terminal_gets_everything_at_once():
    target = io.StringIO()
    target.isatty = lambda: True
    cli.Terminal(target).write("\r 10%|#")
    assert target.getvalue() == "\r 10%|#"


def test_equations_that_cannot_be_drawn_can_still_be_read():
    assert html.mathml(r"\left <", "inline") == r"<code>\left &lt;</code>"
    assert html.mathml("x", "block").startswith('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"')
