"""What installed packages bring to a table of this project."""

from importlib import metadata
from typing import Protocol, TypeVar


class Named(Protocol):
    """Whatever has a name of its own."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


def brought(known: dict[str, T], kind: type[T], *groups: str, error: type[Exception] = ValueError) -> dict[str, T]:
    """The table with the entries that packages name in these entry point groups.

    Raises:
        error: a package brings something of another kind, or under a name that is taken.
    """
    found = dict(known)
    for entry in (entry for group in groups for entry in metadata.entry_points(group=group)):
        own = entry.load()
        if not isinstance(own, kind):
            raise error(f"{groups[0]}: {entry.name} ({entry.value}) is no {kind.__name__} but {type(own).__name__}")
        if own.name in found:
            raise error(f"{groups[0]}: {entry.value} brings {own.name!r}, and there is one of that name already")
        found[own.name] = own
    return found
