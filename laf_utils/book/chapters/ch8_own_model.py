"""Chapter 8: classifiers that this project did not write, made small enough to be trained on the page, and what the watch saw."""

from dataclasses import dataclass, replace

import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import nn
from torchvision.models import resnet18
from torchvision.models.vision_transformer import VisionTransformer

from ... import datasets
from ...forgetting import Report
from ...forgetting.adapting import Adapted
from ...forgetting.adapting import adapted as as_logits
from ...forgetting.head import find_head
from ...images import Images, Transform
from ...settings.config import RunConfig, TrainingConfig
from ...settings.presets import adapted
from ...support import reading
from ...support.devices import resolve
from ...support.seeds import initialisation
from ...tasks import balanced_subset, make_task
from ...training import train
from ..base.style import COLOURS, FORGET, RETAIN, panels, styled

IMAGES = 1_200  # training images of profile ``quick``
RECIPES = {  # of profile ``quick``; ``paper`` trains on all images with the run's own epochs
    "ResNet-18": TrainingConfig(epochs=3, learning_rate=1e-3),
    "small ViT": TrainingConfig(epochs=6, learning_rate=1e-3),
}


@dataclass(frozen=True)
class Own:
    """The page's stand-in for a practitioner's own data: network inputs, and labels that ``forget`` never sees.

    Args:
        forget, retain, unseen: float32 [n, 3, side, side], pixels from -1 to 1.
        labels: int64 of ``forget`` and ``retain`` together, for training only; ``unseen_labels`` for accuracies only.
    """

    config: RunConfig
    data: datasets.Dataset
    pixels: torch.Tensor
    rows_forget: torch.Tensor
    rows_retain: torch.Tensor
    labels: torch.Tensor
    unseen: torch.Tensor
    unseen_labels: torch.Tensor

    @property
    def forget(self) -> torch.Tensor:
        return inputs(self.pixels[self.rows_forget]).to(resolve(self.config.device))

    @property
    def retain(self) -> torch.Tensor:
        return inputs(self.pixels[self.rows_retain]).to(resolve(self.config.device))


