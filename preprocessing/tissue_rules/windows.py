"""How much of many squares is set: whole pixels of a block, or fractions of pixels of a coarse mask."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS_AT_ONCE = 64
_NOTHING = 1e-6  # shares below are what rounding leaves of an empty square


def window_sums(pixels: NDArray[np.bool_], origins: NDArray[np.int32], side: int) -> NDArray[np.int32]:
    """How many pixels are set in each of many squares.

    A summed-area table (Crow 1984) of which only the rows are made that some square begins or ends at. Its columns
    count modulo 256 or 65,536, whose differences are exact since no square is higher than that.

    Args:
        pixels: (h, w) bool.
        origins: (n, 2) top-left corners x, y in `pixels`; every square lies inside.
        side: of the squares, 1 to 46,340 pixels.

    Returns:
        (n,) int32. Memory: 1 byte (2 for a side above 255) per column of `pixels` and per distinct top or bottom.
    """
    tops = np.unique(origins[:, 1])
    place = np.searchsorted(tops, origins[:, 1])
    edges = np.unique(np.concatenate([tops, tops + side]))
    above = _counts_above(pixels, edges, np.dtype(np.uint8 if side < 256 else np.uint16))
    first, last = np.searchsorted(edges, tops), np.searchsorted(edges, tops + side)
    order = np.argsort(place, kind="stable")
    ends = np.searchsorted(place[order], np.arange(0, len(tops) + _ROWS_AT_ONCE, _ROWS_AT_ONCE))
    sums = np.empty(len(origins), np.int32)
    for part, start in enumerate(range(0, len(tops), _ROWS_AT_ONCE)):
        rows = slice(start, start + _ROWS_AT_ONCE)
        columns = above[last[rows]] - above[first[rows]]
        left = np.zeros((len(columns), pixels.shape[1] + 1), np.int32)
        np.cumsum(columns, axis=1, dtype=np.int32, out=left[:, 1:])
        squares = order[ends[part] : ends[part + 1]]
        row, x = place[squares] - start, origins[squares, 0]
        sums[squares] = left[row, x + side] - left[row, x]
    return sums


def _counts_above(pixels: NDArray[np.bool_], edges: NDArray[np.int32], kind: np.dtype[Any]) -> NDArray[Any]:
    """Per column the pixels set from the first edge down to each edge, (edges, w), modulo what `kind` holds."""
    ones = pixels.view(np.uint8)
    above = np.zeros((len(edges), pixels.shape[1]), kind)
    for row, (top, bottom) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        np.add.reduce(ones[top:bottom], axis=0, dtype=kind, out=above[row + 1])
        above[row + 1] += above[row]
    return above


def mask_fractions(
    mask: NDArray[np.bool_], origins: NDArray[np.float64], side: float, downsample: float
) -> NDArray[np.float32]:
    """Share of each of many squares that is set in a coarse mask, by area; outside of the mask nothing is set.

    The integral of the mask over a rectangle is exact when its summed-area table is interpolated linearly, since the
    mask is constant within a pixel.

    Args:
        mask: (h, w) bool.
        origins: (n, 2) top-left corners x, y, level-0 pixels, fractions allowed.
        side: of the squares, level-0 pixels.
        downsample: level-0 pixels per pixel of the mask.

    Returns:
        (n,) float32, 0 to 1, and 0 exactly where nothing is set. Memory: 4 bytes a mask pixel of the bounding box.
    """
    share = set_areas(mask, origins, side, downsample) / (side / downsample) ** 2
    return np.where(share < _NOTHING, 0, np.minimum(share, 1)).astype(np.float32)


def set_areas(
    mask: NDArray[np.bool_], origins: NDArray[np.float64], side: float, downsample: float
) -> NDArray[np.float64]:
    """How much of each of many squares is set in a coarse mask, in pixels of the mask; arguments as above.

    Returns:
        (n,) float64; whole numbers exactly where the squares' edges are those of pixels. Memory: as above.
    """
    if len(origins) == 0:
        return np.zeros(0)
    size = np.array(mask.shape[::-1], np.float64)
    low = np.clip(origins / downsample, 0, size)
    high = np.clip((origins + side) / downsample, 0, size)
    x, y = np.floor(low.min(axis=0)).astype(int)
    end_x, end_y = np.ceil(high.max(axis=0)).astype(int)
    table = _table(mask[y:end_y, x:end_x])
    low, high = low - (x, y), high - (x, y)
    (left, top), (right, bottom) = low.T, high.T
    corners = np.concatenate([right, left, left, right]), np.concatenate([bottom, top, bottom, top])
    areas = _integral(table, *corners).reshape(4, -1)
    area: NDArray[np.float64] = areas[0] + areas[1] - (areas[2] + areas[3])
    return area


def _table(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Summed-area table with a first row and column of zeros."""
    table = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), np.int32)
    np.cumsum(mask, axis=1, dtype=np.int32, out=table[1:, 1:])
    np.cumsum(table[1:, 1:], axis=0, out=table[1:, 1:])
    return table


def _integral(table: NDArray[np.int32], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area set left of x and above y, which lie within the table."""
    column, row = x.astype(np.int64), y.astype(np.int64)
    next_column = np.minimum(column + 1, table.shape[1] - 1)
    next_row = np.minimum(row + 1, table.shape[0] - 1)
    across, down = x - column, y - row
    top = table[row, column] * (1 - across) + table[row, next_column] * across
    bottom = table[next_row, column] * (1 - across) + table[next_row, next_column] * across
    return top * (1 - down) + bottom * down
