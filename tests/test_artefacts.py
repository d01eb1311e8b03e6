"""What stages keep on disk: round trips, keys, and files that are broken."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laf_utils.support import artefacts
from laf_utils.support.artefacts import Artefact, exists, load, prefixed, save, unprefixed
from laf_utils.support.keys import content_key, equivalents_file
from laf_utils.support.records import write_json

CONTENT = {"stage": "original", "seed": 0, "lr": 1e-4, "none": None, "nested": {"b": [1, 2], "a": True}}
TENSORS = {
    "weight": torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=torch.channels_last),
    "count": torch.tensor(7), "rows": torch.arange(5), "half": torch.ones(2, dtype=torch.bfloat16),
}
FACTS = {"losses": {"original": [0.1, 1 / 3, 1e-300]}, "seconds": 0.1 + 0.2, "notes": ["é"]}


@pytest.fixture
def kept(tmp_path):
    return save(tmp_path / "new" / "folder", "original", CONTENT, Artefact(TENSORS, FACTS))


def test_what_goes_in_comes_out(kept):
    found = load(kept.parent, "original", CONTENT)
    assert found.facts == FACTS, "numbers must come back to the last digit"
    assert list(found.tensors) == sorted(TENSORS) or set(found.tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)


def test_saving_again_replaces(kept):
    save(kept.parent, "original", CONTENT, Artefact({"x": torch.zeros(1)}, {"seconds": 1}))
    assert load(kept.parent, "original", CONTENT).facts == {"seconds": 1}
    assert list(kept.parent.iterdir()) == [kept]


@pytest.mark.parametrize("change", [
    {"seed": 1}, {"lr": 1e-4 + 1e-12}, {"none": 0}, {"nested": {"b": [2, 1], "a": True}}, {"nested": {"b": [1, 2], "a": False}},
    {"more": 1},
])
def test_other_content_is_not_there(kept, change):
    assert load(kept.parent, "original", CONTENT | change) is None


def test_another_stage_is_not_there(kept):
    assert load(kept.parent, "retrained", CONTENT) is None
    assert load(kept.parent / "nowhere", "original", CONTENT) is None


@pytest.fixture
def rewritten(tmp_path, monkeypatch):
    """Code ``old``, then ``newer``, then ``newest``, each proven to be the one before."""
    monkeypatch.setenv("LAF_RESULTS", str(tmp_path))
    proof = {"because": "a test", "checked_by": "a test"}
    write_json(equivalents_file(), {"old": {"new": "newer", **proof}, "newer": {"new": "newest", **proof}})


@pytest.mark.parametrize(("made", "asked"), [("old", "newest"), ("newer", "newest"), ("newest", "old"), ("old", "newer")])
def test_what_equivalent_code_made_is_found(tmp_path, rewritten, made, asked):
    save(tmp_path, "laf", CONTENT | {"code": made, "method_code": made}, Artefact(TENSORS, FACTS))
    content = CONTENT | {"code": asked, "method_code": made}
    assert exists(tmp_path, "laf", content) and load(tmp_path, "laf", content).facts == FACTS
    for other in ({"code": "other"}, {"seed": 1}, {"method_code": "other"}):
        assert not exists(tmp_path, "laf", content | other) and load(tmp_path, "laf", content | other) is None


values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text("a1.", max_size=3))
plain = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


@given(plain, plain)
def test_keys_name_content(a, b):
    assert len(content_key(a)) == 16
    assert content_key(a) == content_key(dict(reversed(a.items())))
    assert (content_key(a) == content_key(b)) == (repr(sorted(a.items())) == repr(sorted(b.items())))


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_a_truncated_file_counts_as_missing(kept, share):
    content = kept.read_bytes()
    kept.write_bytes(content[: int(share * len(content))])
    assert load(kept.parent, "original", CONTENT) is None


@pytest.mark.parametrize("content", [b"\xff" * 1000, b"{}", b"\x00" * 8 + b"{}"])
def test_garbage_counts_as_missing(kept, content):
    kept.write_bytes(content)
    assert load(kept.parent, "original", CONTENT) is None


def test_a_file_of_someone_else_counts_as_missing(kept):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, kept)  # no facts
    assert load(kept.parent, "original", CONTENT) is None


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError, MemoryError])
def test_a_killed_write_leaves_no_half_file(tmp_path, monkeypatch, interruption):
    def half(tensors, path, metadata):
        Path(path).write_bytes(b"half of it")
        raise interruption

    monkeypatch.setattr(artefacts, "save_file", half)
    with pytest.raises(interruption):
        save(tmp_path, "original", CONTENT, Artefact(TENSORS, FACTS))
    assert list(tmp_path.iterdir()) == []


def test_a_killed_write_keeps_the_old_file(kept, monkeypatch):
    monkeypatch.setattr(artefacts, "save_file", lambda tensors, path, metadata: Path(path).write_bytes(b"half"))
    monkeypatch.setattr(Path, "replace", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        save(kept.parent, "original", CONTENT, Artefact(TENSORS, FACTS))
    monkeypatch.undo()
    assert load(kept.parent, "original", CONTENT).facts == FACTS
    assert list(kept.parent.iterdir()) == [kept]


def test_prefixes_keep_modules_apart():
    shared = prefixed("h", [("a.weight", 1)]) | prefixed("h_f", [("a.weight", 2)]) | prefixed("h.f", [("b", 3)])
    assert unprefixed("h_f", shared) == {"a.weight": 2}
    assert unprefixed("h", {name: value for name, value in shared.items() if value < 3}) == {"a.weight": 1}
