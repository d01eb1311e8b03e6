"""Readers' questions: which cells answer them, what is compared with what, and sentences that follow the records."""

import re

import pytest

from laf_utils.audit import interval
from laf_utils.book.base.reading import Found, gap, metric
from laf_utils.book.chapters import ch7_answers, ch7_figures, ch7_questions, ch7_tables
from laf_utils.book.chapters.ch7_questions import LAF, Arm
from laf_utils.experiments.grid import read_grid
from laf_utils.experiments.variants import VARIANTS
from laf_utils.methods import find
from laf_utils.support.paths import ROOT


def fake(method="laf", seed=0, gap=1.0, *, dataset="mnist", task="class", variant="", failure=None, train_f=5.0, cka=0.5):
    """What the questions read of a record."""
    cell = {"dataset": dataset, "task": task, "method": method, "seed": seed, "profile": "quick", "choice": "defaults"}
    part, passes = {"cka": cka, "agreement": 100 - gap}, {"equivalent": 50.0 if variant == "joint" else 100.0}
    return {
        "cell": cell | ({"variant": variant} if variant else {}), "failure": failure, "label_access": {"level": "none"},
        "metrics": None if failure else {"train_f": train_f, "train_r": 99.0, "test": 90.0},
        "gap": None if failure else {"mean": gap}, "passes": None if failure else passes,
        "representation": None if failure else {"forget": part, "retain": part}, "headline": f"MNIST, {task}; x", "caveats": [],
        "task": {"forget": 100, "retain": 900}, "settings": {}, "machine": {"device": "cpu", "name": "x86_64", "threads": 1},
        "versions": {"torch": "2.14.1"},
    }


def board_of(*records):
    return ch7_questions.board(Found(dict(enumerate(records))))


def test_every_arm_is_a_cell_of_the_grid_in_every_place():
    grid = {(c.dataset, c.task, c.method, c.variant) for c in read_grid() if c.profile == ch7_questions.PROFILE}
    asked = [arm for question in ch7_questions.QUESTIONS for arm in question]
    wanted = [Arm(), Arm("original"), Arm("retrain_again"), *asked]
    for dataset, task in ch7_questions.PLACES:
        assert {(dataset, task, arm.method, arm.variant) for arm in wanted} <= grid


def test_an_arm_changes_one_thing_of_laf():
    page = (ROOT / "notebooks" / "07_questions.ipynb").read_text(encoding="utf-8")
    for question in ch7_questions.QUESTIONS:
        for arm in question:
            assert (arm.method == "laf") == bool(arm.variant), "a method or a variant, not both"
            assert arm.variant in VARIANTS or find(arm.method).label_access == find("laf").label_access
            assert arm.title in page


def test_differences_pair_each_run_with_laf_of_its_own_place_and_seed():
    arm = Arm(variant="joint")
    board = board_of(
        fake(gap=1.0), fake(seed=1, gap=2.0), fake(dataset="fashion", gap=10.0),
        fake(variant="joint", gap=4.0), fake(variant="joint", seed=1, gap=3.0),
        fake(variant="joint", dataset="fashion", gap=12.0),
        fake(variant="joint", seed=2, gap=99.0),  # no LAF of this seed
    )
    assert board.differences(arm) == {("mnist", "class", 0): 3.0, ("mnist", "class", 1): 1.0, ("fashion", "class", 0): 2.0}
    assert board.pooled(arm).mean == pytest.approx(2.0) and board.pooled(arm).count == 3
    assert board.pooled(arm, places=ch7_questions.of_task("data")) is None
    assert ch7_tables.pooled(board, ch7_questions.SCHEDULE, "class").loc["one step on the sum", "passes, LAF = 1"] == "0.50"


def test_other_profiles_and_settings_are_not_arms():
    other = fake(variant="joint", gap=50.0)
    other["cell"]["profile"] = "paper"
    tuned = fake(gap=70.0)
    tuned["cell"]["choice"] = "tuned"
    board = board_of(fake(gap=1.0), other, tuned)
    assert board.differences(Arm(variant="joint")) == {}
    assert board.row(("mnist", "class"), LAF).values(gap) == {0: 1.0}


def three(variant="", gaps=(1.0, 1.1, 0.9), **more):
    return [fake(variant=variant, seed=seed, gap=gap, **more) for seed, gap in enumerate(gaps)]


