"""The ledger of requests: one JSON line each, chained by hashes. Counts and keyed hashes only: no image, no name, no label.

Each ledger draws its own key, so that the hashes of two ledgers cannot be matched. Within one ledger they show whether an
image that was forgotten comes back as a retained one, which would teach it again.
"""

import datetime
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock

from .refusal import Refused

START = "0" * 64


def _line_hash(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()


class Ledger:
    """The requests that a model has been through.

    Args:
        path: a ``.jsonl`` file; made with the first request.

    Raises:
        Refused: ``changed_ledger``: a line is missing, changed, or not of this kind.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.entries: list[dict] = []
        self._last, self.key = START, secrets.token_hex(16)
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                entry = json.loads(line)
                chained = entry["previous"] == self._last
            except (ValueError, KeyError, TypeError) as error:
                raise Refused("changed_ledger", f"{self.path}: line {number} is no entry of a ledger") from error
            if not chained:
                raise Refused("changed_ledger", f"{self.path}: line {number} does not follow the one before it")
            self.key = entry["key"]
            self.entries.append(entry)
            self._last = _line_hash(line)

    def marks(self, digests: Iterable[bytes]) -> list[str]:
        """The keyed hash of each image digest, 16 hex digits."""
        key = bytes.fromhex(self.key)
        return [hmac.new(key, digest, hashlib.sha256).hexdigest()[:16] for digest in digests]

    def forgotten_before(self, digests: Iterable[bytes]) -> list[int]:
        """Positions, among these images, of those that an earlier request forgot."""
        known = {mark for entry in self.entries if entry["kept"] for mark in entry["forgotten"]}
        return [place for place, mark in enumerate(self.marks(digests)) if mark in known]

    def follows(self, model: str) -> bool:
        """Whether a model (its fingerprint) is the one that the last kept request left; true of an empty ledger."""
        kept = [entry for entry in self.entries if entry["kept"]]
        return not kept or kept[-1]["after"] == model

    def utility(self) -> float:
        """The product of what each kept request left of the utility before it."""
        product = 1.0
        for entry in self.entries:
            product *= (entry["utility"] or 1.0) if entry["kept"] else 1.0
        return product

    def add(self, entry: dict, digests: Iterable[bytes]) -> dict:
        """Append a request and write it to disk.

        Args:
            entry: ``before``, ``after`` (fingerprints), ``kept``, ``utility``, ``method``, ``verdict`` and counts.
            digests: of the images of D_f.

        Raises:
            Refused: ``changed_ledger``: another process has written in between.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            if self.path.exists() and Ledger(self.path)._last != self._last:
                raise Refused("changed_ledger", f"{self.path}: another request was written meanwhile; read it again")
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            whole = {"number": len(self.entries) + 1, "time": now, "key": self.key, "previous": self._last, **entry}
            whole["forgotten"] = sorted(self.marks(digests))
            line = json.dumps(whole, sort_keys=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        self.entries.append(whole)
        self._last = _line_hash(line)
        return whole
