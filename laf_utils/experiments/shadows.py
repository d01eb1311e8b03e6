"""Many models of one forget request, for the measures over many models: only the training seeds differ.

Of each seed an original, LAF, LAF+R and a retrained model, and as many retrained models again, so that retrained models can be
held against retrained models: what a measure says there is its null. Kept are phi and accuracies, no weights, in batches of
seeds: a run that is cut goes on with the batch it was in. Other methods start from the same originals.
"""

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar, cast

import torch

from ..audit.confidence import log_odds
from ..audit.forget_score import forget_score
from ..audit.many_models import klom, u_lira, u_lira_of_exposed
from ..images import Images
from ..laf import LAF, repair
from ..losses import Densities
from ..methods import find, request_of, run_method
from ..models import Network
from ..representations import outputs
from ..run import TRAINED, Run
from ..settings.changes import changed, plain, scaled
from ..settings.config import ConfigError, RunConfig
from ..settings.presets import preset
from ..support.artefacts import Artefact
from ..support.definitions import code_version
from ..support.seeds import stream
from ..together import members
from ..together.training import train_together
from ..together.vaes import fit_vaes_together
from .cells import Cell
from .record import SHADOW_IMAGES as IMAGES
from .tuning_winners import winners_of
from .variants import VARIANTS

PARTS = ("forget", "retain", "test")
KINDS = ("original", "laf", "laf_r", "retrained")
SAMPLE = 1_000  # retained and test images whose phi is kept
LEAST = 3  # models of a kind: the likelihood-ratio attack leaves one out and needs a spread of the others
EXPOSED = 2 * LEAST  # models of a kind, half of which choose the most exposed images and half of which judge them
BATCH = 8  # seeds whose models are one artefact
AT_ONCE = {"cuda": 16}  # networks trained as one, where it is not what pays on a processor

# Of the measures. 1, in older records that do not say it: the pooled ``u_lira``, and a ``forget_score`` by rules of this project.
DEFINITION = 2

Value = TypeVar("Value")


