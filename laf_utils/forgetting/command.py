"""``laf forget``, ``laf audit``, ``laf data``: the same from a shell.

    laf forget --model model.safetensors --arch torchvision:resnet18 --data images/ --ids delete.csv --out unlearned/

Exit codes: 0 done (and acceptable), 1 failed, 2 arguments, 3 data or weights, 4 refused, 5 done but retraining is advised, 130
interrupted. With ``--json`` standard output is one JSON object and nothing else.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..settings.cli import DATA, SETTINGS, Stop, one_line_errors

REFUSED, ADVISED = 4, 5
OF_DATA = ("bad_images", "bad_ids", "bad_weights", "bad_architecture", "unstable_images")
UNITS = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}


def size(text: str) -> int:
    """``512MB`` or ``2GB`` as bytes."""
    number, unit = text[:-2], text[-2:].lower()
    if unit not in UNITS:
        raise argparse.ArgumentTypeError(f"expected a size such as 512MB or 2GB, got {text!r}")
    try:
        return int(float(number) * UNITS[unit])
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a size such as 512MB or 2GB, got {text!r}") from error


def numbers(text: str) -> tuple[float, ...]:
    """``0.5,0.5,0.5``."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected numbers such as 0.5,0.5,0.5, got {text!r}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="laf", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    images = argparse.ArgumentParser(add_help=False)
    images.add_argument("--data", type=Path, required=True, help="folder of the training images")
    images.add_argument("--ids", type=Path, required=True, help="CSV or text file that names the images to forget")
    images.add_argument("--unseen", type=Path, help="folder of images that the model was not trained on")
    images.add_argument("--size", type=int, help="side in pixels to resize to (default: as they are)")
    images.add_argument("--mean", type=numbers, help="to subtract from pixels in 0..1, e.g. 0.485,0.456,0.406")
    images.add_argument("--std", type=numbers, help="to divide by after that")
    images.add_argument("--json", action="store_true", help="one JSON object on standard output")
    model = argparse.ArgumentParser(add_help=False)
    model.add_argument("--model", type=Path, required=True, help=".safetensors, or .pt/.pth with tensors only")
    model.add_argument("--arch", required=True, help="torchvision:NAME, timm:NAME or module:function")
    model.add_argument("--classes", type=int, help="of the head (default: read from the weights)")
    model.add_argument("--head", help="layer that gives the logits (default: found)")
    model.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    model.add_argument("--seed", type=int, default=0)
    forgets = commands.add_parser("forget", parents=[model, images], help="write an unlearned copy and a report")
    forgets.add_argument("--out", type=Path, required=True, help="folder of the unlearned weights and the report")
    forgets.add_argument("--method", default="auto")
    forgets.add_argument("--no-retain", action="store_true", help="the other images of --data are not at hand for training")
    forgets.add_argument("--floor", type=float, default=0.95, help="least utility, 0 to 1")
    forgets.add_argument("--memory", type=size, default=1 << 30, help="bound of what lies in memory, e.g. 2GB")
    forgets.add_argument("--scope", choices=("auto", "class", "instances"), default="auto")
    forgets.add_argument("--ledger", type=Path)
    forgets.add_argument("--accept", action="append", default=[], help="a risk taken knowingly: batch_statistics")
    forgets.add_argument("--overlap", choices=("refuse", "drop"), default="refuse")
    forgets.add_argument("--dry-run", action="store_true", help="check everything and estimate time and memory; write nothing")
    audits = commands.add_parser("audit", parents=[model, images], help="is a model sure of the named images as of unseen ones?")
    audits.set_defaults(needs_unseen=True)
    commands.add_parser("data", parents=[images], help="what would be read, and whether it can be")
    return parser


def _say(options: argparse.Namespace, content: dict[str, Any], lines: Sequence[str]) -> None:
    print(json.dumps(content, indent=1, sort_keys=True) if options.json else "\n".join(lines), flush=True)


def _files(options: argparse.Namespace) -> tuple[list[Path], list[Path], list[Path]]:
    from .files import divided, read_ids
    from .sources import files_in

    forget, retain = divided(options.data, read_ids(options.ids))
    if options.unseen is not None and not options.unseen.is_dir():
        raise Stop(f"there is no folder {options.unseen}", DATA)
    return forget, retain, [] if options.unseen is None else files_in(options.unseen)


def _model(options: argparse.Namespace) -> Any:
    from ..support.devices import resolve
    from .files import build, read_weights

    try:
        device = resolve(options.device)
    except ValueError as error:
        raise Stop(str(error), SETTINGS) from error
    return build(options.arch, read_weights(options.model), options.classes).to(device)


def _transform(options: argparse.Namespace) -> Any:
    from .files import Scaled

    return Scaled(options.size, options.mean, options.std)


def _opened(options: argparse.Namespace, files: list[Path], model: Any, name: str) -> Any:
    from .keeping import Keeper
    from .preparing import Options, open_images

    return open_images(files, Options(transform=_transform(options)), Keeper(), model, name)


