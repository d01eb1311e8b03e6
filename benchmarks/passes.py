"""What one image costs: seconds of a training pass and of a frozen pass on this machine, alone, by network and number format.

``python -m benchmarks.passes [device]`` times the package's own loops (``training.train``, a pass without gradients,
``vae.fit_vae``, ``laf.unlearn``) on synthetic images, so that what it measures is what a run does: reading uint8 pixels,
cropping, resizing on the device, the steps. Besides, it times copying images from the host's memory to the device. On a CPU it
takes one thread and counts processor time. ``--quick`` leaves out what takes too long there; what was left out is in the result.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torchvision.models import resnet50

from benchmarks.common import conditions, say, write
from laf_utils.adaptation import unlearn
from laf_utils.images import Images, Transform
from laf_utils.losses import Densities
from laf_utils.models import Architecture, parameter_count
from laf_utils.representations import PASS_BATCH, FrozenRepresentations
from laf_utils.settings.config import TrainingConfig, UnlearningConfig, VAEConfig
from laf_utils.support.devices import describe, has_fast_bfloat16, precision, resolve, synchronise
from laf_utils.support.records import versions
from laf_utils.training import train
from laf_utils.vae import fit_vae

BLOCK_SECONDS = 0.12  # what is timed at once: long enough for the clock, short enough for many of them
REPEATS = 5  # blocks, whose median is reported
MOST_STEPS = 200  # in a block
POOL = 1_024  # images in memory; a longer walk meets them again
BATCHES = (32, 256)  # images; 32 is the paper's
FORMATS = ("float32", "bfloat16")
VAE_ROWS = 6_400  # representations in an epoch of the VAE: 200 steps
SLOW_FIRST = 1.0  # seconds of one step, from which on a single block of it is timed


@dataclass(frozen=True)
class Subject:
    """A network and the images it reads.

    Args:
        side: of the stored uint8 images, in pixels.
        resize: what the network sees; ``None``: the stored size.
        backbone: of ``Architecture``, or ``resnet50``: torchvision's.
        slow: how much a pass costs, for ``--quick``: 0 everything is timed, 1 the two passes at batch 32 alone, 2 nothing.
    """

    backbone: str
    channels: int
    side: int
    resize: int | None
    classes: int
    augment: bool
    slow: int

    @property
    def transform(self) -> Transform:
        """As the presets have it: the CNN's images as they are, the others normalised, in training cropped and flipped."""
        return Transform(self.resize, normalise=self.channels == 3, augment=self.augment)

    def build(self, device: torch.device) -> nn.Module:
        if self.backbone == "resnet50":
            return resnet50(weights=None, num_classes=self.classes).to(device, memory_format=torch.channels_last)
        return Architecture(self.backbone, self.channels, self.side, self.classes).build(0, "original", device)

    def images(self, count: int, device: torch.device) -> Images:
        """``count`` rows of a pool of random images."""
        shape = (min(count, POOL), self.channels, self.side, self.side)
        pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        return Images(pixels.to(device), self.transform, torch.arange(count, device=device) % len(pixels))


SUBJECTS: Mapping[str, Subject] = {
    "cnn-28": Subject("cnn", 1, 28, None, 10, False, 0),
    "resnet18-32": Subject("resnet18", 3, 32, None, 10, True, 1),
    "resnet18-224": Subject("resnet18", 3, 32, 224, 10, True, 2),
    "resnet50-224": Subject("resnet50", 3, 256, 224, 1000, True, 2),  # ImageNet's images, kept at 256 x 256
}


def blocks(take: Callable[[int], None], device: torch.device) -> tuple[list[float], int]:
    """Seconds per step of repeated blocks of ``take(steps)``, warmed up, and the steps of a block."""
    for _ in range(2):  # the first call allocates, chooses kernels and draws weights
        first = _timed(take, 1, device)
    steps = max(1, min(MOST_STEPS, round(BLOCK_SECONDS / first)))
    if 1 < steps < MOST_STEPS:  # once more: of quick steps a single one is mostly the loop's own beginning
        steps = max(1, min(MOST_STEPS, round(BLOCK_SECONDS * steps / _timed(take, steps, device))))
    repeats = REPEATS if first < SLOW_FIRST else 1
    return [_timed(take, steps, device) / steps for _ in range(repeats)], steps


def _timed(take: Callable[[int], None], steps: int, device: torch.device) -> float:
    """Seconds by the wall clock; on a CPU processor time, of which other work on the machine takes nothing."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    synchronise(device)
    start = clock()
    take(steps)
    synchronise(device)
    return clock() - start


def training_pass(subject: Subject, device: torch.device, batch: int, number_format: str) -> Callable[[int], None]:
    """Forward, backward and Adam, by the package's training loop."""
    model = subject.build(device)
    config = TrainingConfig(epochs=1, batch_size=batch, precision=number_format)
    images = subject.images(batch * MOST_STEPS, device)
    labels = torch.randint(0, subject.classes, (len(images),), generator=torch.Generator().manual_seed(1)).to(device)

    def take(steps: int) -> None:
        rows = torch.arange(steps * batch, device=device)
        train(model, images.subset(rows), labels[rows], config, seed=0, stage="passes")

    return take


def frozen_pass(subject: Subject, device: torch.device, batch: int, number_format: str) -> Callable[[int], None]:
    """Forward only, in evaluation mode, without gradients."""
    model, images = subject.build(device).eval(), subject.images(batch * MOST_STEPS, device)
    generator = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def take(steps: int) -> None:
        for x in images.subset(torch.arange(steps * batch, device=device)).in_order(batch, generator):
            with precision(device, number_format):
                model(x)

    return take


