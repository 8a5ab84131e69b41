"""Polygons drawn by hand: taken as they are where they are valid, repaired where nobody would notice, else refused.

Repaired are outlines that cross or touch themselves (also bow-ties), spikes, duplicate corners, open rings. The repair
is shapely's `make_valid` with the linework method, which keeps what the even-odd rule calls inside, so that the
rasterizer, which fills by the same rule, burns the same pixels before and after. Refused is what has no area, and an
outline that crosses itself so much that its area depends on how it is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from preprocessing.drawing import Ring
from preprocessing.errors import AnnotationError

Rings = tuple[NDArray[np.float64], ...]
"""A polygon: its outer ring, then its holes; each (n, 2) x, y, level-0 pixels, closed."""

MAX_CHANGE: Final = 0.05
"""Largest share of a polygon's area that a repair may change; the outlines of two pathologists differ by more."""

_FARTHEST: Final = 1e9  # pixels; no slide is that large, and the rasterizer counts in 32 bits


@dataclass(frozen=True, eq=False)
class Repaired:
    """What became of one drawn polygon.

    Attributes:
        polygons: valid, without overlap.
        note: what was wrong, for people; empty where nothing was.
    """

    polygons: tuple[Rings, ...]
    note: str


def repaired(rings: Sequence[Ring], what: str) -> Repaired:
    """Make a drawn polygon valid.

    Args:
        rings: outer ring and holes as drawn, level-0 pixels.
        what: names the annotation, for people.

    Returns:
        The polygon as it was, closed, where it is valid; else its valid parts. Memory: about 200 bytes a corner.

    Raises:
        AnnotationError: no ring, fewer than 3 corners, a coordinate that is no finite place, no area, or an area that a
            repair would change by more than `MAX_CHANGE`.
    """
    closed = [_closed(ring, what) for ring in rings]
    if not closed:
        raise AnnotationError(f"{what} has no outline; remove it or draw it anew")
    shape = shapely.Polygon(closed[0], closed[1:])
    if shapely.is_valid(shape):
        return Repaired((tuple(closed),), "")
    try:
        parts = shapely.get_parts(shapely.make_valid(shape, method="linework"))
    except shapely.errors.GEOSException as error:
        raise AnnotationError(f"{what} cannot be repaired ({error}); draw it anew") from error
    polygons = [polygon for part in parts if part.area > 0 for polygon in shapely.get_parts(part)]
    area = sum(polygon.area for polygon in polygons)
    drawn = shapely.Polygon(closed[0]).area - sum(shapely.Polygon(hole).area for hole in closed[1:])
    reason = shapely.is_valid_reason(shape)
    if area == 0:
        raise AnnotationError(f"{what} has no area ({reason}); remove it or draw it anew")
    change = abs(area - drawn) / area
    if change > MAX_CHANGE:
        raise AnnotationError(
            f"{what} crosses itself ({reason}), which leaves {min(change, 1):.0%} of its area in doubt; draw it anew "
            "without a crossing"
        )
    return Repaired(tuple(_rings(polygon) for polygon in polygons), f"{reason}, repaired, area changed by {change:.2%}")


def _closed(ring: Ring, what: str) -> NDArray[np.float64]:
    corners = np.array(ring, np.float64).reshape(-1, 2)
    if not (np.abs(corners) < _FARTHEST).all():  # false for what is not a number, too
        raise AnnotationError(f"{what} has a corner that is on no slide (not finite, or too far); draw it anew")
    distinct = len(np.unique(corners, axis=0))
    if distinct < 3:
        raise AnnotationError(f"{what} has {distinct} corners, an area needs 3; remove it or draw it anew")
    return corners if (corners[0] == corners[-1]).all() else np.concatenate([corners, corners[:1]])


def _rings(polygon: Any) -> Rings:
    return tuple(shapely.get_coordinates(ring) for ring in (polygon.exterior, *polygon.interiors))
