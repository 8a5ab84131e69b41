"""Lesions: the local maxima of a heatmap, by non-maximum suppression."""

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.heatmaps.cells import CellMap
from inference.heatmaps.tile_store import SIDE, Place, TileStore

_CLEARED = -1.0
_Best = tuple[float, int, int]
"""Of a tile: its highest probability, negative, and row and column of the first cell that has it."""


@dataclass(frozen=True)
class Lesion:
    """One found lesion: level-0 pixel and probability."""

    x: int
    y: int
    probability: float


def find_lesions(cells: CellMap, threshold: float, radius: int) -> list[Lesion]:
    """Take the maximum, clear a disk around it, repeat while above the threshold (Liu et al. 2017).

    Of equal maxima the first one in raster order is taken. Exact on maps of any size: each tile's maximum is known, the
    tile with the best is the one to look at, and only the tiles that the disk meets are touched.

    Args:
        cells: of one slide.
        threshold: a lesion's probability is greater than this.
        radius: of the disk, level-0 pixels; a cell whose center is that far away is cleared, too.

    Returns:
        Highest probability first; at most the slide's area over the disk's. Memory: a tile store, the disk, and a
        number a tile.
    """
    limit = float(np.float32(threshold))  # as exact as the probabilities, so that an equal one is not above it
    around = disk(radius / cells.grid.step)
    found: list[Lesion] = []
    with TileStore(cells.grid.rows, cells.grid.columns) as left:
        bests = _copy_above(cells, limit, left)
        queue = [(best, place) for place, best in bests.items()]
        heapq.heapify(queue)
        while queue:
            best, place = heapq.heappop(queue)
            if bests.get(place) != best:
                continue  # a disk has met this tile since
            value, row, column = best
            found.append(Lesion(*cells.grid.center(row, column), -value))
            for touched in _clear(left, around, row, column, bests):
                heapq.heappush(queue, (bests[touched], touched))
    return found


def disk(radius: float) -> NDArray[np.bool_]:
    """(2 r + 1, 2 r + 1) bool, which cells around the middle one are at most `radius` cells away."""
    reach = int(radius)
    offsets = np.arange(-reach, reach + 1)
    return offsets[:, None] ** 2 + offsets[None, :] ** 2 <= radius**2


def _copy_above(cells: CellMap, limit: float, left: TileStore) -> dict[Place, _Best]:
    """Copy the tiles that hold anything above the limit, and tell their maxima."""
    bests = {}
    for row, column, tile in cells.tiles():
        values = np.nan_to_num(tile, nan=_CLEARED)
        if values.max() > limit:
            values[values <= limit] = _CLEARED
            place = (row // SIDE, column // SIDE)
            left.put(place, values)
            bests[place] = _best(values, place)
    return bests


def _best(values: NDArray[np.float32], place: Place) -> _Best:
    row, column = divmod(int(values.argmax()), SIDE)
    return -float(values[row, column]), place[0] * SIDE + row, place[1] * SIDE + column


def _clear(left: TileStore, around: NDArray[np.bool_], row: int, column: int, bests: dict[Place, _Best]) -> list[Place]:
    """Clear the disk around a cell; returns the tiles with another maximum than before that is still a lesion's."""
    reach = len(around) // 2
    changed = []
    for down in range((row - reach) // SIDE, (row + reach) // SIDE + 1):
        for across in range((column - reach) // SIDE, (column + reach) // SIDE + 1):
            place = (down, across)
            if place not in bests:
                continue
            values = np.array(left.tile(place))
            top, side = row - reach - down * SIDE, column - reach - across * SIDE
            rows = slice(max(top, 0), min(top + len(around), SIDE))
            columns = slice(max(side, 0), min(side + len(around), SIDE))
            values[rows, columns][
                around[rows.start - top : rows.stop - top, columns.start - side : columns.stop - side]
            ] = _CLEARED
            left.put(place, values)
            before, bests[place] = bests[place], _best(values, place)
            if bests[place][0] == -_CLEARED:
                del bests[place]
            elif bests[place] != before:
                changed.append(place)
    return changed
