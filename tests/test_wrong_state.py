"""State on disk that was broken, changed or cut off: named, never taken, never lost; what can be made anew is."""

import errno
import json
import os
from pathlib import Path

import forgetting_fakes
import pytest
import torch
import wrong_inputs
from exhibits_fakes import fake
from safetensors import safe_open
from safetensors.torch import save_file

from laf_utils.experiments import cells, making
from laf_utils.experiments import record as experiment_record
from laf_utils.forgetting import command, files
from laf_utils.forgetting.checkpoint import Checkpoint
from laf_utils.forgetting.ledger import Ledger
from laf_utils.methods.method import fingerprint
from laf_utils.support import artefacts, records
from laf_utils.support.sealing import sealed

pytest_plugins = "wrong_fixtures"
ENTRY = {"kept": True, "utility": 0.9, "method": "laf", "verdict": "acceptable"}


# -- the ledger ---------------------------------------------------------------------------------------------------------


def rewritten(**parts):
    """The last line with other parts and a checksum that fits them; ``None`` takes one away."""

    def change(lines):
        entry = {name: part for name, part in (json.loads(lines[-1]) | parts).items() if part is not None}
        return "\n".join([*lines[:-1], json.dumps(sealed(entry), sort_keys=True)]) + "\n"

    return change


def text_of(lines):
    return "\n".join(lines) + "\n"


LEDGERS = {
    "empty": lambda lines: "", "binary": lambda lines: b"\x80\x81" * 80, "deep": lambda lines: "[" * 100_000,
    "blank": lambda lines: "\n",
    "a list": lambda lines: "[]\n", "last line gone": lambda lines: text_of(lines[:-1]),
    "first line gone": lambda lines: lines[1] + "\n",
    "cut off": lambda lines: text_of(lines)[:-40], "one more": lambda lines: text_of([*lines, "{}"]),
    "the order": lambda lines: text_of(lines[::-1]), "twice": lambda lines: text_of([*lines, lines[-1]]),
    "utility changed": lambda lines: text_of(lines).replace("0.9", "0.8"),
    "last verdict changed": lambda lines: text_of([lines[0], lines[1].replace("acceptable", "retraining")]),
    "last utility changed": lambda lines: text_of([lines[0], lines[1].replace("0.9", "1.0")]),
    "key a number": rewritten(key=3), "key short": rewritten(key="ab"), "key another": rewritten(key="0" * 32),
    "utility a text": rewritten(utility="abc"), "utility true": rewritten(utility=True), "utility large": rewritten(utility=7),
    "no kept": rewritten(kept=None), "kept a text": rewritten(kept="yes"), "number": rewritten(number=7),
    "no after": rewritten(after=None),
    "marks": rewritten(forgotten=["a face"]), "no marks": rewritten(forgotten=None), "instead": rewritten(instead_of=9),
    "no previous": rewritten(previous=None), "NaN": lambda lines: text_of([lines[0], lines[1].replace("0.9", "NaN")]),
}


@pytest.fixture
def ledger(own, tmp_path):
    """A ledger of two requests, the last of which left the model of ``own``."""
    model = fingerprint(files.build("forgetting_fakes:own_model", files.read_weights(own / "model.safetensors")))
    path = tmp_path / "ledger" / "ledger.jsonl"
    Ledger(path).add(ENTRY | {"before": "a", "after": "b"}, [b"one"])
    Ledger(path).add(ENTRY | {"before": "b", "after": model}, [b"another"])
    return path


@pytest.mark.parametrize("mode", ["--dry-run", "--no-retain"])
@pytest.mark.parametrize("kind", LEDGERS)
def test_ledgers(kind, mode, ledger, laf, ended):
    content = LEDGERS[kind](ledger.read_text().splitlines())
    ledger.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = ended(laf("forget", "--ledger", ledger, mode=[mode]), 4, "[changed_ledger]")
    assert "ledger.jsonl" in said.err


@pytest.mark.parametrize("kind", ["cut off", "last verdict changed", "key a number", "no kept", "empty"])
def test_a_ledger_that_came_without_its_head_is_held_to_its_lines(kind, ledger, laf, ended):
    ledger.write_text(LEDGERS[kind](ledger.read_text().splitlines()))
    ledger.with_name("ledger.jsonl.head").unlink()
    ended(laf("forget", "--ledger", ledger, mode=["--dry-run"]), 4, "[changed_ledger]")


