"""Two computations at once on one processor, each with half of its threads.

Training a small network scales badly over threads: on two cores, two threads train one network about 1.6 times as fast as one
does, while two networks with a thread each lose next to nothing. PyTorch releases Python's lock inside its kernels, so threads
of one process will do, and both share the images in memory.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn

from .progress import silent_thread

Here = TypeVar("Here")
There = TypeVar("There")


class Abandoned(Exception):  # noqa: N818 (not an error: the other side ended first)
    """The computation was told to stop because the one beside it failed or was interrupted."""


def pays(device: torch.device) -> bool:
    """Whether there are two threads to share out; a GPU works best on one thing at a time."""
    return device.type == "cpu" and torch.get_num_threads() >= 2


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread meanwhile, for steps so small that threads wait for each other longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def side_by_side(here: Callable[[], Here], there: Callable[[], There], model: nn.Module) -> tuple[Here, There]:
    """``here()`` in this thread and ``there()``, which passes data through ``model``, in another.

    The number of threads is halved for both meanwhile. An error of either side, Ctrl-C included, ends both: ``there`` at its next
    pass through ``model``.
    """
    threads, stop = torch.get_num_threads(), threading.Event()
    outcome: dict[str, Any] = {}

    def watch(*_: object) -> None:
        if stop.is_set():
            raise Abandoned

    def work() -> None:
        torch.set_num_threads(threads // 2)  # each thread has a number of its own
        try:
            with silent_thread():  # two bars cannot share a line
                outcome["value"] = there()
        except BaseException as error:  # noqa: BLE001 (handed to the caller below)
            outcome["error"] = error

    hook, worker = model.register_forward_pre_hook(watch), threading.Thread(target=work, name="beside", daemon=True)
    torch.set_num_threads(threads - threads // 2)
    worker.start()
    try:
        value = here()
        worker.join()
    finally:
        stop.set()
        worker.join()
        torch.set_num_threads(threads)
        hook.remove()
    if "error" in outcome:
        raise outcome["error"]
    return value, outcome["value"]
