"""The points that somebody marked on a slide: ASAP XML, QuPath GeoJSON, or a table of rows and columns."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from preprocessing.annotations import (
    TABLE_ENDING,
    annotation_bytes,
    label_of_drawing,
    labels_of_groups,
    read_drawings,
)
from preprocessing.errors import AnnotationError
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Labels


@dataclass(frozen=True, eq=False)
class Points:
    """Marked points of one slide, in the order of their file.

    Attributes:
        xy: (n, 2) float64, level-0 pixels.
        labels: (n,) int32, index of the class from 1; 0 of a point in an excluded group, which is a place known to hold
            no class (a hard negative).
        names: of the annotations that they belong to, for people.
    """

    xy: NDArray[np.float64]
    labels: NDArray[np.int32]
    names: tuple[str, ...]

    @classmethod
    def of(cls, found: list[tuple[float, float, int, str]]) -> Self:
        """From x, y, label and name of each."""
        xy = np.array([(x, y) for x, y, _, _ in found], np.float64).reshape(-1, 2)
        return cls(xy, np.array([label for _, _, label, _ in found], np.int32), tuple(name for *_, name in found))


def holds_points(path: str) -> bool:
    """Whether an annotation file marks points, not areas; arguments, memory and errors as for `read_points`."""
    is_table = path.lower().endswith(TABLE_ENDING)
    return is_table or any(drawing.points is not None for drawing in read_drawings(path))


def points_on(entry: SlideEntry, labels: Labels, width: int, height: int) -> Points | None:
    """The points of a slide, for tiling and for evaluation alike; None where nobody looked.

    Args:
        entry: of the slide; one that is declared normal needs no annotation.
        labels, width, height: as for `read_points`.

    Raises:
        AnnotationError: as `read_points`; or a mask in place of points, or points on a slide declared normal.
    """
    if entry.annotation is None:
        if entry.mask is not None:
            raise AnnotationError(
                f"mask {entry.mask} shows areas, and tiling.placement.kind is points; give the slide an annotation "
                "with points, or none"
            )
        return Points.of([]) if entry.is_normal else None
    points = read_points(entry.annotation, labels, width, height)
    if entry.is_normal and points.labels.any():
        first = points.names[int(np.argmax(points.labels > 0))]
        raise AnnotationError(
            f"{entry.slide_id} is declared normal, yet {entry.annotation} marks {first}; correct the one or the other"
        )
    return points


def read_points(path: str, labels: Labels, width: int, height: int) -> Points:
    """Read an annotation file that holds points.

    Args:
        path: URI of a QuPath GeoJSON (Point, MultiPoint), an ASAP XML (Dot, PointSet), or a CSV without head whose
            lines are the row and column of a point of the recipe's first class, as TUPAC16 publishes mitoses. A file
            without any says that somebody looked and found nothing.
        labels: which groups make which class, and which are excluded.
        width, height: of the slide, level-0 pixels.

    Returns:
        All points. Memory: about 300 bytes a point while they are read, 30 after.

    Raises:
        AnnotationError: not readable, an area, a group that the recipe does not know, or a point outside the slide.
    """
    found = _of_table(path) if path.lower().endswith(TABLE_ENDING) else _of_drawings(path, labels)
    points = Points.of(found)
    inside = ((points.xy >= 0) & (points.xy < (width, height))).all(axis=1)  # false for what is no number, too
    if not inside.all():
        first = int(np.argmin(inside))
        x, y = points.xy[first]
        raise AnnotationError(
            f"annotation {path}: {points.names[first]} has a point at x {x:g}, y {y:g}, outside the slide of "
            f"{width}x{height} px; was it marked on another slide, or on another level?"
        )
    return points


def _of_drawings(path: str, labels: Labels) -> list[tuple[float, float, int, str]]:
    label_of, found = labels_of_groups(labels), []
    for drawing in read_drawings(path):
        if drawing.points is None:
            raise AnnotationError(
                f"annotation {path}: {drawing.name} is a {drawing.kind}, and tiling.placement.kind is points; mark "
                "points, or set it to grid, regions or region_centers"
            )
        label = label_of_drawing(drawing, label_of, path)
        found += [(x, y, label, drawing.name) for x, y in drawing.points]
    return found


def _of_table(path: str) -> list[tuple[float, float, int, str]]:
    try:
        lines = annotation_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise AnnotationError(f"annotation {path} is no table of points: {error}; copy it anew") from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row, column = (float(cell) for cell in line.split(","))
        except ValueError as error:
            raise AnnotationError(
                f"annotation {path}: line {number} is '{line[:40]}', not the row and column of a point in pixels, as "
                "in '120,455'; correct it"
            ) from error
        found.append((column, row, 1, f"line {number}"))
    return found
