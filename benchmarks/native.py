"""What profile ``native`` takes on this machine: seconds of a training pass and of an unlearning pass, one thread on a processor.

``python -m benchmarks.native [cpu|cuda]`` takes a few dozen steps of the profile's own settings on real CIFAR-10, with the
package's own loops, and extrapolates: nothing is trained to its end. Beside it ResNet-18 with a stem for small images, and
enlarged to 224 x 224 as published, for the argument why the profile has a smaller network. ``make experiments`` reads the result
for its plan.
"""

import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn
from torchvision.models import resnet18

from benchmarks.common import RESULTS, conditions, say, write
from laf_utils import datasets
from laf_utils.adaptation import unlearn
from laf_utils.images import Images, Transform
from laf_utils.losses import Densities
from laf_utils.models import Architecture, Network, parameter_count
from laf_utils.settings.presets import preset
from laf_utils.support.devices import describe, resolve, synchronise
from laf_utils.training import train
from laf_utils.vae import RepresentationVAE

STEPS = 12  # in a block, after a step that warms up
BLOCKS = 3
SLOW = 1, 1  # steps and blocks on a processor of the networks that are there for comparison


def with_small_stem() -> Network:
    """ResNet-18 whose first layer has no stride and no pooling behind it."""
    backbone = resnet18(num_classes=256)
    backbone.conv1, backbone.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    return Network(backbone, nn.Linear(256, 10))


def per_image(take: Callable[[int], None], images: int, device: torch.device, steps: int, blocks: int) -> float:
    """Median seconds per image of blocks of steps; processor time on a CPU, of which other work takes nothing."""
    clock, found = time.process_time if device.type == "cpu" else time.perf_counter, []
    take(1)
    for _ in range(blocks):
        synchronise(device)
        start = clock()
        take(steps)
        synchronise(device)
        found.append((clock() - start) / steps / images)
    return statistics.median(found)


def prices(network: Network, profile: str, device: torch.device, steps: int, blocks: int) -> dict[str, float]:
    """Seconds per image: ``training`` forward and backward in the profile's batches, ``unlearning`` the same in a step of LAF."""
    config, data = preset("cifar10", "class", profile=profile), datasets.load("cifar10", download=False)
    t, labels = config.transforms, data.train.labels
    view = Images(data.train.images.to(device), Transform(t.resize, t.normalise, t.augment, t.crop))
    batch, pair = config.training.batch_size, config.unlearning.batch_size
    one = replace(config.training, epochs=1, learning_rate=1e-4)  # a cycle of a dozen steps at the profile's rate would diverge

    def training(count: int) -> None:
        rows = torch.arange(count * batch)
        train(network, view.subset(rows), labels[rows], one, seed=0, stage="native")

    once = replace(config.unlearning, epochs=1)
    vaes = [RepresentationVAE(config.vae).to(device).eval().requires_grad_(False) for _ in range(2)]

    def unlearning(count: int) -> None:
        rows = torch.arange(count * pair)
        unlearn(network, view.subset(rows), view.subset(rows + 10_000), Densities(*vaes), once, seed=0)

    network = network.to(device, memory_format=torch.channels_last)
    return {
        "training": per_image(training, batch, device, steps, blocks),
        "unlearning": per_image(unlearning, 4 * pair, device, steps, blocks),
    }


def beside() -> dict:
    """Prices on the GPU until this has run there: ResNet-18's at 32 x 32, which has more layers, and at 224 x 224."""
    known = json.loads((RESULTS / "passes_cuda.json").read_text())
    seconds = {(row["network"], row["pass"], row["format"], row["batch"]): row["seconds"] for row in known["passes"]}
    networks = {
        profile: {"training": seconds[name, "training", form, batch], "unlearning": seconds[name, "laf", "float32", 32]}
        for profile, name, form, batch in (("native", "resnet18-32", "bfloat16", 256), ("paper", "resnet18-224", "float32", 32))
    }
    return {"device": known["device"], "networks": networks, "from": "passes_cuda.json: ResNet-18, at 32 x 32 and at 224 x 224"}


def main() -> None:
    device = resolve(sys.argv[1] if len(sys.argv) > 1 else "auto")
    if device.type == "cpu":
        torch.set_num_threads(1)
    before, usual = conditions(), (STEPS, BLOCKS)
    few = SLOW if device.type == "cpu" else usual
    networks = {
        "native": (Architecture("resnet9", 3, 32, 10).build(0, "original"), "native", usual),
        "ResNet-18, small stem": (with_small_stem(), "native", few),
        "paper": (Architecture("resnet18", 3, 32, 10).build(0, "original"), "paper", few),
    }
    found = {}
    for name, (network, profile, count) in networks.items():
        config = preset("cifar10", "class", profile=profile)
        own = prices(network, profile, device, *count) | {"parameters": parameter_count(network), "steps": math.prod(count)}
        own["original_minutes"] = config.training.epochs * 50_000 * own["training"] / 60
        found[name] = own
        say(f"{name}: " + ", ".join(f"{kind} {1e3 * own[kind]:.2f} ms an image" for kind in ("training", "unlearning"))
            + f"; an original of 50,000 images {own['original_minutes']:.0f} minutes, extrapolated from {own['steps']} steps")
    path = RESULTS / "native.json"
    kept = json.loads(path.read_text())["devices"] if path.is_file() else {"cuda": beside()}
    write("native", {"devices": kept | {device.type: {"device": describe(device), "networks": found}}}, before)


if __name__ == "__main__":
    main()
