"""The exhibits: what tables, sentences and figures make of records, and what they say where there is none."""

import json
import re

import pytest
from exhibits_fakes import REFERENCES, ablated, drawn_map, fake, found, labelled, rows_of, seeds

from laf_utils.audit import interval, paired
from laf_utils.book.base import captions, reading, training_records, words
from laf_utils.book.results import __main__ as command
from laf_utils.book.results import ablation, answer, coverage, every, sentences, tables
from laf_utils.experiments.cells import Cell
from laf_utils.experiments.tuning_spaces import SPACES
from laf_utils.experiments.tuning_winners import winners_path
from laf_utils.support.paths import ROOT
from laf_utils.support.records import write_json

PAGES = sorted((ROOT / "pages").glob("results*.md"))


def put(record):
    """Write a record where its cell has it."""
    path = Cell(**record["cell"]).path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Results and training records of its own; the authors' numbers are the real ones."""
    monkeypatch.setenv("LAF_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("LAF_TRAINING", str(tmp_path / "Training"))
    (tmp_path / "Training").mkdir()
    (tmp_path / "Training" / "authors.json").write_text((ROOT / "Training" / "authors.json").read_text(encoding="utf-8"))
    return tmp_path / "results"


# -- records over seeds -----------------------------------------------------------------------------------------------------


def test_rows_climb_the_ladder_and_gather_seeds_of_one_cell_only():
    others = [
        fake("laf", profile="quick"), fake("laf", variant="without_ue"), fake("laf", task="data"), fake("laf", dataset="fashion"),
    ]
    own = [fake("scrub"), fake("laf_r"), fake("laf", 2), fake("laf", 0), fake("scrub", choice="tuned")]
    rows = rows_of(*own, *REFERENCES, *others)
    names = ["Doing nothing", "Retrained", "Retrained, another seed", "LAF", "LAF+R", "SCRUB", "SCRUB, tuned"]
    assert [words.name_of(group) for group in rows] == names
    assert list(reading.pick(rows, "laf").records) == [0, 2]


def test_what_is_no_record_is_left_out_and_named(folder):
    path = put(fake("laf"))
    (path.parent / "broken.json").write_text("{")
    all_ = reading.everything()
    assert list(all_.records) == [path] and [p.name for p in all_.unreadable] == ["broken.json"]


def test_paper_stands_before_small_and_quick_fills_no_table():
    small = fake("laf", dataset="svhn", profile="small")
    assert reading.profile_of(found(small), "svhn", "class") == "small"
    assert reading.profile_of(found(small, fake("laf", dataset="svhn")), "svhn", "class") == "paper"
    assert reading.profile_of(found(fake("laf", profile="quick")), "mnist", "class") is None
    smoke = fake("laf", dataset="svhn", variant="smoke")
    assert reading.profile_of(found(small, smoke), "svhn", "class") == "small", "a smoke test of 224 x 224 hides no record"
    assert not tables.exhibit(found(small, smoke), "svhn", "class").about.startswith("No record")


def test_accuracy_of_today_stands_first_as_soon_as_it_has_laf():
    small, native = fake("laf", dataset="cifar10", profile="small"), fake("laf", dataset="cifar10", profile="native")
    begun = fake("original", dataset="cifar10", profile="native")
    assert reading.profile_of(found(small, begun), "cifar10", "class") == "small", "a table of one row says less"
    assert reading.profile_of(found(small, begun, native, fake("laf", dataset="cifar10")), "cifar10", "class") == "native"
    assert reading.profile_of(found(begun), "cifar10", "class") == "native"


# -- one seed claims nothing -------------------------------------------------------------------------------------------------

CLAIMS = re.compile(r"\b(nearer|farther|better|worse|within the noise)\b")
SAID = re.compile("no claim|one seed|one training seed")
OVER_REQUESTS = ("answer", "across", "task-", "curves-")  # they count requests or data sets, and say how many


def _methods(exhibit):
    """Tables with a row for each method."""
    parts = {"": exhibit.table, **exhibit.blocks}
    return [part for part in parts.values() if len(part) and tables.GAP in part.columns]


def test_no_row_of_one_seed_lacks_its_mark():
    rows = 0
    for exhibit in every.every(reading.everything()):
        for part in _methods(exhibit):
            for name, row in part.iterrows():
                single = row[tables.GAP] not in ("the goal", "–") and "to" not in row[tables.GAP]
                assert not single or str(row[tables.SEEDS]).startswith("1"), f"{exhibit.name}: {name} has no interval and no mark"
                rows += single
        if exhibit.name in ("answer", "across", "task-class", "task-data", "task-noisy"):
            for name, row in exhibit.table.iterrows():
                brackets = any(mark in str(cell) for cell in row for mark in "±(")
                assert brackets or "one seed" in name, f"{exhibit.name}: {name}"
    assert rows, "there are rows of one seed, or this test looks at nothing"


def test_no_sentence_claims_from_one_seed():
    records = {path: record for path, record in reading.everything().records.items() if record["cell"]["seed"] == 0}
    claims = [
        f"{exhibit.name}: {said}" for exhibit in every.every(reading.Found(records)) for said in exhibit.readings
        if CLAIMS.search(said) and not SAID.search(said) and not exhibit.name.startswith(OVER_REQUESTS)
    ]
    assert not claims, "\n".join(claims)


def test_a_row_that_is_nearer_on_one_seed_says_so_beside_its_numbers():
    places = [("mnist", "class")]
    for gaps, said in (((0.2,), "1 request, one seed"), ((0.2, 0.3), "1 request)")):
        rows = found(*REFERENCES, *seeds("laf", *(1.0 for _ in gaps)), *seeds("relearn", *gaps), fake("original", 1, 30.0))
        readings = answer.task_exhibit(rows, "class", places).readings
        assert any(said in sentence for sentence in readings if "relearn" in sentence), readings


def test_a_failed_record_counts_as_diverged_and_in_no_mean():
    failed = [fake("ts", 1, failure="no number"), fake("jit", failure="no number")]
    table = tables.table(rows_of(fake("ts", 0, 2.0), *failed), "class")
    assert table.loc["T-S", "seeds"] == "1, 1 diverged" and table.loc["T-S", "gap (95 % interval)"] == "2.00"
    assert "JiT" not in table.index, "a row of dashes says nothing: it is named under the table"
    assert tables.full(rows_of(fake("ts", 0, 2.0), *failed), "class").loc["JiT", "seeds"] == "diverged"


# -- tables -----------------------------------------------------------------------------------------------------------------


def test_cells_are_mean_and_deviation_and_the_gap_has_students_interval():
    gaps = [1.0, 1.4, 1.1]
    rows, over = rows_of(*(fake("ts", seed, gap) for seed, gap in enumerate(gaps))), interval(gaps)
    row = tables.full(rows, "class").loc["T-S"]
    assert row["Train_r"] == "99.00\u00a0±\u00a01.00" and row["seeds"] == "3"
    assert tables.table(rows, "class").loc["T-S", "Train_r"] == "99.00", "what spreads is folded below the table"
    assert row["gap (95 % interval)"] == f"{over.mean:.2f} ({over.low:.2f} to {over.high:.2f})".replace(" ", "\u00a0")
    assert row["gap (95 % interval)"].startswith("1.17") and over.low > 0


def test_each_task_has_its_measures():
    columns = {task: set(tables.full(rows_of(fake("ts", task=task)), task).columns) for task in ("class", "data", "noisy")}
    assert {"Test_r", "Test_f"} < columns["class"] and "Test" not in columns["class"]
    assert "Test" in columns["data"] and "Test_f" not in columns["data"]
    assert {"Train_f, true labels", "Test"} < columns["noisy"]


def test_seconds_of_different_machines_are_not_averaged():
    card = {"device": "cuda", "name": "a card", "threads": 1}
    mixed = rows_of(fake("ts", 0, clock=10.0), fake("ts", 1, clock=1.0, machine=card), fake("ts", 2, clock=12.0))
    assert tables.seconds_text(mixed[0]) == "11.0\u00a0±\u00a01.4" and "x86_64" in tables.clocks_text(mixed)
    assert tables.seconds_text(rows_of(fake("ts", clock=1.0, machine=card))[0]) == "1.0"
    wall = rows_of(fake("laf", clock=10.0))
    assert tables.seconds_text(wall[0]) == "~30" and "wall clock" in tables.clocks_text(wall)
    assert "wall clock" not in tables.clocks_text(rows_of(fake("ts")))


def test_a_table_says_what_it_rests_on():
    records = [*REFERENCES, fake("laf", 0), fake("laf", 1)]
    records[0]["caveats"] = ["not the official split"]
    said = captions.rests_on(rows_of(*records))
    assert "1,000 training images at 28 × 28, 100 to 101 of them to forget" in said
    assert "5 epochs of training, 20 of LAF's unlearning" in said and "profile `paper`" in said
    assert "training seeds 0, 1 (rows with fewer say so)" in said
    assert captions.ONE_SEED in captions.rests_on(rows_of(*REFERENCES, fake("laf", 0))) and captions.ONE_SEED not in said
    assert "CPU (x86_64), 1 thread, PyTorch 2.14.1." in said and said.endswith("not the official split.")
    assert "54.2" in captions.chance_text(rows_of(*records))
    assert captions.resolution("cifar10", "paper") == "224 × 224 (enlarged from 32 × 32)"
    assert captions.resolution("cifar10", "small") == "32 × 32"


def test_authors_rows_are_those_of_the_file_with_their_origin(folder):
    own = training_records.authors()["authors_code_measured"]
    exhibit = tables.exhibit(found(*REFERENCES, fake("laf")), "mnist", "class")
    row = exhibit.blocks[tables.THEIR_BLOCK].loc["LAF, authors' code run by us"]
    assert row["Train_r"] == f"{own['laf']['train_r']:.2f}" and row["ASR"] == f"{own['laf']['asr']:.2f}"
    gap = sum(abs(own["laf"][m] - own["retrained"][m]) for m in ("train_r", "train_f", "test_r")) / 3
    assert row["gap (95 % interval)"] == f"{gap:.2f}" and own["origin"] in exhibit.detail
    assert any(f"{gap:.2f} points from its own retrained model" in sentence for sentence in exhibit.readings)
    requests = {(d, t) for d in training_records.PAPER_DATASETS for t in ("class", "data", "noisy")}
    for dataset, task in requests - set(tables.THEIRS):
        assert tables.their_rows(dataset, task) == {}


def test_nothing_on_record_is_a_note_beside_the_authors_rows(folder):
    assert not len(tables.exhibit(found(), "svhn", "data").table)
    assert "No record of ours yet." in tables.exhibit(found(), "svhn", "data").text()
    assert "LAF, authors' notebook" in tables.exhibit(found(), "cifar10", "class").blocks[tables.THEIR_BLOCK].index


def test_rows_of_single_experiments_stay_out_of_the_main_tables(folder):
    exhibit = tables.exhibit(found(*REFERENCES, fake("laf"), fake("laf_l2")), "mnist", "data")
    assert tables.THEIR_BLOCK not in exhibit.blocks, "of data removal there is no set of theirs"
    exhibit = tables.exhibit(found(*REFERENCES, fake("laf"), fake("laf_l2")), "mnist", "class")
    assert list(exhibit.table.index) == ["Doing nothing", "LAF"]
    assert list(exhibit.blocks[tables.REFERENCE].index) == ["Doing nothing", "Retrained", "Retrained, another seed"]


def test_blocks_stand_apart_and_begin_with_doing_nothing(folder):
    rest = fake("sisa"), fake("unroll"), fake("jit", failure="no number")
    records = [*REFERENCES, fake("laf"), fake("scrub", choice="tuned"), *rest]
    exhibit = tables.exhibit(found(*records), "mnist", "class")
    shown = {tables.PUBLISHED: exhibit.table, **exhibit.blocks}
    assert shown.pop(tables.THEIR_BLOCK).index[0].startswith("Doing nothing, authors'")
    assert all(block.index[0] == "Doing nothing" for block in shown.values())
    rest = {name: list(block.index[1:]) for name, block in shown.items()}
    assert rest[tables.PUBLISHED] == ["LAF"] and rest[tables.TUNED] == ["SCRUB, tuned"]
    assert rest[tables.APART] == ["Unroll", "SISA"] and "SISA is not ranked: another original" in exhibit.detail
    assert exhibit.table.columns[0] == tables.GAP, "the deciding column stands right after the name"
    assert any(sentence.startswith("Diverged, and counted in no mean: JiT") for sentence in exhibit.readings)
    assert "JiT" in exhibit.full.index and "ASR" in exhibit.full.columns and "ASR" not in exhibit.table.columns


def test_published_settings_that_the_search_left_as_they_are_stand_among_the_tuned(folder):
    won = {"scrub": {"winner": {"changes": {"epochs": 2}}}, "ts": {"winner": {"changes": {}}}}
    write_json(winners_path("mnist", "class"), {"methods": won})
    rows = rows_of(fake("scrub"), fake("scrub", choice="tuned"), fake("ts"), fake("laf"))
    found = {name: [g.method for g in own[1:]] for name, own in tables.blocks([*rows_of(fake("original")), *rows]).items()}
    assert set(found[tables.PUBLISHED]) == {"scrub", "ts", "laf"}
    assert set(found[tables.TUNED]) == {"scrub", "ts"}, "LAF was not searched"
    assert list(found)[0] == tables.PUBLISHED


def test_settings_of_the_equal_search_stand_first_where_every_method_has_them(folder):
    won = {name: {"winner": {"changes": {"epochs": 2}}} for name in SPACES}
    write_json(winners_path("mnist", "class"), {"methods": won})
    records = [*REFERENCES, fake("laf"), fake("scrub"), fake("scrub", choice="tuned")]
    published = tables.exhibit(found(*records), "mnist", "class")
    assert tables.FIRST_TUNED not in published.about and list(published.table.index) == ["Doing nothing", "LAF", "SCRUB"]
    both = tables.exhibit(found(*records, fake("laf", choice="tuned")), "mnist", "class")
    assert list(both.table.index) == ["Doing nothing", "LAF, tuned", "SCRUB, tuned"] and tables.FIRST_TUNED in both.about
    assert list(both.blocks)[0] == tables.PUBLISHED and "LAF" in both.blocks[tables.PUBLISHED].index
    write_json(winners_path("mnist", "class"), {"methods": {name: own for name, own in won.items() if name != "ssd"}})
    assert tables.FIRST_TUNED not in tables.exhibit(found(*records, fake("laf", choice="tuned")), "mnist", "class").about


def test_winners_without_a_run_of_full_size_are_named(folder):
    won = {name: {"winner": {"changes": {"epochs": 2}}} for name in ("laf", "scrub")} | {"ts": {"winner": {"changes": {}}}}
    write_json(winners_path("mnist", "class"), {"methods": won})
    records = [*REFERENCES, fake("laf"), fake("laf", choice="tuned"), fake("scrub"), fake("ts")]
    said = tables.exhibit(found(*records), "mnist", "class").detail
    assert "that were not run at full size yet: SCRUB." in said
    whole = tables.exhibit(found(*records, fake("scrub", choice="tuned")), "mnist", "class").detail
    assert "not run at full size" not in whole
    assert "not run at full size" not in tables.exhibit(found(*REFERENCES, fake("laf")), "mnist", "class").detail


def test_laf_with_the_settings_of_the_search_is_held_against_the_published_ones():
    seeds = range(3)
    published = [fake("laf", seed, gap=2.0 + 0.01 * seed) for seed in seeds]
    both = rows_of(*published, *(fake("laf", seed, gap=1.0 - 0.01 * seed, choice="tuned") for seed in seeds))
    said = " ".join(sentences.readings(both, "On MNIST"))
    assert "With the settings of the equal search LAF's gap is 0.99 points; that is nearer than with its published" in said
    alike = rows_of(*published, *(fake("laf", seed, gap=2.0 + 0.5 * (-1) ** seed, choice="tuned") for seed in seeds))
    assert "these and its published settings cannot be told apart" in " ".join(sentences.readings(alike, "On MNIST"))
    assert "equal search" not in " ".join(sentences.readings(rows_of(*published), "On MNIST"))


def test_a_column_without_a_value_is_not_shown():
    rows = rows_of(fake("ts"), fake("laf"))
    assert "cost" not in tables.table(rows, "class").columns, "without passes there is no cost"
    passes = {"passes": {"equivalent": 50.0}}
    priced = rows_of(fake("ts") | passes, fake("retrain", gap=0.0) | {"passes": {"equivalent": 200.0}}, fake("original", gap=3.0))
    cost = tables.table(priced, "class")["cost"]
    assert cost["T-S"] == "25\u00a0%" and cost["Doing nothing"] == "0\u00a0%"


def test_what_collapsed_or_is_not_ranked_is_compared_with_nothing():
    broken = fake("boundary_expand", gap=0.2)
    broken["metrics"]["train_r"] = 10.8
    rows = rows_of(fake("laf", gap=1.0), fake("ts", gap=2.0), broken, fake("jit", gap=0.1))
    assert [group.method for group in sentences.candidates(rows, "none")] == ["ts"]
    assert "Collapsed (below 20 % on D_r), and compared with nothing: Boundary Expand." in sentences.readings(rows, "On MNIST")


def test_a_cost_that_saves_nothing_is_said():
    retrain, dear = fake("retrain", gap=0.0) | {"passes": {"equivalent": 100.0}}, {"passes": {"equivalent": 178.8}}
    assert "**no cheaper than retraining**" in sentences.cost(rows_of(retrain, fake("laf") | dear))
    cheap = fake("laf") | {"passes": {"equivalent": 45.8}}
    assert sentences.cost(rows_of(retrain, cheap)) == "LAF takes 45.8 % of retraining's image passes."


# -- sentences --------------------------------------------------------------------------------------------------------------


def test_sentences_say_plainly_where_laf_is_worse():
    floor = seeds("retrain_again", 0.1, 0.11, 0.09)
    rows = rows_of(*REFERENCES, *floor, *seeds("laf", 1.0, 1.1, 0.9), *seeds("scrub", 0.5, 0.61, 0.4))
    said = " ".join(sentences.readings(rows, "On MNIST"))
    apart = paired(dict(enumerate([1.0, 1.1, 0.9])), dict(enumerate([0.5, 0.61, 0.4])))
    ends = f"95 % interval {apart.low:.2f} to {apart.high:.2f}, 3 seeds"
    assert f"SCRUB (0.50 points); LAF is worse, farther by 0.50 points ({ends})." in said
    assert said.startswith("On MNIST, doing nothing leaves a gap of 30.00 points"), "it is the first comparison"
    assert "LAF's gap is 1.00 points, a second retrained model's 0.10 points." in said
    assert "LAF is farther than that noise floor by 0.90 points" in said
    assert "**no power** here: always answering “member” (54.2 %) scores more than the attack does on doing nothing" in said


def test_what_lies_within_the_noise_is_not_called_a_difference():
    rows = rows_of(*seeds("laf", 1.0, 0.5, 0.9), *seeds("scrub", 0.8, 0.7, 0.8), *seeds("retrain_again", 0.9, 0.6, 0.8))
    said = " ".join(sentences.readings(rows, "On MNIST"))
    assert "LAF lies within the noise floor" in said and "LAF and it cannot be told apart: difference 0.03 points" in said
    assert "better" not in said and "worse" not in said


def test_a_wide_interval_puts_nothing_within_the_noise_floor():
    rows = rows_of(*seeds("laf", 1.0, 3.5, 0.9), *seeds("retrain_again", 0.1, 0.2, 0.1))
    said = sentences._floor(rows, "On MNIST").text(None)
    assert "cannot be told apart: difference 1.67 points" in said and "within" not in said and "so few seeds do not tell" in said


def test_one_seed_claims_nothing():
    exact = fake("sisa", gap=0.01)  # trains anew what held D_f: a cost to compare with, no approximation
    rows = rows_of(*REFERENCES, fake("laf", gap=0.5), fake("scrub", gap=0.45), fake("ts", gap=2.0), exact)
    said = sentences.readings(rows, "On MNIST")
    assert "LAF and it are not compared: one seed, no claim (difference \u221229.50 points)." in said[0]
    assert "0.50 points" in said[1] and "The two are not compared: one seed, no claim" in said[1]
    assert "T-S (2.00 points); LAF and it are not compared" in said[2]
    assert "difference 0.05 points, no more than the noise floor of 0.10 points (one seed)" in said[3]
    assert not any(word in " ".join(said) for word in ("better", "worse", "nearer by", "farther", "interval", "corrected"))


def test_doing_nothing_may_be_nearer():
    failed = fake("jit", failure="no number")
    nothing = seeds("original", 1.0, 1.1, 0.9)
    rows = rows_of(*nothing, *seeds("retrain_again", 0.1, 0.1, 0.1), *seeds("laf", 3.0, 3.2, 2.9), failed)
    said = sentences.readings(rows, "On MNIST")
    assert "LAF is **worse than doing nothing**: farther by 2.03 points" in said[0]
    assert "Diverged, and counted in no mean: JiT (1 of 1 seed)." in said[-1]
    assert sentences.readings(rows_of(fake("scrub")), "On MNIST") == ()


def test_the_comparisons_of_a_table_are_corrected_for_being_several():
    laf, barely = (1.0, 1.5, 2.0, 2.5), (0.9, 1.2, 1.88, 2.3)  # p = 0.03 alone
    rows = rows_of(*seeds("laf", *laf), *seeds("original", *barely), *seeds("retrain_again", 1.0, 1.4, 2.1, 2.5))
    said = sentences.readings(rows, "On MNIST")
    assert "cannot be told apart" in said[0] and "corrected for the other comparisons" in said[0]
    alone = sentences.readings(rows_of(*seeds("laf", *laf), *seeds("original", *barely)), "On MNIST")
    assert "**worse than doing nothing**" in alone[0]


def test_the_nearest_of_several_is_chosen_on_other_seeds():
    """Three equal methods, each lucky on one seed: chosen and compared on the same numbers, LAF would be farther by 0.3."""
    lucky = [*seeds("ts", 0.1, 1.0, 1.0), *seeds("boundary_expand", 1.0, 0.1, 1.0), *seeds("lfssd", 1.0, 1.0, 0.1)]
    rows = rows_of(*seeds("laf", 1.0, 1.0, 1.0), *lucky)
    assert sentences.against_nearest(rows, "none").mean == 0, "on its lucky seed each is held against numbers that were not"
    assert sentences.nearest(rows, "none")[1] == 3
    one = rows_of(*seeds("laf", 1.0, 1.1, 0.9), *seeds("ts", 2.0, 2.1, 2.2), fake("boundary_expand", 0, 0.1))
    assert sentences.against_nearest(one, "none") is None, "the nearest has one seed: none with more stands for it"
    said = " ".join(sentences.readings(one, "On MNIST"))
    assert "Boundary Expand (0.10 points): no claim, since on so few seeds the luckiest of 2 looks nearest" in said


def test_rows_of_another_retrained_model_are_marked(folder):
    other = {"scored_against": {"original": "o", "retrained": "of another machine"}}
    unknown = {"scored_against": None}
    records = [*REFERENCES, fake("laf"), fake("ts") | other, fake("jit") | unknown]
    rows = rows_of(*records)
    said = sentences.elsewhere(rows)
    assert "†: scored against another retrained model than the row Retrained (1 of 6 rows)." in said
    assert "‡: scored against perhaps another retrained model than the row Retrained (1 of 6 rows)." in said
    column = tables.table(rows, "class")["gap (95 % interval)"]
    assert column["T-S"] == "1.00†" and column["JiT"] == "1.00‡" and column["LAF"] == "1.00"
    assert sentences.elsewhere(rows_of(*REFERENCES, fake("laf"))) is None
    assert sentences.elsewhere(rows_of(fake("laf"), fake("ts") | other)) is None, "a table without the goal shows no other model"


# -- coverage ---------------------------------------------------------------------------------------------------------------

GRID = """
[[cells]]
datasets = ["mnist"]
tasks = ["class", "data"]
methods = ["laf", "jit"]
seeds = [0, 1]

[[cells]]
datasets = ["mnist"]
tasks = ["class"]
methods = ["laf"]
seeds = [0]
variants = ["without_ue"]
"""


def test_coverage_names_what_is_missing(folder, tmp_path):
    grid = tmp_path / "grid.toml"
    grid.write_text(GRID)
    besides = fake("scrub", dataset="svhn")
    for record in (fake("laf"), fake("jit", failure="no number"), fake("laf", variant="without_ue"), besides):
        put(record)
    summary, mnist = coverage.exhibits(reading.everything(), [grid])
    assert mnist.table.loc["LAF", "class removal"] == "1 of 2 (no seed 1)"
    assert mnist.table.loc["JiT", "class removal"] == "1 of 2 (no seed 1), 1 diverged"
    assert mnist.table.loc["LAF", "data removal"] == "0 of 2"
    assert words.method_name("laf_pca") == "LAF, principal components"
    assert mnist.table.loc["LAF, without L_UE"].tolist() == ["1 of 1", "–"]
    assert summary.table.loc["MNIST, class removal"].tolist() == ["3 of 5", "2", "–"]
    assert summary.table.loc["SVHN, class removal"].tolist() == ["–", "–", "1"]
    assert summary.readings == ("3 of the grid's 9 cells are on record (1 of them diverged), 6 are not.",)


# -- all of them ------------------------------------------------------------------------------------------------------------


def run_command(monkeypatch, folder):
    monkeypatch.setattr("sys.argv", ["exhibits", f"FOLDER={folder}"])
    return command.main()


def test_one_command_writes_every_exhibit(folder, tmp_path, monkeypatch, capsys):
    for record in (*ablated(), *labelled()):
        put(record)
    place = folder / "maps" / "mnist" / "class-quick-seed0.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(drawn_map()))
    assert run_command(monkeypatch, tmp_path / "out") == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"class-mnist.md", "class-mnist.csv", "labels-class.png", "labels-class-mnist.csv", "ablation-class.png"} <= names
    assert {"coverage.csv", "map-class-mnist-quick-seed0.png", "curves-class.csv"} <= names
    assert "\u00a0" not in (tmp_path / "out" / "class-mnist.csv").read_text(encoding="utf-8")
    page = (tmp_path / "out" / "class-mnist.md").read_text(encoding="utf-8")
    assert page.startswith("# MNIST, class removal\n") and "| LAF |" in page
    assert "(labels-class.png)" in (tmp_path / "out" / "labels-class.md").read_text(encoding="utf-8")
    assert str(tmp_path / "out") in capsys.readouterr().out


