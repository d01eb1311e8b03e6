"""Which definitions compute a number, and one hash over them.

A key must change when the code that computes its numbers changes, and must not change when that code moves, gains a comment, a
docstring, an annotation, a cast, an assert of a type, or another import line. So it hashes definitions and no files: starting
from the functions and classes that a number comes from, every name that they mention is followed to its definition, through all
imports of this package.

- A function, an assignment or a class header is one definition; so is every method of a class, which counts only where an
  attribute of its name is read somewhere in what was found: a stage of a run does not hang on stages that it never asks for.
- What ``NO_NUMBERS`` names is not followed: what reads, names, keeps or announces things, and values that a key holds itself.
"""

import ast
import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from .source import PACKAGE, counts_always, header, homes, is_class, is_protocol, mentions, parsed, read, resolved

Root = Callable | type | property
_STAGES = "names, keeps and takes what stages computed"
NO_NUMBERS = {  # by place below this package: what is not followed, and why no number hangs on it
    "datasets": "the images' checksum is in the key",
    "experiments.memory": "measures the process",
    "experiments.record": "writes and reads records",
    "methods.access": "refuses",
    "methods.catalogue": "names methods; their settings are in the key",
    "methods.method": "holds a method to what it declares",
    "methods.parts.Spent": "counts images",
    "methods.passes": "counts images",
    "methods.settings": "its values are in the key",
    "methods.table": "names methods; their settings are in the key",
    "run.Run.__init__": "keeps its arguments",
    "run.Run._like": _STAGES,
    "run.Run._method_content": _STAGES,
    "run.Run._placed": _STAGES,
    "run.Run._training_content": _STAGES,
    "run.Run.holds": _STAGES,
    "run.Run.keep": _STAGES,
    "run.Run.kept": _STAGES,
    "run.Run.train_both": "shares out threads",
    "run.method_code": _STAGES,
    "run.repair_code": _STAGES,
    "run.training_code": _STAGES,
    "settings": "its values are in the key",
    "support.artefacts": _STAGES,
    "support.beside": "shares out threads",
    "support.definitions": "names code",
    "support.devices.describe": "describes the machine",
    "support.devices.has_fast_bfloat16": "describes the machine",
    "support.devices.peak_memory_bytes": "measures the process",
    "support.devices.status_bytes": "measures the process",
    "support.devices.resolve": "finds a device, whose type is in the key of a stage",
    "support.devices.synchronise": "waits",
    "support.lazy": "imports",
    "support.keys": "names what a number depends on",
    "support.paths": "finds folders",
    "support.progress": "draws bars",
    "support.reading": "reads arguments",
    "support.records": "writes and reads records",
    "support.sealing": "checks what is kept",
    "support.source": "reads code as text",
    "tasks.ForgetTask.checksum": "its value is in the key",
}


@dataclass(frozen=True)
class Definition:
    """A function, class header, method or assignment."""

    module: str  # the full name of its module
    name: str  # its own, ``Class.method`` for a method
    node: ast.AST = field(compare=False, repr=False)

    @property
    def place(self) -> str:
        """``training.train``: what ``NO_NUMBERS`` and messages call it."""
        return f"{self.module.removeprefix(PACKAGE + '.')}.{self.name}"


# -- following ------------------------------------------------------------------------------------------------------------------


