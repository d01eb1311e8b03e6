"""``forget``: one call from a trained classifier to its unlearned copy and a report."""

import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy
import torch
from torch import nn

from .. import __version__
from ..methods.method import fingerprint
from ..support.artefacts import tensors_checksum
from ..support.devices import describe
from ..support.paths import NAME, check_file_writable, check_writable
from ..support.records import now
from .anew import by_heart
from .attempts import Outcome, Work
from .checkpoint import Checkpoint, identity
from .copying import as_given, bare
from .engine import carry_out
from .first_model import FirstModel
from .head import whole
from .keeping import Keeper
from .ledger import Ledger
from .options import ForgetOptions, Options
from .page import Report
from .preparing import Answers, Given, Prepared, prepare
from .reference import Reference, taught
from .refusal import Refused
from .report import audits, forgetting, measured_utility, told_apart, unseen_kept, verdict, weighed
from .sources import OwnImages
from .watch import EVERY, GAIN, SAMPLE, SAMPLE_GOAL, Watch
from .workers import first, working_together


class Forgotten(NamedTuple):
    """The unlearned copy, in evaluation mode, and the report."""

    model: nn.Module
    report: Report


def forget(
    model: nn.Module, forget: Any, retain: Any = None, *, unseen: Any = None, retain_labels: Any = None,
    method: str = Options.method, seed: int = Options.seed, device: str | torch.device | None = Options.device,
    ledger: str | Path | None = None, options: ForgetOptions | None = None,
) -> Forgotten:
    """An unlearned copy of ``model`` and a report; ``model`` itself is left as it is.

    Images come as tensors or arrays of network inputs, data sets, ``DataLoader`` objects, folders or lists of files. Of data sets
    that give labels beside images only the images are used. Under ``torchrun`` or ``accelerate launch`` every process makes the
    same call and gets the same copy (``workers``).

    Args:
        model: any classifier that gives logits [B, classes], also in a tuple, a dictionary or an object, or one logit; on any
            device, in any floating format, also compiled or in ``DataParallel`` (the copy comes without the wrapper).
        forget: images of D_f.
        retain: images of D_r, all or some; without them only methods that need none are left.
        unseen: images that the model was not trained on: for the audit, and to know when single images are forgotten.
        retain_labels: int64 [len(retain)]: allows the repair of LAF+R. LAF reads none.
        method: ``auto`` (along the ladder of label access) or a name of ``laf_utils.methods.METHODS``.
        seed: draws everything random.
        device: where to work; ``None``: where the model is.
        ledger: file that records the request and is checked against earlier ones.
        options: what is rarely asked otherwise.

    Raises:
        Refused: a request that is not carried out; ``reason`` is for programs, the message for people.
        ValueError, TypeError: an option that cannot be meant.
        WorkerLostError: another process of the same launch has ended.
    """
    rare = {} if options is None else {field.name: getattr(options, field.name) for field in fields(ForgetOptions)}
    asked = Options(**rare, method=method, seed=seed, device=device)
    with working_together():
        return _forget(model, Given(forget, retain, unseen, retain_labels, asked.unseen_labels), asked, ledger)


def _forget(model: nn.Module, given: Given, asked: Options, ledger: str | Path | None) -> Forgotten:
    before, clock = fingerprint(bare(model)), _Clock()
    book, instead_of = opened(ledger, before, asked.accept)
    first_model = None if book is None else FirstModel(book)  # by all processes: the first alone writes, and waits for no other
    with Keeper(asked.memory, None if asked.folder is None else Path(asked.folder)) as keeper:
        prepared = prepare(model, given, asked, keeper, book)
        checkpoint = _checkpoint(asked, prepared, before, book is not None)
        clock.mark("prepare")
        # Where requests follow each other their losses add up: then each wins back what it can.
        aim = asked.floor if book is None else 1 - GAIN

        @cache
        def reference() -> Reference:
            retain = cast(OwnImages, prepared.retain)
            return taught(prepared.network, retain, seed=asked.seed, students=asked.students, checkpoint=checkpoint)

        work = Work(
            prepared.network, prepared.forget, prepared.used, prepared.labels, asked.settings, asked.seed, aim,
            asked.method == "auto", prepared.retain if book is None else prepared.used, book is not None,
            by_heart(vars(prepared.before)), reference, checkpoint,
        )
        sets, watches = prepared.sets(asked.seed), []

        def watch(content: float = 0.0) -> Watch:
            watches.append(Watch(prepared.network, sets, prepared.scope, asked.floor, content))
            return watches[-1]

        outcome = carry_out(prepared.choice.method, work, watch, keeper)
        clock.mark("unlearn")
        network = outcome.network or prepared.network
        content = _measured(prepared, network, outcome, watches[0], first_model, reference, instead_of)
        clock.mark("report")
        content["memory"] = {"bound": asked.memory, "in_memory": keeper.in_memory, "on_disk": keeper.on_disk}
    unlearned = as_given(whole(network), model)
    states = {"weights_before": bare(model).state_dict(), "weights_after": unlearned.state_dict()}
    content |= _circumstances(prepared, asked, outcome, before, fingerprint(unlearned), clock)
    content["model"] |= {name: tensors_checksum(state) for name, state in states.items()}
    if asked.save is not None and first():
        content["weights"] = asked.save(unlearned)
    if first_model is not None and first():
        content["ledger"] = _entered(first_model, content, prepared, instead_of, asked.requests)
    checkpoint.clear()
    return Forgotten(unlearned, Report(content, tuple(prepared.digests)))


