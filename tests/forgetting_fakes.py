"""Small classifiers and images that stand in for a practitioner's: patterns with noise, learned in a fraction of a second."""

import copy
from dataclasses import fields, replace

import torch
import torch.nn.functional as F
from torch import nn

from laf_utils import forgetting
from laf_utils.forgetting import ForgetOptions, choice

CLASSES, SIDE = 4, 8


def patterns(count: int, seed: int, noise: float = 0.6) -> tuple[torch.Tensor, torch.Tensor]:
    """Network inputs float32 [count, 3, 8, 8] and their labels: one fixed pattern for each class, and noise."""
    fixed = torch.randn(CLASSES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(7))
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    return fixed[labels] + noise * torch.randn(count, 3, SIDE, SIDE, generator=draw), labels


class Own(nn.Module):
    """A classifier that this project did not write: its own names, a head that is not the last module registered."""

    def __init__(self, width: int = 24, classes: int = CLASSES) -> None:
        super().__init__()
        self.decide = nn.Linear(width, classes)
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.Flatten())
        self.mix = nn.Linear(12 * SIDE * SIDE, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decide(F.relu(self.mix(self.stem(x))))


def trained(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, steps: int = 60, rate: float = 3e-3) -> nn.Module:
    """Train in place on batches of 64; evaluation mode afterwards."""
    optimiser, draw = torch.optim.Adam(model.parameters(), lr=rate), torch.Generator().manual_seed(0)
    model.train()
    for _ in range(steps):
        rows = torch.randint(0, len(inputs), (64,), generator=draw)
        loss = F.cross_entropy(model(inputs[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def own_model(seed: int = 0, **shape: int) -> nn.Module:
    torch.manual_seed(seed)
    return Own(**shape)


X, Y = patterns(800, 1)
UNSEEN, UNSEEN_LABELS = patterns(400, 2)
GONE = Y == 0
LIGHT = choice.derived_settings(200, 300)
LIGHT = replace(  # enough for the stand-in in one attempt
    LIGHT, vae=replace(LIGHT.vae, epochs=10), unlearning=replace(LIGHT.unlearning, lr_ra=2e-3, batchnorm="retain")
)


def leaves(value, way=()):
    """The way to every value of a document that holds no others."""
    if isinstance(value, dict) and value:
        return [leaf for name, part in value.items() for leaf in leaves(part, (*way, name))]
    if isinstance(value, list) and value:
        return [leaf for number, part in enumerate(value) for leaf in leaves(part, (*way, number))]
    return [way]


def changed(document):
    """For every leaf the document with another value there, and without it; and the way to the leaf."""
    for way in leaves(document):
        for gone in (False, True):
            own = copy.deepcopy(document)
            inside = own
            for step in way[:-1]:
                inside = inside[step]
            if gone:
                del inside[way[-1]]
            else:
                inside[way[-1]] = "other" if inside[way[-1]] != "other" else 1
            yield way, own


RARE = {field.name for field in fields(ForgetOptions)}


def forget(*arguments, **options):
    """``forgetting.forget``, whose rare options stand among the others."""
    rare = {name: options.pop(name) for name in RARE & options.keys()}
    return forgetting.forget(*arguments, **options, **({"options": ForgetOptions(**rare)} if rare else {}))


def light(*arguments, **options):
    """``forget`` at settings that make a test short."""
    return forget(*arguments, **{"settings": LIGHT} | options)


def accuracy(model, inputs, labels):
    with torch.no_grad():
        return (model.eval()(inputs).argmax(1) == labels).float().mean().item()
