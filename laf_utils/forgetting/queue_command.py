"""``laf queue``: requests as they come, from a shell.

    laf queue add QUEUE --data images/ --ids new.txt    a request is written, then answered with its number
    laf queue status QUEUE --batch 100 --days 30        what waits, and whether it is due
    laf queue run QUEUE --model ... --out ...           all that waits as one request of ``laf forget``, if it is due
    laf queue retrained QUEUE --model NEW --arch ...    a model trained anew without anything forgotten, nor waiting

The model's ledger lies in the queue's folder unless ``--ledger`` says where else; the same options go with every step.
The names of forgotten images are taken out of the queue; take their files out of ``--data`` before the next request.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..support.reading import number, whole
from .inputs import given_model, say
from .queue import DAYS, LEDGER, MOST_DAYS, SIZE, Policy, Queue, Status

MOST_SIZE = 1_000_000_000


def add_parsers(
    commands: Any, model: argparse.ArgumentParser, images: Callable[..., argparse.ArgumentParser],
    forget: Callable[[argparse.ArgumentParser], None], reads: Callable[..., Callable[[str], Any]],
) -> None:
    """``laf queue`` and what follows it.

    Args:
        model, images, forget: what ``laf forget`` takes; ``images(ids=False)`` asks for no list.
        reads: a reader as argparse takes it.
    """
    queue = commands.add_parser("queue", help="requests as they come: collect them, carry them out in time")
    steps = queue.add_subparsers(dest="step", required=True, metavar="STEP")
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument("queue", type=Path, help="folder of the queue")
    policy = argparse.ArgumentParser(add_help=False)
    policy.add_argument(
        "--batch", type=reads("batch", lambda text: whole(text, "batch", 1, MOST_SIZE)), default=SIZE,
        help="images that wait from which on they are due (default: %(default)s)",
    )
    policy.add_argument(
        "--days", type=reads("days", lambda text: number(text, "days", 0, MOST_DAYS)), default=DAYS,
        help="that a request waits at most (default: %(default)s)",
    )
    ledger = argparse.ArgumentParser(add_help=False)
    ledger.add_argument("--ledger", type=Path, help="of the model; it says what was carried out (default: in the folder)")
    steps.add_parser("add", parents=[place, images()], help="write a request, then answer with its number")
    shown = steps.add_parser("status", parents=[place, ledger, policy], help="what waits, and whether it is due")
    shown.add_argument("--json", action="store_true", help="one JSON object on standard output, errors too")
    runs = steps.add_parser("run", parents=[place, policy, model, images(ids=False)], help="carry out what waits, if it is due")
    forget(runs)
    runs.add_argument("--now", action="store_true", help="also what is not due")
    anew = steps.add_parser("retrained", parents=[place, ledger, model], help="enter a model trained anew; nothing waits then")
    anew.add_argument("--json", action="store_true", help="one JSON object on standard output, errors too")


def _told(found: Status) -> list[str]:
    if not found.requests:
        return [f"nothing waits; {found.done} requests were carried out"]
    due = "due" if found.due else "not due"
    return [
        f"{due}: {found.requests} requests of {found.images} images wait ({found.reason}); the first must be carried out by "
        f"{found.deadline:%Y-%m-%d %H:%M} UTC; {found.done} were",
    ]


def carry_out(options: argparse.Namespace, forget: Callable[[argparse.Namespace], int]) -> int:
    """One step of the queue; the exit code. ``forget``: ``laf forget``."""
    from .files import divided, read_ids

    policy = Policy(options.batch, options.days) if hasattr(options, "batch") else Policy()
    options.ledger = getattr(options, "ledger", None) or options.queue / LEDGER
    queue = Queue(options.queue, options.ledger, policy)
    if options.step == "add":
        chosen, _ = divided(options.data, read_ids(options.ids))
        names = [path.relative_to(options.data).as_posix() for path in chosen]
        receipt = queue.add(names)
        say(options, {"request": receipt, "images": len(names)}, [f"request {receipt}: {len(names)} images"])
        return 0
    if options.step == "retrained":
        numbers = [request.number for request in queue.waiting()]
        queue.retrained(given_model(options), numbers)
        queue.settle()
        say(options, {"carried_out": numbers}, [f"the new model goes on; requests carried out by it: {len(numbers)}"])
        return 0
    found = queue.status()
    if options.step == "status" or not found.requests or not (found.due or options.now):
        say(options, found.as_dict(), _told(found))
        return 0
    waiting = queue.waiting()
    options.names = list(dict.fromkeys(image for request in waiting for image in request.images))
    options.requests = tuple(request.number for request in waiting)
    code = forget(options)
    queue.settle()
    return code
