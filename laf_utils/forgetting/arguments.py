"""What ``laf`` takes on its command line, each value read once and within bounds; a wrong word is one line, no page of usage."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from ..settings.cli import SETTINGS, Stop
from ..support.reading import MOST_SEED, ReadingError, number, plain, whole
from .choice import SCOPES
from .copies import WAYS
from .files import MOST_SIDE
from .options import OVERLAPS, Options
from .queue import DAYS, MOST_DAYS, SIZE
from .refusal import RISKS

UNITS = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}
MOST_MEMORY = 1 << 50  # bytes
MOST_CLASSES = 1_000_000
MOST_PIXEL = 1e6  # of mean and std, in pixels of 0..1
MOST_SIZE = 1_000_000_000  # images that wait
REPEATED = ("--accept",)  # options that may be given several times
DESCRIPTION = """Remove images from a trained classifier, and say whether they are gone.

  laf forget --model model.safetensors --arch torchvision:resnet18 --data images/ --ids delete.csv --out unlearned/

Exit codes: 0 done (and acceptable), 1 failed, 2 arguments, 3 data or weights, 4 refused, 5 done but retraining is advised, 6
done but nobody can tell if it is acceptable, 130 interrupted. With --json standard output is one JSON object and nothing else,
{"error": ..., "code": ...} where it failed."""


def size(text: str) -> int:
    """``512MB`` or ``2GB`` as bytes.

    Raises:
        ReadingError: no number and unit, none at all, or more than 1 PB.
    """
    value, unit = plain(text[:-2]), UNITS.get(text[-2:].lower(), 0)
    found = 0 if isinstance(value, str) else value * unit
    if not 1 <= found <= MOST_MEMORY:
        shown = ascii(text)[:60]
        raise ReadingError(f"expected a size such as 512MB or 2GB, at most {MOST_MEMORY >> 30}GB, got {shown}")
    return int(found)


def numbers(text: str) -> tuple[float, ...]:
    """``0.5,0.5,0.5``.

    Raises:
        ReadingError: anything else.
    """
    try:
        return tuple(number(part, "each", -MOST_PIXEL, MOST_PIXEL) for part in text.split(","))
    except ReadingError as error:
        raise ReadingError(f"expected numbers such as 0.5,0.5,0.5, got {ascii(text)[:60]}") from error


class Parser(argparse.ArgumentParser):
    """Ends in ``Stop``, with one line."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**({"allow_abbrev": False} | settings))

    def error(self, message: str) -> NoReturn:
        raise Stop(f"{' '.join(message.split())} ({self.prog} --help says more)", SETTINGS)

    def add(self, name: str, told: str, read: Callable[..., Any] = str, *bounds: Any, **more: Any) -> None:
        """An argument that a reader of ``support.reading`` reads; an option has the default of a request's of its name."""

        def reader(text: str) -> Any:
            try:
                return read(text, *bounds)
            except ReadingError as error:  # argparse would drop its message
                raise argparse.ArgumentTypeError(str(error)) from error

        more.setdefault("default", getattr(Options, name.strip("-").replace("-", "_"), None))
        self.add_argument(name, help=told, type=reader, **more)

    def switch(self, name: str, told: str) -> None:
        """An option without a value."""
        self.add_argument(name, help=told, action="store_true")


def _json() -> Parser:
    found = Parser(add_help=False)
    found.switch("--json", "one JSON object on standard output, errors too")
    return found


def _images(*, ids: bool = True) -> Parser:
    found = Parser(add_help=False)
    found.add("--data", "folder of the training images", Path, required=True)
    found.set_defaults(names=None, requests=())  # a queue gives these in place of a list
    if ids:
        found.add(
            "--ids", "the images to forget: a text file with one name a line, or a CSV file, its first column or the one called "
            "file, path, id, image or name; names are paths below --data, or file names that occur once", Path, required=True,
        )
    found.add("--size", f"side in pixels to resize to, 1 to {MOST_SIDE} (default: as they are)", whole, "size", 1, MOST_SIDE)
    found.add("--mean", "to subtract from pixels in 0..1, three numbers: 0.485,0.456,0.406", numbers)
    found.add("--std", "to divide by after that, three numbers above zero (needs --mean)", numbers)
    return found


def _model() -> Parser:
    found = Parser(add_help=False)
    found.add("--model", "weights: .safetensors, or .pt/.pth with tensors only", Path, required=True)
    found.add("--arch", "torchvision:NAME, timm:NAME or module:function", required=True)
    found.add("--classes", "of the head (default: read from the weights)", whole, "classes", 2, MOST_CLASSES)
    found.add("--head", "name of the layer that gives the logits (default: found)")
    found.add("--device", "auto, cpu, cuda, cuda:N or mps (default: auto)", default="auto")
    found.add("--seed", "draws everything random (default: %(default)s)", whole, "seed", 0, MOST_SEED)
    found.add("--floor", "least utility, 0 to 1, that a result may have (default: %(default)s)", number, "floor", 0, 1)
    found.add("--scope", "whether whole classes go or single images (default: found)", choices=SCOPES)
    return found


