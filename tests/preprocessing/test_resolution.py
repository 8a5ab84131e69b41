"""A recipe in micrometers cuts the same tissue whatever the slide: who says the mpp, what was wanted, what was read."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from pyspark.sql import SparkSession

from preprocessing.batch import BatchSummary
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from tests import reference
from tests.conftest import ROOT
from tests.tables import ledger_of, patches_of

BY_MPP = ["tiling.image.format=png", "tiling.stride=64", "tiling.block=200", "tiling.blocks_per_shard=2"]


def recipe_with(scales: str, *overrides: str) -> Recipe:
    return load_recipe(str(ROOT / "conf" / "demo.yaml"), [*BY_MPP, f"tiling.scales={scales}", *overrides])


def tile(spark: SparkSession, recipe: Recipe, slides: Path, out: Path) -> BatchSummary:
    return run_tiling(spark, recipe, inventory(str(slides), recipe.tiling, recipe.seed), str(out))


def test_scales_between_levels_are_area_averages_around_the_same_center(
    spark: SparkSession, drawn: Path, tmp_path: Path
) -> None:
    """The drawn slides have 0.25 um; 0.75 is 1.5 pixels of level 1, and 1.0 is level 2."""
    assert tile(spark, recipe_with("[{mpp: 0.75}, {mpp: 1.0}]"), drawn, tmp_path).failed == 0
    row = ledger_of(tmp_path).iloc[0]
    assert (row["mpp"], row["mpp_source"]) == (0.25, "slide")
    assert list(row["requested_mpp"]) == [0.75, 1.0]
    assert np.allclose(row["effective_mpp"], [0.75, 1.0])
    path = drawn / "tumor_01.tif"
    level_1, level_2 = (reference.whole_level(path, level) for level in (1, 2))
    thirds = level_1.repeat(2, axis=0).repeat(2, axis=1).astype(float)
    side = level_1.shape[0] * 2 // 3
    averaged = thirds[: side * 3, : side * 3].reshape(side, 3, side, 3, 3).mean(axis=(1, 3))
    rows = patches_of(tmp_path, "tumor_01")
    assert len(rows) > 10
    for found in rows.itertuples():
        column, line = round(found.x / 3), round(found.y / 3)
        pixels = np.asarray(Image.open(io.BytesIO(found.image_0)))
        assert np.abs(pixels - averaged[line : line + 80, column : column + 80]).max() <= 0.5 + 1e-3
        patch = reference.ReferencePatch(found.x, found.y, column, line, 0, 0, 0)
        assert np.array_equal(
            np.asarray(Image.open(io.BytesIO(found.image_1))), reference.crop(level_2, patch, 3.0, 4.0, 80)
        )


def test_the_manifest_corrects_a_slide(spark: SparkSession, drawn: Path, tmp_path: Path) -> None:
    """Said to have 0.5 um, the slide's level 0 is what a scale of 0.5 wants."""
    manifest = tmp_path / "manifest.csv"
    pd.DataFrame({"slide_id": ["a", "b"], "path": [drawn / "normal_01.tif"] * 2, "mpp": [0.5, None]}).drop(
        index=1
    ).to_csv(manifest, index=False)
    assert tile(spark, recipe_with("[{mpp: 0.5}]"), manifest, tmp_path / "out").failed == 0
    row = ledger_of(tmp_path / "out").iloc[0]
    assert (row["mpp"], row["mpp_source"], list(row["effective_mpp"])) == (0.5, "manifest", [0.5])
    level_0 = reference.whole_level(drawn / "normal_01.tif", 0)
    for found in patches_of(tmp_path / "out").head(5).itertuples():
        pixels = np.asarray(Image.open(io.BytesIO(found.image_0)))
        assert np.array_equal(pixels, level_0[found.y : found.y + 80, found.x : found.x + 80])


def test_a_slide_without_mpp_fails_with_the_remedies_and_the_recipe_can_say_it(
    spark: SparkSession, real: Path, tmp_path: Path
) -> None:
    path = real / "wsi" / "TCGA-CR-7395-01A-01-TS1.svs"
    by_mpp = "[{mpp: 1.0}]"
    assert tile(spark, recipe_with(by_mpp), path, tmp_path / "silent").failed == 1
    row = ledger_of(tmp_path / "silent").iloc[0]
    assert row["error_type"] == "MissingMppError"
    assert "tiling.mpp" in row["error"]
    assert tile(spark, recipe_with(by_mpp, "tiling.mpp=0.5"), path, tmp_path / "said").failed == 0
    row = ledger_of(tmp_path / "said").iloc[0]
    assert (row["mpp"], row["mpp_source"], row["reader"]) == (0.5, "recipe", "openslide")
    assert "JPEG 2000" in row["reader_note"]
