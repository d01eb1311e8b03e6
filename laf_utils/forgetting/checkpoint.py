"""What a long call has done so far, in a folder of the user's: stages that are finished, and the adaptation on its way.

A call that is made again with the same model, images and settings takes what is there and goes on from it, bit for bit as if it
had never stopped; another call is refused. When the request is done the files are taken away: they hold what the original
knew of the forgotten images.
"""

import hashlib
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..adaptation import Adaptation
from ..losses import Densities
from ..settings.config import VAEConfig
from ..support import artefacts
from ..support.artefacts import Artefact, prefixed, unprefixed
from ..support.devices import precision
from ..support.paths import NAME
from ..support.seeds import initialisation
from ..vae import RepresentationVAE
from .options import MINUTES
from .refusal import Refused
from .watch import Watch
from .workers import first, from_first, shared


class Checkpoint:
    """The state of one call.

    Args:
        folder: of its files; ``None``: nothing is kept.
        request: what the call is, by part: model, images, settings, versions.
        minutes: between saves of an adaptation; 0 saves at every step.
        dry: only looks whether the folder may be used.

    Raises:
        Refused: ``other_checkpoint``: the folder holds another call's state.
    """

    def __init__(
        self, folder: Path | None = None, request: dict[str, str] | None = None, minutes: float = MINUTES, *, dry: bool = False
    ) -> None:
        self.folder, self.request, self._every = folder, request or {}, 60 * minutes
        self._attempts, self._last = 0, time.monotonic()
        if folder is not None:
            self._begin(dry)

    def _begin(self, dry: bool) -> None:
        known = self.find("request", say=lambda line: None)
        if known is None:
            if not dry:
                self.keep("request", {}, self.request)
        elif known.facts != self.request:
            parts = ", ".join(name for name in self.request if known.facts.get(name) != self.request[name]) or "a part"
            raise Refused(
                "other_checkpoint", f"{self.folder} holds the checkpoint of another call ({parts} differ): make that call "
                "again to finish it, or give another folder",
            )

    def _content(self, stage: str) -> dict[str, Any]:
        return {} if stage == "request" else {"request": self.request}

    def find(self, stage: str, say: Callable[[str], None] = warnings.warn) -> Artefact | None:
        """What an earlier run of this call has kept of a stage."""
        if (folder := self.folder) is None:
            return None
        return from_first(lambda: artefacts.load(folder, stage, self._content(stage), say=say))

    def keep(self, stage: str, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
        """Write a stage; the first of several processes does."""
        if self.folder is not None and first():
            own = {name: value.detach().cpu().clone() for name, value in tensors.items()}  # some share memory
            artefacts.save(self.folder, stage, self._content(stage), Artefact(own, facts))

    def due(self) -> bool:
        """Whether it is time to save again."""
        if self.folder is None or not first() or time.monotonic() - self._last < self._every:
            return False
        self._last = time.monotonic()
        return True

    def next_attempt(self) -> str:
        """The stage of the next adaptation: they follow each other alike in every run of a call."""
        self._attempts += 1
        return f"attempt-{self._attempts}"

    def clear(self) -> None:
        """Take this call's files away."""
        if self.folder is None or not first():
            return
        for path in self.folder.glob("*-*.safetensors"):
            if path.name.startswith(("request-", "densities-", "attempt-", "method-", "student-")):
                path.unlink()


def identity(model: str, digests: Iterable[bytes], settings: object) -> dict[str, str]:
    """What a call is, by part.

    Args:
        digests: of the images that it works with, in their order.
        settings: whatever else it hangs on, as something whose ``repr`` says it.
    """
    images = hashlib.sha256(b"".join(digests)).hexdigest()
    asked = hashlib.sha256(repr(settings).encode()).hexdigest()
    return {"model": model, "images": images, "settings": asked, "versions": f"{NAME} {__version__}, torch {torch.__version__}"}


def fitted(checkpoint: Checkpoint, laf: Any, config: VAEConfig, device: torch.device) -> None:
    """h and h_f of a procedure: fitted and kept, or as they were kept."""
    found = checkpoint.find("densities")
    if found is None:
        tensors = {key: value for name in ("h", "h_f")
                   for key, value in prefixed(name, getattr(laf.densities, name).state_dict().items()).items()}
        checkpoint.keep("densities", tensors, {})
        return
    vaes = {}
    for name in ("h", "h_f"):
        state = unprefixed(name, found.tensors)
        with initialisation(0, "loaded"):  # overwritten by the next line
            vaes[name] = RepresentationVAE(config, len(state["centre"])).to(device).eval().requires_grad_(False)
        vaes[name].load_state_dict(state)
    laf.densities = Densities(**vaes)


class Carried(Adaptation):
    """LAF's adaptation with its passes shared out among processes, saved on its way, and gone on with where it was.

    Args:
        checkpoint, stage: where it is saved.
        arguments: what ``Adaptation`` takes.
    """

    def __init__(self, checkpoint: Checkpoint, stage: str, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.checkpoint, self.stage = checkpoint, f"{stage}-running"
        self.watch: Any = self.rule  # a ``Watch``: no run is carried without one
        self.number = self.taken = self._skip = self._epochs = 0  # the epoch, its pairs so far; pairs and epochs behind us
        self._order, self._leads = self.order.get_state(), ""
        found = checkpoint.find(self.stage)
        if found is not None:
            self._go_on(found)
        self.extractor = shared(self.student.extractor, trained=True)

    def represent(self, inputs: torch.Tensor, count_retain: int) -> tuple[torch.Tensor, torch.Tensor]:
        with precision(inputs.device, self.config.precision):
            e = self.extractor(inputs)
        return e[:count_retain].float(), e[count_retain:].float()

    # -- position -----------------------------------------------------------------------------------------------------------

    def epoch(self, losses: list[str], bar: Any) -> dict[str, float]:
        self.number += 1
        if self.number <= self._epochs:
            return {}
        if self.number == self._epochs + 1 and self._skip:
            self.order.set_state(self._order)
        self._order, self._leads, self.taken = self.order.get_state(), losses[0], 0
        return super().epoch(losses, bar)

    def pairs(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        found = super().pairs()
        if not self._leads:  # the length alone is asked for
            return found
        self.taken, self._skip = self._skip, 0
        return found[self.taken :]

    def _step(self, name: str, inputs: torch.Tensor, rows: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        if name == self._leads:
            if self.checkpoint.due():
                self._save()
            self.taken += 1
        return super()._step(name, inputs, rows)

    # -- state --------------------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        tensors, facts = self.watch.state()
        tensors |= prefixed("student", self.student.state_dict().items())
        for name in ("adam_ue", "adam_ra"):
            for place, state in getattr(self, name).state_dict()["state"].items():
                tensors |= prefixed(f"{name}.{place}", state.items())
        tensors |= {"order": self._order, "noise": self.noise.get_state()}
        facts |= {"epochs": self.number - 1, "pairs": self.taken, "steps": self.steps, "images_passed": self.images_passed}
        self.checkpoint.keep(self.stage, tensors, facts)

    def _go_on(self, found: Artefact) -> None:
        facts, tensors = found.facts, found.tensors
        self.student.load_state_dict(unprefixed("student", tensors))
        for name in ("adam_ue", "adam_ra"):
            self._put_back(getattr(self, name), unprefixed(name, tensors))
        self._order = tensors["order"]
        self.noise.set_state(tensors["noise"])
        self._epochs, self._skip = facts["epochs"], facts["pairs"]
        self.steps, self.images_passed = facts["steps"], facts["images_passed"]
        self.watch.go_on(tensors, facts)

    @staticmethod
    def _put_back(optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
        """Its moments, in the memory layout of their parameters: Adam's fused steps take both as they lie."""
        whole, states = optimiser.state_dict(), {}
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        for place, parameter in enumerate(parameters):
            state = unprefixed(str(place), tensors)
            for name, value in state.items():
                if value.shape == parameter.shape and value.ndim:
                    state[name] = torch.zeros_like(parameter).copy_(value)
            if state:
                states[place] = state
        optimiser.load_state_dict({"state": states, "param_groups": whole["param_groups"]})


def restored(checkpoint: Checkpoint, stage: str, watch: Watch) -> bool:
    """Whether an attempt was finished by an earlier run of this call; the watch then knows what it saw."""
    found = checkpoint.find(stage)
    if found is not None:
        watch.go_on(found.tensors, found.facts)
    return found is not None
