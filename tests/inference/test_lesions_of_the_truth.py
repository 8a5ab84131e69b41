"""What CAMELYON16 takes for a lesion: by arithmetic, and against brute force and real annotations."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label, regionprops

from inference.lesion_truth import PIXEL, EvaluationGrid, TrueLesions, label_lesions, true_lesions
from preprocessing.labels import open_truth
from preprocessing.readers.base import SlideInfo
from preprocessing.readers.opening import read_info
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Labels
from tests.inference.painted import canvas, lesions_of
from tests.inference.slow_camelyon16 import slow_major_axis, slow_regions

REACH = 75 / (0.25 * 32 * 2)  # 4.69 mask pixels of 8 um: neighbors at up to 4 pixels are in


def bars(gap: int) -> NDArray[np.bool_]:
    """Two bars of 40 x 5 pixels, `gap` free pixels between them."""
    pixels = canvas()
    pixels[40:80, 50:55] = pixels[40:80, 55 + gap : 60 + gap] = True
    return pixels


@pytest.mark.parametrize(("um", "joined"), [(0, True), (30, True), (60, True), (90, False), (120, False)])
def test_regions_up_to_60_um_apart_are_one_lesion_and_90_um_apart_are_two(um: float, joined: bool) -> None:
    """In pixels of 7.5 um the reach of 37.5 um is 5, not included: both sides grow by 4 pixels, which closes 8."""
    lesions = lesions_of(bars(int(um / 7.5)), mpp=7.5 / 32)
    assert len(lesions.shapes) == (1 if joined else 2)


@pytest.mark.parametrize(("gap", "joined"), [(8, True), (9, False)])
def test_the_last_gap_that_closes(gap: int, joined: bool) -> None:
    assert len(lesions_of(bars(gap), mpp=7.5 / 32).shapes) == (1 if joined else 2)
    assert len(lesions_of(bars(gap).T, mpp=7.5 / 32).shapes) == (1 if joined else 2)


def test_regions_that_touch_at_a_corner_are_one_lesion() -> None:
    pixels = canvas()
    pixels[20:50, 20:50] = pixels[50:80, 50:80] = True
    assert label_lesions(pixels, 1.0).max() == 1  # a distance under 1 adds nothing
    pixels[50, 50] = False
    assert label_lesions(pixels, 1.0).max() == 2


def test_regions_that_touch_at_a_corner_only_once_grown_are_one_lesion() -> None:
    """Along the diagonal each corner grows by 3 pixels of 8 um."""
    pixels = canvas()
    pixels[20:50, 20:50] = pixels[56:86, 56:86] = True
    assert lesions_of(pixels).labels.max() == 1
    pixels[:] = False
    pixels[20:50, 20:50] = pixels[57:87, 57:87] = True
    assert lesions_of(pixels).labels.max() == 2


def test_holes_are_filled_and_what_lies_in_them_is_lesion() -> None:
    pixels = canvas()
    pixels[20:80, 20:80] = True
    pixels[30:70, 30:70] = False  # 40 pixels wide: the growth alone leaves 32
    lesions = lesions_of(pixels)
    assert len(lesions.shapes) == 1
    assert lesions.at(50 * 32, 50 * 32) == 1


def test_a_bay_is_no_hole_even_where_its_mouth_is_diagonal() -> None:
    """The outside reaches in over edges of pixels, not over corners."""
    ring = np.ones((9, 9), bool)
    ring[1:8, 1:8] = False
    closed = np.pad(ring, 2)
    assert label_lesions(closed, 1.0)[6, 6] == 1  # a distance under 1 adds nothing: filled
    open_edge = closed.copy()
    open_edge[2, 6] = False
    assert label_lesions(open_edge, 1.0)[6, 6] == 0
    open_corner = closed.copy()
    open_corner[2, 2] = False  # the corner of the ring: inside and outside meet at points only
    assert label_lesions(open_corner, 1.0)[6, 6] == 1


def test_a_hole_at_the_rim_of_the_slide_is_open() -> None:
    pixels = canvas()
    pixels[0:40, 20:80] = True
    pixels[0:25, 35:65] = False
    assert lesions_of(pixels).at(50 * 32, 5 * 32) == 0
    assert lesions_of(pixels).at(50 * 32, 35 * 32) == 1


@pytest.mark.parametrize(("length", "isolated"), [(1, True), (22, True), (23, False), (60, False)])
def test_isolated_tumor_cells_by_the_major_axis(length: int, isolated: bool) -> None:
    """A bar of n x 1 pixels of 8 um grows to n + 8, rounded at the ends; 275 um are 34.4 pixels.

    The axis of a bar is 4 / sqrt(12) = 1.15 of its length, so about 30 pixels, 22 and the growth, are the limit.
    """
    pixels = canvas()
    pixels[60, 30 : 30 + length] = True
    lesions = lesions_of(pixels)
    (shape,) = lesions.shapes
    by_loops = slow_major_axis(slow_regions(pixels.tolist(), REACH), 1)
    assert shape.major_axis == pytest.approx(by_loops * 8)
    assert shape.isolated is isolated
    assert shape.isolated == (by_loops < 275 / 8)


def test_a_square_has_the_major_axis_of_its_variance() -> None:
    """30 pixels in a row have a variance of (30**2 - 1) / 12, in both directions; nothing grows here."""
    pixels = np.pad(np.ones((30, 30), bool), 5)
    (shape,) = TrueLesions(label_lesions(pixels, 1.0), 10, 20, EvaluationGrid(100, 100, 32, 8.0)).shapes
    assert shape.major_axis == pytest.approx(8 * 4 * np.sqrt(899 / 12))
    assert shape.area == pytest.approx(900 * 64e-6)
    assert (shape.x, shape.y) == ((10 + 5 + 15) * 32, (20 + 5 + 15) * 32)


@pytest.mark.parametrize("seed", range(25))
def test_random_masks_against_brute_force(seed: int) -> None:
    """Also where tumor lies at the rim of the slide, and masks from empty to full."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(12, 34, 2)
    pixels = rng.random((height, width)) < rng.choice([0.004, 0.02, 0.05, 0.3])
    lesions = lesions_of(pixels, mpp=float(rng.choice([0.2, 0.25, 0.3])))
    reach = 37.5 / lesions.grid.pixel
    wanted = np.array(slow_regions(pixels.tolist(), reach))
    got = np.zeros((height, width), int)
    bottom, right = lesions.top + lesions.labels.shape[0], lesions.left + lesions.labels.shape[1]
    got[lesions.top : bottom, lesions.left : right] = lesions.labels
    np.testing.assert_array_equal(got, wanted)
    axes = [slow_major_axis(wanted.tolist(), label) * lesions.grid.pixel for label in range(1, wanted.max() + 1)]
    assert [shape.major_axis for shape in lesions.shapes] == pytest.approx(axes)
    assert [shape.isolated for shape in lesions.shapes] == [axis < 275 for axis in axes]


