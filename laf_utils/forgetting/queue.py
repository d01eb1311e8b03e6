"""A queue of requests: each is on disk before it is answered, and all that wait are carried out as one, in time.

Requests cost less together than one after the other (``benchmarks/README.md``), so they are collected until enough images wait or
the first deadline comes. Each request is a file of its own in a folder, written whole or not at all. It names images until they
are forgotten; then the names are taken out of it. What was carried out the ledger knows: it takes the numbers of the requests
in the same line as the model that forgot them, so that a crash between the two loses nothing and repeats nothing.
"""

import datetime
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from filelock import FileLock
from torch import nn

from ..methods.method import fingerprint
from ..support.paths import check_writable
from ..support.reading import counted
from ..support.records import write_json
from ..support.sealing import SealError, check, sealed
from .call import Forgotten, forget
from .copying import bare
from .ledger import Ledger
from .options import ForgetOptions
from .refusal import Refused

SIZE, DAYS = 100, 30.0
MOST_NAME, MOST_DAYS = 4_096, 36_500.0
LEDGER = "ledger.jsonl"  # in the queue's folder


@dataclass(frozen=True)
class Policy:
    """When waiting requests are carried out: whichever comes first.

    Args:
        size: images that wait.
        days: since the oldest request came, which is its deadline.
    """

    size: int = SIZE
    days: float = DAYS

    def __post_init__(self) -> None:
        if type(self.size) is not int or self.size < 1:
            raise ValueError(f"size must be a whole number, at least 1, got {self.size!r}")
        if not 0 <= self.days <= MOST_DAYS:
            raise ValueError(f"days must be between 0 and {MOST_DAYS:.0f}, got {self.days!r}")


@dataclass(frozen=True)
class Waiting:
    """A request: its number, when it came (UTC), and the images it names."""

    number: int
    time: datetime.datetime
    images: tuple[str, ...]