def test_a_last_line_without_its_end_is_repaired_by_the_next_entry(ledger):
    ledger.write_text(ledger.read_text().rstrip("\n"))
    Ledger(ledger).add(ENTRY | {"before": "c", "after": "d"}, [])
    assert [json.loads(line)["number"] for line in ledger.read_text().splitlines()] == [1, 2, 3]
    assert len(Ledger(ledger).entries) == 3


def test_a_disk_that_fills_up_leaves_the_ledger_as_it_was(ledger, monkeypatch):
    before = ledger.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        Ledger(ledger).add(ENTRY | {"before": "c", "after": "d"}, [])
    assert ledger.read_bytes() == before


def test_a_request_whose_weights_could_not_be_written_can_be_asked_again(tmp_path, laf, monkeypatch, capsys):
    path, write = tmp_path / "ledger.jsonl", files.write_weights
    again = laf("forget", "--ledger", path, "--method", "jit")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "write_weights", full)
    assert again() == 1 and "No space left" in capsys.readouterr().err
    assert not path.exists(), "a request that left nothing is in no ledger"
    monkeypatch.setattr(files, "write_weights", write)
    assert again() in (command.ADVISED, command.UNKNOWN)
    (entry,) = Ledger(path).entries
    assert entry["weights"] == files.file_checksum(tmp_path / "out" / "unlearned.safetensors")
    assert again() == command.REFUSED and "lost_weights" in capsys.readouterr().err
    taken = laf("forget", "--ledger", path, "--method", "jit", "--accept", "lost_weights")
    assert taken() in (command.ADVISED, command.UNKNOWN)
    assert [entry["instead_of"] for entry in Ledger(path).entries] == [None, 1]
    assert Ledger(path).utility() == pytest.approx(Ledger(path).entries[1]["utility"] or 1.0), "it counts once"


def test_weights_of_ours_are_told_when_a_byte_has_changed(own, tmp_path, laf, ended):
    model = files.build("forgetting_fakes:own_model", files.read_weights(own / "model.safetensors"))
    path = files.write_weights(model, tmp_path / "unlearned.safetensors")
    assert files.read_weights(path).keys() == model.state_dict().keys()
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(bytes(content))
    ended(laf("forget", "--model", path, mode=["--dry-run"]), 3, "is damaged")


@pytest.mark.parametrize("mode", [["--dry-run"], ["--json"]], ids=["dry", "wet"])
@pytest.mark.parametrize(("make", "more", "told"), [
    ("own_model", ["--checkpoint", "FOLDER"], "[other_checkpoint]"),
    ("two_answers", ["--method", "closed_form", "--scope", "class"], "at least two of 2 classes must stay"),
    ("tied_head", ["--method", "certified_head", "--scope", "instances"], "plain linear layer"),
])
def test_a_dry_run_refuses_what_the_run_would_meet_last(make, more, told, mode, tmp_path, laf, ended):
    Checkpoint(tmp_path / "kept", {"model": "another"})
    room = forgetting_fakes if make == "own_model" else wrong_inputs
    save_file(getattr(room, make)().state_dict(), tmp_path / "weights.safetensors")
    words = [tmp_path / "kept" if word == "FOLDER" else word for word in more]
    given = ["--model", tmp_path / "weights.safetensors", "--arch", f"{room.__name__}:{make}", *words]
    ended(laf("forget", *given, mode=mode), command.REFUSED, told)


# -- artefacts ----------------------------------------------------------------------------------------------------------


def stored(path):
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def resaved(change, *, seal=True):
    """The file written anew after a change of its tensors and its facts; ``seal``: with a checksum that fits them."""

    def write(path):
        tensors, metadata = stored(path)
        facts = json.loads(metadata["facts"])
        facts = change(tensors, facts) or facts
        metadata["facts"] = json.dumps(facts, sort_keys=True)
        metadata |= {"checksum": artefacts._checksum(metadata, tensors)} if seal else {}
        save_file(tensors, path, metadata=metadata)

    return write


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1000] ^= 64
    path.write_bytes(bytes(content))


