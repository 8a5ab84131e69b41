"""Every prediction lies in the cell of its grid position, and the cells cover the right part of the slide."""

import numpy as np
import pyarrow as pa
import pytest

from inference.heatmaps.cells import CellGrid
from inference.heatmaps.filling import fill
from inference.heatmaps.tile_store import SIDE, TileStore
from preprocessing.grid import Block, Grid, to_level_0
from preprocessing.scales import SlideScale
from preprocessing.tiling_settings import Scale, Tiling
from tests.inference.heatmaps.slow import cell_map


def grid_of(stride: int, offset: int, downsample: float, width: int, height: int, window: int = 80) -> CellGrid:
    """The grid of a slide, its size in scale-0 pixels."""
    tiling = Tiling(scales=(Scale(level=1),), window=window, center=window - 30, stride=stride, offset=offset)
    return CellGrid.of(tiling, SlideScale(1, 1.0, downsample, width, height, None, None))


def predictions(corners: np.ndarray, probability: np.ndarray) -> pa.RecordBatch:
    corners = np.asarray(corners, np.int32)
    tissue = np.ones(len(corners), np.float32)
    columns = [corners[:, 0], corners[:, 1], np.asarray(probability, np.float32), tissue]
    return pa.RecordBatch.from_arrays(
        [pa.array(column) for column in columns], ["x", "y", "probability", "tissue_fraction"]
    )


@pytest.mark.parametrize("downsample", [1.0, 2.0, 2.0005, 3.9991, 16.0])
@pytest.mark.parametrize(("stride", "offset"), [(25, 0), (25, 13), (7, 100), (50, 3)])
def test_each_position_comes_back_from_its_cell(downsample: float, stride: int, offset: int) -> None:
    """On a wide slide, where rounding the corner to whole level-0 pixels must not add up."""
    rng = np.random.default_rng(stride)
    columns, rows = rng.choice(2000, 300, replace=False) + 4, rng.choice(3000, 300, replace=False) + 9
    probability = rng.random(300).astype(np.float32)
    corners = [
        (round((offset + int(column) * stride) * downsample), round((offset + int(row) * stride) * downsample))
        for column, row in zip(columns, rows, strict=True)
    ]
    grid = grid_of(stride, offset, downsample, 2010 * stride + 200, 3010 * stride + 200)
    with TileStore(grid.rows, grid.columns) as store:
        fill(store, grid, predictions(np.array(corners), probability), 80 * downsample)
        for k in range(300):
            row, column = int(rows[k]), int(columns[k])
            assert store.region(row, column, 1, 1)[0, 0] == probability[k]
            x, y = grid.center(row, column)
            assert abs(x - (corners[k][0] + 40 * downsample)) <= 1  # half a window further, to the pixel
            assert abs(y - (corners[k][1] + 40 * downsample)) <= 1
        filled = sum(int(np.isfinite(store.tile(place)).sum()) for place in store.places())
    assert filled == 300


@pytest.mark.parametrize("size", [(1000, 803), (93, 93), (94, 479), (105, 93)])
@pytest.mark.parametrize(("stride", "offset"), [(25, 0), (25, 13), (120, 0)])
def test_the_grid_has_a_cell_for_every_window_of_the_slide_and_no_other(
    size: tuple[int, int], stride: int, offset: int
) -> None:
    """Held against the positions that tiling itself uses."""
    grid = grid_of(stride, offset, 2.0, *size)
    windows = Block(0, 0, max(size)).origins(Grid(80, stride, (offset,)), *size)
    rows, columns = grid.indices(to_level_0(windows, 2.0), 160)
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [
        (row, column) for row in range(grid.rows) for column in range(grid.columns)
    ]


def test_extent_in_level_0_pixels() -> None:
    """Three columns and two rows of 100 px; each cell lies around the center of its window of 160 px."""
    grid = grid_of(50, 13, 2.0, 13 + 80 + 2 * 50, 13 + 80 + 50)
    left, right, bottom, top = grid.extent
    assert (left, right) == (26 + 80 - 50, 226 + 80 + 50)
    assert (top, bottom) == (26 + 80 - 50, 126 + 80 + 50)
    assert (grid.rows, grid.columns) == (2, 3)


def test_coarser_cells_keep_the_highest_probability_and_the_place() -> None:
    values = np.full((5, 7), np.nan, np.float32)
    values[0, 1], values[1, 1], values[4, 6] = 0.25, 0.75, 0.5
    with cell_map(values, (130.0, 240.0), 50.0) as fine:
        expected = np.array([[0.75, np.nan, np.nan], [np.nan, np.nan, 0.5]], np.float32)
        np.testing.assert_array_equal(fine.coarse_values(3), expected)
        left, right, bottom, top = fine.grid.coarser(3).extent
        assert (left, top) == (130 - 25, 240 - 25)
        assert (right, bottom) == (left + 9 * 50, top + 6 * 50)
        np.testing.assert_array_equal(fine.coarse_values(1), values)


@pytest.mark.parametrize("factor", [1, 3, 7, 256, 300])
def test_coarser_cells_of_several_tiles(factor: int) -> None:
    """Also where a coarse cell lies in two tiles."""
    rng = np.random.default_rng(factor)
    values = rng.random((SIDE + 77, 2 * SIDE + 5)).astype(np.float32)
    values[rng.random(values.shape) < 0.9] = np.nan
    rows, columns = (-(-length // factor) for length in values.shape)
    wanted = np.full((rows, columns), np.nan, np.float32)
    for row in range(rows):
        for column in range(columns):
            part = values[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
            wanted[row, column] = np.nan if np.isnan(part).all() else np.nanmax(part)
    with cell_map(values) as cells:
        np.testing.assert_array_equal(cells.coarse_values(factor), wanted)
