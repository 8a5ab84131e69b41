"""Direct reading gives OpenSlide's pixels and facts, whatever the layout of the file, and each tile is decoded once."""

import os
import threading
from pathlib import Path

import numpy as np
import openslide
import pytest
from numpy.typing import NDArray
from PIL import Image

from preprocessing.readers import direct_reader
from preprocessing.readers.direct_reader import DirectReader
from preprocessing.readers.openslide_reader import OpenSlideReader
from tests.preprocessing.readers.making import texture, write_pyramid

REAL_SLIDES = [
    *(
        f"mosaic/{name}.tif"
        for name in ("normal_101", "normal_102", "tumor_101", "tumor_102", "tumor_103", "tumor_104")
    ),
    "camelyon16/tumor_001_level5.tif",
    "wsi/CMU-1-Small-Region.svs",
    "wsi/bad/small.svs",
]


def by_openslide(
    slide: openslide.OpenSlide, level: int, x: int, y: int, width: int, height: int, background: int = 255
) -> NDArray[np.uint8]:
    """The region as OpenSlide's own Python binding gives it, composed on a background by Pillow."""
    downsample = slide.level_downsamples[level]
    image = slide.read_region((round(x * downsample), round(y * downsample)), level, (width, height))
    canvas = Image.new("RGBA", image.size, (background, background, background, 255))
    canvas.alpha_composite(image)
    return np.asarray(canvas.convert("RGB"))


def assert_same_regions(path: Path, count: int, longest: int) -> None:
    """Random regions of every level, within, at and beyond the rims, where OpenSlide does not resample."""
    rng = np.random.default_rng(7)
    with DirectReader(str(path)) as direct, openslide.OpenSlide(str(path)) as reference:
        for level, (level_width, level_height) in enumerate(reference.level_dimensions):
            whole = float(reference.level_downsamples[level]).is_integer()
            for _ in range(count):
                width, height = (int(side) for side in rng.integers(1, longest, 2))
                x = int(rng.integers(-width, level_width + 10)) if whole else 0
                y = int(rng.integers(-height, level_height + 10)) if whole else 0
                background = int(rng.choice([255, 0, 128]))
                ours = direct.read(level, x, y, width, height, background)
                theirs = by_openslide(reference, level, x, y, width, height, background)
                assert np.array_equal(ours, theirs), (path.name, level, x, y, width, height)


@pytest.mark.parametrize("name", REAL_SLIDES)
def test_random_regions_of_real_slides_are_identical_at_every_level(real: Path, name: str) -> None:
    assert_same_regions(real / name, count=6, longest=700)


@pytest.mark.parametrize("name", ["wsi/CMU-1-Small-Region.svs", "camelyon16/tumor_001_level5.tif"])
def test_every_pixel_of_a_whole_real_slide_is_identical(real: Path, name: str) -> None:
    with DirectReader(str(real / name)) as direct, openslide.OpenSlide(str(real / name)) as reference:
        place = (0, 0, 0, *reference.dimensions)
        assert np.array_equal(direct.read(*place), by_openslide(reference, *place))
        assert direct.cached_bytes <= direct_reader.CACHE_BYTES == 64 << 20


@pytest.mark.parametrize("name", REAL_SLIDES)
def test_facts_of_real_slides_are_those_of_openslide(real: Path, name: str) -> None:
    with DirectReader(str(real / name)) as direct, OpenSlideReader(str(real / name)) as reference:
        assert direct.info == reference.info


def test_drawn_slides_are_identical(drawn: Path) -> None:
    for path in sorted(drawn.glob("*_0?.tif")):
        assert_same_regions(path, count=5, longest=600)


LAYOUTS = {
    "plain": {},
    "pyramid": {"levels": 3},
    "BigTIFF": {"levels": 2, "big": True},
    "BigTIFF, big-endian": {"levels": 2, "big": True, "byteorder": ">"},
    "RGB": {"levels": 2, "rgb": True},
    "Aperio in RGB": {"levels": 2, "rgb": True, "aperio": True},
    "Aperio in YCbCr": {"levels": 2, "aperio": True},
    "levels in SubIFDs, which OpenSlide passes over": {"levels": 3, "subifds": True},
    "tiles that are no power of two": {"levels": 2, "tile": 80},
    "tiles with tables of their own": {"levels": 2, "tables": None},
    "RGB tiles with tables of their own": {"levels": 2, "rgb": True, "tables": None},
    "missing tiles": {"missing": ((1, 1), (0, 3), (7, 5))},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(512, 1024), (701, 1003)])
