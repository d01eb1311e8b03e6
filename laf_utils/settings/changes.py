"""Settings of any method as plain values, and copies of them changed by dotted names."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields, is_dataclass, replace
from operator import attrgetter
from typing import Any, cast

from .config import MEANT, ConfigError


def plain(settings: Any) -> dict:
    """Nested plain values, as records keep them; what came later is left out where it means what was before."""
    found = asdict(cast(Any, settings)) if is_dataclass(settings) else dict(vars(settings))
    if found.get("as_sure") is False:
        del found["as_sure"]
    for group in (found, found.get("training")):
        if isinstance(group, dict) and group.get("rate") == MEANT["training.rate"]:
            del group["rate"]
    return found


def changed(settings: Any, changes: Mapping[str, object]) -> Any:
    """A copy with dotted settings changed, e.g. ``{"unlearning.lr_ue": 1e-5}`` or ``{"epochs": 3}``.

    Raises:
        ConfigError: a setting that does not exist, or a value that it cannot have.
    """
    groups: dict[str, dict[str, object]] = {}
    own: dict[str, object] = {}
    for name, value in changes.items():
        group, _, leaf = name.partition(".")
        known = group in {field.name for field in fields(settings)}
        if not known or is_dataclass(getattr(settings, group)) != bool(leaf):
            raise ConfigError(f"{type(settings).__name__} has no setting {name!r}")
        if leaf:
            groups.setdefault(group, {})[leaf] = value
        else:
            own[name] = value
    for group, inner in groups.items():
        own[group] = changed(getattr(settings, group), inner)
    return replace(settings, **own)


BATCHES = (
    "batch_size", "forget_batch", "retain_batch", "unlearning.batch_size", "vae.batch_size", "repair.batch_size",
    "training.batch_size",
)


def scaled(settings: Any, factor: float) -> Any:
    """The settings for ``factor`` times as many images: batches grow with the sets, so that the number of steps stays."""
    found = {}
    for name in BATCHES:
        with suppress(AttributeError):  # no settings hold all of them
            found[name] = max(1, round(attrgetter(name)(settings) * factor))
    return changed(settings, found)
