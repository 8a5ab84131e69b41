"""Slides made small are averages of all their pixels, at the resolution asked for, in bounded memory."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from preprocessing.readers.base import Reader, SlideInfo
from preprocessing.readers.opening import open_slide
from preprocessing.readers.thumbnail import slide_picture, slide_thumbnail


class Painted(Reader):
    """Levels that need no memory: each pixel is a function of its place. Counts what is read."""

    name = "painted"

    def __init__(self, width: int, height: int, downsamples: tuple[float, ...] = (1.0,)) -> None:
        sizes = tuple((round(width / downsample), round(height / downsample)) for downsample in downsamples)
        self.info = SlideInfo(sizes, downsamples, 0.25, None, "painted")
        self.largest = 0
        self.read_levels: set[int] = set()

    def _read_inside(self, level: int, x: int, y: int, width: int, height: int, background: int) -> NDArray[np.uint8]:
        del background
        self.largest = max(self.largest, width * height)
        self.read_levels.add(level)
        rows, columns = np.arange(y, y + height)[:, None], np.arange(x, x + width)
        return np.stack(
            [(rows * 7 + columns * 3) % 256, (rows // 5) % 256 + 0 * columns, columns % 256 + 0 * rows], -1
        ).astype(np.uint8)

    def close(self) -> None:
        pass


def plain_average(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.float64]:
    """The mean of each square, by sums along both axes."""
    height, width, _ = pixels.shape
    sums = np.add.reduceat(pixels.astype(np.int64), np.arange(0, height, factor), axis=0)
    sums = np.add.reduceat(sums, np.arange(0, width, factor), axis=1)
    ones = np.ones((height, width, 1), np.int64)
    counts = np.add.reduceat(np.add.reduceat(ones, np.arange(0, height, factor), 0), np.arange(0, width, factor), 1)
    return sums / counts


def test_each_pixel_is_the_mean_of_its_square_at_the_rims_too() -> None:
    slide = Painted(3301, 2111)
    thumbnail = slide_thumbnail(slide, mpp=4.0, target_mpp=8.0)
    assert thumbnail.downsample == 2.0
    expected = plain_average(slide.read(0, 0, 0, 3301, 2111), 2)
    assert thumbnail.rgb.shape == expected.shape
    assert np.abs(thumbnail.rgb - expected).max() <= 0.51


@pytest.mark.parametrize(
    ("mpp", "level", "downsample"),
    [(0.25, 2, 32.0), (0.5, 2, 16.0), (None, 2, 32.0), (1.0, 1, 8.0), (8.0, 0, 1.0), (20.0, 0, 1.0)],
)
def test_it_is_made_of_the_coarsest_level_that_is_fine_enough(mpp: float | None, level: int, downsample: float) -> None:
    slide = Painted(64_000, 12_800, (1.0, 4.0, 16.0))
    longest = 8192 if downsample > 7 else 100_000
    if downsample == 1.0:
        slide = Painted(6_400, 1_280, (1.0, 4.0, 16.0))
    thumbnail = slide_thumbnail(slide, mpp, longest=longest)
    assert thumbnail.downsample == downsample
    width, height = slide.info.level_sizes[0]
    assert thumbnail.shape == (-(-height // downsample), -(-width // downsample))
    assert thumbnail.rgb.shape == (*thumbnail.shape, 3)
    assert slide.read_levels == {level}


def test_the_longest_side_goes_before_the_resolution() -> None:
    slide = Painted(30_000, 800)
    thumbnail = slide_thumbnail(slide, mpp=8.0, longest=4000)
    assert thumbnail.downsample == 8.0
    assert thumbnail.rgb.shape == (100, 3750, 3)


def test_a_known_resolution_is_kept_to_however_small_the_slide() -> None:
    assert slide_thumbnail(Painted(1400, 900), mpp=0.25).downsample == 32.0


def test_a_small_slide_of_unknown_resolution_keeps_its_detail() -> None:
    assert slide_thumbnail(Painted(1400, 900), mpp=None).downsample == 1.0
    assert slide_thumbnail(Painted(4600, 900), mpp=None).downsample == 3.0


@pytest.mark.parametrize("width", [100_000, 7_001])
def test_a_slide_of_one_large_level_is_read_in_blocks(width: int) -> None:
    slide = Painted(width, 1_100)
    assert slide_thumbnail(slide, mpp=0.25).rgb.shape == (35, -(-width // 32), 3)
    assert 0 < slide.largest <= 1 << 22


@pytest.mark.parametrize(
    ("width", "height", "mpp"),
    [(900, 2500, 8.0), (8000, 1100, 8.0), (4300, 1500, 2.5), (70_000, 90, 0.25), (40, 30, 0.25)],
)
def test_strips_are_the_thumbnail_and_none_is_large(width: int, height: int, mpp: float) -> None:
    slide = Painted(width, height)
    thumbnail = slide_thumbnail(slide, mpp)
    strips = list(thumbnail.strips())
    assert np.array_equal(np.concatenate(strips), thumbnail.rgb)
    at_once = Image.fromarray(slide.read(0, 0, 0, width, height)).reduce(int(thumbnail.downsample))
    assert np.array_equal(thumbnail.rgb, at_once)
    assert max(strip.nbytes for strip in strips) <= 3 << 22


class Tiled(Painted):
    """Has tiles of 240 pixels that may be read alone; notes what is read."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self.regions: list[tuple[int, int, int, int]] = []

    def tile_side(self, level: int) -> int | None:
        del level
        return 240

    def _read_inside(self, level: int, x: int, y: int, width: int, height: int, background: int) -> NDArray[np.uint8]:
        self.regions.append((x, y, width, height))
        return super()._read_inside(level, x, y, width, height, background)


