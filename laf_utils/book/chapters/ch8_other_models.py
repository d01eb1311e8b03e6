"""Chapter 8: a model of Hugging Face's kind, class names as a head, and requests as they come."""

import copy
import importlib.util
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from ...forgetting import Policy, Queue, ZeroShot
from ...forgetting.adapting import Adapted, adapted
from ...forgetting.head import find_head, split
from ...support.devices import resolve
from ...support.seeds import initialisation
from .ch8_own_model import Own, inputs, patch_of, trained

WIDTH = 64
SIZE, DAYS, OF_EACH = 15, 30, 5  # of the queue: images that make it due, days that a request waits; images of a request


class StandIn(nn.Module):
    """A ViT with the names and the output of transformers' ``ViTForImageClassification``, where that is not installed."""

    def __init__(self, side: int, patch: int, classes: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, patch, patch)
        self.places = nn.Parameter(0.02 * torch.randn(1, (side // patch) ** 2, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 2 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True)
        self.vit = nn.TransformerEncoder(layer, 2, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.classifier = nn.Linear(WIDTH, classes)

    def forward(self, pixel_values: torch.Tensor) -> SimpleNamespace:
        tokens = self.patches(pixel_values).flatten(2).transpose(1, 2) + self.places
        return SimpleNamespace(logits=self.classifier(self.vit(tokens).mean(1)))


def hugging_face_vit(own: Own) -> tuple[nn.Module, str]:
    """A ViT from a configuration, trained on all the images; nothing is fetched. And who made it."""
    side, classes = own.pixels.shape[-1], own.data.num_classes
    patch = patch_of(side)
    made = "transformers is not installed: a stand-in with its names and its kind of output"
    with initialisation(own.config.seed, "Hugging Face"):
        if importlib.util.find_spec("transformers") is None:
            model: nn.Module = StandIn(side, patch, classes)
        else:
            warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, of a bar that is not drawn; it names folders
            transformers: Any = importlib.import_module("transformers")  # whose configurations take more than their types say
            made = f"transformers {transformers.__version__}, ViTForImageClassification from a configuration"
            model = transformers.ViTForImageClassification(transformers.ViTConfig(
                image_size=side, patch_size=patch, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4,
                intermediate_size=2 * WIDTH, num_labels=classes, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
            ))
    return trained(model, own, "Hugging Face", "logits").eval(), made


def form(model: nn.Module, own: Own) -> str:
    """Where a model keeps its logits and its representation, as ``forget`` finds it."""
    x = own.unseen[:2]
    network = adapted(model, x)
    head = find_head(network, x)
    with torch.no_grad():
        width = split(network, head, x).extractor(x).shape[1]
    kept = "a tensor" if network is model else f".{network.pick}" if isinstance(network, Adapted) else "another form"
    return f"logits in {kept}, head {head}, representation {width} wide"


# -- class names as a head --------------------------------------------------------------------------------------------


@torch.no_grad()
def clip_like(model: nn.Module, own: Own, scale: float = 20.0) -> ZeroShot:
    """A ResNet without its head as image tower; in place of text features the mean features of each class.

    Of a real CLIP: ``ZeroShot(clip, clip.encode_text(names), method="encode_image")``.
    """
    tower = copy.deepcopy(model).eval()
    tower.fc = nn.Identity()
    device = resolve(own.config.device)
    features = torch.cat([tower(inputs(part).to(device)) for part in own.pixels.split(500)])
    features, labels = nn.functional.normalize(features), own.labels.to(device)
    text = torch.stack([features[labels == c].mean(0) for c in range(own.data.num_classes)])
    return ZeroShot(tower, text, scale).eval()


def noise(own: Own) -> torch.Tensor:
    """Two network inputs that show nothing."""
    return torch.randn(2, *inputs(own.pixels[:1]).shape[1:], generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def answers(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """int64 [n], the class that a model gives to each image."""
    return torch.cat([model(part).argmax(1).cpu() for part in images.split(500)])


def names_left(before: nn.Module, after: nn.Module, images: torch.Tensor, removed: Sequence[int]) -> str:
    """How often removed classes are still answered, and what has changed about all other answers."""
    old, new = answers(before, images), answers(after, images)
    gone = torch.isin(old, torch.tensor(list(removed)))
    left = int(torch.isin(new, torch.tensor(list(removed))).sum())
    return f"answered with a removed class: {left} images; other answers changed: {int((old != new)[~gone].sum())}"


# -- requests as they come --------------------------------------------------------------------------------------------


def queue(folder: Path) -> Queue:
    """Empty, in a folder of its own."""
    return Queue(folder, policy=Policy(SIZE, DAYS))


def arrivals(own: Own) -> list[list[str]]:
    """Three requests: the first images of the retain set, by their rows, as an archive would name them."""
    return [[str(OF_EACH * number + place) for place in range(OF_EACH)] for number in range(3)]


class Archive:
    """From images' names to D_f and D_r, as ``Queue.run`` asks for them."""

    def __init__(self, own: Own) -> None:
        self._images = own.retain

    def __call__(self, names: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.tensor([int(name) for name in names])
        left = torch.ones(len(self._images), dtype=torch.bool)
        left[rows] = False
        return self._images[rows], self._images[left]
