"""``laf forget``, ``laf audit``, ``laf data``, ``laf queue``, ``laf key``, ``laf verify``: the same from a shell.

``arguments.DESCRIPTION`` has an example, the exit codes, and what ``--json`` means.
"""

import argparse
import contextlib
import json
import os
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ..audit import unseen as two_sided
from ..methods import DataAccessError, LabelAccessError
from ..representations import apply_frozen
from ..settings.cli import DATA, SETTINGS, Stop, one_line_errors
from ..support.paths import check_file_writable, check_writable
from ..support.progress import silent_thread
from ..support.reading import counted
from ..support.records import write_json
from . import call, certificate, estimate, files, queue_command, verifying
from .arguments import parsed
from .inputs import given_files, given_images, given_model, given_sets, given_transform, say
from .judge import judge
from .options import ForgetOptions, Options
from .preparing import Given, alike
from .refusal import Refused
from .soundness import size_of
from .sources import digest_of
from .workers import WorkerLostError, first

REFUSED, ADVISED, UNKNOWN = 4, 5, 6
CODES = {"acceptable": 0, "cannot tell": UNKNOWN}  # and ADVISED of any other verdict
OF_DATA = ("bad_images", "bad_ids", "bad_weights", "bad_architecture", "bad_key", "unstable_images")


def data(options: argparse.Namespace) -> int:
    """Counts, sizes, images that cannot be read, exact copies in both sets."""
    given_transform(options)
    forget, retain, unseen = given_files(options)
    sizes: Counter[str] = Counter()
    broken: list[str] = []
    seen: dict[bytes, set[Path]] = {}
    for path in (*forget, *retain, *unseen):
        try:
            sizes["{}x{}".format(*size_of(path))] += 1
        except ValueError as error:
            broken.append(f"{path.name}: {error}")
        else:
            seen.setdefault(digest_of(path.read_bytes()), set()).add(path)
    own, others = set(forget), set(retain)
    copies = sum(bool(same & own) and bool(same & others) for same in seen.values())
    content = {
        "forget": len(forget), "retain": len(retain), "unseen": len(unseen), "sizes": sizes, "unreadable": broken,
        "in_both_sets": copies,
    }
    lines = [
        f"forget {len(forget):,}, retain {len(retain):,}, unseen {len(unseen):,}",
        "sizes: " + ", ".join(f"{key} ({count:,})" for key, count in sorted(sizes.items())),
        *(f"unreadable: {line}" for line in broken),
        *([f"{counted(copies, 'image is', 'images are')} in both sets"] if copies else []),
    ]
    say(options, content, lines)
    return DATA if broken else REFUSED if copies else 0


def _judged(options: argparse.Namespace, model: Any) -> int:
    """The verdict on a model beside its original, by the rules of ``forget``."""
    forget, retain, unseen = sets = given_files(options)
    original = given_model(options, options.original)
    given_sets(options, sets, original)
    found = judge(
        original, model, forget, retain, unseen=unseen, removed=None, scope=options.scope, transform=given_transform(options),
        seed=options.seed, floor=options.floor,
    )
    say(options, found.as_dict(), [found.verdict, *(f"- {reason}" for reason in found.reasons)])
    return CODES.get(found.verdict, ADVISED)


def audit(options: argparse.Namespace) -> int:
    """The two-sided audit of one model, or its verdict where the original is at hand."""
    given_transform(options)
    forget, _, unseen = given_files(options)
    model = given_model(options)
    if options.original is not None:
        return _judged(options, model)
    own, other = (
        apply_frozen(model, given_images(options, paths, model, name), "audit").cpu()
        for paths, name in ((forget, "forget"), (unseen, "unseen"))
    )
    rows = alike(own.argmax(1), other.argmax(1))
    found = None if rows is None else two_sided.audit(own, other[rows])
    if found is None:
        like = 0 if rows is None else len(rows)
        raise Stop(
            f"the audit needs {two_sided.LEAST} images on each side; to forget: {len(own)}; unseen, and assigned to the same "
            f"classes by the model: {like}", DATA,
        )
    say(options, found.as_dict(), [
        f"AUC {found.auc:.1f} % ({found.low:.1f} to {found.high:.1f}), {found.forget:,} against {found.unseen:,} images: "
        f"{found.side}",
        f"would have seen, four times in five: below {50 - found.detectable:.1f} % or above {50 + found.detectable:.1f} %",
    ])
    return 0


def _checked_targets(options: argparse.Namespace) -> None:
    """Whether everything can be written that the end of a request writes, before its first step."""
    check_writable(options.out, "--out")
    for name in ("unlearned.safetensors", "report.json", "report.html", *(("certificate.json",) if options.sign else ())):
        check_file_writable(options.out / name, "--out")
    if options.ledger is not None:
        check_file_writable(options.ledger, "--ledger")
    if options.checkpoint is not None:
        check_writable(options.checkpoint, "--checkpoint")


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    """Rarely used options of a request, by those of the command line; the dry run checks the same ones."""
    given = {field.name: getattr(options, field.name) for field in fields(ForgetOptions) if hasattr(options, field.name)}
    return given | {"transform": given_transform(options), "accept": tuple(options.accept)}


