"""Where nothing has to be drawn, one pass over the slide gives the table that survey, draw and extraction give."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from preprocessing import tile_wave
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from tests.conftest import ROOT
from tests.tables import digests, ledger_of, patches_of

KEEP_ALL = ["tiling.sampling.normals_per_tumor=null", "tiling.sampling.from_slides_without_tumor=null"]
SMALL_BLOCKS = ["tiling.block=160", "tiling.blocks_per_shard=3", "tiling.stride=48"]


def recipe_with(*overrides: str) -> Recipe:
    return load_recipe(str(ROOT / "conf" / "demo.yaml"), [*KEEP_ALL, *SMALL_BLOCKS, *overrides])


def tile(spark: SparkSession, recipe: Recipe, slides: Path, out: Path) -> None:
    summary = run_tiling(spark, recipe, inventory(str(slides), recipe.tiling, recipe.seed), str(out))
    assert summary.failed == 0, summary.faults


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["tiling.tissue.method=otsu", "tiling.tissue.quality=true"],
        ["tiling.jitter=9", "tiling.stain.method=reinhard"],
    ],
    ids=["gray", "thumbnail", "jitter and stain"],
)
def test_one_pass_writes_the_same_bytes(
    spark: SparkSession, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: list[str]
) -> None:
    recipe = recipe_with(*overrides)
    tile(spark, recipe, drawn, tmp_path / "one")
    monkeypatch.setattr(tile_wave, "_in_one_pass", tile_wave._drawn)
    tile(spark, recipe, drawn, tmp_path / "drawn")
    assert len(patches_of(tmp_path / "one")) > 50
    assert digests(tmp_path / "one") == digests(tmp_path / "drawn")
    counts = ["slide_id", "candidates", "patches", "positives", "reader", "mpp_source"]
    one, two = (ledger_of(tmp_path / name)[counts].reset_index(drop=True) for name in ("one", "drawn"))
    assert one.equals(two)


def test_a_quota_draws(spark: SparkSession, drawn: Path, tmp_path: Path) -> None:
    """A recipe that keeps all but a quota cannot go in one pass: it would keep too many."""
    tile(spark, recipe_with("tiling.sampling.max_normals=25"), drawn, tmp_path)
    normals = patches_of(tmp_path).query("label == 0").groupby("slide_id").size()
    assert set(normals) == {25}
