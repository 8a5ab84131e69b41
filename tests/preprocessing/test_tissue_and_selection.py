"""The gray rule against its formula, and sums against loops."""

import numpy as np

from preprocessing.tiling_settings import Tissue
from preprocessing.tissue import is_tissue, window_sums
from tests import reference


def test_gray_rule_on_every_third_color() -> None:
    steps = np.arange(0, 256, 3, dtype=np.uint8)
    colors = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(steps.size, -1, 3)
    found = is_tissue(colors, Tissue(max_gray=0.8))
    assert np.array_equal(found, reference.is_tissue(colors, 0.8))
    assert 0 < found.sum() < found.size


def test_limit_itself_is_tissue() -> None:
    shades = np.array([[203, 204, 205]], np.uint8)[..., None].repeat(3, axis=-1)
    assert is_tissue(shades, Tissue(max_gray=0.8)).tolist() == [[True, True, False]]


def test_window_sums_are_the_sums_of_windows() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.random((70, 90)) < 0.3
    origins = np.array([[0, 0], [80, 60], [13, 5], [80, 0]], np.int32)
    expected = [pixels[y : y + 10, x : x + 10].sum() for x, y in origins]
    assert window_sums(pixels, origins, 10).tolist() == expected
