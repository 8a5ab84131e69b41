"""Numbers on a grid of any size, in bounded memory: square tiles in a temporary file, a few of them in memory."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cluster.closing import Closing
from inference.heatmaps.scratch import Scratch

SIDE: Final = 256
"""Of a tile, cells."""
HELD: Final = 16
"""Tiles in memory: 4 MB."""

Place = tuple[int, int]
"""Row and column of a tile, counted in tiles."""

_Slices = tuple[slice, slice]


class TileStore(Closing):
    """float32 cells, NaN where nothing was put; to be closed, or used as a context manager.

    Only tiles that something was put into take room. Memory: `HELD` tiles, and about 200 bytes for each tile on the
    disk (256 KB).

    Args:
        rows, columns: of the grid, cells.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self._scratch = Scratch(SIDE * SIDE * 4)
        self._numbers: dict[Place, int] = {}
        self._held: OrderedDict[Place, NDArray[np.float32]] = OrderedDict()
        self._changed: set[Place] = set()

    @property
    def held(self) -> int:
        """Tiles in memory now."""
        return len(self._held)

    @property
    def tiles(self) -> int:
        """Tiles that something was put into."""
        return len(self._numbers)

    def places(self) -> list[Place]:
        """The tiles that something was put into, in raster order."""
        return sorted(self._numbers)

    def tile(self, place: Place) -> NDArray[np.float32] | None:
        """A tile.

        Args:
            place: row and column, in tiles.

        Returns:
            (SIDE, SIDE), not to be written to; NaN beyond the grid. None where nothing was put.
        """
        return self._get(place) if place in self._numbers else None

    def put(self, place: Place, values: NDArray[np.float32]) -> None:
        """Replace a tile.

        Args:
            place: row and column, in tiles.
            values: (SIDE, SIDE), the store's own from now on.
        """
        self._numbers.setdefault(place, len(self._numbers))
        self._hold(place, values)
        self._changed.add(place)

    def set_cells(self, rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        """Put single cells.

        Args:
            rows, columns: (n,) each, inside the grid; best of neighbors, as every tile met is loaded once a call.
            values: (n,).
        """
        key = rows // SIDE * (self.columns // SIDE + 1) + columns // SIDE
        order = np.argsort(key, kind="stable")
        starts = np.flatnonzero(np.diff(key[order], prepend=-1))
        for members in np.split(order, starts[1:]):
            if len(members):
                place = (int(rows[members[0]]) // SIDE, int(columns[members[0]]) // SIDE)
                tile = self._to_write(place)
                tile[rows[members] % SIDE, columns[members] % SIDE] = values[members]

    def raise_to(self, row: int, column: int, block: NDArray[np.float32]) -> None:
        """Let the cells of a rectangle be the higher one of what they are and of a block; NaN counts as nothing.

        Args:
            row, column: top-left cell.
            block: (h, w); what lies beyond the grid is left out.
        """
        block = block[: self.rows - row, : self.columns - column]
        for place, inside, outside in _parts(row, column, *block.shape):
            tile = self._to_write(place)
            np.fmax(tile[inside], block[outside], out=tile[inside])

    def region(self, row: int, column: int, height: int, width: int) -> NDArray[np.float32]:
        """A rectangle of cells, which may reach beyond the grid.

        Args:
            row, column: top-left cell; may be negative.
            height, width: cells.

        Returns:
            (height, width), a copy; NaN where nothing was put.
        """
        found = np.full((height, width), np.nan, np.float32)
        for place, inside, outside in _parts(row, column, height, width):
            if place in self._numbers:
                found[outside] = self._get(place)[inside]
        return found

    def close(self) -> None:
        """Give memory and disk back."""
        self._held.clear()
        self._scratch.close()

    def _to_write(self, place: Place) -> NDArray[np.float32]:
        if place not in self._numbers:
            self.put(place, np.full((SIDE, SIDE), np.nan, np.float32))
        self._changed.add(place)
        return self._get(place)

    def _get(self, place: Place) -> NDArray[np.float32]:
        if place in self._held:
            self._held.move_to_end(place)
            return self._held[place]
        data = bytearray(self._scratch.read(self._numbers[place]))  # of its own, so that it can be written to
        tile = np.frombuffer(data, np.float32).reshape(SIDE, SIDE)
        self._hold(place, tile)
        return tile

    def _hold(self, place: Place, tile: NDArray[np.float32]) -> None:
        self._held[place] = tile
        self._held.move_to_end(place)
        while len(self._held) > HELD:
            oldest, values = self._held.popitem(last=False)
            if oldest in self._changed:
                self._scratch.write(self._numbers[oldest], np.ascontiguousarray(values).data.cast("B"))
                self._changed.remove(oldest)


def _parts(row: int, column: int, height: int, width: int) -> Iterator[tuple[Place, _Slices, _Slices]]:
    """The tiles that a rectangle meets: where in the tile, and where in the rectangle, the common cells lie."""
    for down in range(row // SIDE, -(-(row + height) // SIDE)):
        rows = slice(max(row, down * SIDE), min(row + height, (down + 1) * SIDE))
        for across in range(column // SIDE, -(-(column + width) // SIDE)):
            columns = slice(max(column, across * SIDE), min(column + width, (across + 1) * SIDE))
            inside = (_moved(rows, down * SIDE), _moved(columns, across * SIDE))
            yield (down, across), inside, (_moved(rows, row), _moved(columns, column))


def _moved(part: slice, start: int) -> slice:
    return slice(part.start - start, part.stop - start)
