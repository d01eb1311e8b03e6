"""What a key is made of: definitions, found from roots, hashed wherever they lie; and parts that can be told apart."""

import ast
import json
import sys

import pytest

from laf_utils.experiments.cells import Cell
from laf_utils.experiments.making import inputs_of as inputs_of_cell
from laf_utils.experiments.making import run_cell, settings_of
from laf_utils.experiments.problem import Problem
from laf_utils.methods import METHODS
from laf_utils.run import TRAINED, Run
from laf_utils.support import definitions as found
from laf_utils.support import source
from laf_utils.support.definitions import NO_NUMBERS, code_version, definitions, digest
from laf_utils.support.keys import ABSENT, content_key, equivalents_file, stale_parts

CODE = '"""Module."""\n\n\ndef f(x):\n    """Double."""\n    # twice\n    return 2 * x\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LAF_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.fixture
def problem(make_run, folder):
    return Problem(make_run())


@pytest.fixture
def package(tmp_path, monkeypatch):
    """``write(a="...", b="...")`` writes modules of a package; ``version("a.f")`` imports one and gives the version of a root."""
    home = tmp_path / "house"
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(**modules):
        home.mkdir(exist_ok=True)
        for name in [name for name in sys.modules if name.split(".")[0] == "house"]:
            del sys.modules[name]
        for file in home.glob("*.py"):
            file.unlink()
        source.parsed.cache_clear()
        code_version.cache_clear()
        (home / "__init__.py").write_text(modules.pop("init", ""))
        for name, text in modules.items():
            (home / f"{name}.py").write_text(text)

    def version(place):
        module, _, name = place.rpartition(".")
        __import__(f"house.{module}")
        root = sys.modules[f"house.{module}"]
        for part in name.split("/"):
            root = vars(root)[part]
        return code_version.__wrapped__((root,))

    yield write, version
    source.parsed.cache_clear()
    source.homes.discard("house")
    for name in [name for name in sys.modules if name.split(".")[0] == "house"]:
        del sys.modules[name]


def of(package, place, **modules):
    write, version = package
    write(**modules)
    return version(place)


# -- what counts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("old", "new"), [
    ("Double", "Twice"), ("    # twice\n", ""), ("2 * x", "(2  *  x)"), ('"""Module."""\n', ""),
    ("f(x)", "f(x: int) -> int"), ("    # twice\n", "    import math\n"), ('"""Module."""\n', "import os\n"),
])
def test_comments_docstrings_formatting_annotations_and_imports_do_not_count(package, old, new):
    assert old in CODE
    assert of(package, "a.f", a=CODE) == of(package, "a.f", a=CODE.replace(old, new))


@pytest.mark.parametrize(("old", "new"), [("2 * x", "3 * x"), ("2 * x", "2.0 * x"), ("f(x)", "f(x=1)"), ("return", "yield")])
def test_code_counts(package, old, new):
    assert of(package, "a.f", a=CODE) != of(package, "a.f", a=CODE.replace(old, new))


CHECKED = (
    "from typing import cast\n\nfrom .b import T\n\n\ndef f(x):\n    x: T\n    assert isinstance(x, T)\n"
    "    assert x.y is not None\n    return 2 * cast(T, x)\n"
)


def test_what_only_a_type_checker_reads_does_not_count(package):
    bare = of(package, "a.f", a="def f(x):\n    return 2 * x\n", b="class T:\n    size = 1\n")
    assert of(package, "a.f", a=CHECKED, b="class T:\n    size = 1\n") == bare
    assert of(package, "a.f", a=CHECKED, b="class T:\n    size = 2\n") == bare


@pytest.mark.parametrize(("old", "new"), [
    ("x.y is not None", "x.y > 0"), ("x.y is not None", "x.y is None"), ("x.y is not None", "x.y() is not None"),
    ("from typing import cast\n", "def cast(t, x):\n    return t(x)\n"),
])
def test_an_assert_that_computes_and_a_cast_of_ones_own_count(package, old, new):
    assert old in CHECKED
    text = "class T:\n    size = 1\n"
    assert of(package, "a.f", a=CHECKED.replace(old, new), b=text) != of(package, "a.f", a=CHECKED, b=text)


