"""The words beside a table or figure, and what it rests on, from its records: images, epochs, seeds, machines, caveats."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from ...datasets.catalogue import FACTS
from ...experiments.cells import ORIGINAL, RETRAIN
from ...settings.presets import DATASET_PRESETS
from .reading import Group, chance, over

MINIMAL_SPREAD = 0.05  # percent: a chance level that moves less from seed to seed is one number
ONE_SEED = "What is said of this one seed describes one run of each method and has no interval."


@cache
def _captions() -> dict[str, str]:
    parts = Path(__file__).with_name("captions.md").read_text(encoding="utf-8").split("\n## ")[1:]
    return {name: " ".join(text.split()) for name, _, text in (part.partition("\n") for part in parts)}


def caption(name: str, **values: str) -> str:
    """The paragraph of that name in ``captions.md``, its words in braces filled in."""
    return _captions()[name].format(**values)


def caveats(record: dict) -> list[str]:
    """What a record warns of; older ones promised a time that depends on the machine."""
    return [note.replace("A demonstration in under two minutes, not", "A demonstration, not") for note in record["caveats"]]


def count_text(numbers: Iterable[int]) -> str:
    """``5,923``, or ``18,355 to 18,401`` where it depends on the seed."""
    low, high = min(found := list(numbers)), max(found)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def resolution(dataset: str, profile: str) -> str:
    """``28 × 28``, ``224 × 224 (enlarged from 32 × 32)``; ``native`` of a data set of one's own."""
    if dataset not in FACTS:
        return "native"
    native, known = FACTS[dataset].shape[-1], DATASET_PRESETS.get(dataset)
    size = known.resize if known and known.resize and profile == "paper" else native
    return f"{size} × {size}" + (f" (enlarged from {native} × {native})" if size != native else "")


def machine_of(record: dict) -> str:
    """``CPU (x86_64), 1 thread, PyTorch 2.14.1``, ``NVIDIA H100 80GB HBM3, PyTorch 2.11.0``."""
    own, torch = record["machine"], record["versions"]["torch"].split("+")[0]
    if own.get("together"):  # the versions are of where it was measured
        return f"{own['name']} (trained as one of {own['together']}, its weights brought over)"
    if own["device"] != "cpu":
        return f"{own['name']}, PyTorch {torch}"
    return f"CPU ({own['name']}), {own['threads']} thread{'s' if own['threads'] > 1 else ''}, PyTorch {torch}"


def _setting(rows: list[Group], method: str, *names: str) -> str | None:
    for group in rows:
        if group.method == method and not group.variant:
            value = group.any["settings"]
            for name in names:
                value = value.get(name) if isinstance(value, dict) else None
            return None if value is None else str(value)
    return None


def epochs_text(rows: list[Group]) -> str:
    """``20 epochs of training, 20 of LAF's unlearning``, as far as the records say."""
    training = _setting(rows, ORIGINAL, "epochs") or _setting(rows, RETRAIN, "epochs")
    unlearning = _setting(rows, "laf", "unlearning", "epochs") or _setting(rows, "laf_r", "unlearning", "epochs")
    said = [f"{training} epochs of training"] if training else []
    return ", ".join(said + ([f"{unlearning} of LAF's unlearning"] if unlearning else []))


def seeds_text(rows: list[Group]) -> str:
    """``training seeds 0, 1, 2 (rows with fewer say so)``."""
    seeds = sorted({seed for group in rows for seed in group.records})
    fewer = any(len(group.records) < len(seeds) for group in rows)
    named = ", ".join(map(str, seeds))
    return f"training seed{'s' if len(seeds) > 1 else ''} {named}" + (" (rows with fewer say so)" if fewer else "")


def _about(rows: list[Group]) -> tuple[list[dict], str, str, str]:
    """The records of some rows; what was forgotten, of how many images, and how many of those."""
    records = [record for group in rows for record in group.records.values()]
    tasks = [record["task"] for record in records]
    images, forget = count_text(t["forget"] + t["retain"] for t in tasks), count_text(t["forget"] for t in tasks)
    return records, records[0]["headline"].split(";")[0], images, forget


def headline(rows: list[Group]) -> str:
    """One line above a table: what was forgotten, of how many images, from which seeds."""
    if not rows:
        return "No record yet."
    _, what, images, forget = _about(rows)
    return f"{what}: {forget} of {images} training images to forget, {seeds_text(rows)}."


def rests_on(rows: list[Group]) -> str:
    """The caption of a table: what was forgotten, on how many images, for how long, from which seeds, on which machines."""
    if not rows:
        return "No record yet."
    records, what, images, forget = _about(rows)
    cell = records[0]["cell"]
    parts = [
        f"{images} training images at {resolution(cell['dataset'], cell['profile'])}", f"{forget} of them to forget",
        epochs_text(rows), f"profile `{cell['profile']}`, mode `reference`", seeds_text(rows),
    ]
    machines = "; ".join(sorted({machine_of(record) for record in records}))
    warned = list(dict.fromkeys(note for record in records for note in caveats(record)))
    ends = [note if note.endswith(".") else f"{note}." for note in warned]
    alone = [ONE_SEED] if len({record["cell"]["seed"] for record in records}) == 1 else []
    return " ".join([f"{what}: {', '.join(filter(None, parts))}.", *alone, f"Made on: {machines}.", *ends])


def chance_text(rows: list[Group]) -> str:
    """What always answering "member" scores in the published attack on these records."""
    found = [o for group in rows if (o := over(group, chance))]
    if not found:
        return ""
    low, high = min(o.mean for o in found), max(o.mean for o in found)
    level = f"{low:.1f}" if high - low < MINIMAL_SPREAD else f"{low:.1f} to {high:.1f}"
    return f"ASR is the published attack, on which always answering “member” scores {level} %."
