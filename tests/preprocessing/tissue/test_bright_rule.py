"""The bright rule against the formula of BT.601 in whole numbers, and in a slide's windows."""

import numpy as np
import pytest

from preprocessing.tiling_settings import Tissue
from preprocessing.tissue_judge import CoarseMask, tissue_judge
from preprocessing.tissue_rules.bright import bright_tissue
from tests import reference
from tests.preprocessing.test_tissue_judge import MASK, ORIGINS, Painted, scaled


@pytest.mark.parametrize("min_gray", [0.0, 0.1, 0.35, 1.0])
def test_bright_is_what_the_gray_rule_of_the_same_limit_leaves(min_gray: float) -> None:
    steps = np.arange(0, 256, 5, dtype=np.uint8)
    colors = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(steps.size, -1, 3)
    assert np.array_equal(bright_tissue(colors, min_gray), ~reference.is_tissue(colors, min_gray))


def test_black_is_the_only_background_by_default_and_the_limit_itself_is_background() -> None:
    shades = np.array([[0, 1, 25, 26]], np.uint8)[..., None].repeat(3, axis=-1)
    assert bright_tissue(shades, Tissue(method="bright").min_gray).tolist() == [[False, True, True, True]]
    assert bright_tissue(shades, 0.1).tolist() == [[False, False, False, True]]  # 25.5


def test_windows_are_judged_by_their_bright_pixels_where_the_thumbnail_allows() -> None:
    """Every second column is white."""
    judge = tissue_judge(Tissue(method="bright", min_gray=0.5), None)
    assert judge.fractions(scaled(Painted()), ORIGINS, 50) == pytest.approx([0.5] * 3)
    mask = CoarseMask(MASK, 8.0)
    got = tissue_judge(Tissue(method="bright", quality=True), mask).fractions(scaled(Painted()), ORIGINS, 50)
    known = MASK.repeat(8, axis=0).repeat(8, axis=1)
    wanted = [(known[y : y + 50, x : x + 50] * (np.arange(x, x + 50) % 2)).mean() for x, y in ORIGINS.tolist()]
    assert got == pytest.approx(wanted, abs=1e-6)
