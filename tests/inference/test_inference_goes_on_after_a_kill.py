"""`histospark infer` killed in the middle goes on where it was, and ends as if nothing had happened."""

import logging
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cluster.storage import Store
from inference.job import run_inference
from preprocessing.inventory import inventory
from preprocessing.recipe import Recipe
from preprocessing.recipe_file import save_recipe
from tests.inference.conftest import GOOD
from tests.inference.killing import killed_once_a_slide_is_done
from tests.inference.tables import contents
from tests.tables import ledger_of


def test_killed_after_its_first_slide(
    spark: SparkSession, sparse: Recipe, exported: Path, drawn: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = sparse.model_copy(update={"inference": sparse.inference.model_copy(update={"precision": "float32"})})
    save_recipe(recipe, str(tmp_path))
    out, conf = tmp_path / "out", tmp_path / "recipe.yaml"
    command = ["--conf", conf, "--slides", drawn, "--model", exported, "--out", out, "--wave", 1]
    killed_once_a_slide_is_done(["infer", *command], Store(str(out)), tmp_path / "log")
    before = ledger_of(out)
    assert 1 <= (before["status"] == "done").sum() < len(GOOD)

    entries, whole = inventory(str(drawn), recipe.tiling, recipe.seed), tmp_path / "whole"
    with caplog.at_level(logging.INFO, "histospark"):
        summary = run_inference(spark, recipe, entries, exported, str(out))
    assert (summary.skipped, summary.done) == (len(before), len(GOOD) - len(before))
    assert "as this folder's engine.json says" in caplog.text
    run_inference(spark, recipe, entries, exported, str(whole))
    assert contents(out) == contents(whole)
    rows = ledger_of(out)
    assert sorted(rows["slide_id"]) == sorted(GOOD)
    assert set(rows["attempt"]) == {1}