def data(options: argparse.Namespace) -> int:
    """Counts, sizes, images that cannot be read, exact copies in both sets."""
    import hashlib

    from PIL import Image

    forget, retain, unseen = _files(options)
    sizes: dict[str, int] = {}
    broken, seen = [], {}
    for path in (*forget, *retain, *unseen):
        try:
            with Image.open(path) as file:
                file.load()
                key = f"{file.width}x{file.height}"
        except OSError as error:
            broken.append(f"{path.name}: {error}")
            continue
        sizes[key] = sizes.get(key, 0) + 1
        seen.setdefault(hashlib.blake2b(path.read_bytes()).digest(), set()).add(path)
    own, others = set(forget), set(retain)
    copies = sum(bool(same & own) and bool(same & others) for same in seen.values())
    content = {
        "forget": len(forget), "retain": len(retain), "unseen": len(unseen), "sizes": sizes, "unreadable": broken,
        "in_both_sets": copies,
    }
    lines = [
        f"forget {len(forget):,}, retain {len(retain):,}, unseen {len(unseen):,}",
        "sizes: " + ", ".join(f"{key} ({count:,})" for key, count in sorted(sizes.items())),
        *(f"unreadable: {line}" for line in broken), *([f"{copies} images are in both sets"] if copies else []),
    ]
    _say(options, content, lines)
    return DATA if broken else REFUSED if copies else 0


def audit(options: argparse.Namespace) -> int:
    """The two-sided audit of one model."""
    from ..audit.unseen import LEAST
    from ..audit.unseen import audit as measure
    from ..representations import apply_frozen
    from .preparing import alike

    forget, _, unseen = _files(options)
    if not unseen:
        raise Stop("audit needs --unseen, a folder of images that the model was not trained on", SETTINGS)
    model = _model(options)
    own, other = (
        apply_frozen(model, _opened(options, files, model, name), "audit").cpu()
        for files, name in ((forget, "forget"), (unseen, "unseen"))
    )
    rows = alike(own.argmax(1), other.argmax(1))
    found = None if rows is None else measure(own, other[rows])
    if found is None:
        like = 0 if rows is None else len(rows)
        raise Stop(
            f"the audit needs {LEAST} images on each side: there are {len(own)} to forget, and {like} unseen ones that the model "
            "assigns to the same classes", DATA,
        )
    _say(options, found.as_dict(), [
        f"AUC {found.auc:.1f} % ({found.low:.1f} to {found.high:.1f}), {found.forget:,} against {found.unseen:,} images: "
        f"{found.side}",
        f"would have seen, four times in five: below {50 - found.detectable:.1f} % or above {50 + found.detectable:.1f} %",
    ])
    return 0


def _dry(options: argparse.Namespace, model: Any, forget: list[Path], retain: list[Path], unseen: list[Path]) -> int:
    from .estimate import estimate

    found = estimate(model, _opened(options, forget, model, "forget"), len(retain), len(unseen), options.head)
    total = found.weights + found.activations + min(found.representations, options.memory)
    _say(options, {**found.as_dict(), "bytes": total, "forget": len(forget), "retain": len(retain)}, [
        f"forget {len(forget):,}, retain {len(retain):,} (of which {found.retained_used:,} are used), unseen {len(unseen):,}",
        f"about {found.seconds:.0f} s, at most about {found.most_seconds:.0f} s if three attempts are needed",
        f"about {total / 2**20:.0f} MB beside the program itself; nothing was written",
    ])
    return 0


def forget(options: argparse.Namespace) -> int:
    """The whole request: weights and report in ``--out``."""
    from . import call
    from .files import write_weights

    own, others, unseen = _files(options)
    model = _model(options)
    retain = [] if options.no_retain else others
    if options.dry_run:
        return _dry(options, model, own, retain, unseen)
    unlearned, report = call.forget(
        model, own, retain or None, unseen=unseen or None, method=options.method, head=options.head,
        transform=_transform(options), seed=options.seed, floor=options.floor, memory=options.memory, ledger=options.ledger,
        accept=tuple(options.accept), overlap=options.overlap, scope=options.scope,
    )
    for entry in report.content["forgetting"]["worst"]:
        entry["file"] = own[entry["row"]].relative_to(options.data).as_posix()
    report.content["command"] = {"program": "laf", "arguments": [shlex.quote(word) for word in options.words]}
    weights = write_weights(unlearned, options.out / "unlearned.safetensors")
    page = report.write(options.out)
    _say(options, report.content, [str(report), f"weights: {weights}", f"report: {page}"])
    return 0 if report.acceptable else ADVISED


def _run(options: argparse.Namespace, codes: list[int]) -> None:
    from ..methods import DataAccessError, LabelAccessError
    from .refusal import Refused

    try:
        codes.append({"forget": forget, "audit": audit, "data": data}[options.command](options))
    except Refused as error:
        raise Stop(f"{error} [{error.reason}]", DATA if error.reason in OF_DATA else REFUSED) from error
    except (ValueError, DataAccessError, LabelAccessError) as error:
        raise Stop(str(error), SETTINGS) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parser().parse_args(words)
    except SystemExit as end:  # argparse has said why
        return int(end.code or 0)
    options.words = words
    if options.json:
        os.environ["LAF_PROGRESS"] = "0"  # bars write to standard output
    codes: list[int] = []
    failed = one_line_errors(lambda: _run(options, codes), "interrupted; nothing was written")
    return codes[0] if codes else failed
