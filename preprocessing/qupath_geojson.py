"""Annotations in GeoJSON, the way QuPath exports them: a feature collection, a list of features, or one feature."""

import json
from collections.abc import Mapping
from typing import Any, Final

from preprocessing.drawing import Drawing
from preprocessing.errors import AnnotationError

# What QuPath computed or laid out, which no pathologist drew: never a truth, so it is passed over.
_NOT_DRAWN: Final = frozenset({"detection", "cell", "tile", "tma_core", "tma", "root"})
_GEOMETRIES: Final = frozenset({"Polygon", "MultiPolygon", "Point", "MultiPoint"})


def qupath_drawings(data: bytes, path: str) -> tuple[Drawing, ...]:
    """Read QuPath GeoJSON.

    Objects of type detection, cell, tile, TMA core and root are passed over, unless the file holds nothing else.
    Colors, measurements, `isLocked` and the plane do not matter.

    Args:
        data: content of the file.
        path: of it, for people.

    Returns:
        The annotations in the order of the file. Memory: about 300 bytes a corner.

    Raises:
        AnnotationError: damaged, not GeoJSON, an annotation without classification, one that is neither area nor
            points, or no annotation among the objects.
    """
    try:
        features = _features(json.loads(data))
        drawn = [(number, feature) for number, feature in enumerate(features) if _kind(feature) not in _NOT_DRAWN]
        if features and not drawn:
            raise AnnotationError(
                f"annotation {path} holds {len(features)} objects, none of which is an annotation; in QuPath, export "
                "the annotations"
            )
        return tuple(_drawing(feature, number, path) for number, feature in drawn)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise AnnotationError(f"annotation {path} is damaged: {error}; export it anew") from error
    except (TypeError, ValueError, AttributeError, LookupError, OverflowError, RecursionError) as error:
        raise AnnotationError(f"annotation {path} is not in the expected form: {error!r}; export it anew") from error


def _features(content: Any) -> list[Any]:
    if isinstance(content, list):
        return content
    return [content] if content["type"] == "Feature" else list(content["features"])


def _properties(feature: Mapping[str, Any]) -> Mapping[str, Any]:
    return feature.get("properties") or {}


def _kind(feature: Mapping[str, Any]) -> str:
    properties = _properties(feature)
    return str(properties.get("objectType") or properties.get("object_type") or "annotation").lower()


def _drawing(feature: Mapping[str, Any], number: int, path: str) -> Drawing:
    name = str(_properties(feature).get("name") or f"feature {number}")
    group = _classification(_properties(feature).get("classification"))
    if not group:
        raise AnnotationError(
            f"annotation {path}: {name} has no classification; give it a class in QuPath, or delete it"
        )
    kind = feature["geometry"]["type"]
    if kind not in _GEOMETRIES:
        raise AnnotationError(f"annotation {path}: {name} is a {kind}, which has no area; remove it or draw a polygon")
    coordinates = feature["geometry"]["coordinates"]
    each = coordinates if kind.startswith("Multi") else [coordinates]
    if kind.endswith("Point"):
        return Drawing(name, group, (), _ring(each), kind)
    return Drawing(name, group, tuple(tuple(_ring(ring) for ring in polygon) for polygon in each), kind=kind)


def _classification(found: Any) -> str:
    """A name by itself, `{"name": …}`, or the parts of a derived class, `{"names": [Tumor, Positive]}`."""
    if isinstance(found, Mapping):
        return str(found.get("name") or ": ".join(found.get("names") or []))
    return str(found or "")


def _ring(corners: Any) -> tuple[tuple[float, float], ...]:
    return tuple((float(corner[0]), float(corner[1])) for corner in corners)  # a third number is height
