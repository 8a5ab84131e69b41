"""Annotations in the XML of ASAP, the way CAMELYON16 publishes them.

Parsed by expat as a stream. A document type is refused before anything in it is read: it is the only place where
entities can be declared, so that neither an entity bomb nor a reference to another file can expand.
"""

from typing import Final
from xml.parsers import expat

from preprocessing.drawing import Drawing
from preprocessing.errors import AnnotationError

ROOT: Final = "ASAP_Annotations"
_WITH_AREA: Final = frozenset({"Polygon", "Rectangle", "Spline"})  # a spline is taken as the polygon of its corners
_POINTS: Final = frozenset({"Dot", "PointSet"})


def asap_drawings(data: bytes, path: str) -> tuple[Drawing, ...]:
    """Read ASAP XML.

    Args:
        data: content of the file.
        path: of it, for people.

    Returns:
        The annotations in the order of the file. Memory: about 300 bytes a corner.

    Raises:
        AnnotationError: damaged, not from ASAP, with a document type, or with an annotation that is neither area
            nor points.
    """
    collector = _Collector(path)
    parser = expat.ParserCreate()
    parser.StartElementHandler = collector.start
    parser.StartDoctypeDeclHandler = collector.refuse_doctype
    try:
        parser.Parse(data, True)
        return tuple(collector.drawing(*found) for found in collector.found)
    except expat.ExpatError as error:
        raise AnnotationError(f"annotation {path} is damaged: {error}; export it anew") from error
    except KeyError as error:
        raise AnnotationError(f"annotation {path}: a coordinate lacks {error.args[0]}; export it anew") from error
    except (ValueError, LookupError) as error:  # no number, or an encoding that nobody knows
        raise AnnotationError(f"annotation {path} is not in the expected form: {error}; export it anew") from error


class _Collector:
    """What the parser has met so far: attributes of each annotation, and its corners with their order."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.found: list[tuple[dict[str, str], list[tuple[int, float, float]]]] = []
        self._is_root = True

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._is_root and tag != ROOT:
            raise AnnotationError(
                f"annotation {self.path} is no ASAP XML: it starts with <{tag}>, not <{ROOT}>; "
                "export it as ASAP XML or as GeoJSON"
            )
        self._is_root = False
        if tag == "Annotation":
            self.found.append((attributes, []))
        elif tag == "Coordinate" and self.found:
            corner = int(attributes["Order"]), float(attributes["X"]), float(attributes["Y"])
            self.found[-1][1].append(corner)

    def refuse_doctype(self, *_: object) -> None:
        raise AnnotationError(
            f"annotation {self.path} declares a document type, which ASAP never does and which could pull in other "
            "files; remove the DOCTYPE or export it anew"
        )

    def drawing(self, attributes: dict[str, str], corners: list[tuple[int, float, float]]) -> Drawing:
        name, kind = (
            attributes.get("Name", "an annotation without a name"),
            attributes.get("Type", "thing without type"),
        )
        group = attributes.get("PartOfGroup", "")
        ring = [(x, y) for _, x, y in sorted(corners, key=lambda corner: corner[0])]
        if kind in _POINTS:
            return Drawing(name, group, (), tuple(ring), kind)
        if kind not in _WITH_AREA:
            raise AnnotationError(
                f"annotation {self.path}: {name} is a {kind}, which has no area; remove it or draw a polygon"
            )
        return Drawing(name, group, ((ring,),), kind=kind)
