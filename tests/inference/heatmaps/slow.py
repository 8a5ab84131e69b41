"""The slow, obvious ways that heatmaps are held against: whole arrays and canvases of single pixels."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from inference.heatmaps.cells import CellGrid, CellMap
from inference.heatmaps.tile_store import TileStore

Array = NDArray[np.float32]


@contextmanager
def stored(values: Array) -> Iterator[TileStore]:
    """A store that holds an array."""
    with TileStore(*values.shape) as store:
        store.raise_to(0, 0, np.asarray(values, np.float32))
        yield store


@contextmanager
def cell_map(values: Array, first: tuple[float, float] = (100.0, 100.0), step: float = 200.0) -> Iterator[CellMap]:
    """An array as the cells of a slide."""
    values = np.atleast_2d(np.asarray(values, np.float32))
    with stored(values) as store:
        yield CellMap(CellGrid(*values.shape, first, step), store)


def painted(probability: Array, tissue: NDArray[np.bool_], rule: str, window: int, stride: int) -> NDArray[np.float64]:
    """Cells by painting every judged window on a canvas of half pixels, one after the other.

    Args:
        probability: (rows, columns), NaN where no window was judged.
        tissue: whether the window's cell holds any.
        rule: center, mean or maximum.
        window, stride: pixels.
    """
    rows, columns = probability.shape
    side, step = 2 * window, 2 * stride  # half pixels, so that middles of odd sides are whole
    rim = max(side, step)
    shape = (rows * step + 2 * rim, columns * step + 2 * rim)
    total, count, highest = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for row, column in zip(*np.nonzero(~np.isnan(probability)), strict=True):
        top, left = rim + row * step + step // 2 - window, rim + column * step + step // 2 - window
        place = (slice(top, top + side), slice(left, left + side))
        total[place] += probability[row, column]
        count[place] += 1
        highest[place] = np.maximum(highest[place], probability[row, column])
    cells = np.full((rows, columns), np.nan)
    for row, column in zip(*np.nonzero(~np.isnan(probability) & tissue), strict=True):
        cell = (slice(rim + row * step, rim + (row + 1) * step), slice(rim + column * step, rim + (column + 1) * step))
        if rule == "center":
            cells[row, column] = probability[row, column]
        else:
            mean = total[cell].sum() / count[cell].sum()
            cells[row, column] = mean if rule == "mean" else highest[cell].max()
    return cells


def some_windows(rows: int, columns: int, seed: int) -> tuple[Array, NDArray[np.bool_]]:
    """Probabilities with gaps, and which of the windows have tissue in their cell."""
    rng = np.random.default_rng(seed)
    probability = rng.random((rows, columns)).astype(np.float32)
    probability[rng.random((rows, columns)) < 0.3] = np.nan
    probability[rng.random((rows, columns)) < 0.1] = 0
    return probability, rng.random((rows, columns)) < 0.8
