"""Keys of records: what a number depends on, part by part, so that a stale one can say what has changed.

``inputs`` maps the parts (settings, data, code of the training, ...) to short hashes; the key is the hash over them. Where a part
of the code was rewritten and proven to give the same bits, ``results/equivalent_code.json`` says so once, with the proof, in
place of a new key in every record.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from .paths import results_folder

ABSENT = "inputs"  # what is stale of a record that has no parts, or whose key is not theirs


def content_key(content: object) -> str:
    """16 hex digits that name plain values (what JSON can hold)."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def equivalents_file() -> Path:
    """Where rewritten code that gives the same bits is named."""
    return results_folder() / "equivalent_code.json"


@cache
def _read(path: Path, changed: int) -> dict[str, dict[str, str]]:
    return json.loads(path.read_text(encoding="utf-8"))


def equivalents() -> dict[str, dict[str, str]]:
    """By hash of older code: ``new``, the hash of code that gives the same bits, ``because`` and ``checked_by``."""
    path = equivalents_file()
    return _read(path, path.stat().st_mtime_ns) if path.is_file() else {}


def present(part: str) -> str:
    """A part's hash, or the newest one that is proven to be equivalent."""
    known, seen = equivalents(), set()
    while part in known and part not in seen:
        seen.add(part)
        part = known[part]["new"]
    return part


def equivalent_to(part: str) -> list[str]:
    """The hash of a part, then all others that are proven to be equivalent."""
    newest = present(part)
    return list(dict.fromkeys([part, newest, *(old for old in equivalents() if present(old) == newest)]))


def stale_parts(record: Mapping, inputs: Mapping[str, str]) -> list[str]:
    """Which parts of a record are not what making it now would depend on; empty for a valid one."""
    own = record.get("inputs")
    if not isinstance(own, Mapping) or record.get("key") != content_key(dict(own)):
        return [ABSENT]
    return sorted(
        name for name in own.keys() | inputs.keys() if present(str(own.get(name))) != present(str(inputs.get(name)))
    )