def test_no_record_at_all_is_one_line(folder, tmp_path, monkeypatch, capsys):
    assert run_command(monkeypatch, tmp_path / "out") == 1
    told = capsys.readouterr()
    assert told.err.startswith("laf: error: nothing can be drawn: there is no record below ") and told.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_broken_record_is_named_and_ends_in_a_code_of_its_own(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("laf_utils.book.results.every.every", lambda found: [])
    path = put(fake("laf"))
    (path.parent / "broken.json").write_text("{")
    assert run_command(monkeypatch, tmp_path / "out") == 1
    first, second = capsys.readouterr().err.splitlines()
    assert "broken.json: cannot be read as a record" in first and second.startswith("laf: error: left out: 1 of")


def test_only_its_own_folder_is_emptied_first(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("laf_utils.book.results.every.every", lambda found: [])
    put(fake("laf"))
    for name in ("own", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "old.md").write_text("of a record that is gone")
    monkeypatch.setattr(command, "DEFAULT", tmp_path / "own")
    assert run_command(monkeypatch, tmp_path / "own") == run_command(monkeypatch, tmp_path / "other") == 0
    assert not (tmp_path / "own" / "old.md").exists() and (tmp_path / "other" / "old.md").exists()


def test_a_figure_names_the_data_sets_that_were_not_run():
    first, second = every.by_task(ablation, found(*ablated()), "class")
    assert first.draw and "Not run: Fashion-MNIST, CIFAR-10, SVHN." in first.about and "MNIST" in first.alt
    assert second.name == "ablation-class-mnist" and second.draw is None
    (nothing,) = every.by_task(ablation, found(*ablated()), "data")
    assert nothing.text() == ablation.NOTHING


def cells_of(page):
    """The code of a page's cells, without their metadata."""
    for cell in re.findall(r"```\{code-cell\}\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
        code = cell.split("---\n", 2)[2] if cell.startswith("---\n") else cell
        yield "\n".join(line for line in code.splitlines() if not line.startswith(":"))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_pages_run_with_records_and_without(page, folder, monkeypatch):
    shown = []
    monkeypatch.setattr("laf_utils.book.base.exhibit.display", shown.append)
    monkeypatch.setattr("laf_utils.book.base.style.display", shown.append)
    monkeypatch.setattr("IPython.display.display", shown.append)
    for records in ([], [*ablated(), *labelled()]):
        for record in records:
            put(record)
        shown.clear()
        names: dict = {}
        for cell in cells_of(page):
            exec(cell, names)
        assert shown


def test_every_sentence_on_the_committed_records_has_its_number():
    exhibits = [exhibit for exhibit in every.every() if not exhibit.name.startswith(("curves", "coverage"))]
    said = [sentence for exhibit in exhibits for sentence in exhibit.readings]
    known = r"\d\.\d|\d %|\d of \d|iverged|ollapsed|comparisons|No other row|too few for|more than chance|its cost|†|‡"
    assert len(said) > 10 and all(re.search(known, sentence) for sentence in said)
    assert all("nan" not in exhibit.text() for exhibit in exhibits)


def test_what_was_trained_elsewhere_as_one_of_several_says_so():
    record = fake("original", machine={"device": "cuda", "name": "H100", "threads": 1, "together": 6})
    assert captions.machine_of(record) == "H100 (trained as one of 6, its weights brought over)"
