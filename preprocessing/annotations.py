"""The areas that a pathologist drew: ASAP XML and QuPath GeoJSON as regions of the recipe's classes, level-0 pixels.

A file without any drawing says that somebody looked and found nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.errors import UsageError
from cluster.storage import Store, split_name
from preprocessing.asap_xml import asap_drawings
from preprocessing.drawing import Drawing
from preprocessing.errors import AnnotationError
from preprocessing.qupath_geojson import qupath_drawings
from preprocessing.repair import Rings, repaired
from preprocessing.tiling_settings import Labels

EXCLUDED = 0
"""Label of a region that is cut out of all classes."""

TABLE_ENDING = ".csv"
"""Of a table of points."""

_GEOJSON_ENDINGS = (".geojson", ".json")
_POINTS_WANTED = "remove it, draw a polygon, or set tiling.placement.kind to points if points are meant"


@dataclass(frozen=True, eq=False)
class Region:
    """One drawn area.

    Attributes:
        name: of the annotation, for people.
        label: class index from 1; `EXCLUDED` where the area is cut out of all classes, whatever the order of drawing.
        polygons: valid ones, each its outer ring and the holes in it; a pixel in any of them is in the region.
        note: what had to be repaired, for people; empty where the polygon was drawn well.
    """

    name: str
    label: int
    polygons: tuple[Rings, ...]
    note: str = ""

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom, level-0 pixels."""
        outer = [polygon[0] for polygon in self.polygons]
        low = [min(float(ring[:, axis].min()) for ring in outer) for axis in (0, 1)]
        high = [max(float(ring[:, axis].max()) for ring in outer) for axis in (0, 1)]
        return low[0], low[1], high[0], high[1]


def read_regions(path: str, labels: Labels) -> tuple[Region, ...]:
    """Read an annotation file.

    Args:
        path: URI of a QuPath `.geojson` (or `.json`), or of an ASAP XML.
        labels: which groups make which class, and which are cut out; groups are matched in any case.

    Returns:
        All regions in the order of the file. Memory grows with the annotation (about 300 bytes a corner while it is
        read, 16 after), not with the slide.

    Raises:
        AnnotationError: not readable, points, a group that the recipe does not know, or a shape that `repair` refuses.
    """
    if path.lower().endswith(TABLE_ENDING):
        raise AnnotationError(f"annotation {path} is a table of points, which have no area; {_POINTS_WANTED}")
    label_of = labels_of_groups(labels)
    return tuple(_region(drawing, label_of, path) for drawing in read_drawings(path))


def read_drawings(path: str) -> tuple[Drawing, ...]:
    """What an annotation file holds, areas and points alike; arguments, memory and errors as for `read_regions`."""
    data = annotation_bytes(path)
    is_geojson = path.lower().endswith(_GEOJSON_ENDINGS)
    return qupath_drawings(data, path) if is_geojson else asap_drawings(data, path)


def annotation_bytes(path: str) -> bytes:
    """The content of an annotation file.

    Raises:
        AnnotationError: it cannot be read.
    """
    folder, name = split_name(path)
    try:
        return Store(folder).read_bytes(name)
    except (OSError, UsageError) as error:
        raise AnnotationError(f"annotation {path} cannot be read: {error}; is it there, and readable?") from error


def refuse_outside(regions: Sequence[Region], width: int, height: int, path: str) -> None:
    """Make sure that each region belongs to the slide: at least a part of its bounding box lies on it.

    Args:
        regions: of the annotation.
        width, height: of the slide, level-0 pixels.
        path: of the annotation, for people.

    Raises:
        AnnotationError: a region lies wholly outside.
    """
    for region in regions:
        left, top, right, bottom = region.bounds
        if left >= width or top >= height or right <= 0 or bottom <= 0:
            raise AnnotationError(
                f"annotation {path}: {region.name} lies outside the slide of {width}x{height} px, from {left:.0f}, "
                f"{top:.0f} to {right:.0f}, {bottom:.0f}; was it drawn on another slide, or on another level?"
            )


def labels_of_groups(labels: Labels) -> dict[str, int]:
    """The label of each group, in lower case; `EXCLUDED` of those that are cut out."""
    classes = {group.lower(): label for label, groups in enumerate(labels.classes.values(), 1) for group in groups}
    return classes | {group.lower(): EXCLUDED for group in labels.excluded}


def label_of_drawing(drawing: Drawing, label_of: Mapping[str, int], path: str) -> int:
    """The label of a drawing by its group.

    Args:
        drawing: of the file.
        label_of: from `labels_of_groups`.
        path: of the file, for people.

    Raises:
        AnnotationError: the recipe does not know the group.
    """
    if drawing.group.lower() not in label_of:
        known = ", ".join(sorted(label_of))
        raise AnnotationError(
            f"annotation {path}: {drawing.name} is in group '{drawing.group}'; known groups are {known}; "
            "add it to tiling.labels.classes or tiling.labels.excluded"
        )
    return label_of[drawing.group.lower()]


def _region(drawing: Drawing, label_of: Mapping[str, int], path: str) -> Region:
    if drawing.points is not None:
        raise AnnotationError(
            f"annotation {path}: {drawing.name} is a {drawing.kind}, which has no area; {_POINTS_WANTED}"
        )
    label = label_of_drawing(drawing, label_of, path)
    parts = [repaired(polygon, f"annotation {path}: {drawing.name}") for polygon in drawing.polygons]
    polygons = tuple(polygon for part in parts for polygon in part.polygons)
    notes = " and ".join(part.note for part in parts if part.note)
    return Region(drawing.name, label, polygons, f"{drawing.name}: {notes}" if notes else "")
