"""bfloat16 against float32 in training: speed, and what it does to the accuracy.

``python -m benchmarks.bfloat16`` trains on real MNIST with the quick profile's settings, both formats in turn, several seeds,
and tests on all 10,000 test images.
"""

import argparse
import statistics
from collections.abc import Callable

from benchmarks.common import Times, conditions, mnist, ratio, ratio_text, say, write
from laf_utils.images import Images, Transform
from laf_utils.models import Architecture
from laf_utils.representations import outputs
from laf_utils.settings.config import TrainingConfig
from laf_utils.training import train

FORMATS = ("float32", "bfloat16")
LEARNING_RATE = 5e-4  # the quick profile's


def measure(images: int, epochs: int, seeds: int) -> dict:
    """Seconds and test accuracy of both formats, seed by seed."""
    data = mnist(images)
    inputs, test = Images(data.train.images, Transform()), Images(data.test.images, Transform())
    accuracy: dict[str, list[float]] = {name: [] for name in FORMATS}
    times = {name: Times() for name in FORMATS}

    def training(name: str, seed: int, network: object) -> Callable[[], object]:
        config = TrainingConfig(epochs=epochs, learning_rate=LEARNING_RATE, precision=name)
        return lambda: train(network, inputs, data.train.labels, config, seed=seed, stage="original")

    for seed in range(seeds):
        networks = {name: Architecture("cnn", 1, 28, 10).build(seed, "original") for name in FORMATS}
        for name in FORMATS:
            times[name].add(training(name, seed, networks[name]))
            hits = outputs(networks[name], test).predictions == data.test.labels
            accuracy[name].append(100 * hits.float().mean().item())
        say(f"seed {seed}: " + ", ".join(f"{n} {times[n].wall[-1]:.1f} s {accuracy[n][-1]:.2f} %" for n in FORMATS))
    change = [b - a for a, b in zip(accuracy["float32"], accuracy["bfloat16"], strict=True)]
    return {
        "images": images, "epochs": epochs, "seeds": seeds, "speed_up": ratio(times["float32"], times["bfloat16"]),
        "seconds": {name: taken.report() for name, taken in times.items()},
        "test_accuracy": accuracy, "change_in_points": {"mean": statistics.fmean(change), "each": change},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    before = conditions()
    result = measure(options.images, options.epochs, options.seeds)
    say(f"bfloat16 speed-up {ratio_text(result['speed_up'])}")
    say(f"test accuracy changes by {result['change_in_points']['mean']:+.2f} points")
    write("bfloat16", result, before)


if __name__ == "__main__":
    main()
