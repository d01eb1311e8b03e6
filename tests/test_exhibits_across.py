"""What the tables say together: one row for each request, and an interval over requests."""

import pytest
from exhibits_fakes import fake, found, seeds

from laf_utils.audit import interval
from laf_utils.book.base import style
from laf_utils.book.results import every, requests

MNIST, FASHION, SVHN = ("mnist", "class"), ("fashion", "class"), ("svhn", "class")
PLACES = [MNIST, FASHION, SVHN]


def two_requests():
    """LAF nearer than Original by 29.0 on MNIST (three seeds), by 7.0 on Fashion-MNIST (one)."""
    return [
        *seeds("laf", 1.0, 1.5, 0.5), *seeds("original", 30.0, 30.2, 29.8), *seeds("retrain_again", 0.1, 0.2, 0.3),
        fake("laf", 0, 3.0, dataset="fashion"), fake("original", 0, 10.0, dataset="fashion"),
        fake("jit", 0, 0.0, dataset="svhn", failure="no number"), fake("original", 0, 10.0, dataset="svhn"),
    ]


def differences(*by_request):
    """LAF and LAF+R of one seed in requests (data set, task): LAF+R farther by so many points."""
    return [
        record for dataset, task, apart in by_request
        for record in (fake("laf", 0, 1.0, dataset=dataset, task=task), fake("laf_r", 0, 1.0 + apart, dataset=dataset, task=task))
    ]


def plain(text):
    return text.replace("\u00a0", " ")


def test_each_request_weighs_the_same_however_many_seeds_it_has():
    exhibit = requests.of_methods(found(*two_requests()), PLACES)
    assert exhibit.table.columns[0] == "LAF \u2212 doing nothing", "doing nothing is the first comparison"
    column = exhibit.table["LAF \u2212 doing nothing"].map(plain)
    over = interval([-29.0, -7.0])
    assert column["MNIST, class removal"] == "\u221229.00 (\u221229.75 to \u221228.25)", "over its three seeds"
    assert column["Fashion-MNIST, class removal (one seed)"] == "\u22127.00"
    assert column.iloc[-1] == column.iloc[-2] == f"\u221218.00 (\u2212{-over.low:.0f} to {over.high:.0f})"
    said = next(sentence for sentence in exhibit.readings if "doing nothing" in sentence)
    assert said.startswith("LAF is nearer than doing nothing in 2 of 2 requests, by 18.00 points on average.")
    assert "2 data sets are too few for a claim." in said


def test_requests_of_one_data_set_are_one_unit():
    """Six requests agree well, but four of them are of one data set: over requests there is a difference, over data sets none."""
    given = [("mnist", "class", -3.0), ("mnist", "data", -3.2), ("mnist", "noisy", -2.8), ("fashion", "class", -0.4),
             ("fashion", "data", -0.6), ("svhn", "class", -0.1)]
    exhibit = requests.of_methods(found(*differences(*given)), [(dataset, task) for dataset, task, _ in given])
    column = exhibit.table["LAF+R \u2212 LAF"].map(plain)
    pooled, sets = interval([apart for *_, apart in given]), interval([-3.0, -0.5, -0.1])
    assert pooled.high < 0 < sets.high
    assert column["mean over 6 requests (95 % interval)"].startswith("\u22121.68")
    assert column["mean over 3 data sets (95 % interval)"].startswith("\u22121.20")
    (said,) = exhibit.readings
    assert said.startswith("LAF+R is nearer than LAF in 6 of 6 requests, by 1.68 points on average.")
    assert said.endswith("Over 3 data sets that may be chance (p = 0.32, corrected).")


def test_a_difference_that_holds_in_every_data_set_is_called_one():
    given = [("mnist", "class", -1.0), ("fashion", "class", -1.1), ("svhn", "class", -0.9)]
    (said,) = requests.of_methods(found(*differences(*given)), PLACES).readings
    assert said.startswith("LAF+R is nearer than LAF in 3 of 3 requests, by 1.00 points on average.")
    assert said.endswith("Over 3 data sets that is **more than chance**.")


def test_several_comparisons_of_an_exhibit_are_corrected():
    barely = [("mnist", "class", -1.0), ("fashion", "class", -1.6), ("svhn", "class", -0.5), ("cifar10", "class", -1.9)]
    alone = requests.of_methods(found(*differences(*barely)), [*PLACES, ("cifar10", "class")])
    assert alone.readings[0].endswith("**more than chance**.")
    rest = [fake(method, 0, gap, dataset=dataset) for dataset, *_ in barely
            for method, other in (("original", "svhn"), ("retrain_again", "mnist")) for gap in [1.1 if dataset == other else 0.9]]
    beside = requests.of_methods(found(*differences(*barely), *rest), [*PLACES, ("cifar10", "class")])
    (said,) = [sentence for sentence in beside.readings if sentence.startswith("LAF+R")]
    assert "that may be chance (p = 0.0" in said and "corrected" in said


