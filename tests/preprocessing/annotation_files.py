"""Small annotation files and masks, written by hand."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile

Corners = Sequence[tuple[float, float]]


def square(left: float, top: float, side: float) -> list[tuple[float, float]]:
    return [(left, top), (left + side, top), (left + side, top + side), (left, top + side)]


def asap(path: Path, *areas: tuple[str, Corners], kind: str = "Polygon") -> Path:
    text = "<ASAP_Annotations><Annotations>"
    for number, (group, corners) in enumerate(areas):
        text += f'<Annotation Name="A{number}" Type="{kind}" PartOfGroup="{group}"><Coordinates>'
        text += "".join(f'<Coordinate Order="{i}" X="{x}" Y="{y}" />' for i, (x, y) in enumerate(corners))
        text += "</Coordinates></Annotation>"
    path.write_text(text + "</Annotations></ASAP_Annotations>")
    return path


def feature(geometry: dict, **properties: object) -> dict:
    return {"type": "Feature", "id": "c0ffee", "geometry": geometry, "properties": properties}


def polygon(*rings: Corners) -> dict:
    return {"type": "Polygon", "coordinates": [[list(corner) for corner in [*ring, ring[0]]] for ring in rings]}


def geojson(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def mask_tiff(path: Path, pixels: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(path, pixels, tile=(64, 64), **options)
    return path
