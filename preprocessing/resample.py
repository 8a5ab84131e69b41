"""Area-averaging of a level to a coarser scale, the same for a pixel whatever region it is read in."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

# (x, y, width, height) in pixels of the level -> (height, width, 3) uint8.
ReadLevel = Callable[[int, int, int, int], NDArray[np.uint8]]

_SOURCE_SIDE = 4096  # the level is read in squares of at most this many pixels a side


def read_averaged(read: ReadLevel, factor: float, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
    """Read a region at a scale that lies between two levels.

    A pixel of the scale is the mean of the level under it, pixels that lie partly under it weighted by their share.

    Args:
        read: of the level, also beyond its rim.
        factor: level pixels per pixel of the scale, above 1.
        x, y, width, height: the region, pixels of the scale.

    Returns:
        (height, width, 3) uint8. Memory: the region, and 4096 x 4096 pixels of the level with their means (about
        80 MB), whatever the factor.
    """
    side = max(1, int(_SOURCE_SIDE / factor) - 1)
    region = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, side):
        for left in range(0, width, side):
            part = (min(side, width - left), min(side, height - top))
            region[top : top + part[1], left : left + part[0]] = _averaged(read, factor, x + left, y + top, *part)
    return region


def _averaged(read: ReadLevel, factor: float, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
    columns, of_columns = _shares(x, width, factor)
    rows, of_rows = _shares(y, height, factor)
    left, top = int(columns[0, 0]), int(rows[0, 0])
    source = read(left, top, int(columns[-1, -1]) - left + 1, int(rows[-1, -1]) - top + 1)
    wide = _weighted(source, rows - top, of_rows)
    mean = _weighted(wide.transpose(1, 0, 2), columns - left, of_columns).transpose(1, 0, 2)
    return np.floor(mean + np.float32(0.5)).astype(np.uint8)


def _shares(start: int, count: int, factor: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Which level pixels lie under each pixel of the scale, along one axis, and with which share of the mean.

    Computed from the place on the slide, not in the region, so that every region gives the same.

    Returns:
        Two (count, taps) arrays: level pixels and shares that sum to 1.
    """
    low = np.arange(start, start + count, dtype=np.float64) * factor
    first = np.floor(low).astype(np.int64)
    pixels = first[:, None] + np.arange(math.ceil(factor) + 1)
    overlap = np.minimum(low[:, None] + factor, pixels + 1) - np.maximum(low[:, None], pixels)
    return pixels, (np.clip(overlap, 0, None) / factor).astype(np.float32)


def _weighted(source: NDArray[np.generic], taps: NDArray[np.int64], shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weighted sums along the first axis, tap by tap in a fixed order, so that rounding depends on no region."""
    total = np.zeros((len(taps), *source.shape[1:]), np.float32)
    for tap in range(taps.shape[1]):
        total += source[taps[:, tap]] * shares[:, tap, None, None]
    return total
