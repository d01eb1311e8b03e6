"""``python -m laf_utils.book.base.execute NAME=VALUE ...``: data, notebooks/LAF.ipynb with parameters, its page, its record.

Parameters are those of the notebook (``hyperparameter.md``). Without DATASET the run takes MNIST and, where that cannot be
had, says so and goes on with scikit-learn's digits; a DATASET that was named is used or is an error.
``--data`` stops after the data. Exit codes: 1 the notebook failed, 2 settings, 3 data, 130 interrupted.

Heavy imports are inside functions: an interrupt or a wrong setting is answered while nothing has been loaded.
"""

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...settings.cli import DATA, Stop, Terminal, one_line_errors, stopping, values

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from papermill.exceptions import PapermillExecutionError

    from ...datasets import Dataset
    from ...settings.config import RunConfig

NOTEBOOK = "LAF.ipynb"
PARTIAL = "LAF.partial.ipynb"  # a notebook that is running, failed or was interrupted
KEPT = "interrupted; finished stages are kept, the same command goes on from there"
DEFAULT_FALLBACK = "optdigits"


def settle(given: Mapping[str, object]) -> "tuple[RunConfig, Dataset]":
    """The configuration and the images that parameters ask for, before anything is trained.

    Raises:
        Stop: a setting that cannot be meant, or images that cannot be had.
    """
    from ...datasets import load
    from ...settings.parameters import check_classes, configuration, fallback_from
    from ...settings.presets import adapted
    from ...support.devices import resolve

    with stopping(ValueError, data=DATA):  # one's own arrays are read for their settings
        config, fallback = configuration(given), fallback_from(given)
        resolve(config.device)
    with stopping(data=DATA):
        data = load(config.dataset, fallback=fallback)
        config = adapted(config, data.name) if data.is_fallback else config
        check_classes(config, data.num_classes)
    print(f"data: {data.name}, {len(data.train):,} training and {len(data.test):,} test images, from: {data.source}")
    for note in data.notes:
        print(f"note: {note}")
    return config, data


def headings(notebook: "NotebookNode") -> dict[str, str]:
    """Cell id -> the heading above it, for the first cell with code under each heading."""
    found, current = {}, ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            titles = [line.lstrip("# ") for line in cell.source.splitlines() if line.startswith("#")]
            current = titles[-1] if titles else current
        elif cell.cell_type == "code" and current:
            found[cell.id], current = current, ""
    return found


def announcer(titles: Mapping[str, str]) -> Callable[..., None]:
    """Says which part of the notebook begins, and how many there are."""
    numbers = {cell: number for number, cell in enumerate(titles, 1)}

    def announce(cell: "NotebookNode", **_: object) -> None:
        if cell.get("id") in titles:
            print(f"[{numbers[cell['id']]}/{len(titles)}] {titles[cell['id']]}", flush=True)

    return announce


