"""A GPU that is lent for minutes: cells in the order of their worth, each record handed back as it ends, whenever it is cut off.

Units of work, the cells of one data set, seed and profile, run side by side in processes of their own: small networks leave a GPU
waiting for the processor. What comes back is one file of text, a line for each record; a line that was cut is no line.
"""

import fcntl
import json
import multiprocessing
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from multiprocessing import connection
from pathlib import Path
from typing import Any

from ..datasets import packed, remembered
from ..settings.cli import known_values
from ..support import records, sealing
from ..support.paths import ROOT, check_writable, data_folder, results_folder, runs_folder
from ..support.reading import items, whole
from .cells import COMPARISON, Cell
from .comparison import PICKS, chosen, report
from .grid import name_of, read_grid
from .planning import Planned, planned, quiet
from .record import SHADOWS, VALID, Kind, ShadowsPlace
from .tuning_winners import WinnersError, winners_of

NATIVE = ROOT / "workflow" / "native.toml"
LINES = "records.jsonl"
BESIDE = ("relearn", "neggrad_plus_pseudo", "svd", "scrub-tuned")  # many models: the three nearest label-free methods, and SCRUB
NAMES = {
    "GRID": str(NATIVE), "OUT": "", "WORKERS": "4", "MINUTES": "600", "IMAGES": "", "PACK": "", "PARTS": "1", "TAKE": "",
    "SHADOWS": "", "MODELS": "64", "PLAN": "0",
}  # and those that pick cells
MOST = 10_000


@dataclass(frozen=True)
class Unit:
    """Work of one process: cells that share images and an original, or the arguments of ``KIND=shadows`` and its record."""

    key: tuple
    cells: tuple[Cell, ...] = ()
    arguments: tuple[str, ...] = ()
    path: Path | None = None


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
    if plan:
        print("\n".join(f"{item.state} {item.name}" for item in grid) if plan > 1 else "", end="\n" if plan > 1 else "")
        return 0
    out = check_writable(Path(found["OUT"] or os.environ.get("OUT") or runs_folder() / "gpu"), "OUT")
    out.mkdir(parents=True, exist_ok=True)
    for item in grid:
        if item.state == VALID:
            give(out, item.cell.path)
    models = whole(found["MODELS"], "MODELS", 4, MOST)
    many = _many(items(found["SHADOWS"], "SHADOWS") if found["SHADOWS"] else [], models)
    return _all(ordered(units(todo), many), out, workers, end)


def units(todo: Iterable[Planned]) -> list[Unit]:
    """Neighbours in the grid of one data set, seed and profile, together."""
    found: list[Unit] = []
    for item in todo:
        key = item.cell.dataset, item.cell.seed, item.cell.profile
        if found and found[-1].key == key:
            found[-1] = Unit(key, (*found[-1].cells, item.cell))
        else:
            found.append(Unit(key, (item.cell,)))
    return found


def _many(datasets: Sequence[str], models: int) -> list[Unit]:
    found = []
    for dataset, task in product(datasets, ("class", "data")):
        methods = [name for name in BESIDE if _searched(dataset, task, name)]
        arguments = (f"DATASET={dataset}", f"TASK={task}", f"MODELS={models}", f"METHOD={','.join(methods)}")
        found.append(Unit(("shadows", dataset, task), (), arguments, ShadowsPlace(dataset, task, models).path))
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
    last = max((place for place, unit in enumerate(cells, 1) if unit.key[2] == "paper"), default=0)
    return [*cells[:last], *many, *cells[last:]]


def _all(todo: list[Unit], out: Path, workers: int, end: float) -> int:
    """Every unit, at most so many at a time and never two of one key: the second finds what the first trained."""
    context, failed = multiprocessing.get_context("spawn"), 0
    running: dict[Any, Unit] = {}
    while todo or running:
        busy = {unit.key for unit in running.values()}
        for unit in [unit for unit in todo if time.monotonic() < end]:
            if len(running) < workers and unit.key not in busy:
                process = context.Process(target=_one, args=(unit, out, end - time.monotonic()), daemon=True)
                process.start()
                running[process] = unit
                busy.add(unit.key)
                todo.remove(unit)
        if not running:
            break
        connection.wait([process.sentinel for process in running])
        for process in [process for process in running if process.exitcode is not None]:
            failed += process.exitcode != 0
            del running[process]
    print(f"{len(read_lines(out / LINES))} records in {out / LINES}" + (f", {failed} units failed" if failed else ""), flush=True)
    return int(failed > 0)


def _one(unit: Unit, out: Path, seconds: float) -> None:
    """A unit in a process of its own; a cell that fails fails alone."""
    from . import commands
    from .making import problem_of, run_cell

    end, failed, last = time.monotonic() + seconds, 0, None
    with remembered():
        if unit.path is not None:
            commands.shadows(list(unit.arguments))
            give(out, unit.path)
        for cell in unit.cells:
            if time.monotonic() > end:
                break
            start = time.monotonic()
            try:
                problem = last = last if last and last[0] == cell.place else (cell.place, problem_of(cell, quiet))
                run_cell(cell, problem[1], winners=winners_of(cell) if cell.choice == "tuned" else None, say=quiet)
                give(out, cell.path)
            except Exception as error:  # whatever a method does on a device that it was never run on
                failed += 1
                print(f"FAILED {name_of(cell)}: {type(error).__name__}: {' '.join(str(error).split())[:300]}", flush=True)
            else:
                print(f"{name_of(cell)} ({time.monotonic() - start:.0f} s)", flush=True)
    raise SystemExit(int(failed > 0))


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
        try:
            found.append(json.loads(line))
        except ValueError:  # the writer was cut off
            continue
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
        kind = _kind(target)
        if kind is None or ".." in target.parts:
            raise records.RecordError(f"{path}: {where} is no place of a record")
        try:
            known = kind.read(target).get("key") == record.get("key")
        except records.RecordError:
            known = False
        if not known:
            try:
                sealing.check(dict(record))
            except sealing.SealError as error:
                raise records.RecordError(f"{path}: {where}: {error}") from error
            if kind.check:
                kind.check(target, record)
            records.write_json(target, record)
        counts["there already" if known else "taken"] += 1
    print(", ".join(f"{count} {what}" for what, count in counts.items()), flush=True)
    return 0


def _kind(target: Path) -> Kind | None:
    return next((kind for kind in (COMPARISON, SHADOWS) if target.is_relative_to(kind.folder)), None)
