"""Otsu on saturation: painted truth, images of one class, and sizes in µm."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.color import rgb2hsv
from skimage.filters import threshold_otsu

from preprocessing.tissue_rules.color import saturation, value_and_chroma
from preprocessing.tissue_rules.otsu import median_of_nine, otsu_tissue, saturation_threshold
from tests.preprocessing.tissue import scenes


@pytest.mark.parametrize("seed", range(3))
def test_finds_the_painted_tissue(seed: int) -> None:
    found = otsu_tissue(scenes.slide(seed), scenes.MPP)
    truth = scenes.tissue_place()
    assert found[truth].all()
    assert not found[~ndimage.binary_dilation(truth, iterations=3)].any()


def test_saturation_is_that_of_hsv() -> None:
    colors = np.random.default_rng(1).integers(0, 256, (200, 200, 3), np.uint8)
    colors[0, 0] = 0
    found = saturation(*value_and_chroma(colors))
    assert np.abs(found / 255 - rgb2hsv(colors)[..., 1]).max() < 1.01 / 255


@pytest.mark.parametrize("shape", [(57, 64), (1, 9), (2, 2), (300, 700)])
def test_median_is_that_of_scipy(shape: tuple[int, int]) -> None:
    plane = np.random.default_rng(2).integers(0, 256, shape, np.uint8)
    assert np.array_equal(median_of_nine(plane), ndimage.median_filter(plane, 3, mode="reflect"))


@pytest.mark.parametrize("value", [0, 128, 243, 255])
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (1, 400), (200, 300)])
def test_one_gray_has_no_tissue(value: int, shape: tuple[int, int]) -> None:
    assert not otsu_tissue(np.full((*shape, 3), value, np.uint8), None).any()


def test_noise_of_bare_glass_is_no_tissue() -> None:
    assert not otsu_tissue(scenes.glass(), scenes.MPP).any()


def test_a_view_full_of_tissue_is_all_tissue() -> None:
    inside = scenes.slide()[200:400, 180:320]
    plane = saturation(*value_and_chroma(inside))
    assert (plane > threshold_otsu(plane)).mean() < 0.9  # Otsu alone would part it
    assert otsu_tissue(inside, scenes.MPP).all()


def test_deep_stain_does_not_push_pale_tissue_out() -> None:
    thumbnail = scenes.absorb(scenes.slide(), np.zeros(3))
    pale = scenes.absorb(scenes.glass(150, 150), 0.14 * scenes.EOSIN)
    thumbnail[20:170, 20:170] = pale
    assert otsu_tissue(thumbnail, scenes.MPP)[30:160, 30:160].all()


def test_threshold_stays_between_its_bounds() -> None:
    rng = np.random.default_rng(3)
    for share in (0.0, 0.01, 0.5, 0.99, 1.0):
        glass, tissue = rng.integers(0, 6, 5000), rng.integers(120, 200, 5000)
        plane = np.where(rng.random(5000) < share, tissue, glass).astype(np.uint8)[None]
        assert 0.07 <= saturation_threshold(plane) <= 0.17


@pytest.mark.parametrize("mpp", [4.0, 8.0, 16.0])
def test_small_pieces_and_holes_go_by_their_size_in_um(mpp: float) -> None:
    thumbnail = np.full((round(4000 / mpp), round(4000 / mpp), 3), 243, np.uint8)

    def paint(color: tuple[int, int, int], x_um: int, side_um: int) -> tuple[slice, slice]:
        rows, columns = (
            slice(round(start / mpp), round((start + side_um) / mpp)) for start in (2000 - side_um / 2, x_um)
        )
        thumbnail[rows, columns] = color
        return rows, columns

    large = paint((160, 90, 150), 200, 1600)
    small_hole = paint((243, 243, 243), 600, 128)
    large_hole = paint((243, 243, 243), 1100, 400)
    piece, speck = paint((160, 90, 150), 2200, 96), paint((160, 90, 150), 3000, 32)
    found = otsu_tissue(thumbnail, mpp)
    assert found[small_hole].all()
    assert found[piece].mean() > 0.8
    assert found[large].mean() > 0.9
    assert found[large_hole].mean() < 0.2
    assert not found[speck].any()


def test_unknown_mpp_is_taken_as_8() -> None:
    thumbnail = scenes.slide(1)
    assert np.array_equal(otsu_tissue(thumbnail, None), otsu_tissue(thumbnail, 8.0))
