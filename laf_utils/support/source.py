"""Modules read as text: what they define, what they import, and what a definition mentions."""

import ast
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = __package__.split(".")[0]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Module:
    """A parsed file: definitions by name, the methods of each class, and where imported names come from."""

    name: str
    definitions: dict[str, list[ast.AST]] = field(default_factory=dict)
    members: dict[str, dict[str, list[ast.AST]]] = field(default_factory=dict)
    imported: dict[str, tuple[str, str | None]] = field(default_factory=dict)


# -- reading ---------------------------------------------------------------------------------------------------------------


def _file(module: str) -> Path | None:
    """Of a module of this package or of one that brings a method, without importing anything."""
    loaded = getattr(sys.modules.get(module), "__file__", None)
    if loaded:
        return Path(loaded)
    if module.split(".")[0] == PACKAGE:
        base = Path(__file__).parent.parent.joinpath(*module.split(".")[1:])
        return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec and spec.origin else None


@cache
def parsed(module: str | None) -> Module | None:
    """A module's definitions and imports, ``None`` where there is no such file."""
    path = _file(module) if module else None
    if module is None or path is None:
        return None
    tree, found = ast.parse(path.read_text(encoding="utf-8")), Module(module)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, [_above(package, node.level), node.module])) if node.level else node.module or ""
            found.imported |= {alias.asname or alias.name: (base, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found.imported |= {alias.asname: (alias.name, None) for alias in node.names if alias.asname}
    tree = _Unchecked(found.imported.get("cast") == ("typing", "cast")).visit(tree)
    for node in _statements(tree.body):
        for name in _bound(node):
            found.definitions.setdefault(name, []).append(node)
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, Function):
                    found.members.setdefault(node.name, {}).setdefault(inner.name, []).append(inner)
    return found


class _Unchecked(ast.NodeTransformer):
    """Without what only a type checker reads, so that a definition may gain it and no key changes.

    ``cast(T, x)`` is ``x``. An assert of a type or of being there is nothing, unless its subject is more than a name or an
    attribute: then it computes. A function's annotation without a value, ``x: T``, is nothing; in a class it may be a field.
    """

    def __init__(self, casts: bool) -> None:
        self.casts, self.in_function = casts, False

    def _scope(self, node: ast.AST) -> ast.AST:
        outer, self.in_function = self.in_function, isinstance(node, Function)
        self.generic_visit(node)
        self.in_function = outer
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _scope

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return None if self.in_function and node.value is None else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if self.casts and isinstance(node.func, ast.Name) and node.func.id == "cast":
            return self.visit(node.args[1])
        return self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST | None:
        match node.test:
            case ast.Call(func=ast.Name(id="isinstance"), args=[subject, _]):
                pass
            case ast.Compare(left=subject, ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]):
                pass
            case _:
                return node
        return None if all(isinstance(inner, ast.Name | ast.Attribute | ast.Load) for inner in ast.walk(subject)) else node


def read(module: str) -> Module:
    """``parsed`` of a module that is known to lie in a file."""
    found = parsed(module)
    assert found is not None
    return found


def _above(package: str, level: int) -> str:
    return ".".join(package.split(".")[: len(package.split(".")) - level + 1])


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Those of a module, also below ``if`` and ``try``."""
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from _statements([*node.body, *node.orelse, *getattr(node, "finalbody", [])])
        else:
            yield node


def _bound(node: ast.stmt) -> list[str]:
    if isinstance(node, Function | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets: Sequence[ast.expr] = [node.target]
    else:
        targets = node.targets if isinstance(node, ast.Assign) else []
    names = [inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name)]
    return [name for name in names if name != "__all__"]


# -- what a definition mentions ------------------------------------------------------------------------------------------------


def _annotations(node: ast.AST) -> list[ast.AST]:
    found = []
    for inner in ast.walk(node):
        found += [getattr(inner, "annotation", None), getattr(inner, "returns", None)]
    return [part for part in found if isinstance(part, ast.AST)]


def mentions(node: ast.AST) -> tuple[set[str], set[str], set[tuple[str, str]], set[str]]:
    """(names, attributes, (name, attribute) pairs, names in annotations) of the code of a definition."""
    hints = [inner for part in _annotations(node) for inner in ast.walk(part)]
    hidden = {id(inner) for inner in hints}
    names, attributes, pairs = set(), set(), set()
    for inner in ast.walk(node):
        if id(inner) in hidden:
            continue
        if isinstance(inner, ast.Name):
            names.add(inner.id)
        elif isinstance(inner, ast.Attribute):
            attributes.add(inner.attr)
            if isinstance(inner.value, ast.Name):
                pairs.add((inner.value.id, inner.attr))
    return names, attributes, pairs, {inner.id for inner in hints if isinstance(inner, ast.Name)}


def header(node: Any) -> ast.ClassDef:
    """A class without its methods, which count by themselves."""
    kept = [inner for inner in node.body if not isinstance(inner, Function)]
    return ast.ClassDef(
        name=node.name, bases=node.bases, keywords=node.keywords, body=kept or [ast.Pass()], decorator_list=node.decorator_list
    )


def counts_always(method: str) -> bool:
    """Whether a method is called by Python or PyTorch, under a name that nobody else mentions."""
    return method == "forward" or (method.startswith("__") and method.endswith("__"))


def resolved(module: str, name: str, seen: frozenset = frozenset()) -> tuple[str, str | None] | None:
    """(module, name) of a definition, (module, None) of a module, ``None`` of what is not ours."""
    found = parsed(module)
    if found is None or (module, name) in seen:
        return None
    if name in found.definitions:
        return module, name
    if name not in found.imported:
        return (f"{module}.{name}", None) if _ours(f"{module}.{name}") and parsed(f"{module}.{name}") else None
    base, original = found.imported[name]
    if not _ours(base):
        return None
    if original is None:
        return base, None
    inner = resolved(base, original, seen | {(module, name)})
    return inner or ((f"{base}.{original}", None) if parsed(f"{base}.{original}") else None)


homes: set[str] = {PACKAGE}


def _ours(module: str) -> bool:
    return module.split(".")[0] in homes


def is_class(module: str, name: str) -> bool:
    return isinstance(read(module).definitions[name][0], ast.ClassDef)


def is_protocol(node: ast.AST) -> bool:
    """Whether a class says only what others look like."""
    return isinstance(node, ast.ClassDef) and any("Protocol" in ast.dump(base) for base in node.bases)
