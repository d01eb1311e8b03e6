"""One kind of record: what it must hold, how it is read, and when it is taken instead of being made again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..support import records
from ..support.keys import content_key, stale_parts
from ..support.paths import results_folder, training_folder

VALID, STALE, MISSING = STATES = ("valid", "stale", "missing")
SHADOW_IMAGES = 6_000  # training images of many models, the same number of each class: a tenth of the paper's
Say = Callable[[str], None]


class Placed(Protocol):
    """What a record is about."""

    @property
    def file(self) -> str: ...


@dataclass(frozen=True)
class Kind:
    """Records of one kind, in a folder of ``results``."""

    name: str  # of the folder, and of the kind on the command line
    schema: int  # newest version of its layout that is understood here
    required: tuple[str, ...]  # parts without which a file is none
    check: Callable[[Path, dict], dict] | None = None  # of the content, raises ``RecordError``
    definition: int | None = None  # of its measures, where they have been redefined: under one name stands one measure

    @property
    def folder(self) -> Path:
        return training_folder() if self.name == "Training" else results_folder() / self.name

    def path(self, place: Placed) -> Path:
        """Of a record of this kind."""
        return self.folder / place.file

    @property
    def parts(self) -> tuple[str, ...]:
        """Names that a record must have, those of its head included."""
        return ("schema", "key", "inputs", *self.required)

    def read(self, path: Path) -> dict:
        """A record of this kind.

        Raises:
            RecordError: the file is missing, is no JSON, lacks a part, was written by a newer schema, was changed since it was
                sealed, holds measures of another definition, or says what cannot be.
        """
        record = records.read_parts(path, self.parts, self.schema)
        if record.get("definition") != self.definition:
            raise records.RecordError(f"{path}: its measures have another definition than they have now; make it anew")
        return self.check(path, record) if self.check else record

    def state(self, path: Path, inputs: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
        """``valid``, ``stale`` or ``missing``, and the parts that have changed since."""
        try:
            record = self.read(path)
        except records.RecordError:
            return MISSING, ()
        stale = tuple(stale_parts(record, inputs))
        return (STALE if stale else VALID), stale

    def head(self, inputs: Mapping[str, str]) -> dict:
        """What every record begins with: schema, key and what it is of, time, commit, versions."""
        return {
            "key": content_key(dict(inputs)), "inputs": dict(inputs), "schema": self.schema, "versions": records.versions(),
            "created": records.now(), "commit": records.commit(),
        }

    def take(self, path: Path, inputs: Mapping[str, str], make: Callable[[], dict], say: Say = print) -> dict:
        """The record, read where a valid one is there, else made and written.

        Args:
            inputs: everything that its numbers depend on, by part.
            make: gives all but the head.
            say: is told of a file that cannot be read.
        """
        try:
            known = self.read(path)
            if not stale_parts(known, inputs):
                return known
        except records.RecordError as error:
            if path.exists():
                say(f"{' '.join(str(error).split())}; it is made anew")
        record = self.head(inputs) | make()
        records.write_json(path, record)
        return record


@dataclass(frozen=True)
class Place:
    """What a record of one request, seed and profile is about: an audit, or a map of representations."""

    dataset: str
    task: str
    seed: int = 0
    profile: str = "quick"

    @property
    def file(self) -> str:
        """Its record, below the folder of its kind."""
        return f"{self.dataset}/{self.task}-{self.profile}-seed{self.seed}.json"


@dataclass(frozen=True)
class TrainingPlace(Place):
    """What one record of a run is about."""

    mode: str = "reference"

    @property
    def file(self) -> str:
        ending = "" if self.profile == "paper" else f"-{self.profile}"
        return f"{self.dataset}/{self.task}-{self.mode}-seed{self.seed}{ending}.json"


@dataclass(frozen=True)
class ShadowsPlace:
    """What one record of many models is about."""

    dataset: str
    task: str
    models: int
    images: int | None = None  # trained on; ``None`` and the usual number are not in the name
    methods: tuple[str, ...] = ()  # beside LAF and LAF+R: in the record

    @property
    def file(self) -> str:
        fewer = f"-images{self.images}" if self.images not in (None, SHADOW_IMAGES) else ""
        return f"{self.dataset}/{self.task}-models{self.models}{fewer}.json"


@dataclass(frozen=True)
class VerdictPlace:
    """The one simulation of the verdicts."""

    file = "study.json"


PLACED = ("place", "headline", "caveats")
AUDIT = Kind("audit", 1, (*PLACED, "metrics", "attack", "gaps", "audit", "relearn", "failures", "cost"), definition=2)
MAPS = Kind("maps", 1, (*PLACED, "maps", "same", "classes", "forgotten", "task"))
SHADOWS = Kind("shadows", 1, (*PLACED, "settings", "seconds", "accuracy", "measures", "error", "example"), definition=2)
VERDICT = Kind("verdict", 1, ("runs", "images", "exact method", "at the margin"))
TRAINING = Kind("Training", records.SCHEMA, records.REQUIRED[1:], records.checked_run)
