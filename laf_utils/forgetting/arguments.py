"""What ``laf`` takes on its command line, each value read once and within bounds; a wrong word is one line, no page of usage."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from ..settings.cli import SETTINGS, Stop
from ..support.reading import MOST_SEED, ReadingError, number, whole
from .choice import SCOPES
from .copies import WAYS
from .files import MOST_SIDE
from .options import Options
from .queue_command import add_parsers
from .refusal import RISKS

UNITS = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}
MOST_MEMORY = 1 << 50  # bytes
MOST_CLASSES = 1_000_000
MOST_PIXEL = 1e6  # of mean and std, in pixels of 0..1
REPEATED = ("--accept",)  # options that may be given several times
DESCRIPTION = """Remove images from a trained classifier, and say whether they are gone.

  laf forget --model model.safetensors --arch torchvision:resnet18 --data images/ --ids delete.csv --out unlearned/

Exit codes: 0 done (and acceptable), 1 failed, 2 arguments, 3 data or weights, 4 refused, 5 done but retraining is advised, 6
done but nobody can tell if it is acceptable, 130 interrupted. With --json standard output is one JSON object and nothing else,
{"error": ..., "code": ...} where it failed."""


def _reads(name: str, read: Callable[[str], Any]) -> Callable[[str], Any]:
    """A reader as argparse takes it: its message is kept."""

    def of(text: str) -> Any:
        try:
            return read(text)
        except ReadingError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    of.__name__ = name
    return of


def size(text: str) -> int:
    """``512MB`` or ``2GB`` as bytes.

    Raises:
        argparse.ArgumentTypeError: no number and unit, none at all, or more than 1 PB.
    """
    unit = UNITS.get(text[-2:].lower())
    try:
        found = number(text[:-2], "the size", 0) * unit if unit else -1.0
    except ReadingError:
        found = -1.0
    if not 1 <= found <= MOST_MEMORY:
        shown = ascii(text)[:60]
        raise argparse.ArgumentTypeError(f"expected a size such as 512MB or 2GB, at most {MOST_MEMORY >> 30}GB, got {shown}")
    return int(found)


def numbers(text: str) -> tuple[float, ...]:
    """``0.5,0.5,0.5``.

    Raises:
        argparse.ArgumentTypeError: anything else.
    """
    try:
        return tuple(number(part, "each", -MOST_PIXEL, MOST_PIXEL) for part in text.split(","))
    except ReadingError as error:
        raise argparse.ArgumentTypeError(f"expected numbers such as 0.5,0.5,0.5, got {ascii(text)[:60]}") from error


class Parser(argparse.ArgumentParser):
    """Ends in ``Stop``, with one line."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**({"allow_abbrev": False} | settings))

    def error(self, message: str) -> NoReturn:
        raise Stop(f"{' '.join(message.split())} ({self.prog} --help says more)", SETTINGS)


def _images(*, ids: bool = True) -> Parser:
    images = Parser(add_help=False)
    images.add_argument("--data", type=Path, required=True, help="folder of the training images")
    images.set_defaults(names=None, requests=())  # a queue gives these in place of a list
    if ids:
        images.add_argument(
            "--ids", type=Path, required=True,
            help="the images to forget: a text file with one name a line, or a CSV file, its first column or the one called "
            "file, path, id, image or name; names are paths below --data, or file names that occur once",
        )
    images.add_argument(
        "--size", type=_reads("size", lambda text: whole(text, "size", 1, MOST_SIDE)),
        help=f"side in pixels to resize to, 1 to {MOST_SIDE} (default: as they are)",
    )
    images.add_argument("--mean", type=numbers, help="to subtract from pixels in 0..1, three numbers: 0.485,0.456,0.406")
    images.add_argument("--std", type=numbers, help="to divide by after that, three numbers above zero (needs --mean)")
    images.add_argument("--json", action="store_true", help="one JSON object on standard output, errors too")
    return images


def _model() -> Parser:
    model = Parser(add_help=False)
    model.add_argument("--model", type=Path, required=True, help="weights: .safetensors, or .pt/.pth with tensors only")
    model.add_argument("--arch", required=True, help="torchvision:NAME, timm:NAME or module:function")
    model.add_argument(
        "--classes", type=_reads("classes", lambda text: whole(text, "classes", 2, MOST_CLASSES)),
        help="of the head (default: read from the weights)",
    )
    model.add_argument("--head", help="name of the layer that gives the logits (default: found)")
    model.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    model.add_argument(
        "--seed", type=_reads("seed", lambda text: whole(text, "seed", 0, MOST_SEED)), default=Options.seed,
        help="draws everything random (default: %(default)s)",
    )
    model.add_argument(
        "--floor", type=_reads("floor", lambda text: number(text, "floor", 0, 1)), default=Options.floor,
        help="least utility, 0 to 1, that a result may have (default: %(default)s)",
    )
    model.add_argument(
        "--scope", choices=SCOPES, default=Options.scope, help="whether whole classes go or single images (default: found)",
    )
    return model


