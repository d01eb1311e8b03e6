"""The README's table is drawn from the committed records, and its examples run."""

import os
import re

import pytest
import torch

from laf_utils.book.base import reading, tables
from laf_utils.book.results import answer, every
from laf_utils.support import records
from laf_utils.support.paths import ROOT, training_folder

README = ROOT / "README.md"
BEGIN, END = "<!-- results: begin (tests/test_readme.py draws this from Training/mnist) -->", "<!-- results: end -->"
ANSWER = "<!-- answer: begin (tests/test_readme.py draws this from results/comparison) -->"
ANSWERED = "<!-- answer: end -->"


def drawn() -> str:
    """What stands between the two marks: the paper's setting on MNIST class removal, over the seeds on record."""
    runs = [records.read(path) for path in sorted((training_folder() / "mnist").glob("class-reference-seed?.json"))]
    seeds = ", ".join(str(run["config"]["seed"]) for run in runs)
    table = tables.markdown(tables.across_seeds(runs), "MNIST, class 0 removed (%)")
    return (
        f"{table}\n\nThe paper's setting (profile `paper`, mode `reference`), mean ± standard deviation over training seeds "
        f"{seeds}. "
        "The goal is the retrained row. ASR is the published attack; its chance level here is "
        f"{runs[0]['attack']['laf']['chance']:.1f}."
    )


def answered() -> str:
    """Does it work? As the book's first page says it."""
    return answer.answer(reading.everything(), every.PLACES)


@pytest.mark.parametrize(("begin", "end", "made"), [(BEGIN, END, drawn), (ANSWER, ANSWERED, answered)], ids=["table", "answer"])
def test_readme_says_what_the_records_say(begin, end, made) -> None:
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(begin)
    shown, after = rest.split(end, 1)
    if os.environ.get("LAF_UPDATE_README"):  # the way to bring it up to date after new records
        README.write_text(f"{before}{begin}\n{made()}\n{end}{after}", encoding="utf-8")
        return
    assert shown.strip() == made()


def test_readme_names_both_commands_and_existing_files() -> None:
    text = README.read_text(encoding="utf-8")
    assert "make laf" in text and "make test" in text
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / target).exists(), f"README links to {target}, which is not there"


@pytest.mark.slow
def test_readme_python_example_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LAF_RUNS", str(tmp_path))
    example = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL).group(1)
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)
    assert len(names["run"].losses["loss_ue"]) == names["run"].config.unlearning.epochs


def test_readme_example_of_ones_own_classifier_runs(capsys) -> None:
    """Ten lines as a reader would paste them: the class is gone, the model that was handed in still knows it."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (example,) = [block for block in blocks if "forget(" in block]
    assert len([line for line in example.splitlines() if line.strip()]) <= 12
    torch.manual_seed(0)
    names: dict = {}
    exec(compile(example, "README.md", "exec"), names)
    three = names["images"][names["labels"] == 3]
    with torch.no_grad():
        before, after = ((names[model](three).argmax(1) == 3).float().mean() for model in ("model", "unlearned"))
    assert before > 0.95 and after < 0.05
    assert capsys.readouterr().out.startswith("acceptable")
