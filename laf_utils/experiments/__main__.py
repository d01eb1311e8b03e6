"""``python -m laf_utils.experiments [KIND=comparison] [NAME=VALUE ...]``: make every record that is missing or stale.

=============  =================================================================  ==========================================
KIND           what it makes                                                      below
=============  =================================================================  ==========================================
comparison     every method on every request: the grid (the default)              ``results/comparison``
audit          all measures of one request and seed, for eight models             ``results/audit``
maps           representations of the same images in every model, in the plane    ``results/maps``
shadows        many models of one request, and the measures over them             ``results/shadows``
verdict        levels and powers of the audit's verdicts, simulated               ``results/verdict``
tuning         the equal tuning of every method                                   ``results/tuning``
training       one run of LAF with its losses, as ``make laf`` makes it           ``Training``
stages         originals and retrained models trained as one, for later cells     ``runs/artefacts``
gpu            what wants a GPU, on one that is lent for minutes                  ``OUT/records.jsonl``
=============  =================================================================  ==========================================

``KIND=audit --help`` says what a kind takes. ``PLAN=1`` says what there is to do and does nothing; ``PLAN=2`` names each too:
valid, stale or missing.
"""

import errno
import sys
from importlib import import_module
from inspect import getdoc

from ..settings.cli import Help, Stop, help_wanted, one_line_errors, stopping
from ..support.paths import need_checkout
from ..support.records import RecordError
from .faults import full_disk
from .tuning_winners import WinnersError

KINDS = {  # by name: the module with the function of that name
    "comparison": "comparison", "audit": "commands", "maps": "commands", "shadows": "commands", "verdict": "commands",
    "tuning": "commands", "training": "commands", "stages": "stages", "gpu": "gpu",
}
USUAL = "comparison"
AGAIN = "interrupted; records that are there stay, and the same command goes on"


def kind_of(arguments: list[str]) -> tuple[str, list[str]]:
    """The kind that is asked for, and the other arguments.

    Raises:
        Stop: a kind that does not exist, or two of them.
    """
    named = [argument.partition("=")[2] for argument in arguments if argument.startswith("KIND=")]
    if len(named) > 1:
        raise Stop("KIND is given twice", 2)
    kind = named[0] if named else USUAL
    if kind not in KINDS:
        raise Stop(f"KIND must be one of {', '.join(KINDS)}, got {ascii(kind)[:80]}", 2)
    return kind, [argument for argument in arguments if not argument.startswith("KIND=")]


def run(arguments: list[str]) -> int:
    """Do what the arguments ask for; the exit code."""
    need_checkout("making records")
    kind, rest = kind_of(arguments)
    if rest == arguments:  # no kind is named: help is about all of them
        help_wanted(rest)
    with stopping(WinnersError, RecordError):
        made = getattr(import_module(f".{KINDS[kind]}", __package__), kind)
        try:
            return made(rest) or 0
        except Help:
            print(f"python -m laf_utils.experiments KIND={kind}: {getdoc(made)}")
            return 0


def command() -> int:
    """What the command line asks for; the exit code."""
    from .launch import GridError

    try:
        return run(sys.argv[1:])
    except GridError as error:
        raise Stop(str(error)) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Stop(f"the disk is full: {full_disk()}") from error


def main() -> int:
    """The command; its exit code."""
    return one_line_errors(command, AGAIN)


if __name__ == "__main__":
    sys.exit(main())