def test_a_request_without_the_difference_is_named_with_what_diverged():
    exhibit = requests.of_methods(found(*two_requests()), PLACES)
    assert " No such difference on record: SVHN, class removal (JiT diverged)." in exhibit.detail
    assert "SVHN, class removal" not in exhibit.table.index
    assert exhibit.table.loc["Fashion-MNIST, class removal (one seed)", "LAF \u2212 Retrained, another seed"] == "\u2013"
    assert exhibit.table.index[-2] == "mean over the requests (95 % interval)", "columns rest on different numbers of them"
    assert "The nearest of several is chosen on other seeds" in exhibit.detail


def test_a_request_of_another_profile_says_so():
    small = [fake(method, 0, gap, dataset="svhn", profile="small") for method, gap in (("laf", 1.0), ("original", 3.0))]
    exhibit = requests.of_methods(found(*small), PLACES)
    assert exhibit.table.index[0] == "SVHN, class removal (small, one seed)"
    (said,) = exhibit.readings
    assert said == "LAF is nearer than doing nothing in the one request, by 2.00 points. 1 data set is too few for a claim."


def test_parts_are_held_against_full_laf_of_the_same_seeds():
    parts = [*seeds("laf", 31.0, 31.5, variant="without_ra"), fake("laf", 0, 63.0, dataset="fashion", variant="without_ra")]
    exhibit = requests.of_parts(found(*two_requests(), *parts), PLACES)
    assert list(exhibit.table.columns) == ["without L_RA"]
    assert exhibit.table["without L_RA"].map(plain).tolist()[1] == "60.00"
    assert exhibit.readings[0].startswith("LAF, without L_RA is farther than full LAF in 2 of 2 requests, by 45.00 points on av")


def test_shares_are_held_against_laf_and_against_the_same_labels():
    few = [fake("laf_r", 0, 0.5, variant="labels_5"), fake("retrain_few", 0, 2.0, variant="labels_5"), fake("laf_r", 0, 0.4)]
    nothing, free, retrain, scrub, neggrad = requests.of_shares(found(*two_requests(), *few), PLACES)
    assert free.table.iloc[0].tolist() == ["\u22120.50", "\u22120.60"] and list(free.table.columns) == ["5 %", "100 %"]
    assert retrain.table.iloc[0].tolist() == ["\u22121.50"]
    assert retrain.readings[0].startswith("With 5 % of the labels LAF+R is nearer than Retrain with the same in the one request")
    assert free.readings[-1] == "1 data set is too few for a claim.", "said once"
    assert nothing.table.iloc[0].tolist() == ["\u221229.50", "\u221229.60"], "doing nothing is the first comparison"
    worse = [*few[:1], fake("retrain_few", 0, 31.0, variant="labels_5"), fake("original", 0, 30.0)]
    assert requests.of_shares(found(*worse), PLACES)[2].text() == requests.NOTHING, "beside worse than nothing all look good"
    assert scrub.text() == neggrad.text() == requests.NOTHING


def test_they_are_written_with_the_other_exhibits():
    names = [exhibit.name for exhibit in every.every(found(*two_requests()))]
    assert names[:3] == ["answer", "frontier", "across"]
    assert {"across-ablation", "across-labels-laf", "across-labels-scrub_few"} < set(names)
    assert len(names) == len(set(names)), "two exhibits would write one file"


def test_the_figure_shows_every_request_and_the_whole_interval():
    first, second = requests.Together([3.0, 3.1, 3.2, 40.0], [3.05, 3.2, 40.0]), requests.Together([-2.0], [-2.0])
    figure = requests.figure({"first": first, "second": second})
    (axis,) = figure.axes
    over, (low, high) = interval([3.05, 3.2, 40.0]), axis.get_xlim()
    assert low < over.low < over.high < high, "the bar ends within the axis"
    assert list(axis.lines[0].get_xdata()) == [3.0, 3.1, 3.2, 40.0] and list(axis.lines[2].get_xdata()) == [over.low, over.high]
    assert axis.lines[1].get_color() == "0.45"
    assert not requests.Together([-2.0] * 2, [-2.0, -2.1]).claims, "two data sets are too few"
    assert [text.get_text() for text in axis.get_yticklabels()] == ["first", "second"]
    style.plt.close(figure)
    with pytest.raises(ValueError, match="nothing to draw"):
        requests.figure({})


def test_an_exhibit_over_requests_draws_its_table():
    exhibit = requests.of_methods(found(*two_requests()), PLACES)
    figure = exhibit.draw()
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == list(exhibit.table.columns) and exhibit.alt
    style.plt.close(figure)


@pytest.mark.parametrize("of", [requests.of_methods, requests.of_parts, lambda *given: requests.of_shares(*given)[0]])
def test_no_record_is_a_note(of):
    assert of(found(), PLACES).text() == requests.NOTHING
