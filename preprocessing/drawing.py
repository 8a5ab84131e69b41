"""One annotation as its file holds it, before it is judged."""

from collections.abc import Sequence
from dataclasses import dataclass

Ring = Sequence[Sequence[float]]
"""Corners x, y of an outline, level-0 pixels; open or closed."""

Place = tuple[float, float]
"""x, y, level-0 pixels."""


@dataclass(frozen=True)
class Drawing:
    """One annotation.

    Attributes:
        name: for people.
        group: ASAP group or QuPath classification, as it is written there.
        polygons: of each polygon the outer ring and the holes; none of a drawing of points.
        points: None of a drawing that has an area.
        kind: what its program calls it, for people.
    """

    name: str
    group: str
    polygons: tuple[tuple[Ring, ...], ...]
    points: tuple[Place, ...] | None = None
    kind: str = "Polygon"