@contextlib.contextmanager
def kernel_environment(folder: Path) -> Iterator[None]:
    """What the kernel inherits: where to write, bars for a terminal, and no remarks on its own debugger and sockets."""
    wanted = {"LAF_RUN_FOLDER": str(folder), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    wanted["LAF_PROGRESS"] = os.environ.get("LAF_PROGRESS", "1" if sys.stdout.isatty() else "0")
    before = {name: os.environ[name] for name in wanted if name in os.environ}
    os.environ |= wanted
    try:
        yield
    finally:
        for name in wanted:
            del os.environ[name]
        os.environ |= before


def execute(source: Path, given: Mapping[str, object], folder: Path) -> Path:
    """Run the notebook; the executed one appears under its name only when every cell has run.

    Raises:
        Stop: a cell failed, or the kernel died.
    """
    import nbformat
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    from ...support.progress import without_bars

    # It warns of parameters that the notebook does not name; ``settings.parameters`` knows which exist. The other two would print
    # tracebacks of a kernel that was told to end; that it died is said in one line anyway.
    for name, level in (("papermill", logging.ERROR), ("traitlets", logging.CRITICAL), ("asyncio", logging.CRITICAL)):
        logging.getLogger(name).setLevel(level)
    titles = headings(nbformat.read(source, as_version=4))
    partial, target = folder / PARTIAL, folder / NOTEBOOK
    paths = [str(path).replace("{", "{{").replace("}", "}}") for path in (source, partial)]  # papermill formats paths
    try:
        with kernel_environment(folder):
            papermill.execute_notebook(
                *paths, parameters=dict(given), kernel_name="python3", language="python", cwd=source.parent,
                progress_bar=False, stdout_file=Terminal(sys.stdout), stderr_file=Terminal(sys.stderr),
                on_cell_start=announcer(titles), coalesce_streams=True, extra_arguments=["--log-level=CRITICAL"],
                config=Config(KernelManager={"transport": "ipc"}),  # needs no network at all, and nobody else can connect
            )
    except PapermillExecutionError as error:
        raise Stop(failure(error, partial)) from error
    except DeadKernelError as error:
        raise Stop(f"the notebook's process died (out of memory?); the notebook as far as it came: {partial}") from error
    except RuntimeError as error:
        if "Kernel" not in str(error):  # jupyter_client has no class of its own for one that does not start
            raise
        raise Stop(f"the notebook's process did not start: {error}") from error
    notebook = nbformat.read(partial, as_version=4)
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if output.output_type == "stream":  # the terminal has shown the bars
            output.text = without_bars(output.text)
    nbformat.write(notebook, partial)
    partial.replace(target)
    return target


def failure(error: "PapermillExecutionError", partial: Path) -> str:
    """Why a cell failed, in one line."""
    said = " ".join(str(error.evalue).split())
    if "No space left" in said:
        return f"the disk is full: {said}"
    return f"cell {error.exec_count} failed: {error.ename}: {said}; the notebook as far as it came: {partial}"


def checked_record(path: Path, begun: float) -> Path:
    """The record, if this run wrote it and it is one."""
    from ...support.records import RecordError, read

    try:
        read(path)
    except RecordError as error:
        raise Stop(f"the notebook ran, but left no record: {error}") from error
    if path.stat().st_mtime < begun:
        raise Stop(f"the notebook ran, but did not write its record; {path} is an earlier run's")
    return path


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """The run folder for this process only."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(folder / ".lock").acquire(timeout=0)
    except Timeout as error:
        raise Stop(f"another process is doing this very run, in {folder}; wait for it") from error
    with held:
        yield


def launch(given: dict[str, object], *, only_data: bool = False) -> None:
    """A run from parameters to the three lines that say where everything is."""
    from ...support.paths import check_writable, notebooks_folder, runs_folder

    source = notebooks_folder() / NOTEBOOK
    if not only_data:
        if not source.is_file():
            raise Stop(f"there is no notebook {source}")
        check_writable(runs_folder(), "LAF_RUNS")
    if "DATASET" not in given:
        given = {"FALLBACK": DEFAULT_FALLBACK, **given}
    config, data = settle(given)
    if only_data:
        return
    from ...evaluation import run_name
    from .html import write_page

    folder, start = runs_folder() / run_name(config, data.name), time.perf_counter()
    print(f"run: {folder.name}", flush=True)
    with alone(folder):
        begun = time.time() - 1  # a file system's clock may be coarse
        executed = execute(source, given, folder)
        page = write_page(executed, folder / "LAF.html", source.parent)
        record = checked_record(folder / "record.json", begun)
    print(f"done in {time.perf_counter() - start:.0f} s")
    print(f"notebook: {executed}\npage: {page}\nrecord: {record}")


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    only_data = "--data" in arguments
    rest = [argument for argument in arguments if argument != "--data"]
    return one_line_errors(lambda: launch(values(rest), only_data=only_data), KEPT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