def test_strips_leave_no_seam() -> None:
    """Distances are computed 128 rows at a time."""
    rng = np.random.default_rng(5)
    pixels = rng.random((700, 60)) < 0.002
    lesions = lesions_of(pixels)
    rows, columns = np.nonzero(pixels)
    down, across = np.ogrid[:700, :60]
    near = np.zeros_like(pixels)
    for row, column in zip(rows, columns, strict=True):
        near |= np.hypot(down - row, across - column) < REACH
    found = np.zeros_like(pixels)
    height, width = lesions.labels.shape
    found[lesions.top : lesions.top + height, lesions.left : lesions.left + width] = lesions.labels > 0
    assert (found >= near).all()  # and more only where a hole was filled
    assert (found & ~near).sum() < 0.02 * near.sum()


@pytest.mark.parametrize(
    ("mpp", "downsample"), [(0.243, 32), (0.226, 32), (0.25, 32), (0.5, 16), (0.121, 64), (1.0, 8), (7.776, 1), (20, 1)]
)
def test_mask_pixels_are_about_those_of_level_5(mpp: float, downsample: int) -> None:
    grid = EvaluationGrid.of(1000, 2001, mpp)
    assert (grid.downsample, grid.pixel) == (downsample, mpp * downsample)
    assert (grid.width, grid.height) == (-(-1000 // downsample), -(-2001 // downsample))
    assert mpp > PIXEL or 2**-0.5 <= grid.pixel / PIXEL <= 2**0.5


def real_lesions(entry: SlideEntry, size: tuple[int, int], mpp: float) -> TrueLesions:
    info = SlideInfo((size,), (1.0,), mpp, None, "drawn")
    grid = EvaluationGrid.of(*size, mpp)
    with open_truth(entry, info, grid.downsample, Labels()) as truth:
        assert truth is not None
        return true_lesions(truth, grid)


def test_real_annotation_with_holes(real: Path) -> None:
    """tumor_064: 11 outlines, some less than 75 um apart, and 24 holes; in the words of SciPy and skimage."""
    slide = SlideEntry("tumor_064", "none", annotation=str(real / "camelyon16" / "tumor_064.xml"))
    lesions = real_lesions(slide, (97792, 221184), 0.243)
    assert len(lesions.shapes) == 8
    assert sum(shape.isolated for shape in lesions.shapes) == 3
    grid = lesions.grid
    info = SlideInfo(((97792, 221184),), (1.0,), 0.243, None, "drawn")
    with open_truth(slide, info, 32, Labels()) as truth:
        assert truth is not None
        tumor = truth.labels(0, 0, grid.width, grid.height) > 0  # at once, not part by part
    rows, columns = (slice(start - 9, start + size + 9) for start, size in boxed(lesions))
    distance = ndimage.distance_transform_edt(~tumor[rows, columns])
    wanted = label(ndimage.binary_fill_holes(distance < 75 / (0.243 * 32 * 2)), connectivity=2)
    np.testing.assert_array_equal(wanted[9:-9, 9:-9], lesions.labels)
    by_skimage = [region.axis_major_length for region in regionprops(wanted)]
    assert [shape.major_axis for shape in lesions.shapes] == pytest.approx([axis * 7.776 for axis in by_skimage])


def boxed(lesions: TrueLesions) -> list[tuple[int, int]]:
    """First row and rows, first column and columns."""
    return list(zip((lesions.top, lesions.left), lesions.labels.shape, strict=True))


def test_the_same_lesions_from_level_0_and_from_a_file_of_level_5(real: Path) -> None:
    """tumor_001 lies there both ways: 32 level-0 pixels a mask pixel, and one."""
    fine = SlideEntry("tumor_001", "none", annotation=str(real / "camelyon16" / "tumor_001.xml"))
    coarse = SlideEntry("tumor_001", "none", annotation=str(real / "camelyon16" / "tumor_001_level5.xml"))
    at_level_0 = real_lesions(fine, (3072 * 32, 7168 * 32), 0.243)
    at_level_5 = real_lesions(coarse, (3072, 7168), 7.776)
    np.testing.assert_array_equal(at_level_0.labels, at_level_5.labels)
    mask = SlideEntry("tumor_001", "none", mask=str(real / "camelyon16" / "tumor_001_level5_mask.png"))
    painted = real_lesions(mask, (3072, 7168), 7.776)
    assert len(painted.shapes) == len(at_level_0.shapes) == 2
    for one, other in zip(painted.shapes, at_level_0.shapes, strict=True):
        assert one.major_axis == pytest.approx(other.major_axis, rel=0.02)


def test_a_pyramid_of_a_mask_and_polygons_agree(real: Path) -> None:
    """The mosaics have both; a mask is read at the level nearest to the evaluation's, polygons at pixel centers."""
    mosaic = real / "mosaic"
    info = read_info(str(mosaic / "tumor_101.tif"))
    grid = EvaluationGrid.of(info.width, info.height, 0.243)
    found = []
    polygons = SlideEntry("tumor_101", "none", annotation=str(mosaic / "tumor_101.xml"))
    mask = SlideEntry("tumor_101", "none", mask=str(mosaic / "tumor_101_mask.tif"))
    for slide in (polygons, mask):
        with open_truth(slide, info, grid.downsample, Labels()) as truth:
            assert truth is not None
            found.append(true_lesions(truth, grid))
    assert len(found[0].shapes) == len(found[1].shapes) > 0
    for one, other in zip(found[0].shapes, found[1].shapes, strict=True):
        assert (one.x, one.y) == pytest.approx((other.x, other.y), abs=32)
        assert one.area == pytest.approx(other.area, rel=0.05)
