"""The label-free watch over a run: when to stop, which point to keep, and when a point is not good enough to keep.

At every look it reads the unlearned model's predictions on small fixed samples: of D_f, of D_r (images that unlearning does not
train on) and, where there are any, of unseen images. Utility is the original's probability of the new answer over its
probability of its own answer: an answer that the original found nearly as likely costs little, one that it excluded costs all.
"""

import copy
import math
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import nn

from ..audit.unseen import LEVEL, auc_error, separation
from .choice import Scope
from .sources import OwnImages
from .workers import frozen_pass

SAMPLE = 300  # images of each set: an agreement near 95 % then has a standard error of 1.3 points
SAMPLE_GOAL = 1_000  # of D_f and of unseen images: a run that does not see that it is done goes on, and makes D_f stand out
EVERY = 25  # steps between looks
EARLY = 5  # steps between the first looks, and between those of a recovery: single images may be forgotten after a pass over them
PATIENCE = 4  # looks without progress
ERRORS = NormalDist().inv_cdf(1 - LEVEL / 2)  # standard errors from which on the report's audit would tell D_f from unseen images
FORGOTTEN = 0.03  # of the sampled D_f may still get a removed class: well below the verdict's 0.04 of all
GAIN = 0.01
COLLAPSE = 0.5  # of the original's number of classes in use (exp of the entropy of its answers)


@dataclass(frozen=True)
class Sets:
    """What is watched."""

    forget: OwnImages
    retain: OwnImages | None
    unseen: OwnImages | None  # images like those of D_f that nothing was trained on
    once: int = 0  # steps of one pass over D_f

    def named(self) -> dict[str, OwnImages]:
        """Those that are at hand."""
        found = {"forget": self.forget, "retain": self.retain, "unseen": self.unseen}
        return {name: images for name, images in found.items() if images is not None and len(images)}


def classes_in_use(predictions: torch.Tensor) -> float:
    """exp of the entropy of the answers: the number of classes, each used alike, that would be as diverse."""
    shares = predictions.bincount().float()
    shares = shares[shares > 0] / shares.sum()
    return math.exp(-(shares * shares.log()).sum().item())


def utility(original: torch.Tensor, answers: torch.Tensor) -> float:
    """Mean probability that the original gives to the new answers, over that of its own: 1 where nothing has changed.

    Args:
        original: its probabilities [n, classes].
        answers: int64 [n], the new ones.
    """
    return (original.gather(1, answers[:, None]).mean() / original.max(1).values.mean()).item()


def agreement_gap(forget: float, n: int, unseen: float, m: int) -> tuple[float, float]:
    """By how much fewer images of D_f than unseen ones have kept their answer, and its standard error.

    A model that never saw D_f would change its answers as often as those on unseen images. More: they were driven out.

    Args:
        forget, unseen: shares 0..1 of ``n`` and ``m`` images that are answered as by the original.
    """
    together = (n * forget + m * unseen) / (n + m)
    return unseen - forget, math.sqrt(together * (1 - together) * (1 / n + 1 / m))


def margin(logits: torch.Tensor, removed: torch.Tensor) -> float:
    """Mean log-odds [nats] of the removed classes together against all others, from logits [n, classes].

    It moves long before the answers do: a class that was learned with a margin of 14 is answered without fail until that is gone.
    """
    gone = torch.zeros(logits.shape[1], dtype=torch.bool, device=logits.device)
    gone[removed] = True
    if gone.all():
        return math.inf
    odds = logits[:, gone].logsumexp(1) - logits[:, ~gone].logsumexp(1)
    return odds.float().mean().item()


