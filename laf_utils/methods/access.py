"""What a method may read: the ladder of label access, the kinds of data access, and the errors for reading more.

``view.View`` enforces both: what a method did not declare is not in its hands.
"""

from enum import Flag, IntEnum, auto


class LabelAccess(IntEnum):
    """The ladder: each level may read what the levels below it may, and more."""

    NONE = 0
    FEW = 1
    ALL = 2

    @property
    def words(self) -> str:
        """What tables print."""
        return ("none", "few, of D_r", "all")[self]


class DataAccess(Flag):
    """Which images a method needs; combine with ``|``."""

    FORGET = auto()
    RETAIN = auto()
    HELD_OUT = auto()  # labelled images of the forgotten classes that nothing was trained on
    STATE = auto()  # something kept from the original's training, which has to be the method's own (``prepare``)
    BOTH = FORGET | RETAIN

    @property
    def words(self) -> str:
        """What tables print."""
        names = {
            DataAccess.FORGET: "D_f", DataAccess.RETAIN: "D_r", DataAccess.HELD_OUT: "held-out set",
            DataAccess.STATE: "state of training",
        }
        return ", ".join(text for kind, text in names.items() if kind in self)


class LabelAccessError(PermissionError):
    """A method asked for labels that it did not declare, or that the request does not carry."""


class DataAccessError(PermissionError):
    """A method asked for data that it did not declare, or that the request does not carry."""
