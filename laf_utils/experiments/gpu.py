"""A GPU that is lent for minutes: cells in the order of their worth, each record handed back as it ends, whenever it is cut off.

Units of work run side by side in processes of their own, since small networks leave a GPU waiting for the processor; none begins
before what it starts from is there. What comes back is one file of text, a line for each record; a line that was cut is no line.
"""

import fcntl
import json
import multiprocessing
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from multiprocessing import connection
from pathlib import Path
from typing import Any, cast

from ..datasets import packed, remembered
from ..settings.cli import known_values
from ..support import records, sealing
from ..support.paths import check_writable, data_folder, results_folder, runs_folder
from ..support.reading import items, whole
from .cells import COMPARISON, Cell
from .comparison import PICKS, chosen, report
from .grid import NATIVE, name_of, read_grid
from .planning import planned, quiet, waits_for
from .record import SHADOWS, VALID, ShadowsPlace
from .tuning_winners import WinnersError, winners_of

LINES = "records.jsonl"
BESIDE = ("relearn", "neggrad_plus_pseudo", "svd", "scrub-tuned")  # many models: the three nearest label-free methods, and SCRUB
NAMES = {
    "GRID": str(NATIVE), "OUT": "", "WORKERS": "4", "MINUTES": "600", "IMAGES": "", "PACK": "", "PARTS": "1", "TAKE": "",
    "SHADOWS": "", "MODELS": "64", "PLAN": "0",
}  # and those that pick cells
MOST = 10_000
REQUESTS = 6  # whose images and networks a worker keeps at hand


@dataclass(frozen=True)
class Unit:
    """What a worker does at a time: a cell, or ``KIND=shadows`` with its arguments and its record."""

    cell: Cell | None = None
    arguments: tuple[str, ...] = ()
    path: Path | None = None

    @property
    def place(self) -> tuple:
        """The request that it is about: a worker that had it before has images and networks at hand."""
        return self.cell.place if self.cell else self.arguments[:2]

    @property
    def name(self) -> str:
        return name_of(self.cell) if self.cell else f"shadows {' '.join(self.arguments)}"


def gpu(arguments: list[str]) -> int:
    """cells of ``workflow/native.toml`` on a GPU that is lent for minutes, in the order of their worth.

    ``GRID=workflow/native.toml OUT=runs/gpu WORKERS=4``: each record that ends is a line of ``OUT/records.jsonl``; cut off at any
    moment, the same command goes on. No cell is begun after ``MINUTES``. ``IMAGES=FOLDER`` unpacks what ``PACK=cifar10 PARTS=2
    IMAGES=FOLDER`` wrote; ``DATASET``, ``SEED`` and the others pick cells. ``SHADOWS=mnist MODELS=64`` adds many models of class
    and data removal. ``TAKE=records.jsonl`` puts the lines into ``results``.
    """
    found = NAMES | known_values(arguments, (*NAMES, *PICKS))
    if found["PACK"]:
        for path in packed.pack(found["PACK"], Path(found["IMAGES"] or "."), whole(found["PARTS"], "PARTS", 1, 100)):
            print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB", flush=True)
        return 0
    if found["TAKE"]:
        return take(Path(found["TAKE"]))
    if found["IMAGES"]:
        for data in packed.unpack(sorted(Path(found["IMAGES"]).glob("*.zip")), data_folder()):
            print(f"{data.name}: unpacked, {len(data.train.labels):,} training images", flush=True)
    end = time.monotonic() + 60 * whole(found["MINUTES"], "MINUTES", 1, MOST)
    plan, workers = whole(found["PLAN"], "PLAN", 0, 2), whole(found["WORKERS"], "WORKERS", 1, MOST)
    grid = planned(chosen(read_grid(Path(found["GRID"])), found), quiet, download=not plan)
    todo, _ = report(grid, workers)
    for item in grid if plan > 1 else ():
        print(f"{item.state} {item.name}")
    if plan:
        return 0
    out = check_writable(Path(found["OUT"] or os.environ.get("OUT") or runs_folder() / "gpu"), "OUT")
    out.mkdir(parents=True, exist_ok=True)
    for item in grid:
        if item.state == VALID:
            give(out, item.cell.path)
    models = whole(found["MODELS"], "MODELS", 4, MOST)
    many = _many(items(found["SHADOWS"], "SHADOWS") if found["SHADOWS"] else [], models)
    return _all(ordered([Unit(item.cell) for item in todo], many), out, workers, end)


def _many(datasets: Sequence[str], models: int) -> list[Unit]:
    found = []
    for dataset, task in product(datasets, ("class", "data")):
        methods = ",".join(name for name in BESIDE if _searched(dataset, task, name))
        arguments = (f"DATASET={dataset}", f"TASK={task}", f"MODELS={models}", f"METHOD={methods}")
        found.append(Unit(None, arguments, SHADOWS.path(ShadowsPlace(dataset, task, models))))
    return found


def _searched(dataset: str, task: str, name: str) -> bool:
    """Whether a method has the settings that its name asks for: the tuned ones only where there was a search."""
    method, _, tuned = name.partition("-")
    try:
        return not tuned or winners_of(Cell(dataset, task, method, choice=tuned)) is not None
    except WinnersError:
        print(f"{dataset}, {task}: {name} is left out, no search is on record", flush=True)
        return False


def ordered(cells: list[Unit], many: list[Unit]) -> list[Unit]:
    """CIFAR-10 as the first tables have it, then the paper's own size, then many models, then the rest."""
    last = max((place for place, unit in enumerate(cells, 1) if unit.cell and unit.cell.profile == "paper"), default=0)
    return [*cells[:last], *many, *cells[last:]]


