"""The files of a slide: pyramidal TIFF as a scanner writes, ASAP XML and mask as an annotator leaves them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import tifffile
from numpy.typing import NDArray

from histospark.drawing.planes import Polygon, inside

MPP = 0.25
"""Micrometers per pixel at level 0."""

LEVELS = 5
_TILE = (256, 256)
_PIXELS_PER_CM = 10_000 / MPP
# tifffile takes RGB and stores YCbCr at half the chroma resolution, as scanners do.
_JPEG = {"photometric": "rgb", "compression": "jpeg", "compressionargs": {"level": 85}, "subsampling": (2, 2)}
_COLORS = {"Tumor": "#F4FA58", "Exclusion": "#00ff00"}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; what was written there takes its name only if all went well."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def halve(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Average 2 x 2 pixels: (2h, 2w, 3) uint8 to (h, w, 3) uint8, rounded half up."""
    height, width, channels = image.shape
    blocks = image.reshape(height // 2, 2, width // 2, 2, channels)
    total = blocks[:, 0].astype(np.uint16) + blocks[:, 1]
    mean: NDArray[np.uint8] = ((total[:, :, 0] + total[:, :, 1] + 2) >> 2).astype(np.uint8)
    return mean


def write_slide(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an image as a pyramid of JPEG tiles, each level the area average of the one above.

    Args:
        path: the TIFF to write.
        image: (side, side, 3) uint8, RGB at level 0; side is a multiple of 16.
    """
    _write_pyramid(path, _levels(image), _JPEG)


def write_aperio(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an image as `write_slide` does, with the description by which Aperio's SVS is known; arguments alike."""
    _write_pyramid(path, _levels(image), {**_JPEG, "description": f"Aperio Image Library|AppMag = 40|MPP = {MPP}"})


def _levels(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    levels = [image]
    while len(levels) < LEVELS:
        levels.append(halve(levels[-1]))
    return levels


def write_mask(path: Path, side: int, lesions: Sequence[Polygon], exclusions: Sequence[Polygon]) -> None:
    """Write a mask as a lossless pyramid: 255 where the center of a pixel lies in a lesion and in no exclusion.

    Args:
        path: the TIFF to write.
        side: side of the slide, pixels; every level is drawn from the polygons, not from the level above.
        lesions: tumor, level-0 pixels.
        exclusions: cut out of it, level-0 pixels.
    """
    marked = [inside(lesions, side, k) & ~inside(exclusions, side, k) for k in range(LEVELS)]
    levels = [np.where(mask, np.uint8(255), np.uint8(0)) for mask in marked]
    _write_pyramid(path, levels, {"photometric": "minisblack", "compression": "deflate"})


def _write_pyramid(path: Path, levels: Sequence[NDArray[np.uint8]], options: Mapping[str, object]) -> None:
    with replacing(path) as part, tifffile.TiffWriter(part) as tiff:
        for k, level in enumerate(levels):
            tiff.write(
                level,
                tile=_TILE,
                resolution=(_PIXELS_PER_CM / 2**k, _PIXELS_PER_CM / 2**k),
                resolutionunit="CENTIMETER",
                subfiletype=int(k > 0),
                software="HistoSpark",
                metadata=None,
                **options,
            )


def write_annotation(path: Path, lesions: Sequence[Polygon], exclusions: Sequence[Polygon]) -> None:
    """Write polygons as ASAP does: groups `Tumor` and `Exclusion`, coordinates in level-0 pixels.

    Args:
        path: the XML to write.
        lesions: tumor.
        exclusions: cut out of it.
    """
    root = Xml.Element("ASAP_Annotations")
    listed = Xml.SubElement(root, "Annotations")
    grouped = [("Tumor", p) for p in lesions] + [("Exclusion", p) for p in exclusions]
    for number, (group, polygon) in enumerate(grouped):
        about = {"Name": f"Annotation {number}", "Type": "Polygon", "PartOfGroup": group, "Color": _COLORS[group]}
        ring = Xml.SubElement(Xml.SubElement(listed, "Annotation", about), "Coordinates")
        for order, (x, y) in enumerate(polygon.tolist()):
            Xml.SubElement(ring, "Coordinate", {"Order": str(order), "X": str(x), "Y": str(y)})
    groups = Xml.SubElement(root, "AnnotationGroups")
    for name, color in _COLORS.items():
        group_node = Xml.SubElement(groups, "Group", {"Name": name, "PartOfGroup": "None", "Color": color})
        Xml.SubElement(group_node, "Attributes")
    Xml.indent(root, space="\t")
    with replacing(path) as part:
        part.write_text('<?xml version="1.0"?>\n' + Xml.tostring(root, encoding="unicode") + "\n", encoding="utf-8")