class Watch:
    """Watches one model: ``look`` at any time, or as the rule of ``adaptation.unlearn``.

    Args:
        original: what utility and agreement are measured against.
        floor: utility below which no point is kept.
        content: utility from which on a point that has forgotten ends the run; below it the run goes on as long as that gains.
    """

    def __init__(self, original: nn.Module, sets: Sets, scope: Scope, floor: float, content: float = 0.0) -> None:
        self.sets, self.scope, self.floor, self.content = sets.named(), scope, floor, content
        self.before = {name: frozen_pass(original, images, "watch").softmax(1) for name, images in self.sets.items()}
        removed = torch.tensor(scope.classes, device=self.before["forget"].device)
        self.margin_before = margin(self.before["forget"].log(), removed) if scope.classes else 0.0
        self.every = EARLY if content or scope.name == "instances" else EVERY
        self._once = 0 if content or scope.name == "class" else sets.once  # single images: each is to be forgotten
        self.seen: list[dict[str, float]] = []
        self.best: tuple[tuple[float, ...], dict[str, float], dict[str, torch.Tensor]] | None = None
        self.ended = "its last step"
        self._nearest: dict[str, float] = {}
        self._waited = 0
        self.cheapest: tuple[float, dict[str, torch.Tensor]] | None = None  # utility and weights: forgotten, whatever it cost
        rest = self.before.get("retain")
        self._in_use = classes_in_use(rest.argmax(1)) if rest is not None else 1.0

    @property
    def images_passed(self) -> int:
        """Images passed forward so far, the original's pass included."""
        return (1 + len(self.seen)) * sum(len(images) for images in self.sets.values())

    def measure(self, model: nn.Module) -> dict[str, float]:
        """One look: agreement with the original by set, utility, diversity of answers, and how D_f stands out."""
        now = {name: frozen_pass(model, images, "watch") for name, images in self.sets.items()}
        if not all(logits.isfinite().all() for logits in now.values()):
            return {"finite": 0.0}
        answers = {name: logits.argmax(1) for name, logits in now.items()}
        found = {name: (answers[name] == self.before[name].argmax(1)).float().mean().item() for name in now}
        if self.scope.classes:
            removed = torch.tensor(self.scope.classes, device=answers["forget"].device)
            found["named"] = torch.isin(answers["forget"], removed).float().mean().item()
            found["margin"] = margin(now["forget"], removed)
        if "retain" in now:
            found["utility"] = utility(self.before["retain"], answers["retain"])
            found["classes"] = classes_in_use(answers["retain"]) / self._in_use
        if "unseen" in now:
            found["auc"] = separation(now["forget"], now["unseen"])
        return {"finite": 1.0, **found}

    def trouble(self, look: dict[str, float]) -> str | None:
        """Why a look must not be kept: not finite, collapsed, or below the utility floor; ``None`` where it may."""
        if not look["finite"]:
            return "not finite"
        if look.get("classes", 1.0) < COLLAPSE:
            return "collapsed"
        return "below the utility floor" if look.get("utility", 1.0) < self.floor else None

    @property
    def has_goal(self) -> bool:
        """Whether there is anything by which to know that more forgetting is better: not of instances without unseen images."""
        return self.scope.name == "class" or "unseen" in self.sets

    def forgotten(self, look: dict[str, float]) -> float:
        """How far from forgotten, 0 where it is: the goal depends on the scope.

        A removed class: D_f is answered with it no more. Instances: the report's audit could not tell D_f from the unseen images,
        neither as more nor as less sure, and D_f has not lost more of its answers than they have, as a model can be sure of wrong
        ones. Without unseen images: D_f has visibly left the original's answers, more than D_r has.
        """
        if not look.get("finite", 1.0):
            return 1.0  # nothing else was measured
        if self.scope.name == "class":
            return max(0.0, look["named"] - FORGOTTEN)
        if "auc" in look:
            n, m = len(self.sets["forget"]), len(self.sets["unseen"])
            changed = agreement_gap(look["forget"], n, look["unseen"], m)
            return max(0.0, abs(look["auc"] - 0.5) - ERRORS * auc_error(n, m), changed[0] - changed[1])
        gap = look.get("retain", 1.0) - look["forget"]
        return max(0.0, 2 / math.sqrt(len(self.sets["forget"])) - gap)

    def rank(self, look: dict[str, float]) -> tuple[float, float]:
        """Smaller is better: how far from forgotten, then how much utility is gone."""
        return self.forgotten(look), -look.get("utility", 1.0)

    def consider(self, model: nn.Module, look: dict[str, float]) -> bool:
        """Keep the model where this look is the best so far; whether it is."""
        better = self.trouble(look) is None and (self.best is None or self.rank(look) < self.best[0])
        if better:
            self.best = (self.rank(look), look, copy.deepcopy(model.state_dict()))
        return better

    def should_stop(self, model: nn.Module, step: int) -> bool:
        """Record a look at ``model``; whether this step should be the last."""
        early = step < EVERY and not self.content
        if not self.content and step > EVERY and step % EVERY:
            return False
        look = {"step": step, **self.measure(model)}
        self.seen.append(look)
        trouble = self.trouble(look)
        if trouble in ("not finite", "collapsed"):
            self.ended = trouble
            return True
        if step < self._once:
            return False
        self.consider(model, look)
        if self.forgotten(look) == 0:
            useful = look.get("utility", 1.0)
            if self.cheapest is None or useful > self.cheapest[0]:
                self.cheapest = useful, copy.deepcopy(model.state_dict())
            if trouble is None and useful >= self.content:
                self.ended = "forgotten"
                return True
        self._waited = 0 if self._progressed(look) or early else self._waited + 1
        if self._waited >= PATIENCE:
            self.ended = "no further progress"
        return self._waited >= PATIENCE

    def _progressed(self, look: dict[str, float]) -> bool:
        """Whether a look is nearer to the goal than every one before, by any of what is still missing.

        The share of D_f alone says too little at both ends: answers stay while their margin shrinks, and once all have changed,
        what is missing is utility, which the retained half of the losses wins back.
        """
        missing = {"forgotten": self.forgotten(look)}
        if missing["forgotten"] == 0:
            missing["utility"] = self.floor - look.get("utility", 1.0)
        elif math.isfinite(look.get("margin", math.inf)):
            missing["margin"] = look["margin"] / max(1.0, abs(self.margin_before))
        found = False
        for name, value in missing.items():
            if value < self._nearest.get(name, math.inf) - GAIN:
                self._nearest[name], found = value, True
        return found

    def restore_best(self, model: nn.Module) -> int | None:
        """Put the best look's weights back; its step, ``None`` where no look was good enough to keep."""
        if self.best is None:
            return None
        model.load_state_dict(self.best[2])
        return int(self.best[1]["step"]) if "step" in self.best[1] else None

    # -- for a checkpoint ---------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
        """All that it has seen and kept: weights by name, and the rest."""
        weights = {"best": self.best and self.best[2], "cheapest": self.cheapest and self.cheapest[1]}
        tensors = {f"{kept}.{name}": value for kept, state in weights.items() for name, value in (state or {}).items()}
        return tensors, {
            "seen": self.seen, "ended": self.ended, "nearest": self._nearest, "waited": self._waited,
            "best": self.best and list(self.best[:2]), "cheapest": self.cheapest and self.cheapest[0],
        }

    def go_on(self, tensors: dict[str, torch.Tensor], facts: dict) -> None:
        """Be as the watch was whose ``state`` this is."""
        def weights(kept: str) -> dict[str, torch.Tensor]:
            return {name.removeprefix(f"{kept}."): value for name, value in tensors.items() if name.startswith(f"{kept}.")}

        self.seen, self.ended = facts["seen"], facts["ended"]
        self._nearest, self._waited = facts["nearest"], facts["waited"]
        if facts["best"] is not None:
            self.best = (tuple(facts["best"][0]), facts["best"][1], weights("best"))
        if facts["cheapest"] is not None:
            self.cheapest = (facts["cheapest"], weights("cheapest"))
