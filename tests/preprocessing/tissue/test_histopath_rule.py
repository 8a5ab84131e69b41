"""deep-histopath's tests against the published steps, done slowly with footprints."""

from pathlib import Path

import numpy as np
import openslide
import pytest
from scipy import ndimage
from skimage.color import rgb2gray
from skimage.feature import canny
from skimage.morphology import disk

from preprocessing.tissue_rules.disks import close, dilate, erode
from preprocessing.tissue_rules.histopath import histopath_fraction


def slow_share(mask: np.ndarray, radius: int) -> float:
    footprint = disk(radius)
    closed = ndimage.binary_erosion(ndimage.binary_dilation(mask, footprint), footprint, border_value=1)
    return float(ndimage.binary_fill_holes(ndimage.binary_dilation(closed, footprint)).mean())


def slow_fraction(rgb: np.ndarray) -> float:
    density = -np.log((rgb.astype(np.float64) + 1) / 240)
    return min(slow_share(canny(1 - rgb2gray(rgb)), 10), slow_share(density.min(axis=2) >= 0.15, 2))


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 10, 23])
@pytest.mark.parametrize("shape", [(90, 101), (1, 40), (40, 1), (5, 5)])
def test_disks_are_those_of_the_footprint_borders_included(radius: int, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(radius)
    for share in (0.002, 0.05, 0.7, 0.998):
        mask = rng.random(shape) < share
        mask[-1, 0] = True
        footprint = disk(radius)
        grown = ndimage.binary_dilation(mask, footprint)
        assert np.array_equal(dilate(mask, radius), grown)
        assert np.array_equal(erode(mask, radius), ndimage.binary_erosion(mask, footprint, border_value=1))
        assert np.array_equal(close(mask, radius), ndimage.binary_erosion(grown, footprint, border_value=1))


def test_disk_wider_than_bytes_can_count() -> None:
    mask = np.zeros((3, 700), bool)
    mask[1, 350] = True
    for radius in (127, 128, 200, 300):
        assert dilate(mask, radius).sum(axis=1)[1] == 2 * radius + 1
        assert close(mask, radius).sum() == 1


def test_empty_and_full_masks_stay_what_they_are() -> None:
    empty, full = np.zeros((30, 30), bool), np.ones((30, 30), bool)
    assert not dilate(empty, 10).any()
    assert not close(empty, 10).any()
    assert erode(full, 10).all()
    assert close(full, 10).all()


def test_glass_has_no_tissue_and_noise_on_gray_is_all_tissue() -> None:
    assert histopath_fraction(np.full((64, 64, 3), 245, np.uint8)) == 0
    busy = np.random.default_rng(1).integers(40, 160, (64, 64, 3), np.uint8)
    assert histopath_fraction(busy) == 1


@pytest.mark.parametrize("value", [205, 206])
def test_density_test_parts_where_the_formula_does(value: int) -> None:
    window = np.random.default_rng(2).integers(0, 120, (64, 64, 3), np.uint8)
    window[..., 0] = value
    assert histopath_fraction(window) == (1 if -np.log((value + 1) / 240) >= 0.15 else 0)


def test_windows_of_a_real_slide_are_judged_as_published(real: Path) -> None:
    with openslide.OpenSlide(str(real / "wsi" / "CMU-1-Small-Region.svs")) as slide:
        region = np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"))
    shares = []
    for x, y in [(0, 0), (700, 100), (900, 1100), (1200, 1800), (600, 2600), (1900, 2700), (760, 2000)]:
        window = region[y : y + 256, x : x + 256]
        shares.append(histopath_fraction(window))
        assert shares[-1] == slow_fraction(window)
    assert min(shares) < 0.1
    assert max(shares) > 0.9
