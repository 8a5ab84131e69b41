"""A tile that is copied out of a slide is a JPEG of its own, which every decoder shows as OpenSlide shows it."""

import io
from pathlib import Path

import imagecodecs
import numpy as np
import openslide
import pytest
import simplejpeg
from PIL import Image

from preprocessing.readers.direct_reader import DirectReader
from tests.preprocessing.readers.making import overwrite, texture, tile_place, write_pyramid
from tests.preprocessing.readers.test_direct_equals_openslide import by_openslide


def assert_every_decoder_shows(jpeg: bytes, expected: np.ndarray) -> None:
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(jpeg))), expected)
    assert np.array_equal(simplejpeg.decode_jpeg(jpeg), expected)
    assert np.array_equal(imagecodecs.jpeg_decode(jpeg), expected)


@pytest.mark.parametrize(
    ("name", "side"),
    [("wsi/CMU-1-Small-Region.svs", 240), ("mosaic/tumor_103.tif", 256), ("camelyon16/tumor_001_level5.tif", 512)],
)
def test_copied_tiles_of_real_slides_show_what_openslide_shows(real: Path, name: str, side: int) -> None:
    with DirectReader(str(real / name)) as direct, openslide.OpenSlide(str(real / name)) as reference:
        for level, (width, height) in enumerate(reference.level_dimensions[:3]):
            for x in range(0, width - side + 1, 3 * side):
                y = x % (height // side * side)
                jpeg = direct.tile_as_jpeg(level, x, y, side)
                assert jpeg is not None
                assert_every_decoder_shows(jpeg, by_openslide(reference, level, x, y, side, side))


@pytest.mark.parametrize("rgb", [False, True])
def test_copied_tiles_carry_their_color_transform(rgb: bool, tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "slide.tif", texture(512, 512), rgb=rgb, aperio=rgb)
    with DirectReader(str(path)) as direct, openslide.OpenSlide(str(path)) as reference:
        jpeg = direct.tile_as_jpeg(0, 128, 384, 128)
        assert jpeg is not None
        assert_every_decoder_shows(jpeg, by_openslide(reference, 0, 128, 384, 128, 128))
        assert Image.open(io.BytesIO(jpeg)).info["adobe_transform"] == (0 if rgb else 1)


def test_only_whole_inner_tiles_are_copied(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "slide.tif", texture(500, 500), missing=((1, 1),))
    with DirectReader(str(path)) as direct:
        assert direct.tile_as_jpeg(0, 0, 128, 128) is not None
        for x, y, side in [(1, 0, 128), (0, 127, 128), (0, 0, 127), (0, 0, 64), (0, 0, 256)]:
            assert direct.tile_as_jpeg(0, x, y, side) is None
        for x, y in [(384, 0), (0, 384), (512, 0), (-128, 0), (0, -128)]:  # cut by the rim, or outside
            assert direct.tile_as_jpeg(0, x, y, 128) is None
        assert direct.tile_as_jpeg(0, 128, 128, 128) is None  # the slide has no such tile


@pytest.mark.parametrize("where", ["start", "end", "size"])
def test_a_tile_that_is_plainly_damaged_is_not_copied(where: str, tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "slide.tif", texture(512, 512))
    place, size = tile_place(path, 1, 1)
    if where == "size":
        frame = path.read_bytes()[place : place + size].index(b"\xff\xc0")
        overwrite(path, place + frame + 5, b"\x00\x40\x00\x40")
    else:
        overwrite(path, place if where == "start" else place + size - 2, b"\x12\x34")
    with DirectReader(str(path)) as direct:
        assert direct.tile_as_jpeg(0, 128, 128, 128) is None
        assert direct.tile_as_jpeg(0, 0, 0, 128) is not None


def test_fill_bytes_behind_a_tile_are_left_behind(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "slide.tif", texture(256, 256))
    place, size = tile_place(path, 0, 0)
    stored = path.read_bytes()[place : place + size]
    shorter = stored[:-60] + b"\xff\xd9"  # cut short, then filled up: what matters here is the end only
    overwrite(path, place, shorter + bytes(size - len(shorter)))
    with DirectReader(str(path)) as direct:
        jpeg = direct.tile_as_jpeg(0, 0, 0, 128)
        assert jpeg is not None
        assert jpeg.endswith(shorter[2:])


def test_tiles_that_are_whole_files_already_are_copied_as_they_are(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "slide.tif", texture(256, 256), tables=None)
    place, size = tile_place(path, 1, 1)
    with DirectReader(str(path)) as direct, openslide.OpenSlide(str(path)) as reference:
        jpeg = direct.tile_as_jpeg(0, 128, 128, 128)
        assert jpeg == path.read_bytes()[place : place + size]
        assert_every_decoder_shows(jpeg, by_openslide(reference, 0, 128, 128, 128, 128))