class _Closure:
    """Everything that roots rest on."""

    def __init__(self, left_out: frozenset[str]) -> None:
        self.left_out = left_out
        self.found: dict[Definition, None] = {}
        self.attributes: set[str] = set()
        self.classes: set[tuple[str, str]] = set()

    def leaves_out(self, module: str, name: str) -> bool:
        place = f"{module.removeprefix(PACKAGE + '.')}.{name}"
        parts = place.split(".")
        return any(".".join(parts[:count]) in self.left_out for count in range(1, len(parts) + 1))

    def add(self, module: str, name: str) -> None:
        """A top-level definition, or ``Class.method``."""
        if self.leaves_out(module, name):
            return
        owner, _, member = name.partition(".")
        if member:
            self._enter(module, owner, name, read(module).members[owner][member])
            return self.add(module, owner)
        nodes = read(module).definitions[name]
        if is_protocol(nodes[0]):
            return None
        if isinstance(nodes[0], ast.ClassDef) and (module, name) not in self.classes:
            self.classes.add((module, name))
            self._enter(module, None, name, [header(node) for node in nodes])
            self._members(module, name)
        elif not isinstance(nodes[0], ast.ClassDef):
            self._enter(module, None, name, nodes)
        return None

    def _members(self, module: str, name: str) -> None:
        for member in read(module).members.get(name, {}):
            wanted = member in self.attributes or counts_always(member)
            if wanted and not self.leaves_out(module, f"{name}.{member}"):
                self._enter(module, name, f"{name}.{member}", read(module).members[name][member])

    def _enter(self, module: str, owner: str | None, name: str, nodes: list[ast.AST]) -> None:
        for node in nodes:
            definition = Definition(module, name if len(nodes) == 1 else f"{name}#{nodes.index(node)}", node)
            if definition in self.found:
                continue
            self.found[definition] = None
            self._follow(module, node)

    def _follow(self, module: str, node: ast.AST) -> None:
        names, attributes, pairs, hints = mentions(node)
        for name in sorted(names | hints):
            home, own = resolved(module, name) or ("", None)
            if own and (name in names or is_class(home, own)):
                self.add(home, own)
        for name, attribute in sorted(pairs):
            where = resolved(module, name)
            home, own = (resolved(where[0], attribute) if where and where[1] is None else None) or ("", None)
            if own:
                self.add(home, own)
        if attributes - self.attributes:
            self.attributes |= attributes
            for place in sorted(self.classes):
                self._members(*place)


def _roots(root: Root) -> Iterator[tuple[str, str]]:
    """(module, name) of a root, and of what a function that was made by another one was given."""
    inner: Any = getattr(root, "fget", None) or getattr(root, "func", None) or root  # of property, cached_property and partial
    inner = inspect.unwrap(inner)
    yield inner.__module__, inner.__qualname__
    for cell in getattr(inner, "__closure__", None) or ():
        if callable(cell.cell_contents) and hasattr(cell.cell_contents, "__qualname__"):
            yield from _roots(cell.cell_contents)


def definitions(roots: tuple[Root, ...], left_out: frozenset[str] = frozenset(NO_NUMBERS)) -> list[Definition]:
    """Every definition that the roots rest on, themselves included.

    Args:
        roots: functions, classes, methods or properties of modules that lie in files.
        left_out: modules, packages or definitions that are not followed, by their place below this package.

    Raises:
        ValueError: a root that is defined in no file, e.g. in a notebook.
    """
    closure = _Closure(left_out)
    for module, name in (place for root in roots for place in _roots(root)):
        homes.add((module or "").split(".")[0])
        found = parsed(module)
        if found is None or name.split(".")[0] not in found.definitions:
            raise ValueError(f"{module}.{name}: its code lies in no file, so no key can name it")
        if "<locals>" in name:  # made by a function of the module: that function is what can change
            name = name.split(".")[0]
        closure.add(module, name)
    return list(closure.found)


# -- hashing --------------------------------------------------------------------------------------------------------------------


class _Bare(ast.NodeTransformer):
    """Without docstrings, imports and annotations."""

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        return None

    visit_ImportFrom = visit_Import

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(arg=node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        value = self.visit(node.value) if node.value else None
        return ast.AnnAssign(target=self.visit(node.target), annotation=ast.Constant(None), value=value, simple=node.simple)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            node = _copied(node, body=body[1:])
        if getattr(node, "returns", None) is not None:
            node = _copied(node, returns=None)
        return super().generic_visit(_copied(node))


def _copied(node: ast.AST, **changes: object) -> ast.AST:
    fields = {name: list(value) if isinstance(value, list) else value for name, value in ast.iter_fields(node)}
    return type(node)(**(fields | changes))


def digest(node: ast.AST) -> str:
    """SHA-256 of a definition, whatever its comments, docstrings, annotations, imports and formatting."""
    # Python 3.12 added a field to what 3.11 dumps, 3.13 leaves out empty ones; keys must not tell them apart.
    options: dict[str, Any] = {"show_empty": True} if sys.version_info >= (3, 13) else {}
    return hashlib.sha256(ast.dump(_Bare().visit(node), **options).replace(", type_params=[]", "").encode()).hexdigest()


@cache
def code_version(roots: tuple[Root, ...], left_out: frozenset[str] = frozenset(NO_NUMBERS)) -> str:
    """16 hex digits over all ``definitions`` of the roots, wherever they lie and in whatever order."""
    digests = sorted(digest(definition.node) for definition in definitions(roots, left_out))
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]