def _forget(forgets: argparse.ArgumentParser) -> None:
    forgets.add_argument("--unseen", type=Path, help="folder of images that the model was not trained on, for the audit")
    forgets.add_argument("--out", type=Path, required=True, help="folder of the unlearned weights and the report")
    forgets.add_argument(
        "--method", default=Options.method,
        help="auto (default: what the data at hand allow), or a name such as laf, ts, jit; a wrong one is answered with all",
    )
    forgets.add_argument("--no-retain", action="store_true", help="the other images of --data are not at hand for training")
    forgets.add_argument(
        "--memory", type=size, default=Options.memory,
        help=f"bound of what lies in memory (default: {Options.memory >> 30}GB)",
    )
    forgets.add_argument("--ledger", type=Path, help="file that records the request and is checked against earlier ones")
    forgets.add_argument(
        "--accept", action="append", default=[], choices=tuple(RISKS),
        help="a risk taken knowingly: " + "; ".join(f"{name}: {told}" for name, told in RISKS.items()),
    )
    forgets.add_argument(
        "--overlap", choices=("refuse", "drop"), default=Options.overlap,
        help="images in both sets: refuse the request (default), or drop them from the retained ones",
    )
    forgets.add_argument(
        "--copies", choices=WAYS, default=Options.copies,
        help="near-copies of forgotten images among the others: refuse and list them (default), forget, drop or keep them",
    )
    forgets.add_argument(
        "--sign", type=Path, metavar="KEY", help="also write a deletion certificate, signed with this Ed25519 key (laf key)",
    )
    forgets.add_argument(
        "--image-key", type=Path, metavar="KEY",
        help="of the hashes by which the certificate names the images (default: a new one in --out, which you keep)",
    )
    forgets.add_argument("--checkpoint", type=Path, help="folder of the state of a long call: the same call goes on from there")
    forgets.add_argument(
        "--checkpoint-minutes", type=_reads("minutes", lambda text: number(text, "checkpoint-minutes", 0, 1e6)),
        default=Options.checkpoint_minutes, help="between saves of an attempt on its way (default: %(default)s)",
    )
    forgets.add_argument("--dry-run", action="store_true", help="check everything and estimate time and memory; write nothing")


def _verify(verifies: argparse.ArgumentParser) -> None:
    verifies.add_argument("certificate", type=Path, metavar="CERTIFICATE", help="certificate.json")
    verifies.add_argument("--public-key", type=Path, required=True, help="of whoever is trusted to sign (PEM or OpenSSH)")
    verifies.add_argument("--model", type=Path, required=True, help="weights that are in use now")
    verifies.add_argument("--original", type=Path, help="weights before forgetting")
    verifies.add_argument("--images", type=Path, help="folder of the images to be forgotten, and no others (needs --key)")
    verifies.add_argument("--key", type=Path, help="key of the hashes of images (images.key)")
    verifies.add_argument("--json", action="store_true", help="one JSON object on standard output, errors too")


def parser() -> Parser:
    """The whole of it."""
    whole_ = Parser(prog="laf", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    whole_.add_argument("--version", action="version", version=f"laf {__version__}")
    commands = whole_.add_subparsers(dest="command", required=True, metavar="COMMAND")
    images, model = _images(), _model()
    _forget(commands.add_parser("forget", parents=[model, images], help="write an unlearned copy and a report"))
    audits = commands.add_parser("audit", parents=[model, images], help="is a model sure of the named images as of unseen ones?")
    audits.add_argument("--unseen", type=Path, required=True, help="folder of images that the model was not trained on")
    audits.add_argument("--original", type=Path, help="weights before forgetting: then there is a verdict, as of forget")
    data = commands.add_parser("data", parents=[images], help="what would be read, and whether it can be")
    data.add_argument("--unseen", type=Path, help="folder of images that the model was not trained on")
    keys = commands.add_parser("key", help="make keys for certificates: signing.pem, signing.pub.pem, images.key")
    keys.add_argument("--out", type=Path, required=True, help="folder of the keys; none that is there is written over")
    keys.add_argument("--json", action="store_true", help="one JSON object on standard output, errors too")
    _verify(commands.add_parser("verify", help="does a certificate hold, and for this model?"))
    add_parsers(commands, model, _images, _forget, _reads)
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
