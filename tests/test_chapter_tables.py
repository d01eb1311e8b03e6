"""Tables and sentences of the notebooks: they fit the page, cut nothing off, and follow what was measured."""

import re

import numpy as np
import pandas as pd
import pytest
from exhibits_fakes import fake

from laf_utils.book.chapters import ch5_tables, ch6_many_models, ch6_tables, ch8_own_model, laf_findings
from laf_utils.book.chapters.aligned import NAME, aligned, folded, is_number
from laf_utils.evaluation import evaluate, make_record
from laf_utils.forgetting import Report
from laf_utils.support.progress import track, watched, without_bars

TASKS = ("class", "data", "noisy")
PAGE = 688  # pixels: the text column of the book
CHARACTER, PADDING = 7.2, 15  # pixels of a table's letter and of a cell's sides


def width(table):
    """Pixels that a table needs at least: a column of numbers does not break, text and headings break between words."""
    def letters(values, *, breaks):
        words = [word for value in values for word in (re.split(r"[ -]", str(value)) if breaks else [str(value)])]
        return max(map(len, words), default=0)

    name = min(NAME, max((len(str(row)) for row in table.index), default=0))
    columns = [
        max(letters([head], breaks=True), letters(list(table[head]), breaks=not is_number(table[head]))) for head in table.columns
    ]
    return sum(CHARACTER * count + PADDING for count in (name, *columns))


def committed():
    """Every table of committed records that chapters 5 and 6 show."""
    for dataset, profile in (("mnist", "paper"), ("fashion", "paper"), ("cifar10", "small"), ("svhn", "small")):
        for task in TASKS:
            records = ch5_tables.found(dataset, task, profile=profile)
            yield from (aligned(table) for table in (ch5_tables.costs(records), ch5_tables.tuning(dataset, task)))
    for place in ch6_tables.PLACES:
        records = ch6_tables.found(*place)
        verdicts, distances = ch6_tables.verdicts(records), ch6_tables.distances(records)
        yield from (aligned(verdicts, columns=names) for names in (ch6_tables.VERDICT, ch6_tables.POWER))
        yield from (aligned(distances, columns=names) for names in (ch6_tables.OUTPUTS, ch6_tables.INSIDE))
        yield from (aligned(table) for table in (ch6_tables.utility(records), ch6_tables.membership(records)))
        group = ch6_many_models.found(*place)
        for names in (ch6_many_models.SCORES, ch6_many_models.HISTOGRAMS) if group else ():
            yield aligned(ch6_many_models.table(group), columns=names)


def test_every_committed_table_fits_the_page():
    wide = {(table.caption, tuple(table.data.columns)): width(table.data) for table in committed() if width(table.data) > PAGE}
    assert not wide


def test_text_is_left_numbers_are_right_and_nothing_is_cut():
    long = "a sentence that pandas would cut after fifty letters, if it were let alone"
    table = pd.DataFrame({"gap": ["0.12", "–", "\u22121.00\u00a0±\u00a00.30"], "why": [long, "b", "c"]}, index=["x", "y", "z"])
    shown = aligned(table, "points & percent")
    rules = {rule["selector"]: str(rule["props"]) for rule in shown.table_styles}
    assert "right" in rules[".col0"] and "left" in rules[".col1"]
    assert long in shown.to_html() and "points &amp; percent" in shown.to_html()


def test_a_column_without_values_is_not_shown():
    table = pd.DataFrame({"a": ["1", "2"], "b": ["–", "–"], "c": ["3", "–"]})
    assert list(aligned(table).data) == ["a", "c"] and list(aligned(table, columns=("c", "a", "x")).data) == ["c", "a"]


def test_nothing_is_folded_that_has_no_row():
    full, empty = aligned(pd.DataFrame({"gap": ["0.12"]}, index=["LAF"])), aligned(pd.DataFrame())
    assert folded("Costs", empty, "read off MNIST").data == ""
    assert folded("Costs", empty, full, "read off <b>").data.count("<table") == 1
    assert "read off &lt;b&gt;" in folded("Costs", full, "read off <b>").data


@pytest.mark.parametrize("value", ["0.85", "12,000", "~51", "3 of 8", "46 %", "0.85 ± 0.35", "0.75 to 2.67", "1e-04", "–"])
def test_numbers_are_known_as_such(value):
    assert is_number(pd.Series([value])) and not is_number(pd.Series([value, "none"]))


# -- bars --------------------------------------------------------------------------------------------------------------------


def test_bars_are_drawn_where_somebody_watches(monkeypatch):
    for name in ("LAF_PROGRESS", "JPY_SESSION_NAME", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)
    assert not watched(), "a file, a pipe, papermill"
    monkeypatch.setenv("JPY_SESSION_NAME", "LAF.ipynb")
    assert watched() and not track(1, "x").disable
    monkeypatch.setenv("LAF_PROGRESS", "0")
    assert not watched() and track(1, "x").disable
    monkeypatch.delenv("JPY_SESSION_NAME")
    monkeypatch.setenv("LAF_PROGRESS", "1")
    assert watched()


def test_a_bar_inside_another_needs_no_second_line(monkeypatch):
    monkeypatch.setenv("LAF_PROGRESS", "1")
    with track(2, "outer") as outer, track(2, "inner") as inner:
        assert outer.pos == inner.pos == 0, "JupyterLab would keep the half-way bar of a second line"


