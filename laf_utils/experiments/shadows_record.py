"""The record of many models of one request: the measures over them, their null, their error bars, and one image to look at."""

from collections.abc import Sequence

from ..run import Run, training_code
from ..settings.names import caveats, headline
from ..support.definitions import code_version
from ..support.devices import describe
from ..support.keys import content_key
from .shadows import SAMPLE, Shadows, shadow_code, shadows
from .shadows_spread import errors


def inputs_of(run: Run, seeds: Sequence[int], methods: Sequence[str] = ()) -> dict[str, str]:
    """Everything the numbers depend on, 16 hex digits for each part."""
    return {
        "settings": content_key(
            {"config": run.config.as_dict(), "seeds": list(seeds), "sample": SAMPLE, "methods": list(methods)}
        ),
        "data": content_key(run.data.checksum), "task": content_key(run.task.checksum()),
        "training": training_code(), "method": shadow_code(tuple(methods)),
        "measuring": code_version((Shadows.measures, errors, example)),
    }


def example(found: Shadows) -> dict:
    """phi of one forgotten image in every model: the one where LAF is as far from the retrained models as on the median."""
    own, (retrained, null) = found.phi["laf"]["forget"], found.halves("forget")
    distance = (own.mean(0) - retrained.mean(0)).abs()
    image = int(distance.argsort()[len(distance) // 2])
    rows = {"retrained": retrained, "null": null} | {kind: found.phi[kind]["forget"] for kind in found.phi if kind != "retrained"}
    shown = {kind: [round(value, 3) for value in phi[:, image].tolist()] for kind, phi in rows.items()}
    return {"place_in_forget": image, "phi": shown}


def make(run: Run, seeds: Sequence[int], methods: Sequence[str] = ()) -> dict:
    """The record, without its head, of one model of each kind per seed; trained and unlearned as one, or taken from disk.

    Raises:
        ValueError: too few seeds for error bars, or what ``shadows`` raises.
    """
    found = shadows(run, seeds, methods=methods)
    place = {"dataset": run.data.name, "task": run.config.task, "models": len(seeds)}
    return {
        "headline": headline(run.config, run.data), "caveats": caveats(run.config, run.data), "place": place,
        **found.record(), "error": errors(found), "example": example(found), "machine": describe(run.device),
    }