def _dry(options: argparse.Namespace, model: Any, forget: list[Path], retain: list[Path], unseen: list[Path]) -> int:
    """All that ``call.forget`` does before it trains, and what the rest would cost."""
    asked = Options(**_asked(options), method=options.method, seed=options.seed)
    call.refused(model, Given(forget, retain or None, unseen or None), asked, options.ledger)
    found = estimate.estimate(model, given_images(options, forget, model, "forget"), len(retain), len(unseen), options.head)
    total = found.weights + found.activations + min(found.representations, options.memory)
    say(options, {**asdict(found), "bytes": total, "forget": len(forget), "retain": len(retain)}, [
        f"forget {len(forget):,}, retain {len(retain):,} (of which {found.retained_used:,} are used), unseen {len(unseen):,}",
        f"about {found.seconds:.0f} s, at most about {found.most_seconds:.0f} s if three attempts are needed",
        f"about {total / 2**20:.0f} MB beside the program itself; nothing was written",
    ])
    return 0


def _keys(options: argparse.Namespace) -> tuple[Any, bytes | None] | None:
    """What a certificate is signed with, and the key of its hashes (``None``: a new one); ``None`` where none was asked for."""
    if options.sign is None:
        if options.image_key is not None:
            raise Stop("--image-key needs --sign", SETTINGS)
        return None
    kept = options.image_key or options.out / certificate.IMAGE_KEY
    own = certificate.image_key(kept) if options.image_key or kept.exists() else None
    return certificate.signing_key(options.sign), own


def _certified(options: argparse.Namespace, report: Any, signs: Any, names: bytes | None) -> list[str]:
    """Writes the certificate beside the report; what there is to say of it."""
    report.content["model"]["weights_before"] = certificate.fingerprint(options.model)  # as they lie in the file
    fresh = options.out / certificate.IMAGE_KEY
    document = certificate.certificate(report, signs, names or certificate.new_image_key(fresh))
    path = write_json(options.out / "certificate.json", document)
    return [f"certificate: {path}", *([] if names else [f"its key of images, for you alone: {fresh}"])]


def forget(options: argparse.Namespace) -> int:
    """The whole request: weights and report in ``--out``, the weights before the ledger says that it is done."""
    target = options.out / "unlearned.safetensors"

    def save(unlearned: Any) -> dict[str, str]:
        return {"file": target.name, "sha256": files.file_checksum(files.write_weights(unlearned, target))}

    keys = _keys(options)
    if first():
        _checked_targets(options)
    asked = ForgetOptions(**_asked(options), save=save)
    own, others, unseen = given_files(options)
    model = given_model(options)
    retain = [] if options.no_retain else others
    given_sets(options, (own, retain, unseen), model)
    if options.dry_run:
        return _dry(options, model, own, retain, unseen)
    unlearned, report = call.forget(
        model, own, retain or None, unseen=unseen or None, method=options.method, seed=options.seed, ledger=options.ledger,
        options=asked,
    )
    for entry in report.content["forgetting"]["worst"]:
        entry["file"] = own[entry["row"]].relative_to(options.data).as_posix()
    report.content["command"] = {"program": "laf", "arguments": [shlex.quote(word) for word in options.words]}
    lines = [] if keys is None or not first() else _certified(options, report, *keys)
    page = report.write(options.out)
    say(options, report.content, [str(report), f"weights: {target}", f"report: {page}", *lines])
    return CODES.get(report.verdict, ADVISED)


def key(options: argparse.Namespace) -> int:
    """New keys in a folder."""
    found = [str(path) for path in certificate.make_keys(check_writable(options.out, "--out"))]
    say(options, {"keys": found}, [*found, "hand on the public one alone"])
    return 0


def verify(options: argparse.Namespace) -> int:
    """Whether a certificate holds; then the code is that of its verdict."""
    if (options.images is None) != (options.key is None):
        raise Stop("--images and --key go together", SETTINGS)
    found = verifying.verify(
        options.certificate, options.public_key, options.model, original=options.original, images=options.images,
        hash_key=options.key,
    )
    say(options, *verifying.told(found))
    return CODES.get(found.verdict, ADVISED)


def _goes_on(words: Sequence[str]) -> str:
    """How a command that was cut off goes on."""
    kept = any(word.partition("=")[0] == "--checkpoint" for word in words)
    return "; the same command goes on from its checkpoint" if kept else ""


def queue(options: argparse.Namespace) -> int:
    """Requests as they come."""
    return queue_command.carry_out(options, forget)


COMMANDS = {"forget": forget, "audit": audit, "data": data, "queue": queue, "key": key, "verify": verify}


@contextlib.contextmanager
def _quiet_unless_first() -> Iterator[None]:
    """Of the processes of one launch the first alone speaks."""
    if first():
        yield
        return
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield


def _run(options: argparse.Namespace, codes: list[int]) -> None:
    try:
        codes.append(COMMANDS[options.command](options))
    except Refused as error:
        raise Stop(f"{error} [{error.reason}]", DATA if error.reason in OF_DATA else REFUSED) from error
    except WorkerLostError as error:
        raise Stop(f"{error}{_goes_on(options.words)}") from error
    except (ValueError, DataAccessError, LabelAccessError) as error:
        raise Stop(str(error), SETTINGS) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    json_wanted, codes = "--json" in words, []

    def command() -> None:
        try:
            options = parsed(words)
        except SystemExit as end:  # help or version, printed
            codes.append(int(end.code or 0))
            return
        options.words = words
        _run(options, codes)

    def failure(message: str, code: int) -> None:
        if json_wanted:
            print(json.dumps({"error": message, "code": code}), flush=True)

    with silent_thread() if json_wanted else contextlib.nullcontext(), _quiet_unless_first():
        told = f"interrupted; a request that was not finished is in no ledger{_goes_on(words)}"
        failed = one_line_errors(command, told, failure)
    return codes[0] if codes and not failed else failed
