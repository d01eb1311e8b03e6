"""The deletion certificate: what was asked, what was done to which weights, what an audit saw, signed by whoever did it.

A certificate is a JSON object (``certificate.schema.json`` describes every field). It names images by keyed hashes alone:
HMAC-SHA256, with a key of the user's, over BLAKE2b (16 bytes) of an image's file, or of its numbers where it came as an array.
Without the key nobody can tell which images they are, not even by trying likely ones. There is no name of a file, no path and no
row in it.

Signed is the certificate without its ``signature``, in the one spelling of RFC 8785 (JSON Canonicalization Scheme): members
sorted by their UTF-16 names, no space, numbers as ECMAScript prints them, UTF-8. So the file may be laid out in any way, and any
language can check it. The signature is Ed25519 (RFC 8032), 64 bytes in base64.
"""

import base64
import hashlib
import hmac
import json
import math
import os
import secrets
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..support.artefacts import tensors_checksum
from ..support.records import commit
from .copying import bare
from .files import read_weights
from .page import Report
from .refusal import Refused

FORMAT, VERSION = "laf deletion certificate", 1
HASHED = "HMAC-SHA256 of BLAKE2b-128"
SIGNING, PUBLIC, IMAGE_KEY = "signing.pem", "signing.pub.pem", "images.key"  # what ``make_keys`` writes
LEAST_KEY, MOST_KEY = 16, 1 << 16  # bytes of a file with a key
OPTIONS = ("seed", "floor", "head", "accept", "overlap", "copies")
COUNTS = ("forget", "retain", "retain_used", "unseen", "dropped")


def _number(value: float) -> str:
    """A number as ECMAScript prints it (RFC 8785, 3.2.2.3)."""
    if not math.isfinite(value):
        raise ValueError(f"{value!r} has no spelling in JSON")
    if value == 0:
        return "0"
    if 1e-6 <= abs(value) < 1e21:
        return format(Decimal(repr(value)).normalize(), "f")
    digits, exponent = repr(value).split("e")
    return f"{digits.removesuffix('.0')}e{int(exponent):+d}"


