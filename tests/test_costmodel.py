"""What a pass costs, the model fitted to records, and what it says of larger settings."""

import re
from dataclasses import replace

import pytest
import torch

from benchmarks import passes
from laf_utils.book.base import training_records
from laf_utils.book.costs import figures, fit, memory, tables, timings, work, workloads
from laf_utils.book.costs import request as costs_request
from laf_utils.book.costs import timings as alone_passes
from laf_utils.methods import METHODS
from laf_utils.methods.passes import Passes
from laf_utils.settings.changes import plain
from laf_utils.settings.config import UnlearningConfig, VAEConfig
from laf_utils.support.paths import ROOT

SHARED_FROM = "2026-11-27T10"  # from then on cells were made beside other work on the same cores


def test_everything_but_slow_items_is_planned_on_a_gpu() -> None:
    wanted, left_out = passes.plan(quick=False)
    assert not left_out and len(set(wanted)) == len(wanted)
    assert {name for name, *_ in wanted} == set(passes.SUBJECTS)
    assert ("resnet50-224", "training", "bfloat16", 256) in wanted
    assert not any(name == "resnet50-224" for name, kind, *_ in wanted if kind == "laf")


def test_quick_says_what_it_leaves_out() -> None:
    everything = passes.plan(quick=False)[0]
    wanted, left_out = passes.plan(quick=True)
    assert len(wanted) + len(left_out) == len(everything)
    assert "resnet50-224 training float32 batch 32" in left_out
    assert ("cnn-28", "training", "float32", 32) in wanted


def test_blocks_are_steps_of_about_the_wanted_length() -> None:
    calls = []
    values, steps = passes.blocks(lambda count: calls.append(sum(range(count * 20_000))), torch.device("cpu"))
    assert len(values) == passes.REPEATS and 1 < steps <= passes.MOST_STEPS
    assert all(0 < value < passes.BLOCK_SECONDS for value in values)


@pytest.mark.parametrize("kind", ["training", "frozen", "laf"])
def test_a_pass_is_timed_per_image(kind, monkeypatch) -> None:
    monkeypatch.setattr(passes, "MOST_STEPS", 2)
    monkeypatch.setattr(passes, "REPEATS", 2)
    (row,) = passes.measure(torch.device("cpu"), [("cnn-28", kind, "float32", 4)])
    assert row["images_per_step"] == (16 if kind == "laf" else 4)
    assert 0 < row["min"] <= row["seconds"] <= row["max"] < 1


def test_vae_steps_have_a_time(monkeypatch) -> None:
    monkeypatch.setattr(passes, "VAE_ROWS", 96)
    monkeypatch.setattr(passes, "REPEATS", 2)
    assert 0 < passes.vae_steps(torch.device("cpu"))["seconds"] < 1
    assert passes.copying(torch.device("cpu")) is None


# -- counting work ---------------------------------------------------------------------------------------------------------------

LAF = {"vae": plain(VAEConfig()), "unlearning": plain(UnlearningConfig())}


def test_laf_passes_both_sets_at_once_and_its_vaes_step_apart() -> None:
    counted = work.work_of("laf_r", LAF, Passes(6400, 500), 100, 900, crops=False)
    assert counted.calls == 100
    of_vaes = LAF["vae"]["epochs"] * (32 + 4)  # 1,000 and 100 images in batches of 32
    assert counted.vae_steps == of_vaes + 2 * 50  # every other call is a step of L_UE, through both VAEs
    assert counted.swept == 3 * 100 and counted.frozen == 500 and counted.frozen_calls == 1


@pytest.mark.parametrize(("changes", "steps"), [({"use_ue": False}, 0), ({"use_ra": "none"}, 200), ({"schedule": "joint"}, 200)])
def test_steps_of_extractor_unlearning_follow_the_switches(changes, steps) -> None:
    assert work.of_extractor_unlearning(LAF["unlearning"] | changes, 100) == steps