class _Worker:
    """A process that makes one unit after the other; ``None`` ends it."""

    def __init__(self, out: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, out), daemon=True)
        self.process.start()
        theirs.close()
        self.unit: Unit | None = None
        self.places: set[tuple] = set()

    def begin(self, unit: Unit) -> None:
        self.unit = unit
        self.places.add(unit.place)
        self.pipe.send(unit)

    def ended(self) -> bool | None:
        """Whether the unit that ended gave its record; ``None``: the process died of it, and takes no other."""
        self.unit = None
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return None

    def stop(self) -> None:
        with suppress(OSError):
            self.pipe.send(None)
        self.process.join()


def _all(todo: list[Unit], out: Path, workers: int, end: float) -> int:
    """Every unit as soon as what it waits for has ended, the first ones first; a unit of a request that a free worker knows
    goes before another that could begin as well."""
    crew: list[_Worker] = []
    failed = 0
    while True:
        for worker, unit in _given([worker for worker in crew if not worker.unit], workers - len(crew), todo, crew, end):
            if worker is None:
                crew.append(worker := _Worker(out))
            todo.remove(unit)
            worker.begin(unit)
        busy = {worker.pipe: worker for worker in crew if worker.unit}
        if not busy:
            break
        for pipe in connection.wait(list(busy)):
            gave = busy[cast(Any, pipe)].ended()
            failed += not gave
            if gave is None:
                crew.remove(busy[cast(Any, pipe)])
    for worker in crew:
        worker.stop()
    print(f"{len(read_lines(out / LINES))} records in {out / LINES}" + (f", {failed} units failed" if failed else ""), flush=True)
    return int(failed > 0)


def _given(
    free: list[_Worker], more: int, todo: list[Unit], crew: list[_Worker], end: float
) -> Iterable[tuple[_Worker | None, Unit]]:
    """Which free worker, or new one (``None``), begins what now."""
    under_way = [worker.unit for worker in crew if worker.unit]
    open_cells = {unit.cell for unit in (*todo, *under_way) if unit.cell}
    ready = [unit for unit in todo if not (unit.cell and waits_for(unit.cell, open_cells))] if time.monotonic() < end else []
    ready, found = ready[: len(free) + more], []
    for known in (True, False):
        for unit in list(ready):
            worker = next((worker for worker in free if not known or unit.place in worker.places), None)
            if worker or (not known and more > 0):
                more -= worker is None
                ready.remove(unit)
                if worker:
                    free.remove(worker)
                found.append((worker, unit))
    return found


def _work(pipe: Any, out: Path) -> None:
    """Make the units that come through the pipe; say of each whether its record was given."""
    problems: dict[tuple, Any] = {}
    with remembered():
        while (unit := pipe.recv()) is not None:
            start = time.monotonic()
            try:
                _make(unit, out, problems)
            except Exception as error:  # whatever a method does on a device that it was never run on
                print(f"FAILED {unit.name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}", flush=True)
                pipe.send(False)
            else:
                print(f"{unit.name} ({time.monotonic() - start:.0f} s)", flush=True)
                pipe.send(True)


def _make(unit: Unit, out: Path, problems: dict[tuple, Any]) -> None:
    from . import commands
    from .making import problem_of, run_cell

    cell = unit.cell
    if not cell:
        assert unit.path is not None
        commands.shadows(list(unit.arguments))
        return give(out, unit.path)
    if unit.place not in problems:
        while len(problems) >= REQUESTS:
            del problems[next(iter(problems))]
        problems[unit.place] = problem_of(cell, quiet)
    run_cell(cell, problems[unit.place], say=quiet)
    return give(out, cell.path)


def give(out: Path, path: Path) -> None:
    """Add a record to the lines, if it is not there as it is."""
    line = {"path": path.relative_to(results_folder()).as_posix(), "record": json.loads(path.read_text(encoding="utf-8"))}
    with (out / LINES).open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = file.read()
        if line in _parsed(known):
            return
        file.write(("\n" if known and not known.endswith("\n") else "") + json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _parsed(text: str) -> list[dict]:
    found = []
    for line in text.splitlines():
        with suppress(ValueError):  # the writer was cut off
            found.append(json.loads(line))
    return found


def read_lines(path: Path) -> list[dict]:
    """What was handed back whole; nothing where there is no file."""
    return _parsed(path.read_text(encoding="utf-8")) if path.is_file() else []


def take(path: Path) -> int:
    """Put records that were handed back where they belong; one that is there with the same key stays.

    Raises:
        RecordError: a line that is no record of its place; those before it are taken.
    """
    counts = {"taken": 0, "there already": 0}
    for line in read_lines(path):
        where, record = (line.get("path"), line.get("record")) if isinstance(line, dict) else (None, None)
        if not isinstance(where, str) or not isinstance(record, dict):
            raise records.RecordError(f"{path}: a line is no record with its place")
        target = results_folder() / where
        kind = next((kind for kind in (COMPARISON, SHADOWS) if target.is_relative_to(kind.folder)), None)
        if kind is None or ".." in target.parts:
            raise records.RecordError(f"{path}: {where} is no place of a record")
        known = False
        with suppress(records.RecordError):
            known = kind.read(target).get("key") == record.get("key")
        if not known:
            try:
                sealing.check(dict(record))
            except sealing.SealError as error:
                raise records.RecordError(f"{path}: {where}: {error}") from error
            records.write_json(target, kind.check(target, record) if kind.check else record)
        counts["there already" if known else "taken"] += 1
    print(", ".join(f"{count} {what}" for what, count in counts.items()), flush=True)
    return 0
