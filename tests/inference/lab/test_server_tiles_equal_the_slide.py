"""What the lab shows of a slide is the slide: OpenSlide's own pixels, Pillow's averages."""

import io
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import openslide
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from preprocessing.recipe import Recipe
from tests.inference.lab.making import MadeRun, bare_run, lab_over

TILE = 256
JPEG_NOISE = 3.0  # mean difference of gray levels


def picture(answer: httpx.Response) -> NDArray[np.uint8]:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


def differ(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@contextmanager
def shown(folder: Path, recipe: Recipe, slides: Mapping[str, Path]) -> Iterator[httpx.Client]:
    """The lab over slides of which only the places are known."""
    run = bare_run(folder / "run", recipe, {name: str(path) for name, path in slides.items()}, {})
    with lab_over(run) as client:
        yield client


def test_tiles_of_full_size_are_the_pixels_of_level_0(lab: httpx.Client, lab_run: MadeRun) -> None:
    facts = lab.get("/api/slides/tumor_02").json()
    with openslide.OpenSlide(lab_run.slide("tumor_02")) as slide:
        assert (facts["width"], facts["height"]) == slide.dimensions
        assert facts["tile_size"] == TILE
        assert facts["max_level"] == math.ceil(math.log2(max(slide.dimensions)))
        for column, row in ((0, 0), (3, 2), (5, 5)):
            tile = picture(lab.get(f"/slides/tumor_02/tiles/{facts['max_level']}/{column}_{row}.jpg"))
            region = slide.read_region((column * TILE, row * TILE), 0, (TILE, TILE)).convert("RGB")
            assert differ(tile, np.asarray(region)) < JPEG_NOISE


def test_every_level_is_the_slide_made_small(lab: httpx.Client, lab_run: MadeRun) -> None:
    with openslide.OpenSlide(lab_run.slide("tumor_01")) as slide:
        whole = slide.read_region((0, 0), 0, slide.dimensions).convert("RGB")
    for level in range(4, 11):
        side = 2**level  # the slide has 1024 px
        tile = picture(lab.get(f"/slides/tumor_01/tiles/{level}/0_0.jpg"))
        expected = np.asarray(whole.resize((side, side), Image.Resampling.BOX))[:TILE, :TILE]
        assert differ(tile, expected) < 8
    assert lab.get("/slides/tumor_01/tiles/11/0_0.jpg").status_code == 404


def test_the_thumbnail_is_the_whole_slide(lab: httpx.Client, lab_run: MadeRun) -> None:
    small = picture(lab.get("/slides/tumor_02/thumbnail.jpg"))
    with openslide.OpenSlide(lab_run.slide("tumor_02")) as slide:
        expected = slide.get_thumbnail(small.shape[1::-1])
    assert max(small.shape) in range(129, 257)
    assert differ(small, np.asarray(expected)) < 6


@pytest.mark.parametrize("name", ["a.png", "b.jpg", "c.tif"])
def test_flat_images_are_shown_like_slides(sparse: Recipe, tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 255, (8, 10, 3), np.uint8)).resize((700, 531), Image.Resampling.BICUBIC)
    image.save(tmp_path / name)  # TIFF in strips, which OpenSlide refuses
    with shown(tmp_path, sparse, {"flat": tmp_path / name}) as client:
        facts = client.get("/api/slides/flat").json()
        assert (facts["width"], facts["height"], facts["max_level"]) == (700, 531, 10)
        rim = picture(client.get("/slides/flat/tiles/10/2_2.jpg"))
        assert differ(rim, np.asarray(image)[512:, 512:]) < 5
        half = picture(client.get("/slides/flat/tiles/9/1_1.jpg"))
        assert differ(half, np.asarray(image.reduce(2))[256:, 256:]) < 5


def test_a_slide_without_levels_is_put_together_from_its_finest_tiles(sparse: Recipe, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    whole = Image.fromarray(rng.integers(0, 255, (7, 11, 3), np.uint8)).resize((5003, 2899), Image.Resampling.BICUBIC)
    path = tmp_path / "one_level.tif"
    tifffile.imwrite(path, np.asarray(whole), tile=(256, 256), compression="zlib", photometric="rgb", metadata=None)
    with shown(tmp_path, sparse, {"one": path}) as client:
        level = client.get("/api/slides/one").json()["max_level"]
        for shrunk in (3, 4, 5):  # regions of 2048, 4096 and 8192 px would be read for one tile
            tile = picture(client.get(f"/slides/one/tiles/{level - shrunk}/0_0.jpg"))
            assert differ(tile, np.asarray(whole.reduce(2**shrunk))[:TILE, :TILE]) < 4
        assert picture(client.get("/slides/one/thumbnail.jpg")).shape == (91, 157, 3)


def test_real_slides_of_any_kind_are_shown(real: Path, sparse: Recipe, tmp_path: Path) -> None:
    slides = {
        "small_region": real / "wsi" / "CMU-1-Small-Region.svs",  # tiles of 240 px, an ICC profile
        "odd": real / "wsi" / "boxes.tiff",  # downsamples 4.016 and 8.086
        "striped": real / "wsi" / "bad" / "kidney-48-5.tif",  # OpenSlide refuses it
        "faint": real / "wsi" / "bad" / "unreadable.svs",  # opens, and no pixel can be read
    }
    with shown(tmp_path, sparse, slides) as client:
        level = client.get("/api/slides/small_region").json()["max_level"]
        tile = picture(client.get(f"/slides/small_region/tiles/{level}/3_4.jpg"))
        with openslide.OpenSlide(slides["small_region"]) as slide:
            region = slide.read_region((3 * TILE, 4 * TILE), 0, (TILE, TILE)).convert("RGB")
        assert differ(tile, np.asarray(region)) < JPEG_NOISE
        assert picture(client.get("/slides/odd/thumbnail.jpg")).shape == (125, 150, 3)
        assert max(picture(client.get("/slides/striped/thumbnail.jpg")).shape) in range(129, 257)
        damaged = client.get("/slides/faint/thumbnail.jpg")
        assert damaged.status_code == 410
        assert "unreadable.svs" in damaged.json()["error"]
        assert client.get("/slides/small_region/thumbnail.jpg").status_code == 200
