"""Settings, a density and a network whose effect on LAF's losses is known, and weights in comparable form."""

import dataclasses
import math

import torch
from torch import nn

from laf_utils.models import Network
from laf_utils.settings.config import UnlearningConfig

CONFIG = UnlearningConfig(epochs=2, batch_size=16, lr_ue=1e-3, lr_ra=1e-3, temperature=5.0)
STILL = dataclasses.replace(CONFIG, epochs=1, batch_size=32, lr_ue=1e-30, lr_ra=1e-30)  # moves no weight
FULL = -32 * math.log(32)


class Fixed:
    """A density with a known error for every image, whose gradient is zero."""

    def __init__(self, *errors):
        self.errors = errors

    def squared_error(self, e, generator):
        errors = torch.tensor(self.errors if len(self.errors) == len(e) else self.errors * len(e))
        return errors + 0 * e.sum(1)


def flat(module):
    return torch.cat([value.detach().flatten().float() for value in module.state_dict().values()])


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def still_network():
    extractor = nn.Sequential(nn.Flatten(), nn.Linear(4, 256))
    return Network(extractor, nn.Linear(256, 10))