HELPED = "from .b import g\n\n\ndef f(x):\n    return g(x) + 1\n"
HELPER = "FACTOR = 2\n\n\ndef g(x):\n    return FACTOR * x\n\n\ndef other(x):\n    return x\n"


def test_a_definition_may_move_to_any_file(package):
    first = of(package, "a.f", a=HELPED, b=HELPER)
    assert of(package, "a.f", a=HELPED.replace(".b", ".c"), c=HELPER) == first
    assert of(package, "a.f", a=HELPER + HELPED.split("\n\n\n")[1]) == first
    assert of(package, "a.f", a=HELPED.replace(".b", "."), init="from .b import g\n", b=HELPER) == first, "through a face"
    assert of(package, "a.f", a="from . import b\n\n\ndef f(x):\n    return b.g(x) + 1\n", b=HELPER) != first, "another text"


@pytest.mark.parametrize(("old", "new", "counts"), [
    ("FACTOR = 2", "FACTOR = 3", True), ("FACTOR * x", "x * FACTOR", True), ("    return x\n", "    return -x\n", False),
])
def test_what_is_mentioned_counts_and_what_is_not_does_not(package, old, new, counts):
    assert old in HELPER
    before = of(package, "a.f", a=HELPED, b=HELPER)
    assert (of(package, "a.f", a=HELPED, b=HELPER.replace(old, new)) != before) == counts


CLASS = (
    "class Base:\n    size = 1\n\n    def __init__(self, x):\n        self.x = x\n\n    def used(self):\n        return self.x\n"
    "\n    def unused(self):\n        return 0\n\n    def forward(self):\n        return 5\n\n\n"
    "class Own(Base):\n    pass\n\n\ndef f(x):\n    return Own(x).used()\n"
)


@pytest.mark.parametrize(("old", "new", "counts"), [
    ("size = 1", "size = 2", True), ("self.x = x", "self.x = -x", True), ("return self.x", "return +self.x", True),
    ("return 0", "return 1", False), ("return 5", "return 6", True),
])
def test_methods_count_where_their_name_is_read(package, old, new, counts):
    before = of(package, "a.f", a=CLASS)
    assert (of(package, "a.f", a=CLASS.replace(old, new)) != before) == counts


def test_what_a_made_function_was_given_counts(package):
    text = (
        "def g(x):\n    return 1\n\n\ndef make(inner):\n    def made(x):\n        return inner(x)\n    return made\n"
        "\n\nf = make(g)\n"
    )
    assert of(package, "a.f", a=text) != of(package, "a.f", a=text.replace("return 1", "return 2"))


def test_code_in_no_file_has_no_name():
    made = {}
    exec("def f(x):\n    return x\n", made)
    with pytest.raises(ValueError, match="lies in no file"):
        definitions((made["f"],))


def test_digests_do_not_tell_pythons_apart(monkeypatch):
    tree = ast.parse("def f(x):\n    return x\n\n\nclass A:\n    pass\n")
    here, dump = [digest(node) for node in tree.body], ast.dump

    def newer(node, **_):  # as Python 3.12 and later write it
        text = dump(node)
        return text if "type_params" in text else text.replace("decorator_list=[])", "decorator_list=[], type_params=[])")

    monkeypatch.setattr(ast, "dump", newer)
    assert "type_params" in found.ast.dump(tree) and [digest(node) for node in tree.body] == here


# -- nothing is missed ---------------------------------------------------------------------------------------------------------


def executed(action):
    """Places (``training.train``) of every function of the package that runs while ``action`` does."""
    places = set()

    def look(frame, event, _):
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.startswith("laf_utils.") and "__create_fn__" not in frame.f_code.co_qualname:
            places.add(f"{module.removeprefix('laf_utils.')}.{frame.f_code.co_qualname}")

    sys.setprofile(look)
    try:
        action()
    finally:
        sys.setprofile(None)
    return places