def test_a_sentence_says_farther_nearer_or_not_to_be_told_apart():
    board = board_of(*three(), *three("two_stage", (21.0, 21.2, 20.8)), *three("joint", (0.5, 1.5, 1.0)))
    said = ch7_answers.in_request(board, ch7_questions.SCHEDULE, "class")
    assert "*two stages* (by 20.00 points) ends farther than LAF;" in said and "19." not in said, "intervals stand in the table"
    assert "*one step on the sum* cannot be told from LAF." in said
    board = board_of(*three(gaps=(9.0, 9.1, 8.9)), *three("two_stage"))
    assert "*two stages* (by 8.00 points) ends nearer than LAF" in ch7_answers.in_request(board, ch7_questions.SCHEDULE, "class")


def test_one_run_proves_nothing_and_a_diverged_one_is_named():
    board = board_of(fake(gap=1.0), fake("laf_l2", gap=80.0), fake("laf_dot", failure="diverged"))
    said = ch7_answers.answer(board, ch7_questions.SIMILARITY)
    assert "*squared distance in L_RA* cannot be told from LAF" in said and "1 paired run is too few to tell" in said
    assert "diverged: *dot product in L_RA* in 1" in said
    table = ch7_tables.pooled(board, ch7_questions.SIMILARITY, "class")
    assert table.loc["dot product in L_RA", "runs"] == "0, 1 diverged" and table.loc["dot product in L_RA", "gap (points)"] == "–"
    assert ch7_tables.by_place(board, ch7_questions.SIMILARITY).loc["dot product in L_RA", "MNIST, class removal"] == "diverged"


def test_each_table_of_a_question_says_what_it_is_of():
    board = board_of(*three(), *three("joint"), *three(task="data"), *three("joint", task="data"))
    captions = [table.caption.split(" ")[0] for table in ch7_tables.of_question(board, ch7_questions.SCHEDULE)]
    assert captions == ["Gap", "Class", "Data"]
    captions = [table.caption.split(":")[0] for table in ch7_tables.of_epochs(board)]
    assert captions == ["MNIST, data removal", "MNIST, class removal"]
    only = ch7_tables.of_question(board_of(*three(), *three("joint")), ch7_questions.SCHEDULE)
    assert [table.caption.split(" ")[0] for table in only] == ["Gap", "Class"], "an empty table is none"


def test_two_sentences_one_for_each_request():
    board = board_of(*three(), *three("joint"), *three(task="data"), *three("joint", task="data"))
    assert len(re.findall(r"In (class|data) removal, ", ch7_answers.answer(board, ch7_questions.SCHEDULE))) == 2


def test_without_records_every_question_says_so():
    board = board_of()
    for question in (ch7_questions.SCHEDULE, ch7_questions.SIMILARITY, ch7_questions.LOSSES, ch7_questions.DENSITIES):
        assert ch7_answers.answer(board, question) == ch7_answers.NOTHING
        with pytest.raises(ValueError, match="nothing to draw"):
            ch7_figures.differences(board, question)
        assert len(ch7_tables.of_question(board, question)) == 1
    assert ch7_tables.of_epochs(board) == []
    assert ch7_answers.goal(board) == ch7_answers.NOTHING and ch7_tables.about(board) == "No record of profile quick yet."


def goal_records():
    records = []
    for task in ("class", "data"):
        records += [fake("original", task=task, gap=9.0), fake("retrain_again", task=task, gap=0.5, cka=0.9)]
        for epochs, far in ((1, 8.0), (2, 4.0), (5, 2.0), (20, 3.0), (40, 6.0)):
            records.append(fake(task=task, variant=f"epochs_{epochs}", gap=far, cka=1 / epochs))
        records.append(fake(task=task, gap=2.5, cka=0.4))
    return records


def goal_board():
    return board_of(*goal_records())


def test_the_goal_is_told_by_the_nearest_number_of_epochs():
    board = goal_board()
    names = list(ch7_tables.trajectory(board, ("mnist", "data")))
    assert names == ["0 epochs: the original", "1 epoch", "2 epochs", "5 epochs", "10 epochs", "20 epochs", "40 epochs",
                     ch7_tables.AGAIN_NAME]
    said = ch7_answers.goal(board)
    assert "MNIST, data removal 5 epochs" in said
    assert "tried in 0 of 2 requests" in said and "falls meanwhile in 2 of 2" in said
    assert said.endswith(": where to end has to be measured.")
    farther = board_of(*goal_records(), fake(variant="epochs_40", gap=0.4, cka=0.02))
    assert "tried in 1 of 2" in ch7_answers.goal(farther) and ch7_answers.goal(farther).endswith("do not agree on how far to go.")
    assert "answers 99.5 % of $D_f$ as the first does, LAF 97.5 %" in said


