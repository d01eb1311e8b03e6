"""Networks of the kinds people have, small: outputs, heads and inputs of every form. None is trained here."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, weight_norm

WIDTH, CLASSES = 24, 4


@dataclass
class ClassifierOutput:
    """As Hugging Face's ``ImageClassifierOutput``: logits are an attribute, beside others."""

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    hidden_states: object = None


class WithAuxiliary(NamedTuple):
    """As torchvision's ``GoogLeNetOutputs``."""

    logits: torch.Tensor
    aux_logits2: torch.Tensor


class Body(nn.Module):
    """Images [B, 3, 8, 8] to representations [B, 24]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(768, WIDTH))

    def forward(self, x):
        return self.stem(x)


class Net(nn.Module):
    """A body, a head, and a last word about the output."""

    def __init__(self, head: nn.Module | None = None, say=lambda logits, e: logits) -> None:
        super().__init__()
        self.body, self.head, self.say = Body(), head or nn.Linear(WIDTH, CLASSES), say

    def forward(self, x):
        e = self.body(x)
        return self.say(self.head(e), e)


class Cosine(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CLASSES, WIDTH))

    def forward(self, e):
        return 10 * F.normalize(e) @ F.normalize(self.weight).T


class Convolutional(nn.Module):
    """SqueezeNet's kind of head: 1x1 convolution, ReLU where asked for, mean over positions."""

    def __init__(self, rectified: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, WIDTH, 3, padding=1), nn.ReLU())
        self.classifier = nn.Conv2d(WIDTH, CLASSES, 1)
        self.pool = nn.Sequential(nn.ReLU() if rectified else nn.Identity(), nn.AdaptiveAvgPool2d(1))

    def forward(self, x):
        return self.pool(self.classifier(self.body(x))).flatten(1)


class Text(nn.Module):
    """Token numbers and their mask, by keyword, to an object with logits."""

    def __init__(self, words: int = 50) -> None:
        super().__init__()
        self.words, self.mix, self.classifier = nn.Embedding(words, 16), nn.Linear(16, WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, input_ids, attention_mask=None):
        x = self.words(input_ids)
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        x = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp_min(1)
        return ClassifierOutput(logits=self.classifier(F.relu(self.mix(x))))


class Table(nn.Module):
    """One dictionary of quantities and categories."""

    def __init__(self) -> None:
        super().__init__()
        self.kind = nn.Embedding(5, 4)
        self.mix = nn.Sequential(nn.Linear(6 + 4, WIDTH), nn.ReLU())
        self.out = nn.Linear(WIDTH, CLASSES)

    def forward(self, columns):
        return self.out(self.mix(torch.cat([columns["numbers"], self.kind(columns["kind"])], 1)))


class TwoTokens(nn.Module):
    """As a distilled DeiT: the mean of two heads on two tokens. No one representation stands before the logits."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.body = nn.Linear(WIDTH, CLASSES), nn.Linear(WIDTH, CLASSES), nn.Conv1d(3, WIDTH, 1)

    def forward(self, x):
        tokens = self.body(x.flatten(2)).transpose(1, 2)
        return (self.one(tokens[:, 0]) + self.two(tokens[:, 1])) / 2


# name: (network, its head as found, width of the representation)
KINDS = {
    "object": (lambda: Net(say=lambda z, e: ClassifierOutput(logits=z)), "head", WIDTH),
    "dictionary": (lambda: Net(say=lambda z, e: {"features": e, "logits": z}), "head", WIDTH),
    "pair": (lambda: Net(say=lambda z, e: (z, e)), "head", WIDTH),
    "pair the other way": (lambda: Net(say=lambda z, e: (e, z)), "head", WIDTH),
    "auxiliary": (lambda: Net(say=lambda z, e: WithAuxiliary(z, z.flip(1))), "head", WIDTH),
    "loss first": (lambda: Net(say=lambda z, e: (z.sum(), z)), "head", WIDTH),
    "behind dropout": (lambda: Net(nn.Sequential(nn.Linear(WIDTH, CLASSES), nn.Dropout(0.5))), "head.0", WIDTH),
    "behind norm": (lambda: Net(nn.Sequential(nn.Linear(WIDTH, CLASSES), nn.LayerNorm(CLASSES))), "head.0:input", WIDTH),
    "temperature": (lambda: Net(say=lambda z, e: z / 2.5), "head:input", WIDTH),
    "log-probabilities": (lambda: Net(say=lambda z, e: z.log_softmax(1)), "head:input", WIDTH),
    "cosine": (lambda: Net(Cosine()), "body:output", WIDTH),
    "weight norm": (lambda: Net(weight_norm(nn.Linear(WIDTH, CLASSES))), "head", WIDTH),
    "weight norm, parametrised": (lambda: Net(parametrizations.weight_norm(nn.Linear(WIDTH, CLASSES))), "head", WIDTH),
    "convolution": (Convolutional, "classifier:input", 64 * WIDTH),
    "rectified convolution": (lambda: Convolutional(True), "classifier:input", 64 * WIDTH),
    "one logit": (lambda: Net(nn.Linear(WIDTH, 1)), "head:input", WIDTH),
    "one logit, flat": (lambda: Net(nn.Linear(WIDTH, 1), lambda z, e: z[:, 0]), "head:input", WIDTH),
}
