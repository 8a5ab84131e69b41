"""One annotation as its file holds it, before it is judged."""

from collections.abc import Sequence
from dataclasses import dataclass

Ring = Sequence[Sequence[float]]
"""Corners x, y of an outline, level-0 pixels; open or closed."""


@dataclass(frozen=True)
class Drawing:
    """One annotation.

    Attributes:
        name: for people.
        group: ASAP group or QuPath classification, as it is written there.
        polygons: of each polygon the outer ring and the holes.
    """

    name: str
    group: str
    polygons: tuple[tuple[Ring, ...], ...]