def test_crops_make_every_epoch_of_the_vaes_pass_its_images_again() -> None:
    kept, again = (work.work_of("laf", LAF, Passes(6400, 4000), 100, 900, crops=crops) for crops in (False, True))
    assert again.frozen - kept.frozen == 9 * 1000 + 10 * 100
    assert again.frozen_calls > kept.frozen_calls + 3200 / 32 - 8  # the teacher passes both sets of each step of L_RA


def test_neggrad_plus_passes_two_sets_apart_and_holds_its_weights() -> None:
    counted = work.work_of("neggrad_plus_pseudo", {"batch_size": 32}, Passes(640), 100, 900, crops=False)
    assert (counted.calls, counted.tensorwise, counted.swept) == (20, 10, 4 * 10)
    assert work.work_of("neggrad", {"batch_size": 32}, Passes(640), 100, 900, crops=False).tensorwise == 0


def test_someone_elses_method_has_no_family() -> None:
    assert work.family_of("retrain_again") == "retrain" and work.family_of("laf_r") == "laf"
    assert work.family_of("lafayette") is None and work.family_of("laf_pca") is None and work.family_of("laf_l2") == "laf"
    with pytest.raises(ValueError, match="no family"):
        work.work_of("ascent", {"batch_size": 32}, Passes(1), 1, 1, crops=False)


# -- records that can be timed, and the fit --------------------------------------------------------------------------------------


def record(method="ts", seconds=10.0, processor=10.0, device="cpu", threads=1, bfloat16=True, **changes) -> dict:
    """What the cost model reads of a record."""
    return {
        "cell": {"dataset": "mnist", "task": "class", "method": method, "seed": 0, "profile": "paper", "choice": "defaults"},
        "machine": {"device": device, "name": "machine", "threads": threads, "bfloat16_hardware": bfloat16},
        "passes": {"training": 3200, "frozen": 0}, "settings": {"batch_size": 32}, "seconds": seconds,
        "processor_seconds": processor, "from_artefact": processor is None, "task": {"forget": 100, "retain": 900}, **changes,
    }


def test_the_rule_keeps_wall_clocks_of_a_cpu_and_several_threads_out() -> None:
    taken, left_out = timings.timings([
        record(), record(processor=None), record(threads=2), record(passes=None), record(method="ascent"),
        record(device="cuda", processor=None, seconds=30.0), record(device="cuda", processor=None, seconds=30.0),
        record(bfloat16=False), record(machine=record(device="cuda")["machine"] | {"together": 6}),
    ])
    assert [(cell.group.device, cell.group.bfloat16, cell.clock) for cell in taken] == [
        ("cpu", True, "processor"), ("cuda", True, "wall"), ("cpu", False, "processor")]
    assert sum(left_out.values()) == 6 and left_out["diverged"] == 1 and left_out["GPU, the same artefact again"] == 1
    assert len({cell.group for cell in taken}) == 3


GROUP = timings.Group("cpu", "machine", 1, True, "cnn", 28)


def cell(method: str, training: float, frozen: float, swept: float, seconds: float, dataset="mnist") -> timings.Timing:
    amounts = work.Work(training=training, frozen=frozen, swept=swept)
    return timings.Timing(GROUP, dataset, "class", method, f"{dataset} {method}", seconds, amounts, "processor")


def made(dataset="mnist") -> list[timings.Timing]:
    """Cells that cost 3 ms a training pass, 1 ms a frozen one, 2 ms a sweep."""
    amounts = {
        "ts": (4e3, 4e3, 100), "scrub": (5e4, 6e4, 3e3), "sisa": (9e4, 0, 9e3), "jit": (6e3, 1e5, 200),
        "lfssd": (7e3, 0, 4e3), "boundary_shrink": (6e4, 6e3, 2e3),
    }
    return [cell(name, *a, 3e-3 * a[0] + 1e-3 * a[1] + 2e-3 * a[2], dataset) for name, a in amounts.items()]


def test_the_fit_finds_the_prices_that_made_the_seconds() -> None:
    found = fit.fit(made())
    assert found.seconds == pytest.approx({"training": 3e-3, "frozen": 1e-3, "swept": 2e-3})
    assert "vae_steps" not in found.seconds  # no cell does any
    with pytest.raises(ValueError, match="groups"):
        fit.fit([])


