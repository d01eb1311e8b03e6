"""One cell of the comparison: a method on a request, where its record lies, and what a record must hold. No model is needed here.

``making`` makes the record.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from ..methods.catalogue import LISTED, find
from ..settings.config import PROFILES, ConfigError
from ..support.choices import TASKS
from .checked import checked
from .record import Kind
from .variants import OTHER, VARIANTS

COMPARED = tuple(LISTED)  # those of this project: a method that a session adds to the table is on no record

CHOICES = ("defaults", "tuned")
# Rows that no method of the table makes: the model to start from, the goal, and the goal from another seed (the noise floor).
ORIGINAL, RETRAIN = "original", "retrain"
AGAIN = "retrain_again"
REFERENCES = (ORIGINAL, RETRAIN, AGAIN)
FROM_SCRATCH = (*REFERENCES, "sisa", "unroll")  # what trains a network from the beginning costs as much as training
FROM_PIPELINE = (ORIGINAL, RETRAIN, "laf", "laf_r")  # at their defaults these are stages of a run, kept as artefacts
EXACT = ("retrain", "sisa")  # no strength to tune: only what they cost could be chosen


@dataclass(frozen=True)
class Cell:
    """What one record is about.

    Raises:
        ConfigError: a name that does not exist, or ``tuned`` settings of what has none.
    """

    dataset: str
    task: str
    method: str
    seed: int = 0
    profile: str = "paper"
    choice: str = "defaults"  # of settings: the published ones, or those that the equal tuning chose
    variant: str = ""  # of the run's settings, by its name in ``variants``

    def __post_init__(self) -> None:
        for name, allowed in (("task", TASKS), ("profile", PROFILES), ("choice", CHOICES)):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        if self.variant and self.variant not in VARIANTS:
            raise ConfigError(f"variant must be one of {', '.join(VARIANTS)}, got {self.variant!r}")
        if self.variant and VARIANTS[self.variant].method not in ("", self.method):
            raise ConfigError(f"variant {self.variant} is of {VARIANTS[self.variant].method}, got {self.method}")
        if self.variant and VARIANTS[self.variant].other_images and self.dataset not in OTHER:
            raise ConfigError(f"variant {self.variant} is of {', '.join(OTHER)}, got {self.dataset}")
        if self.choice == "tuned" and (self.variant or self.method in (*REFERENCES, *EXACT)):
            raise ConfigError(f"{self.method} {self.variant}".rstrip() + " has no settings to tune")
        if self.method not in REFERENCES:
            try:
                find(self.method)
            except KeyError as error:
                raise ConfigError(str(error.args[0])) from error

    @property
    def path(self) -> Path:
        """Where its record lies."""
        ending = ("-tuned" if self.choice == "tuned" else "") + ("" if self.profile == "paper" else f"-{self.profile}")
        name = f"{self.task}-{self.method}-seed{self.seed}{ending}.json"
        return COMPARISON.folder / self.dataset / self.variant / name

    def described(self) -> dict:
        """Its fields; a variant only where there is one, so that the keys of older records stay."""
        return {name: value for name, value in asdict(self).items() if name != "variant" or value}

    @property
    def place(self) -> tuple:
        """Cells of one place have one problem."""
        return self.dataset, self.task, self.seed, self.profile, self.variant

    @property
    def from_pipeline(self) -> bool:
        """Whether its model is a stage of ``run.Run``."""
        return self.method in FROM_PIPELINE and self.choice == "defaults"


COMPARISON = Kind(
    "comparison", 1,
    ("cell", "method", "settings", "failure", "metrics", "attack", "gap", "seconds", "passes", "peak_memory_mb", "label_access",
     "versions", "commit"),
    lambda path, record: checked(path, record, Cell),
)
read = COMPARISON.read



def listed(choice: str) -> list[str]:
    """The methods of a table: references first where the settings are the defaults."""
    methods = [name for name in COMPARED if name not in EXACT]
    return methods if choice == "tuned" else [*REFERENCES, *methods, "sisa"]
