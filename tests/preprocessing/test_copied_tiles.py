"""Where windows are whole JPEG tiles of the slide, its own bytes go into the table, undecoded."""

import io
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image
from pyspark.sql import SparkSession

from preprocessing.crops import copies_tiles, encoded_at_scales
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.readers.opening import open_slide
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from preprocessing.scaled_slide import ScaledSlide
from preprocessing.scales import resolve_scales
from tests import reference
from tests.conftest import ROOT
from tests.tables import ledger_of, patches_of

ALIGNED = [
    "tiling.scales=[{level: 0}, {level: 1}]", "tiling.window=256", "tiling.center=256", "tiling.stride=256",
    "tiling.sampling.normals_per_tumor=null", "tiling.sampling.from_slides_without_tumor=null",
]  # fmt: skip


def recipe_with(*overrides: str) -> Recipe:
    return load_recipe(str(ROOT / "conf" / "demo.yaml"), [*ALIGNED, *overrides])


def tile(spark: SparkSession, recipe: Recipe, slides: Path, out: Path) -> None:
    summary = run_tiling(spark, recipe, inventory(str(slides), recipe.tiling, recipe.seed), str(out))
    assert summary.failed == 0, summary.faults


def test_table_holds_the_tiles_of_the_file(spark: SparkSession, drawn: Path, tmp_path: Path) -> None:
    tile(spark, recipe_with(), drawn, tmp_path)
    assert set(ledger_of(tmp_path)["reader"]) == {"copy"}
    path = drawn / "tumor_02.tif"
    image = reference.whole_level(path, 0)
    rows = patches_of(tmp_path, "tumor_02")
    assert len(rows) > 10
    with tifffile.TiffFile(path) as tiff, path.open("rb") as file:
        page = tiff.pages[0]
        across = -(-page.imagewidth // 256)
        for row in rows.itertuples():
            pixels = np.asarray(Image.open(io.BytesIO(row.image_0)))
            assert np.array_equal(pixels, image[row.y : row.y + 256, row.x : row.x + 256])
            number = row.y // 256 * across + row.x // 256
            file.seek(page.dataoffsets[number])
            stored = file.read(page.databytecounts[number])
            assert stored[-1000:-2] in row.image_0  # the entropy-coded pixels, bit by bit


def test_labels_and_tissue_are_those_of_decoded_windows(spark: SparkSession, drawn: Path, tmp_path: Path) -> None:
    tile(spark, recipe_with(), drawn, tmp_path / "copied")
    tile(spark, recipe_with("tiling.image.copy_tiles=false"), drawn, tmp_path / "encoded")
    assert set(ledger_of(tmp_path / "encoded")["reader"]) == {"direct"}
    columns = ["slide_id", "x", "y", "label", "center_fraction", "tissue_fraction"]
    copied, encoded = (
        patches_of(tmp_path / name).sort_values(["slide_id", "y", "x"])[columns].reset_index(drop=True)
        for name in ("copied", "encoded")
    )
    assert copied.equals(encoded)


@pytest.mark.parametrize(
    "override",
    [
        "tiling.offset=3",
        "tiling.stride=200",
        "tiling.image.format=png",
        "tiling.stain.method=reinhard",
        "tiling.jitter=2",
        "tiling.margin=2",
    ],
)
def test_anything_that_changes_a_pixel_encodes(spark: SparkSession, drawn: Path, tmp_path: Path, override: str) -> None:
    tile(spark, recipe_with(override), drawn, tmp_path)
    assert set(ledger_of(tmp_path)["reader"]) == {"direct"}


@pytest.mark.parametrize("kind", ["points", "regions", "region_centers"])
def test_beside_marked_windows_nothing_is_copied(drawn: Path, kind: str) -> None:
    """Else the other windows of a block would decide whether a tile is copied, and so the size of blocks."""
    origins = np.array([[256, 256]], np.int32)
    with open_slide(str(drawn / "tumor_02.tif")) as slide:
        for override, copied in (("grid", True), (kind, False)):
            tiling = recipe_with(f"tiling.placement={{kind: {override}}}").tiling
            scaled = ScaledSlide(slide, resolve_scales(slide.info, None, tiling))
            finest = next(encoded_at_scales(scaled, origins, tiling, None))
            assert copies_tiles(scaled, tiling) == copied
            assert (finest[0] == scaled.tile_as_jpeg(0, 256, 256, 256)) == copied


def test_tiles_of_a_real_aperio_slide(spark: SparkSession, real: Path, tmp_path: Path) -> None:
    """Its tiles of 240 px hold RGB without color transform, which the copy has to say."""
    path = real / "wsi" / "CMU-1-Small-Region.svs"
    overrides = ["tiling.scales=[{level: 0}]", "tiling.window=240", "tiling.center=240", "tiling.stride=240"]
    tile(spark, recipe_with(*overrides), path, tmp_path)
    assert set(ledger_of(tmp_path)["reader"]) == {"copy"}
    rows = patches_of(tmp_path)
    assert len(rows) > 30
    with openslide.OpenSlide(str(path)) as slide:
        for row in rows.itertuples():
            region = np.asarray(slide.read_region((row.x, row.y), 0, (240, 240)).convert("RGB"))
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(row.image_0))), region)
