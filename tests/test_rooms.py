"""Who may import whom: the table of the package's docstring, held against every import."""

import ast
import re
from pathlib import Path

import pytest

import laf_utils

HOME = Path(laf_utils.__file__).parent
FACE = ("__init__", "__main__")  # may open every door
ROOMS = {
    room: {name.strip() for name in allowed.split(",")}
    for room, allowed in re.findall(r"^([a-z][a-z.]*)  +(.+?)  ", laf_utils.__doc__.split("=\n")[2], re.MULTILINE)
}
PAPER = [room for room in ROOMS if re.search(rf"^{room} .* paper \d", laf_utils.__doc__, re.MULTILINE)]


def room_of(parts: tuple[str, ...]) -> str:
    return ".".join(parts[:2]) if parts[0] == "book" else parts[0]


def imported(file: Path) -> set[str]:
    """Rooms that a file imports, at any depth of its code."""
    here, found = file.relative_to(HOME).parts[:-1], set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = here[: len(here) - node.level + 1] + tuple(node.module.split(".") if node.module else ())
            found |= {room_of((*base, alias.name)) for alias in node.names}
    return found


def allowed(room: str) -> set[str]:
    names, above = set(ROOMS[room]), PAPER[: PAPER.index(room)] if room in PAPER else PAPER[:10]
    if "all" in names:
        names |= {other for other in ROOMS if not other.startswith("book")}
    if "all but forgetting and book" in names:
        names |= {other for other in ROOMS if other != "forgetting" and not other.startswith("book")}
    return names & set(ROOMS) | {"support", room} | (set(above) if "paper" in names else set())


FILES = sorted(path for path in HOME.rglob("*.py") if path.parent != HOME or path.stem not in FACE)


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.relative_to(HOME).as_posix())
def test_a_room_imports_only_what_the_table_allows(file):
    parts = file.relative_to(HOME).with_suffix("").parts
    if parts != ("book", "__init__"):
        assert imported(file) - {"__version__"} <= allowed(room_of(parts))


def test_the_table_names_every_room_and_no_other():
    rooms = {room_of(path.relative_to(HOME).with_suffix("").parts) for path in FILES} - {"book.__init__"}
    assert rooms == set(ROOMS) and len(PAPER) == 12
    assert len(ROOMS) <= 28


def test_the_table_has_no_circle():
    order = list(ROOMS)
    for room in order[1:]:
        assert allowed(room) - {room} <= set(order[: order.index(room)]), room
