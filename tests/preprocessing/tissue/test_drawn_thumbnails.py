"""The quality rules on drawn slides: the pen is out, against the same slide drawn without it; the tumor is in."""

from pathlib import Path

import numpy as np
import openslide
import pytest
from scipy import ndimage

from histospark.drawing import draw_slide, slides
from preprocessing.tissue_rules.otsu import otsu_tissue
from preprocessing.tissue_rules.quality import usable

_LEVEL, _MPP = 4, 0.25 * 16


def thumbnail(path: Path) -> np.ndarray:
    with openslide.OpenSlide(str(path)) as slide:
        return np.asarray(slide.read_region((0, 0), _LEVEL, slide.level_dimensions[_LEVEL]).convert("RGB"))


@pytest.mark.parametrize(("seed", "pen"), [(1, True), (2, True), (6, True), (4, False)])
def test_pen_is_out_and_tumor_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, pen: bool) -> None:
    drawn = draw_slide(tmp_path, "as_is", seed=seed, side=2048, lesions=2)
    monkeypatch.setattr(slides, "_PEN_CHANCE", 0.0)
    clean = draw_slide(tmp_path, "clean", seed=seed, side=2048, lesions=2)
    pixels, without = thumbnail(drawn.path), thumbnail(clean.path)
    ink = (without.astype(int) - pixels).max(axis=-1) > 60
    tumor = thumbnail(tmp_path / "as_is_mask.tif")[..., 0] > 127
    found = usable(pixels, _MPP)
    assert ink.any() == pen
    assert found[ink].mean() < 0.02 if pen else found.all()
    assert found[ndimage.distance_transform_edt(~ink) > 6].all() or not pen
    assert found[tumor & ~ink].mean() > 0.995
    assert otsu_tissue(pixels, _MPP)[tumor].mean() > 0.99
    assert usable(without, _MPP).all()
