"""A package's face whose names are imported when they are asked for, so that reading a record loads no PyTorch (PEP 562)."""

from collections.abc import Callable
from importlib import import_module

from .source import parsed


def face(package: str) -> Callable[[str], object]:
    """``__getattr__`` of a package: names come from where its own ``if TYPE_CHECKING`` imports say.

    No name may be that of a module of the package, which would stand in its place once it is loaded.
    """

    def get(name: str) -> object:
        home = parsed(package).imported.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(home[0]), home[1])

    return get
