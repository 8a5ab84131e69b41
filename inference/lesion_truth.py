"""What counts as one lesion on a slide: the evaluation mask of CAMELYON16 (Ehteshami Bejnordi et al. 2017).

The annotation is looked at in pixels of about 7.8 um (level 5 of a slide of 0.243 um). Whatever lies less than 37.5 um
from tumor belongs to it, so regions less than 75 um apart become one; holes are filled; what touches, also at a corner,
is one lesion. One with a major axis under 275 um is isolated tumor cells: 200 um and the growth on both sides.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from preprocessing.labels import Truth

PIXEL: Final = 0.243 * 32
"""Side of a pixel of the published mask, micrometers."""

JOINED: Final = 75.0
"""Regions less than this apart are one lesion, micrometers; each grows by half of it."""

SMALLEST: Final = 275.0
"""Major axis below which a lesion, with its growth, is isolated tumor cells, micrometers."""

_READ: Final = 2048  # side of what is read of the truth at once, level-0 pixels; a mask may have no coarser level
_STRIP: Final = 128  # rows whose distances are computed at once


@dataclass(frozen=True)
class EvaluationGrid:
    """The pixels of an evaluation mask; mask pixel (0, 0) starts at level-0 pixel (0, 0).

    Attributes:
        width, height: of the mask, mask pixels; every pixel of the slide falls into one.
        downsample: level-0 pixels per mask pixel.
        pixel: side of a mask pixel, micrometers.
    """

    width: int
    height: int
    downsample: int
    pixel: float

    @classmethod
    def of(cls, width: int, height: int, mpp: float) -> Self:
        """The mask of a slide: its level-0 pixels by the power of two that comes nearest to `PIXEL`.

        Args:
            width, height: of the slide, level-0 pixels.
            mpp: micrometers per level-0 pixel; 0.243 gives the published 32.
        """
        downsample: int = 2 ** max(0, round(math.log2(PIXEL / mpp)))
        return cls(-(-width // downsample), -(-height // downsample), downsample, mpp * downsample)


@dataclass(frozen=True, eq=False)
class TrueLesions:
    """The lesions of one slide.

    Attributes:
        labels: (h, w) int32, which lesion a mask pixel belongs to, from 1, 0 for none; only the box around all.
        left, top: of that box, mask pixels.
        grid: of the mask.
    """

    labels: NDArray[np.int32]
    left: int
    top: int
    grid: EvaluationGrid

    @cached_property
    def shapes(self) -> tuple["LesionShape", ...]:
        """Size and place of each lesion, in the order of its label. Memory: 9 bytes a pixel of the largest."""
        if not self.labels.size:
            return ()  # SciPy looks for the highest label
        boxes = enumerate(ndimage.find_objects(self.labels), 1)
        return tuple(_shape(self.labels[box] == label, self._corner(box), self.grid) for label, box in boxes)

    def at(self, x: float, y: float) -> int:
        """The label of the lesion at a level-0 pixel, 0 for none."""
        column = int(x / self.grid.downsample) - self.left
        row = int(y / self.grid.downsample) - self.top
        if not (0 <= row < self.labels.shape[0] and 0 <= column < self.labels.shape[1]):
            return 0
        return int(self.labels[row, column])

    def _corner(self, box: tuple[slice, ...]) -> tuple[int, int]:
        """Left and top of a part of `labels`, mask pixels of the slide."""
        return self.left + box[1].start, self.top + box[0].start


@dataclass(frozen=True)
class LesionShape:
    """One lesion as it is evaluated, growth and filled holes included.

    Attributes:
        x, y: its center of gravity, level-0 pixels; may lie outside a bent lesion.
        major_axis: of the ellipse with the same second moments, micrometers.
        area: mm².
        isolated: whether it is isolated tumor cells.
    """

    x: float
    y: float
    major_axis: float
    area: float
    isolated: bool


def true_lesions(truth: Truth, grid: EvaluationGrid) -> TrueLesions:
    """The lesions of a slide whose truth is known.

    Args:
        truth: opened with `downsample=grid.downsample`, so that its scale-0 pixels are mask pixels.
        grid: of the slide.

    Returns:
        Memory: while it works a byte per mask pixel of the slide and about 12 per pixel of the box around the tumor (a
        slide of 10 gigapixels has 10 million mask pixels), and 40 MB for a mask without coarser levels; then 4.
    """
    tumor = tumor_pixels(truth, grid)
    reach = JOINED / (grid.pixel * 2)
    margin = math.ceil(reach) + 1  # one more, so that the outside stays connected around the lesions
    rows, columns = (np.flatnonzero(tumor.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return TrueLesions(np.zeros((0, 0), np.int32), 0, 0, grid)
    top, left = max(int(rows[0]) - margin, 0), max(int(columns[0]) - margin, 0)
    box = tumor[top : int(rows[-1]) + margin + 1, left : int(columns[-1]) + margin + 1]
    return TrueLesions(label_lesions(box, reach), left, top, grid)


def tumor_pixels(truth: Truth, grid: EvaluationGrid) -> NDArray[np.bool_]:
    """Which mask pixels are annotated, of any class: (height, width) bool; read in parts of `_READ` level-0 pixels."""
    side = max(_READ // grid.downsample, 1)
    found = np.zeros((grid.height, grid.width), bool)
    for y, x in _corners(grid.height, grid.width, side):
        part = found[y : y + side, x : x + side]
        height, width = part.shape
        if not truth.nothing_near(x, y, width, height):
            part[:] = truth.labels(x, y, width, height) > 0
    return found


def label_lesions(tumor: NDArray[np.bool_], reach: float) -> NDArray[np.int32]:
    """Join, fill and number.

    Args:
        tumor: (h, w), the mask or a part of it that has a rim of `reach` and a pixel more around all tumor.
        reach: pixels less than this away from tumor belong to it.

    Returns:
        (h, w), lesions from 1. Memory: about 10 bytes a pixel.
    """
    labels, _ = ndimage.label(_filled(_grown(tumor, reach)), structure=np.ones((3, 3), bool))
    return np.asarray(labels, np.int32)


def _corners(height: int, width: int, side: int) -> Iterator[tuple[int, int]]:
    yield from ((y, x) for y in range(0, height, side) for x in range(0, width, side))


def _grown(tumor: NDArray[np.bool_], reach: float) -> NDArray[np.bool_]:
    """Pixels less than `reach` away from tumor; by strips, as a distance transform takes 40 bytes a pixel."""
    halo = math.ceil(reach)
    grown = np.zeros_like(tumor)
    for top in range(0, len(tumor), _STRIP):
        first = max(top - halo, 0)
        near = tumor[first : top + _STRIP + halo]
        if near.any():
            distance = ndimage.distance_transform_edt(~near)
            grown[top : top + _STRIP] = distance[top - first : top - first + _STRIP] < reach
    return grown


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask with its holes: what lies around it and is not connected to the rim over an edge of a pixel."""
    pieces, count = ndimage.label(~mask)
    outside = np.zeros(count + 1, bool)
    for rim in (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]):
        outside[rim] = True
    outside[0] = False  # the mask itself
    return ~outside[pieces]


def _shape(inside: NDArray[np.bool_], corner: tuple[int, int], grid: EvaluationGrid) -> LesionShape:
    """Moments of the pixel centers, summed row by row and column by column."""
    by_row, by_column = inside.sum(axis=1, dtype=np.float64), inside.sum(axis=0, dtype=np.float64)
    pixels = by_row.sum()
    rows, columns = np.arange(len(by_row)), np.arange(len(by_column))
    y, x = by_row @ rows / pixels, by_column @ columns / pixels
    yy, xx = by_row @ (rows - y) ** 2 / pixels, by_column @ (columns - x) ** 2 / pixels
    yx = (inside @ (columns - x)) @ (rows - y) / pixels
    largest = (yy + xx) / 2 + math.hypot((yy - xx) / 2, yx)
    major_axis = 4 * math.sqrt(largest)
    return LesionShape(
        x=float(corner[0] + x + 0.5) * grid.downsample,
        y=float(corner[1] + y + 0.5) * grid.downsample,
        major_axis=major_axis * grid.pixel,
        area=float(pixels) * (grid.pixel / 1000) ** 2,
        isolated=major_axis < SMALLEST / grid.pixel,
    )
