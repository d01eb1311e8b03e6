"""What the first model of a ledger answered: what is left of *its* utility is then measured, and not multiplied up.

Every request is measured against the model before it. The product of those shares counts an answer that changes and comes back
as two losses, so that it advises retraining too early. So the first model's probabilities are kept beside the ledger, of images
that no request may train on: the watched retained ones, and unseen ones. They are found again by keyed hashes. What it said of an
image that is forgotten later is taken away with it; the model itself is not kept, as it holds what was forgotten.
"""

import warnings
from collections.abc import Mapping, Sequence

import torch

from ..support import artefacts
from ..support.artefacts import Artefact
from .ledger import Ledger
from .watch import utility
from .workers import from_first

LEAST = 50  # images of a set that are left, below which the product is used
MOST = 1_000  # images of a set that are kept


class FirstModel:
    """The first model's answers; empty where a ledger has none, as one that was begun before they were kept.

    Args:
        book: the ledger; a model that was trained anew begins another series, whose first model it is.
    """

    def __init__(self, book: Ledger) -> None:
        self.book, self._content = book, {"since": book.since}
        self._folder, self._stage = book.path.parent, f"{book.path.name}.first"
        found = from_first(lambda: artefacts.load(self._folder, self._stage, self._content, say=warnings.warn))
        fits = found is not None and found.facts.get("key") == book.key  # one without its ledger says nothing of this one
        self.marks: dict[str, list[str]] = found.facts["marks"] if fits else {}
        self.probabilities: dict[str, torch.Tensor] = dict(found.tensors) if fits else {}

    def places(self, digests: Sequence[bytes]) -> torch.Tensor:
        """int64, where among these retained images those lie whose answers are kept."""
        known = set(self.marks.get("retain", ()))
        return torch.tensor([place for place, mark in enumerate(self.book.marks(digests)) if mark in known], dtype=torch.int64)

    def utility(self, answers: Mapping[str, tuple[Sequence[bytes], torch.Tensor]]) -> float | None:
        """What is left of the first model's utility, the least of all sets; ``None`` where too few images are left.

        Args:
            answers: by set the digests of images and another model's logits [n, classes]; others than those kept are left out.
        """
        found = []
        for name, (digests, logits) in answers.items():
            rows = {mark: row for row, mark in enumerate(self.marks.get(name, ()))}
            pairs = [(rows[mark], place) for place, mark in enumerate(self.book.marks(digests)) if mark in rows]
            if len(pairs) >= LEAST:
                own, other = (torch.tensor(part) for part in zip(*pairs, strict=True))
                found.append(utility(self.probabilities[name][own], logits[other].argmax(1)))
        return min(found) if found else None

    def begin(self, answers: Mapping[str, tuple[Sequence[bytes], torch.Tensor]]) -> None:
        """Keep the answers of this model, the first one, of ``MOST`` images of each set."""
        self.marks = {name: self.book.marks(digests[:MOST]) for name, (digests, _) in answers.items()}
        self.probabilities = {name: logits[:MOST].float().softmax(1) for name, (_, logits) in answers.items()}
        self._write()

    def drop(self, digests: Sequence[bytes]) -> None:
        """Take away what was said of these images, and of all that the ledger's requests have forgotten."""
        gone = {*self.book.marks(digests), *(mark for entry in self.book.entries for mark in entry["forgotten"])}
        for name, marks in self.marks.items():
            rows = [row for row, mark in enumerate(marks) if mark not in gone]
            self.marks[name], self.probabilities[name] = [marks[row] for row in rows], self.probabilities[name][rows]
        if self.marks:
            self._write()

    def _write(self) -> None:
        facts = {"key": self.book.key, "marks": self.marks}
        kept = artefacts.save(self._folder, self._stage, self._content, Artefact(self.probabilities, facts))
        for path in self._folder.glob(f"{self._stage}-*.safetensors"):
            if path != kept:
                path.unlink()
