"""The slides that benchmarks run on are good slides, for OpenSlide and for tifffile; sharing bytes changes no pixel."""

from pathlib import Path

import numpy as np
import openslide
import pytest
import simplejpeg
import tifffile
from numpy.typing import NDArray

from benchmarks.big_slides import Slides, with_annotations, write_big_slide
from histospark.drawing.big import CELL, Library, motif_of

SIDE = 2 * CELL


def textured(seed: int) -> NDArray[np.uint8]:
    """Smooth gray texture, so that neighbors differ and JPEG loses little."""
    coarse = np.random.default_rng(seed).integers(60, 200, (CELL // 128, CELL // 128, 1), dtype=np.uint8)
    return np.kron(coarse, np.ones((128, 128, 3), np.uint8)).astype(np.uint8)


@pytest.fixture(scope="module")
def library() -> Library:
    lesion = np.array([[100.0, 100.0], [900.0, 100.0], [900.0, 900.0]])
    return Library(motif_of(textured(0)), (motif_of(textured(1)), motif_of(textured(2), (lesion,))))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, library: Library) -> tuple[Path, Path]:
    """The same slide with all its bytes, and with shared ones."""
    folder = tmp_path_factory.mktemp("big")
    paths = folder / "whole.tif", folder / "shared.tif"
    for path, is_shared in zip(paths, (False, True), strict=True):
        write_big_slide(path, library, np.random.default_rng(9), SIDE, 0.3, is_shared)
    return paths


def test_openslide_finds_a_pyramid_at_a_quarter_of_a_micrometer(pair: tuple[Path, Path]) -> None:
    for path in pair:
        with openslide.OpenSlide(path) as slide:
            assert slide.properties["openslide.vendor"] == "generic-tiff"
            assert slide.level_dimensions == tuple((SIDE >> k, SIDE >> k) for k in range(5))
            for axis in "xy":
                assert float(slide.properties[f"openslide.mpp-{axis}"]) == pytest.approx(0.25, abs=1e-6)


def test_pixels_across_tiles_and_squares_are_those_of_the_tiles(pair: tuple[Path, Path]) -> None:
    x, y, side = CELL - 300, CELL - 200, 600  # nine tiles, four squares
    with tifffile.TiffFile(pair[0]) as tiff:
        page, data = tiff.pages[0], pair[0].read_bytes()
        columns = SIDE // 256
        expected = np.zeros((SIDE, SIDE, 3), np.uint8)
        for row in range(y // 256, (y + side) // 256 + 1):
            for column in range(x // 256, (x + side) // 256 + 1):
                start, size = (values[row * columns + column] for values in (page.dataoffsets, page.databytecounts))
                tile = simplejpeg.decode_jpeg(data[start : start + size])
                expected[row * 256 : row * 256 + 256, column * 256 : column * 256 + 256] = tile
    with openslide.OpenSlide(pair[0]) as slide:
        seen = np.asarray(slide.read_region((x, y), 0, (side, side)).convert("RGB"))
    np.testing.assert_array_equal(seen, expected[y : y + side, x : x + side])


def test_sharing_bytes_changes_no_pixel_and_saves_space(pair: tuple[Path, Path]) -> None:
    whole, shared = pair
    with openslide.OpenSlide(whole) as one, openslide.OpenSlide(shared) as other:
        for level, size in enumerate(one.level_dimensions):
            pixels = [np.asarray(slide.read_region((0, 0), level, size)) for slide in (one, other)]
            np.testing.assert_array_equal(*pixels)
    assert shared.stat().st_size <= whole.stat().st_size


def test_every_level_is_the_average_of_the_one_above(pair: tuple[Path, Path]) -> None:
    with openslide.OpenSlide(pair[0]) as slide:
        for level in range(1, slide.level_count):
            above, here = (
                np.asarray(slide.read_region((0, 0), k, slide.level_dimensions[k]).convert("L"), np.float32)
                for k in (level - 1, level)
            )
            side = len(here)
            averaged = above.reshape(side, 2, side, 2).mean(axis=(1, 3))
            assert np.abs(averaged - here).mean() < 3


def test_a_sparse_slide_of_many_squares_is_small_and_opens(tmp_path: Path, library: Library) -> None:
    path, side = tmp_path / "sparse.tif", 8 * CELL
    write_big_slide(path, library, np.random.default_rng(1), side, 0.02, is_shared=True)
    with openslide.OpenSlide(path) as slide, tifffile.TiffFile(path) as tiff:
        assert slide.dimensions == (side, side)
        offsets = tiff.pages[0].dataoffsets
        assert len(offsets) == (side // 256) ** 2
        assert len(set(offsets)) < len(offsets) / 4
        corner = np.asarray(slide.read_region((side - 256, side - 256), 0, (256, 256)).convert("RGB"))
    np.testing.assert_array_equal(corner, simplejpeg.decode_jpeg(library.glass.tiles[0][63]))


def test_small_slides_are_as_many_as_asked_for_and_have_names_of_their_own(tmp_path: Path) -> None:
    slides = Slides(tmp_path)
    assert len({path.name for path in slides.small(9)}) == 9
    again = slides.small(5)
    assert sorted((tmp_path / "small").iterdir()) == sorted(again)
    with openslide.OpenSlide(again[4]) as slide:
        assert slide.dimensions == (512, 512)


def test_annotations_come_with_the_slides_that_have_them(tmp_path: Path) -> None:
    slides = [tmp_path / "a.tif", tmp_path / "b.tif"]
    (tmp_path / "b.xml").touch()
    assert with_annotations(slides) == [*slides, tmp_path / "b.xml"]