def test_a_held_out_cell_is_predicted_without_having_been_seen() -> None:
    wrong = replace(made()[3], seconds=2 * made()[3].seconds)
    cells = [*made()[:3], wrong, *made()[4:]]
    left = fit.held_out(cells, "family").set_index("method")
    assert left.loc["jit", "ratio"] == pytest.approx(0.5)  # the others do not know what was wrong with it
    assert fit.held_out(cells, "dataset").empty
    assert len(fit.held_out(made() + made("fashion"), "dataset")) == 12


def test_work_that_no_other_family_does_is_named() -> None:
    vae = replace(cell("laf", 1e4, 0, 0, 31.0), work=work.Work(training=1e4, vae_steps=1e3))
    left = fit.held_out([*made(), *[replace(vae, dataset=name) for name in "abc"]], "family").set_index("method")
    assert set(left.loc["laf", "unpriced"]) == {"VAE steps"} and left.loc["ts", "unpriced"] == ""


def test_too_few_cells_for_any_price_predict_nothing() -> None:
    few = [*made()[:2], *[replace(one, dataset="fashion") for one in made()[2:4]]]
    assert fit.priced(few[:2]) == [] and fit.held_out(few, "dataset").empty
    with pytest.raises(ValueError, match="cells"):
        fit.fit(few[:2])
    assert tables.errors(few).empty or "each dataset in turn" not in tables.errors(few).index


def test_a_quarter_and_the_interval() -> None:
    assert fit.within([0.8, 1.25, 0.79, 1.26]) == 0.5
    assert fit.interval([0.5, 1.0, 2.0]) == (0.5, 2.0)
    low, high = fit.interval([0.5] + [1.0] * 98 + [2.0])
    assert low == high == 1.0


def test_records_of_the_processor_are_predicted_within_a_quarter() -> None:
    """On the committed records of cores that did nothing else; the page counts those too that shared theirs."""
    models = fit.every([record for record in timings.records() if record["created"] < SHARED_FROM])
    own = next(own for group, own in models.items() if group.device == "cpu" and group.bfloat16)
    left = fit.held_out(own.cells, "dataset")
    assert len(left) >= 60 and fit.within(left["ratio"]) >= 0.95
    assert own.seconds["vae_steps"] > 0


# -- bytes, larger settings ------------------------------------------------------------------------------------------------------


def test_bytes_are_those_of_what_is_held() -> None:
    shape = memory.Shape(forget=100, retain=900, parameters=1000, classes=10, width=256, inputs=784)
    assert memory.added("laf", LAF, shape)["representations"] == 2 * 1000 * 256 * 4
    assert memory.added("laf", LAF, replace(shape, crops=True))["representations"] == 1000 * 256 * 4
    scrub = plain(METHODS["scrub_r"].settings)
    assert memory.added("scrub_r", scrub, shape)["weights of each epoch"] == 10 * 4000
    assert memory.added("scrub_r", scrub, shape)["teacher's logits"] == 1000 * 10 * 4
    assert memory.kept_before("sisa", plain(METHODS["sisa"].settings), 1000) == {"checkpoints of slices": 20 * 4000}
    assert memory.kept_before("laf", LAF, 1000) == {}


def test_stages_are_those_of_a_run_on_record() -> None:
    """CIFAR-10 with the sizes of profile ``small``: the passes of its record."""
    run = next(r for r in training_records.runs() if r["config"]["dataset"] == "cifar10" and r["config"]["task"] == "class")
    setting = replace(workloads.cifar10("class"), images=10_000, forget=run["task"]["forget"])
    counted = workloads.stages(setting)
    for name, stage in (("original", "original"), ("retrained", "retrained"), ("unlearning", "unlearning"), ("vae", "VAEs")):
        assert counted[stage].training == run["passes"][name]["training"]
        assert counted[stage].frozen == run["passes"][name]["frozen"]


def test_forget_sets_of_cifar10_are_the_tasks() -> None:
    assert [workloads.cifar10(task).forget for task in ("class", "data", "noisy")] == [5_000, 10_000, 15_000]
    assert workloads.cifar10("class", "fixed").retain_used == 5_000 and not workloads.cifar10("class", "fixed").crops


