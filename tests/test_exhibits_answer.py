"""Does it work? The sentence, the table and the picture of the first page, and which method for which request."""

import pytest
from exhibits_fakes import fake, found
from matplotlib.transforms import Bbox

from laf_utils.book.base import placing, style, training_records
from laf_utils.book.results import answer, every, frontier, paper_map, tree

DATASETS = training_records.PAPER_DATASETS
PLACES = every.PLACES


def priced(method, gap, passes, **cell):
    return fake(method, gap=gap, **cell) | {"passes": {"equivalent": passes}}


def requests(task, laf, nothing, cost=50.0, floor=0.1, datasets=DATASETS):
    """A request of each data set; gaps differ a little from one to the next."""
    return [
        record for number, dataset in enumerate(datasets) for place in [{"dataset": dataset, "task": task}]
        for record in (
            priced("original", nothing + 0.1 * number, 110.0, **place), priced("retrain", 0.0, 100.0, **place),
            priced("retrain_again", floor, 100.0, **place), priced("laf", laf - 0.1 * number, cost, **place),
        )
    ]


def test_the_answer_is_by_task_and_names_the_cost():
    records = [*requests("class", 1.2, 30.0), *requests("data", 5.0, 5.1, cost=150.0)]
    records[-1]["gap"]["mean"], records[3 + 16]["gap"]["mean"] = 9.0, 1.0
    said = answer.answer(found(*records), PLACES)
    assert said.startswith("**In part.** Where a whole class must go, LAF is nearer to the goal than doing nothing (1.")
    assert "Where random images must go, LAF is not shown to be nearer than doing nothing" in said
    assert said.count("means of 4 requests") == 1, "once for all tasks"
    assert "A second retrained model is nearer than LAF in 8 of 8 requests" in said
    assert said.endswith("LAF costs as many image passes as retraining, or more, in 4 of 8.")


@pytest.mark.parametrize(("laf", "word"), [(1.0, "**Yes.**"), (60.0, "**Not that one could tell.**")])
def test_the_first_word_follows_from_the_records(laf, word):
    said = answer.answer(found(*requests("class", laf, 30.0)), PLACES)
    assert said.startswith(word) and ("**farther from the goal than doing nothing**" in said) == (laf > 30)


def test_one_request_claims_nothing():
    said = answer.answer(found(*requests("class", 1.0, 30.0, datasets=["mnist"])), PLACES)
    assert "is not shown to be nearer than doing nothing" in said


def test_no_record_is_a_sentence():
    assert answer.answer(found(), PLACES) == answer.NO_RECORD and answer.headline(found(), PLACES).empty
    assert frontier.exhibit(found(), PLACES).text() == frontier.NOTHING_YET and frontier.choices(found(), PLACES).empty
    assert answer.task_exhibit(found(), "data", PLACES).about == answer.NO_RECORD


def test_the_headline_table_has_five_columns_with_the_name():
    table = answer.headline(found(*requests("class", 1.0, 30.0, cost=46.0)), PLACES)
    assert tuple(table.columns) == answer.COLUMNS and len(table.columns) == 4
    assert table.loc["MNIST, class removal (one seed)"].tolist() == ["30.00", "1.00", "0.10", "46\u00a0%"]


def test_a_task_names_who_is_nearer_without_labels():
    blind = priced("neggrad_plus_pseudo", 0.2, 102.0)
    apart = priced("jit", 0.1, 5.0)
    said = answer.task_exhibit(found(*requests("class", 1.0, 30.0), blind, apart), "class", PLACES).readings
    assert said[-1].startswith("1 of 1 other rows without labels is nearer than LAF on the requests that both have, namely")
    assert "pseudo-labels (0.20 against 1.00 points, 1 request, one seed). That describes" in said[-1]
    assert "JiT" not in said[-1]
    assert not any("worth its cost" in sentence for sentence in said)
    blank = answer.task_exhibit(found(*requests("data", 5.0, 5.2, datasets=["mnist"])), "data", PLACES).readings
    assert blank[1] == "Train_f is 5.2 % after doing nothing, 5.0 % after LAF and 0.0 % in the retrained model. " \
        "**LAF moves it by next to nothing**."
    assert "So LAF is **not shown to be worth its cost** where random images must go." in blank
    alone = answer.task_exhibit(found(*requests("class", 1.0, 30.0), priced("ts", 4.0, 3.0)), "class", PLACES).readings
    assert alone[-1] == "No other row without labels is nearer than LAF on average."


