"""The README's table is drawn from the committed records, and its examples run."""

import os
import re

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from laf_utils.book.base import reading
from laf_utils.book.base import tables as base
from laf_utils.book.results import answer, every, frontier, tables
from laf_utils.support.paths import ROOT

README = ROOT / "README.md"
BEGIN, END = "<!-- results: begin (tests/test_readme.py draws this from results/comparison) -->", "<!-- results: end -->"
ANSWER = "<!-- answer: begin (tests/test_readme.py draws this from results/comparison) -->"
ANSWERED = "<!-- answer: end -->"
PICTURE = ROOT / "_book" / "static" / "frontier.png"


def short_table(found):
    """The rows of a few models without seconds, in the words of the results page."""
    rows = tables.rows_of(found, "mnist", "class")
    kept = [g for g in rows if g.choice == reading.DEFAULTS and g.method in ("original", "retrain", "laf", "laf_r")]
    return tables.table(kept, "class")


def drawn() -> str:
    """What stands between the two marks: the paper's setting on MNIST class removal, as the results page has it."""
    found = reading.everything()
    table = base.markdown(short_table(found), "MNIST, class 0 removed (%)")
    rows = tables.rows_of(found, "mnist", "class")
    laf = reading.pick(rows, "laf")
    seeds = ", ".join(map(str, laf.good))
    return (
        f"{table}\n\nThe paper's setting (profile `paper`, mode `reference`), means over training seeds "
        f"{seeds}; the gap is the mean distance to the retrained model, with its 95 % interval. The goal is the row Retrained."
    )


def test_readme_and_results_page_say_the_same() -> None:
    found = reading.everything()
    page, short = tables.exhibit(found, "mnist", "class").full, short_table(found)
    for model in short.index:
        for column in short.columns.intersection(page.columns):
            own, there = short.loc[model, column], page.loc[model, column]
            assert own == there or own == there.split("\u00a0±")[0], (model, column)


def answered() -> str:
    """Does it work? As the book's first page says it."""
    found = reading.everything()
    return f"{answer.answer(found, every.PLACES)} {frontier.cure(found, every.PLACES)}".rstrip()


@pytest.mark.parametrize(("begin", "end", "made"), [(BEGIN, END, drawn), (ANSWER, ANSWERED, answered)], ids=["table", "answer"])
def test_readme_says_what_the_records_say(begin, end, made) -> None:
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(begin)
    shown, after = rest.split(end, 1)
    if os.environ.get("LAF_UPDATE_README"):  # the way to bring it up to date after new records
        README.write_text(f"{before}{begin}\n{made()}\n{end}{after}", encoding="utf-8")
        return
    assert shown.strip() == made()


def test_the_picture_is_that_of_the_records(tmp_path) -> None:
    """The first page's picture, which README shows and links preview: the numbers that it carries are those of the records."""
    exhibit = frontier.exhibit(reading.everything(), every.PLACES)
    if os.environ.get("LAF_UPDATE_README"):
        exhibit.write(tmp_path)
        about = PngInfo()
        with Image.open(tmp_path / PICTURE.name) as picture:
            about.add_text("Description", picture.info["Description"])
            picture.convert("RGB").quantize(64).save(PICTURE, optimize=True, pnginfo=about)  # a quarter of the bytes
        return
    assert f"]({PICTURE.relative_to(ROOT).as_posix()})" in README.read_text(encoding="utf-8")
    with Image.open(PICTURE) as picture:
        assert picture.info["Description"] == base.markdown(exhibit.full), "LAF_UPDATE_README=1 draws it anew"
    assert PICTURE.stat().st_size < 50_000


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
