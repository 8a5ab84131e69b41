"""Connected areas of a grid that is too large for memory: found tile by tile, joined over the borders of the tiles."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference.heatmaps.cells import CellMap
from inference.heatmaps.tile_store import SIDE

Cell = tuple[int, int]
"""Row and column."""

_NONE: Final = -1


@dataclass(frozen=True)
class Area:
    """A connected area: its cells meet along edges.

    Attributes:
        highest, total: probability of its best cell, and the sum over all.
        cells: how many.
    """

    highest: float
    total: float
    cells: int

    @property
    def mean(self) -> float:
        """Probability."""
        return self.total / self.cells

    def joined(self, other: "Area") -> "Area":
        """Both as one."""
        return Area(max(self.highest, other.highest), self.total + other.total, self.cells + other.cells)


def connected_areas(cells: CellMap, threshold: float) -> dict[Cell, Area]:
    """The areas of cells at or above a threshold.

    Args:
        cells: probabilities.
        threshold: least one of a cell.

    Returns:
        The areas by their first cell in raster order. Memory: some tiles, a row of cells, and about 300 bytes for each
        piece of an area in a tile.
    """
    joins = _Joins()
    pieces: list[tuple[Cell, Area]] = []
    above: dict[
        int, tuple[int, NDArray[np.int64]]
    ] = {}  # by first column: a tile's first row, and its last row's pieces
    beside: tuple[int, int, NDArray[np.int64]] = (_NONE, _NONE, np.zeros(0, np.int64))
    for row, column, tile in cells.tiles():
        labels, found = _pieces_of(tile, threshold, row, column, len(pieces))
        pieces += found
        joins.grow(len(pieces))
        if beside[:2] == (row, column - SIDE):
            joins.join(beside[2], labels[:, 0])
        if column in above and above[column][0] == row - SIDE:
            joins.join(above[column][1], labels[0])
        above[column] = (row, labels[-1].copy())
        beside = (row, column, labels[:, -1].copy())
    areas: dict[int, tuple[Cell, Area]] = {}
    for number, (first, area) in enumerate(pieces):
        root = joins.root(number)
        known = areas.get(root)
        areas[root] = (first, area) if known is None else (min(known[0], first), known[1].joined(area))
    return dict(areas.values())


def _pieces_of(
    tile: NDArray[np.float32], threshold: float, row: int, column: int, start: int
) -> tuple[NDArray[np.int64], list[tuple[Cell, Area]]]:
    """Number the pieces of a tile from `start`: (SIDE, SIDE), `_NONE` outside of any, and what they are."""
    labels, count = ndimage.label(tile >= np.float32(threshold))
    if count == 0:
        return np.full(tile.shape, _NONE, np.int64), []
    inside = labels > 0
    of_cell, values = labels[inside] - 1, tile[inside]
    first = np.flatnonzero(inside)[np.unique(of_cell, return_index=True)[1]]
    highest = np.zeros(count, np.float32)
    np.maximum.at(highest, of_cell, values)
    totals = np.bincount(of_cell, values, count)
    sizes = np.bincount(of_cell, minlength=count)
    found = [
        ((row + int(at) // SIDE, column + int(at) % SIDE), Area(float(high), float(total), int(size)))
        for at, high, total, size in zip(first, highest, totals, sizes, strict=True)
    ]
    return np.where(inside, labels - 1 + start, _NONE).astype(np.int64), found


class _Joins:
    """Which pieces belong together: a forest, each tree an area (Galler and Fischer 1964)."""

    def __init__(self) -> None:
        self._parents: list[int] = []

    def grow(self, count: int) -> None:
        """Have so many pieces."""
        self._parents.extend(range(len(self._parents), count))

    def root(self, piece: int) -> int:
        """The piece that stands for its area."""
        parents = self._parents
        while parents[piece] != piece:
            parents[piece] = parents[parents[piece]]
            piece = parents[piece]
        return piece

    def join(self, here: NDArray[np.int64], there: NDArray[np.int64]) -> None:
        """The pieces on the two sides of a border that face each other are one."""
        for one, other in _facing(here, there):
            self._parents[self.root(one)] = self.root(other)


def _facing(here: NDArray[np.int64], there: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    both = (here != _NONE) & (there != _NONE)
    yield from np.unique(np.stack([here[both], there[both]], axis=1), axis=0).tolist()