def left_out(place):
    parts = place.split(".")
    return any(".".join(parts[:count]) in NO_NUMBERS for count in range(1, len(parts) + 1))


def roots_of(name):
    from laf_utils.experiments.distances import to_retrained
    from laf_utils.experiments.problem import Problem
    from laf_utils.experiments.second_retrained import retrained_again
    from laf_utils.laf import labelled_rows, repair

    trained = (Problem.request, Problem.outputs, Problem.measure, Problem.gap, to_retrained, Run.original, Run.retrained)
    laf = (Run.sets, Run.procedure, Run.densities, Run._unlearn, repair, labelled_rows, Run.laf, Run.laf_r)
    return (*trained, *{"laf_r": laf, "retrain_again": (retrained_again,)}.get(name, (METHODS[name].function,)))


@pytest.mark.parametrize("name", ["laf_r", "scrub_r", "boundary_shrink", "lfssd", "ts"])
def test_every_function_that_runs_for_a_record_is_in_its_key_or_computes_no_number(name, problem):
    ran = executed(lambda: run_cell(Cell("tiny", "class", name), problem))
    known = {one.place.split("#")[0] for one in definitions(roots_of(name))}
    # Of records:
    makers = ("experiments.cells", "experiments.making", "experiments.distances", "experiments.problem.Problem.asked")

    def covered(place):
        base = place.split(".<")[0]
        return base in known or left_out(base) or base.startswith(makers)

    missed = sorted(place for place in ran if not covered(place))
    assert ran & known and not missed, "\n".join(missed)


@pytest.mark.parametrize("place", sorted(NO_NUMBERS))
def test_what_computes_no_numbers_exists(place):
    module, name, parts = "laf_utils", "", place.split(".")
    for part in parts:
        if name:
            name += f".{part}"
        elif source.parsed(f"{module}.{part}"):
            module += f".{part}"
        else:
            name = part
    if name:
        parsed, (owner, _, member) = source.parsed(module), name.partition(".")
        assert owner in parsed.definitions and (not member or member in parsed.members[owner])


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_of_the_table_has_code_of_its_own(name):
    own = code_version((METHODS[name].function,), TRAINED)
    functions = {other.function for other in METHODS.values()} - {METHODS[name].function}
    others = {code_version((function,), TRAINED) for function in functions}
    assert own not in others


# -- parts ---------------------------------------------------------------------------------------------------------------------


def sealed(**inputs):
    return {"key": content_key(inputs), "inputs": inputs}


def test_stale_parts_are_named():
    record = sealed(settings="1", method="2")
    assert stale_parts(record, {"settings": "1", "method": "2"}) == []
    assert stale_parts(record, {"settings": "1", "method": "3"}) == ["method"]
    assert stale_parts(record, {"settings": "0", "method": "3"}) == ["method", "settings"]
    assert stale_parts(record, {"settings": "1", "method": "2", "data": "4"}) == ["data"]


@pytest.mark.parametrize("record", [{}, {"key": "1"}, {"key": "1", "inputs": {"a": "1"}}, {"key": "1", "inputs": 3}])
def test_a_key_that_is_not_its_parts_is_stale(record):
    assert stale_parts(record, {"a": "1"}) == [ABSENT]


def test_proven_equivalents_stay_valid(folder):
    record = sealed(method="old", data="d")
    equivalents_file().parent.mkdir(parents=True)
    proof = {"because": "cut in two", "checked_by": "tests/test_laf.py"}
    equivalents_file().write_text(json.dumps({"old": {"new": "newer", **proof}, "newer": {"new": "newest", **proof}}))
    for now, stale in (("newest", []), ("newer", []), ("old", []), ("other", ["method"])):
        assert stale_parts(record, {"method": now, "data": "d"}) == stale


def test_a_record_of_a_cell_has_its_parts(problem):
    cell = Cell("tiny", "class", "original")
    record = run_cell(cell, problem)
    assert record["inputs"] == inputs_of_cell(cell, problem, settings_of(cell, problem, None))
    assert record["key"] == content_key(record["inputs"])
