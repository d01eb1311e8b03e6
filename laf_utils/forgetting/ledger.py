"""The ledger of requests: one JSON line each, chained by hashes. Counts and keyed hashes only: no image, no name, no label.

Each ledger draws its own key, so that the hashes of two ledgers cannot be matched. Within one ledger they show whether an
image that was forgotten comes back as a retained one, which would teach it again.

Every line carries a checksum of itself, so that the last one is covered too, and the hash of the line before. A small file
beside the ledger (``.head``) keeps how many lines there were, so that lines taken off the end are missed.
"""

import datetime
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock

from ..support.paths import plain_bytes
from ..support.reading import counted
from ..support.records import write_json
from ..support.sealing import SealError, check, is_number, sealed
from .refusal import Refused

START = "0" * 64
MOST_BYTES = 1 << 30
KEY = re.compile(r"[0-9a-f]{32}")
MARK = re.compile(r"[0-9a-f]{16}")


def _line_hash(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()


def _not_an_entry(entry: object, number: int) -> str | None:
    """What is wrong with the content of a line, ``None`` where nothing is."""
    if not isinstance(entry, dict):
        return "is no table of names and values"
    marks, requests, instead = entry.get("forgotten"), entry.get("requests", []), entry.get("instead_of")
    wrong = {f"has no {name}": not isinstance(entry.get(name), str) for name in ("before", "after", "previous", "key")} | {
        "has no key of 32 hex digits": not KEY.fullmatch(str(entry.get("key"))),
        f"is not number {number}": type(entry.get("number")) is not int or entry["number"] != number,
        "does not say whether the request was kept": type(entry.get("kept")) is not bool,
        "has a utility that is none": "utility" not in entry or not all(
            value is None or is_number(value) and 0 <= value <= 1.01 for value in (entry["utility"], entry.get("utility_first"))
        ),
        "names requests that are no numbers": not isinstance(requests, list) or not all(
            type(request) is int and request > 0 for request in requests
        ),
        "has no marks of forgotten images": not isinstance(marks, list) or not all(
            isinstance(mark, str) and MARK.fullmatch(mark) for mark in marks
        ),
        "stands in for a request that is not there": instead is not None and (
            type(instead) is not int or not 0 < instead < number
        ),
    }
    return next((what for what, so in wrong.items() if so), None)


class Ledger:
    """The requests that a model has been through.

    Args:
        path: a ``.jsonl`` file; made with the first request.

    Raises:
        Refused: ``changed_ledger``: a line is missing, changed, cut off, or not of this kind; or it is no plain file.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.entries: list[dict] = []
        self._last, self.key, self._unended = START, secrets.token_hex(16), False
        self._hashes: list[str] = []
        if self.path.exists():
            self._read()
        self._compare_with_head()

    # -- reading --------------------------------------------------------------------------------------------------------

    def _refused(self, message: str, number: int | None = None) -> Refused:
        where = f"line {number} " if number else ""
        return Refused("changed_ledger", f"{self.path}: {where}{message}")

    def _read(self) -> None:
        try:
            text = plain_bytes(self.path, MOST_BYTES).decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self._refused(f"cannot be read as a ledger ({' '.join(str(error).split())[:200]})") from error
        if not text:
            raise self._refused("is empty: a ledger begins with its first request; without one delete the file")
        *lines, rest = text.split("\n")
        self._unended = bool(rest)
        for number, line in enumerate([*lines, rest] if rest else lines, 1):
            self._take(line, number, last=bool(rest) and number > len(lines))

    def _take(self, line: str, number: int, last: bool) -> None:
        """One line; ``last``: it has no end of line."""
        try:
            entry = check(json.loads(line))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            if last and not isinstance(error, SealError):
                raise self._refused("is cut off: its request was not entered; take the line out to go on", number) from error
            told = "was changed: it has not its own checksum" if isinstance(error, SealError) else "is no entry of a ledger"
            raise self._refused(told, number) from error
        if (wrong := _not_an_entry(entry, number)) is not None:
            raise self._refused(f"is no entry of a ledger: it {wrong}", number)
        if entry["previous"] != self._last:
            raise self._refused("does not follow the one before it", number)
        if self.entries and entry["key"] != self.key:
            raise self._refused("has another key than the one before it", number)
        self.key = entry["key"]
        self.entries.append(entry)
        self._last = _line_hash(line)
        self._hashes.append(self._last)

    @property
    def _head(self) -> Path:
        return self.path.with_name(f"{self.path.name}.head")

    def _compare_with_head(self) -> None:
        try:
            head = json.loads(self._head.read_bytes())
            count, line = int(head["lines"]), str(head["hash"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return  # a ledger that was brought here without it
        if count > len(self.entries):
            raise self._refused(f"has lost {count - len(self.entries)} of its {counted(count, 'line')}; put back a copy of it")
        if count > 0 and self._hashes[count - 1] != line:
            raise self._refused("is another ledger than the one that was kept here", count)

    # -- asking ---------------------------------------------------------------------------------------------------------

    def marks(self, digests: Iterable[bytes]) -> list[str]:
        """The keyed hash of each image digest, 16 hex digits."""
        key = bytes.fromhex(self.key)
        return [hmac.new(key, digest, hashlib.sha256).hexdigest()[:16] for digest in digests]

    def forgotten_before(self, digests: Iterable[bytes]) -> list[int]:
        """Positions, among these images, of those that an earlier request forgot."""
        known = {mark for entry in self.entries if entry["kept"] for mark in entry["forgotten"]}
        return [place for place, mark in enumerate(self.marks(digests)) if mark in known]

    @property
    def kept(self) -> list[dict]:
        """The requests whose models follow each other: not those that were asked again because their weights were lost."""
        again = {entry.get("instead_of") for entry in self.entries if entry["kept"]}
        return [entry for entry in self.entries if entry["kept"] and entry["number"] not in again]

    def follows(self, model: str) -> bool:
        """Whether a model (its fingerprint) is the one that the last kept request left; true of an empty ledger."""
        return not self.kept or self.kept[-1]["after"] == model

    def repeats(self, model: str) -> int | None:
        """The number of the last kept request, where a model is the one that it started from: it can be asked again."""
        return self.kept[-1]["number"] if self.kept and self.kept[-1]["before"] == model else None

    def utility(self, instead_of: int | None = None) -> float:
        """What is left of the first model's utility, without a request that is asked again.

        As it was measured after the last request for which it could be, times what each later one left of the one before it.
        """
        left = 1.0
        for entry in self.kept:
            if entry["number"] != instead_of:
                measured, share = entry.get("utility_first"), entry["utility"]
                left = measured if measured is not None else left * (1.0 if share is None else share)
        return left

    @property
    def since(self) -> int:
        """The number of the entry with which the present series began: the last model that was trained anew, else 0."""
        return max((entry["number"] for entry in self.entries if entry.get("retrained")), default=0)

    @property
    def done(self) -> set[int]:
        """Numbers of a queue's requests that were carried out."""
        return {number for entry in self.entries if entry["kept"] for number in entry.get("requests", ())}

    def begin_again(self, model: str, requests: Iterable[int] = ()) -> dict:
        """Enter a model (its fingerprint) that was trained anew without anything forgotten: utility counts from it.

        Args:
            requests: numbers of a queue's requests that this carries out.

        Raises:
            Refused: ``changed_ledger``; ``nothing_to_forget``: no request is there, so that there is nothing to begin again.
        """
        if not self.entries:
            raise Refused("nothing_to_forget", f"{self.path}: no request has been carried out: the new model is the first")
        return self.add({
            "before": (self.kept or self.entries)[-1]["after"], "after": model, "kept": True, "method": "retrain",
            "utility": None, "utility_first": 1.0, "verdict": "trained anew", "retrained": True, "requests": sorted(requests),
            "images": {},
        }, [])

    # -- writing --------------------------------------------------------------------------------------------------------

    def add(self, entry: dict, digests: Iterable[bytes]) -> dict:
        """Append a request and write it to disk.

        Args:
            entry: ``before``, ``after`` (fingerprints), ``kept``, ``utility``, ``method``, ``verdict`` and counts; ``weights``:
                the sha256 of the file that holds them, where one was written.
            digests: one for each image of D_f.

        Raises:
            Refused: ``changed_ledger``: another process has written in between.
            OSError: it cannot be written; then the ledger is as it was.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            if self.path.exists() and Ledger(self.path)._last != self._last:
                raise Refused("changed_ledger", f"{self.path}: another request was written meanwhile; read it again")
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            whole = {"number": len(self.entries) + 1, "time": now, "key": self.key, "previous": self._last, **entry}
            whole["forgotten"] = sorted(self.marks(digests))
            line = json.dumps(sealed(whole), sort_keys=True, allow_nan=False)
            self._append(("\n" if self._unended else "") + line + "\n")
            write_json(self._head, {"lines": len(self.entries) + 1, "hash": _line_hash(line)})
        self.entries.append(whole)
        self._last, self._unended = _line_hash(line), False
        self._hashes.append(self._last)
        return whole

    def _append(self, text: str) -> None:
        with self.path.open("ab") as file:
            size = file.tell()
            try:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.truncate(self.path, size)  # half a line would make the ledger unreadable
                raise
