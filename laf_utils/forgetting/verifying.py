"""``laf verify``: a certificate checked by somebody else, on another machine, without its issuer's help."""

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import nn

from ..support.paths import plain_bytes
from ..support.reading import counted
from .certificate import FORMAT, VERSION, canonical, fingerprint, hashes, image_key, public_key, raw
from .refusal import Refused
from .sources import digest_of, files_in

MOST_BYTES = 1 << 28


@dataclass(frozen=True)
class Verified:
    """A certificate that holds, and what was checked, in words, by name."""

    certificate: dict[str, Any]
    checks: dict[str, str]

    @property
    def verdict(self) -> str:
        """What the certificate says of the model: that it holds does not make it acceptable."""
        return self.certificate["verdict"]


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in it")
    return found


def read(path: Path) -> dict[str, Any]:
    """A certificate as it stands, unchecked but for its format.

    Raises:
        Refused: ``certificate``: it cannot be read, is cut off, is no certificate, or of an unknown version.
    """
    try:
        found = json.loads(plain_bytes(path, MOST_BYTES).decode("utf-8"), object_pairs_hook=_no_twins)
    except (OSError, ValueError, RecursionError) as error:
        cut = " (cut off?)" if isinstance(error, json.JSONDecodeError) else ""
        what = " ".join(str(error).split())[:120]
        raise Refused("certificate", f"{path} cannot be read as a certificate{cut}: {what}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise Refused("certificate", f"{path} is no {FORMAT}")
    if type(found.get("version")) is not int or found["version"] != VERSION:
        raise Refused("certificate", f"{path} is of version {ascii(found.get('version'))[:20]}: this program knows {VERSION}")
    return found


def _check_signature(found: dict[str, Any], key: Any) -> None:
    signer = found.get("signer")
    if not isinstance(signer, dict) or signer.get("algorithm") != "Ed25519":
        raise Refused("certificate", "the certificate does not say that it is signed with Ed25519")
    told = {name: part for name, part in found.items() if name != "signature"}
    try:
        key.verify(base64.b64decode(found.get("signature", ""), validate=True), canonical(told))
    except (binascii.Error, TypeError, ValueError, RecursionError) as error:
        raise Refused("certificate", "the signature cannot be read") from error
    except Exception as error:  # cryptography's InvalidSignature, which is not imported for this
        if signer.get("public_key") != raw(key):
            raise Refused("certificate", "the certificate is signed with another key than this public one") from error
        raise Refused("certificate", "the signature does not fit: the certificate was changed after it was signed") from error


def _check_images(found: dict[str, Any], folder: Path, key: bytes) -> str:
    if not folder.is_dir():
        raise Refused("certificate", f"there is no folder {folder}")
    named = set(found["request"]["hashes"])
    there = set(hashes((digest_of(path.read_bytes()) for path in files_in(folder)), key))
    if named != there:
        raise Refused(
            "certificate", f"{len(named - there)} of {counted(len(named), 'image')} that it names cannot be found in {folder}, "
            f"and it does not name {len(there - named)} of those there (the key of the hashes must be the one they "
            "were made with)",
        )
    return f"{folder} holds the {counted(len(there), 'image')} that had to be forgotten, and no other"


def verify(
    path: Path, key: Path, model: nn.Module | Path, *, original: nn.Module | Path | None = None, images: Path | None = None,
    hash_key: Path | None = None,
) -> Verified:
    """Check a certificate; what is returned holds.

    Args:
        path: where the certificate lies.
        key: file with the public key of whoever is trusted to sign: never the one that stands in the certificate.
        model: the model that is in use now, or its weights file.
        original: the model before.
        images: folder of the image files that were to be forgotten, all of them and no others; needs ``hash_key``, a file.

    Raises:
        Refused: ``certificate``: what does not hold; ``bad_key``, ``bad_weights``: a file that cannot be read.
    """
    found = read(path)
    _check_signature(found, public_key(key))
    checks = {"signature": f"signed with this key, {found['issued']}, and not changed since"}
    for name, when, own in (("model", "after", model), ("original", "before", original)):
        if own is None:
            continue
        if fingerprint(own) != found["model"][when]:
            raise Refused("certificate", f"the {name} is another one: its weights are not those {when} forgetting")
        checks[name] = f"the weights are those {when} forgetting"
    if images is not None:
        checks["images"] = _check_images(found, images, image_key(cast(Path, hash_key)))
    return Verified(found, checks)


def told(verified: Verified) -> tuple[dict[str, Any], list[str]]:
    """What ``laf verify`` says: as JSON, and in lines."""
    found = verified.certificate
    leak = found["audit"]["smallest_leak"]
    seen = "there were not the images it needs"
    if leak is not None:
        seen = f"the smallest leak that it would have seen is {leak['value']:g} {leak['unit']}"
    lines = [f"{name}: holds ({words})" for name, words in verified.checks.items()]
    lines += [f"verdict: {found['verdict']}", *(f"- {reason}" for reason in found["reasons"]), f"audit: {seen}"]
    lines += [f"note: {note}" for note in found["notes"]]
    return {"holds": list(verified.checks), "verdict": found["verdict"], "issued": found["issued"]}, lines