def test_half_way_bars_leave_a_page():
    stale = "original:  94%|#########4| 1412/1500 [00:16<00:01, 85.1step/s]retrained: 17.2 s\nvae: 3.1 s\n"
    assert without_bars(stale) == "retrained: 17.2 s\nvae: 3.1 s\n"
    redrawn = "\roriginal:   1%|1  | 9/1500 [00:01<01:00, 9/s]\roriginal: 50%|##| 750/1500 [00:08<00:08, 9step/s]\r   \rdone\n"
    assert without_bars(redrawn) == "done\n"
    assert without_bars("no bar: 50 % of [all]\n") == "no bar: 50 % of [all]\n"


# -- LAF.ipynb ---------------------------------------------------------------------------------------------------------------


def test_findings_of_a_run_follow_its_record(make_run):
    run = make_run()
    evaluation = evaluate(run)
    record = make_record(run, evaluation)
    table = laf_findings.result_table(record)
    assert list(table.index) == ["Original", "Retrained", "LAF", "LAF+R"] and table.columns[0] == "gap"
    gaps = {model: own["mean"] for model, own in record["gaps"].items()}
    assert ("no nearer to" in laf_findings.result_finding(record)) == (gaps["laf"] >= gaps["original"])
    assert f"gap {gaps['laf']:.2f} against {gaps['original']:.2f}" in laf_findings.result_finding(record)
    assert f"under LAF (AUC {record['attack']['laf']['auc']:.1f} %)" in laf_findings.attack_finding(record)
    assert laf_findings.cost_finding(record).endswith("on this request.")
    forgotten = np.isin(evaluation.sample.numpy(), run.task.forget.numpy())
    assert list(laf_findings.centre_distances(evaluation, forgotten).index) == list(table.index)
    shares = {"retrained": 100 * np.eye(2), "laf": 50 * np.ones((2, 2))}
    assert laf_findings.shared_answers(shares).iloc[:, 0].tolist() == ["100", "50"]
    said = laf_findings.answers_finding(shares | {"original": 0 * np.eye(2)})
    assert "LAF gives them other classes than the retrained model: 50 %" in said
    assert f"{len(run.task.forget):,} images to forget" in laf_findings.sets_finding(run)
    assert "L_RA does not fall." in laf_findings.loss_finding({"loss_ue": [0.2, -3.0], "loss_ra": [-110.9, -110.9]})
    far = pd.DataFrame({"distance": {"Original": "1.24", "Retrained": "0.66", "LAF": "1.10"}})
    assert laf_findings.centres_finding(far).endswith("LAF (1.10) is nearer to the original (retrained 0.66, original 1.24).")
    second = laf_findings.second_request(run, run.config)
    beside = laf_findings.comparison_table((run, record), second)
    assert len(beside) == 4 and "Both requests are the same" in laf_findings.comparison_finding((run, record), second)


def test_a_loss_of_power_is_said():
    attack = {model: {"auc": auc} for model, auc in (("original", 52.0), ("retrained", 50.0), ("laf", 47.0))}
    assert "**no power**" in laf_findings.attack_finding({"attack": attack})
    attack["original"]["auc"] = 80.0
    assert "**no power**" not in laf_findings.attack_finding({"attack": attack})
    confidence = {model: {"forget": np.full(4, value)} for model, value in (("original", 1.0), ("retrained", 0.5), ("laf", 0.7))}
    assert "surer than the retrained model" in laf_findings.confidence_finding(confidence)


def test_a_second_request_ignores_what_cells_have_named():
    namespace = {"TASK": "data", "headline": "x", "maps": (1,)}
    config = laf_findings.changed_parameters(namespace, {"TASK": "class", "FORGET_CLASS": 3})
    assert (config.task, config.forget_classes) == ("class", (3,))


# -- a model of one's own -------------------------------------------------------------------------------------------------------


def test_a_single_look_is_said():
    attempts = {"one": [{"step": 25}], "two": [{"step": 25}, {"step": 50}], "none": []}
    reports = {name: Report({"attempts": [{"ended": "forgotten", "looks": looks}]}) for name, looks in attempts.items()}
    assert ch8_own_model.looks_finding(reports) == (
        "**Seen:** one ends after 1 look at step 25 (forgotten), so its panel is a single point. two ends after 2 looks at step "
        "50 (forgotten). none ends after 0 looks (forgotten)."
    )


def test_winners_are_held_against_the_published_settings_on_the_seeds_that_both_have(monkeypatch):
    records = [
        *(fake("laf", seed, gap) for seed, gap in enumerate((2.0, 4.0, 9.0))), *(fake("ts", seed, 1.0) for seed in range(2)),
        *(fake("laf", seed, 1.0, choice="tuned") for seed in range(2)), fake("ts", 1, 3.0, choice="tuned"), fake("scrub", 0, 5.0),
        fake("scrub", 0, failure="no number", choice="tuned"),
    ]
    monkeypatch.setattr(ch5_tables, "found", lambda dataset, task, seed=0: records)
    table = ch5_tables.tuning("mnist", "class")
    columns = [ch5_tables.PUBLISHED_FULL, ch5_tables.WINNER_FULL, "seeds"]
    assert list(table.loc["LAF", columns]) == ["3.00", "1.00", "2"]
    assert list(table.loc["T-S", columns]) == ["1.00", "3.00", "1"]
    assert list(table.loc["SCRUB", columns]) == ["5.00", "–", "1"]
    said = ch5_tables.tuning_finding("mnist", "class")
    assert "1 of 2 winners" in said and "LAF gets better" in said and "1 of the pairs rest on one training seed" in said
