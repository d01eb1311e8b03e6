"""Traces of unlearning: the same images before it, after its epochs, and at the point that is kept.

The loop is LAF's own (``laf.LAF.unlearn``), which shows its state after each epoch.
"""

from dataclasses import asdict, dataclass

import numpy as np
import torch

from ...adaptation import Adaptation, Teacher, schedule_of
from ...losses import drift
from ...models import Network
from ...representations import outputs
from ...run import TRAINED, Run
from ...settings.config import UnlearningConfig
from ...support.artefacts import Artefact, unprefixed
from ...support.definitions import code_version
from .shared import draw

FOLLOWED = 500  # images of each set: the standard error of an accuracy near 95 % is one point
LOOKS = 20  # at most, beside the one before and the last
SETS = {"forget": "D_f", "retain": "D_r", "test": "test"}


@dataclass(frozen=True)
class Trace:
    """The followed images before unlearning, after its epochs, and at the point that is kept."""

    # ``forget`` and ``retain`` to float16 [looks, n, 256]; the first look is the original
    representations: dict[str, torch.Tensor]
    logits: dict[str, torch.Tensor]  # set to float32 [looks, n, classes]
    labels: dict[str, torch.Tensor]  # set to int64 [n], those that count for Train_f, Train_r and Test
    classes: dict[str, torch.Tensor]  # set to int64 [n], the true ones
    # whole epochs before each look; where the stopping rule went back to an earlier point, that is the last look, and its epochs
    # are a fraction
    epochs: list[float]
    passed: list[int]  # images passed forward and backward until each look
    losses: dict[str, list[float]]  # ``ue`` and ``ra``, mean per step of each epoch

    @property
    def went_back(self) -> bool:
        """Whether the last look is an earlier point that the stopping rule went back to."""
        return len(self.epochs) > 1 and self.epochs[-1] < self.epochs[-2]

    def drift(self, part: str) -> np.ndarray:
        """c(x) = 1 - cos(g_U(x), g_D(x)), [looks, n]."""
        e = self.representations[part].float()
        return torch.stack([drift(now, e[0]) for now in e]).numpy()

    def length(self, part: str) -> np.ndarray:
        """Mean length of the representations, over the original's, [looks]."""
        lengths = self.representations[part].float().norm(dim=2).mean(1)
        return (lengths / lengths[0]).numpy()

    def agreement(self, part: str) -> np.ndarray:
        """Percent of images called as the original calls them, [looks]. Reads no label."""
        said = self.logits[part].argmax(2)
        return 100 * (said == said[0]).float().mean(1).numpy()

    def accuracy(self, part: str) -> np.ndarray:
        """Percent of images called by the label that counts, [looks]."""
        return 100 * (self.logits[part].argmax(2) == self.labels[part]).float().mean(1).numpy()


def followed_rows(run: Run) -> dict[str, torch.Tensor]:
    """int64 rows of the followed images: of the training set for D_f and D_r, of the test set for test."""
    everything = {"forget": run.task.forget, "retain": run.task.retain, "test": torch.arange(len(run.data.test.labels))}
    return {name: draw(rows, FOLLOWED, run.config.seed, "followed", name) for name, rows in everything.items()}


def followed_labels(run: Run, training: torch.Tensor) -> dict[str, torch.Tensor]:
    """Labels of the followed images by set: of these of the training images, and those of the test images."""
    return {name: (run.data.test.labels if name == "test" else training)[rows] for name, rows in followed_rows(run).items()}


def look(run: Run, model: Network) -> dict[str, torch.Tensor]:
    """Representations (half precision) and logits of the followed images, by name and set."""
    found: dict[str, torch.Tensor] = {}
    for name, rows in followed_rows(run).items():
        images = run.test_images if name == "test" else run.frozen_images
        output = outputs(model, images.for_evaluation().subset(rows), f"{name} followed")
        found |= {f"representations.{name}": output.representations.half().cpu(), f"logits.{name}": output.logits.cpu()}
    found.pop("representations.test")
    return found


def adaptation_of(run: Run, config: UnlearningConfig) -> Adaptation:
    """The state that unlearning starts from, with these settings of it."""
    own = run.procedure
    teacher = Teacher(own.represented.forget, own.represented.retain)
    return Adaptation(
        run.original, run.sets.forget, run.sets.retain, run.densities, config, run.config.seed, teacher, run.sets.watched
    )


def unlearn_and_look(run: Run) -> tuple[Network, Artefact]:
    """The run's unlearning with looks before it, after its epochs, and where the stopping rule went back; the network as well."""
    epochs_in_all = len(schedule_of(run.config.unlearning))
    every = -(-epochs_in_all // LOOKS)
    looks, epochs, passed = [look(run, run.original)], [0.0], [0]

    def after_epoch(state: Adaptation, epoch: int) -> None:
        if epoch % every == 0 or epoch == epochs_in_all or state.stopped:
            looks.append(look(run, state.student))
            epochs.append(state.steps / len(state.pairs()) if state.stopped else epoch)
            passed.append(state.images_passed)

    _ = run.densities
    result = run.procedure.unlearn(run.config.unlearning, after_epoch=after_epoch)
    if result.agreement:  # the rule went back to its best look, or kept the last weights where none was good enough
        share = result.steps / result.steps_taken
        looks.append(look(run, result.model))
        epochs.append(epochs[-1] * share)
        passed.append(round(passed[-1] * share))
    tensors = {name: torch.stack([look[name] for look in looks]) for name in looks[0]}
    facts = {"losses": {}, "looked": {"ue": result.loss_ue, "ra": result.loss_ra}, "epochs": epochs, "passed": passed}
    return result.model, Artefact(tensors, facts)


def follow(run: Run) -> Trace:
    """The trace of a run's unlearning, kept on disk like any other stage."""
    _ = run.densities
    content = run._method_content() | {
        "unlearning": asdict(run.config.unlearning), "followed": FOLLOWED, "looks": code_version((unlearn_and_look,), TRAINED),
    }
    kept = run.kept("trace", content, lambda: unlearn_and_look(run)[1])
    return Trace(
        unprefixed("representations", kept.tensors), unprefixed("logits", kept.tensors),
        followed_labels(run, run.task.train_labels), followed_labels(run, run.task.true_labels),
        kept.facts["epochs"], kept.facts["passed"], kept.facts["looked"],
    )