def refused(model: nn.Module, given: Given, asked: Options, ledger: str | Path | None) -> None:
    """All that ``forget`` checks before it trains, refused as ``forget`` does; nothing is written."""
    before = fingerprint(bare(model))
    book, _ = opened(ledger, before, asked.accept)
    with Keeper(asked.memory) as keeper:
        _checkpoint(asked, prepare(model, given, asked, keeper, book), before, book is not None, dry=True)


def _checkpoint(asked: Options, prepared: Prepared, model: str, with_ledger: bool, *, dry: bool = False) -> Checkpoint:
    """The place of the call's state; of no other call's."""
    if asked.checkpoint is None:
        return Checkpoint()
    folder = check_writable(Path(asked.checkpoint), "checkpoint")
    others = [images for images in (prepared.used, prepared.watched, prepared.unseen) if images is not None]
    digests = [*prepared.digests, *(digest for images in others for digest in images.digests())]
    settings = [getattr(asked, name) for name in ("settings", "floor", "accept", "scope", "method", "seed")]
    labels = None if prepared.labels is None else prepared.labels.tolist()
    inputs = prepared.forget.batch(torch.arange(min(4, len(prepared.forget)))).tolist()  # after the user's transform
    request = identity(model, digests, [settings, prepared.choice.method, prepared.head, labels, inputs, with_ledger])
    return Checkpoint(folder, request, asked.checkpoint_minutes, dry=dry)


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def mark(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage], self._last = round(now - self._last, 3), now


def opened(ledger: str | Path | None, model: str, accept: tuple[str, ...] = ()) -> tuple[Ledger | None, int | None]:
    """The ledger that a model (its fingerprint) goes on with, and the request that is asked again, if one is.

    Raises:
        Refused: ``changed_ledger``: it cannot be read, or it is another model's.
        PlaceError: it cannot be written to.
    """
    if ledger is None:
        return None, None
    book = Ledger(check_file_writable(Path(ledger), "ledger") if first() else Path(ledger))
    if book.follows(model):
        return book, None
    again = book.repeats(model)
    if again is not None and "lost_weights" in accept:
        return book, again
    message = f"{ledger}: this is not the model that the ledger's last request left"
    if again is not None:
        message += "; if that one was lost, accept lost_weights to ask its request again"
    raise Refused("changed_ledger", message)


def _measured(
    prepared: Prepared, network: nn.Module, outcome: Outcome, watch: Watch, first_model: FirstModel | None,
    reference: Callable[[], Reference], instead_of: int | None = None,
) -> dict[str, Any]:
    after = prepared.answers(network)
    numbers: dict[str, Any] = {
        "utility": measured_utility(prepared, after), "forgetting": forgetting(prepared, after), "audit": audits(prepared, after),
    }
    known = outcome.anew and not told_apart(numbers["audit"])  # a network that never saw D_f needs no reference to say so
    found = weighed(prepared, after, reference) if outcome.look is not None and not known else None
    numbers["evidence"] = None if found is None else found.as_dict()
    least = min((entry["utility"] / 100 for entry in numbers["utility"].values()), default=None)
    together = None if first_model is None or least is None else _together(first_model, prepared, after, least, instead_of)
    said, reasons = verdict(prepared, watch, outcome, numbers, together, found)
    return {"verdict": said, "reasons": reasons, "kept": outcome.look is not None, "utility_together": together, **numbers}


