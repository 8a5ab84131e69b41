"""The TIFF opens in OpenSlide and tifffile, and each of its pixels shows the cell that lies there on the slide."""

import json
import math
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from inference.heatmaps.cells import CellGrid, CellMap
from inference.heatmaps.pyramid import TILE, PyramidLayout, to_values, write_pyramid
from inference.heatmaps.tile_store import TileStore
from preprocessing.scales import SlideScale
from preprocessing.tiling_settings import Scale, Tiling
from tests.inference.heatmaps.slow import Array, cell_map, stored

SAYS = {"slide_id": "s", "model_id": "m", "threshold": 0.5}


def grid_of(width: int, height: int, downsample: float, stride: int, offset: int, window: int = 80) -> CellGrid:
    """The grid on a slide, its size in level-0 pixels."""
    tiling = Tiling(scales=(Scale(level=1),), window=window, center=window - 30, stride=stride, offset=offset)
    scale = SlideScale(1, 1.0, downsample, int(width / downsample), int(height / downsample), None, None)
    return CellGrid.of(tiling, scale)


def some_cells(grid: CellGrid, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    values = rng.random((grid.rows, grid.columns)).astype(np.float32)
    values[rng.random(values.shape) < 0.4] = np.nan
    return values


def written(
    path: Path, grid: CellGrid, values: Array, size: tuple[int, int], mpp: float | None = 0.25
) -> PyramidLayout:
    layout = PyramidLayout.of(grid.step, *size)
    with stored(values) as store:
        write_pyramid(path, CellMap(grid, store), layout, mpp, SAYS)
    return layout


def pixels_by_place(grid: CellGrid, values: Array, size: tuple[int, int], downsample: int) -> np.ndarray:
    """Level 0, pixel by pixel: the cell whose square holds the pixel's center."""
    width, height = size[0] // downsample, size[1] // downsample
    picture = np.zeros((height, width), np.uint8)
    for j in range(height):
        row = math.floor(((j + 0.5) * downsample - grid.first[1]) / grid.step + 0.5)
        for i in range(width):
            column = math.floor(((i + 0.5) * downsample - grid.first[0]) / grid.step + 0.5)
            if 0 <= row < grid.rows and 0 <= column < grid.columns and not math.isnan(values[row, column]):
                picture[j, i] = 1 + round(254 * float(values[row, column]))
    return picture


@pytest.mark.parametrize("downsample", [1.0, 2.0005, 3.9991, 4.016])
@pytest.mark.parametrize(("stride", "offset"), [(40, 0), (25, 13), (120, 7)])
def test_every_pixel_of_every_level_shows_its_place(
    tmp_path: Path, downsample: float, stride: int, offset: int
) -> None:
    size = (3001, 2003) if downsample < 2 else (11_003, 7_001)
    grid = grid_of(*size, downsample, stride, offset)
    values = some_cells(grid)
    layout = written(tmp_path / "heat.tif", grid, values, size)
    expected = pixels_by_place(grid, values, size, layout.downsample)
    with openslide.OpenSlide(str(tmp_path / "heat.tif")) as slide, tifffile.TiffFile(tmp_path / "heat.tif") as tiff:
        assert slide.level_dimensions == layout.sizes
        assert len(tiff.pages) == slide.level_count
        for level, (width, height) in enumerate(layout.sizes):
            shown = np.asarray(slide.read_region((0, 0), level, (width, height)))
            np.testing.assert_array_equal(shown[..., 0], expected)
            np.testing.assert_array_equal(tiff.pages[level].asarray(), expected)
            rim = [(0, expected.shape[0] % 2), (0, expected.shape[1] % 2)]
            evened = np.pad(expected, rim)
            expected = np.maximum.reduce([evened[a::2, b::2] for a in (0, 1) for b in (0, 1)])


def test_a_known_cell_is_found_at_its_coordinates_on_the_slide(tmp_path: Path) -> None:
    """As a person would look: the value under a level-0 pixel of the slide, at each level."""
    size = (60_000, 41_000)
    grid = grid_of(*size, 2.0005, 128, 13, window=256)
    values = np.zeros((grid.rows, grid.columns), np.float32)
    values[97, 201] = 0.75
    x, y = 2.0005 * (13 + 201 * 128 + 128), 2.0005 * (13 + 97 * 128 + 128)
    assert grid.center(97, 201) == (round(x), round(y))
    layout = written(tmp_path / "heat.tif", grid, values, size)
    with openslide.OpenSlide(str(tmp_path / "heat.tif")) as slide:
        for level in range(slide.level_count):
            pixel = layout.downsample * 2**level
            shown = np.asarray(slide.read_region((0, 0), level, slide.level_dimensions[level]))[..., 0]
            assert shown[int(y // pixel), int(x // pixel)] == 1 + round(254 * 0.75)
            assert (shown[shown > 1] == 1 + round(254 * 0.75)).all()
            assert (shown > 1).sum() <= (1 + 2.0005 * 128 // pixel + 1) ** 2
        assert layout.downsample == 64


@pytest.mark.parametrize("size", [(100_352, 100_352), (97_793, 219_648), (61_440, 53_999), (1024, 1536), (300, 250)])
@pytest.mark.parametrize("step", [1.0, 48.0, 96.3, 128.0, 299.0, 1024.0])
def test_whole_number_quotients_of_the_sizes_are_the_downsample(size: tuple[int, int], step: float) -> None:
    """That is the scale at which ASAP shows an overlay; it shows none where the two quotients differ."""
    layout = PyramidLayout.of(step, *size)
    width, height = layout.sizes[0]
    assert size[0] // width == size[1] // height == layout.downsample
    assert layout.downsample & (layout.downsample - 1) == 0
    assert layout.downsample <= max(1, step / 4)
    assert max(layout.sizes[-1]) <= 256
    assert all(max(one) > 256 for one in layout.sizes[:-1])
    for finer, coarser in zip(layout.sizes, layout.sizes[1:], strict=False):
        assert coarser == (math.ceil(finer[0] / 2), math.ceil(finer[1] / 2))


def test_resolution_is_the_slides_by_the_downsample(tmp_path: Path) -> None:
    """QuPath lays one image over another by their pixel sizes."""
    size, mpp = (30_000, 20_000), 0.243
    grid = grid_of(*size, 1.0, 256, 0, window=512)
    layout = written(tmp_path / "heat.tif", grid, some_cells(grid), size, mpp)
    with openslide.OpenSlide(str(tmp_path / "heat.tif")) as slide:
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(mpp * layout.downsample, rel=1e-5)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(mpp * layout.downsample, rel=1e-5)
    written(tmp_path / "unknown.tif", grid, some_cells(grid), size, None)
    with openslide.OpenSlide(str(tmp_path / "unknown.tif")) as slide:
        assert "openslide.mpp-x" not in slide.properties


def test_the_description_tells_what_the_values_mean(tmp_path: Path) -> None:
    size = (30_000, 20_000)
    grid = grid_of(*size, 1.0, 256, 0, window=512)
    layout = written(tmp_path / "heat.tif", grid, some_cells(grid), size)
    with tifffile.TiffFile(tmp_path / "heat.tif") as tiff:
        assert json.loads(tiff.pages[0].description) == {
            "histospark": "heatmap",
            "slide_id": "s",
            "model_id": "m",
            "downsample": layout.downsample,
            "step": 256.0,
            "threshold": 0.5,
            "levels": len(layout.sizes),
            "value": "0 not judged, else (value - 1) / 254",
        }
        for number, page in enumerate(tiff.pages):
            assert (page.tilewidth, page.tilelength, page.subfiletype) == (256, 256, int(number > 0))
            assert page.compression.name == "ADOBE_DEFLATE"
            assert (page.dtype, page.samplesperpixel) == (np.uint8, 1)


def test_values_are_the_nearest_of_254_steps() -> None:
    probability = np.float32([0, 1, 0.5, 0.00196, 0.00198, np.nan])
    assert to_values(probability).tolist() == [1, 255, 128, 1, 2, 0]


def test_cells_beyond_the_slide_are_cut_off(tmp_path: Path) -> None:
    """Strides above the window: the square around the last window's center reaches beyond the slide."""
    with cell_map(np.full((2, 2), 1.0), first=(40.0, 40.0), step=400.0) as cells:
        layout = PyramidLayout.of(400.0, 500, 470)
        write_pyramid(tmp_path / "heat.tif", cells, layout, None, SAYS)
    picture = tifffile.imread(tmp_path / "heat.tif")
    assert picture.shape == (470 // 16, 500 // 16)
    assert (picture == 255).all()


def test_the_same_cells_give_the_same_file(tmp_path: Path) -> None:
    size = (30_000, 20_000)
    grid = grid_of(*size, 1.0, 256, 0, window=512)
    for name in ("one", "two"):
        written(tmp_path / name, grid, some_cells(grid), size)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_no_more_tiles_are_in_memory_for_a_large_slide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finest level is asked for one tile at a time, and only for the few cells under it."""
    asked: list[int] = []
    region = TileStore.region

    def watched(store: TileStore, row: int, column: int, height: int, width: int) -> Array:
        asked.append(height * width)
        return region(store, row, column, height, width)

    monkeypatch.setattr(TileStore, "region", watched)
    for size in ((10_240, 10_240), (102_400, 51_200)):
        grid = grid_of(*size, 1.0, 128, 0, window=256)
        with TileStore(grid.rows, grid.columns) as store:
            path, layout = tmp_path / "heat.tif", PyramidLayout.of(grid.step, *size)
            write_pyramid(path, CellMap(grid, store), layout, None, SAYS)
        assert max(asked) <= (TILE // 4 + 1) ** 2
        assert len(asked) == math.prod(-(-length // TILE) for length in layout.sizes[0])
        asked.clear()