def test_a_dot_is_a_mean_over_the_requests_that_most_methods_have():
    rest = [priced("ts", 4.0, 3.0, dataset=dataset) for dataset in DATASETS]
    records = found(*requests("class", 1.0, 30.0), *rest, priced("scrub", 2.0, 9.0))
    own = {dot.method: dot for dot in frontier.dots(records, PLACES)}
    assert own["laf"].gap == pytest.approx(0.85) and own["laf"].cost == pytest.approx(0.5) and own["laf"].missing == 0
    assert own["scrub"].missing == 3 and own["original"].cost == 0 and own["ts"].free and not own["scrub"].free
    lone = priced("boundary_expand", 1.0, 5.0, task="noisy", dataset="svhn")
    assert ("svhn", "noisy") not in frontier.compared_on(found(*requests("class", 1.0, 30.0), *rest, lone), PLACES)


def test_the_picture_names_laf_and_whatever_is_ours_and_marks_doing_nothing():
    rest = [priced(method, gap, 30.0, dataset=dataset) for dataset in DATASETS
            for method, gap in (("laf_r", 0.5), ("relearn", 0.4), ("scrub", 3.0), ("neggrad_plus", 5.0))]
    apart = [priced("sisa", 0.2, 100.0, dataset=dataset) for dataset in DATASETS]
    exhibit = frontier.exhibit(found(*requests("class", 1.0, 30.0), *rest, *apart), PLACES)
    figure = exhibit.draw()
    said = [text.get_text() for text in figure.axes[0].texts]
    assert {"LAF", "LAF+R"} < set(said) and any("relearn" in text.lower() for text in said)
    assert any(text.startswith("doing nothing: 30.1") for text in said)
    assert "SCRUB" in said and "NegGrad+" not in said, "the nearest of the others"
    assert not any("SISA" in name for name in exhibit.full.index), "a row that is not ranked has no dot"
    assert exhibit.full.index[0] == "Doing nothing"
    style.plt.close(figure)
    with pytest.raises(ValueError, match="nothing to draw"):
        frontier.figure({"": []})


def test_the_picture_says_who_is_nearer_and_cheaper_than_laf():
    rest = [priced(method, gap, passes, dataset=dataset) for dataset in DATASETS
            for method, gap, passes in (("ts", 0.4, 3.0), ("scrub", 0.3, 90.0), ("neggrad_plus", 0.5, 10.0))]
    own = frontier.by_task(found(*requests("class", 1.0, 30.0), *rest[:-1]), PLACES)
    rows = frontier.table(own["class removal"])
    assert [rows.loc[name, "gap"] for name in ("Doing nothing", "LAF", "T-S")] == ["30.15", "0.85", "0.40"]
    assert rows.loc["T-S", "cost"] == "3\u00a0%" and rows.loc["LAF", "requests"] == "4 of 4"
    assert set(frontier.named(own["class removal"]).values()) == {"LAF", "T-S", "SCRUB"}
    figure = frontier.figure(own)
    assert len(figure.axes) == 1, "a task without records has no panel"
    assert [mark.get_marker() for mark in figure.axes[0].lines if mark.get_gid()].count("s") == 2
    style.plt.close(figure)


def test_the_cure_is_the_nearest_label_free_method_for_half_of_lafs_cost_and_says_how_many_seeds_it_has():
    rest = [priced(method, gap, passes, dataset=dataset) for dataset in DATASETS
            for method, gap, passes in (("ts", 0.4, 3.0), ("lfssd", 0.3, 90.0), ("scrub", 0.2, 3.0))]
    said = frontier.cure(found(*requests("class", 1.0, 30.0), *rest), PLACES)
    assert "**T-S**, 0.40 points" in said and "one training seed" in said and "means of 4 requests" in said
    assert frontier.cure(found(*requests("class", 1.0, 30.0)), PLACES) == ""


def test_the_cure_is_told_over_every_request_that_both_have():
    rest = [priced(method, gap, passes, dataset=dataset) for dataset in DATASETS
            for method, gap, passes in (("ts", 0.4, 3.0), ("lfssd", 0.5, 90.0), ("scrub", 0.6, 3.0), ("neggrad", 0.7, 3.0))]
    alone = [priced("ts", 2.4, 3.0, dataset=dataset, task="data") for dataset in DATASETS]
    everything = found(*requests("class", 1.0, 30.0), *requests("data", 1.0, 30.0), *rest, *alone)
    assert {task for _, task in frontier.compared_on(everything, PLACES)} == {"class"}, "few methods have the data requests"
    said = frontier.cure(everything, PLACES)
    assert "**T-S**, 1.40 points" in said and "means of 8 requests" in said, "though it is farther than LAF there"


