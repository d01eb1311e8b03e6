"""Chapter 6: the pictures show the numbers that the measures report."""

import numpy as np
import pytest
import torch

from laf_utils.audit import log_odds
from laf_utils.book.chapters import ch6_attacks
from laf_utils.experiments.audit_seeds import NULL


@pytest.fixture(scope="module")
def opened(optdigits):
    run, evaluation, _ = optdigits("reference")
    again = ch6_attacks.second_retrained(run, evaluation)
    return run, evaluation, again, ch6_attacks.signals(run, evaluation, again)


def test_signals_are_of_the_forgotten_images_and_of_test_images_of_their_classes(opened):
    run, evaluation, _, found = opened
    alike = torch.isin(run.data.test.labels, run.task.true_labels[run.task.forget].unique()).sum()
    assert set(found) == {"original", "retrained", "laf", "laf_r", NULL}
    for own in found.values():
        assert len(own.phi) == len(own.forget_loss) == len(own.forget_p) == len(run.task.forget)
        assert len(own.test_loss) == len(own.test_p) == alike
        assert torch.allclose(own.forget_p.log(), -own.forget_loss, atol=1e-5), "p is the exponential of minus the loss"
    logits = evaluation.outputs["laf"].train.logits[run.task.forget]
    assert torch.equal(found["laf"].phi, log_odds(logits, run.task.train_labels[run.task.forget]))


def test_the_null_is_another_training_on_the_same_images(opened):
    _, _, _, found = opened
    assert not torch.equal(found[NULL].phi, found["retrained"].phi)


def test_the_table_has_the_null_and_agrees_with_the_record(opened):
    run, evaluation, again, found = opened
    table = ch6_attacks.free_audit(run, evaluation, again)
    assert table.index[-1] == "Retrained, another seed" and len(table) == 5
    assert float(table.loc["LAF", "U-MIA (%)"]) == pytest.approx(evaluation.audit["laf"]["u_mia_log"]["accuracy"], abs=0.051)
    shift = (found["laf"].phi.double() - found["retrained"].phi.double()).mean().item()
    assert float(table.loc["LAF", "shift of φ (nats)"]) == pytest.approx(shift, abs=0.0051)
    assert table.loc["Retrained", "RMIA AUC (%)"] == "–", "it would be compared with itself"


def test_the_loss_picture_tells_how_often_the_line_is_right(opened):
    *_, found = opened
    figure = ch6_attacks.u_mia_picture(found)
    assert [axis.get_title(loc="left").split(":")[0] for axis in figure.axes] == ["Original", "Retrained", "LAF"]
    for axis in figure.axes:
        assert 40 <= float(axis.get_title(loc="left").split(": ")[1].split(" %")[0]) <= 100
        assert axis.get_xscale() == "log"


def test_curves_are_cumulative_shares(opened):
    *_, found = opened
    for figure in (ch6_attacks.rmia_picture(found), ch6_attacks.phi_picture(found)):
        for axis in figure.axes:
            for line in axis.lines:
                x, y = line.get_data()
                assert (np.diff(x) >= 0).all() and (np.diff(y) >= 0).all() and y[-1] == 100


def test_the_verdict_picture_writes_the_verdicts(opened):
    *_, found = opened
    figure = ch6_attacks.verdict_picture(found)
    written = [text.get_text() for text in figure.axes[0].texts]
    assert len(written) == 3 and written[0] == "under-forgotten"


def test_each_layer_is_read_in_every_model(opened):
    run, *_ = opened
    found = ch6_attacks.layer_audit(run)
    table = ch6_attacks.layer_table(found)
    assert list(table.columns) == ["Original", "Retrained", "LAF", "LAF+R", "Retrained, another seed"]
    assert {"representation", "logits"} <= set(table.index) and ch6_attacks.measure_of(found) in ch6_attacks.MEASURES
    value = found["models"]["laf"]["probes"][f"logits: {ch6_attacks.measure_of(found)}"]
    assert table.loc["logits", "LAF"] == f"{100 * value['value']:.1f}"
    said = ch6_attacks.layer_finding(found)
    assert "LAF gives away" in said and "LAF+R gives away" in said and "small sample" in said
