"""Wrong inputs over every door: one line on standard error, the right exit code, nothing written, nothing trained."""

import argparse
import json

import pytest
import wrong_inputs
from wrong_inputs import MAINS, by_argv, short

from laf_utils.book.base import execute
from laf_utils.forgetting import arguments, command, estimate

pytest_plugins = "wrong_fixtures"

# -- make laf, and the commands of NAME=VALUE -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "told"), wrong_inputs.LAUNCH, ids=short)
def test_launch(words, told, ended):
    arguments = words.split(" ") if " SEED" in words or " FORGET" in words else [words]
    ended(lambda: execute.main(arguments if "DATASET" in words else ["DATASET=optdigits", *arguments]), 2, told)


@pytest.mark.parametrize(("door", "words", "told"), wrong_inputs.DOORS, ids=short)
def test_doors(door, words, told, ended, monkeypatch):
    code = 1 if "EXECUTOR" in words else 2
    ended(by_argv(monkeypatch, door, words.split(" ") if words else []), code, told)


@pytest.mark.parametrize("name", wrong_inputs.GRIDS)
def test_grids(name, ended, tmp_path, monkeypatch):
    content = wrong_inputs.GRIDS[name]
    (tmp_path / "grid.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    ended(by_argv(monkeypatch, "experiments", [f"GRID={tmp_path / 'grid.toml'}"]), 2, "" if "unknown" in name else "grid.toml")


NOWHERE = ("/proc/x", "/sys/x")  # folders that are not there, and cannot be made
OF_PLACES = [
    ("LAF_RUNS", "launch"), ("LAF_NOTEBOOKS", "launch"), ("LAF_DATA", "launch"), ("LAF_RESULTS", "exhibits"),
    ("LAF_RESULTS", "comparison"), ("LAF_RUNS", "comparison"), ("LAF_RUNS", "stages"), ("LAF_RESULTS", "audited"),
]


# Images that are nowhere are another matter: every door that was tried is told in a line of its own.
@pytest.mark.parametrize(("place", "variable", "door"), [
    (place, *row) for row in OF_PLACES for place in wrong_inputs.PLACES if place not in NOWHERE or row[0] != "LAF_DATA"
], ids=short)
def test_places(place, variable, door, ended, monkeypatch):
    nowhere = place in NOWHERE
    monkeypatch.setenv(variable, place)
    main = by_argv(monkeypatch, door, ["FOLDER=/tmp"] if door == "exhibits" else []) if door != "launch" else None
    code = 1 if nowhere and (variable == "LAF_NOTEBOOKS" or door == "exhibits") else 2
    ended(main or (lambda: execute.main(["DATASET=mnist"])), code, "" if nowhere else variable)


@pytest.mark.parametrize("door", MAINS)
def test_help(door, monkeypatch, capsys):
    for word in ("--help", "-h"):
        assert by_argv(monkeypatch, door, [word])() == 0
        assert "laf_utils." in capsys.readouterr().out
    assert execute.main(["--help"]) == 0 and "DATASET" in capsys.readouterr().out


# -- laf ------------------------------------------------------------------------------------------------------------------------


AS_JSON = ("--seed", "--frobnicate", "--arch", "--out", "--ids")  # one of each kind
CASES = [(*row, mode) for row in wrong_inputs.FORGET for mode in ("dry", "wet", "json") if mode != "json" or row[0][0] in AS_JSON]


@pytest.mark.parametrize(("change", "code", "told", "mode"), CASES, ids=short)
def test_forget(change, code, told, mode, laf, ended, monkeypatch):
    monkeypatch.setattr(estimate, "estimate", lambda *_: pytest.fail("the dry run passed what the run refuses"))
    said = ended(laf("forget", *change, mode=[{"dry": "--dry-run", "wet": "--no-retain", "json": "--json"}[mode]]), code, told)
    if mode == "json":
        assert json.loads(said.out)["code"] == code and json.loads(said.out)["error"] in said.err
    else:
        assert not said.out


@pytest.fixture
def queued(own, tmp_path):
    """``queued(step, more, queue)``: a step of ``laf queue`` with the right arguments, of which ``more`` replace some."""
    (tmp_path / "ids").write_text("nobody.png\n")

    def main(step, more, queue="queue"):
        images = {"--data": own / "images"} | ({"--ids": own / "ids.csv"} if step == "add" else {})
        model = {"--model": own / "model.safetensors", "--arch": "forgetting_fakes:own_model", "--device": "cpu"}
        given = {"add": images, "run": images | model | {"--out": tmp_path / "out"}, "retrained": model}.get(step, {})
        words = {"FILE": tmp_path / "file", "IDS": tmp_path / "ids", "FILE/below": tmp_path / "file/below"}
        given = given | {key: words.get(text, text) for key, text in zip(more[::2], more[1::2], strict=False)}
        flat = [str(word) for pair in given.items() for word in pair] + (more if len(more) == 1 else [])
        place = words.get(queue, tmp_path / queue if queue == "queue" else queue)
        return lambda: command.main(["queue", step, str(place), *flat])

    return main


@pytest.mark.parametrize(("step", "more", "code", "told"), wrong_inputs.QUEUE, ids=short)
def test_queue(step, more, code, told, queued, ended):
    assert not ended(queued(step, more), code, told).out


@pytest.mark.parametrize("place", wrong_inputs.NO_QUEUE, ids=short)
def test_places_of_a_queue(place, queued, ended):
    ended(queued("add", [], place), 2, "")


@pytest.mark.parametrize("words", [
    [], ["--json"], ["forget"], ["forget", "--json"], ["nothing"], ["audit", "--data", "x"], ["data", "--seed", "0"], ["forget",
    "x"],
    ["verify"], ["verify", "x", "--json"], ["key"], ["key", "--out", "a", "b"],
    ["data", "--data", "a", "--data", "b", "--ids", "c"], ["data", "--data=a", "--data=a"], ["", "--json"], ["--\u0663"],
])
def test_words(words, ended):
    said = ended(lambda: command.main(words), 2)
    assert not said.out or json.loads(said.out)["code"] == 2
    assert bool(said.out) == ("--json" in words)


@pytest.mark.parametrize(("words", "code", "told"), wrong_inputs.PROOF, ids=short)
def test_certificates_and_keys(words, code, told, ended, tmp_path):
    named = {"FILE": tmp_path / "file", "EMPTY": tmp_path / "empty"}
    ended(lambda: command.main([str(named.get(word, word)) for word in words.split(" ")]), code, told)


def test_audit_needs_unseen_images_and_says_so_first(laf, ended):
    ended(laf("audit"), 2, "--unseen")


def test_every_option_of_every_command_says_what_it_is():
    def walk(parser):
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                assert all(choice.help for choice in action._choices_actions)
                for own in action.choices.values():
                    walk(own)
            else:
                assert action.help, f"{parser.prog}: {action.option_strings or action.dest}"

    walk(arguments.parser())


@pytest.mark.parametrize("words", [["--help"], ["forget", "--help"], ["audit", "--help"], ["data", "--help"], ["--version"],
                                   ["verify", "--help"], ["key", "--help"], ["queue", "--help"], ["queue", "run", "--help"]])
def test_help_of_laf(words, capsys):
    assert command.main(words) == 0
    said = capsys.readouterr()
    assert "laf" in said.out and not said.err
    if words == ["audit", "--help"]:
        assert " --unseen UNSEEN" in said.out and "[--unseen" not in said.out
