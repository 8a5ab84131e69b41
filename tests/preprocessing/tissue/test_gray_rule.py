"""The gray rule against the formula of BT.601 in whole numbers, and against the pixels of a real slide."""

from pathlib import Path

import numpy as np
import openslide
import pytest

from preprocessing.tissue_rules.gray import gray_tissue
from tests import reference


@pytest.mark.parametrize("max_gray", [0.0, 0.35, 0.8, 1.0])
def test_gray_rule_on_every_third_color(max_gray: float) -> None:
    steps = np.arange(0, 256, 3, dtype=np.uint8)
    colors = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(steps.size, -1, 3)
    assert np.array_equal(gray_tissue(colors, max_gray), reference.is_tissue(colors, max_gray))


def test_limit_itself_is_tissue() -> None:
    shades = np.array([[203, 204, 205]], np.uint8)[..., None].repeat(3, axis=-1)
    assert gray_tissue(shades, 0.8).tolist() == [[True, True, False]]


def test_a_view_that_is_not_contiguous_is_judged_as_its_copy() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)
    view = pixels[::2, 3:40]
    assert np.array_equal(gray_tissue(view, 0.5), gray_tissue(view.copy(), 0.5))


def test_equals_the_float_comparison_on_a_real_slide(real: Path) -> None:
    with openslide.OpenSlide(str(real / "wsi" / "CMU-1-Small-Region.svs")) as slide:
        image = slide.read_region((0, 0), 0, slide.dimensions).convert("RGB")
    gray = np.asarray(image.convert("L"), np.float64)
    assert np.array_equal(gray_tissue(np.asarray(image), 0.8), gray <= 0.8 * 255)