@dataclass(frozen=True)
class Shadows:
    """What K models of each kind (2K retrained ones) say of the same images."""

    # by kind and part, float32 [K, n] ([2K, n] for ``retrained``, the seeds' own first), nats. ``forget`` is all of D_f,
    # ``retain`` and ``test`` are samples. A training image's label is the one it was trained with.
    phi: dict[str, dict[str, torch.Tensor]]
    accuracy: dict[str, dict[str, list[float]]]  # by kind and part, percent of these images, one value per model
    settings: dict  # the configuration, seeds and numbers of images
    seconds: dict  # by stage, with the threads and the load average they were measured with

    def halves(self, part: str) -> tuple[torch.Tensor, torch.Tensor]:
        """phi of the retrained models of the seeds themselves and of the other retrained models, [K, n] each."""
        phi = self.phi["retrained"][part]
        return phi[: len(phi) // 2], phi[len(phi) // 2 :]

    def _measured(self, phi: Callable[[str], torch.Tensor], utility: tuple[float, ...]) -> dict:
        retrained = {part: self.halves(part)[0] for part in PARTS}
        alone = forget_score(phi("forget"), retrained["forget"])
        exposed = {}
        if len(retrained["forget"]) >= EXPOSED:
            original = self.phi["original"]["forget"]
            exposed["u_lira_of_exposed"] = u_lira_of_exposed(phi("forget"), retrained["forget"], original).as_dict()
        return exposed | {
            "neurips_forget_score": alone * math.prod(min(ratio, 1.0) for ratio in utility),
            "neurips_forgetting_alone": alone,
            "klom": {part: asdict(klom(phi(part), retrained[part])) for part in PARTS},
            "u_lira_by_pair": u_lira(phi("forget"), retrained["forget"]).as_dict(),
        }

    def _utility(self, accuracies: dict[str, list[float]], models: slice) -> tuple[float, ...]:
        """Mean accuracy of these models over that of the retrained ones of the seeds, on retained and on test images."""
        half = len(self.accuracy["retrained"]["test"]) // 2
        return tuple(
            sum(accuracies[part][models]) / max(sum(self.accuracy["retrained"][part][:half]), 1e-9) for part in ("retain", "test")
        )

    def measures(self) -> dict[str, dict]:
        """Forget score, KLoM and U-LiRA of every kind against the retrained models of the seeds, plain numbers.

        ``null`` is the same of the other retrained models: where a kind cannot be told from it, these models show no leak.
        ``original`` is the other end: nothing forgotten. ``neurips_forgetting_alone`` is the forget score without utility ratios.
        Read forget score and KLoM beside their null only: with few models both are far from 1 and 0 where there is nothing to
        find. The competition scores hundreds of models; its values and these do not compare.
        """
        half = len(self.phi["retrained"]["forget"]) // 2
        found = {
            kind: self._measured(self.phi[kind].__getitem__, self._utility(self.accuracy[kind], slice(half)))
            for kind in self.phi if kind != "retrained"
        }
        other = self._utility(self.accuracy["retrained"], slice(half, None))
        return found | {"null": self._measured(lambda part: self.halves(part)[1], other)}

    def record(self) -> dict:
        """Settings, seconds, accuracies and measures as plain values; ``definition`` numbers what the measures mean."""
        found = {"settings": self.settings, "seconds": self.seconds, "accuracy": self.accuracy, "measures": self.measures()}
        return {"definition": DEFINITION} | found


def shadow_config(dataset: str, task: str, *, mode: str = "reference", **changes: Any) -> RunConfig:
    """The quick profile on ``IMAGES`` images: settings under which many models are affordable on two cores.

    Changes and errors are those of ``presets.preset``.
    """
    return preset(dataset, task, profile="quick", mode=mode, **{"images": IMAGES} | changes)


def shadows(run: Run, seeds: Sequence[int], *, methods: Sequence[str] = (), sample: int = SAMPLE) -> Shadows:
    """Train and unlearn K models of a run's forget request, one for each training seed; taken from disk where known.

    The request, that is the images and the index sets, is the run's and the same for all. The retrained models take ``seeds`` and
    as many seeds after the largest of them.

    Args:
        run: of ``shadow_config`` or any other configuration of the CNN.
        seeds: K training seeds, three or more; each ``BATCH`` of them is kept as soon as its models are there.
        methods: further ones of the table at their published settings, ``NAME-tuned`` at those of the equal tuning,
            ``NAME-VARIANT`` at those of a variant of the method's own.
        sample: retained and test images whose phi is kept.

    Raises:
        ValueError: fewer than three seeds, a seed twice, or what the functions of this package cannot compute together.
        TrainingDiverged: a loss is not finite.
    """
    seeds = list(seeds)
    if len(seeds) < LEAST or len(set(seeds)) < len(seeds):
        raise ValueError(f"at least {LEAST} different seeds, got {seeds}")
    settings_of_methods = {name: _settings(run, name) for name in methods}
    content = run._method_content() | {
        "unlearning": asdict(run.config.unlearning), "repair": run.config.as_dict()["repair"], "sample": sample,
        "shadow_code": shadow_code(tuple(methods)), "methods": {name: plain(own) for name, own in settings_of_methods.items()},
    }
    batches = []
    for start in range(0, len(seeds), BATCH):
        own, others = seeds[start : start + BATCH], _retrained(seeds)[len(seeds) + start :][:BATCH]
        compute = partial(_compute, run, own, others, sample, settings_of_methods)
        batches.append(run.kept("shadows", content | {"seeds": own, "others": others}, compute))
    kinds = (*KINDS[:-1], *methods, KINDS[-1])
    phi = {
        kind: {part: _joined([kept.tensors[f"{kind}.{part}"] for kept in batches], kind) for part in PARTS} for kind in kinds
    }
    right = {kind: [kept.facts["accuracy"][kind] for kept in batches] for kind in kinds}
    accuracy = {
        kind: {part: _joined([torch.tensor(own[part], dtype=torch.float64) for own in each], kind).tolist() for part in PARTS}
        for kind, each in right.items()
    }
    settings = {
        "config": run.config.as_dict(), "dataset": run.data.name, "train_images": len(run.train_set.labels),
        "forget": len(run.task.forget), "retain": len(run.task.retain), "seeds": seeds, "retrained_seeds": _retrained(seeds),
        "phi_images": {part: phi["original"][part].shape[1] for part in PARTS},
    }
    facts = [kept.facts for kept in batches]
    seconds: dict[str, Any] = {name: sum(own["by_stage"][name] for own in facts) for name in facts[0]["by_stage"]}
    return Shadows(phi, accuracy, settings, seconds | {name: facts[-1][name] for name in ("threads", "load_average")})


def _joined(parts: list[torch.Tensor], kind: str) -> torch.Tensor:
    """Of all batches; of retrained models those of the seeds themselves first, then the others."""
    halves = [part.chunk(2) for part in parts] if kind == "retrained" else [(part,) for part in parts]
    return torch.cat([half for place in range(len(halves[0])) for half in (own[place] for own in halves)])


def _settings(run: Run, name: str) -> Any:
    """Those of a further method: published, of a variant, or of the equal tuning at the size of the run's data."""
    method, _, choice = name.partition("-")
    if choice in VARIANTS:
        if VARIANTS[choice].method != method:
            raise ConfigError(f"{name}: variant {choice} changes no setting of {method}")
        return changed(find(method).published(run.config.task), VARIANTS[choice].settings)
    cell = Cell(run.data.name, run.config.task, method, choice=choice or "defaults")
    settings = find(method).published(run.config.task)
    if not choice:
        return settings
    share = len(run.train_set.labels) / len(run.data.train.labels)
    return scaled(changed(settings, winners_of(cell)), share)  # as many steps as at full size


def shadow_code(methods: tuple[str, ...] = ()) -> str:
    """Names the code that makes all models of a record and reads phi."""
    return code_version((_compute, *(find(name.partition("-")[0]).function for name in methods)), TRAINED)


def _retrained(seeds: list[int]) -> list[int]:
    return seeds + [max(seeds) + 1 + place for place in range(len(seeds))]


def _compute(run: Run, seeds: list[int], others: list[int], sample: int, methods: Mapping[str, Any]) -> Artefact:
    seconds: dict[str, float] = {}

    def timed(stage: str, call: Callable[[], Value]) -> Value:
        start = time.perf_counter()
        value = call()
        seconds[stage] = time.perf_counter() - start
        return value

    everything = torch.arange(len(run.train_set.labels))
    models = {
        "original": timed("original", lambda: _trained(run, everything, seeds, "original")),
        "retrained": timed("retrained", lambda: _trained(run, run.task.retain, seeds + others, "retrained")),
    }
    procedures = [LAF(model, run.sets, run.config.vae, seed=seed) for model, seed in zip(models["original"], seeds, strict=True)]
    timed("representations", lambda: [procedure.represented for procedure in procedures])
    timed("vae", lambda: _fit(run, procedures, seeds))
    models["laf"] = timed("unlearning", lambda: [own.unlearn(run.config.unlearning).model for own in procedures])
    models["laf_r"] = timed("repair", lambda: _repaired(run, models["laf"], seeds))
    for name, settings in methods.items():
        models[name] = timed(name, partial(_unlearned, run, models["original"], seeds, name.partition("-")[0], settings))
    sets = _sets(run, sample)
    seen = timed("phi", lambda: {kind: _seen(own, sets) for kind, own in models.items()})
    tensors = {f"{kind}.{part}": own[part][0] for kind, own in seen.items() for part in PARTS}
    accuracy = {kind: {part: own[part][1] for part in PARTS} for kind, own in seen.items()}
    load = [round(value, 2) for value in os.getloadavg()]
    return Artefact(tensors, {"losses": {}, "by_stage": seconds, "accuracy": accuracy, "load_average": load})


def _trained(run: Run, rows: torch.Tensor, seeds: list[int], stage: str) -> list[Network]:
    return train_together(
        run.architecture, run.train_images, run.task.train_labels, [rows] * len(seeds), seeds, run.config.training, stage,
        AT_ONCE.get(run.device.type, members.AT_ONCE),
    )[0]


def _unlearned(run: Run, originals: list[Network], seeds: list[int], method: str, settings: Any) -> list[Network]:
    """A method's models, one from each original."""
    requests = (request_of(model, run.train_images, run.task, seed=seed,
                           fresh=lambda seed, stage: run.architecture.build(seed, stage, run.device))
                for model, seed in zip(originals, seeds, strict=True))
    return [cast(Network, run_method(method, request, settings).model).eval() for request in requests]


def _fit(run: Run, procedures: list[LAF], seeds: list[int]) -> None:
    """The densities of all, fitted as one."""
    h, h_f = (
        fit_vaes_together(
            [getattr(own.represented, part) for own in procedures], run.config.vae, seeds=seeds, stage=stage, device=run.device
        )[0]
        for part, stage in (("h", "vae_h"), ("forget", "vae_h_f"))
    )
    for own, *pair in zip(procedures, h, h_f, strict=True):
        own.densities = Densities(*pair)


def _repaired(run: Run, unlearned: list[Network], seeds: list[int]) -> list[Network]:
    """Model by model: the head alone is trained, on representations that are computed once."""
    images, labels = run.train_images.subset(run.task.retain), run.task.train_labels[run.task.retain]
    return [
        repair(model, images, labels, run.config.repair, seed=seed, forget=len(run.task.forget))[0]
        for model, seed in zip(unlearned, seeds, strict=True)
    ]


def _sets(run: Run, sample: int) -> dict[str, tuple[Images, torch.Tensor]]:
    """Images, without crops, and labels of every part."""
    draw, task, train = stream(run.config.seed, "shadows"), run.task, run.train_images.for_evaluation()
    retain = task.retain[torch.randperm(len(task.retain), generator=draw)[:sample]]
    test = torch.randperm(len(run.data.test.labels), generator=draw)[:sample]
    return {
        "forget": (train.subset(task.forget), task.train_labels[task.forget]),
        "retain": (train.subset(retain), task.train_labels[retain]),
        "test": (run.test_images.subset(test), run.data.test.labels[test]),
    }


def _seen(
    models: list[Network], sets: dict[str, tuple[Images, torch.Tensor]]
) -> dict[str, tuple[torch.Tensor, list[float]]]:
    """phi [K, n] and accuracies in percent on every part."""
    found = {}
    for part, (images, labels) in sets.items():
        logits = [outputs(model, images, "phi").logits.cpu() for model in models]
        right = [100 * (own.argmax(1) == labels).double().mean().item() for own in logits]
        found[part] = torch.stack([log_odds(own, labels) for own in logits]), right
    return found
