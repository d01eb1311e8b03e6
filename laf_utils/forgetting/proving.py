"""The certificate's part of the command line: the keys of ``laf forget --sign``, ``laf key`` and ``laf verify``."""

import argparse
from typing import Any

from ..settings.cli import SETTINGS, Stop
from ..support.paths import check_writable
from .certificate import IMAGE_KEY, certificate, fingerprint, image_key, make_keys, new_image_key, signing_key, write
from .verifying import told, verify

Keys = tuple[Any, bytes | None]


def keys_of(options: argparse.Namespace) -> Keys | None:
    """What a certificate is signed with, and the key of its hashes (``None``: a new one); ``None`` where none was asked for.

    Raises:
        Stop, Refused: a key that cannot be used.
    """
    if options.sign is None:
        if options.image_key is not None:
            raise Stop("--image-key needs --sign", SETTINGS)
        return None
    kept = options.image_key or options.out / IMAGE_KEY
    return signing_key(options.sign), image_key(kept) if options.image_key or kept.exists() else None


def certified(options: argparse.Namespace, report: Any, keys: Keys) -> list[str]:
    """Writes the certificate beside the report; what there is to say of it."""
    report.content["model"]["weights_before"] = fingerprint(options.model)  # as they lie in the file
    fresh = options.out / IMAGE_KEY
    document = certificate(report, keys[0], keys[1] or new_image_key(fresh))
    path = write(document, options.out / "certificate.json")
    return [f"certificate: {path}", *([] if keys[1] else [f"its key of images, for you alone: {fresh}"])]


def new_keys(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """``laf key``."""
    found = [str(path) for path in make_keys(check_writable(options.out, "--out"))]
    return {"keys": found}, [*found, "hand on the public one alone"]


def checked(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """``laf verify``."""
    if (options.images is None) != (options.key is None):
        raise Stop("--images and --key go together", SETTINGS)
    return told(verify(
        options.certificate, options.public_key, options.model, original=options.original, images=options.images,
        hash_key=options.key,
    ))
