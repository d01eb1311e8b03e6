"""Equal tuning: what the trials see, that every method gets as many, and what becomes of the winner."""

import json
import sys

import pytest
import torch

from laf_utils import laf
from laf_utils.book.chapters import ch5_tables
from laf_utils.experiments import __main__ as command
from laf_utils.experiments import tuning as searching
from laf_utils.experiments import tuning_looks as looks
from laf_utils.experiments.cells import EXACT, Cell
from laf_utils.experiments.tuning import Search, carve, search
from laf_utils.experiments.tuning_spaces import SPACES
from laf_utils.experiments.tuning_winners import winners_of, winners_path
from laf_utils.methods import METHODS, run_method
from laf_utils.settings.changes import changed
from laf_utils.support.paths import results_folder
from laf_utils.support.records import write_json
from laf_utils.training import TrainingDiverged

pytest.importorskip("optuna", reason="the search is an extra: pip install -e '.[tuning]'")
SOME = {name: SPACES[name] for name in ("boundary_expand", "laf", "neggrad")}


def leaf(settings, name):
    for part in name.split("."):
        settings = getattr(settings, part)
    return settings


@pytest.fixture
def make_search(make_run, tmp_path, monkeypatch):
    """``make_search(task, **fields)``: a search over three methods on 200 of the 300 tiny images."""
    monkeypatch.setenv("LAF_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(searching, "SPACES", SOME)
    monkeypatch.setattr(searching, "retrained_again", lambda problem, settings: (problem.run.original, None, 0.0))

    def make(task="class", *, trials=3, images=200, **changes):
        return Search(make_run(task, **changes), images=images, trials=trials, say=lambda line: None)

    return make


@pytest.fixture
def counted(monkeypatch):
    """What ran: (method, settings) of each trial; nothing trains."""
    ran = []

    def run(name, request, settings):
        ran.append((name, settings))
        return run_method(name, request, changed(settings, {"unlearning.epochs": 0} if name == "laf" else {"epochs": 0}))

    monkeypatch.setattr(searching, "run_method", run)
    return ran


# -- the images -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["class", "data", "noisy"])
def test_the_images_set_aside_come_from_both_sets_and_train_nothing(task, make_run):
    full = make_run(task)
    small = carve(full, 200, 0.2)
    pixels = full.train_set.images.flatten(1)
    of = {bytes(row.numpy()): place for place, row in enumerate(pixels)}
    train, aside = ([of[bytes(row.numpy())] for row in part.images.flatten(1)] for part in (small.data.train, small.data.test))
    assert not set(train) & set(aside) and len(train) == 160 and len(aside) == 40
    forget = set(full.task.forget.tolist())
    share = len(forget) / 300
    assert len(small.task.forget) == pytest.approx(160 * share, abs=1)
    assert len(forget & set(aside)) == pytest.approx(40 * share, abs=1)
    assert {train[row] for row in small.task.forget.tolist()} == forget & set(train)
    assert torch.equal(small.task.train_labels, full.task.train_labels[torch.tensor(train)])
    assert torch.equal(small.data.test.labels, full.train_set.labels[torch.tensor(aside)]), "true labels, also of the noisy task"


def test_no_test_image_takes_part(make_run):
    full = make_run()
    test = {bytes(row.numpy()) for row in full.data.test.images}
    small = carve(full, 200, 0.2)
    parts = torch.cat([small.data.train.images, small.data.test.images])
    assert not test & {bytes(row.numpy()) for row in parts}


def test_the_reduced_run_has_artefacts_of_its_own(make_run):
    full, said = make_run(), []
    first, second = carve(full, 200, 0.2), carve(full, 150, 0.2)
    assert len({full.data.checksum, first.data.checksum, second.data.checksum}) == 3
    first.say = said.append
    assert first.original is not None and "taken from disk" not in said[0]


# -- the trials -------------------------------------------------------------------------------------------------------------


def test_every_method_gets_as_many_trials_and_the_published_settings_first(make_search, counted):
    found = search(make_search(trials=4), winners_path("tiny", "class"))["methods"]
    assert {name: len(one["trials"]) for name, one in found.items()} == dict.fromkeys(SOME, 4)
    assert len(counted) == 12
    for name, one in found.items():
        assert one["trials"][0]["changes"] == {}
        assert all(set(trial["changes"]) == {d.name for d in SOME[name]} for trial in one["trials"][1:])
        for trial in one["trials"][1:]:
            assert all(d.low <= trial["changes"][d.name] <= d.high for d in SOME[name] if d.scale != "choice")


def test_the_same_search_asks_for_the_same_trials(make_search, counted):
    one, again = (make_search().of_method("boundary_expand") for _ in range(2))
    assert [trial["changes"] for trial in one["trials"]] == [trial["changes"] for trial in again["trials"]]
    assert one["trials"][1]["changes"] != one["trials"][2]["changes"]


def test_a_trial_scores_the_mean_gap_to_the_reduced_retrained_model(make_search):
    one = make_search()
    trial = one.trial("boundary_expand", one.request, METHODS["boundary_expand"].settings, {"epochs": 0})
    start, goal = one.against()["original"], one.goal
    expected = sum(abs(start[m] - goal[m]) for m in ("train_r", "train_f", "test_r")) / 3
    assert trial["metrics"] == start and trial["gap"] == pytest.approx(expected) and expected > 0
    assert one.floor == pytest.approx(expected), "here the second retrained model is the original"


def test_a_trial_that_diverges_is_the_worst_and_the_search_goes_on(make_search, monkeypatch):
    def diverge(name, request, settings):
        raise TrainingDiverged("no number")

    one = make_search(trials=2)
    monkeypatch.setattr(searching, "run_method", diverge)
    found = one.of_method("neggrad")
    assert [trial["gap"] for trial in found["trials"]] == [100.0, 100.0] and found["trials"][0]["metrics"] is None


def test_trials_that_are_there_stay(make_search, counted):
    path = winners_path("tiny", "class")
    first = search(make_search(), path)
    assert len(counted) == 9 and json.loads(path.read_text())["methods"] == first["methods"]
    kept = json.loads(path.read_text())
    del kept["methods"]["neggrad"]
    write_json(path, {name: value for name, value in kept.items() if name != "checksum"})
    search(make_search(), path)
    assert [name for name, _ in counted[9:]] == ["neggrad"] * 3
    other = make_search()
    other.goal = {name: (value or 0) + 0.01 for name, value in other.goal.items()}  # retrained again on another processor
    assert search(other, path) == search(make_search(), path) and len(counted) == 12
    search(make_search(images=150), path)  # other images: every method anew
    assert len(counted) == 21


def test_some_methods_are_searched_and_what_another_process_kept_stays(make_search, counted):
    path, one = winners_path("tiny", "class"), make_search()
    search(one, path, ["laf"])
    assert {name for name, _ in counted} == {"laf"}
    ran = one.of_method

    def beside(method):
        found = ran(method)
        kept = json.loads(path.read_text())
        kept["methods"]["boundary_expand"] = kept["methods"]["laf"]  # of another process, meanwhile
        write_json(path, {name: value for name, value in kept.items() if name != "checksum"})
        return found

    one.of_method = beside
    assert set(search(one, path, ["neggrad"])["methods"]) == {"laf", "boundary_expand", "neggrad"}


def test_optimisers_take_their_steps_in_one_pass_within_a_trial_alone():
    weights = [torch.nn.Parameter(torch.ones(2))]
    with looks.fused():
        assert all(kind(weights, lr=0.1).defaults["fused"] for kind in (torch.optim.Adam, torch.optim.SGD))
    assert not torch.optim.Adam(weights, lr=0.1).defaults["fused"]


@pytest.mark.parametrize(("floor", "wins"), [(0.5, True), (5.0, False)])
def test_the_published_settings_stay_unless_the_best_is_nearer_by_more_than_noise(make_search, monkeypatch, floor, wins):
    one, path = make_search(trials=4), winners_path("tiny", "class")
    one.floor = floor
    gaps = iter([4.0, 3.0, 1.0, 2.0])
    monkeypatch.setattr(one, "trial", lambda method, request, settings, changes: {"changes": dict(changes), "gap": next(gaps)})
    monkeypatch.setattr(searching, "SPACES", {"neggrad": SOME["neggrad"]})
    found = search(one, path)["methods"]["neggrad"]
    assert found["winner"]["best_trial"] == 2 and found["winner"]["trial"] == (2 if wins else 0)
    assert found["winner"]["changes"] == (found["trials"][2]["changes"] if wins else {})
    assert winners_of(Cell("tiny", "class", "neggrad", choice="tuned")) == found["winner"]["changes"]


def test_a_trial_takes_as_many_steps_as_at_full_size_and_each_is_as_large(make_search, counted):
    one = make_search(images=100)  # 80 of 300 train
    assert one.problem.config.training.batch_size == round(32 * 80 / 300)
    search(one, winners_path("tiny", "class"))
    first = dict(reversed(counted))  # the published settings of each: its first trial
    assert first["boundary_expand"].batch_size == round(64 * 80 / 300)
    assert first["laf"].unlearning.batch_size == first["laf"].vae.batch_size == round(32 * 80 / 300)
    jit = METHODS["jit"].settings  # a sum over the batch
    own = one.reduced("jit", jit)
    assert own.learning_rate * own.batch_size == pytest.approx(jit.learning_rate * jit.batch_size, rel=0.05)
    assert one.reduced("lfssd", METHODS["lfssd"].settings) == METHODS["lfssd"].settings


def test_a_trial_that_stays_behind_ends_early_and_cannot_win(make_search, monkeypatch):
    one = make_search(trials=9)
    monkeypatch.setattr(looks, "LOOK_AFTER", 40)
    monkeypatch.setattr(searching, "SPACES", {"neggrad": SOME["neggrad"]})
    looked = []

    def look(model):
        looked.append(model)
        return float(len(looked))  # each look is worse than all before it

    monkeypatch.setattr(one, "look", look)
    found = one.of_method("neggrad")
    ended = [trial for trial in found["trials"] if trial["gap"] is None]
    assert looked and 1 <= len(ended) <= 3, "the five whole trials after the published one are never ended"
    assert found["trials"][found["winner"]["trial"]]["gap"] is not None


@pytest.mark.parametrize("method", ["boundary_expand", "laf"])
def test_a_look_changes_nothing_of_what_the_trial_gives(method, make_search, monkeypatch):
    one, request = make_search(), make_search().request
    few = {"unlearning.epochs": 2, "vae.epochs": 1} if method == "laf" else {}
    settings = changed(METHODS[method].settings, few)
    seen = []
    monkeypatch.setattr(looks, "LOOK_AFTER", 20)
    with looks.watched(request, lambda model, number: seen.append(one.look(model))) as watched:
        watched_result = run_method(method, watched, settings).model.state_dict()
    plain = run_method(method, request, settings).model.state_dict()
    assert seen and all(torch.equal(plain[name], value) for name, value in watched_result.items())


def test_a_pass_of_a_whole_network_is_looked_at_once_though_it_passes_the_extractor_too(make_search, monkeypatch):
    request, seen = make_search().request, []
    monkeypatch.setattr(looks, "LOOK_AFTER", 1)
    with looks.watched(request, lambda model, number: seen.append(model)) as watched:
        inputs = watched.retain.for_evaluation().batch(torch.arange(3))
        watched.original(inputs)
        watched.original.extractor(inputs)
        with torch.no_grad():
            watched.original(inputs)
        assert seen[0] is watched.original and len(seen) == 2
        assert torch.equal(seen[1](inputs), watched.original(inputs)), "its extractor, and the classifier"


def test_densities_are_fitted_once_for_all_trials_and_the_trials_stay_what_they_are(make_search, monkeypatch):
    one, fitted, fit = make_search(), [], laf.fit_vae
    monkeypatch.setattr(laf, "fit_vae", lambda *given, **named: fitted.append(named["stage"]) or fit(*given, **named))
    changes = [{"vae.epochs": 1, "unlearning.epochs": 2, "unlearning.lr_ra": rate} for rate in (1e-5, 3e-3)]
    first, second = (one.trial("laf", one.request, METHODS["laf"].settings, each) for each in changes)
    assert fitted == ["vae_h", "vae_h_f"]
    again = make_search().trial("laf", one.request, METHODS["laf"].settings, changes[1])
    assert fitted == ["vae_h", "vae_h_f"] * 2 and again["metrics"] == second["metrics"] != first["metrics"]
    one.trial("laf", one.request, METHODS["laf"].settings, {"vae.epochs": 2, "unlearning.epochs": 1})
    assert len(fitted) == 6, "densities of other settings are others"


def test_methods_with_a_held_out_set_get_the_images_set_aside(make_search):
    one = make_search()
    assert torch.equal(one.request.held_out_labels, one.problem.run.data.test.labels)
    result = run_method("scrub_r", one.request, changed(METHODS["scrub_r"].settings, {"epochs": 1, "max_steps": 1}))
    assert result.history["chosen_epoch"] == [1]


# -- spaces and command -----------------------------------------------------------------------------------------------------


def test_every_method_that_can_be_tuned_has_a_space_of_settings_that_it_has():
    assert set(SPACES) == set(METHODS) - set(EXACT)
    for name, space in SPACES.items():
        assert len({dimension.name for dimension in space}) == len(space)
        for dimension in space:
            value = leaf(METHODS[name].settings, dimension.name)
            if dimension.scale == "choice":
                assert value in dimension.choices
            else:
                assert dimension.low < dimension.high and (dimension.scale != "log" or dimension.low > 0)
                assert dimension.words() == f"{dimension.low:g} to {dimension.high:g}, {dimension.scale}"


def test_published_learning_rates_lie_inside_their_space():
    for name, space in SPACES.items():
        for method_settings in (METHODS[name].settings, *METHODS[name].by_task.values()):
            for dimension in space:
                if "rate" in dimension.name or "lr" in dimension.name:
                    assert dimension.low <= leaf(method_settings, dimension.name) <= dimension.high, (name, dimension.name)


def test_variants_of_a_method_are_searched_alike():
    assert SPACES["scrub"] == SPACES["scrub_r"]
    for name in ("boundary_shrink", "neggrad_plus"):
        assert SPACES[name] == SPACES[f"{name}_pseudo"]
    assert set(SPACES["scrub"]) - set(SPACES["scrub_unlabelled"]) == {d for d in SPACES["scrub"] if d.name == "gamma"}


def test_the_command_refuses_what_it_does_not_know(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["experiments", "KIND=tuning", "SPEED=1"])
    assert command.main() == 2 and "expected NAME=VALUE with one of DATASET, TASK" in capsys.readouterr().err


def test_without_optuna_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"laf-utils\[tuning\]"):
        searching._optuna()


