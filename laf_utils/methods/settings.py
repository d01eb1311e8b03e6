"""The base of every method's settings: frozen, and every number checked against one table of limits by its name."""

from dataclasses import dataclass, fields
from typing import Any

from ..settings.config import ConfigError

INFINITE = float("inf")
# Setting: (type, least, most). A learning rate of zero is allowed: strength zero has to be the identity.
LIMITS: dict[str, tuple[type, float, float]] = {
    name: limits for names, limits in (
        ("epochs max_steps", (int, 0, INFINITE)),
        ("batch_size forget_batch retain_batch copies interval samples patches shards slices", (int, 1, INFINITE)),
        ("learning_rate generator_rate real_weight forget_scale retain_scale penalty weight_decay alpha gamma step selection "
         "dampening strength share", (float, 0, INFINITE)),
        ("decay_rate mask_share momentum retain_share start tail certainty", (float, 0, 1)),
        ("mixing temperature", (float, 1e-6, INFINITE)), ("sharpening", (float, 1e-6, 1)), ("sigma", (float, 1e-9, INFINITE)),
    ) for name in names.split()
}
CHOICES: dict[str, tuple[str, ...]] = {
    "optimiser": ("adam", "sgd"), "reduction": ("sum", "mean"), "sharpness": ("soft", "hard", "conflict"),
}


@dataclass(frozen=True)
class Settings:
    """Subclass with fields; those named in ``LIMITS`` or ``CHOICES``, and switches, are checked.

    Raises:
        ConfigError: a value that a setting cannot have; the message names both.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, bool) and not isinstance(value, bool):
                raise ConfigError(f"{field.name} must be True or False, got {value!r}")  # "False" would count as true
            if field.name in LIMITS:
                _check_number(field.name, value, *LIMITS[field.name])
            elif field.name in CHOICES and value not in CHOICES[field.name]:
                raise ConfigError(f"{field.name} must be one of {', '.join(CHOICES[field.name])}, got {value!r}")


def _check_number(name: str, value: Any, kind: type, least: float, most: float) -> None:
    number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    if not number or not least <= value <= most:
        what = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{name} must be {what}, at least {least:g} and at most {most:g}, got {value!r}")
