"""Images of ImageNet's shape from a disk: does a request's cost grow with D_f alone, and how much memory does it take?

``python -m benchmarks.imagenet`` writes ``results/imagenet.json``: torchvision's ResNet-50, 1,000 classes, up to 50,000 JPEG
files (5,000 smooth random images, 224 x 224) in one folder, handed over as lists, none of them in the disk's cache when a case
starts. The model's work is scaled down, as one image takes a fifth of a second on a CPU: the caps on retained images that are
looked at (1,000), searched for copies (10,000) and trained on at least (1,000) are 8 each, LAF makes one attempt of two epochs of
batches of 4, and the model is not trained. What each image of D_r costs is not scaled down. Each case has a process of its own.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image

from benchmarks.common import conditions, say, write
from benchmarks.memory import peak_bytes
from laf_utils.forgetting import ForgetOptions, attempts, choice, copies, forget, pictures, retained, sources
from laf_utils.support.paths import ROOT

SIDE, CAP, BATCH, PASS = 224, 8, 4, 106  # PASS: images in the largest batch of a frozen pass, 64 MB of inputs
COPIES = 10  # files of one picture: making 50,000 takes longer than a request
FIRST = 8 * COPIES  # file of D_r; D_f takes one of each picture before it
CASES = ((200, 4), (1_600, 4), (200, 8), (1_600, 8), (50_000, 4))  # images of D_r and of D_f
PRICED, FEW = 500, 20  # images that the price of one is measured on; those that pass through the model


def made(folder: Path, count: int) -> None:
    """JPEG files that differ in their last bytes at least, those that are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, count, COPIES):
        files = [folder / f"{number:05}.jpg" for number in range(first, min(first + COPIES, count))]
        if not files[-1].exists():
            coarse, whole = np.random.default_rng(first).integers(0, 256, (14, 14, 3), dtype=np.uint8), io.BytesIO()
            Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(whole, "jpeg", quality=90)
            for path in files:
                path.write_bytes(whole.getvalue() + path.name.encode())  # after a JPEG's end no reader looks


def uncached(files: list[Path]) -> None:
    """Have the next reading of these files come from the disk."""
    os.sync()  # what is not written yet cannot be given up
    for path in files:
        handle = os.open(path, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def inputs(image: Image.Image) -> torch.Tensor:
    """The common transform, of an image that has its size already."""
    return (torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255 - 0.45) / 0.225


class Clock:
    """A function, how often it was called, and the seconds that took, by both clocks."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self.work, self.calls, self.cpu, self.wall = work, 0, 0.0, 0.0

    def __call__(self, *given: Any, **named: Any) -> Any:
        cpu, wall = time.process_time(), time.perf_counter()
        found = self.work(*given, **named)
        self.calls, self.cpu = self.calls + 1, self.cpu + time.process_time() - cpu
        self.wall += time.perf_counter() - wall
        return found


class Items(torch.utils.data.Dataset):
    """The same files as a data set hands them out: as inputs."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> torch.Tensor:
        return inputs(pictures.opened(self.files[row]))


def prices(model: torch.nn.Module, files: list[Path]) -> dict[str, float]:
    """Milliseconds of processor time for one image."""
    store = pictures.FileStore(files, inputs)
    reading, hashing, dataset = Clock(store.read), Clock(store.digest), Clock(sources.DatasetStore(Items(files)).digest)
    passing = Clock(model)
    for row in range(len(files)):
        hashing(row)
        dataset(row)
        image = reading([row])
        if row < FEW:
            with torch.no_grad():
                passing(image)
    clocks = {"hash_of_file": hashing, "hash_of_input": dataset, "decode": reading, "pass": passing}
    return {name: 1_000 * clock.cpu / clock.calls for name, clock in clocks.items()}


def case(folder: Path, retain: int, forget_count: int) -> None:
    """One request; a line of JSON."""
    from torchvision.models import resnet50

    torch.manual_seed(0)
    model, files = resnet50(num_classes=1_000).eval(), sorted(folder.glob("*.jpg"))
    settings = choice.derived_settings(forget_count, CAP)
    unlearning = replace(settings.unlearning, batch_size=BATCH, epochs=2, batchnorm="original")
    settings = replace(settings, vae=replace(settings.vae, epochs=10), unlearning=unlearning)
    rare = ForgetOptions(settings=settings, scope="instances", copies="keep", floor=0.0, transform=inputs)
    before, whole, hashing, reading = peak_bytes(), Clock(forget), Clock(retained.hashed), Clock(pictures.opened)
    with mock.patch.multiple(retained, LOOKED=CAP, LEAST_RETAINED=CAP, hashed=hashing), \
            mock.patch.object(copies, "SEARCHED", CAP), mock.patch.object(choice, "LEAST_RETAINED", CAP), \
            mock.patch.object(pictures, "opened", reading), mock.patch.object(attempts, "_next_strength", lambda *_: []):
        sets = (files[: COPIES * forget_count : COPIES], files[FIRST : FIRST + retain])
        _, report = whole(model, *sets, method="laf", options=rare)
    found = {
        "retain": retain, "forget": forget_count, "cpu_seconds": whole.cpu, "wall_seconds": whole.wall,
        "hash_of_retained": {"cpu": hashing.cpu, "wall": hashing.wall}, "images_decoded": reading.calls,
        "stages_wall": report.content["seconds"], "peak_gb": peak_bytes() / 1e9, "before_gb": before / 1e9,
    }
    if (retain, forget_count) == CASES[-1]:
        found["milliseconds_an_image"] = prices(model, files[FIRST : FIRST + PRICED])
        with torch.no_grad():
            model(torch.stack([inputs(pictures.opened(path)) for path in files[:PASS]]))
        found["peak_with_largest_pass_gb"] = peak_bytes() / 1e9
    say(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", type=int, nargs=2, help="of D_r and of D_f, in this process")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "laf-imagenet", help="of the images")
    options, before, found = parser.parse_args(), conditions(), []
    if options.case:
        case(options.folder, *options.case)
        return
    made(options.folder, FIRST + max(retain for retain, _ in CASES))
    size = sum(path.stat().st_size for path in options.folder.glob("*.jpg"))
    for retain, count in CASES:
        uncached(list(options.folder.glob("*.jpg")))
        own = ["--case", str(retain), str(count), "--folder", str(options.folder)]
        command = [sys.executable, "-m", "benchmarks.imagenet", *own]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
        say(str(found[-1]))
        write("imagenet", {"side": SIDE, "cap": CAP, "batch": BATCH, "folder_gb": size / 1e9, "cases": found}, before)


if __name__ == "__main__":
    main()