def _method(prepared: Prepared, outcome: Outcome) -> dict[str, str]:
    chosen = prepared.choice
    if outcome.method in (None, chosen.method):
        return {"name": chosen.method, "reason": chosen.reason}
    reason = f"{chosen.method} has left the images known: a student that never saw them learned the retained images anew"
    if outcome.anew:
        reason = "the network has its images by heart: a fresh one learned the retained images anew, from its answers"
    return {"name": str(outcome.method), "reason": reason}


def _together(first_model: FirstModel, prepared: Prepared, after: Answers, least: float, instead_of: int | None) -> float:
    """What is left of the first model's utility: by its own answers where they are known, else as a product."""
    if not first_model.book.entries:
        return least  # this request's model is the first
    logits, keep = {"retain": after.retain, "unseen": after.unseen}, unseen_kept(prepared)
    answers: dict[str, tuple[Sequence[bytes], torch.Tensor]] = {
        name: (digests, cast(torch.Tensor, logits[name])) for name, digests in prepared.known.items()
    }
    if "unseen" in answers:  # of a class that vanishes nothing is to be left
        digests = [digest for digest, kept in zip(prepared.known["unseen"], keep.tolist(), strict=True) if kept]
        answers["unseen"] = digests, cast(torch.Tensor, after.unseen)[keep]
    measured = first_model.utility(answers)
    return first_model.book.utility(instead_of) * least if measured is None else measured


def _circumstances(
    prepared: Prepared, options: Options, outcome: Outcome, before: str, after: str, clock: _Clock
) -> dict[str, Any]:
    sizes = {"forget": prepared.forget, "retain": prepared.retain, "retain_used": prepared.used, "unseen": prepared.unseen}
    settings = asdict(cast(Any, outcome.settings)) if is_dataclass(outcome.settings) else None
    return {
        "date": now(),
        "scope": {"name": prepared.scope.name, "classes": list(prepared.scope.classes), "reason": prepared.scope.reason},
        "method": _method(prepared, outcome) | {"settings": settings},
        "images": {name: 0 if images is None else len(images) for name, images in sizes.items()} | {
            "dropped": prepared.dropped, "near_copies": prepared.copies.as_dict(),
            "unseen_alike": 0 if prepared.alike is None else len(prepared.alike),
        },
        "notes": prepared.copies.note() + ([] if outcome.certified is None else [outcome.certified["what"]]),
        "certified": outcome.certified,
        "attempts": outcome.attempts,
        "options": {
            "seed": options.seed, "floor": options.floor, "head": prepared.head, "accept": list(options.accept),
            "overlap": options.overlap, "copies": options.copies, "students": options.students,
            "look_every": EVERY, "look_images": {"retain": SAMPLE, "goal": SAMPLE_GOAL},
        },
        "model": {
            "kind": type(whole(prepared.network)).__name__, "parameters": sum(p.numel() for p in prepared.network.parameters()),
            "before": before, "after": after,
        },
        "seconds": clock.seconds,
        "versions": {
            NAME: __version__, "python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__,
        },
        "machine": describe(prepared.forget.device),
        "command": {"program": Path(sys.argv[0]).name.replace("ipykernel_launcher.py", "a notebook"), "arguments": []},
    }


def _entered(
    first_model: FirstModel, content: dict[str, Any], prepared: Prepared, instead_of: int | None, requests: tuple[int, ...]
) -> dict[str, Any]:
    least = min((entry["utility"] / 100 for entry in content["utility"].values()), default=None)
    book = first_model.book
    if len(book.entries) == book.since:  # of a series the first
        logits = {"retain": prepared.before.retain, "unseen": prepared.before.unseen}
        first_model.begin({name: (digests, cast(torch.Tensor, logits[name])) for name, digests in prepared.known.items()})
    measured = content["utility_together"] if first_model.marks else None
    entry = book.add(
        {
            "before": content["model"]["before"], "after": content["model"]["after"], "kept": content["kept"],
            "utility": least, "utility_first": measured, "requests": list(requests),
            "method": content["method"]["name"], "verdict": content["verdict"], "images": content["images"],
            "weights": content.get("weights", {}).get("sha256"), "instead_of": instead_of,
        },
        prepared.digests,
    )
    gone = [mark for mark, kept in zip(prepared.known.get("unseen", ()), unseen_kept(prepared).tolist(), strict=True) if not kept]
    first_model.drop(gone)
    return {"number": entry["number"], "utility_together": content["utility_together"]}
