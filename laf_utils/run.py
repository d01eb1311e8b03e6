"""The stages of a run, each computed once: index sets, original, retrained, VAEs, unlearning, repair, evaluation.

A stage asks for what it needs, so any of them can be asked for first. What was computed is kept on disk under the name of
everything it depends on (``artefacts``) and taken from there next time, which is always said.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path

import torch

from . import datasets
from .images import Images, Transform
from .laf import LAF, Sets, labelled_rows, repair
from .losses import Densities
from .models import Architecture, Network
from .settings.config import ConfigError, RunConfig
from .settings.presets import adapted
from .support import artefacts
from .support.artefacts import Artefact, prefixed, unprefixed
from .support.beside import pays, side_by_side
from .support.definitions import NO_NUMBERS, code_version
from .support.devices import describe, resolve, synchronise
from .support.extras import require
from .support.keys import content_key
from .support.paths import runs_folder
from .support.seeds import initialisation
from .tasks import ForgetTask, balanced_subset, make_task
from .training import train
from .vae import RepresentationVAE

NETWORKS = ("original", "retrained", "retrain_again", "unlearning", "repair")  # stages whose artefact is a whole network


class Run:
    """One run of a configuration. ``say`` receives a line whenever a stage is done or taken from disk.

    Args:
        config: its settings. Where the ``fallback`` set had to be used, ``config`` becomes that set's.
        data: images and labels; ``None``: of ``config.dataset``. The keys of artefacts take its checksum.
        task: the forget request on those images; ``None``: as ``config`` asks.

    Raises:
        ConfigError: a class that the data set does not have.
        laf_utils.datasets.errors.DataError: images that cannot be had or are corrupt.
    """

    def __init__(
        self, config: RunConfig, *, data: datasets.Dataset | None = None, task: ForgetTask | None = None,
        fallback: str | None = None, folder: Path | None = None, say: Callable[[str], None] = print,
    ) -> None:
        self.data = datasets.load(config.dataset, fallback=fallback) if data is None else data
        self.config = adapted(config, self.data.name) if self.data.is_fallback else config
        self.say = say
        self.folder = folder or runs_folder()
        self.device = resolve(config.device)
        if self.config.backbone == "resnet18":
            require("torchvision")
        self.seconds: dict[str, float] = {}
        self.reused: dict[str, bool] = {}
        self.losses: dict[str, list[float]] = {}
        self.facts: dict[str, dict] = {}
        if task is not None:
            self.task = task

    # -- what goes in ------------------------------------------------------------------------------------------------

    @cached_property
    def train_set(self) -> datasets.ImageSet:
        """The training images used, with their true labels."""
        full, limit = self.data.train, self.config.images
        if limit is None or limit >= len(full.labels):
            return full
        rows = balanced_subset(full.labels, limit, self.data.num_classes, self.config.seed)
        return datasets.ImageSet(full.images[rows], full.labels[rows])

    @cached_property
    def task(self) -> ForgetTask:
        """The forget request."""
        start = time.perf_counter()
        try:
            task = make_task(
                self.config.task, self.train_set.labels, classes=self.data.num_classes, seed=self.config.seed,
                forget_classes=self.config.forget_classes, all_wrong_labels=self.config.all_wrong_labels,
            )
        except ValueError as error:
            raise ConfigError(f"{self.data.name}: {error}") from error
        self.seconds["index_sets"], self.reused["index_sets"] = time.perf_counter() - start, False
        return task

    @cached_property
    def architecture(self) -> Architecture:
        return Architecture(self.config.backbone, self.data.channels, self.data.size, self.data.num_classes)

    @cached_property
    def train_images(self) -> Images:
        """The training images with training transforms."""
        t = self.config.transforms
        return Images(self.train_set.images.to(self.device), Transform(t.resize, t.normalise, t.augment, t.crop))

    @cached_property
    def frozen_images(self) -> Images:
        """The training images as everything after training sees them: with evaluation transforms, or as published."""
        return self.train_images if self.config.transforms.augment_everywhere else self.train_images.for_evaluation()

    @cached_property
    def test_images(self) -> Images:
        return Images(self.data.test.images.to(self.device), self.train_images.transform.for_evaluation())

    @cached_property
    def sets(self) -> Sets:
        """The images that unlearning uses, and those that its stopping rule watches."""
        task, ratio = self.task, self.config.unlearning.retain_ratio
        return Sets.of(self.frozen_images, task.forget, task.retain, ratio=ratio, seed=self.config.seed)

    @cached_property
    def procedure(self) -> LAF:
        """LAF of the original and this request; what it computes, it keeps in memory."""
        return LAF(self.original, self.sets, self.config.vae, seed=self.config.seed)

    # -- stages ------------------------------------------------------------------------------------------------------

    def _placed(self, stage: str, content: dict) -> dict:
        """The whole key of a stage's artefact."""
        return {"device": self.device.type} | content | {"stage": stage}

    def holds(self, stage: str, content: dict) -> bool:
        """Whether a stage's artefact is on disk."""
        return artefacts.exists(self.folder / "artefacts", stage, self._placed(stage, content))

    def keep(self, stage: str, content: dict, computed: Artefact) -> None:
        """Put what was computed elsewhere where ``kept`` finds it."""
        artefacts.save(self.folder / "artefacts", stage, self._placed(stage, content), computed)

    def _like(self, stage: str) -> dict[str, torch.Tensor] | None:
        """Tensors with the names, shapes and types of a stage's artefact; ``None`` of a stage of another room."""
        with initialisation(self.config.seed, "like", stage):
            if stage == "vae":
                vae = RepresentationVAE(self.config.vae).state_dict()
                return prefixed("h", vae.items()) | prefixed("h_f", vae.items())
            if stage in NETWORKS:
                return dict(self.architecture.build(self.config.seed, stage, torch.device("cpu")).state_dict())
        return None

    def kept(self, stage: str, content: dict, compute: Callable[[], Artefact]) -> Artefact:
        """The artefact of a stage, from disk or computed, timed and kept."""
        content = self._placed(stage, content)
        found = artefacts.load(
            self.folder / "artefacts", stage, content, like=self._like(stage), needs=("seconds", "losses"), say=self.say
        )
        self.reused[stage] = found is not None
        if found is None:
            start = time.perf_counter()
            computed = compute()
            synchronise(self.device)
            measured = {"seconds": time.perf_counter() - start, "threads": torch.get_num_threads()}
            found = Artefact(computed.tensors, computed.facts | measured | {"machine": describe(self.device)})
            artefacts.save(self.folder / "artefacts", stage, content, found)
            self.say(f"{stage}: {found.facts['seconds']:.1f} s")
        else:
            self.say(f"{stage}: taken from disk (computed earlier in {found.facts['seconds']:.1f} s)")
        self.seconds[stage] = found.facts["seconds"]
        self.losses |= found.facts["losses"]
        self.facts[stage] = found.facts
        return found

    def _training_content(self, rows: str) -> dict:
        labels = self.task.train_labels if rows == "all" else self.task.train_labels[self.task.retain]
        return {
            "data": self.data.checksum,
            "images": self.config.images if len(self.train_set.labels) < len(self.data.train.labels) else None,
            "labels": content_key({"labels": labels.tolist()}),
            "rows": "all" if rows == "all" else self.task.checksum(),
            "architecture": asdict(self.architecture),
            "training": self.config.as_dict()["training"],
            "transforms": self.config.as_dict()["transforms"] | {"augment_everywhere": None},  # of no effect in training
            "seed": self.config.seed,
            "code": training_code(),
        }

    def _build(self, stage: str) -> Network:
        return self.architecture.build(self.config.seed, stage, self.device)

    def _trained(self, stage: str, model: Network) -> Network:
        rows = None if stage == "original" else self.task.retain

        def compute() -> Artefact:
            images = self.train_images if rows is None else self.train_images.subset(rows)
            labels = self.task.train_labels if rows is None else self.task.train_labels[rows]
            losses = train(model, images, labels, self.config.training, seed=self.config.seed, stage=stage)
            return Artefact(dict(model.state_dict()), {"losses": {stage: losses}})

        kept = self.kept(stage, self._training_content("all" if rows is None else "retain"), compute)
        model.load_state_dict(kept.tensors)
        return model.eval()

    @cached_property
    def original(self) -> Network:
        """g_D, trained on all of D."""
        return self._trained("original", self._build("original"))

    @cached_property
    def retrained(self) -> Network:
        """g_r, trained from scratch on D_r: the goal."""
        return self._trained("retrained", self._build("retrained"))

    def train_both(self) -> tuple[Network, Network]:
        """Original and retrained; at the same time where neither is known yet and the processor has threads to share out."""
        stages = {"original": "all", "retrained": "retain"}
        known = any(stage in vars(self) or self.holds(stage, self._training_content(rows)) for stage, rows in stages.items())
        if not known and pays(self.device):
            self.say("original and retrained: trained at the same time")
            models = {stage: self._build(stage) for stage in stages}  # here: drawing touches the process's random state
            _ = self.train_images
            self.original, self.retrained = side_by_side(
                lambda: self._trained("original", models["original"]),
                lambda: self._trained("retrained", models["retrained"]),
                models["retrained"],
            )
        return self.original, self.retrained

    def _method_content(self) -> dict:
        return self._training_content("all") | {
            "task": self.task.checksum(),
            "vae": asdict(self.config.vae),
            "augment_everywhere": self.config.transforms.augment_everywhere,
            "retain_ratio": self.config.unlearning.retain_ratio if self.config.vae.fit_h_on == "retain" else None,
            "method_code": method_code(),
        }

    @cached_property
    def densities(self) -> Densities:
        """The VAEs h and h_f."""
        _ = self.original  # its time is its own stage's

        def compute() -> Artefact:
            fitted = self.procedure.densities
            tensors = prefixed("h", fitted.h.state_dict().items()) | prefixed("h_f", fitted.h_f.state_dict().items())
            return Artefact(tensors, {"losses": self.procedure.losses})

        kept = self.kept("vae", self._method_content(), compute)
        vaes = {}
        for name in ("h", "h_f"):
            with initialisation(self.config.seed, "vae", "loaded", "initialisation"):  # overwritten by the next line
                vaes[name] = RepresentationVAE(self.config.vae).to(self.device).eval().requires_grad_(False)
            vaes[name].load_state_dict(unprefixed(name, kept.tensors))
        self.procedure.densities = Densities(**vaes)
        return self.procedure.densities

    def _unlearn(self) -> Artefact:
        result = self.procedure.unlearn(self.config.unlearning)
        facts = {
            "losses": {"loss_ue": result.loss_ue, "loss_ra": result.loss_ra},
            "steps": result.steps, "images_passed": result.images_passed, "images_watched": result.images_watched,
            "agreement": result.agreement,
        }
        return Artefact(dict(result.model.state_dict()), facts)

    @cached_property
    def laf(self) -> Network:
        """g_U, unlearned without labels."""
        _ = self.densities
        content = self._method_content() | {"unlearning": asdict(self.config.unlearning)}
        kept = self.kept("unlearning", content, self._unlearn)
        self.procedure.drop_representations()
        return self._with_weights(kept)

    @cached_property
    def laf_r(self) -> Network:
        """LAF+R: the classifier repaired with labels of retained images."""
        laf = self.laf

        def compute() -> Artefact:
            rows = self.task.retain
            if self.config.repair.labelled_share < 1:  # the same images as every other method that is told a few labels
                rows = rows[labelled_rows(len(rows), self.config.repair.labelled_share, self.config.seed)]
            config = replace(self.config.repair, labelled_share=1.0)
            model, losses = repair(
                laf, self.train_images.subset(rows), self.task.train_labels[rows], config, seed=self.config.seed,
                forget=len(self.task.forget),
            )
            return Artefact(dict(model.state_dict()), {"losses": {"repair": losses}})

        content = self._method_content() | {"unlearning": asdict(self.config.unlearning)}
        content |= {"repair": self.config.as_dict()["repair"], "repair_code": repair_code()}
        return self._with_weights(self.kept("repair", content, compute))

    def _with_weights(self, kept: Artefact) -> Network:
        model = self.architecture.build(self.config.seed, "original", self.device)
        model.load_state_dict(kept.tensors)
        return model.eval()

    def models(self) -> dict[str, Network]:
        """All four, computed as needed, by their names in records."""
        original, retrained = self.train_both()
        return {"original": original, "retrained": retrained, "laf": self.laf, "laf_r": self.laf_r}


TRAINED = frozenset(NO_NUMBERS) | {"run.Run.original", "run.Run.retrained", "training"}  # named by ``training_code``
_TRAINING = (train, Architecture, Architecture.build, Images, Images.subset, Transform, balanced_subset)
_METHOD = (Run.sets, Run.procedure, Run.densities, Run._unlearn)
_REPAIR = (repair, labelled_rows)


def training_code() -> str:
    """Names the code that trains the original and the retrained model."""
    return code_version(_TRAINING)


def method_code() -> str:
    """Names the code that fits the VAEs and unlearns."""
    return code_version(_METHOD, TRAINED)


def repair_code() -> str:
    """Names the code of LAF+R's repair."""
    return code_version(_REPAIR, TRAINED)