def test_what_is_pointed_at_lies_where_it_is_drawn():
    figure, axis = style.plt.subplots(figsize=(4, 2), dpi=100)
    axis.plot([0, 1], [0, 1], gid="corner {x:.0f} {y:.0f}")
    axis.plot([0, 1], [1, 0])
    axis.scatter([1], [0], gid="dot")
    axis.set(xlim=(0, 1), ylim=(0, 1), position=(0, 0, 1, 1))
    figure.canvas.draw()
    said = style.pointed_at(figure, figure.bbox_inches)
    assert said == [[0.0, 100.0, "corner 0 0"], [100.0, 0.0, "corner 1 1"], [100.0, 100.0, "dot"]]
    style.plt.close(figure)


def test_a_choice_must_beat_doing_nothing_by_more_than_the_noise():
    table = frontier.choices(found(*requests("class", 1.0, 30.0), *requests("data", 5.0, 5.2, floor=1.0, cost=150.0)), PLACES)
    assert table.loc["class removal, labels: none"].tolist() == ["LAF", "0.85", "30.15", "50\u00a0%", "1"]
    assert table.loc["data removal, labels: none", "take"] == "retrain; LAF comes next"


def test_the_tree_ends_in_every_choice_with_its_gap_and_cost():
    records = found(*requests("class", 1.0, 30.0), *requests("data", 5.0, 5.2, floor=1.0, cost=150.0))
    drawn, table = tree.tree(records, PLACES), frontier.choices(records, PLACES)
    assert drawn.count("doing nothing") == len(table) == 2 and drawn.count("<ul") == drawn.count("</ul>")
    assert "<b>All images of some classes.</b>" in drawn and "Images with wrong labels" not in drawn
    assert "<b>None</b>: <em>LAF</em>. Gap 0.85 (doing nothing 30.15), cost 50\u00a0%, one seed." in drawn
    assert tree.tree(found(), PLACES) == ""


def test_a_method_that_reads_no_label_may_be_taken_by_whoever_has_some():
    of_labels = [priced("laf_r", gap, 50.0, dataset=name, task="class") for name in DATASETS for gap in (2.0,)]
    records = found(*requests("class", 1.0, 30.0), *of_labels)
    assert frontier.choices(records, PLACES).loc["class removal, labels: of D_r", "take"] == "LAF"
    assert "<b>None or of images that stay</b>: <em>LAF</em>." in tree.tree(records, PLACES)
    of_all = [priced("scrub", 2.0, 50.0, dataset=name, task="class") for name in DATASETS]
    said = "<b>All images of some classes</b>, whatever labels you have: <em>LAF</em>."
    assert said in tree.tree(found(*requests("class", 1.0, 30.0), *of_labels, *of_all), PLACES)


def test_the_map_counts_records_and_their_time():
    run = {"seconds": {"original": 1800.0, "retrained": 1800.0, "vae": None}}
    laf, ts = fake("laf", clock=1200.0), fake("ts", clock=1200.0)  # an hour on the wall, and a third on the processor's clock
    records = found(laf, ts, fake("laf", variant="without_ue"), fake("laf", profile="quick"))
    table = paper_map.table(records, [run])
    assert table.loc["Table 2: class removal", ["records", "time"]].tolist() == ["2", "1.3 h"]
    assert table.loc["ablation of both losses", "records"] == "1" and table.loc["loss curves", "time"] == "1.0 h"
    assert table.loc["Table 1: data removal", "time"] == "\u2013"


def test_words_lie_on_no_mark_and_on_no_other_word():
    figure, axis = style.plt.subplots(figsize=(4, 3), dpi=100)
    axis.set(xlim=(0, 1), ylim=(0, 1))
    points = [(0.5, 0.5), (0.55, 0.5), (0.97, 0.5)]
    notes = [axis.annotate("name", xy, (8, -4), textcoords="offset points", in_layout=False) for xy in points]
    figure.draw_without_rendering()
    marks = [Bbox([p - 5, p + 5]) for p in map(axis.transData.transform, points)]
    placing.settle(axis, [(note, placing.around(xy)) for note, xy in zip(notes, points, strict=True)], marks)
    boxes = [note.get_window_extent() for note in notes]
    assert not any(Bbox.intersection(box, mark) for box in boxes for mark in marks)
    assert Bbox.intersection(boxes[0], boxes[1]) is None
    assert notes[0].get_ha() == "right" and notes[1].get_ha() == "left"
    assert boxes[2].x1 <= axis.get_window_extent().x1, "the axis ends there"
    style.plt.close(figure)
