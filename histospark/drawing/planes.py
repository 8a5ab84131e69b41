"""Square planes of numbers that everything is painted with: smooth noise and filled polygons."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.features import rasterize
from rasterio.transform import Affine

Plane = NDArray[np.float32]
"""(side, side) float32, level-0 pixels."""

Polygon = NDArray[np.float64]
"""(n, 2) float64 vertices x, y in level-0 pixels, not closed; pixel i covers i to i + 1."""


def noise(rng: np.random.Generator, side: int, cell: float) -> Plane:
    """Draw smooth noise: normal values on a coarse grid, stretched bicubically.

    Args:
        rng: source of chance.
        side: side of the plane, pixels.
        cell: distance between grid points, pixels; features are about this large.

    Returns:
        (side, side) float32, mean near 0, standard deviation roughly 0.7 whatever the cell.
    """
    steps = max(2, round(side / cell))
    return stretch(rng.standard_normal((steps, steps), dtype=np.float32), side)


def stretch(plane: Plane, side: int) -> Plane:
    """Enlarge a plane bicubically to (side, side), float32."""
    return np.array(Image.fromarray(plane).resize((side, side), Image.Resampling.BICUBIC), dtype=np.float32)


def inside(polygons: Sequence[Polygon], side: int, level: int = 0) -> NDArray[np.bool_]:
    """Mark the pixels of a pyramid level whose centers lie inside any of the polygons.

    Args:
        polygons: outlines in level-0 pixels; none marks nothing.
        side: side of the slide, level-0 pixels.
        level: pyramid level; its pixels are 2**level level-0 pixels wide.

    Returns:
        (side >> level, side >> level) bool.
    """
    shape = (side >> level, side >> level)
    if not polygons:
        return np.zeros(shape, dtype=np.bool_)
    rings = [np.vstack([polygon, polygon[:1]]).tolist() for polygon in polygons]
    shapes = [({"type": "Polygon", "coordinates": [ring]}, 1) for ring in rings]
    burned = rasterize(shapes, out_shape=shape, transform=Affine.scale(2**level), all_touched=False, dtype="uint8")
    return np.asarray(burned, dtype=np.bool_)
