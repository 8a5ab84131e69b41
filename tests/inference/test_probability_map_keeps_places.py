"""Every prediction lies in the cell of its grid position, and the picture covers the right part of the slide."""

import numpy as np
import pytest

from inference.probability_map import ProbabilityMap, probability_map
from preprocessing.tiling_settings import Scale, Tiling


def tiling(stride: int, offset: int, window: int = 80) -> Tiling:
    return Tiling(scales=(Scale(level=1),), window=window, center=window - 30, stride=stride, offset=offset)


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
    heatmap = probability_map(np.array(corners, np.int32), probability, tiling(stride, offset), downsample)
    assert heatmap.values.shape == (np.ptp(rows) + 1, np.ptp(columns) + 1)
    assert heatmap.values.dtype == np.float32
    for k in range(300):
        row, column = int(rows[k] - rows.min()), int(columns[k] - columns.min())
        assert heatmap.values[row, column] == probability[k]
        x, y = heatmap.center(row, column)
        assert abs(x - (corners[k][0] + 40 * downsample)) <= 1  # half a window further, to the pixel
        assert abs(y - (corners[k][1] + 40 * downsample)) <= 1
    assert np.isnan(heatmap.values).sum() == heatmap.values.size - 300
    assert heatmap.judged == 300


def test_extent_in_level_0_pixels() -> None:
    """Three columns and two rows of 100 px; each cell lies around the center of its window of 160 px."""
    corners = np.array([[26, 126], [126, 126], [226, 226]], np.int32)
    heatmap = probability_map(corners, np.array([0.1, 0.2, 0.3], np.float32), tiling(50, 13), 2.0)
    left, right, bottom, top = heatmap.extent()
    assert (left, right) == (26 + 80 - 50, 226 + 80 + 50)
    assert (top, bottom) == (126 + 80 - 50, 226 + 80 + 50)
    np.testing.assert_array_equal(heatmap.values, np.array([[0.1, 0.2, np.nan], [np.nan, np.nan, 0.3]], np.float32))


def test_a_single_prediction_is_a_map_of_one_cell() -> None:
    heatmap = probability_map(np.array([[526, 26]], np.int32), np.array([0.7], np.float32), tiling(50, 13), 2.0)
    assert heatmap.values.tolist() == [[pytest.approx(0.7)]]
    assert heatmap.center(0, 0) == (526 + 80, 26 + 80)


def test_coarser_cells_keep_the_highest_probability_and_the_place() -> None:
    values = np.full((5, 7), np.nan, np.float32)
    values[0, 1], values[1, 1], values[4, 6] = 0.25, 0.75, 0.5
    fine = ProbabilityMap(values, (130.0, 240.0), 50.0)
    coarse = fine.coarser(3)
    expected = np.array([[0.75, np.nan, np.nan], [np.nan, np.nan, 0.5]], np.float32)
    np.testing.assert_array_equal(coarse.values, expected)
    left, right, bottom, top = coarse.extent()
    assert (left, top) == (130 - 25, 240 - 25)
    assert (right, bottom) == (left + 9 * 50, top + 6 * 50)
    np.testing.assert_array_equal(fine.coarser(1).values, values)
