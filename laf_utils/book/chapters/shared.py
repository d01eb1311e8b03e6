"""What several chapters need: the same run with other settings, and measurements of some of its models."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from ...audit import accuracies
from ...evaluation import Evaluation, outputs_of, sample_rows
from ...models import Network
from ...run import Run
from ...settings.changes import changed
from ...settings.config import RunConfig
from ...settings.presets import DATASET_PRESETS, every_setting, preset
from ...support.seeds import stream


def variant(run: Run, config: RunConfig, name: str) -> Run:
    """A run of other settings in the same folder, so that stages that do not differ are computed once.

    It says under ``name`` what it computes and takes from disk; of the original, which is the run's own, nothing.
    """

    def say(line: str) -> None:
        if not line.startswith("original"):
            run.say(f"{name}, {line}")

    return Run(config, folder=run.folder, say=say)


def run_with(run: Run, changes: Mapping[str, object], name: str) -> Run:
    """The run with some dotted settings changed; the run itself where nothing changes."""
    config = changed(run.config, dict(changes))
    return run if config == run.config else variant(run, config, name)


def in_mode(config: RunConfig, mode: str) -> RunConfig:
    """The same request in another mode: what the mode decides follows it, what was set by hand stays.

    The training labels stay too, so that both modes start from the same original.
    """
    if mode == config.mode:
        return config
    own = DATASET_PRESETS["mnist" if config.backbone == "cnn" else "cifar10"]  # read for one's own data sets only
    before, after = (every_setting(preset(config.dataset, config.task, profile=config.profile, own=own, mode=each))
                     for each in (config.mode, mode))
    kept = ("mode", "forget_classes", "all_wrong_labels")
    changes = {name: after[name] for name, value in every_setting(config).items() if value == before[name] and name not in kept}
    return replace(changed(config, changes), mode=mode)


def measure(run: Run, models: Mapping[str, Network]) -> Evaluation:
    """One pass of some models over training and test images: accuracies, without the attack."""
    sample = sample_rows(run)
    passed = outputs_of(run, models, sample)
    metrics = {name: accuracies(output, run.task, run.data.test.labels) for name, output in passed.items()}
    return Evaluation(passed, sample, metrics, {}, {}, {})


def draw(rows: torch.Tensor, count: int, seed: int, *names: object) -> torch.Tensor:
    """At most ``count`` of the rows, at random, sorted."""
    return rows[torch.randperm(len(rows), generator=stream(seed, *names))[:count]].sort().values