def _forget(forgets: Parser) -> None:
    forgets.add("--unseen", "folder of images that the model was not trained on, for the audit", Path)
    forgets.add("--out", "folder of the unlearned weights and the report", Path, required=True)
    forgets.add(
        "--method",
        "auto (default: what the data at hand allow), or a name such as laf, ts, jit; a wrong one is answered with all",
    )
    forgets.switch("--no-retain", "the other images of --data are not at hand for training")
    forgets.add("--memory", f"bound of what lies in memory (default: {Options.memory >> 30}GB)", size)
    forgets.add("--ledger", "file that records the request and is checked against earlier ones", Path)
    risks = "; ".join(f"{name}: {told}" for name, told in RISKS.items())
    forgets.add("--accept", f"a risk taken knowingly: {risks}", action="append", default=[], choices=tuple(RISKS))
    forgets.add(
        "--overlap", "images in both sets: refuse the request (default), or drop them from the retained ones",
        choices=OVERLAPS,
    )
    forgets.add(
        "--copies", "near-copies of forgotten images among the others: refuse and list them (default), forget, drop or keep them",
        choices=WAYS,
    )
    forgets.add("--sign", "also write a deletion certificate, signed with this Ed25519 key (laf key)", Path, metavar="KEY")
    forgets.add(
        "--image-key", "of the hashes by which the certificate names the images (default: a new one in --out, which you keep)",
        Path, metavar="KEY",
    )
    forgets.add("--checkpoint", "folder of the state of a long call: the same call goes on from there", Path)
    told = "between saves of an attempt on its way (default: %(default)s)"
    forgets.add("--checkpoint-minutes", told, number, "checkpoint-minutes", 0, 1e6)
    forgets.switch("--dry-run", "check everything and estimate time and memory; write nothing")


def _verify(verifies: Parser) -> None:
    verifies.add("certificate", "certificate.json", Path, metavar="CERTIFICATE")
    verifies.add("--public-key", "of whoever is trusted to sign (PEM or OpenSSH)", Path, required=True)
    verifies.add("--model", "weights that are in use now", Path, required=True)
    verifies.add("--original", "weights before forgetting", Path)
    verifies.add("--images", "folder of the images to be forgotten, and no others (needs --key)", Path)
    verifies.add("--key", "key of the hashes of images (images.key)", Path)


def _queue(steps: Any, model: Parser, json: Parser) -> None:
    """The steps of ``laf queue``."""
    place, policy, ledger = (Parser(add_help=False) for _ in range(3))
    place.add("queue", "folder of the queue", Path)
    told = "images that wait from which on they are due (default: %(default)s)"
    policy.add("--batch", told, whole, "batch", 1, MOST_SIZE, default=SIZE)
    policy.add("--days", "that a request waits at most (default: %(default)s)", number, "days", 0, MOST_DAYS, default=DAYS)
    ledger.add("--ledger", "of the model; it says what was carried out (default: in the folder)", Path)
    steps.add_parser("add", parents=[place, _images(), json], help="write a request, then answer with its number")
    steps.add_parser("status", parents=[place, ledger, policy, json], help="what waits, and whether it is due")
    runs = steps.add_parser(
        "run", parents=[place, policy, model, _images(ids=False), json], help="carry out what waits, if it is due"
    )
    _forget(runs)
    runs.switch("--now", "also what is not due")
    steps.add_parser("retrained", parents=[place, ledger, model, json], help="enter a model trained anew; nothing waits then")


def parser() -> Parser:
    """The whole of it."""
    whole_ = Parser(prog="laf", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    whole_.add_argument("--version", action="version", version=f"laf {__version__}")
    commands = whole_.add_subparsers(dest="command", required=True, metavar="COMMAND")
    json, images, model = _json(), _images(), _model()
    _forget(commands.add_parser("forget", parents=[model, images, json], help="write an unlearned copy and a report"))
    audits = commands.add_parser(
        "audit", parents=[model, images, json], help="is a model sure of the named images as of unseen ones?"
    )
    audits.add("--unseen", "folder of images that the model was not trained on", Path, required=True)
    audits.add("--original", "weights before forgetting: then there is a verdict, as of forget", Path)
    data = commands.add_parser("data", parents=[images, json], help="what would be read, and whether it can be")
    data.add("--unseen", "folder of images that the model was not trained on", Path)
    keys = commands.add_parser("key", parents=[json], help="make keys for certificates: signing.pem, signing.pub.pem, images.key")
    keys.add("--out", "folder of the keys; none that is there is written over", Path, required=True)
    _verify(commands.add_parser("verify", parents=[json], help="does a certificate hold, and for this model?"))
    queue = commands.add_parser("queue", help="requests as they come: collect them, carry them out in time")
    _queue(queue.add_subparsers(dest="step", required=True, metavar="STEP"), model, json)
    return whole_


def parsed(words: Sequence[str]) -> argparse.Namespace:
    """The options that words give.

    Raises:
        Stop: a word that cannot be meant, or an option that is given twice.
        SystemExit: help or version was asked for and printed.
    """
    options = [word.partition("=")[0] for word in words if word.startswith("--")]
    twice = next((name for name in options if options.count(name) > 1 and name not in REPEATED), None)
    if twice is not None:
        raise Stop(f"{ascii(twice)[1:-1][:60]} is given twice", SETTINGS)
    return parser().parse_args(list(words))
