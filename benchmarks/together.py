"""K models at once against the same K models one by one: training, VAEs, and other ways of taking the step.

``python -m benchmarks.together`` times both sides in turn on real MNIST, class 0 removed, in the published mode. Throughput is
models times images (for the VAEs: representations) per second of the median.
"""

import argparse
from dataclasses import replace

import torch

from benchmarks.common import Sides, Times, conditions, in_turn, mnist, ratio, ratio_text, rounded, say, write
from benchmarks.together_ways import steps
from laf_utils.images import Images, Transform
from laf_utils.models import Architecture
from laf_utils.representations import FrozenRepresentations
from laf_utils.settings.presets import preset
from laf_utils.together import fit_vaes_together, train_together
from laf_utils.training import train
from laf_utils.vae import fit_vae

EPOCHS = {"training": 1, "vae": 3}
CNN = Architecture("cnn", 1, 28, 10)
CPU = torch.device("cpu")


class Bench:
    """K originals, their representations and their VAEs, and both sides of every stage."""

    def __init__(self, images: int, members: int) -> None:
        data = mnist(images).train
        config = preset("mnist", "class", profile="paper")
        self.images, self.labels = Images(data.images, Transform()), data.labels
        self.training = replace(config.training, epochs=EPOCHS["training"])
        self.vae = replace(config.vae, epochs=EPOCHS["vae"])
        self.seeds, self.rows = list(range(members)), [torch.arange(len(data.labels))] * members
        self.originals = self._train_together()[0]
        self.frozen = [FrozenRepresentations(original.extractor, self.images).prepare() for original in self.originals]

    def _train_together(self) -> tuple:
        return train_together(CNN, self.images, self.labels, self.rows, self.seeds, self.training, "original")

    def _train_separately(self) -> None:
        for seed in self.seeds:
            train(CNN.build(seed, "original"), self.images, self.labels, self.training, seed=seed, stage="original")

    def _fit_together(self) -> list:
        return fit_vaes_together(self.frozen, self.vae, seeds=self.seeds, stage="vae_h", device=CPU)[0]

    def _fit_separately(self) -> None:
        for own, seed in zip(self.frozen, self.seeds, strict=True):
            fit_vae(own, self.vae, seed=seed, stage="vae_h", device=CPU)

    def stages(self) -> dict[str, tuple[Sides, int]]:
        """Both sides, and the images that one model passes."""
        passed = {name: EPOCHS[name] * len(self.images) for name in ("training", "vae")}
        return {
            "training": ({"separate": self._train_separately, "together": self._train_together}, passed["training"]),
            "VAE": ({"separate": self._fit_separately, "together": self._fit_together}, passed["vae"]),
        }


def throughput(times: Times, members: int, images: int) -> dict[str, float]:
    """Models times images per second, by both clocks."""
    return {clock: members * images / found["median"] for clock, found in times.report().items()}


def measure(images: int, members: int, pairs: int) -> dict:
    """Every stage with so many models."""
    report = {}
    for name, (sides, passed) in Bench(images, members).stages().items():
        in_turn(sides, 1)  # warm-up
        times = in_turn(sides, pairs)
        found = ratio(times["separate"], times["together"])
        say(f"{members:>3} models, {name:<12} {ratio_text(found)}")
        report[name] = {"ratio": found} | {
            side: {"seconds": taken.report(), "models_images_per_second": throughput(taken, members, passed)}
            for side, taken in times.items()
        }
    return report


def measure_ways(members: int, rounds: int) -> dict:
    """Milliseconds per network of one training step, by way."""
    made = steps(members)
    in_turn(made, 2)  # warm-up
    report = {name: times.scaled(1e3 / members).report() for name, times in in_turn(made, rounds).items()}
    say(f"{members:>3} models, processor ms per step: {rounded({name: row['cpu']['median'] for name, row in report.items()})}")
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1_280, help="training images of each model")
    parser.add_argument("--models", type=int, nargs="+", default=(4, 8, 16))
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=9, help="of the ways of taking a step")
    options = parser.parse_args()
    before = conditions()
    say(f"{before['threads']} threads, load {before['load_average'][0]}")
    write("together", {
        "images": options.images, "pairs": options.pairs, "rounds": options.rounds, "epochs": EPOCHS,
        "stages": {str(members): measure(options.images, members, options.pairs) for members in options.models},
        "milliseconds_per_step": {str(members): measure_ways(members, options.rounds) for members in options.models},
    }, before)


if __name__ == "__main__":
    main()