def alone() -> alone_passes.Alone:
    """A device on which everything takes simple times: batch 32 twice as long per image as larger ones."""
    rows = [
        {"network": network, "pass": kind, "format": form, "batch": batch, "seconds": price * (2 if batch == 32 else 1),
         "images_per_step": batch, "min": price, "max": 2 * price}
        for network in ("cnn-28", "resnet18-32", "resnet18-224", "resnet50-224") for form in ("float32", "bfloat16")
        for kind, price in (("training", 3e-3), ("frozen", 1e-3), ("laf", 4e-3)) for batch in (32, 256, 500)
    ]
    return alone_passes.Alone({"device": {"name": "toy"}, "passes": rows, "vae_step": {"seconds": 1e-3}})


def test_measured_passes_add_up_by_batch() -> None:
    small = work.Work(training=320, frozen=320, calls=10, frozen_calls=10, vae_steps=100)
    assert alone().predict(small, "cnn-28") == pytest.approx(320 * 6e-3 + 320 * 2e-3 + 0.1)
    large = work.Work(training=2560, frozen=1000, calls=10, frozen_calls=2)
    assert alone().predict(large, "cnn-28") == pytest.approx(2560 * 3e-3 + 1000 * 1e-3)
    assert alone().call("cnn-28", "training", 4) == alone().call("cnn-28", "training", 32)
    between = alone().call("cnn-28", "training", 144)  # half way from 32 to 256
    assert between == pytest.approx((32 * 6e-3 + 256 * 3e-3) / 2)
    with pytest.raises(KeyError, match="no training pass"):
        alone().seconds("vit", "training", 32)


# -- what readers see ------------------------------------------------------------------------------------------------------------


def test_cost_by_stage_adds_up_to_the_records() -> None:
    table = costs_request.cost_by_stage("mnist", "class")
    laf = next(r for r in timings.records() if r["cell"] == {
        "dataset": "mnist", "task": "class", "method": "laf", "seed": 0, "profile": "paper", "choice": "defaults"})
    own = table.loc["LAF"]
    assert list(own.index) == ["VAEs", "unlearning"]
    assert own["training passes"].sum() == laf["passes"]["training"] and own["frozen passes"].sum() == laf["passes"]["frozen"]
    assert table.loc["Retrained", "% of retraining"].item() == pytest.approx(100)
    assert table.loc[("SISA", "unlearning"), "MB kept before"] > 0 and "its own original" in table.loc["SISA"].index
    text = costs_request.as_text(table).loc[("LAF", "VAEs")]
    assert text["frozen passes"] == "60,000" and text["MB kept before"] == "0.0" and text["seconds"] == "–"
    assert costs_request.cost_by_stage("mnist", "class", seed=99).empty
    assert figures.cost_of_methods(table).axes
    with pytest.raises(ValueError, match="nothing to draw"):
        figures.cost_of_methods(costs_request.cost_by_stage("mnist", "class", seed=99))


def test_nothing_to_draw_is_said() -> None:
    for draw in (figures.predicted_against_measured, figures.stage_seconds):
        with pytest.raises(ValueError, match="nothing to draw"):
            draw({})


@pytest.mark.slow
def test_every_cell_of_the_page_runs(monkeypatch) -> None:
    monkeypatch.setattr("laf_utils.book.base.style.show", lambda figure, alt: figure.canvas.draw())
    shown: list = []
    monkeypatch.setattr("IPython.display.display", lambda *shows: shown.extend(getattr(item, "data", item) for item in shows))
    space: dict = {}
    page = (ROOT / "pages" / "cost_model.md").read_text(encoding="utf-8")
    for code in re.findall(r"```\{code-cell\}\n(?:---\n.*?\n---\n|:tags:.*?\n)(.*?)```", page, re.DOTALL):
        exec(code, space)
    assert all(shown), "what is empty is shown as the name of a Python object"
    said = "\n".join(map(str, shown))
    assert "within a quarter" in said and "the longest stage is" in said
