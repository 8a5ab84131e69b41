"""A model sees only windows like those it was trained on; what does not fit is refused before anything starts."""

from pathlib import Path

import keras
import pytest
from pyspark.sql import SparkSession

from cluster.errors import UsageError
from inference.job import run_inference
from preprocessing.inventory import inventory
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import load_recipe
from tests.conftest import ROOT
from tests.inference.color_model import save_with_card


def refused(spark: SparkSession, recipe: Recipe, slides: Path, model: Path, out: Path, match: str) -> None:
    entries = inventory(str(slides), recipe.tiling, recipe.seed)
    with pytest.raises(UsageError, match=match):
        run_inference(spark, recipe, entries, model, str(out))
    assert not out.exists()


@pytest.mark.parametrize(
    ("trained", "match"),
    [
        ("tiling.scales=[{level: 1}, {level: 3}]", r"tiling\.scales"),
        ("tiling.scales=[{level: 1}]", r"tiling\.scales"),
        ("tiling.window=96", r"tiling\.window 96.* 80"),
    ],
)
def test_other_scales_or_another_window(
    spark: SparkSession, drawn: Path, tiny_model: keras.Model, tmp_path: Path, trained: str, match: str
) -> None:
    demo = str(ROOT / "conf" / "demo.yaml")
    model = save_with_card(tiny_model, tmp_path, load_recipe(demo, [trained]))
    refused(spark, load_recipe(demo), drawn, model, tmp_path / "out", match)


def test_a_stride_of_its_own_is_fine(
    spark: SparkSession, drawn: Path, tiny_model: keras.Model, sparse: Recipe, tmp_path: Path
) -> None:
    """Training and prediction need not share a grid."""
    trained = load_recipe(str(ROOT / "conf" / "demo.yaml"), ["tiling.stride=11", "tiling.center=30"])
    model = save_with_card(tiny_model, tmp_path, trained)
    entries = inventory(str(drawn / "normal_01.tif"), sparse.tiling, sparse.seed)
    assert run_inference(spark, sparse, entries, model, str(tmp_path / "out")).done == 1


def test_a_missing_model(spark: SparkSession, drawn: Path, sparse: Recipe, tmp_path: Path) -> None:
    refused(spark, sparse, drawn, tmp_path / "model.keras", tmp_path / "out", r"no .*model\.keras")


def test_a_missing_card(
    spark: SparkSession, drawn: Path, sparse: Recipe, tiny_model: keras.Model, tmp_path: Path
) -> None:
    model = save_with_card(tiny_model, tmp_path, sparse)
    model.with_suffix(".json").unlink()
    refused(spark, sparse, drawn, model, tmp_path / "out", r"no .*model\.json")


def test_the_card_of_another_model(
    spark: SparkSession, drawn: Path, sparse: Recipe, tiny_model: keras.Model, tmp_path: Path
) -> None:
    model = save_with_card(tiny_model, tmp_path, sparse)
    model.write_bytes(model.read_bytes() + b"\0")
    refused(spark, sparse, drawn, model, tmp_path / "out", "describes the model")
