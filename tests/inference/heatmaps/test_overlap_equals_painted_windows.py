"""A cell's probability is what painting all windows on a canvas gives: center, mean by shared area, or maximum."""

import numpy as np
import pytest

from inference.heatmaps import tile_store
from inference.heatmaps.overlap import judge_cells, shares, signed
from inference.heatmaps.tile_store import SIDE, TileStore
from tests.inference.heatmaps.slow import Array, painted, some_windows, stored

RULES = ("center", "mean", "maximum")
SIZES = [(10, 10), (16, 10), (10, 5), (30, 10), (47, 10), (15, 7), (9, 4), (6, 11), (5, 8)]
"""Window and stride: W/s of 1, 1.6, 2, 3, 4.7, odd ones, and strides beyond the window."""


def judged(probability: Array, tissue: np.ndarray, rule: str, window: int, stride: int) -> Array:
    windows = signed(probability, np.where(tissue, 0.25, 0).astype(np.float32))
    with stored(windows) as store, TileStore(*windows.shape) as cells:
        for row, column in zip(*np.nonzero(windows == 0), strict=True):  # the sign of a zero is lost on the way above
            store.set_cells(np.array([row]), np.array([column]), windows[row, column][None])
        judge_cells(store, cells, rule, window, stride)
        return cells.region(0, 0, *windows.shape)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("window", "stride"), SIZES)
def test_any_window_and_stride(rule: str, window: int, stride: int) -> None:
    probability, tissue = some_windows(13, 17, seed=window * stride)
    found = judged(probability, tissue, rule, window, stride)
    np.testing.assert_allclose(found, painted(probability, tissue, rule, window, stride), rtol=0, atol=2e-7)


@pytest.mark.parametrize("rule", RULES)
def test_windows_reach_over_the_borders_of_tiles(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with so few tiles in memory that the neighbors have to come back from the disk."""
    monkeypatch.setattr(tile_store, "HELD", 2)
    rows, columns = SIDE + 30, SIDE + 20
    near, there = slice(SIDE - 20, SIDE + 20), some_windows(40, 40, seed=5)
    probability, tissue = np.full((rows, columns), np.nan, np.float32), np.ones((rows, columns), bool)
    probability[near, near], tissue[near, near] = there
    wanted = painted(*there, rule, 47, 10)
    found = judged(probability, tissue, rule, 47, 10)
    np.testing.assert_allclose(found[near, near], wanted, rtol=0, atol=2e-7)
    assert np.isnan(found).sum() == found.size - np.isfinite(wanted).sum()


@pytest.mark.parametrize(("window", "stride"), SIZES)
def test_shares_are_lengths_that_windows_and_cell_have_in_common(window: int, stride: int) -> None:
    found = shares(window, stride)
    assert (found > 0).all()
    wanted = []
    for k in range(-20, 21):
        inside = np.arange(k * 2 * stride - window, k * 2 * stride + window)  # half pixels, around the cell's middle
        wanted.append(((inside >= -stride) & (inside < stride)).sum() / 2)
    np.testing.assert_array_equal(found, [share for share in wanted if share > 0])
    if stride <= window:
        assert found.sum() == window  # every pixel of a window lies in one cell


def test_a_window_without_tissue_in_its_cell_counts_for_its_neighbors_only() -> None:
    probability = np.array([[0.0, 1.0, 0.5]], np.float32)
    tissue = np.array([[True, False, True]])
    np.testing.assert_array_equal(judged(probability, tissue, "center", 20, 10), np.float32([[0, np.nan, 0.5]]))
    np.testing.assert_array_equal(judged(probability, tissue, "maximum", 20, 10), np.float32([[1, np.nan, 1]]))
    mean = judged(probability, tissue, "mean", 20, 10)  # a neighbor shares half of the cell
    np.testing.assert_allclose(mean, np.float32([[1 / 3, np.nan, 2 / 3]]), rtol=1e-6)


def test_a_probability_of_zero_without_tissue_is_not_judged_either() -> None:
    assert np.isnan(judged(np.float32([[0.0]]), np.array([[False]]), "center", 10, 10)).all()
    assert judged(np.float32([[0.0]]), np.array([[True]]), "center", 10, 10)[0, 0] == 0