def test_every_layout_is_read_as_openslide_reads_it(layout: str, size: tuple[int, int], tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "slide.tif", texture(*size), **LAYOUTS[layout])
    assert_same_regions(path, count=6, longest=500)
    with DirectReader(str(path)) as direct, OpenSlideReader(str(path)) as reference:
        assert direct.info == reference.info


def test_missing_tiles_are_background(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "slide.tif", texture(512, 512), missing=((1, 2),))
    with DirectReader(str(path)) as direct:
        assert (direct.read(0, 128, 256, 128, 128) == 255).all()
        assert (direct.read(0, 130, 260, 50, 60, background=7) == 7).all()


def test_neighboring_blocks_read_twice_decode_each_tile_once(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "slide.tif", texture(1100, 1300))
    with DirectReader(str(path)) as direct:
        for _ in range(2):
            for y in range(0, 1100, 200):  # blocks that cut through tiles
                for x in range(0, 1300, 200):
                    direct.read(0, x, y, 200, 200)
        assert direct.decoded == 9 * 11


def test_reading_more_than_the_cache_holds_keeps_to_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_reader, "CACHE_BYTES", 20 * 3 * 128 * 128)
    path = write_pyramid(tmp_path / "slide.tif", texture(1024, 1024))
    with DirectReader(str(path)) as direct, openslide.OpenSlide(str(path)) as reference:
        whole = direct.read(0, 0, 0, 1024, 1024)
        assert np.array_equal(whole, by_openslide(reference, 0, 0, 0, 1024, 1024))
        assert direct.cached_bytes == 20 * 3 * 128 * 128
        assert direct.decoded == 64


def test_a_whole_tile_stays_as_it_is_while_others_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_reader, "CACHE_BYTES", 4 * 3 * 128 * 128)
    path = write_pyramid(tmp_path / "slide.tif", texture(1024, 1024))
    with DirectReader(str(path)) as direct:
        tile = direct.read(0, 128, 256, 128, 128)
        before = tile.copy()
        with pytest.raises(ValueError, match="read-only"):
            tile[0, 0] = 0
        direct.read(0, 0, 0, 1024, 1024)
        assert np.array_equal(tile, before)
    assert np.array_equal(tile, before)


def test_threads_may_share_a_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_reader, "CACHE_BYTES", 6 * 3 * 128 * 128)
    path = write_pyramid(tmp_path / "slide.tif", texture(1024, 1024))
    wrong: list[int] = []
    with DirectReader(str(path)) as direct:
        whole = direct.read(0, 0, 0, 1024, 1024)

        def read_much(seed: int) -> None:
            for x, y in np.random.default_rng(seed).integers(0, 900, (60, 2)):
                if not np.array_equal(direct.read(0, int(x), int(y), 124, 124), whole[y : y + 124, x : x + 124]):
                    wrong.append(seed)

        threads = [threading.Thread(target=read_much, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_a_forked_process_reads_through_the_same_reader(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "slide.tif", texture(512, 512))
    with DirectReader(str(path)) as direct:
        child = os.fork()
        if child == 0:
            total = int(direct.read(0, 0, 0, 512, 512).sum())
            os._exit(0 if total > 0 else 1)
        ours = direct.read(0, 0, 0, 512, 512)
        assert os.waitpid(child, 0)[1] == 0
        with openslide.OpenSlide(str(path)) as reference:
            assert np.array_equal(ours, by_openslide(reference, 0, 0, 0, 512, 512))


def test_opening_holds_no_list_of_tiles_until_they_are_asked_for(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "slide.tif", texture(512, 512), levels=2)
    with DirectReader(str(path)) as direct:
        assert not any("offsets" in vars(level) for level in direct.levels)
        direct.read(1, 0, 0, 10, 10)
        assert ["offsets" in vars(level) for level in direct.levels] == [False, True]