def inputs(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 [n, 1 or 3, side, side] to float32 [n, 3, side, side] between -1 and 1; grey images three times over."""
    x = pixels.float() / 127.5 - 1
    return x.expand(-1, 3, -1, -1).contiguous()


def own_data(config: RunConfig, fallback: str | None = None) -> Own:
    """The request of the page's parameters on the training images, and unseen images from the test set."""
    data = datasets.load(config.dataset, fallback=fallback)
    config = adapted(config, data.name) if data.is_fallback else config
    images, labels, test = data.train.images, data.train.labels, data.test
    if config.profile == "quick" and len(labels) > IMAGES:
        rows = balanced_subset(labels, IMAGES, data.num_classes, config.seed)
        images, labels = images[rows], labels[rows]
        test = replace(test, images=test.images[:IMAGES], labels=test.labels[:IMAGES])
    task = make_task(
        config.task, labels, classes=data.num_classes, seed=config.seed, forget_classes=config.forget_classes
    )
    unseen = inputs(test.images).to(resolve(config.device))
    return Own(config, data, images, task.forget, task.retain, task.train_labels, unseen, test.labels)


def patch_of(side: int) -> int:
    """Pixels of a ViT's patch: seven or eight patches in a row."""
    return side // 7 if side % 7 == 0 else side // 8


def classifier(name: str, own: Own) -> nn.Module:
    """A torchvision model as it comes, trained on all the images: ``ResNet-18`` or ``small ViT``."""
    side, classes = own.pixels.shape[-1], own.data.num_classes
    shape = {"num_layers": 2, "num_heads": 4, "hidden_dim": 64, "mlp_dim": 128, "num_classes": classes}
    with initialisation(own.config.seed, name):
        model = resnet18(num_classes=classes) if name == "ResNet-18" else VisionTransformer(side, patch_of(side), **shape)
    return trained(model, own, name)


def trained(model: nn.Module, own: Own, name: str, logits: str = "") -> nn.Module:
    """The model, trained on all the images; ``logits``: the attribute of its output that holds them, where it has one."""
    device = resolve(own.config.device)
    images = Images(own.pixels.expand(-1, 3, -1, -1).to(device), Centred())
    recipe = RECIPES.get(name, RECIPES["small ViT"]) if own.config.profile == "quick" else own.config.training
    model = model.to(device)
    train(Adapted(model, logits) if logits else model, images, own.labels, recipe, seed=own.config.seed, stage=name)
    return model


@dataclass(frozen=True)
class Centred(Transform):
    """uint8 pixels to -1..1 for training, as ``inputs`` has them."""

    def __call__(self, pixels: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        return pixels.float() / 127.5 - 1


def caveats(own: Own) -> list[str]:
    """What a reader must know before believing a number of this page."""
    found = []
    if own.data.is_fallback:
        found.append(f"FALLBACK: {own.data.requested} could not be had, these are {own.data.name}.")
    if own.config.profile == "quick":
        found.append(f"Profile quick: {len(own.labels):,} training images and a few epochs. A demonstration with weak models.")
    return found


def mistakes(model: nn.Module, own: Own) -> dict[str, dict[str, object]]:
    """Requests that are refused, by what is wrong with them."""
    forget, retain = own.forget, own.retain
    return {
        "nothing to forget": {"model": model, "forget": forget[:0], "retain": retain},
        "an image in both sets": {"model": model, "forget": forget, "retain": torch.cat([retain, forget[:1]])},
        "no linear head": {"model": nn.Sequential(model, nn.Softmax(1)), "forget": forget, "retain": retain},
        "pixels without a transform": {"model": model, "forget": own.pixels[own.rows_forget], "retain": retain},
    }


def representations_found(models: dict[str, nn.Module], own: Own) -> str:
    """One line for each model: the layer that gives the logits, and the width of the representation."""
    heads = {name: (model, find_head(model, own.unseen[:2])) for name, model in models.items()}
    return "\n".join(f"{name}: head {head}, representation {model.get_submodule(head).in_features} wide"
                     for name, (model, head) in heads.items())


@torch.no_grad()
def accuracies(models: dict[str, nn.Module], own: Own) -> dict[str, dict[str, float]]:
    """Percent of the test images of kept and of removed classes that each model gets right."""
    removed = torch.tensor(own.config.forget_classes if own.config.task == "class" else ())
    gone, found = torch.isin(own.unseen_labels, removed), {}
    for name, model in models.items():
        network = as_logits(model.eval(), own.unseen[:2])
        hit = torch.cat([network(x).argmax(1).cpu() for x in own.unseen.split(500)]) == own.unseen_labels
        found[name] = {"Test_r": 100 * hit[~gone].float().mean().item()}
        if gone.any():
            found[name]["Test_f"] = 100 * hit[gone].float().mean().item()
    return found


def counted(report: Report) -> pd.DataFrame:
    """How many images a report is about, of each kind."""
    images = report.content["images"] | {"near-copies": report.content["images"]["near_copies"]["found"]}
    counts = {name.replace("_", " "): f"{value:,}" for name, value in images.items() if isinstance(value, int)}
    return pd.DataFrame([counts], index=["images"])


def looks_finding(reports: dict[str, Report]) -> str:
    """After how many looks and steps each run ended, and which panel of ``watched`` is a single point for that reason."""
    said = []
    for name, report in reports.items():
        last = report.content["attempts"][-1]
        looks = last["looks"]
        step = f" at step {looks[-1]['step']:.0f}" if looks and "step" in looks[-1] else ""
        point = ", so its panel is a single point" if len(looks) == 1 else ""
        said.append(f"{name} ends after {reading.counted(len(looks), 'look')}{step} ({last['ended']}){point}.")
    return "**Seen:** " + " ".join(said)


@styled
def watched(reports: dict[str, Report]) -> Figure:
    """What the watch saw in the last attempt, one panel for each model: utility, and what is left of the forget set."""
    figure, axes = panels(1, len(reports), 2.8, sharey=True)
    for axis, (name, report) in zip(axes[0], reports.items(), strict=True):
        looks = report.content["attempts"][-1]["looks"]
        key = "named" if looks and "named" in looks[0] else "forget"
        steps = [look.get("step", 0) for look in looks]
        axis.plot(steps, [100 * look.get("utility", float("nan")) for look in looks], color=RETAIN, marker="o", label="utility")
        left = {"named": "forget set, removed class", "forget": "forget set, agreement"}[key]
        axis.plot(steps, [100 * look.get(key, float("nan")) for look in looks], color=FORGET, marker="o", label=left)
        axis.axhline(100 * report.content["options"]["floor"], color=COLOURS["original"], linestyle=":", label="utility floor")
        axis.set(title=name, xlabel="step", xlim=(-1, max(steps, default=0) + 2))
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes[0][0].set_ylabel("%")
    axes[0][-1].legend(fontsize=8)
    return figure