def test_committed_searches_gave_every_method_as_many_trials():
    for path in sorted((results_folder() / "tuning").rglob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        count = found["about"]["trials_per_method"]
        for name, one in found["methods"].items():
            assert len(one["trials"]) == count, (path, name)
            best, own = one["trials"][one["winner"]["best_trial"]]["gap"], one["winner"]
            assert best == min(trial["gap"] for trial in one["trials"] if trial["gap"] is not None), (path, name)
            assert own["trial"] == (own["best_trial"] if one["trials"][0]["gap"] - best > one["against"]["floor"] else 0)
            changed(METHODS[name].settings, own["changes"])


def test_trials_and_winners_are_shown_with_what_they_rest_on(make_search, counted):
    one = make_search()
    search(one, winners_path("mnist", "class"))
    table, kept = ch5_tables.tuning("mnist", "class"), json.loads(winners_path("mnist", "class").read_text())["methods"]
    assert set(table.index) == {METHODS[name].title for name in SOME}
    assert table.loc["LAF", "published"] == f"{kept['laf']['trials'][0]['gap']:.2f}"
    assert table.loc["LAF", "best"] == f"{min(trial['gap'] for trial in kept['laf']['trials']):.2f}"
    assert set(table["winner, full size"]) == {"–"}
    assert ch5_tables.tuning("mnist", "noisy").empty and ch5_tables.tuning_finding("mnist", "noisy") == ""
    assert "no winner" in ch5_tables.tuning_finding("mnist", "class")
    said = ch5_tables.unsearched("mnist")
    assert "No search is on record yet for MNIST, data removal, noisy-label removal. Not searched yet for MNIST, class" in said
    assert "SCRUB" in said and "NegGrad," not in said and "LAF," not in said, "three methods were searched"