def _spelled(value: Any) -> str:
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{_spelled(name)}:{_spelled(value[name])}" for name in names) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_spelled, value)) + "]"
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > 1 << 53:
            raise ValueError("a whole number beyond 2^53 is not the same everywhere")
        return str(value)
    return _number(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def canonical(value: Any) -> bytes:
    """The one spelling of a JSON value by RFC 8785.

    Raises:
        ValueError: it has none: NaN, infinity, whole numbers beyond 2^53, halves of characters.
    """
    return _spelled(value).encode()


def fingerprint(model: nn.Module | Mapping[str, torch.Tensor] | Path) -> str:
    """sha256 (hex) over names, number formats, shapes and bytes of all weights, in order of name.

    Args:
        model: a module, its state, or a weights file; all three of one model give one fingerprint.
    """
    state = read_weights(model) if isinstance(model, Path) else model
    return tensors_checksum(bare(state).state_dict() if isinstance(state, nn.Module) else state)


def hashes(digests: Iterable[bytes], key: bytes) -> list[str]:
    """The keyed hash of each image's digest, sorted, 64 hex digits."""
    return sorted(hmac.new(key, digest, hashlib.sha256).hexdigest() for digest in digests)


# -- keys -------------------------------------------------------------------------------------------------------------


def _cryptography() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ModuleNotFoundError as error:
        raise Refused("certificate", "certificates need cryptography: pip install 'laf-utils[certificate]'") from error
    return serialization, ed25519


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise OSError("there is no such file" if not path.exists() else "it is no plain file")
        if not LEAST_KEY <= path.stat().st_size <= MOST_KEY:
            raise OSError(f"a key has {LEAST_KEY} to {MOST_KEY:,} bytes")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise Refused("bad_key", f"{path} cannot be read as a key: {error}") from error


def _key(path: Path, private: bool) -> Any:
    serialization, ed25519 = _cryptography()
    content, kind = _content(path), "private" if private else "public"
    ssh = content.startswith((b"ssh-", b"-----BEGIN OPENSSH"))
    load = getattr(serialization, f"load_{'ssh' if ssh else 'pem'}_{kind}_key")
    try:
        found = load(content, None) if private else load(content)
    except Exception as error:  # of another kind, damaged, or behind a passphrase: each fails in its own way
        hint = " (behind a passphrase? take it off for this)" if private and "encrypt" in str(error) + str(type(error)) else ""
        raise Refused("bad_key", f"{path} is no {kind} key in PEM or OpenSSH form{hint}") from error
    wanted = ed25519.Ed25519PrivateKey if private else ed25519.Ed25519PublicKey
    if not isinstance(found, wanted):
        raise Refused("bad_key", f"{path} is another kind of key: certificates are signed with Ed25519")
    return found


def signing_key(path: Path) -> Any:
    """The private key in a file: PEM (``openssl genpkey -algorithm ed25519``) or OpenSSH (``ssh-keygen -t ed25519``).

    Raises:
        Refused: ``bad_key``: another kind, behind a passphrase, or no key; ``certificate``: cryptography is not installed.
    """
    return _key(path, True)


def public_key(path: Path) -> Any:
    """The public key in a file, PEM or OpenSSH; raises as ``signing_key``."""
    return _key(path, False)


def image_key(path: Path) -> bytes:
    """The key of the hashes: whatever a file of 16 bytes or more holds, without space around it; raises as ``signing_key``."""
    found = _content(path).strip()
    if len(found) < LEAST_KEY:
        raise Refused("bad_key", f"{path} cannot be read as a key: a key has {LEAST_KEY} bytes at least")
    return found


def raw(key: Any) -> str:
    """A public key as certificates hold it: its 32 bytes in base64."""
    return base64.b64encode(key.public_bytes_raw()).decode()


def write_new(path: Path, content: bytes, mode: int = 0o600) -> Path:
    """A file that was not there before, from its first byte on readable by its owner alone (``mode``).

    Raises:
        Refused: ``bad_key``: it is there: a key that is written over is lost.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
    except FileExistsError as error:
        raise Refused("bad_key", f"{path} is there already: a key that is written over is lost") from error
    return path


def new_image_key(path: Path) -> bytes:
    """A random key of hashes, written to a new file."""
    found = secrets.token_hex(32).encode()
    write_new(path, found + b"\n")
    return found


def make_keys(folder: Path) -> list[Path]:
    """New keys: ``signing.pem`` and ``images.key``, for the owner alone, and ``signing.pub.pem``, for all.

    Raises:
        Refused: ``bad_key``: one of them is there already.
    """
    serialization, ed25519 = _cryptography()
    targets = [folder / name for name in (SIGNING, PUBLIC, IMAGE_KEY)]
    for path in targets:
        if path.exists():
            raise Refused("bad_key", f"{path} is there already: a key that is written over is lost")
    own, pem = ed25519.Ed25519PrivateKey.generate(), serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    write_new(targets[0], own.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    write_new(targets[1], own.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo), 0o644)
    new_image_key(targets[2])
    return targets


# -- the certificate --------------------------------------------------------------------------------------------------


def _smallest_leak(content: Mapping[str, Any]) -> dict[str, Any] | None:
    evidence, audit = content["evidence"], content["audit"]
    if evidence is not None and evidence["detectable"] is not None:
        return {"value": evidence["detectable"], "unit": "points of accuracy on the forget images"}
    return None if audit is None else {"value": audit["after"]["detectable"], "unit": "points of AUC"}


def certificate(report: Report, key: Any, hash_key: bytes) -> dict[str, Any]:
    """The signed certificate of a request.

    Args:
        report: what ``forget`` gave.
        key: from ``signing_key``.
        hash_key: from ``image_key`` or ``new_image_key``; keep it: it alone says which images the hashes are of.
    """
    c = report.content
    told = {
        "format": FORMAT, "version": VERSION, "issued": c["date"],
        "request": {"images": len(report.digests), "scope": c["scope"]["name"], "hash": HASHED,
                    "hashes": hashes(report.digests, hash_key)},
        "model": {"kind": c["model"]["kind"], "parameters": c["model"]["parameters"], "before": c["model"]["weights_before"],
                  "after": c["model"]["weights_after"]},
        "method": c["method"], "options": {name: c["options"][name] for name in OPTIONS},
        "images": {name: c["images"][name] for name in COUNTS},
        "utility": c["utility"], "forgetting": {name: part for name, part in c["forgetting"].items() if name != "worst"},
        "audit": {"two_sided": c["audit"], "evidence": c["evidence"], "smallest_leak": _smallest_leak(c)},
        "certified": c["certified"], "verdict": c["verdict"], "reasons": c["reasons"], "notes": c["notes"],
        "ledger": c.get("ledger"), "versions": c["versions"] | {"commit": commit()},
        "signer": {"algorithm": "Ed25519", "public_key": raw(key.public_key())},
    }
    told = json.loads(json.dumps(told))  # plain lists and dictionaries, as whoever reads the file has them
    return told | {"signature": base64.b64encode(key.sign(canonical(told))).decode()}
