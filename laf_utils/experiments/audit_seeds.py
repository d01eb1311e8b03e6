"""The audit of one request and one training seed: eight models, every measure that costs no further model, relearn time."""

import time
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch

from ..audit import ModelOutputs, free_measures, gaps_to_retrained, log_odds
from ..audit.distance import log_odds_auc, relearn_time
from ..audit.free import DEFINITION
from ..audit.verdict import verdict
from ..evaluation import outputs_of, sample_rows, scored
from ..images import Images
from ..methods import find, run_method
from ..models import Network
from ..representations import outputs
from ..run import TRAINED, method_code, repair_code
from ..settings.names import caveats, headline
from ..support.definitions import code_version
from ..support.devices import describe
from ..support.keys import content_key
from ..training import TrainingDiverged
from . import training_run
from .cells import AGAIN, Cell
from .making import settings_of
from .problem import Problem
from .record import Place
from .second_retrained import retrained_again

COMPARED = ("relearn", "scrub", "neggrad_plus_bounded")  # beside LAF and LAF+R, at their published settings
NULL = "retrained_again"  # another seed in the place of an unlearned model: what a measure says where nothing is to be found
MODELS = ("original", "retrained", NULL, "laf", "laf_r", *COMPARED)


def inputs_of(problem: Problem) -> dict[str, str]:
    """Everything the numbers depend on, 16 hex digits for each part."""
    others = (code_version((find(name).function,), TRAINED) for name in COMPARED)
    return training_run.inputs_of(problem.run) | {
        "method": content_key([method_code(), repair_code(), *others]),
        "measuring": code_version(_MEASURING, TRAINED | {"run.Run"}),
    }


@dataclass
class Models:
    """The models of one request, what each cost, and why one is missing."""

    found: dict[str, Network]
    cost: dict[str, dict]
    failures: dict[str, str]


def models_of(problem: Problem) -> Models:
    """Train or read all models of ``MODELS``; a method that diverges is left out and named."""
    run = problem.run
    run.train_both()
    place = (problem.config.dataset, problem.config.task)
    again, passes, seconds = retrained_again(problem, settings_of(Cell(*place, AGAIN), problem, None))
    found: dict[str, Any]
    found = {"original": run.original, "retrained": run.retrained, NULL: again, "laf": run.laf, "laf_r": run.laf_r}
    stages = {"original": ("original",), "retrained": ("retrained",), "laf": ("vae", "unlearning"), "laf_r": ("repair",)}
    cost = {name: {stage: run.seconds[stage] for stage in stages[name]} for name in found if name in stages}
    cost[NULL] = {"seconds": seconds, "passes": passes.equivalent}
    failures = {}
    for name in COMPARED:
        try:
            result = run_method(name, problem.request, settings_of(Cell(*place, name), problem, None))
        except TrainingDiverged as error:
            failures[name] = str(error)
            continue
        found[name], cost[name] = result.model, {"seconds": result.seconds, "passes": result.passes.equivalent}
    return Models(found, cost, failures)


def measured(problem: Problem, models: dict[str, Network]) -> dict[str, dict]:
    """Accuracies, published attack, gaps, free measures and relearn time, by model."""
    run, sample = problem.run, sample_rows(problem.run)
    passed = outputs_of(run, models, sample)
    metrics, attacks = scored(run, passed)
    audit = free_measures(passed, run.task, run.data.test.labels, sample, seed=run.config.seed)
    _put_log_odds(audit, passed, problem)
    return {
        "metrics": metrics, "attack": {name: found.as_dict() for name, found in attacks.items()},
        "gaps": gaps_to_retrained(metrics), "audit": audit,
        "relearn": _relearn(problem, models, cast(float, metrics["original"]["train_f"])),
    }


def _put_log_odds(audit: dict[str, dict], passed: dict[str, ModelOutputs], problem: Problem) -> None:
    """AUC of phi on D_f against the retrained model's; verdicts that know how much retrained models differ.

    The second retrained model has the first alone, and cannot be judged.
    """
    task = problem.run.task
    phi = {
        name: log_odds(output.train.logits[task.forget.to(output.train.logits.device)], task.train_labels[task.forget])
        for name, output in passed.items()
    }
    for name in audit.keys() - {"retrained"}:
        audit[name]["log_odds_auc"] = log_odds_auc(phi[name], phi["retrained"])
    for name in audit.keys() - {"retrained", NULL}:
        audit[name]["verdict"] = asdict(verdict(phi[name], phi["retrained"], phi[NULL]))


def _relearn(problem: Problem, models: dict[str, Network], before: float) -> dict[str, int | None]:
    """Epochs on D_f until its accuracy is within five points of the original's."""
    run = problem.run
    forget: Images = run.train_images.subset(run.task.forget)
    labels = run.task.train_labels[run.task.forget]

    def accuracy(model: torch.nn.Module) -> float:
        hit = outputs(cast(Network, model), forget.for_evaluation(), "relearn").predictions.cpu() == labels
        return 100 * hit.float().mean().item()

    return {
        name: relearn_time(model, forget, labels, accuracy, before, run.config.training, seed=run.config.seed)
        for name, model in models.items() if name != "original"
    }


def made(problem: Problem, place: Place) -> dict:
    """The record of a place, without its head."""
    start, run = time.perf_counter(), problem.run
    models = models_of(problem)
    return {
        "definition": DEFINITION, "place": asdict(place),
        "headline": headline(run.config, run.data), "caveats": caveats(run.config, run.data), "config": run.config.as_dict(),
        "task": {"forget": len(run.task.forget), "retain": len(run.task.retain), "checksum": run.task.checksum()},
        **measured(problem, models.found),
        "cost": models.cost, "failures": models.failures, "seconds": time.perf_counter() - start, "machine": describe(run.device),
    }


_MEASURING = (models_of, measured)
