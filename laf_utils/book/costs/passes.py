"""Seconds of a pass measured alone on a device: the files that ``benchmarks/passes.py`` writes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...representations import PASS_BATCH
from ...support.paths import ROOT
from .work import Work

FOLDER = ROOT / "benchmarks" / "results"
SMALL, LARGE = 32, 256  # images: the batches that training passes are measured at


@dataclass(frozen=True)
class Alone:
    """One file: rows of passes, the VAE's step, a copy to the device, and what it ran on."""

    found: Mapping

    @property
    def device(self) -> str:
        return self.found["device"]["name"]

    def row(self, network: str, kind: str, number_format: str, batch: int) -> Mapping:
        """What was measured of ``kind`` (``training``, ``frozen``, ``laf``): seconds per image, their range, peak memory.

        Raises:
            KeyError: not measured.
        """
        for row in self.found["passes"]:
            if (row["network"], row["pass"], row["format"], row["batch"]) == (network, kind, number_format, batch):
                return row
        raise KeyError(f"no {kind} pass of {network} at batch {batch} in {number_format} was measured on {self.device}")

    def seconds(self, network: str, kind: str, number_format: str, batch: int) -> float:
        """Seconds per image, as ``row``."""
        return self.row(network, kind, number_format, batch)["seconds"]

    def call(self, network: str, kind: str, number_format: str, images: float) -> float:
        """Seconds of one call with so many images: on a line between measured batches, below the smallest as long as that one.

        A GPU that waits for its next instruction takes as long for a few images as for 32: no call costs less than a smaller one.
        """
        sizes = (SMALL, LARGE) if kind == "training" else (SMALL, LARGE, PASS_BATCH)
        took, least = [], 0.0
        for batch in sizes:
            least = max(least, batch * self.seconds(network, kind, number_format, batch))
            took.append(least)
        if images >= sizes[-1]:
            return images / sizes[-1] * took[-1]
        return float(np.interp(images, sizes, took))

    @property
    def vae_step(self) -> float:
        """Seconds."""
        return self.found["vae_step"]["seconds"]

    def predict(self, work: Work, network: str, number_format: str = "float32") -> float:
        """Seconds of so much work, from passes alone: what an optimiser and a loss add is in the training pass."""
        beside = beside_steps(work)
        training = work.calls * self.call(network, "training", number_format, work.training / work.calls) if work.calls else 0.0
        frozen = sum(
            images / batch * self.call(network, "frozen", number_format, batch)
            for images, batch in ((beside, SMALL), (work.frozen - beside, PASS_BATCH)) if images
        )
        return training + frozen + work.vae_steps * self.vae_step


def beside_steps(work: Work) -> float:
    """Images passed forward in batches of 32 beside the steps; the rest goes in batches of 500."""
    beside = (work.frozen_calls - work.frozen / PASS_BATCH) / (1 / SMALL - 1 / PASS_BATCH)
    return min(work.frozen, max(0.0, beside))


def read(device: str = "cuda") -> Alone:
    """The measurement of a kind of device."""
    return Alone(json.loads((FOLDER / f"passes_{device}.json").read_text(encoding="utf-8")))
