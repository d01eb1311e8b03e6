"""What the tables say together: one row for each request, and an interval over requests."""

import pytest
from exhibits_fakes import fake, found, seeds

from laf_utils.audit import interval
from laf_utils.book.base import style
from laf_utils.book.results import across, every

MNIST, FASHION, SVHN = ("mnist", "class"), ("fashion", "class"), ("svhn", "class")
PLACES = [MNIST, FASHION, SVHN]


def two_requests():
    """LAF nearer than Original by 29.0 on MNIST (three seeds), by 7.0 on Fashion-MNIST (one)."""
    return [
        *seeds("laf", 1.0, 1.5, 0.5), *seeds("original", 30.0, 30.2, 29.8), *seeds("retrain_again", 0.1, 0.2, 0.3),
        fake("laf", 0, 3.0, dataset="fashion"), fake("original", 0, 10.0, dataset="fashion"),
        fake("jit", 0, 0.0, dataset="svhn", failure="no number"), fake("original", 0, 10.0, dataset="svhn"),
    ]


def plain(text):
    return text.replace("\u00a0", " ")


def test_each_request_weighs_the_same_however_many_seeds_it_has():
    exhibit = across.of_methods(found(*two_requests()), PLACES)
    column = exhibit.table["LAF \u2212 Original"].map(plain)
    over = interval([-29.0, -7.0])
    assert column["MNIST, class removal"] == "\u221229.00 (\u221229.75 to \u221228.25)", "over its three seeds"
    assert column["Fashion-MNIST, class removal"] == "\u22127.00"
    assert column.iloc[-1] == f"\u221218.00 (\u2212{-over.low:.2f} to {over.high:.2f})"
    said = next(sentence for sentence in exhibit.readings if "Original" in sentence)
    assert "LAF and Original cannot be told apart: difference \u221218.00 points (95 % interval" in said
    assert said.endswith("2 requests); the former is nearer in 2 of 2.")


def test_a_difference_that_holds_in_every_request_is_called_one():
    records = [*two_requests(), fake("laf", 0, 1.0, dataset="svhn"), *seeds("laf_r", 0.9, 1.4, 0.4)]
    records += [fake("laf_r", 0, 2.89, dataset="fashion"), fake("laf_r", 0, 0.91, dataset="svhn")]
    (said,) = [s for s in across.of_methods(found(*records), PLACES).readings if s.startswith("LAF+R")]
    assert said.startswith("LAF+R is nearer than LAF by 0.10 points (95 % interval 0.0")
    assert said.endswith("3 requests); the former is nearer in 3 of 3.")


def test_a_request_without_the_difference_is_named_with_what_diverged():
    exhibit = across.of_methods(found(*two_requests()), PLACES)
    assert exhibit.about.endswith(" No such difference on record: SVHN, class removal (JiT diverged).")
    assert "SVHN, class removal" not in exhibit.table.index
    assert exhibit.table.loc["Fashion-MNIST, class removal", "LAF \u2212 Retrain, another seed"] == "\u2013"
    assert exhibit.table.index[-1] == "mean over the requests (95 % interval)", "columns rest on different numbers of them"


def test_a_request_of_another_profile_says_so():
    small = [fake(method, 0, gap, dataset="svhn", profile="small") for method, gap in (("laf", 1.0), ("original", 3.0))]
    exhibit = across.of_methods(found(*small), PLACES)
    assert exhibit.table.index[0] == "SVHN, class removal (small)"
    assert exhibit.readings == ("LAF is nearer than Original by 2.00 points (one request); the former is nearer in 1 of 1.",)


def test_parts_are_held_against_full_laf_of_the_same_seeds():
    parts = [*seeds("laf", 31.0, 31.5, variant="without_ra"), fake("laf", 0, 63.0, dataset="fashion", variant="without_ra")]
    exhibit = across.of_parts(found(*two_requests(), *parts), PLACES)
    assert list(exhibit.table.columns) == ["without L_RA"]
    assert exhibit.table["without L_RA"].map(plain).tolist()[1] == "60.00"
    assert exhibit.readings[0].startswith("LAF, without L_RA and full LAF cannot be told apart: difference 45.00 points")


def test_shares_are_held_against_laf_and_against_the_same_labels():
    few = [fake("laf_r", 0, 0.5, variant="labels_5"), fake("retrain_few", 0, 2.0, variant="labels_5"), fake("laf_r", 0, 0.4)]
    free, retrain, scrub, neggrad = across.of_shares(found(*two_requests(), *few), PLACES)
    assert free.table.iloc[0].tolist() == ["\u22120.50", "\u22120.60"] and list(free.table.columns) == ["5 %", "100 %"]
    assert retrain.table.iloc[0].tolist() == ["\u22121.50"]
    assert "LAF+R with 5 % of the labels is nearer than Retrain with the same by 1.50 points (one request)" in retrain.readings[0]
    assert scrub.text() == neggrad.text() == across.NOTHING


def test_they_are_written_with_the_other_exhibits():
    names = [exhibit.name for exhibit in every.every(found(*two_requests()))]
    assert names[0] == "across" and {"across-ablation", "across-labels-laf", "across-labels-scrub_few"} < set(names)
    assert len(names) == len(set(names)), "two exhibits would write one file"


def test_the_figure_shows_every_request_and_the_whole_interval():
    figure = across.figure({"first": [3.0, 3.1, 40.0], "second": [-2.0]})
    (axis,) = figure.axes
    over, (low, high) = interval([3.0, 3.1, 40.0]), axis.get_xlim()
    assert low < over.low < over.high < high, "the bar ends within the axis"
    assert list(axis.lines[0].get_xdata()) == [3.0, 3.1, 40.0] and list(axis.lines[2].get_xdata()) == [over.low, over.high]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["first", "second"]
    style.plt.close(figure)
    with pytest.raises(ValueError, match="nothing to draw"):
        across.figure({})


def test_an_exhibit_over_requests_draws_its_table():
    exhibit = across.of_methods(found(*two_requests()), PLACES)
    figure = exhibit.draw()
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == list(exhibit.table.columns) and exhibit.alt
    style.plt.close(figure)


@pytest.mark.parametrize("of", [across.of_methods, across.of_parts, lambda *given: across.of_shares(*given)[0]])
def test_no_record_is_a_note(of):
    assert of(found(), PLACES).text() == across.NOTHING
