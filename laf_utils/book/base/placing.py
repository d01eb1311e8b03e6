"""Words beside marks, put where they lie on nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox


@dataclass(frozen=True)
class Place:
    """Where an annotation may stand."""

    xy: tuple[float, float]  # the point that it belongs to, data coordinates
    offset: tuple[float, float]  # from there to the text, points
    ha: str  # the text's alignment at that place
    va: str = "baseline"  # likewise


def around(xy: tuple[float, float], reach: float = 8) -> list[Place]:
    """The places of a mark's name, best first: right, left, then above and below either."""
    sides = [(reach, "left"), (-reach, "right")]
    return [Place(xy, (dx, dy), ha) for dy in (-4, 4, -12, 14, -22) for dx, ha in sides] + [
        Place(xy, (0, dy), "center") for dy in (reach, -reach - 8)
    ]


def _put(note: Annotation, place: Place) -> Bbox:
    note.xy = place.xy
    note.set(position=place.offset, ha=place.ha, va=place.va)
    return note.get_window_extent()


def _shared(one: Bbox, other: Bbox) -> float:
    """Pixels that two boxes share."""
    common = Bbox.intersection(one, other)
    return common.width * common.height if common else 0.0


def settle(axis: Axes, notes: Iterable[tuple[Annotation, Sequence[Place]]], taken: Sequence[Bbox]) -> None:
    """Put each note, in order, at the first of its places where it covers least of what is there and leaves the axis least.

    Args:
        axis: in its final layout (``figure.draw_without_rendering()``), in which the notes had no part (``in_layout=False``).
        taken: what must not be covered, pixels.
    """
    boxes, frame = list(taken), axis.get_window_extent()
    for note, places in notes:

        def covered(place: Place, note: Annotation = note) -> float:
            box = _put(note, place)
            return sum(_shared(box, other) for other in boxes) + box.width * box.height - _shared(box, frame)

        boxes.append(_put(note, min(places, key=covered)))