@dataclass(frozen=True)
class Status:
    """Requests and images that wait, the first deadline, whether they are due, and why."""

    requests: int
    images: int
    deadline: datetime.datetime | None
    due: bool
    reason: str
    done: int

    def as_dict(self) -> dict[str, Any]:
        deadline = None if self.deadline is None else self.deadline.isoformat(timespec="seconds")
        return vars(self) | {"deadline": deadline}


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass
class Queue:
    """The requests of one model, in a folder.

    Args:
        folder: of their files; made with the first request.
        ledger: of the same model; it says which requests were carried out. By default it lies in the folder.
        policy: when the rest is due.

    Raises:
        Refused: ``changed_queue``: a file is not what was written; ``changed_ledger``.
    """

    folder: Path
    ledger: Path | None = None
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        self.folder = Path(self.folder)
        self.ledger = Path(self.ledger or self.folder / LEDGER)

    # -- files --------------------------------------------------------------------------------------------------------------

    def _path(self, number: int) -> Path:
        return self.folder / f"request-{number:06}.json"

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            found = check(json.loads(path.read_bytes()))
            images = found["images"]
            datetime.datetime.fromisoformat(found["time"])
            if path != self._path(found["number"]) or not isinstance(images, list) or not all(isinstance(i, str) for i in images):
                raise SealError("its number, or the images that it names, are none")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            told = str(error) if isinstance(error, SealError) else "it cannot be read as one"
            raise Refused("changed_queue", f"{path}: no request as it was written ({told}); put back a copy of it") from error
        return found

    def _all(self) -> list[dict[str, Any]]:
        found = [self._read(path) for path in sorted(self.folder.glob("request-*.json"))]
        numbers = [request["number"] for request in found]
        missing = sorted(set(range(1, max(numbers, default=0) + 1)) - set(numbers))
        if missing:
            raise Refused("changed_queue", f"{self.folder}: request {missing[0]} is missing; put back a copy of its file")
        return found

    def _write(self, request: dict[str, Any]) -> None:
        write_json(self._path(request["number"]), sealed(request))
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)  # so that the name lasts, too
        finally:
            os.close(folder)

    def _lock(self) -> FileLock:
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / ".lock")

    # -- asking -------------------------------------------------------------------------------------------------------------

    def waiting(self) -> list[Waiting]:
        """The requests that the ledger has not carried out, oldest first."""
        done = Ledger(cast(Path, self.ledger)).done
        return [
            Waiting(request["number"], datetime.datetime.fromisoformat(request["time"]), tuple(request["images"]))
            for request in self._all() if request["number"] not in done
        ]

    def status(self, now: datetime.datetime | None = None) -> Status:
        """What waits, and whether it is due."""
        waiting, policy = self.waiting(), self.policy
        images = len({image for request in waiting for image in request.images})
        deadline = min((request.time for request in waiting), default=None)
        deadline = None if deadline is None else deadline + datetime.timedelta(days=policy.days)
        late, full = deadline is not None and (now or _now()) >= deadline, images >= policy.size
        few = f"{images} of {counted(policy.size, 'image')} {'waits' if images == 1 else 'wait'}"
        reason = "the first deadline has come" if late else few
        return Status(len(waiting), images, deadline, late or full, reason, len(self._all()) - len(waiting))

    # -- doing --------------------------------------------------------------------------------------------------------------

    def add(self, images: Sequence[str], now: datetime.datetime | None = None) -> int:
        """Write a request to disk; its number, which is the receipt: from then on it cannot be lost by a crash.

        Args:
            images: what ``run`` finds them by: file names, identifiers; one at least.

        Raises:
            ValueError: no image, or a name that is none.
            PlaceError: the folder cannot be written to.
        """
        names = list(dict.fromkeys(images))
        if not names or not all(isinstance(name, str) and 0 < len(name) <= MOST_NAME for name in names):
            raise ValueError(f"a request names one image at least, each by a text of 1 to {MOST_NAME} characters")
        check_writable(self.folder, "queue")
        with self._lock():
            number = max((request["number"] for request in self._all()), default=0) + 1
            self._write({"number": number, "time": (now or _now()).isoformat(timespec="seconds"), "images": names})
        return number

    def settle(self) -> None:
        """Take the names out of requests that the ledger has carried out."""
        done = Ledger(cast(Path, self.ledger)).done
        with self._lock():
            for request in self._all():
                if request["number"] in done and request["images"]:
                    self._write(request | {"images": []})

    def run(
        self, model: nn.Module, take: Callable[[list[str]], tuple[Any, Any]], *, always: bool = False,
        retrain: Callable[[Any], nn.Module] | None = None, options: ForgetOptions | None = None, **call: Any,
    ) -> Forgotten | None:
        """Carry out everything that waits, as one request, if it is due.

        Args:
            model: which the ledger's last request left.
            take: from the images' names to D_f and D_r, in which nothing forgotten earlier is.
            always: also what is not due.
            retrain: trains anew on D_r, where nothing could be kept or the ledger says that all requests together have cost more
                than the floor allows. The new model is handed back in place of the unlearned one, and the ledger begins again.
            options, call: what ``forget`` takes beside the images.

        Returns:
            The model and its report; ``None`` where nothing is due. Requests of which nothing could be kept go on waiting.

        Raises:
            Refused: as ``forget``; the requests go on waiting.
        """
        self.settle()
        waiting = self.waiting()
        if not waiting or not (always or self.status().due):
            return None
        names = list(dict.fromkeys(image for request in waiting for image in request.images))
        numbers = tuple(request.number for request in waiting)
        given, rare = take(names), options or ForgetOptions()
        asked = ForgetOptions(**{**vars(rare), "requests": numbers})
        found = forget(model, given[0], given[1], ledger=self.ledger, options=asked, **call)
        together = found.report.content["utility_together"]
        worn = not found.report.content["kept"] or (together is not None and together < rare.floor)
        if worn and retrain is not None:
            found = Forgotten(self.retrained(retrain(given[1]), numbers), found.report)
        self.settle()
        return found

    def retrained(self, model: nn.Module, requests: Sequence[int] = ()) -> nn.Module:
        """Enter a model that was trained anew without anything forgotten, nor the images of these requests; it is given back."""
        book = Ledger(cast(Path, self.ledger))
        book.begin_again(fingerprint(bare(model)), set(requests) - book.done)
        return model
