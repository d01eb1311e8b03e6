"""Exhibits of LAF with few labels, of LAF without one of its parts, and of relearn at other settings."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from exhibits_fakes import ablated, fake, found, labelled, seeds

from laf_utils.audit import interval, paired
from laf_utils.book.base import style, words
from laf_utils.book.base.words import labels_read
from laf_utils.book.results import ablation, divergence, every, relearn_parts
from laf_utils.book.results import labels as shares
from laf_utils.experiments.cells import Cell
from laf_utils.experiments.making import config_of, settings_of
from laf_utils.settings.config import ConfigError


def exhibit_of(room, records):
    """The exhibit of MNIST, class removal."""
    return every.of_request(room, room.rows_of(records, "mnist", "class"), "mnist", "class")


# -- few labels -------------------------------------------------------------------------------------------------------------


def test_a_share_stands_beside_baselines_with_the_same_labels():
    rows = shares.rows_of(found(*labelled()), "mnist", "class")
    drawn = shares.lines(rows)
    assert {name: list(line) for name, line in drawn.items()} == {
        "LAF+R": [1, 10, 100], "Retrain": [1, 10, 100], "SCRUB": [1, 10, 100], shares.BOUNDED: [100],
    }
    said = shares.readings(rows, "On MNIST")
    assert said[0] == "On MNIST, doing nothing leaves a gap of 30.00 points.", "it is the first comparison"
    assert said[1].startswith("With 1 % of the labels LAF+R has a gap of 2.00 points")
    assert "the nearest baseline with the same, chosen on these numbers, is Retrain with 20.0" in said[1]
    assert "chosen on these numbers, is SCRUB" in said[3], "at 100 % neither goal nor control is a baseline"
    worse = shares.readings(shares.rows_of(found(*labelled(), fake("scrub_few", 0, 70.0, variant="labels_50"),
                                                 fake("laf_r", 0, 0.4, variant="labels_50")), "mnist", "class"), "On MNIST")
    assert any("SCRUB with these labels comes no nearer than doing nothing" in sentence for sentence in worse)
    failed = fake("scrub_few", 0, failure="no number", variant="labels_5")
    rows = shares.rows_of(found(*labelled(), failed), "mnist", "class")
    assert shares.readings(rows, "On MNIST")[-1] == "Diverged, and counted in no mean: SCRUB, 5 % of labels (1 of 1 seed)."
    assert "reads none of D_r's" in exhibit_of(shares, found(*labelled())).about


def test_a_method_that_diverged_says_how_many_labels_it_was_given():
    failed = [fake("scrub_few", failure="no number", variant="labels_5"), fake("laf_r", failure="no number")]
    told = [labels_read(record) for record in failed]
    assert told == ["5 % of D_r", "100 % of D_r"]


def test_a_cell_of_its_own_at_all_labels_replaces_the_stand_in():
    records = [*labelled(), fake("neggrad_plus_few", gap=0.2)]
    rows = shares.rows_of(found(*records), "mnist", "class")
    assert shares.lines(rows)[shares.BOUNDED][100].method == "neggrad_plus_few"
    assert "neggrad_plus_pseudo" not in [g.method for g in rows]


def test_all_rows_rest_on_the_seeds_that_a_share_or_a_part_was_run_with():
    plain = [*seeds("laf", 1.0, 2.0, 3.0), *seeds("laf_r", 0.5, 0.6, 0.7), *seeds("retrain_again", 0.1, 0.2)]
    few = shares.rows_of(found(*plain, fake("laf_r", 1, 0.9, variant="labels_1")), "mnist", "class")
    assert {words.name_of(group): list(group.records) for group in few} == {
        "LAF+R, 1 % of labels": [1], "LAF+R": [1], "LAF": [1], "Retrained, another seed": [1],
    }
    parts = [fake("laf", seed, 0.9, variant="without_ue") for seed in (0, 2)]
    assert [list(group.records) for group in ablation.rows_of(found(*plain, *parts), "mnist", "class")] == [[0], [0, 2], [0, 2]]


def test_the_shares_are_summed_up_in_one_sentence():
    said = shares.summary(found(*labelled()), [("mnist", "class"), ("svhn", "class")])
    assert said.startswith("Over 1 request LAF+R's mean gap is **")
    assert "with 1 % of the labels and 0.45 with all of them**" in said
    assert shares.summary(found(), [("mnist", "class")]) == shares.NOTHING


def test_the_figure_of_the_shares_has_a_line_for_each_method():
    figure = every.by_task(shares, found(*labelled()), "class")[0].draw()
    (axis,) = figure.axes
    labels = [line.get_label() for line in axis.lines]
    assert labels == ["Doing nothing", "LAF", "Retrained, another seed", "LAF+R", "Retrain", "SCRUB", shares.BOUNDED]
    assert list(axis.lines[3].get_xdata()) == [1, 10, 100] and axis.lines[3].get_ydata()[2] == pytest.approx(0.45)
    style.plt.close(figure)
    assert every.by_task(shares, found(), "class")[0].draw is None
    with pytest.raises(ValueError, match="nothing to draw"):
        shares.figure({})


# -- ablation ---------------------------------------------------------------------------------------------------------------


def test_the_ablation_is_paired_with_full_laf():
    exhibit = exhibit_of(ablation, found(*ablated()))
    column = exhibit.table[ablation.DIFFERENCE]
    apart = paired({0: 30.0, 1: 31.0, 2: 29.5}, {0: 1.0, 1: 1.1, 2: 0.9})
    assert column["LAF, without L_UE"] == words.breakable(words.gap_text(apart)) and column["LAF"] == "–"
    assert list(exhibit.table.index)[3:] == [f"LAF{end}" for end in (
        "", ", without L_UE", ", without L_RA", ", L_RA without its forget half")], "what diverged is named under the table"
    assert exhibit.table.columns[1] == ablation.DIFFERENCE
    said = exhibit.readings
    assert f"farther than full LAF by 29.17 points (95 % interval {apart.low:.2f} to {apart.high:.2f}, 3 seeds)." in said[0]
    assert "cannot be told apart" in said[1] and "not seen to matter" in said[1]
    assert "nearer than full LAF by 0.49 points" in said[2] and "does better without" in said[2]
    assert "These 3 comparisons" in said[3] and "exploratory" in said[3]
    assert said[4] == "Diverged, and counted in no mean: LAF, L_RA without its retain half (1 of 1 seed)."


def test_records_with_representations_give_their_cka_to_the_retrained_model():
    near = {"representation": {"forget": {"cka": 0.5}, "retain": {"cka": 0.9}}}
    records = [*seeds("laf", 1.0, 1.2), *seeds("laf", 3.0, 3.1, variant="without_ue")]
    assert "CKA on D_f" not in exhibit_of(ablation, found(*records)).table.columns
    table = exhibit_of(ablation, found(*(record | near for record in records[:2]), *records[2:])).table
    assert table["CKA on D_f"].tolist() == ["0.500", "–"] and table.loc["LAF", "CKA on D_r"].startswith("0.900")


def test_the_figure_of_the_ablation_has_a_row_for_each_part():
    figure = every.by_task(ablation, found(*ablated()), "class")[0].draw()
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [
        "Doing nothing", "Retrained, another seed", "LAF", "LAF, without L_UE", "LAF, without L_RA",
        "LAF, L_RA without its forget half"]
    style.plt.close(figure)
    with pytest.raises(ValueError, match="nothing to draw"):
        ablation.figure({})


def test_a_part_that_collapses_is_no_measure_of_forgetting():
    broken = [fake("laf", seed, 58.0, variant="without_ra") for seed in (0, 1)]
    for record in broken:
        record["metrics"]["train_r"] = 11.0
    records = found(*seeds("laf", 1.0, 1.1), *broken, *seeds("laf", 0.5, 0.6, variant="without_ue"))
    said = exhibit_of(ablation, records).readings
    assert any("LAF, without L_RA collapses: 11.0 % on D_r" in sentence for sentence in said)
    assert ablation.summary(records, [("mnist", "class"), ("svhn", "class")]) == (
        "LAF, without L_UE is nearer to the goal than full LAF in 1 of 1 requests.",
        "LAF, without L_RA is nearer to the goal than full LAF in 0 of 1 requests and collapses in 1.",
    )


# -- relearn: budget and parts ----------------------------------------------------------------------------------------------

PLACES = [("mnist", "class"), ("mnist", "data"), ("fashion", "class")]


def relearned(*seeds_of, **gaps):
    """Records of relearn by variant on the requests of ``PLACES``: its gap on each, plus a tenth a seed."""
    return found(*(
        fake("relearn", seed, value + seed / 10, dataset=dataset, task=task, **({"variant": name} if name else {}))
        for name, own in gaps.items() for (dataset, task), value in zip(PLACES, own, strict=False) for seed in seeds_of
    ))


def test_relearn_is_shown_at_each_budget_with_the_mean_over_the_requests_that_every_budget_has():
    plain = {"": (1.0, 2.0, 9.0), "passes_2": (3.0, 4.0, 9.0), "passes_20": (0.5, 1.0)}
    exhibit = relearn_parts.exhibit(relearned(0, 1, **plain), PLACES)
    table = exhibit.table
    assert table.columns[0] == "mean gap" and table["mean gap"].tolist() == ["3.55", "1.55", "0.80"], "2, 10, 20 %; two requests"
    assert table.iloc[2].tolist()[1:] == ["0.55 ± 0.07".replace(" ", "\u00a0"), "1.05 ± 0.07".replace(" ", "\u00a0"), "–", "2"]
    assert exhibit.readings == ("From 2 to 20 % of retraining's passes the mean gap falls from 3.55 to 0.80 points.",)
    figure = exhibit.draw()
    assert [line.get_ydata()[-1] for line in figure.axes[0].lines] == pytest.approx([0.55, 1.05, 0.80])
    style.plt.close(figure)


def test_relearn_without_its_parts_names_what_carries_most_and_what_is_nearer_without():
    own = {"": (1.0, 2.0), "retain_10": (2.0, 3.0), "without_mask": (9.0, 2.0), "soft": (1.0, 2.5), "hard": (0.5, 2.0),
           "from_fresh": (99.0,)}
    assert relearn_parts.exhibit(relearned(0, **own), PLACES).readings == (
        "With a tenth of D_r's images and the same passes it is 2.50 points, with all of them 1.50 (one seed, no claim).",
        "Started or taught without the mask, it ends 4.00 points farther on average (one seed, no claim).",
        "Started or taught with hard answers, it ends 0.25 points nearer on average (one seed, no claim).",
    )
    other, nothing = {"": (1.0, 2.0), "other_images": (8.0, 4.0)}, [
        fake("original", 0, 5.0, dataset=dataset, task=task) for dataset, task in PLACES[:2]
    ]
    assert relearn_parts.exhibit(found(*relearned(0, **other).records.values(), *nothing), PLACES).readings == (
        "Without an image of D_r, taught on another set's as many, it is 6.00 points; doing nothing 5.00. D_r's images cannot be "
        "replaced by another set's here (one seed, no claim).",
    )
    again = [fake("retrain_again", 0, 0.6, dataset=dataset, task=task) for dataset, task in PLACES[:2]]
    small = relearned(0, **{"": (1.0, 2.0), "without_mask": (1.5, 2.5), "soft": (1.0, 2.1)}).records.values()
    assert relearn_parts.exhibit(found(*small, *again), PLACES).readings == (
        "Its parts are not seen to matter here: the largest change, without the mask, is 0.50 points, and a second retrained "
        "model is 0.60 away from the goal (one seed, no claim).",
    )
    assert relearn_parts.exhibit(relearned(0, **{"": (1.0, 2.0)}), PLACES).text() == relearn_parts.NOTHING


def test_a_variant_of_one_method_is_refused_for_another_and_changes_its_settings_alone():
    with pytest.raises(ConfigError, match="variant passes_2 is of relearn, got laf"):
        Cell("mnist", "class", "laf", variant="passes_2")
    settings = {name: settings_of(cell, SimpleNamespace(config=config_of(cell)), None) for name in ("", "passes_2", "from_fresh")
                if (cell := Cell("mnist", "class", "relearn", variant=name))}
    plain = settings[""]
    assert settings["passes_2"] == replace(plain, share=0.02) and settings["from_fresh"] == replace(plain, start=1.0, tail=1.0)


# -- answers on D_f ----------------------------------------------------------------------------------------------------------


def test_answers_on_the_forgotten_images_are_compared_over_the_seeds_that_all_have():
    def of(method, *numbers, task="class"):
        own = seeds(method, *numbers, task=task)
        for record, value in zip(own, numbers, strict=True):
            record["representation"] = {"forget": {"divergence": value}}
        return own

    records = [*of("retrain_again", 0.01, 0.01), *of("relearn", 0.015, 0.01), *of("laf", 0.5), *of("original", 0.6, 0.7)]
    records += [*of("retrain_again", 0.01, task="data"), *of("relearn", 0.03, task="data"), *of("original", 0.02, task="data")]
    records += [*of("laf", 0.02, task="data"), *seeds("relearn", 1.0, task="noisy")]
    shown = divergence.exhibit(found(*records), [("mnist", task) for task in ("class", "data", "noisy")])
    assert shown.table.iloc[0].tolist() == ["0.010", "0.015", "0.500", "0.600", "1"] and len(shown.table) == 2
    assert shown.readings == (
        "relearn answers D_f nearer to the retrained model than LAF in 1 of 2 requests (one training seed and more, no claim).",
        "Within twice what a second retrained model is away: relearn in 1 of 2 requests, LAF in 1.",
    )
    assert divergence.exhibit(found(), PLACES).text() == divergence.NOTHING


@pytest.mark.parametrize(("values", "text"), [([0.4, 0.6], "0.50\u00a0(\u22120.77\u00a0to\u00a01.77)"), ([1.0], "1.00"),
                                              ([9.0, 53.0], "31.00\u00a0(\u2212249\u00a0to\u00a0311)")])
def test_an_interval_wider_than_a_gap_can_be_has_whole_ends(values, text):
    assert words.gap_text(interval(values)) == text
