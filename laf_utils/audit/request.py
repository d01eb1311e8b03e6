"""What an audit of the representation looks at: the models of one request, and samples of the images whose kinds it compares."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch

from ..images import Images
from ..models import Network
from ..settings.config import TrainingConfig
from ..support.seeds import stream
from ..tasks import ForgetTask
from .layers import LOGITS, REPRESENTATION, layer_features

ORIGINAL, RETRAINED, AGAIN = "original", "retrained", "retrained_again"
REFERENCES = (ORIGINAL, RETRAINED, AGAIN)
LIMIT, LEARN = 1_000, 3_000  # images of each kind that are compared; training images that a class probe learns from
PARTS = ("learn", "forget", "retain", "test_forget", "test_retain")


class LabelsNotDeclared(RuntimeError):
    """An audit that says it reads no labels has asked for them."""


@dataclass(frozen=True)
class Labels:
    """Labels of the sampled images, int64 [n] by part, and of all training images."""

    true: Mapping[str, torch.Tensor]  # as they came
    trained: Mapping[str, torch.Tensor]  # those the original was trained on; they differ for noisy-label removal only
    every: torch.Tensor


@dataclass(frozen=True)
class AuditRequest:
    """The models of one request, what it forgets, and the images that are compared.

    Parts: ``learn``: training images of all classes; ``forget``: of D_f; ``test_forget``: test images of the forgotten images'
    true classes; ``retain``: of D_r, and ``test_retain``: test images, both of the classes that the request forgets in, or of the
    kept classes where whole classes go. Images of ``forget`` against ``test_forget``, and of ``retain`` against ``test_retain``,
    differ in whether they were trained on, not in their class.
    """

    models: Mapping[str, Network]  # by name; ``original``, ``retrained`` and ``retrained_again`` (another seed) among them
    task_name: str  # ``data``, ``class`` or ``noisy``
    forget_classes: tuple[int, ...]  # that disappear as a whole, else empty
    images: Mapping[str, Images]  # by part
    all_forget: Images  # all images of D_f and D_r, with training transforms
    all_retain: Images  # likewise
    training: TrainingConfig  # settings of one of the models' trainings; fine-tuning takes its rate and batch
    classes: int  # number of classes
    seed: int  # names every draw
    known_labels: Labels | None
    forget_rows: torch.Tensor
    retain_rows: torch.Tensor
    _features: dict[tuple[str, str], dict[str, torch.Tensor]] = field(default_factory=dict, repr=False)

    @property
    def labels(self) -> Labels:
        """Labels of the images.

        Raises:
            LabelsNotDeclared: to an audit that does not declare that it reads labels.
        """
        if self.known_labels is None:
            raise LabelsNotDeclared("this audit is declared to read no labels: set reads_labels where it needs them")
        return self.known_labels

    def without_labels(self) -> "AuditRequest":
        """The same request, its labels out of reach; what was computed is shared."""
        return replace(self, known_labels=None)

    def features(self, model: str, part: str) -> dict[str, torch.Tensor]:
        """float32 [n, width] by layer, on the CPU; computed once."""
        key = (model, part)
        if key not in self._features:
            self._features[key] = layer_features(self.models[model], self.images[part])
        return self._features[key]

    def representations(self, model: str, part: str) -> torch.Tensor:
        """float32 [n, width]."""
        return self.features(model, part)[REPRESENTATION]

    def logits(self, model: str, part: str) -> torch.Tensor:
        """float32 [n, classes]."""
        return self.features(model, part)[LOGITS]

    def probabilities(self, model: str, part: str) -> torch.Tensor:
        """float32 [n, classes], softmax."""
        return self.logits(model, part).softmax(1)


def audit_request(
    models: Mapping[str, Network], task: ForgetTask, train: Images, test: Images, test_labels: torch.Tensor,
    training: TrainingConfig, *, seed: int, limit: int = LIMIT, learn: int = LEARN,
) -> AuditRequest:
    """The request, with its images drawn.

    Args:
        models: by name; the three references among them.
        train, test: all training images with training transforms, and all test images.
        test_labels: int64 [n].
        training: how the request's models were trained.
        seed: names every draw.
        limit: images of each kind that are compared.
        learn: training images that class probes learn from, as many of each class as there are.

    Raises:
        ValueError: a reference is missing, or a kind has no image.
    """
    missing = [name for name in REFERENCES if name not in models]
    if missing:
        raise ValueError(f"the audit compares with models that are missing: {', '.join(missing)}")
    test_labels, true = test_labels.cpu(), task.true_labels
    concerned = torch.isin(test_labels, true[task.forget].unique())
    compared = task.is_kept_class if task.forget_classes else lambda labels: torch.isin(labels, true[task.forget].unique())
    rows = {
        "learn": _balanced(true, learn, seed),
        "forget": _drawn(task.forget, limit, seed, "forget"),
        "retain": _drawn(task.retain[compared(true[task.retain])], limit, seed, "retain"),
        "test_forget": _drawn(concerned.nonzero().squeeze(1), limit, seed, "test_forget"),
        "test_retain": _drawn(compared(test_labels).nonzero().squeeze(1), limit, seed, "test_retain"),
    }
    empty = [part for part in PARTS if not len(rows[part])]
    if empty:
        raise ValueError(f"no image to compare in {', '.join(empty)}")
    of_test = {part: part.startswith("test") for part in PARTS}
    known, trained = (
        {part: (test_labels if of_test[part] else own)[rows[part]] for part in PARTS} for own in (true, task.train_labels)
    )
    images = {part: (test if of_test[part] else train).subset(rows[part]) for part in PARTS}
    return AuditRequest(
        models, task.name, task.forget_classes, images, train.subset(task.forget), train.subset(task.retain), training,
        1 + int(max(true.max(), test_labels.max())), seed, Labels(known, trained, task.train_labels), task.forget, task.retain,
    )


def _drawn(rows: torch.Tensor, limit: int, seed: int, name: str) -> torch.Tensor:
    return rows[torch.randperm(len(rows), generator=stream(seed, "audit", name))[:limit]]


def _balanced(labels: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Rows of the same number of images of each class, as far as there are."""
    order = torch.randperm(len(labels), generator=stream(seed, "audit", "learn"))
    classes = labels.unique()
    return torch.cat([order[labels[order] == label][: max(1, count // len(classes))] for label in classes])
