"""The cells of a slide's heatmap: where they lie, and their probabilities."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.heatmaps.tile_store import SIDE, TileStore
from preprocessing.scales import SlideScale
from preprocessing.tiling_settings import Tiling


@dataclass(frozen=True)
class CellGrid:
    """One cell per position of the prediction grid: the square of side `step` around the center of its window.

    Attributes:
        rows, columns: cells.
        first: level-0 x and y of the center of the first cell.
        step: level-0 pixels from one cell to the next.
    """

    rows: int
    columns: int
    first: tuple[float, float]
    step: float

    @classmethod
    def of(cls, tiling: Tiling, finest: SlideScale) -> "CellGrid":
        """The grid of a slide.

        Args:
            tiling: of the prediction recipe: window, stride, and one offset.
            finest: scale 0 of the slide.
        """
        offset, window, stride = tiling.offset[0], tiling.window, tiling.stride
        rows, columns = (max(0, (size - offset - window) // stride + 1) for size in (finest.height, finest.width))
        center = (offset + window / 2) * finest.downsample
        return cls(rows, columns, (center, center), stride * finest.downsample)

    @property
    def corner(self) -> tuple[float, float]:
        """Left and top of the grid, level-0 pixels; may lie outside the slide."""
        return self.first[0] - self.step / 2, self.first[1] - self.step / 2

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top in level-0 pixels, as matplotlib takes it."""
        left, top = self.corner
        return left, left + self.columns * self.step, top + self.rows * self.step, top

    def center(self, row: int, column: int) -> tuple[int, int]:
        """Level-0 pixel x, y of the center of a cell."""
        return round(self.first[0] + column * self.step), round(self.first[1] + row * self.step)

    def indices(self, xy: NDArray[np.int32], side: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The cells of some windows.

        Args:
            xy: (n, 2) top-left corners, level-0 pixels, which may have been rounded.
            side: of a window, level-0 pixels.

        Returns:
            Rows and columns, (n,) each.
        """
        first = np.array(self.first) - side / 2
        cells = np.rint((xy - first) / self.step).astype(np.int64)
        return cells[:, 1], cells[:, 0]

    def coarser(self, factor: int) -> "CellGrid":
        """The same area in cells of `factor` x `factor`; the last ones may reach beyond."""
        shift = (factor - 1) / 2 * self.step
        first = (self.first[0] + shift, self.first[1] + shift)
        return CellGrid(-(-self.rows // factor), -(-self.columns // factor), first, self.step * factor)


@dataclass(frozen=True)
class Totals:
    """What the cells of a slide come to.

    Attributes:
        highest: probability; 0, the lowest there is, where no cell has one.
        judged: cells with a probability.
        positive: cells at or above the threshold.
        mean: probability of the judged ones; 0 where there is none.
    """

    highest: float
    judged: int
    positive: int
    mean: float


@dataclass(frozen=True, eq=False)
class CellMap:
    """Probabilities on cells.

    Attributes:
        grid: where they lie.
        store: the values, NaN where nothing was judged or no tissue lies; not to be changed any more.
    """

    grid: CellGrid
    store: TileStore

    def tiles(self) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
        """First row, first column and values (SIDE, SIDE) of every tile that may hold a value, in raster order."""
        for place in self.store.places():
            tile = self.store.tile(place)
            if tile is not None:
                yield place[0] * SIDE, place[1] * SIDE, tile

    def totals(self, threshold: float) -> Totals:
        """Count the cells; memory: a tile."""
        highest, judged, positive, total = 0.0, 0, 0, 0.0
        for _, _, tile in self.tiles():
            values = tile[~np.isnan(tile)]
            highest = max(highest, float(values.max(initial=0)))
            judged += len(values)
            total += float(values.sum(dtype=np.float64))
            positive += int((values >= np.float32(threshold)).sum())
        return Totals(highest, judged, positive, total / max(judged, 1))

    def coarse_values(self, factor: int) -> NDArray[np.float32]:
        """The highest probability of every square of `factor` x `factor` cells.

        Returns:
            (rows, columns) of `grid.coarser(factor)`, NaN where no cell has a value. Memory: that, and a tile.
        """
        coarse = self.grid.coarser(factor)
        values = np.full((coarse.rows, coarse.columns), np.nan, np.float32)
        for row, column, block in self.coarse_blocks(factor):
            part = values[row : row + block.shape[0], column : column + block.shape[1]]
            np.fmax(part, block[: part.shape[0], : part.shape[1]], out=part)
        return values

    def coarse_blocks(self, factor: int) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
        """The same in pieces: first row and column (coarse cells) and the maxima of a tile.

        Pieces of neighboring tiles may share cells, and may reach beyond the grid.
        """
        for row, column, tile in self.tiles():
            starts = [
                np.flatnonzero(np.diff((first + np.arange(SIDE)) // factor, prepend=-1)) for first in (row, column)
            ]
            yield (
                row // factor,
                column // factor,
                np.fmax.reduceat(np.fmax.reduceat(tile, starts[0]), starts[1], axis=1),
            )
