"""Each pair of method and quality gives the mask that the docs promise."""

import numpy as np
import pytest

from preprocessing.tiling_settings import Tissue
from preprocessing.tissue_rules.otsu import otsu_tissue
from preprocessing.tissue_rules.quality import usable
from preprocessing.tissue_rules.thumbnail_mask import thumbnail_tissue
from tests.preprocessing.tissue import scenes


def marked_slide() -> np.ndarray:
    cover = scenes.stroke([(40, 60), (250, 300)], 30)
    return scenes.absorb(scenes.slide(), cover[..., None] * scenes.INKS["green"])


@pytest.mark.parametrize("method", ["gray", "histopath", "bright"])
def test_window_rules_need_no_thumbnail_without_quality(method: str) -> None:
    recipe = Tissue(method=method)
    assert not recipe.needs_thumbnail
    assert thumbnail_tissue(marked_slide(), 8.0, recipe) is None


@pytest.mark.parametrize("method", ["gray", "histopath", "bright"])
def test_window_rules_with_quality_ask_what_is_usable(method: str) -> None:
    recipe = Tissue(method=method, quality=True)
    assert recipe.needs_thumbnail
    assert np.array_equal(thumbnail_tissue(marked_slide(), 8.0, recipe), usable(marked_slide(), 8.0))


def test_otsu_is_the_mask_and_quality_takes_the_ink_out() -> None:
    whole, clean = (thumbnail_tissue(marked_slide(), 8.0, Tissue(method="otsu", quality=q)) for q in (False, True))
    assert np.array_equal(whole, otsu_tissue(marked_slide(), 8.0))
    assert np.array_equal(clean, whole & usable(marked_slide(), 8.0))
    assert clean.sum() < whole.sum()
