"""The regions that are marked on a slide, one by one, as pixels: drawn polygons, or the connected pieces of a mask."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from preprocessing.annotations import EXCLUDED, Region
from preprocessing.labels import mask_counts, open_truth, regions_of
from preprocessing.polygon_raster import BurnOrder, burn
from preprocessing.readers.base import SlideInfo
from preprocessing.scales import SlideScale
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Labels
from preprocessing.tissue_rules.windows import set_areas

_MOST_PIXELS: Final = 1 << 25  # of what is looked at at once; all of a mammogram, a part in a hundred of a whole slide
_READ: Final = 2048  # side of what is read of a mask at once, scale-0 pixels
_TOUCHING: Final = np.ones((3, 3), bool)  # pixels that touch by a corner are one piece, too


@dataclass(frozen=True, eq=False)
class MarkedRegion:
    """One region.

    Attributes:
        label: index of its class, from 1.
        x, y: top-left of its bounding box, scale-0 pixels.
        step: scale-0 pixels along a side of a pixel of `inside`; more than 1 only where the region (or the mask) is
            larger than 33 million scale-0 pixels.
        inside: (h, w) bool; no row or column at its rim is empty.
    """

    label: int
    x: int
    y: int
    step: int
    inside: NDArray[np.bool_]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the bounding box, scale-0 pixels."""
        height, width = self.inside.shape
        return width * self.step, height * self.step

    def overlaps(self, origins: NDArray[np.int32], window: int) -> NDArray[np.float64]:
        """What windows and region share, as part of the region or of the window, whichever is more.

        Args:
            origins: (n, 2) top-left corners, scale-0 pixels.
            window: side, scale-0 pixels.

        Returns:
            (n,), 0 to 1. Memory: 4 bytes a pixel of the region near the windows, and 200 bytes a window.
        """
        shared = set_areas(self.inside, (origins - (self.x, self.y)).astype(np.float64), window, self.step)
        smaller = min(self._pixels, (window / self.step) ** 2)
        return shared / smaller

    @cached_property
    def _pixels(self) -> int:
        return int(self.inside.sum())


def marked_regions(
    entry: SlideEntry, info: SlideInfo, finest: SlideScale, labels: Labels
) -> tuple[MarkedRegion, ...] | None:
    """The regions of all classes on a slide; what is excluded is cut out of them.

    Args:
        entry: the slide and what stands beside it.
        info: of the slide.
        finest: scale 0 on it.
        labels: the recipe's classes, and which of mask and polygons counts.

    Returns:
        Polygons in the order of their file, each annotation a region, even where two overlap; of a mask the connected
        pieces, by label and then from the top. A region that holds no pixel's center is the pixel at its middle; one
        that is cut out wholly is none. None where nobody looked. Memory: a byte a pixel of all bounding boxes; while
        they are found 200 MB at most.

    Raises:
        AnnotationError: as `open_truth`.
    """
    if entry.mask is not None and mask_counts(entry, labels):
        return tuple(_of_mask(entry, info, finest, labels))
    if entry.annotation is not None:
        regions = regions_of(entry, entry.annotation, info, labels)
        excluded = [region for region in regions if region.label == EXCLUDED]
        burnt = [_burnt(region, excluded, finest) for region in regions if region.label != EXCLUDED]
        return tuple(region for region in burnt if region is not None)
    return () if entry.is_normal else None


def _burnt(region: Region, excluded: list[Region], finest: SlideScale) -> MarkedRegion | None:
    left, top, right, bottom = (corner / finest.downsample for corner in region.bounds)
    x, y = max(0, math.floor(left)), max(0, math.floor(top))
    width, height = min(finest.width, math.ceil(right)) - x, min(finest.height, math.ceil(bottom)) - y
    if width <= 0 or height <= 0:
        return None
    step = _step(width, height)
    column, row, across, down = x // step, y // step, -(-width // step) + 1, -(-height // step) + 1
    square = (column, row, across, down, finest.downsample * step)
    inside = burn(BurnOrder.of([region, *excluded]), *square) == region.label
    if not inside.any() and not burn(BurnOrder.of([region]), *square).any():
        inside[(y + height // 2) // step - row, (x + width // 2) // step - column] = True  # it lies between the centers
    inside[max(0, finest.height // step - row) :] = False  # polygons may reach beyond the slide
    inside[:, max(0, finest.width // step - column) :] = False
    return _trimmed(region.label, column, row, step, inside)


def _of_mask(entry: SlideEntry, info: SlideInfo, finest: SlideScale, labels: Labels) -> Iterator[MarkedRegion]:
    step = _step(finest.width, finest.height)
    width, height, side = finest.width // step, finest.height // step, max(1, _READ // step)
    found = np.zeros((height, width), np.uint8)
    with open_truth(entry, info, finest.downsample * step, labels) as truth:
        for y in range(0, height, side):
            for x in range(0, width, side):
                part = found[y : y + side, x : x + side]
                if truth is not None:
                    part[:] = truth.labels(x, y, part.shape[1], part.shape[0])
    for label in range(1, int(found.max(initial=0)) + 1):
        pieces, _ = ndimage.label(found == label, _TOUCHING)
        for number, (rows, columns) in enumerate(ndimage.find_objects(pieces), 1):
            inside = pieces[rows, columns] == number
            yield MarkedRegion(label, columns.start * step, rows.start * step, step, inside)


def _step(width: int, height: int) -> int:
    return max(1, math.ceil(math.sqrt(width * height / _MOST_PIXELS)))


def _trimmed(label: int, column: int, row: int, step: int, inside: NDArray[np.bool_]) -> MarkedRegion | None:
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return None
    filled = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
    return MarkedRegion(label, (column + int(columns[0])) * step, (row + int(rows[0])) * step, step, filled)
