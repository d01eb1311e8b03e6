"""A package's face whose names are imported when they are asked for: importing it stays light (PEP 562)."""

import sys
from collections.abc import Callable
from importlib import import_module

from .extras import naming_extras
from .source import parsed


def face(package: str) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package: names come from where its own ``if TYPE_CHECKING`` imports say.

    No name may be that of a module of the package, which would stand in its place once it is loaded.
    """

    def get(name: str) -> object:
        found = parsed(package)
        home = found and found.imported.get(name)
        if not home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with naming_extras():
            return getattr(import_module(home[0]), home[1] or name)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *vars(sys.modules[package])["__all__"]})

    return get, names
