"""Images of ImageNet's shape: does a request's cost grow with D_f alone, and how much memory does it take?

``python -m benchmarks.imagenet`` writes ``results/imagenet.json``: torchvision's ResNet-50, 1,000 classes, 224 x 224, images made
from their row on the fly, so that no set is ever in memory. Scaled down, as one image takes a fifth of a second on a CPU: the
caps on retained images that are looked at (1,000), searched for copies (10,000) and trained on at least (1,000) are 8 each, one
attempt of LAF is two epochs of batches of 4, and the model is not trained. Each case has a process of its own.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from unittest import mock

import torch
from torch.utils.data import Dataset

from benchmarks.common import conditions, say, write
from benchmarks.memory import peak_bytes
from laf_utils.support.paths import ROOT

SIDE, CAP, BATCH, PASS = 224, 8, 4, 106  # PASS: images in the largest batch of a frozen pass, 64 MB of inputs
CASES = ((200, 4), (1_600, 4), (200, 8), (1_600, 8))  # images of D_r and of D_f


class Made(Dataset):
    """Images float32 [3, 224, 224] that their row makes; nothing is kept."""

    def __init__(self, start: int, count: int) -> None:
        self.start, self.count = start, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, row: int) -> torch.Tensor:
        if row >= self.count:
            raise IndexError(row)
        draw = torch.Generator().manual_seed(self.start + row)
        coarse = torch.randn(1, 3, 14, 14, generator=draw)
        return torch.nn.functional.interpolate(coarse, size=SIDE, mode="bilinear")[0]


def case(retain: int, forget_count: int) -> None:
    """One request; a line of JSON."""
    from torchvision.models import resnet50

    from laf_utils.forgetting import ForgetOptions, choice, copies, forget, retained

    torch.manual_seed(0)
    model = resnet50(num_classes=1_000).eval()
    with mock.patch.multiple(retained, LOOKED=CAP, LEAST_RETAINED=CAP), mock.patch.object(copies, "SEARCHED", CAP), \
            mock.patch.object(choice, "LEAST_RETAINED", CAP):
        settings = choice.derived_settings(forget_count, CAP)
        unlearning = replace(settings.unlearning, batch_size=BATCH, epochs=2, batchnorm="original")
        settings = replace(settings, vae=replace(settings.vae, epochs=10), unlearning=unlearning)
        sets = (Made(0, forget_count), Made(1_000_000, retain))
        rare = ForgetOptions(settings=settings, scope="instances", copies="keep", floor=0.0)
        before = peak_bytes()
        making = timed(lambda: [sets[1][row].sum() for row in range(retain)])
        start = time.process_time()
        _, report = forget(model, *sets, method="laf", options=rare)
        seconds = time.process_time() - start
    peak = peak_bytes()
    found = {
        "retain": retain, "forget": forget_count, "cpu_seconds": seconds, "making_retained_once": making,
        "stages_wall": report.content["seconds"], "attempts": len(report.content["attempts"]), "peak_gb": peak / 1e9,
        "before_gb": before / 1e9,
    }
    if (retain, forget_count) == CASES[-1]:
        with torch.no_grad():
            model(torch.stack([sets[1][row] for row in range(PASS)]))
        found["peak_with_largest_pass_gb"] = peak_bytes() / 1e9
    say(json.dumps(found))


def timed(work: Callable[[], object]) -> float:
    """Seconds of processor time."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", type=int, nargs=2, help="of D_r and of D_f, in this process")
    options, before, found = parser.parse_args(), conditions(), []
    if options.case:
        case(*options.case)
        return
    for retain, count in CASES:
        command = [sys.executable, "-m", "benchmarks.imagenet", "--case", str(retain), str(count)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
        say(str(found[-1]))
        write("imagenet", {"side": SIDE, "cap": CAP, "batch": BATCH, "cases": found}, before)


if __name__ == "__main__":
    main()
