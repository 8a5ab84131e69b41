"""Sums and shares of squares against slicing, and against a mask whose pixels are blown up."""

import numpy as np
import pytest

from preprocessing.tissue_rules.windows import mask_fractions, window_sums


def grid(height: int, width: int, stride: int, side: int) -> np.ndarray:
    xs, ys = np.arange(0, width - side + 1, stride), np.arange(0, height - side + 1, stride)
    return np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2).astype(np.int32)


def slow_sums(pixels: np.ndarray, origins: np.ndarray, side: int) -> list[int]:
    return [int(pixels[y : y + side, x : x + side].sum()) for x, y in origins]


@pytest.mark.parametrize(
    ("stride", "side"), [(50, 80), (32, 32), (7, 11), (1, 1), (3, 200), (128, 255), (128, 256), (90, 299), (400, 400)]
)
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_sums_of_a_regular_grid(stride: int, side: int, share: float) -> None:
    height, width = (60, 50) if side == 1 else (400, 430)
    pixels = np.random.default_rng(1).random((height, width)) < share
    origins = grid(height, width, stride, side)
    found = window_sums(pixels, origins, side)
    assert found.dtype == np.int32
    assert found.tolist() == slow_sums(pixels, origins, side)


def test_sums_of_positions_in_any_order_and_twice() -> None:
    rng = np.random.default_rng(2)
    pixels = rng.random((300, 280)) < 0.4
    origins = rng.integers(0, 200, (400, 2)).astype(np.int32)
    origins[7] = origins[300]
    assert window_sums(pixels, origins, 80).tolist() == slow_sums(pixels, origins, 80)


def test_no_squares_no_sums() -> None:
    assert window_sums(np.ones((5, 5), bool), np.zeros((0, 2), np.int32), 3).shape == (0,)


def test_a_set_square_of_more_than_16_bits_is_counted_whole() -> None:
    pixels = np.ones((1100, 1000), bool)
    assert window_sums(pixels, np.array([[0, 0], [3, 99]], np.int32), 997).tolist() == [997**2] * 2


def test_shares_are_those_of_the_mask_blown_up() -> None:
    rng = np.random.default_rng(3)
    mask = rng.random((20, 30)) < 0.5
    fine = np.kron(mask, np.ones((8, 8), bool))  # one level-0 pixel is an eighth of a mask pixel
    origins = grid(160, 240, 13, 21)
    expected = [fine[y : y + 21, x : x + 21].mean() for x, y in origins]
    found = mask_fractions(mask, origins.astype(np.float64), 21.0, 8.0)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-6)


def test_shares_at_odd_downsamples_are_areas_of_overlap() -> None:
    rng = np.random.default_rng(4)
    mask = rng.random((9, 11)) < 0.5
    side, downsample = 37.3, 8.086312118570184
    origins = rng.uniform(-20, 90, (200, 2))
    rows, columns = np.arange(9), np.arange(11)

    def overlap(start: float, cells: np.ndarray) -> np.ndarray:
        low, high = np.maximum(cells, start / downsample), np.minimum(cells + 1, (start + side) / downsample)
        return np.maximum(high - low, 0)

    expected = [
        (overlap(y, rows)[:, None] * overlap(x, columns) * mask).sum() / (side / downsample) ** 2 for x, y in origins
    ]
    assert np.allclose(mask_fractions(mask, origins, side, downsample), expected, atol=1e-6)


def test_full_is_one_empty_is_zero_and_outside_is_not_set() -> None:
    full, side, downsample = np.ones((40, 50), bool), 100.0, 32.001
    inside = np.random.default_rng(5).uniform(0, 1100, (300, 2))
    assert set(mask_fractions(full, inside, side, downsample).tolist()) == {1.0}
    half = full.copy()
    half[20:] = False
    below = inside + np.array([0, 20 * downsample])
    assert not np.append(mask_fractions(half, below, side, downsample)[below[:, 1] < 1180], 0).any()
    far = np.array([[-500.0, 0], [0, 40 * 32.001], [1e7, 1e7]])
    assert mask_fractions(full, far, side, downsample).tolist() == [0, 0, 0]
    straddling = np.array([[-50.0, 0]])
    assert mask_fractions(full, straddling, side, downsample).tolist() == [0.5]


def test_no_squares_no_shares() -> None:
    assert mask_fractions(np.ones((5, 5), bool), np.zeros((0, 2)), 3.0, 1.0).shape == (0,)
