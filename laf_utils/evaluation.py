"""Evaluation of a run: one pass per model over training and test images, then everything from the outputs."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from .audit import AttackResult, ModelOutputs, accuracies, free_measures, gaps_to_retrained, published_attack
from .methods.passes import Passes, count_passes
from .models import Network
from .representations import outputs
from .run import Run
from .settings.config import RunConfig
from .settings.names import caveats, headline
from .support import records
from .support.devices import describe, peak_memory_bytes
from .support.keys import content_key
from .support.seeds import stream

SAMPLE = 900  # training images whose representations are kept for looking at, a third of them forgotten


@dataclass(frozen=True)
class Evaluation:
    """What was measured on a run's models, by model name."""

    # logits over the training and the test images; representations of the sampled training images
    outputs: dict[str, ModelOutputs]
    sample: torch.Tensor  # int64 [n], those training rows, the retained ones first
    metrics: dict[str, dict[str, float | None]]  # accuracies and ``asr`` in percent (``None`` where a measure does not apply)
    attacks: dict[str, AttackResult]  # the published attack in full
    gaps: dict[str, dict[str, float]]  # |difference| to the retrained model in percentage points, their mean, and ToW
    audit: dict[str, dict]  # the other measures of ``audit.free``


def sample_rows(run: Run) -> torch.Tensor:
    """int64 [n], training rows whose representations are kept: retained ones, then forgotten ones."""
    draw, task = stream(run.config.seed, "sampled"), run.task
    forget = task.forget[torch.randperm(len(task.forget), generator=draw)[: SAMPLE // 3]]
    return torch.cat([task.retain[torch.randperm(len(task.retain), generator=draw)[: SAMPLE - len(forget)]], forget])


def outputs_of(run: Run, models: Mapping[str, Network], sample: torch.Tensor) -> dict[str, ModelOutputs]:
    """One pass of each model over training and test images, with the representations of the training rows ``sample``.

    Where training transforms are used for measuring, every model is shown the same crops.
    """
    return {
        name: ModelOutputs(
            outputs(model, run.frozen_images, f"{name} on training images", stream(run.config.seed, "evaluation"), keep=sample),
            outputs(model, run.test_images, f"{name} on test images", keep=sample[:0]),
        )
        for name, model in models.items()
    }


def scored(run: Run, passed: Mapping[str, ModelOutputs]) -> tuple[dict[str, dict[str, float | None]], dict[str, AttackResult]]:
    """Accuracies with the published ASR in percent, and that attack in full, by model."""
    task, metrics, attacks = run.task, {}, {}
    for name, output in passed.items():
        train = output.train.probabilities
        attacks[name] = published_attack(
            train[task.retain.to(train.device)], train[task.forget.to(train.device)], output.test.probabilities,
            seed=run.config.seed,
        )
        metrics[name] = accuracies(output, task, run.data.test.labels) | {"asr": attacks[name].asr}
    return metrics, attacks


def evaluate(run: Run) -> Evaluation:
    """Measure original, retrained, LAF and LAF+R of a run; trains what is not there yet."""
    models, sample, start = run.models(), sample_rows(run), time.perf_counter()
    passed = outputs_of(run, models, sample)
    metrics, attacks = scored(run, passed)
    audit = free_measures(passed, run.task, run.data.test.labels, sample, seed=run.config.seed)
    run.seconds["evaluation"], run.reused["evaluation"] = time.perf_counter() - start, False
    return Evaluation(passed, sample, metrics, attacks, gaps_to_retrained(metrics), audit)


def make_record(run: Run, evaluation: Evaluation) -> dict:
    """The record of a run: plain values, ready to be written."""
    task, data = run.task, run.data
    unlearning = run.facts["unlearning"]
    return {
        "schema": records.SCHEMA,
        "created": records.now(),
        "commit": records.commit(),
        "headline": headline(run.config, data),
        "caveats": caveats(run.config, data),
        "config": run.config.as_dict(),
        "dataset": {
            "name": data.name, "requested": data.requested, "source": data.source, "checksum": data.checksum,
            "notes": list(data.notes), "train_images": len(run.train_set.labels), "test_images": len(data.test.labels),
        },
        "task": {
            "name": task.name, "forget": len(task.forget), "retain": len(task.retain), "checksum": task.checksum(),
            "forget_classes": list(task.forget_classes), "retain_used": len(run.sets.retain),
        },
        "metrics": evaluation.metrics,
        "attack": {name: attack.as_dict() for name, attack in evaluation.attacks.items()},
        "gaps": evaluation.gaps,
        "audit": evaluation.audit,
        "losses": run.losses,
        "unlearning": {key: unlearning[key] for key in ("steps", "images_passed", "images_watched", "agreement")},
        "seconds": run.seconds,
        "threads": {stage: facts["threads"] for stage, facts in run.facts.items() if "threads" in facts},
        "reused": run.reused,
        "passes": count_passes(
            run.config, task, len(run.sets.retain), Passes(unlearning["images_passed"], unlearning["images_watched"])
        ),
        "peak_memory_mb": peak_memory_bytes() / 2**20,
        "versions": records.versions(),
        "machine": describe(run.device),
    }


def run_name(config: RunConfig, dataset_name: str) -> str:
    """The folder and file name of a run: what was asked, short enough to read, with a key for every other setting."""
    task = config.task + ("".join(map(str, config.forget_classes)) if config.task == "class" else "")
    key = content_key(config.as_dict())[:6]
    return f"{dataset_name}-{task}-{config.profile}-{config.mode}-seed{config.seed}-{key}"