def laf_pair(subject: Subject, device: torch.device, batch: int) -> Callable[[int], None]:
    """Unlearning on pairs of batches as published: two losses with a step each, both VAEs frozen."""
    network = subject.build(device).eval()
    vaes = [_vae(device, 32) for _ in range(2)]
    images = subject.images(2 * batch * MOST_STEPS, device)
    config = UnlearningConfig(epochs=1, batch_size=batch)

    def take(steps: int) -> None:
        rows = torch.arange(2 * steps * batch, device=device)
        forget, retain = images.subset(rows[: steps * batch]), images.subset(rows[steps * batch :])
        unlearn(network, forget, retain, Densities(*vaes), config, seed=0)

    return take


def _vae(device: torch.device, rows: int) -> nn.Module:
    e = torch.randn(rows, 256, generator=torch.Generator().manual_seed(0)).to(device)
    images = Images(torch.zeros(rows, 1, 1, 1, dtype=torch.uint8, device=device), Transform())
    config = VAEConfig(epochs=1, latent_dims=16)
    return fit_vae(FrozenRepresentations(nn.Identity(), images, e), config, seed=0, stage="vae", device=device)[0]


def vae_steps(device: torch.device) -> dict[str, float]:
    """Seconds of one step of a representation VAE, batch 32, its representations known."""
    _vae(device, VAE_ROWS)
    values = []
    for _ in range(REPEATS):
        values.append(_timed(lambda _: _vae(device, VAE_ROWS), 1, device) * VAEConfig().batch_size / VAE_ROWS)
    return _spread(values)


def copying(device: torch.device, side: int = 256, count: int = 256) -> dict[str, float] | None:
    """Seconds per image of a copy of uint8 images of 3 x ``side`` x ``side`` from pageable memory; ``None`` on a CPU."""
    if device.type == "cpu":
        return None
    pixels = torch.zeros(count, 3, side, side, dtype=torch.uint8)
    values, _ = blocks(lambda steps: [pixels.to(device) for _ in range(steps)], device)
    return _spread([value / count for value in values]) | {"bytes_per_image": 3 * side * side}


def _spread(values: list[float]) -> dict[str, float]:
    return {"seconds": statistics.median(values), "min": min(values), "max": max(values)}


def plan(quick: bool) -> tuple[list[tuple[str, str, str, int]], list[str]]:
    """(subject, pass, format, batch) of everything to time, and what is left out in words."""
    wanted, left_out = [], []
    for name, subject in SUBJECTS.items():
        sizes = {"training": BATCHES, "frozen": (*BATCHES, PASS_BATCH), "laf": BATCHES[:1]}
        for kind, number_format, batch in ((k, f, b) for k, found in sizes.items() for f in FORMATS for b in found):
            if kind == "laf" and (subject.backbone == "resnet50" or number_format != "float32"):
                continue  # L_UE's VAEs are 256 wide, and the published steps are float32
            plain = batch == BATCHES[0] and number_format == "float32" and kind != "laf"
            emulated = number_format == "bfloat16" and not has_fast_bfloat16()
            if quick and (emulated or subject.slow == 2 or (subject.slow == 1 and not plain)):
                left_out.append(f"{name} {kind} {number_format} batch {batch}")
            else:
                wanted.append((name, kind, number_format, batch))
    return wanted, left_out


def measure(device: torch.device, wanted: list[tuple[str, str, str, int]]) -> Iterator[dict]:
    """One row per item: seconds per image passed (``laf``: per image of either loss, the frozen teacher's share in it)."""
    for name, kind, number_format, batch in wanted:
        subject = SUBJECTS[name]
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        if kind == "laf":
            take, images = laf_pair(subject, device, batch), 4 * batch  # both sets, once for each loss
        else:
            take, images = {"training": training_pass, "frozen": frozen_pass}[kind](subject, device, batch, number_format), batch
        values, steps = blocks(take, device)
        row = {"network": name, "pass": kind, "format": number_format, "batch": batch, "images_per_step": images, "steps": steps}
        row |= _spread([value / images for value in values])
        if device.type == "cuda":
            row["peak_mb"] = torch.cuda.max_memory_allocated(device) / 2**20
        say(f"{name:<13}{kind:<9}{number_format:<9} batch {batch:>3}  {1e6 * row['seconds']:10.2f} us per image")
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("device", nargs="?", default="auto")
    parser.add_argument("--quick", action="store_true", help="leave out what takes minutes on one CPU thread")
    options = parser.parse_args()
    device = resolve(options.device)
    if device.type == "cpu":
        torch.set_num_threads(1)
    before, start = conditions(), time.perf_counter()
    wanted, left_out = plan(options.quick)
    rows = list(measure(device, wanted))
    parameters = {name: parameter_count(subject.build(torch.device("cpu"))) for name, subject in SUBJECTS.items()}
    write(f"passes_{device.type}", {
        "device": describe(device), "versions": versions(),
        "passes": rows, "vae_step": vae_steps(device), "copy": copying(device),
        "parameters": parameters, "left_out": left_out, "took_seconds": time.perf_counter() - start,
    }, before)
    say(f"{time.perf_counter() - start:.0f} s; left out: {len(left_out)} items")


if __name__ == "__main__":
    main()
