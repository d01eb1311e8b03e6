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

from ..support.reading import counted
from .files import divided, read_ids
from .inputs import given_model, say
from .queue import LEDGER, Policy, Queue, Status


def _told(found: Status) -> list[str]:
    if not found.requests:
        return [f"nothing waits; {counted(found.done, 'request was', 'requests were')} carried out"]
    due = "due" if found.due else "not due"
    return [
        f"{due}: {counted(found.requests, 'request')} of {counted(found.images, 'image')} ({found.reason}); the first must be "
        f"carried out by {found.deadline:%Y-%m-%d %H:%M} UTC; carried out so far: {found.done}",
    ]


def carry_out(options: argparse.Namespace, forget: Callable[[argparse.Namespace], int]) -> int:
    """One step of the queue; the exit code. ``forget``: ``laf forget``."""
    policy = Policy(options.batch, options.days) if hasattr(options, "batch") else Policy()
    options.ledger = getattr(options, "ledger", None) or options.queue / LEDGER
    queue = Queue(options.queue, options.ledger, policy)
    if options.step == "add":
        chosen, _ = divided(options.data, read_ids(options.ids))
        names = [path.relative_to(options.data).as_posix() for path in chosen]
        receipt = queue.add(names)
        say(options, {"request": receipt, "images": len(names)}, [f"request {receipt}: {counted(len(names), 'image')}"])
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