def test_epochs_are_compared_on_the_seeds_that_all_of_them_have():
    more = [fake(seed=1, gap=0.1), fake(seed=1, variant="epochs_1", gap=0.2), fake("retrain_again", seed=1, gap=0.0)]
    board = board_of(*goal_records(), *more)
    assert {tuple(group.records) for group in ch7_tables.trajectory(board, ("mnist", "class")).values()} == {(0,)}
    assert "MNIST, class removal 5 epochs" in ch7_answers.goal(board), "10 win by their seed alone"
    assert ch7_tables.of_epochs(board)[1].caption.startswith("MNIST, class removal: training seed 0; ±")


def test_figures_are_drawn_at_phone_width():
    board = board_of(*three(), *three("two_stage", (81.0, 81.2, 80.8)), *three("joint", (-40.0, 90.0, 3.0)))
    figure = ch7_figures.differences(board, ch7_questions.SCHEDULE)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["two stages", "one step on the sum"]
    below = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert "0" in below and len(below) <= 8, "numbers that run into each other"
    assert figure.get_figwidth() < 6 and ch7_figures.over_epochs(goal_board()).get_figwidth() < 6


def test_train_f_is_compared_in_points():
    board = board_of(fake(train_f=5.0), fake(variant="joint", train_f=8.0))
    assert board.pooled(Arm(variant="joint"), metric("train_f")).mean == pytest.approx(3.0)


def test_a_part_is_seen_to_matter_or_not():
    alike = board_of(*three(), *three("h_on_retain"), *three("no_kl"))
    said = ch7_answers.parts_verdict(alike, ch7_questions.DENSITIES, "The densities")
    assert said.startswith("**The densities are not seen to matter.** None of 2 exchanges")
    apart = board_of(*three(), *three("h_on_retain"), *three("no_kl", (21.0, 21.2, 20.8)))
    said = ch7_answers.parts_verdict(apart, ch7_questions.DENSITIES, "The densities")
    assert "matter in 1 of 2 exchanges:** *KL dropped*" in said
    assert ch7_answers.parts_verdict(board_of(), ch7_questions.DENSITIES, "The densities") == ch7_answers.NOTHING


def test_alignment_alone_is_counted_run_by_run():
    said = ch7_answers.alignment_alone(board_of(*three(), *three("without_ue", (0.5, 1.0, 1.2))))
    assert "$L_{RA}$ alone does at least as well as both losses:** it ends nearer in 2 of 3 paired runs" in said
    assert "for 100 % of the image passes" in said and "cannot be told from zero" in said
    assert "does not do as well" in ch7_answers.alignment_alone(board_of(*three(), *three("without_ue", (5.0, 5.1, 4.9))))
    assert ch7_answers.alignment_alone(board_of()) == ch7_answers.NOTHING


def test_the_summary_names_doing_nothing_and_every_part():
    said = ch7_answers.summary(board_of(*three("h_on_retain"), *three(), fake("original", gap=30.0)))
    assert said.startswith("- Over these runs doing nothing leaves a gap of 30.00 points, LAF ")
    assert "**The densities are not seen to matter.**" in said and said.count("\n- ") >= 2
    assert ch7_answers.summary(board_of()) == f"- {ch7_answers.NOTHING}"


def test_doing_nothing_is_the_first_row():
    board = board_of(*three(), *three("joint"), fake("original", gap=30.0))
    assert list(ch7_tables.by_place(board, ch7_questions.SCHEDULE).index)[:2] == ["Doing nothing", "LAF as published"]


def test_two_runs_have_no_interval():
    board = board_of(*three()[:2], *three("joint")[:2])
    assert ch7_tables.pooled(board, ch7_questions.SCHEDULE, "class")["95 % interval"].tolist() == ["–"]
    board = board_of(*three(), *three("joint"))
    assert " to " in ch7_tables.pooled(board, ch7_questions.SCHEDULE, "class")["95 % interval"].tolist()[0]
    assert not ch7_answers.told_apart(interval([5.0, 5.1]))
    board = board_of(fake(gap=1.0), fake(seed=1, gap=2.0))
    cell = ch7_tables.by_place(board, ch7_questions.SCHEDULE).loc["LAF as published", "MNIST, class removal"]
    assert cell == "1.50\u00a0±\u00a00.71"