@pytest.mark.parametrize("factor", [1, 3, 7, 16])
def test_tiles_are_read_alone_and_once_where_squares_lie_within(factor: int) -> None:
    slide = Tiled(1000, 730)
    thumbnail = slide_thumbnail(slide, mpp=8.0 / factor).rgb
    regions = list(slide.regions)
    assert np.array_equal(thumbnail, Image.fromarray(slide.read(0, 0, 0, 1000, 730)).reduce(factor))
    if factor == 7:
        assert len(regions) == 1
    else:
        tiles = [(x, y, min(240, 1000 - x), min(240, 730 - y)) for y in range(0, 730, 240) for x in range(0, 1000, 240)]
        assert regions == tiles


def test_a_tall_slide_costs_no_more_memory_than_a_flat_one() -> None:
    largest = []
    for height in (3_000, 12_000):
        slide = Painted(4_000, height, (1.0, 2.0))
        assert sum(len(strip) for strip in slide_thumbnail(slide, mpp=4.0).strips()) == height // 2
        largest.append(slide.largest)
    assert largest[0] == largest[1] <= 1 << 20


def test_pixels_are_read_once_where_all_are_wanted() -> None:
    slide = Painted(900, 700)
    thumbnail = slide_thumbnail(slide, mpp=8.0)
    assert slide.largest == 0
    assert thumbnail.rgb is thumbnail.rgb


def test_a_picture_is_as_long_as_asked_for_and_never_enlarged() -> None:
    assert slide_picture(Painted(5000, 2500), 777).shape == (388, 777, 3)
    assert slide_picture(Painted(2500, 5000, (1.0, 2.0)), 1000).shape == (1000, 500, 3)
    assert slide_picture(Painted(300, 200), 1000).shape == (200, 300, 3)
    assert slide_picture(Painted(3000, 2), 100).shape == (1, 100, 3)


def test_real_thumbnails_look_like_the_slide(real: Path) -> None:
    with open_slide(str(real / "wsi" / "CMU-1-Small-Region.svs")) as slide:
        whole = Image.fromarray(slide.read(0, 0, 0, *slide.info.level_sizes[0]))
        picture = slide_picture(slide, 500)
        thumbnail = slide_thumbnail(slide, slide.info.mpp).rgb
    expected = np.asarray(whole.resize((picture.shape[1], picture.shape[0]), Image.Resampling.BOX)).astype(int)
    assert np.abs(picture - expected).mean() < 4
    assert thumbnail.shape == (186, 139, 3)


def test_a_level_of_real_tissue_is_the_mean_of_the_finer_one(real: Path) -> None:
    with open_slide(str(real / "mosaic" / "normal_101.tif")) as slide:
        thumbnail = slide_thumbnail(slide, mpp=4.0)  # level 0 of 4608 px, read at 1.536 at most
        assert thumbnail.downsample == 2.0
        assert np.array_equal(thumbnail.rgb, slide.read(1, 0, 0, 2304, 2304))
