"""Carrying out a chosen method under the watch, and what follows where it has not forgotten, or at too high a cost."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import torch
from torch import nn

from ..laf import repair
from ..methods import METHODS, UnlearningRequest, available, run_method
from ..models import Network
from ..training import TrainingDiverged
from . import anew, certified, closed_form
from .attempts import Outcome, Work, looks, run_laf
from .choice import CERTIFIED, CLOSED_FORM, derived_settings
from .evidence import LEAST_COMPARED
from .head import has_batch_statistics
from .keeping import Keeper
from .refusal import Refused
from .relearned import RELEARN, Left, students
from .sources import OwnImages
from .watch import Watch, utility
from .workers import frozen_pass

SHARES = (1.0, 0.75, 0.5, 0.25)  # of the way from the original to the result of a method without steps to watch
WELL = 0.99  # utility from which on nothing is tried to win some back
EASED = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4)  # of the way from the original to a point that has removed a class


def interpolated(original: nn.Module, unlearned: nn.Module, share: float) -> nn.Module:
    """theta_0 + share (theta_u - theta_0), of parameters and floating buffers."""
    mixed, end = copy.deepcopy(unlearned), unlearned.state_dict()
    state = {
        name: value.lerp(end[name].to(value), share) if value.is_floating_point() else end[name]
        for name, value in original.state_dict().items()
    }
    mixed.load_state_dict(state)
    return mixed


def _carried_out(work: Work, method: str, request: UnlearningRequest) -> nn.Module:
    """What a method of the table makes of a request, or what an earlier run of this call has kept of it."""
    kept = work.checkpoint.find("method")
    if kept is None:
        model = run_method(method, request, work.settings).model
        work.checkpoint.keep("method", dict(model.state_dict()), {})
        return model
    model = copy.deepcopy(work.network)
    model.load_state_dict(kept.tensors)
    return model


def run_other(work: Work, method: str, watch: Watch) -> Outcome:
    """Any other label-free method of the table, then the best point on the straight way back to the original."""
    # Without D_r an empty view stands for it; methods that need it were refused before.
    retain = work.forget.subset(torch.arange(0)) if work.retain is None else work.retain
    request = UnlearningRequest(work.network, work.forget, retain, retain_labels=work.labels, seed=work.seed, label_share=1.0)
    outcome = Outcome(None, None, settings=work.settings or available()[method].settings)
    try:
        found = _carried_out(work, method, request)
    except TrainingDiverged as error:
        outcome.tell(str(error))
        return outcome
    for share in SHARES:
        model = cast(Network, interpolated(work.network, found, share))
        look = {"share": share, **watch.measure(model)}
        watch.seen.append(look)
        if watch.consider(model, look):
            outcome.network, outcome.look = model, look
        if watch.trouble(look) is None and watch.forgotten(look) == 0:
            break
    ended = "kept" if outcome.network is not None else str(watch.trouble(watch.seen[-1]))
    outcome.attempts.append({"strength": 1.0, "ended": ended, "kept": outcome.look, "looks": looks(watch)})
    return outcome


def run_closed_form(work: Work, watch: Watch, attempts: list[dict[str, object]]) -> Outcome:
    """The classes of the scope removed from the original in closed form: one look, after the attempts there were."""
    example = work.forget.batch(torch.arange(min(2, len(work.forget))))
    model = closed_form.removed(work.network, cast(str, work.network.extractor.head), list(watch.scope.classes), example)
    return _looked_at_once(model, watch, Outcome(None, None, attempts=attempts, closed_form=True), "in closed form")


def _looked_at_once(model: Network, watch: Watch, outcome: Outcome, ended: str) -> Outcome:
    look = {"step": 0, **watch.measure(model)}
    watch.seen.append(look)
    if watch.consider(model, look):
        outcome.network, outcome.look = model, look
    outcome.attempts.append({"strength": 1.0, "ended": ended, "kept": outcome.look, "looks": looks(watch)})
    return outcome


def run_certified(work: Work, watch: Watch) -> Outcome:
    """A head taught anew, and one certified step of it away from D_f: one look."""
    settings = work.settings or certified.CertifiedHead()
    if not isinstance(settings, certified.CertifiedHead):
        raise TypeError(f"{CERTIFIED} takes CertifiedHead, got {type(settings).__name__}")
    assert work.retain is not None
    model, settings, said = certified.removed(work.network, work.forget, work.retain, settings)
    outcome = _looked_at_once(model, watch, Outcome(None, None, settings), "one certified step")
    outcome.certified = None if outcome.network is None else said
    return outcome


def _eased(work: Work, outcome: Outcome, watch: Watch) -> Outcome:
    """The way back towards the original, as far as a removed class stays removed and utility is won.

    A look comes every few steps only, so that a class is often driven further out than it must be, which the others pay for.
    Parameters alone go back: batch statistics stay those of the retained images.
    """
    easy = outcome.look is None or watch.scope.name != "class" or outcome.look.get("utility", 1.0) >= WELL
    if easy or outcome.network is None or outcome.look is None or watch.forgotten(outcome.look) > 0:
        return outcome
    found, kept, start = outcome, outcome.look, dict(work.network.named_parameters())
    for share in EASED:
        model = copy.deepcopy(outcome.network)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(start[name].lerp(parameter, share))
        look = {"share": share, **watch.measure(model)}
        watch.seen.append(look)
        if watch.trouble(look) is not None or watch.forgotten(look) > 0:
            break
        if look["utility"] > kept["utility"]:
            found, kept = replace(found, network=model, look=look), look
    last = {"strength": 0.0, "ended": "back towards the original", "kept": kept, "looks": looks(watch)}
    return replace(found, attempts=[*outcome.attempts, last])


def _or_in_closed_form(work: Work, outcome: Outcome, watch: Watch) -> Outcome:
    """An outcome of LAF, or where it has not removed its classes within the floor and the head allows it, the closed form.

    An original that is unsure of the class is unsure of the others, too: there the watch, which weighs a changed answer by how
    sure the original was of the old one, lets too much pass, and the closed form comes first.
    """
    done = outcome.look is not None and watch.forgotten(outcome.look) == 0 and not watch.scope.weak
    if watch.scope.name != "class" or done:
        return outcome
    try:
        found = run_closed_form(work, watch, list(outcome.attempts))
    except Refused:
        return outcome
    return outcome if found.network is None else replace(found, settings=outcome.settings)


def run_relearn(work: Work, left: Left, attempts: list[dict[str, object]], settings: Any, best: float = math.inf) -> Outcome:
    """See ``relearned.students``; one look each, after the attempts there were."""
    assert work.everything is not None
    network, look, own, made = students(work.network, work.forget, work.everything, settings, work.seed, left, best)
    return Outcome(network, look, own, [*attempts, *made], method=RELEARN)


def _or_relearned(work: Work, outcome: Outcome, watch: Watch) -> Outcome:
    """An outcome of LAF, or where it has left single images known, the student that has forgotten more of them, if one has."""
    if watch.scope.name != "instances" or work.everything is None:
        return outcome
    left = Left(work.network, watch, work.reference)
    best = math.inf if outcome.look is None or outcome.network is None else left.of(outcome.network, outcome.look)
    if best == 0:
        return outcome
    found = run_relearn(work, left, outcome.attempts, None, best)
    return replace(outcome, attempts=found.attempts) if found.network is None else found


def run_anew(work: Work, watch: Watch) -> Outcome:
    """A fresh network that learns D_r anew (``anew``): one look, and nothing kept where it costs too much."""
    assert work.everything is not None
    outcome = Outcome(None, None, anew.Anew())
    try:
        network = anew.taught_anew(work.network, work.everything, outcome.settings, work.seed)
    except TrainingDiverged as error:
        outcome.tell(str(error), strength=1.0)
        return outcome
    look = {"share": 1.0, **watch.measure(network)}
    watch.seen.append(look)
    trouble = watch.trouble(look)
    if trouble is None:
        said = frozen_pass(network, watch.sets["unseen"], "watch").argmax(1)
        if utility(watch.before["unseen"], said) < watch.floor - anew.APART:
            trouble = "below the utility floor on unseen images"
    if trouble is None:
        outcome.network, outcome.look, outcome.method, outcome.anew = network, look, RELEARN, True
    outcome.tell(f"relearn: {trouble or 'a fresh network'}", outcome.look, looks(watch), 1.0)
    return outcome


def carry_out(method: str, work: Work, make_watch: Callable[..., Watch], keeper: Keeper) -> Outcome:
    """Run the method; see ``run_laf`` and ``run_other``.

    Args:
        make_watch: a fresh ``Watch`` for each attempt, given its ``content`` where that is not 0.
    """
    if method == CLOSED_FORM:
        return run_closed_form(work, make_watch(), [])
    if method == RELEARN:
        return run_relearn(work, Left(work.network, make_watch(), work.reference), [], work.settings)
    if method == CERTIFIED:
        return run_certified(work, make_watch())
    if method not in ("laf", "laf_r"):
        return run_other(work, method, make_watch())
    settings = work.settings or derived_settings(
        len(work.forget), len(cast(OwnImages, work.retain)), labels=method == "laf_r",
        batch_statistics=has_batch_statistics(work.network),
    )
    if not isinstance(settings, type(METHODS[method].settings)):
        raise TypeError(f"{method} takes {type(METHODS[method].settings).__name__}, got {type(settings).__name__}")
    first = Outcome(None, None)
    if work.by_heart and work.otherwise and not work.series and work.settings is None and work.everything is not None:
        watch = make_watch()
        if watch.scope.name == "instances" and len(watch.before.get("unseen", ())) >= LEAST_COMPARED:
            first = run_anew(work, watch)
            if first.network is not None:
                return first
    outcome = run_laf(work, settings, make_watch, keeper)
    outcome.attempts = first.attempts + outcome.attempts
    if outcome.look is not None and outcome.look.get("utility", 1.0) < WELL:
        outcome = _eased(work, outcome, make_watch())
    if work.otherwise:
        outcome = _or_relearned(work, _or_in_closed_form(work, outcome, make_watch()), make_watch())
    if method == "laf_r" and outcome.network is not None and not outcome.closed_form and outcome.method is None:
        assert outcome.look is not None and work.retain is not None and work.labels is not None
        repaired, _ = repair(outcome.network, work.retain, work.labels, settings.repair, seed=work.seed, forget=len(work.forget))
        watch = make_watch()
        look = {"step": -1, **watch.measure(repaired)}
        better = watch.trouble(look) is None and watch.forgotten(look) <= watch.forgotten(outcome.look)
        ended = "repair kept" if better else "repair dropped"
        outcome.tell(ended, look)
        if better:
            outcome.network, outcome.look = repaired, look
    return outcome
