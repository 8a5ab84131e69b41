"""What a pathologist drew: ASAP XML and QuPath GeoJSON as regions in level-0 pixels."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.storage import Store
from preprocessing.errors import AnnotationError

POSITIVE_GROUPS = frozenset({"_0", "_1", "tumor", "metastases"})
EXCLUDED_GROUPS = frozenset({"_2", "exclusion", "none", "normal"})


@dataclass(frozen=True)
class Region:
    """One drawn area.

    Attributes:
        geometry: a GeoJSON geometry (Polygon or MultiPolygon), level-0 pixels.
        positive: tumor; else the area is cut out of the tumor, whatever the order of drawing.
    """

    geometry: Mapping[str, Any]
    positive: bool


def read_regions(path: str) -> tuple[Region, ...]:
    """Read an annotation file.

    Args:
        path: URI of an ASAP `.xml` or a `.geojson`.

    Returns:
        All regions; memory grows with the annotation (about 100 bytes a vertex), not with the slide.

    Raises:
        AnnotationError: not readable, a group that is neither tumor nor exclusion, or a shape without area.
    """
    folder, _, name = path.rpartition("/")
    try:
        data = Store(folder or ".").read_bytes(name)
    except OSError as error:
        raise AnnotationError(f"annotation {path} cannot be read: {error}") from error
    try:
        return _from_geojson(json.loads(data), path) if name.endswith(".geojson") else _from_asap(data, path)
    except (ET.ParseError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise AnnotationError(f"annotation {path} is damaged: {error}; export it anew") from error
    except (KeyError, TypeError, ValueError) as error:
        raise AnnotationError(f"annotation {path} is not in the expected form: {error!r}; export it anew") from error


def _from_asap(data: bytes, path: str) -> tuple[Region, ...]:
    regions = []
    for annotation in ET.fromstring(data).iter("Annotation"):
        name = annotation.get("Name", "without a name")
        if annotation.get("Type") not in {"Polygon", "Rectangle", "Spline"}:
            raise AnnotationError(f"annotation {path}: {name} is a {annotation.get('Type')}, which has no area")
        ordered = sorted(annotation.iter("Coordinate"), key=lambda corner: int(corner.attrib["Order"]))
        ring = [(float(corner.attrib["X"]), float(corner.attrib["Y"])) for corner in ordered]
        positive = _is_positive(annotation.get("PartOfGroup", ""), name, path)
        regions.append(Region({"type": "Polygon", "coordinates": [_closed(ring, name, path)]}, positive))
    return tuple(regions)


def _from_geojson(content: Any, path: str) -> tuple[Region, ...]:
    features = content["features"] if isinstance(content, dict) else content
    regions = []
    for number, feature in enumerate(features):
        properties = feature.get("properties") or {}
        group = (properties.get("classification") or {}).get("name", "")
        name = properties.get("name") or f"feature {number}"
        geometry = feature["geometry"]
        if geometry["type"] not in {"Polygon", "MultiPolygon"}:
            raise AnnotationError(f"annotation {path}: {name} is a {geometry['type']}, which has no area")
        polygons = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
        rings = [[_closed(ring, name, path) for ring in polygon] for polygon in polygons]
        shape = {"type": "MultiPolygon", "coordinates": rings}
        regions.append(Region(shape, _is_positive(group, name, path)))
    return tuple(regions)


def _is_positive(group: str, name: str, path: str) -> bool:
    if group.lower() in POSITIVE_GROUPS:
        return True
    if group.lower() in EXCLUDED_GROUPS:
        return False
    known = ", ".join(sorted(POSITIVE_GROUPS | EXCLUDED_GROUPS))
    raise AnnotationError(f"annotation {path}: {name} is in group '{group}'; known groups are {known}")


def _closed(ring: Sequence[Sequence[float]], name: str, path: str) -> list[tuple[float, float]]:
    corners = [(float(corner[0]), float(corner[1])) for corner in ring]
    if len(set(corners)) < 3:
        raise AnnotationError(f"annotation {path}: {name} has {len(set(corners))} corners, an area needs 3")
    return corners if corners[0] == corners[-1] else [*corners, corners[0]]
