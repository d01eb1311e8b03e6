"""What ``relearn`` teaches: the original's answers on D_r, with what D_f put into them taken out. Reads no label.

Two things of D_f can lie in the answers on images that are no part of it. A class of which nearly all lies in D_f is taught
back by the little that every other image says of it: it is masked. And labels of D_f that contradict those of like images in
D_r (wrong labels) leave doubt in the answers on D_r: it is subtracted. Doubt that D_r has of its own stays.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

WHOLE = 0.7  # as forgetting.choice: from this share of a class's answers in D_f on, and of D_f in such classes, it vanishes
PART = 0.05  # of D_f, or of the images answered alike: below it, nothing is concluded from them
LEAST = 20  # images of each set answered with a class, below which nothing is concluded of its labels
SUREST = 0.97  # quantile of the likeliest class's probability: how sure the original ever is of a class
TURNS = 50  # of expectation and maximisation
HALF = 0.5  # of D_f: where contradicted classes hold less of it, their doubt is that of classes that look alike
MOST = 0.9  # quantile of the other classes' probabilities among the surer half: what contradicting labels put there


@dataclass(frozen=True)
class Lessons:
    """Targets of the student."""

    targets: torch.Tensor  # float32 [n, classes], probabilities for the images of D_r
    gone: torch.Tensor  # bool [classes], those that vanish with D_f (none without the mask)
    contradicted: torch.Tensor  # bool [n], images of which doubt was taken out; on the targets' device

    @property
    def noisy(self) -> bool:
        """Whether labels of D_f contradict any class."""
        return bool(self.contradicted.any())


@dataclass(frozen=True)
class Crowd:
    """The images that the original answers with one class."""

    share: float  # pi, the part of them that lies in D_f
    doubt: float  # 1 - p of the class at its quantile ``SUREST``: how unsure the original is even where it is surest
    noise: torch.Tensor  # float32 [classes], the quantile ``MOST`` of what the surer half says of every other class; 0 of its own
    enough: bool = True  # whether both sets have images enough in it

    @property
    def contradicted(self) -> bool:
        """Whether labels of D_f contradict the class: no answer is surer than a good part of the like images in D_f allows.

        Labels that agree leave sure answers, whatever ``share`` is; labels that never agree leave none above 1 - ``share``.
        """
        return self.enough and self.share >= PART and self.doubt >= self.share / 2


def vanishing(forget: torch.Tensor, retain: torch.Tensor, classes: int, weight: float = 1.0) -> torch.Tensor:
    """bool [classes]: classes of which nearly all images that are answered with them lie in D_f.

    The rule of ``forgetting.choice.scope_of``: at least ``WHOLE`` of what is answered with the class lies in D_f, and at least
    ``WHOLE`` of D_f is answered with such classes; else none vanishes.

    Args:
        forget, retain: int64, the original's predictions on D_f and on D_r, or on samples of them.
        weight: how many images one of ``forget`` stands for beside one of ``retain``.
    """
    of_forget, of_retain = (found.bincount(minlength=classes) for found in (forget, retain))
    whole = (weight * of_forget >= WHOLE * (weight * of_forget + of_retain)) & (of_forget >= max(1.0, PART * len(forget)))
    covered = of_forget[whole].sum() >= WHOLE * max(1, len(forget))
    return whole & covered


def crowd_of(answer: int, forget: torch.Tensor, retain: torch.Tensor, weight: float = 1.0) -> Crowd:
    """Of the class ``answer``, from probabilities [m, classes] of D_f and [n, classes] of D_r; ``weight`` as in ``vanishing``."""
    parts = [p[p.argmax(1) == answer] for p in (forget, retain)]
    both, fewest = torch.cat(parts), min(map(len, parts))
    if fewest < LEAST:
        return Crowd(0.0, 0.0, torch.zeros(both.shape[1], device=both.device), enough=False)
    top = both[:, answer]
    noise = both[top >= top.median()].quantile(MOST, dim=0)
    noise[answer] = 0
    of_forget = weight * len(parts[0])
    return Crowd(of_forget / (of_forget + len(parts[1])), 1 - top.quantile(SUREST).item(), noise)


def contradictions(forget: torch.Tensor, retain: torch.Tensor, weight: float = 1.0) -> list[Crowd]:
    """The crowd of every class where labels of D_f contradict the answers to at least ``HALF`` of it; else none.

    A network that has learned little is unsure of single classes (shirts among coats and pullovers) whatever the labels were.
    Wrong labels leave doubt wherever D_f lies.

    Args:
        forget, retain: probabilities [m, classes] and [n, classes]; ``weight`` as in ``vanishing``.
    """
    crowds = [crowd_of(answer, forget, retain, weight) for answer in range(retain.shape[1])]
    held = torch.tensor([crowd.contradicted for crowd in crowds], device=forget.device)[forget.argmax(1)]
    return crowds if held.float().mean() >= HALF else []


def without_noise(targets: torch.Tensor, crowds: list[Crowd]) -> torch.Tensor:
    """What D_r alone says, [n, classes], from the original's answers p on it.

    The original was trained on both sets: where images look alike, p = (1 - pi) p_r + pi p_f, so that p_r is what is left of p
    without pi p_f, scaled up to 1. For contradicted classes the crowd's ``noise`` stands for pi p_f: the mean would leave a
    rest of it in every second image. An image's likeliest class stays what it was, and so does its doubt beyond the noise.
    """
    cleaned = targets.clone()
    for answer, crowd in enumerate(crowds):
        if crowd.contradicted:
            rows = targets.argmax(1) == answer
            left = (targets[rows] - crowd.noise).clamp_min(0)
            cleaned[rows] = left / left.sum(1, keepdim=True)
    return cleaned


def prior_of(retain: torch.Tensor, learned: torch.Tensor) -> torch.Tensor:
    """How often each class occurs in D_r, float32 [classes], where labels are as the original answers.

    Its answers hold the frequencies that it learned. Expectation and maximisation in turn find those of other images (Saerens,
    Latinne and Decaestecker, Neural Computation 14, 2002, section 2.2).

    Args:
        retain: probabilities [n, classes].
        learned: the classes' frequencies in D, [classes].
    """
    found = learned
    for _ in range(TURNS):
        moved = retain * (found / learned)
        found = (moved / moved.sum(1, keepdim=True)).mean(0)
    return found


def moved_by_prior(forget: torch.Tensor, retain: torch.Tensor, weight: float = 1.0) -> torch.Tensor:
    """log of each class's frequency in D_r over that in D, float32 [classes]: what a retrained model expects of it otherwise.

    Added to the logits it moves the borders between classes to the side of those that D_f has thinned out.

    Args:
        forget, retain: probabilities [m, classes] and [n, classes]; ``weight`` as in ``vanishing``.
    """
    least = 1 / (len(forget) + len(retain))  # less than one image's worth is not known
    learned = ((weight * forget.sum(0) + retain.sum(0)) / (weight * len(forget) + len(retain))).clamp_min(least)
    return (prior_of(retain, learned).clamp_min(least) / learned).log()


def lessons_of(
    forget: torch.Tensor, retain: torch.Tensor, *, mask: bool, sharpness: str, weight: float = 1.0, prior: bool = True
) -> Lessons:
    """The lessons of a request.

    Args:
        forget, retain: the original's logits on D_f [m, classes] and on D_r [n, classes], or on samples of them.
        mask: set the answers of vanishing classes to zero and scale the rest up.
        sharpness: ``soft``: the answers as they are; ``hard``: all on the likeliest class; ``conflict``: soft, without the noise
            of contradicted classes (``contradictions``).
        weight: how many images one of ``forget`` stands for beside one of ``retain``.
        prior: move the answers to the classes' frequencies in D_r (``moved_by_prior``), unless labels of D_f contradict them.
    """
    classes, device = retain.shape[1], retain.device
    gone = torch.zeros(classes, dtype=torch.bool, device=device)
    if mask:
        gone = vanishing(forget.argmax(1), retain.argmax(1), classes, weight)
    crowds: list[Crowd] = []
    targets = retain.masked_fill(gone, -torch.inf).softmax(1)
    if sharpness == "conflict":
        crowds = contradictions(forget.masked_fill(gone, -torch.inf).softmax(1), targets, weight)
    of_class = torch.tensor([crowd.contradicted for crowd in crowds] or [False] * classes, device=device)
    if prior and not of_class.any():  # else D_f was not labelled as it is answered, and its classes' frequencies are unknown
        moved = retain + moved_by_prior(forget.softmax(1), retain.softmax(1), weight)
        targets = moved.masked_fill(gone, -torch.inf).softmax(1)
    contradicted = of_class[targets.argmax(1)]
    if sharpness == "hard":
        targets = F.one_hot(targets.argmax(1), classes).to(targets)
    return Lessons(without_noise(targets, crowds), gone, contradicted)
