"""Many models of one request: the k-th is the pipeline's own, the measures read what they should, nothing stale is reused."""

import json

import pytest
import torch

from laf_utils.audit.confidence import log_odds
from laf_utils.experiments.shadows import DEFINITION, IMAGES, KINDS, PARTS, Shadows, shadow_config, shadows
from laf_utils.representations import outputs
from laf_utils.settings.config import ConfigError
from laf_utils.settings.presets import DATASET_PRESETS

SEEDS = [0, 4, 2]  # 0 is that of the run


@pytest.mark.parametrize(("task", "mode"), [("class", "reference"), ("data", "fixed"), ("noisy", "reference")])
def test_the_model_of_the_runs_own_seed_is_the_runs_own_model(make_run, task, mode):
    run = make_run(task, mode=mode)
    found = shadows(run, SEEDS, sample=20)
    labels = run.task.train_labels[run.task.forget]
    for kind, model in zip(KINDS, (run.original, run.laf, run.laf_r, run.retrained), strict=True):
        own = log_odds(outputs(model, run.train_images.subset(run.task.forget)).logits, labels)
        phi = found.phi[kind]["forget"]
        assert phi.shape == (6 if kind == "retrained" else 3, len(run.task.forget))
        assert (phi[0] - own).abs().mean() < 0.01 * (phi[1] - own).abs().mean(), kind  # rounding against another seed
        assert {part: own.shape[1] for part, own in found.phi[kind].items()} == {
            "forget": len(run.task.forget), "retain": 20, "test": 20,
        }


def test_the_record_is_plain_and_complete(make_run):
    found = shadows(make_run(), SEEDS, sample=20)
    record = json.loads(json.dumps(found.record()))
    assert set(record["measures"]) == {"original", "laf", "laf_r", "null"}
    assert record["settings"]["retrained_seeds"] == [0, 4, 2, 5, 6, 7]
    assert record["settings"]["config"]["training"]["epochs"] == 2
    assert {"original", "retrained", "vae", "unlearning", "repair", "phi", "threads", "load_average"} <= set(record["seconds"])
    assert len(record["accuracy"]["retrained"]["test"]) == 6
    for own in record["measures"].values():
        assert 0 <= own["neurips_forget_score"] <= 1 and set(own["klom"]) == set(PARTS)
        assert 0 <= own["u_lira_by_pair"]["auc"] <= 100
    assert record["definition"] == DEFINITION, "what the measures mean"


def test_known_models_are_taken_from_disk_and_others_are_not(make_run):
    said = []
    first = shadows(make_run(say=said.append), SEEDS, sample=20)
    again = shadows(make_run(say=said.append), SEEDS, sample=20)
    assert "taken from disk" in said[-1]
    assert all(torch.equal(first.phi[kind][part], again.phi[kind][part]) for kind in KINDS for part in PARTS)
    for changes, seeds in (({}, [0, 4, 3]), ({"unlearning__epochs": 1}, SEEDS), ({"repair__epochs": 2}, SEEDS)):
        shadows(make_run(say=said.append, **changes), seeds, sample=20)
        assert "taken from disk" not in said[-1]


def test_a_run_that_was_cut_goes_on_with_the_batch_it_was_in(make_run, monkeypatch):
    from laf_utils.experiments import shadows as module

    seeds = [0, 4, 2, 3]
    whole = shadows(make_run(), seeds, sample=20)
    monkeypatch.setattr(module, "BATCH", 2)
    compute, begun = module._compute, []

    def cut(run, own, *others):
        begun.append(own)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return compute(run, own, *others)

    monkeypatch.setattr(module, "_compute", cut)
    with pytest.raises(KeyboardInterrupt):
        shadows(make_run(), seeds, sample=20)
    found = shadows(make_run(), seeds, sample=20)
    assert begun == [[0, 4], [2, 3], [2, 3]], "the first batch was kept"
    for kind in KINDS:
        for part in PARTS:
            torch.testing.assert_close(found.phi[kind][part], whole.phi[kind][part], rtol=0.05, atol=0.2)


def test_other_methods_start_from_the_same_originals(make_run):
    found = shadows(make_run(), SEEDS, methods=("svd", "neggrad"), sample=20)
    assert list(found.measures()) == ["original", "laf", "laf_r", "svd", "neggrad", "null"]
    assert found.phi["svd"]["forget"].shape == found.phi["original"]["forget"].shape
    assert not torch.equal(found.phi["neggrad"]["forget"], found.phi["original"]["forget"])
    with pytest.raises(ConfigError, match="nowhere"):
        shadows(make_run(), SEEDS, methods=("nowhere",), sample=20)


def made(phi, accuracy=50.0):
    """Shadows of given phi, all models equally good."""
    rows = {kind: len(own["forget"]) for kind, own in phi.items()}
    return Shadows(phi, {kind: {part: [accuracy] * rows[kind] for part in PARTS} for kind in KINDS}, {}, {})


def test_measures_compare_each_kind_with_the_retrained_models_of_the_seeds():
    draw = torch.Generator().manual_seed(0)
    models = {kind: 40 if kind == "retrained" else 20 for kind in KINDS}
    normal = {kind: {part: torch.randn(models[kind], 30, generator=draw) for part in PARTS} for kind in KINDS}
    normal["original"]["forget"] += 50
    normal["laf"] = {part: own[:20].clone() for part, own in normal["retrained"].items()}
    found = made(normal).measures()
    assert found["laf"]["klom"]["forget"] == {"mean": 0.0, "percentile_95": 0.0}  # the very same models
    assert found["original"]["u_lira_by_pair"]["auc"] == 100 and found["original"]["neurips_forget_score"] == 0
    assert all(abs(found[kind]["u_lira_by_pair"]["auc"] - 50) < 8 for kind in ("null", "laf_r"))
    shifted = {kind: dict(own) for kind, own in normal.items()}
    shifted["retrained"]["forget"] = torch.cat([normal["retrained"]["forget"][:20], normal["retrained"]["forget"][20:] + 50])
    assert made(shifted).measures()["null"]["u_lira_by_pair"]["auc"] == 100  # the null reads the other half
    assert made(shifted).measures()["laf"] == found["laf"]  # and nothing else does


def test_lost_utility_lowers_the_forget_score_and_not_forgetting_alone():
    same = torch.zeros(3, 4)
    phi = {kind: dict.fromkeys(PARTS, torch.cat([same, same]) if kind == "retrained" else same) for kind in KINDS}
    equal = made(phi)
    equal.accuracy["laf"] = {"forget": [0.0] * 3, "retain": [25.0] * 3, "test": [40.0] * 3}
    found = equal.measures()
    assert found["laf"]["neurips_forget_score"] == pytest.approx(found["laf"]["neurips_forgetting_alone"] * 0.5 * 0.8)
    assert found["laf_r"]["neurips_forget_score"] == found["laf_r"]["neurips_forgetting_alone"] == 1


@pytest.mark.parametrize("seeds", [[0, 1], [0, 1, 1]])
def test_too_few_or_equal_seeds_are_refused(make_run, seeds):
    with pytest.raises(ValueError, match="at least 3 different seeds"):
        shadows(make_run(), seeds)


def test_the_settings_are_those_of_the_quick_profile_on_fewer_images():
    config = shadow_config("fashion", "data", mode="fixed", seed=3)
    assert (config.images, config.profile, config.mode, config.seed) == (IMAGES, "quick", "fixed", 3)
    assert config.images < DATASET_PRESETS["fashion"].quick_images
