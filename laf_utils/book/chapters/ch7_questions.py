"""The questions, and which cells of ``workflow/grid.toml`` answer each: an arm is LAF with one thing changed."""

from dataclasses import dataclass

from ...experiments.variants import VARIANTS
from ...methods import FURTHER
from ..base.words import method_name

PLACES = (("mnist", "class"), ("mnist", "data"), ("fashion", "class"), ("fashion", "data"))
PROFILE = "quick"
EPOCHS = (1, 2, 5, 10, 20, 40)  # of question 7; 10 are the profile's own


def of_task(task: str) -> tuple[tuple[str, str], ...]:
    """The places of one request."""
    return tuple(place for place in PLACES if place[1] == task)


@dataclass(frozen=True)
class Arm:
    """LAF with one thing changed: another method of ``FURTHER``, or a variant of its settings."""

    method: str = "laf"
    variant: str = ""

    @property
    def title(self) -> str:
        """In tables and figures: what is changed."""
        if self.variant:
            return VARIANTS[self.variant].title
        return FURTHER[self.method].title if self.method in FURTHER else method_name(self.method)


@dataclass(frozen=True)
class Question:
    """One question."""

    number: int  # as readers asked it
    text: str  # the question
    arms: tuple[Arm, ...]  # what is set beside LAF as published


def _variants(*names: str) -> tuple[Arm, ...]:
    return tuple(Arm(variant=name) for name in names)


COSTS = Question(1, "What does LAF cost, stage by stage, against every baseline and against retraining?", ())
SCHEDULE = Question(4, "Alternating steps or two stages?", _variants("two_stage", "joint"))
SIMILARITY = Question(5, "Which similarity in L_RA?", (Arm("laf_l2"), Arm("laf_dot")))
LOSSES = Question(5, "What does each loss, and each half of L_RA, do by itself?",
                  _variants("without_ue", "without_ra", "ra_retain_only", "ra_forget_only"))
DENSITIES = Question(6, "h on D or on D_r, KL kept or dropped, and is a VAE needed at all?", (
    *_variants("h_on_retain", "no_kl", "linear_decoder"),
    Arm("laf_autoencoder"), Arm("laf_pca"), Arm("laf_gaussian"), Arm("laf_frozen"),
))
GOAL = Question(7, "Is “as far as possible” the right goal?", _variants(*(f"epochs_{n}" for n in EPOCHS if n != 10)))
ELSEWHERE = "2, 3  Other extractors; a part of D_r or surrogate images: no record answers them yet."
QUESTIONS = (COSTS, SCHEDULE, SIMILARITY, LOSSES, DENSITIES, GOAL)


def question_list() -> str:
    """Every question with its arms, as lines of plain text."""
    lines = []
    for question in QUESTIONS:
        lines.append(f"{question.number}  {question.text}")
        lines += [f"     {arm.title}" for arm in question.arms]
    return "\n".join([*lines, ELSEWHERE])
