"""One setting that the equal tuning may change."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dimension:
    """One setting, by dotted name, between ``low`` and ``high``, both included.

    Args:
        scale: ``log`` or ``linear`` for numbers, ``whole`` for whole numbers, ``choice`` for one of ``choices``.
    """

    name: str
    low: float = 0
    high: float = 1
    scale: str = "log"
    choices: tuple[object, ...] = ()

    def words(self) -> str:
        """As the stored trials and the book say it."""
        if self.scale == "choice":
            return " or ".join(map(str, self.choices))
        return f"{self.low:g} to {self.high:g}, {self.scale}"
