"""Polygons to pixels: which class lies under the center of each pixel of a region.

GDAL (through rasterio) burns by the even-odd rule at pixel centers. It visits every edge for every row, and real
outlines have thousands of corners, so each polygon is first trimmed to what matters near the region.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine

from preprocessing.annotations import EXCLUDED, Region
from preprocessing.repair import Rings


@dataclass(frozen=True, eq=False)
class BurnOrder:
    """All polygons of an annotation in the order in which they are burnt, each over those before it.

    Classes go by rising label, so that of two classes that overlap the later one in the recipe counts; what is excluded
    goes last, so that it is cut out of all.

    Attributes:
        polygons: level-0 pixels.
        labels: (m,) uint8.
        bounds: (m, 4) float64 of left, top, right, bottom, level-0 pixels.
    """

    polygons: tuple[Rings, ...]
    labels: NDArray[np.uint8]
    bounds: NDArray[np.float64]

    @classmethod
    def of(cls, regions: Iterable[Region]) -> Self:
        """Sort the polygons of some regions."""
        by_turn = sorted(regions, key=lambda region: (region.label == EXCLUDED, region.label))
        pairs = [(polygon, region.label) for region in by_turn for polygon in region.polygons]
        outer = [polygon[0] for polygon, _ in pairs]
        bounds = np.array([(*ring.min(axis=0), *ring.max(axis=0)) for ring in outer], np.float64).reshape(-1, 4)
        return cls(tuple(polygon for polygon, _ in pairs), np.array([label for _, label in pairs], np.uint8), bounds)

    def touching(self, box: tuple[float, float, float, float]) -> Iterator[tuple[Rings, int]]:
        """The polygons whose bounding box meets a box (left, top, right, bottom, level-0 pixels), with labels."""
        for index in np.flatnonzero(self.meets(box)):
            yield self.polygons[index], int(self.labels[index])

    def meets(self, box: tuple[float, float, float, float]) -> NDArray[np.bool_]:
        """(m,) bool: whose bounding box meets a box (left, top, right, bottom, level-0 pixels)."""
        left, top, right, bottom = box
        low, high = self.bounds[:, :2], self.bounds[:, 2:]
        return (low < (right, bottom)).all(axis=1) & (high > (left, top)).all(axis=1)


def burn(order: BurnOrder, x: int, y: int, width: int, height: int, downsample: float) -> NDArray[np.uint8]:
    """Which class lies under each pixel.

    Args:
        order: what to burn.
        x, y, width, height: the region, scale-0 pixels.
        downsample: level-0 pixels per scale-0 pixel; need not be a whole number.

    Returns:
        (height, width) uint8, 0 where nothing is annotated. Memory: one byte a pixel, and about 300 bytes a corner of
        the polygons that meet the region.
    """
    box = (x * downsample, y * downsample, (x + width) * downsample, (y + height) * downsample)
    shapes = []
    for polygon, label in order.touching(box):
        rings = [ring for ring in (trimmed(ring, box) for ring in polygon) if len(ring) > 3]
        if rings:
            shapes.append(({"type": "Polygon", "coordinates": [ring.tolist() for ring in rings]}, label))
    if not shapes:
        return np.zeros((height, width), np.uint8)
    to_level_0 = Affine(downsample, 0, box[0], 0, downsample, box[1])
    burnt: NDArray[np.uint8] = rasterize(shapes, out_shape=(height, width), transform=to_level_0, dtype="uint8")
    return burnt


def trimmed(ring: NDArray[np.float64], box: tuple[float, float, float, float]) -> NDArray[np.float64]:
    """A ring with fewer corners that has the same points of a box inside, by the even-odd rule.

    A run of corners beyond one side of the box is shortened to its first and last: what lies between and the new edge
    together enclose points beyond that side only. No corner is moved, so every edge that meets the box stays the same
    to the last bit.

    Args:
        ring: (n, 2) x, y, closed.
        box: left, top, right, bottom, in the same pixels.

    Returns:
        (m, 2), m at most n, closed; empty where the ring holds no point of the box. Memory: 50 bytes a corner.
    """
    corners = ring[:-1]
    left, top, right, bottom = box
    for axis, sign, limit in ((0, -1, -left), (0, 1, right), (1, -1, -top), (1, 1, bottom)):
        beyond = sign * corners[:, axis] > limit
        corners = corners[~(beyond & np.roll(beyond, 1) & np.roll(beyond, -1))]
        if not len(corners):
            return corners
    return np.concatenate([corners, corners[:1]])