BIAS = "classifier.0.bias"
ARTEFACTS = {
    "one bit": flip, "half": lambda path: path.write_bytes(path.read_bytes()[:5000]), "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("weights"), "a folder": lambda path: (path.unlink(), path.mkdir()),
    "NaN": resaved(lambda tensors, facts: tensors.update({BIAS: tensors[BIAS] * torch.nan})),
    "infinity": resaved(lambda tensors, facts: tensors.update({BIAS: tensors[BIAS] / 0})),
    "a tensor missing": resaved(lambda tensors, facts: tensors.__delitem__(BIAS)),
    "a tensor more": resaved(lambda tensors, facts: tensors.update(more=torch.ones(1))),
    "another shape": resaved(lambda tensors, facts: tensors.update({BIAS: torch.zeros(3)})),
    "another type": resaved(lambda tensors, facts: tensors.update({BIAS: tensors[BIAS].double()})),
    "whole numbers": resaved(lambda tensors, facts: tensors.update({BIAS: tensors[BIAS].long()})),
    "no losses": resaved(lambda tensors, facts: facts.pop("losses") and None),
    "no seconds": resaved(lambda tensors, facts: facts.pop("seconds") and None),
    "seconds a text": resaved(lambda tensors, facts: facts | {"seconds": "3"}),
    "seconds NaN": resaved(lambda tensors, facts: facts | {"seconds": float("nan")}),
    "facts a list": resaved(lambda tensors, facts: [1]), "facts changed": resaved(lambda t, facts: facts | {"a": 1}, seal=False),
    "facts a text": resaved(lambda tensors, facts: "null"),
}


@pytest.mark.parametrize("kind", ARTEFACTS)
def test_artefacts(kind, make_run, tmp_path):
    first = make_run().original.state_dict()
    (path,) = (tmp_path / "runs" / "artefacts").iterdir()
    ARTEFACTS[kind](path)
    said = []
    again = make_run(say=said.append).original.state_dict()
    assert len(said) == 2 and path.name in said[0] and said[0].endswith("made anew") and said[1].startswith("original: ")
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert make_run(say=said.append).original and "taken from disk" in said[-1], "it is there again"


def test_an_artefact_under_another_stages_name_is_not_taken(make_run, tmp_path):
    run = make_run()
    _ = run.original, run.retrained
    original, retrained = (next((tmp_path / "runs" / "artefacts").glob(f"{name}-*")) for name in ("original", "retrained"))
    original.write_bytes(retrained.read_bytes())
    said = []
    again = make_run(say=said.append).original
    assert "belongs to another key" in said[0]
    assert all(torch.equal(tensor, run.original.state_dict()[name]) for name, tensor in again.state_dict().items())


def test_an_artefact_from_before_there_were_checksums_is_taken(make_run, tmp_path):
    _ = make_run().original
    (path,) = (tmp_path / "runs" / "artefacts").iterdir()
    tensors, metadata = stored(path)
    del metadata["checksum"]
    save_file(tensors, path, metadata=metadata)
    said = []
    assert make_run(say=said.append).original and "taken from disk" in said[0]


# -- records of the comparison ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [
    lambda r: json.dumps(sealed(r) | {"gap": {"mean": 0.0, "tow": 1.0}}), lambda r: json.dumps(r).replace("98.0", "NaN"),
    lambda r: "[" * 100_000, lambda r: "",
])
def test_a_broken_record_of_a_cell_is_named_and_made_anew(change, places, monkeypatch):
    cell = cells.Cell("mnist", "class", "laf")
    record, said = fake("laf") | {"key": "k"}, []
    cell.path.parent.mkdir(parents=True)
    monkeypatch.setattr(making, "settings_of", lambda *_: None)
    monkeypatch.setattr(making, "inputs_of", lambda *_: {})
    monkeypatch.setattr(experiment_record, "stale_parts", lambda *_: [])
    monkeypatch.setattr(making, "make", lambda *_: record)
    cell.path.write_text(change(record))
    remade = making.run_cell(cell, problem=object(), say=said.append)
    assert {name: remade[name] for name in record} == record
    assert len(said) == 1 and cell.path.name in said[0] and said[0].endswith("it is made anew")
    assert making.run_cell(cell, problem=object(), say=said.append) == remade and len(said) == 1
    assert Path(cell.path).stat().st_size and records.sealed(remade) == json.loads(cell.path.read_text())
