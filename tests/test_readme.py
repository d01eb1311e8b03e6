"""The README's table is drawn from the committed records, and its examples run."""

import os
import re

import pytest
import torch

from laf_utils.book.base import reading
from laf_utils.book.base import tables as base
from laf_utils.book.base.training_records import runs
from laf_utils.book.results import departures, tables
from laf_utils.support.paths import ROOT

README = ROOT / "README.md"
BEGIN, END = "<!-- results: begin (tests/test_readme.py draws this from results/comparison) -->", "<!-- results: end -->"


def drawn() -> str:
    """What stands between the two marks: the paper's setting on MNIST class removal, as the results page has it."""
    found = reading.everything()
    table = base.markdown(tables.short_table(found, "mnist", "class"), "MNIST, class 0 removed (%)")
    rows = tables.rows_of(found, "mnist", "class")
    laf = reading.pick(rows, "laf")
    seeds, chance = ", ".join(map(str, laf.good)), reading.over(laf, reading.chance).mean
    return (
        f"{table}\n\nThe paper's setting (profile `paper`, mode `reference`), mean ± standard deviation over training seeds "
        f"{seeds}; the gap is the mean distance to the retrained model, with its 95 % interval. The goal is the row Retrain. "
        f"ASR is the published attack; its chance level here is {chance:.1f}."
    )


def test_readme_index_and_results_page_say_the_same() -> None:
    found = reading.everything()
    page, head = tables.exhibit(found, "mnist", "class").table, departures.headline_table(runs(), compared=found)
    short = tables.short_table(found, "mnist", "class")
    (index,) = [row for name, row in head.iterrows() if name.startswith("MNIST, class removal, `reference`")]
    for model in ("Original", "Retrain", "LAF", "LAF+R"):
        assert short.loc[model].to_dict() == page.loc[model, short.columns].to_dict()
    for column, there in (("Train_r", "Train_r"), ("Train_f", "Train_f"), ("Test", "Test_r"), ("ASR", "ASR")):
        assert index[column] == f"{page.loc['LAF', there]} ({page.loc['Retrain', there]})"
    assert index["gap"] == page.loc["LAF", tables.GAP].rstrip(reading.OTHER + reading.UNKNOWN)


def test_readme_table_is_the_records() -> None:
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    shown, after = rest.split(END)
    if os.environ.get("LAF_UPDATE_README"):  # the way to bring it up to date after new records
        README.write_text(f"{before}{BEGIN}\n{drawn()}\n{END}{after}", encoding="utf-8")
        return
    assert shown.strip() == drawn()


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
