"""A scale wanted by level or by mpp is found on every slide, resampled by area, or refused with the remedy."""

from collections.abc import Callable

import numpy as np
import pytest

from preprocessing.errors import MissingLevelError, MissingMppError, ScaleTooFineError
from preprocessing.readers.base import Reader, SlideInfo
from preprocessing.resample import read_averaged
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.scales import SlideScale, resolve_scales, slide_mpp
from preprocessing.tiling_settings import Scale, Tiling

INFO = SlideInfo(((1000, 600), (500, 300), (125, 75)), (1.0, 2.0, 8.0), 0.25, 40, "drawn")


def tiling(*scales: Scale, **more: object) -> Tiling:
    return Tiling(scales=scales, window=80, center=50, stride=40, **more)


def by_mpp(mpp: float, info: SlideInfo = INFO, **more: object) -> SlideScale:
    return resolve_scales(info, info.mpp, tiling(Scale(mpp=mpp), **more))[0]


@pytest.mark.parametrize(
    ("mpp", "level", "factor", "effective"),
    [
        (0.25, 0, 1, 0.25),
        (0.5, 1, 1, 0.5),
        (0.51, 1, 1, 0.5),  # within 5 %: the level as it is, and that is what is recorded
        (0.49, 1, 1, 0.5),
        (0.4, 0, 1.6, 0.4),
        (1.0, 1, 2, 1.0),
        (1.5, 1, 3, 1.5),
        (2.0, 2, 1, 2.0),
        (5.0, 2, 2.5, 5.0),
    ],
)
def test_an_mpp_is_read_from_the_next_finer_level_or_from_one_that_is_near(
    mpp: float, level: int, factor: float, effective: float
) -> None:
    found = by_mpp(mpp)
    assert (found.level, found.requested_mpp) == (level, mpp)
    assert found.factor == pytest.approx(factor)
    assert found.effective_mpp == pytest.approx(effective)
    assert found.downsample == pytest.approx(effective / 0.25)
    assert (found.width, found.height) == (int(1000 * 0.25 / effective), int(600 * 0.25 / effective))


def test_tolerance_is_the_recipes() -> None:
    assert by_mpp(0.45, mpp_tolerance=0.2).level == 1
    assert by_mpp(0.45, mpp_tolerance=0.01).level == 0
    assert by_mpp(0.24, mpp_tolerance=0.05).level == 0


def test_a_scale_by_level_is_the_level_and_its_mpp_is_recorded() -> None:
    found = resolve_scales(INFO, 0.25, tiling(Scale(level=0), Scale(level=2)))
    assert [(scale.level, scale.factor, scale.effective_mpp) for scale in found] == [(0, 1, 0.25), (2, 1, 2.0)]
    assert resolve_scales(INFO, None, tiling(Scale(level=1)))[0].effective_mpp is None


def test_a_scale_finer_than_the_slide_is_refused() -> None:
    with pytest.raises(ScaleTooFineError, match=r"0\.1 um per pixel, the finest level of the slide has 0\.25"):
        by_mpp(0.1)


def test_a_missing_level_is_refused() -> None:
    with pytest.raises(MissingLevelError, match="levels 0 to 2"):
        resolve_scales(INFO, None, tiling(Scale(level=3)))


def test_missing_mpp_names_the_three_remedies() -> None:
    with pytest.raises(MissingMppError) as told:
        resolve_scales(INFO, None, tiling(Scale(mpp=0.5)))
    for remedy in ("column mpp", "tiling.mpp", "by level"):
        assert remedy in str(told.value)


def test_the_manifest_is_trusted_before_the_slide_and_the_slide_before_the_recipe() -> None:
    bare = SlideInfo(INFO.level_sizes, INFO.downsamples, None, None, "drawn")
    spoken = tiling(Scale(level=0), mpp=0.3)
    assert slide_mpp(INFO, 0.2, spoken) == (0.2, "manifest")
    assert slide_mpp(INFO, None, spoken) == (0.25, "slide")
    assert slide_mpp(bare, None, spoken) == (0.3, "recipe")
    assert slide_mpp(bare, None, tiling(Scale(level=0))) == (None, None)


def picture(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)


def reader_of(image: np.ndarray) -> Callable[[int, int, int, int], np.ndarray]:
    """White beyond the image."""
    height, width = image.shape[:2]
    framed = np.pad(image, ((height, height), (width, width), (0, 0)), constant_values=255)
    return lambda x, y, wide, high: framed[y + height : y + height + high, x + width : x + width + wide]


@pytest.mark.parametrize(("up", "down"), [(1, 2), (1, 3), (2, 3), (5, 8), (4, 7), (10, 31)])
def test_resampling_is_the_area_average(up: int, down: int) -> None:
    """The slow way: every pixel becomes up x up pixels, and down x down of these are averaged."""
    image = picture(300, 200)
    width, height = 300 * up // down, 200 * up // down
    fine = image.repeat(up, axis=0).repeat(up, axis=1).astype(float)[: height * down, : width * down]
    mean = fine.reshape(height, down, width, down, 3).mean(axis=(1, 3))
    got = read_averaged(reader_of(image), down / up, 0, 0, width, height)
    assert got.shape == mean.shape
    assert np.abs(got - mean).max() <= 0.5 + 1e-3  # rounded to the nearest


def test_a_pixel_is_the_same_in_every_region_and_square(monkeypatch: pytest.MonkeyPatch) -> None:
    image = picture(400, 300)
    whole = read_averaged(reader_of(image), 2.37, 0, 0, 160, 120)
    assert np.array_equal(read_averaged(reader_of(image), 2.37, 31, 17, 60, 50), whole[17:67, 31:91])
    monkeypatch.setattr("preprocessing.resample._SOURCE_SIDE", 64)
    assert np.array_equal(read_averaged(reader_of(image), 2.37, 0, 0, 160, 120), whole)


class Counting(Reader):
    """A slide of one picture that counts the pixels read."""

    def __init__(self, image: np.ndarray) -> None:
        self.path = "drawn"
        self.info = SlideInfo(((image.shape[1], image.shape[0]),), (1.0,), None, None, "drawn")
        self.image = image
        self.pixels = 0

    def _read_inside(self, level: int, x: int, y: int, width: int, height: int, background: int) -> np.ndarray:  # noqa: ARG002
        self.pixels += width * height
        return self.image[y : y + height, x : x + width]

    def close(self) -> None:
        pass


def test_windows_of_a_remembered_region_are_not_read_again() -> None:
    image = picture(400, 300)
    slide = Counting(image)
    scaled = ScaledSlide(slide, [SlideScale(0, 1.0, 1.0, 400, 300, None, None)])
    assert np.array_equal(scaled.region(0, 50, 40, 100, 80), image[40:120, 50:150])
    assert slide.pixels == 8000
    assert np.array_equal(scaled.region(0, 60, 50, 90, 70), image[50:120, 60:150])
    assert np.array_equal(scaled.window(0, 50, 40, 80), image[40:120, 50:130])
    assert slide.pixels == 8000
    assert np.array_equal(scaled.window(0, 71, 40, 80), image[40:120, 71:151])
    assert slide.pixels == 8000 + 6400
    assert scaled.region(0, 51, 40, 100, 80).shape == (80, 100, 3)
    assert slide.pixels == 8000 + 6400 + 8000
