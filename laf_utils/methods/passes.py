"""What a stage costs, counted in image passes through the network rather than in seconds of one machine.

A *training pass* is one image forward and backward; a *frozen pass* is forward only, about a third of the work.
"""

from dataclasses import asdict, dataclass

from ..settings.config import RepairConfig, RunConfig, UnlearningConfig
from ..tasks import ForgetTask

FROZEN_PASS = 1 / 3  # of a training pass: the backward pass costs about two forward ones


@dataclass(frozen=True)
class Passes:
    """Image passes of one stage."""

    training: int
    frozen: int = 0

    @property
    def equivalent(self) -> float:
        """In training passes."""
        return self.training + FROZEN_PASS * self.frozen


def paired_rows(forget: int, retain: int, batch_size: int, drop_ragged: bool) -> tuple[int, int]:
    """(steps, images of both sets) of one unlearning epoch, which ends with the shorter set."""

    def sizes(count: int) -> list[int]:
        full, rest = divmod(count, batch_size)
        keep_rest = rest and not (drop_ragged and full)
        return [batch_size] * full + ([rest] if keep_rest else [])

    pairs = list(zip(sizes(forget), sizes(retain), strict=False))
    return len(pairs), sum(map(sum, pairs))


def unlearning_passes(config: UnlearningConfig, forget: int, retain: int) -> Passes:
    """Passes that all epochs will need: each loss that has a step of its own passes both batches forward and backward."""
    used = int(config.use_ue) + int(config.use_ra != "none")
    passes_per_pair = min(used, 1) if config.schedule == "joint" else used  # "joint" takes both losses from one pass
    _, images = paired_rows(forget, retain, config.batch_size, config.drop_ragged)
    return Passes(training=config.epochs * passes_per_pair * images)


def repair_images(config: RepairConfig, labelled: int, forget: int) -> int:
    """Images whose representations LAF+R's repair takes: each labelled one once, or anew in every pass that ends with D_f's.

    Args:
        labelled: images of D_r whose labels may be read, before ``labelled_share``.
        forget: images of D_f.
    """
    known = max(1, round(config.labelled_share * labelled))
    if config.pairing == "all" or not config.epochs:
        return known if config.epochs else 0
    return config.epochs * min(known, -(-forget // config.batch_size) * config.batch_size)


def count_passes(config: RunConfig, task: ForgetTask, retain_used: int, unlearning: Passes) -> dict[str, dict[str, float]]:
    """Passes of every stage of a run, ``unlearning`` as it was counted, and its share of retraining's.

    ``relative_to_retraining``: unlearning's training passes over retraining's, the VAEs left out; ``with_vae`` counts the
    frozen passes that the VAEs need too (their own arithmetic is negligible: 75k parameters).
    """
    everything, forget, retain = len(task.train_labels), len(task.forget), len(task.retain)
    crops = config.transforms.augment and config.transforms.augment_everywhere
    repeats = config.vae.epochs if crops else 1
    # Of all images, the forget set's representations are among them, unless crops change from pass to pass.
    needed = {"all": everything + (forget if crops else 0), "retain": retain_used + forget}[config.vae.fit_h_on]
    stages = {
        "original": Passes(everything * config.training.epochs),
        "retrained": Passes(retain * config.training.epochs),
        "vae": Passes(0, repeats * needed),
        "unlearning": unlearning,
        # Representations once; the classifier's own epochs over them are negligible.
        "repair": Passes(0, repair_images(config.repair, retain, forget)),
    }
    counted = {name: asdict(passes) | {"equivalent": passes.equivalent} for name, passes in stages.items()}
    goal = stages["retrained"].equivalent
    return counted | {
        "share_of_retraining": {
            "unlearning": stages["unlearning"].equivalent / goal,
            "with_vae": (stages["unlearning"].equivalent + stages["vae"].equivalent) / goal,
        }
    }
