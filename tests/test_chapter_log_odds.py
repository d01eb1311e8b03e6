"""Chapter 6: the log-odds of D_f at the paper's size, as a sentence and a table."""

import json

from laf_utils.book.chapters import ch6_log_odds
from laf_utils.book.chapters.ch6_many_models import title_of


def line(task, seed, relearn, scaled, again=50.0):
    auc = {"original": 60.0, "retrain_again": again, "relearn": relearn, "relearn-as_sure": scaled}
    return {"dataset": "mnist", "task": task, "seed": seed, "auc": auc}


def read(tmp_path, *own):
    (tmp_path / "paper.jsonl").write_text("".join(json.dumps(one) + "\n" for one in own), encoding="utf-8")
    return ch6_log_odds.lines(tmp_path)


def test_a_claim_rests_on_three_seeds(tmp_path):
    data = [line("data", seed, 38.0, 53.0) for seed in range(3)]
    found = read(tmp_path, *data, line("class", 0, 51.0, 51.0))
    said = ch6_log_odds.finding(found)
    assert "relearn in 0 of 1; relearn, sure as before in 1 of 1 requests" in said
    assert "class removal (1 seed)" in said and list(found) == [("mnist", "class"), ("mnist", "data")]


def test_how_near_is_near(tmp_path):
    """Beside how far a second retrained model lies from 50, on either side."""
    cases = ((41.0, 50.0, True), (39.0, 50.0, False), (39.0, 52.0, True), (61.0, 48.0, True), (63.0, 48.0, False))
    for relearn, again, near in cases:
        found = read(tmp_path, *(line("noisy", seed, relearn, 50.0, again) for seed in range(3)))
        assert ch6_log_odds.near(found["mnist", "noisy"], "relearn") is near


def test_without_a_line_nothing_is_said(tmp_path):
    assert ch6_log_odds.finding(ch6_log_odds.lines(tmp_path)) == ""


def test_the_committed_lines_are_complete():
    """Each has every model, and no request a seed twice."""
    found = ch6_log_odds.lines()
    assert found
    for own in found.values():
        seeds = [one["seed"] for one in own]
        assert len(set(seeds)) == len(seeds)
        assert all(set(one["auc"]) == {"original", "retrain_again", *ch6_log_odds.OURS} for one in own)


def test_a_variant_in_a_table_of_many_models_has_its_own_title():
    assert title_of("relearn-as_sure") == "relearn, sure as before"
    assert title_of("scrub-tuned").endswith(", tuned") and title_of("relearn") == "relearn"
